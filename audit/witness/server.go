package witness

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"sallyport/audit/checkpoint"
)

// What a witness refuses, by the status it answers with.
var (
	errUnknownLog = errors.New("unknown log")                       // 404
	errUntrusted  = errors.New("no trusted key has signed it")      // 403
	errInvalid    = errors.New("not a valid checkpoint request")    // 400
	errProof      = errors.New("the consistency proof is not good") // 422
)

// conflict is a 409: the witness is at another size, or at another root of the same size.
type conflict struct{ size int64 }

func (c *conflict) Error() string { return fmt.Sprintf("the witness is at size %d", c.size) }

// Witness cosigns checkpoints of the logs that it is given. It is an http.Handler.
type Witness struct {
	signer note.Signer
	logs   map[string]*witnessed // by origin; their keys change with Follow
	state  *state
	log    *slog.Logger
}

// witnessed is one log.
type witnessed struct {
	mu   sync.Mutex // held from looking at the log's file until it is replaced
	keys []note.Verifier
}

// New opens a witness whose state is in dir. Each log is named after its keys (a log whose key was replaced has
// several with one name).
func New(dir string, signer note.Signer, keys []note.Verifier, log *slog.Logger) (*Witness, error) {
	w := &Witness{signer: signer, logs: map[string]*witnessed{}, log: log}
	for _, k := range keys {
		l := w.logs[k.Name()]
		if l == nil {
			l = &witnessed{}
			w.logs[k.Name()] = l
		}
		l.keys = append(l.keys, k)
	}
	if len(w.logs) == 0 {
		return nil, errors.New("a witness without logs would refuse everything: give it the public key of at least one log")
	}
	var err error
	if w.state, err = openState(dir); err != nil {
		return nil, err
	}
	// Better found out now than by the log that is refused.
	for origin := range w.logs {
		if _, _, err := w.state.load(origin); err != nil {
			w.state.close()
			return nil, fmt.Errorf("%w; restore the file from a backup (removing it would let that log be rolled back)", err)
		}
	}
	return w, nil
}

// Follow takes another list of keys, of the same logs: one whose key was replaced has one more. A log that is new, or gone,
// is an error, and changes nothing: the witness looks at what it has seen of a log when it starts.
func (w *Witness) Follow(keys []note.Verifier) error {
	lists := map[string][]note.Verifier{}
	for _, k := range keys {
		if w.logs[k.Name()] == nil {
			return fmt.Errorf("the log %q is new: restart the witness", k.Name())
		}
		lists[k.Name()] = append(lists[k.Name()], k)
	}
	for origin := range w.logs {
		if lists[origin] == nil {
			return fmt.Errorf("the log %q has no key any more: restart the witness", origin)
		}
	}
	for origin, l := range w.logs {
		l.mu.Lock()
		l.keys = lists[origin]
		l.mu.Unlock()
	}
	return nil
}

// Close gives the directory free. No Add may run or follow.
func (w *Witness) Close() error { return w.state.close() }

// Add checks a request and gives the cosignature, a signature line, once what it says is on disk. It is safe
// for concurrent use.
func (w *Witness) Add(r Request) (line []byte, err error) {
	// The origin is needed to know whose keys count, so it is read before it is believed.
	origin, _, _ := strings.Cut(string(r.Checkpoint), "\n")
	l := w.logs[origin]
	if l == nil {
		return nil, errUnknownLog
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c, n, err := checkpoint.Open(r.Checkpoint, origin, l.keys...)
	if err != nil {
		return nil, errors.Join(errUntrusted, err)
	}
	if r.Old > c.Tree.N || len(r.Proof) > maxProof {
		return nil, errInvalid
	}
	last, seen, err := w.state.load(origin)
	if err != nil {
		return nil, err
	}
	if err := grows(last, r.Old, r.Proof, c.Tree); err != nil {
		if c.Tree.N == last.N && seen && c.Tree.Hash != last.Hash {
			w.log.Error("a log shows two trees of one size: it was forked", "log", origin, "size", c.Tree.N, "cosigned", last.Hash.String(), "shown", c.Tree.Hash.String())
			return nil, errors.Join(err, w.state.keepFork(origin, r.Checkpoint))
		}
		return nil, err
	}
	signed, err := note.Sign(&note.Note{Text: n.Text}, w.signer)
	if err != nil {
		return nil, err
	}
	if !seen || c.Tree != last {
		// Only what the log's keys have signed: others' signatures were not looked at.
		if err := w.state.save(origin, noteOf(n)); err != nil {
			return nil, fmt.Errorf("keep the checkpoint: %w", err)
		}
	}
	return signed[bytes.LastIndex(signed, []byte("\n\n"))+2:], nil
}

// grows decides whether a witness that is at last may cosign next, given the proof that it continues the tree
// of size old.
func grows(last tlog.Tree, old int64, proof tlog.TreeProof, next tlog.Tree) error {
	switch {
	case old != last.N:
		return &conflict{last.N}
	case old == 0 || old == next.N: // every tree continues the empty one, and itself, without proof
		if len(proof) > 0 {
			return errProof
		}
		if old > 0 && next.Hash != last.Hash {
			return &conflict{last.N}
		}
		return nil
	case tlog.CheckTree(proof, next.N, next.Hash, old, last.Hash) != nil:
		return errProof
	}
	return nil
}

// noteOf is a note with the signatures that were verified.
func noteOf(n *note.Note) []byte {
	b := []byte(n.Text + "\n")
	for _, s := range n.Sigs {
		b = append(b, "— "+s.Name+" "+s.Base64+"\n"...)
	}
	return b
}

// ServeHTTP answers POST /add-checkpoint.
func (w *Witness) ServeHTTP(rw http.ResponseWriter, req *http.Request) {
	if req.URL.Path != "/add-checkpoint" {
		http.Error(rw, "not found", http.StatusNotFound)
		return
	}
	if req.Method != http.MethodPost {
		rw.Header().Set("Allow", http.MethodPost)
		http.Error(rw, "POST only", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(rw, req.Body, maxBody))
	if err != nil {
		http.Error(rw, errInvalid.Error(), http.StatusBadRequest)
		return
	}
	r, err := ParseRequest(body)
	if err != nil {
		http.Error(rw, errInvalid.Error(), http.StatusBadRequest)
		return
	}
	line, err := w.Add(r)
	if err != nil {
		w.refuse(rw, req, err)
		return
	}
	rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
	rw.Write(line) // who does not get it asks again
}

func (w *Witness) refuse(rw http.ResponseWriter, req *http.Request, err error) {
	w.log.Info("checkpoint refused", "client", req.RemoteAddr, "err", err)
	var c *conflict
	switch {
	case errors.As(err, &c):
		rw.Header().Set("Content-Type", contentSize)
		rw.WriteHeader(http.StatusConflict)
		fmt.Fprintf(rw, "%d\n", c.size)
	case errors.Is(err, errUnknownLog):
		http.Error(rw, errUnknownLog.Error(), http.StatusNotFound)
	case errors.Is(err, errUntrusted):
		http.Error(rw, errUntrusted.Error(), http.StatusForbidden)
	case errors.Is(err, errProof):
		http.Error(rw, errProof.Error(), http.StatusUnprocessableEntity)
	case errors.Is(err, errInvalid):
		http.Error(rw, errInvalid.Error(), http.StatusBadRequest)
	default:
		w.log.Error("a checkpoint could not be cosigned", "err", err)
		http.Error(rw, "internal error", http.StatusInternalServerError)
	}
}
