package witness

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/mod/sumdb/note"

	"sallyport/audit/cosignature"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// kept collects what a Feeder gives its sink.
type kept struct {
	mu  sync.Mutex
	all [][]byte
}

func (k *kept) sink(msg []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all = append(k.all, msg)
	return nil
}

// has waits until a checkpoint of l's tree of size n was kept with the cosignatures of exactly so many of the
// witnesses.
func (k *kept) has(t *testing.T, l *testLog, n int64, want int, witnesses ...*testWitness) {
	t.Helper()
	var keys []note.Verifier
	for _, w := range witnesses {
		keys = append(keys, w.verifier)
	}
	await(t, func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return slices.ContainsFunc(k.all, func(msg []byte) bool {
			c, err := l.keys.Open(msg)
			if err != nil || c.Tree != l.tree(n) {
				return false
			}
			all, err := cosignature.Verify(msg, keys...)
			return err == nil && len(all) == want
		})
	})
}

func await(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not come to that")
		}
	}
}

// untilGone waits for the client to hang up, which a server notices once it has read the request.
func untilGone(r *http.Request) {
	io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

func feeder(t *testing.T, l *testLog, k *kept, clients ...*Client) *Feeder {
	t.Helper()
	return feederWithin(t, l, k, 200*time.Millisecond, clients...)
}

// feederWithin is a feeder that gives each witness so much time.
func feederWithin(t *testing.T, l *testLog, k *kept, timeout time.Duration, clients ...*Client) *Feeder {
	t.Helper()
	for _, c := range clients {
		t.Cleanup(c.http.CloseIdleConnections)
	}
	f := NewFeeder(FeederOptions{Witnesses: clients, Prove: l.prove, Sink: k.sink, Log: slog.New(slog.DiscardHandler),
		Timeout: timeout, MinPause: time.Millisecond, MaxPause: 5 * time.Millisecond})
	t.Cleanup(f.Close)
	return f
}

func TestFeeder(t *testing.T) {
	l := newLog(t).grow("", 300)
	w1, w2 := newWitness(t, "w1.example", l), newWitness(t, "w2.example", l)
	var k kept
	f := feeder(t, l, &k, w1.serve(t, w1), w2.serve(t, w2))
	for _, n := range []int64{0, 1, 70, 71, 300} {
		f.Offer(l.sign(n), l.tree(n))
		k.has(t, l, n, 2, w1, w2)
	}
	for _, s := range f.Status() {
		if s.Size != 300 || s.Err != nil || time.Since(s.Time) > time.Minute {
			t.Errorf("%+v", s)
		}
	}
	f.Offer(l.sign(80), l.tree(80)) // of no interest any more
	f.Close()
	for _, w := range []*testWitness{w1, w2} {
		if got, _, _ := w.state.load(origin); got.N != 300 {
			t.Errorf("%s is at %d", w.signer.Name(), got.N)
		}
	}
}

// A witness fails for a while: what was offered last is cosigned in the end, and the other witness's
// cosignature is on it too.
func TestFeederRetries(t *testing.T) {
	l := newLog(t).grow("", 300)
	w1, w2 := newWitness(t, "w1.example", l), newWitness(t, "w2.example", l)
	var requests atomic.Int64
	var up atomic.Bool
	flaky := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if !up.Load() {
			http.Error(rw, "down", http.StatusServiceUnavailable)
			return
		}
		w1.ServeHTTP(rw, r)
	})
	var k kept
	f := feeder(t, l, &k, w1.serve(t, flaky), w2.serve(t, w2))
	f.Offer(l.sign(70), l.tree(70))
	k.has(t, l, 70, 1, w1, w2)
	f.Offer(l.sign(200), l.tree(200))
	await(t, func() bool { return requests.Load() > 5 })
	if s := f.Status()[0]; s.Err == nil || s.Size != 0 {
		t.Errorf("while it is down: %+v", s)
	}
	up.Store(true)
	k.has(t, l, 200, 2, w1, w2)
	await(t, func() bool { s := f.Status()[0]; return s.Err == nil && s.Size == 200 })
}

// A witness that hangs holds up neither who offers, nor Close, however long it is given.
func TestFeederNeverBlocks(t *testing.T) {
	l := newLog(t).grow("", 300)
	w1, w2 := newWitness(t, "w1.example", l), newWitness(t, "w2.example", l)
	hang, asked := hanging()
	var k kept
	f := feederWithin(t, l, &k, time.Minute, w1.serve(t, hang), w2.serve(t, w2))
	f.Offer(l.sign(1), l.tree(1))
	<-asked
	start := time.Now()
	for n := int64(2); n <= 300; n++ {
		f.Offer(l.sign(n), l.tree(n))
	}
	if d := time.Since(start); d > 30*time.Second {
		t.Errorf("299 offers took %v", d)
	}
	start = time.Now()
	f.Close()
	if d := time.Since(start); d > 30*time.Second {
		t.Errorf("Close took %v", d)
	}
}

// It holds up the others for no longer than the time that it is given.
func TestFeederDoesNotWaitForAWitnessThatHangs(t *testing.T) {
	l := newLog(t).grow("", 300)
	w1, w2 := newWitness(t, "w1.example", l), newWitness(t, "w2.example", l)
	hang, asked := hanging()
	var k kept
	f := feeder(t, l, &k, w1.serve(t, hang), w2.serve(t, w2))
	f.Offer(l.sign(1), l.tree(1))
	<-asked
	f.Offer(l.sign(300), l.tree(300))
	f.Offer(l.sign(2), l.tree(2)) // comes late: it must not displace the larger one
	k.has(t, l, 300, 1, w1, w2)
}

// hanging is a witness that does not answer, and tells when it is asked.
func hanging() (h http.Handler, asked <-chan struct{}) {
	c := make(chan struct{}, 100_000)
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		c <- struct{}{}
		untilGone(r)
	}), c
}

func TestFeederReportsDivergence(t *testing.T) {
	l := newLog(t).grow("", 300)
	w := newWitness(t, "w.example", l)
	if _, err := w.Add(l.request(0, 70)); err != nil {
		t.Fatal(err)
	}
	fork := l.fork(10).grow("fork ", 100)
	var k kept
	f := feeder(t, fork, &k, w.serve(t, w))
	f.Offer(fork.sign(90), fork.tree(90))
	await(t, func() bool { return errors.Is(f.Status()[0].Err, ErrDiverged) })
	f.Close()
	if len(k.all) != 0 {
		t.Errorf("kept %q", bytes.Join(k.all, nil))
	}
}

func TestPause(t *testing.T) {
	for _, c := range []struct {
		failed int
		random float64
		want   time.Duration
	}{{1, 0, time.Second}, {2, 0, 2 * time.Second}, {4, 0, 8 * time.Second}, {4, 1, 6 * time.Second}, {9, 0, 256 * time.Second}, {10, 0, 300 * time.Second}, {1000, 0, 300 * time.Second}, {1000, 1, 225 * time.Second}} {
		if got := pause(c.failed, time.Second, 5*time.Minute, c.random); got != c.want {
			t.Errorf("after %d failures: %v, want %v", c.failed, got, c.want)
		}
	}
}

func TestFeederCloseWhileAsking(t *testing.T) {
	l := newLog(t).grow("", 10)
	w := newWitness(t, "w.example", l)
	c := w.serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { untilGone(r) }))
	asked := make(chan struct{})
	c.http.Transport = spy{c.http.Transport, asked}
	f := NewFeeder(FeederOptions{Witnesses: []*Client{c}, Prove: l.prove, Sink: (&kept{}).sink, Log: slog.New(slog.DiscardHandler), Timeout: time.Hour})
	f.Offer(l.sign(5), l.tree(5))
	<-asked
	f.Close()
	if err := f.Status()[0].Err; !errors.Is(err, context.Canceled) {
		t.Errorf("error: %v", err)
	}
}

type spy struct {
	http.RoundTripper
	asked chan struct{}
}

func (s spy) RoundTrip(r *http.Request) (*http.Response, error) {
	close(s.asked)
	return s.RoundTripper.RoundTrip(r)
}
