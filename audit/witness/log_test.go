package witness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"sallyport/audit/checkpoint"
	"sallyport/audit/cosignature"
)

const origin = "gate.example/log"

// testLog is a log in memory: record i of branch b is "b i", so that two branches fork where they are told.
type testLog struct {
	t       *testing.T
	signer  note.Signer
	keys    checkpoint.Keys
	mu      sync.Mutex
	hashes  []tlog.Hash
	records int64
}

func newLog(t *testing.T) *testLog {
	t.Helper()
	private, public, err := checkpoint.GenerateKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	return logOf(t, private, public)
}

func logOf(t *testing.T, private, public string) *testLog {
	s, err1 := note.NewSigner(private)
	k, err2 := checkpoint.First(public)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return &testLog{t: t, signer: s, keys: k}
}

// fork is a log with the same key that starts with the same n records.
func (l *testLog) fork(n int64) *testLog {
	f := &testLog{t: l.t, signer: l.signer, keys: l.keys}
	f.grow("", n)
	return f
}

func (l *testLog) grow(branch string, n int64) *testLog {
	l.mu.Lock()
	defer l.mu.Unlock()
	for ; l.records < n; l.records++ {
		h, err := tlog.StoredHashes(l.records, fmt.Appendf(nil, "%s %d", branch, l.records), l.reader())
		if err != nil {
			l.t.Fatal(err)
		}
		l.hashes = append(l.hashes, h...)
	}
	return l
}

func (l *testLog) reader() tlog.HashReader {
	return tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(at))
		for i, x := range at {
			out[i] = l.hashes[x]
		}
		return out, nil
	})
}

func (l *testLog) tree(n int64) tlog.Tree {
	l.mu.Lock()
	defer l.mu.Unlock()
	h, err := tlog.TreeHash(n, l.reader())
	if err != nil {
		l.t.Fatal(err)
	}
	return tlog.Tree{N: n, Hash: h}
}

func (l *testLog) sign(n int64) []byte {
	msg, err := checkpoint.Sign(checkpoint.Checkpoint{Origin: origin, Tree: l.tree(n)}, l.signer)
	if err != nil {
		l.t.Fatal(err)
	}
	return msg
}

func (l *testLog) prove(_ context.Context, from, to int64) (tlog.TreeProof, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return tlog.ProveTree(to, from, l.reader())
}

// request is what an honest client sends.
func (l *testLog) request(old, n int64) Request {
	r := Request{Old: old, Checkpoint: l.sign(n)}
	if old > 0 && old < n {
		var err error
		if r.Proof, err = l.prove(context.Background(), old, n); err != nil {
			l.t.Fatal(err)
		}
	}
	return r
}

func (l *testLog) verifier() note.Verifier {
	v, err := note.NewVerifier(l.keys.Current().Public)
	if err != nil {
		l.t.Fatal(err)
	}
	return v
}

// testWitness is one that trusts logs.
type testWitness struct {
	*Witness
	dir, public, private string
	verifier             note.Verifier
	now                  func() time.Time
	logs                 []note.Verifier
}

func newWitness(t *testing.T, name string, logs ...*testLog) *testWitness {
	t.Helper()
	private, _, err := checkpoint.GenerateKey(name)
	if err != nil {
		t.Fatal(err)
	}
	w := &testWitness{dir: t.TempDir(), private: private, now: time.Now}
	for _, l := range logs {
		w.logs = append(w.logs, l.verifier())
	}
	if w.public, err = cosignature.PublicKey(private); err != nil {
		t.Fatal(err)
	}
	if w.verifier, err = cosignature.NewVerifier(w.public); err != nil {
		t.Fatal(err)
	}
	w.open(t)
	t.Cleanup(func() { w.Close() })
	return w
}

func (w *testWitness) open(t *testing.T) {
	t.Helper()
	s, err := cosignature.NewSigner(w.private, func() time.Time { return w.now() })
	if err != nil {
		t.Fatal(err)
	}
	if w.Witness, err = New(w.dir, s, w.logs, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
}

// serve gives a client for h, as the one of w.
func (w *testWitness) serve(t *testing.T, h http.Handler) *Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	c, err := NewClient(srv.URL, w.public, srv.Client())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// cosigned says that line is the witness's cosignature of msg.
func (w *testWitness) cosigned(msg, line []byte) bool {
	text, _, _ := bytes.Cut(msg, []byte("\n\n"))
	all, err := cosignature.Verify(append(append(bytes.Clone(text), "\n\n"...), line...), w.verifier)
	return err == nil && len(all) == 1
}
