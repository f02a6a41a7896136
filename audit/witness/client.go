package witness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"sallyport/audit/checkpoint"
	"sallyport/audit/cosignature"
)

// maxSkew is how far a witness's clock may be from ours. An older cosignature may be a replay of one that
// the witness gave when the tree was last shown, and says nothing about now.
const maxSkew = 5 * time.Minute

// ErrDiverged marks that a witness holds another history of the log than the one it is shown: the log was
// rolled back or forked. It does not go away with time, and the log must not go on.
var ErrDiverged = errors.New("the log was rolled back or forked")

// Prove gives the proof that the tree of size to continues the tree of size from, 0 < from < to. It is called
// by goroutines of this package, several at a time.
type Prove func(ctx context.Context, from, to int64) (tlog.TreeProof, error)

// Client asks one witness. It may be used by several goroutines.
type Client struct {
	url      string
	verifier note.Verifier
	http     *http.Client
	now      func() time.Time
}

// NewClient is for the witness at url (its submission prefix, to which /add-checkpoint is added) that has the
// public key. h is for TLS and proxies; http.DefaultClient will do. Redirects are not followed.
func NewClient(url, public string, h *http.Client) (*Client, error) {
	v, err := cosignature.NewVerifier(public)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(url, "https://") && !strings.HasPrefix(url, "http://") {
		return nil, fmt.Errorf("a witness's address begins with https:// or http://, not %q", url)
	}
	own := *h
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{strings.TrimSuffix(url, "/") + "/add-checkpoint", v, &own, time.Now}, nil
}

// Name is the witness's name.
func (c *Client) Name() string { return c.verifier.Name() }

// Key is the witness's public key.
func (c *Client) Key() note.Verifier { return c.verifier }

// Add has the witness cosign a signed checkpoint of the tree, whatever size it is at. old is the size it is
// believed to be at. The answer is verified. An error that is ErrDiverged says that it holds another history.
func (c *Client) Add(ctx context.Context, msg []byte, tree tlog.Tree, old int64, prove Prove) (cosignature.Cosignature, error) {
	if old > tree.N {
		old = tree.N
	}
	// Somebody else may show the witness our checkpoints meanwhile, so its size can change between two
	// requests. It only grows.
	for range 4 {
		r := Request{Old: old, Checkpoint: msg}
		if old > 0 && old < tree.N {
			var err error
			if r.Proof, err = prove(ctx, old, tree.N); err != nil {
				return cosignature.Cosignature{}, fmt.Errorf("prove to the witness %s that the log grew from %d to %d: %w", c.Name(), old, tree.N, err)
			}
		}
		cs, err := c.post(ctx, r)
		var at *conflict
		if !errors.As(err, &at) {
			return cs, err
		}
		if err := c.compare(at.size, old, tree.N); err != nil {
			return cosignature.Cosignature{}, err
		}
		old = at.size
	}
	return cosignature.Cosignature{}, fmt.Errorf("the witness %s changes the size it is at with each request", c.Name())
}

// Size asks for the size that the witness is at, without making it cosign anything new: the checkpoint must
// be the newest that the log has on disk. ErrDiverged says that the witness has seen a larger tree, or another
// one of that size.
func (c *Client) Size(ctx context.Context, msg []byte, tree tlog.Tree) (int64, error) {
	_, err := c.post(ctx, Request{Old: tree.N, Checkpoint: msg})
	var at *conflict
	if !errors.As(err, &at) {
		return tree.N, err
	}
	if err := c.compare(at.size, tree.N, tree.N); err != nil {
		return at.size, err
	}
	return at.size, nil
}

// compare judges a conflict: the witness says that it is at size, was asked about old and shown n.
func (c *Client) compare(size, old, n int64) error {
	switch {
	case size > n:
		return fmt.Errorf("%w: the witness %s has seen %d records of it, and there are %d", ErrDiverged, c.Name(), size, n)
	case size == old && old == n:
		return fmt.Errorf("%w: the witness %s has seen another tree of %d records", ErrDiverged, c.Name(), n)
	case size == old:
		return fmt.Errorf("the witness %s contradicts itself: it is at size %d and refuses that size", c.Name(), size)
	}
	return nil
}

// post sends one request.
func (c *Client) post(ctx context.Context, r Request) (cosignature.Cosignature, error) {
	none := cosignature.Cosignature{}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(r.Format()))
	if err != nil {
		return none, fmt.Errorf("ask the witness %s: %w", c.Name(), err)
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	res, err := c.http.Do(req)
	if err != nil {
		return none, fmt.Errorf("ask the witness %s: %w", c.Name(), err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err != nil {
		return none, fmt.Errorf("read the answer of the witness %s: %w", c.Name(), err)
	}
	switch res.StatusCode {
	case http.StatusOK:
		return c.accept(r.Checkpoint, body)
	case http.StatusConflict:
		n, err := parseSize(strings.TrimSuffix(string(body), "\n"))
		if err != nil {
			return none, fmt.Errorf("the witness %s answers 409 without a size", c.Name())
		}
		return none, &conflict{n}
	case http.StatusUnprocessableEntity:
		return none, fmt.Errorf("%w: the tree that the witness %s has seen is not the beginning of this one (it refuses the proof from %d)", ErrDiverged, c.Name(), r.Old)
	case http.StatusForbidden:
		return none, fmt.Errorf("the witness %s does not trust the key that signed the checkpoint: have its operator add the log's current public key", c.Name())
	case http.StatusNotFound:
		return none, fmt.Errorf("the witness %s does not know the log: have its operator add the log's public key", c.Name())
	}
	return none, fmt.Errorf("the witness %s answers %d", c.Name(), res.StatusCode)
}

// accept takes the witness's cosignature from its answer.
func (c *Client) accept(msg, lines []byte) (cosignature.Cosignature, error) {
	all := cosignature.Lines(msg, lines, c.verifier)
	if len(all) != 1 {
		return cosignature.Cosignature{}, fmt.Errorf("the witness %s answers without a valid cosignature by its key", c.Name())
	}
	if d := c.now().Sub(all[0].Time); d > maxSkew || d < -maxSkew {
		return cosignature.Cosignature{}, fmt.Errorf("the witness %s answers with a cosignature of %s: it is a replay, or a clock is wrong", c.Name(), all[0].Time.Format(time.RFC3339))
	}
	return all[0], nil
}

// Standing is what Probe learnt from a witness.
type Standing struct {
	Witness string
	Size    int64 // that it is at
	Err     error // why that is not known, or ErrDiverged
}

// Probe asks all witnesses at once, before a log starts, whether they have seen more of it than its newest
// signed checkpoint on disk, which must have been there before it was shown to anybody. One that has seen less is
// given a proof that the log continues what it has seen, and cosigns. The error is ErrDiverged, if one has seen more or
// something else; the log must then refuse to start. A witness that does not answer is in its standing: whether
// to start without it is the caller's decision.
func Probe(ctx context.Context, keys checkpoint.Keys, msg []byte, prove Prove, witnesses ...*Client) ([]Standing, error) {
	cp, err := keys.Open(msg)
	if err != nil {
		return nil, err
	}
	all := make([]Standing, len(witnesses))
	done := make(chan int)
	for i, w := range witnesses {
		go func() {
			n, err := w.Size(ctx, msg, cp.Tree)
			if err == nil && n > 0 && n < cp.Tree.N {
				if _, err = w.Add(ctx, msg, cp.Tree, n, prove); err == nil {
					n = cp.Tree.N
				}
			}
			all[i] = Standing{w.Name(), n, err}
			done <- i
		}()
	}
	var bad error
	for range witnesses {
		if i := <-done; errors.Is(all[i].Err, ErrDiverged) {
			bad = errors.Join(bad, all[i].Err)
		}
	}
	return all, bad
}
