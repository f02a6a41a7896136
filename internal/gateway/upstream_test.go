package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/access"
)

// wall stands between the gateway and its database. Frozen, it passes nothing on and answers nobody, as a
// network that swallows everything or a server that was stopped would.
type wall struct {
	net.Listener
	to     string
	frozen atomic.Bool
	wg     sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn // guarded by mu
}

func newWall(t *testing.T, dsn string) (w *wall, through string) {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	w = &wall{to: u.Host}
	if w.Listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	u.Host = w.Addr().String()
	w.wg.Go(w.serve)
	t.Cleanup(func() {
		w.Close()
		w.cut()
		w.wg.Wait()
	})
	return w, u.String()
}

func (w *wall) serve() {
	for {
		in, err := w.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", w.to)
		if err != nil {
			in.Close()
			continue
		}
		w.mu.Lock()
		w.conns = append(w.conns, in, out)
		w.mu.Unlock()
		w.wg.Go(func() { w.pass(out, in) })
		w.wg.Go(func() { w.pass(in, out) })
	}
}

func (w *wall) pass(to, from net.Conn) {
	defer to.Close()
	b := make([]byte, 16<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		if w.frozen.Load() {
			io.Copy(io.Discard, from)
			return
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

// cut breaks every connection.
func (w *wall) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		c.Close()
	}
	w.conns = nil
}

func walled(t *testing.T) (*world, *wall) {
	t.Helper()
	w := newWorld(t)
	if err := w.gw.Close(); err != nil {
		t.Fatal(err)
	}
	var wl *wall
	wl, w.dsn = newWall(t, w.dsn)
	w.dir = t.TempDir()
	w.open()
	w.gw.patience = 200 * time.Millisecond
	return w, wl
}

// TestFrozenUpstreamIsGivenUp: somebody who leaves must not have their session, and its place, held for ever.
func TestFrozenUpstreamIsGivenUp(t *testing.T) {
	for name, stop := range map[string]bool{"client_gone": false, "gateway_stopped": true} {
		t.Run(name, func(t *testing.T) {
			w, wl := walled(t)
			s := w.login("dba")
			wantNoError(t, w.query(s, "select 1"))
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			done := make(chan error, 1)
			a := &answer{}
			go func() { done <- s.Do(ctx, []Op{{Kind: OpQuery, SQL: "select pg_sleep(30)"}}, a) }()
			for !s.busy.Load() {
				time.Sleep(time.Millisecond)
			}
			wl.frozen.Store(true)
			stopped := make(chan error, 1)
			if stop {
				go func() { stopped <- w.gw.Close() }()
			} else {
				cancel()
			}
			wl.wantEnd(t, done)
			if len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], "08006") {
				t.Errorf("errors %q", a.errs)
			}
			w.wantOutcome(s.id, "08007")
			if stop {
				if err := <-stopped; err != nil {
					t.Errorf("Close: %v", err)
				}
				wl.frozen.Store(false)
				w.open() // for the cleanup
			}
		})
	}
}

// TestTimeLimitGivesUpAnUpstreamThatIsStuck: nobody has to leave for it, and one that reacts, within a patience that the machine lets it keep, is kept.
func TestTimeLimitGivesUpAnUpstreamThatIsStuck(t *testing.T) {
	w, wl := walled(t)
	s := w.login("slowly")
	for {
		a := &answer{}
		err := s.Do(context.Background(), []Op{{Kind: OpQuery, SQL: "select count(*) from orders a, orders b, orders c"}}, a)
		if err == nil {
			wantError(t, a, "57014")
			break
		}
		if w.gw.patience *= 2; w.gw.patience > 5*time.Second {
			t.Fatalf("it was given up, though it reacts: %v %q", err, a.errs)
		}
		s = w.login("slowly")
	}
	time.Sleep(2 * w.gw.patience)
	wantNoError(t, w.query(s, "select 1"))
	wl.frozen.Store(true)
	done := make(chan error, 1)
	a := &answer{}
	go func() {
		done <- s.Do(context.Background(), []Op{{Kind: OpQuery, SQL: "select count(*) from orders"}}, a)
	}()
	wl.wantEnd(t, done)
	if len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], "08006 the database answered neither within the time") {
		t.Errorf("errors %q", a.errs)
	}
	w.wantOutcome(s.id, "08007")
}

// wantEnd waits for a Do that has to give its upstream up.
func (w *wall) wantEnd(t *testing.T, done <-chan error) {
	t.Helper()
	select {
	case err := <-done:
		if !errors.Is(err, ErrEnded) {
			t.Errorf("Do: %v", err)
		}
	case <-time.After(30 * time.Second):
		w.cut()
		<-done
		t.Fatal("the session was held by an upstream that does not answer")
	}
}

// wantOutcome looks for the end of the session's newest execution on record.
func (w *world) wantOutcome(session, code string) {
	w.t.Helper()
	got := ""
	for _, r := range w.records() {
		if r.Session == session && (r.Kind == access.RecordOutcome || r.Kind == access.RecordStatement) {
			got = r.Code
		}
	}
	if got != code {
		w.t.Errorf("the record says %q, want %q", got, code)
	}
}

// TestUpstreamLostInTheMiddleOfAResult: one clear error, and a record that says what is known.
func TestUpstreamLostInTheMiddleOfAResult(t *testing.T) {
	w, wl := walled(t)
	s := w.login("dba")
	a := &cutting{after: 1, cut: wl.cut}
	err := s.Do(context.Background(), []Op{{Kind: OpQuery, SQL: "select g, repeat('x', 1000) from generate_series(1, 200000) g"}}, a)
	if !errors.Is(err, ErrEnded) || len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], "08006") {
		t.Errorf("Do: %v, errors %q", err, a.errs)
	}
	if n := len(a.rows); n == 0 || n == 200000 || len(a.tags) > 0 {
		t.Errorf("%d rows, tags %v: it was to break in the middle", n, a.tags)
	}
	w.wantOutcome(s.id, "08007")
	// The gateway lives on.
	again := w.login("dba")
	defer again.Close()
	wantNoError(t, w.query(again, "select 1"))
}

// cutting is a sink that breaks the upstream after some releases.
type cutting struct {
	answer
	after int
	cut   func()
}

func (c *cutting) Release(frames []byte) error {
	if c.after--; c.after == 0 {
		c.cut()
	}
	return c.answer.Release(frames)
}

func TestUpstreamDeadAtConnect(t *testing.T) {
	w, wl := walled(t)
	login := func(within time.Duration) error {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		s, err := w.gw.Connect(ctx, Login{Door: access.DoorPGWire, Connection: "shop", Credentials: access.Password{User: "dba", Secret: "pw-dba"}})
		if err == nil {
			s.Close()
		}
		return err
	}
	if err := login(30 * time.Second); err != nil {
		t.Fatal(err)
	}
	for name, kill := range map[string]func(){
		"frozen":  func() { wl.frozen.Store(true) },
		"refused": func() { wl.frozen.Store(false); wl.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			kill()
			err := login(2 * time.Second)
			if ae := access.AsError(err); ae.Code != "08001" || ae.Hint == "" || strings.Contains(ae.Message, "127.0.0.1") {
				t.Errorf("got %+v", ae)
			}
		})
	}
}

func TestUnreadableDSNIsRefusedAtOnce(t *testing.T) {
	for _, dsn := range []string{"postgres://app:hunter2@[::1/shop", "host=h password='hunter2", "postgres://app:hun ter2@h:5432/x", "user=a port=hunter2",
		"host=h password=hunter2 sslmode=verify-full sslrootcert=/nowhere/ca.pem"} {
		c := Config{DataDir: t.TempDir(), Connections: []access.Connection{{Name: "shop", Driver: "postgres", DSN: dsn}}, Policies: []PolicyFile{{Name: "p", Text: testPolicy}}}
		gw, err := Open(context.Background(), c)
		if err == nil {
			gw.Close()
			t.Errorf("%s was taken", dsn)
			continue
		}
		if text := err.Error() + access.AsError(err).Hint; !strings.Contains(text, "connection shop") || strings.Contains(text, "hunter2") || strings.Contains(text, "\n") {
			t.Errorf("got %s", text)
		}
	}
}
