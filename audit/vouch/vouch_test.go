package vouch

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/audit"
	"sallyport/audit/checkpoint"
	"sallyport/audit/cosignature"
	"sallyport/audit/timestamp"
	"sallyport/audit/witness"
	"sallyport/internal/access"
	"sallyport/internal/testtsa"
)

// aLog is an open log that signs every 10 ms.
func aLog(t *testing.T, dir string) *audit.Log {
	t.Helper()
	l, err := audit.Open(dir, audit.Options{SignEvery: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func grow(t *testing.T, l *audit.Log, n int) {
	t.Helper()
	for range n {
		if _, err := l.Append(&access.Record{Kind: access.RecordRefused, Time: time.Unix(1, 0)}); err != nil {
			t.Fatal(err)
		}
	}
}

// aWitness is a witness of the log in dir that can be made to fail.
type aWitness struct {
	name, key string
	srv       *httptest.Server
	mu        sync.Mutex
	down      bool
}

func (w *aWitness) set(down bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = down
}

func newWitness(t *testing.T, name, log string) *aWitness {
	t.Helper()
	dir := t.TempDir()
	key, err := witness.CreateKey(dir, name)
	if err != nil {
		t.Fatal(err)
	}
	signer, _, err := witness.LoadKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(log, "signing", checkpoint.PublicFile))
	if err != nil {
		t.Fatal(err)
	}
	logs, err := witness.ParseLogs(string(text))
	if err != nil {
		t.Fatal(err)
	}
	server, err := witness.New(dir, signer, logs, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w := &aWitness{name: name, key: key}
	w.srv = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		down := w.down
		w.mu.Unlock()
		if down {
			rw.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		server.ServeHTTP(rw, r)
	}))
	t.Cleanup(func() { w.srv.Close(); server.Close() })
	return w
}

func options(t *testing.T, dir string, quorum int, witnesses ...*aWitness) Options {
	t.Helper()
	o := Options{Dir: dir, LookEvery: 5 * time.Millisecond, MinPause: 5 * time.Millisecond, MaxPause: 20 * time.Millisecond, Policy: cosignature.Policy{Quorum: quorum}}
	for _, w := range witnesses {
		c, err := witness.NewClient(w.srv.URL, w.key, http.DefaultClient)
		if err != nil {
			t.Fatal(err)
		}
		o.Witnesses = append(o.Witnesses, c)
		o.Policy.Witnesses = append(o.Policy.Witnesses, cosignature.PolicyWitness{Name: w.name, Key: w.key, URL: w.srv.URL})
	}
	return o
}

func start(t *testing.T, o Options) *Voucher {
	t.Helper()
	v, err := New(o)
	if err == nil {
		err = v.Refuse(t.Context())
	}
	if err == nil {
		err = v.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func closeAll(t *testing.T, l *audit.Log, v *Voucher) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	v.Close(ctx)
}

// until waits for a standing that is as wanted.
func until(t *testing.T, dir string, want func(*Standing) bool) *Standing {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		s, err := Read(dir, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Problems) > 0 {
			t.Fatal(s.Problems)
		}
		if want(s) {
			return s
		}
		if time.Now().After(end) {
			t.Fatalf("%+v", s)
		}
	}
}

func TestWitnessesVouch(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	l := aLog(t, dir)
	a, b := newWitness(t, "a.example", dir), newWitness(t, "b.example", dir)
	v := start(t, options(t, dir, 2, a, b))
	grow(t, l, 5)
	until(t, dir, func(s *Standing) bool { return s.Quorum == 5 })

	b.set(true)
	grow(t, l, 4) // nobody waits for b
	s := until(t, dir, func(s *Standing) bool { return s.Witnesses[0].Size == 9 && s.Witnesses[1].Health != nil })
	if s.Quorum != 5 || s.Witnesses[1].Size != 5 || s.Witnesses[0].Health != nil || !strings.Contains(s.Witnesses[1].Health.Error, "503") {
		t.Errorf("with one away: %+v", s)
	}
	since := s.Witnesses[1].Health.Since
	if time.Since(since) > time.Minute {
		t.Errorf("away since %s", since)
	}

	b.set(false)
	s = until(t, dir, func(s *Standing) bool { return s.Quorum == 9 && s.Witnesses[1].Health == nil })
	if all, err := cosignature.Verify(s.Best, v.verifiers...); err != nil || len(all) == 0 {
		t.Errorf("%v, %v", all, err)
	}
	grow(t, l, 3)
	closeAll(t, l, v)
	if s := until(t, dir, func(s *Standing) bool { return true }); s.Quorum != 12 {
		t.Errorf("the last checkpoint, which is made when the log is closed, was not shown: %+v", s)
	}
}

// A directory that is put back, and a log that goes on from there, are seen by witnesses and by them alone.
func TestRolledBackLogsAreRefused(t *testing.T) {
	dir, old := filepath.Join(t.TempDir(), "log"), filepath.Join(t.TempDir(), "old")
	l := aLog(t, dir)
	w := newWitness(t, "w.example", dir)
	v := start(t, options(t, dir, 1, w))
	grow(t, l, 3)
	closeAll(t, l, v)
	if err := os.CopyFS(old, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(old, "signing", checkpoint.PrivateFile), 0o600); err != nil {
		t.Fatal(err)
	}
	l = aLog(t, dir)
	v = start(t, options(t, dir, 1, w))
	grow(t, l, 3)
	closeAll(t, l, v)

	refused := func(want string) {
		t.Helper()
		v, err := New(options(t, old, 1, w))
		if err != nil {
			t.Fatal(err)
		}
		err = v.Refuse(t.Context())
		var e *access.Error
		if !errors.As(err, &e) || e.Kind != access.Unavailable || !strings.Contains(e.Hint, "put back the newest copy") || !errors.Is(err, witness.ErrDiverged) || !strings.Contains(fmt.Sprint(e.Err), want) {
			t.Errorf("%+v", err)
		}
	}
	refused("has seen 6 records of it, and there are 3")
	l = aLog(t, old) // as if nobody had been asked
	grow(t, l, 3)
	l.Close()
	refused("another tree of 6 records")
	l = aLog(t, old)
	grow(t, l, 3)
	l.Close()
	refused("is not the beginning of this one")
	w.set(true)
	v, err := New(options(t, old, 1, w))
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Refuse(t.Context()); err != nil {
		t.Errorf("a witness that does not answer holds the log up: %v", err)
	}
}

// What others have changed in the folder is a problem and vouches for nothing.
func TestForgedVouchersCountForNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	l := aLog(t, dir)
	a, b := newWitness(t, "a.example", dir), newWitness(t, "b.example", dir)
	v := start(t, options(t, dir, 1, a))
	grow(t, l, 5)
	closeAll(t, l, v)
	o := options(t, dir, 2, a, b)
	s, err := Read(dir, &o.Policy, nil)
	if err != nil || s.Quorum != 0 || s.Witnesses[0].Size != 5 || s.Witnesses[1].Size != 0 || len(s.Problems) > 0 {
		t.Fatalf("%+v, %v", s, err)
	}
	name := func(w *aWitness) string {
		k, err := cosignature.NewVerifier(w.key)
		if err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, Folder, fmt.Sprintf("%s%08x", witnessFile, k.KeyHash()))
	}
	text, err := os.ReadFile(name(a))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name(b), text, 0o600); err != nil { // a's word is not b's
		t.Fatal(err)
	}
	s, err = Read(dir, &o.Policy, nil)
	if err != nil || s.Quorum != 0 || s.Witnesses[1].Size != 0 || len(s.Problems) != 1 || !strings.Contains(s.Problems[0], "witness b.example") {
		t.Errorf("%+v, %v", s, err)
	}
	if err := os.WriteFile(name(a), bytes.Replace(text, []byte("\n5\n"), []byte("\n6\n"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err = Read(dir, &o.Policy, nil); err != nil || s.Witnesses[0].Size != 0 || len(s.Problems) != 2 {
		t.Errorf("%+v, %v", s, err)
	}
}

// An authority that does not answer is passed over, and none is asked before its time.
func TestTimestamps(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	l := aLog(t, dir)
	tsa := testtsa.New(t)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(tsa.Roots)
	o := options(t, dir, 0)
	o.Authorities = []*timestamp.Client{{URL: "http://127.0.0.1:1", Roots: roots, HTTP: http.DefaultClient}, {URL: tsa.URL, Roots: roots, HTTP: http.DefaultClient}}
	o.Roots, o.StampEvery = tsa.Roots, time.Hour
	v := start(t, o)
	grow(t, l, 5)
	s := until(t, dir, func(s *Standing) bool { return s.Stamp != nil })
	first := s.Stamp.Size
	if first < 1 || first > 5 || time.Since(s.Stamp.Time) > time.Minute {
		t.Errorf("%+v", s.Stamp)
	}
	grow(t, l, 5)
	closeAll(t, l, v)
	l = aLog(t, dir)
	v = start(t, o)
	grow(t, l, 1)
	time.Sleep(100 * time.Millisecond)
	if s := until(t, dir, func(*Standing) bool { return true }); s.Stamp.Size != first {
		t.Errorf("stamped again before an hour was over: %+v", s.Stamp)
	}
	closeAll(t, l, v)

	p, err := audit.OpenProver(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	got, err := StampFor(dir, p, 1, 11)
	if err != nil || got == nil || len(got.Grown) == 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	if none, err := StampFor(dir, p, uint64(first)+1, 11); none != nil || err != nil {
		t.Errorf("%+v, %v", none, err)
	}

	o.StampEvery = 20 * time.Millisecond
	tsa.Set(false)
	l = aLog(t, dir)
	v = start(t, o)
	grow(t, l, 2)
	until(t, dir, func(s *Standing) bool { return s.Stamping != nil })
	tsa.Set(true)
	until(t, dir, func(s *Standing) bool { return s.Stamping == nil && s.Stamp.Size == 13 })
	closeAll(t, l, v)
	strangers := testtsa.New(t)
	other := x509.NewCertPool()
	other.AppendCertsFromPEM(strangers.Roots)
	if s, err := Read(dir, nil, other); err != nil || s.Stamp != nil || len(s.Problems) == 0 {
		t.Errorf("under another root: %+v, %v", s, err)
	}
}
