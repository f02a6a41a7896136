package mcp

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
	"sallyport/mcp/internal/front"
)

// direct calls a tool without a transport.
func direct(t *testing.T, s *Server, ctx context.Context, token, name string, arguments string) (*answer, error) {
	t.Helper()
	p, err := s.core.Verify(ctx, access.Bearer(token))
	if err != nil {
		t.Fatal(err)
	}
	ctx = front.WithCaller(ctx, &front.Caller{Credentials: access.Bearer(token), Principal: p, Client: "test"})
	for i := range tools {
		if tools[i].name == name {
			return s.call(ctx, &tools[i], callRequest(name, arguments))
		}
	}
	t.Fatalf("no tool %s", name)
	return nil, nil
}

const select1 = `{"connection":"shop","sql":"select 1","task_id":"task-1","reason":"count the late orders of this customer"}`

func begun(t *testing.T, f *fakeCore) {
	t.Helper()
	if _, err := f.StartTask(t.Context(), access.DoorMCP, access.Bearer(anna), "goal", ""); err != nil {
		t.Fatal(err)
	}
}

func TestNoCallBlocksPast45Seconds(t *testing.T) {
	for name, stubborn := range map[string]bool{"statement_that_obeys": false, "core_that_hangs": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				begun(t, f)
				never := make(chan struct{})
				f.answers(func(ctx context.Context, _ gateway.Query) (*gateway.Result, error) {
					if stubborn {
						<-never
					} else {
						<-ctx.Done()
					}
					return nil, ctx.Err()
				})
				s := newServer(f, Options{CallTimeout: time.Hour, Log: slog.New(slog.DiscardHandler)}, f.connect)
				start := time.Now()
				_, err := direct(t, s, t.Context(), anna, "query", select1)
				if took := time.Since(start); took > 45*time.Second {
					t.Errorf("took %s", took)
				}
				if e := access.AsError(err); e.Code != "57014" || e.Hint == "" {
					t.Errorf("got %+v", e)
				}
				close(never)
				synctest.Wait()
				if connects, _, closed := f.count(); connects != 1 || closed != 1 {
					t.Errorf("%d sessions opened, %d closed: a cancelled one must not be used again", connects, closed)
				}
				if err := s.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestClientThatLeavesCancelsItsStatement(t *testing.T) {
	f := newFake()
	s := newTestServer(t, f, Options{})
	begun(t, f)
	entered, cancelled := make(chan struct{}), make(chan struct{})
	f.answers(func(ctx context.Context, _ gateway.Query) (*gateway.Result, error) {
		close(entered)
		<-ctx.Done()
		close(cancelled)
		return nil, ctx.Err()
	})
	ctx, leave := context.WithCancel(t.Context())
	go func() { <-entered; leave() }()
	if _, err := direct(t, s, ctx, anna, "query", select1); err == nil {
		t.Error("no error")
	}
	<-cancelled
}

func TestPrincipalHasEightPlaces(t *testing.T) {
	f := newFake()
	s := newTestServer(t, f, Options{})
	begun(t, f)
	let, in := make(chan struct{}), make(chan struct{}, 8)
	f.answers(func(context.Context, gateway.Query) (*gateway.Result, error) {
		in <- struct{}{}
		<-let
		return rows(1, "SELECT 1"), nil
	})
	var calls sync.WaitGroup
	for range 8 {
		calls.Go(func() {
			if _, err := direct(t, s, t.Context(), anna, "query", select1); err != nil {
				t.Error(err)
			}
		})
		<-in
	}
	_, err := direct(t, s, t.Context(), anna, "query", select1)
	if e := access.AsError(err); e == nil || e.Code != "53300" {
		t.Errorf("the ninth call: %v", err)
	}
	if _, err := direct(t, s, t.Context(), bert, "list_connections", "{}"); err != nil {
		t.Errorf("somebody else has no place: %v", err)
	}
	close(let)
	calls.Wait()
	if _, err := direct(t, s, t.Context(), anna, "list_connections", "{}"); err != nil {
		t.Errorf("no place is free after all calls: %v", err)
	}
}

func TestPanicInTheCoreIsARefusal(t *testing.T) {
	f := newFake()
	s := newTestServer(t, f, Options{Log: slog.New(slog.DiscardHandler)})
	w := dial(t, s, anna, legacy)
	task := w.task()
	f.answers(func(context.Context, gateway.Query) (*gateway.Result, error) { panic("secret row value") })
	r := w.query(task, "select 1")
	if r.code() != "XX000" || strings.Contains(r.text, "secret") {
		t.Errorf("%s", r.text)
	}
	f.answers(nil)
	if r := w.query(task, "select 1"); r.isError {
		t.Errorf("the door does not live on: %s", r.text)
	}
	if _, _, closed := f.count(); closed != 1 {
		t.Errorf("%d sessions closed", closed)
	}
}

func TestSessionsAreReusedButNeverShared(t *testing.T) {
	f := newFake()
	s := newTestServer(t, f, Options{})
	a := dial(t, s, anna, legacy)
	task := a.task()
	for range 5 {
		a.query(task, "select 1")
	}
	if connects, queries, _ := f.count(); connects != 1 || queries != 5 {
		t.Errorf("%d connects for %d statements", connects, queries)
	}
	b := dial(t, s, bert, legacy)
	b.query(b.task(), "select 1")
	if connects, _, _ := f.count(); connects != 2 {
		t.Errorf("bert used anna's session")
	}
	if l := f.connects[1]; l.Credentials != access.Bearer(bert) || l.Door != access.DoorMCP || !strings.Contains(l.Client, "wire/1") {
		t.Errorf("login %+v", l)
	}
	again := dial(t, s, anna, legacy) // another MCP session
	again.query(task, "select 1")
	if connects, _, _ := f.count(); connects != 3 {
		t.Errorf("an MCP session used another one's")
	}
	f.mu.Lock()
	f.tokens[anna] = access.Principal{Name: "anna", Kind: access.Agent, Groups: []string{"nobody"}}
	f.mu.Unlock()
	if status, _ := a.do("tools/list", nil); status != 404 {
		t.Errorf("anna kept an MCP session that was begun with other groups: %d", status)
	}
	m := dial(t, s, anna, modern)
	m.query(task, "select 1")
	if connects, _, _ := f.count(); connects != 4 {
		t.Errorf("anna kept a session that was opened with other groups")
	}
}

func TestStateDoesNotOutliveACall(t *testing.T) {
	for _, command := range []string{"BEGIN", "SET", "PREPARE", "DECLARE CURSOR", "LISTEN", "LOCK TABLE", "CREATE TABLE", ""} {
		f := newFake()
		s := newTestServer(t, f, Options{})
		w := dial(t, s, anna, modern)
		task := w.task()
		f.gives(&gateway.Result{Command: command})
		r := w.query(task, "whatever")
		if _, _, closed := f.count(); closed != 1 {
			t.Errorf("%q left its session open", command)
		}
		if command == "BEGIN" && !strings.Contains(r.text, "each call stands alone") {
			t.Errorf("the agent is not told: %s", r.text)
		}
	}
}

func TestSessionThatCannotBeResetIsNotUsedAgain(t *testing.T) {
	f := newFake()
	s := newTestServer(t, f, Options{})
	w := dial(t, s, anna, modern)
	task := w.task()
	for range 2 {
		w.query(task, "select 1")
	}
	if connects, _, _ := f.count(); connects != 1 || f.resets != 2 {
		t.Errorf("%d connects and %d resets for 2 calls", connects, f.resets)
	}
	f.mu.Lock()
	f.resetErr = gateway.ErrEnded
	f.mu.Unlock()
	for range 2 {
		if r := w.query(task, "select 1"); r.isError {
			t.Errorf("%s", r.text)
		}
	}
	if connects, _, closed := f.count(); connects != 2 || closed != 2 {
		t.Errorf("%d opened, %d closed", connects, closed)
	}
}

func TestLostSessionsAreNotUsedAgain(t *testing.T) {
	f := newFake()
	s := newTestServer(t, f, Options{})
	w := dial(t, s, anna, modern)
	task := w.task()
	w.query(task, "select 1")
	f.answers(func(context.Context, gateway.Query) (*gateway.Result, error) { return nil, gateway.ErrEnded })
	if r := w.query(task, "select 1"); r.code() != "08003" || !strings.Contains(r.text, "call again") {
		t.Errorf("%s", r.text)
	}
	f.answers(nil)
	if r := w.query(task, "select 1"); r.isError {
		t.Errorf("%s", r.text)
	}
	if connects, _, closed := f.count(); connects != 2 || closed != 1 {
		t.Errorf("%d opened, %d closed", connects, closed)
	}
}

func TestIdleSessionsAreClosed(t *testing.T) {
	f := newFake()
	s := newTestServer(t, f, Options{SessionIdle: time.Minute})
	w := dial(t, s, anna, modern)
	w.query(w.task(), "select 1")
	s.sessions.sweep(time.Now())
	if _, _, closed := f.count(); closed != 0 {
		t.Error("closed too early")
	}
	s.sessions.sweep(time.Now().Add(2 * time.Minute))
	if _, _, closed := f.count(); closed != 1 {
		t.Error("an idle session is open")
	}
}

func TestShutdownWaitsAndRefuses(t *testing.T) {
	f := newFake()
	s := newTestServer(t, f, Options{})
	begun(t, f)
	let, in := make(chan struct{}), make(chan struct{})
	f.answers(func(context.Context, gateway.Query) (*gateway.Result, error) {
		close(in)
		<-let
		return rows(1, "SELECT 1"), nil
	})
	first := make(chan error, 1)
	go func() {
		_, err := direct(t, s, t.Context(), anna, "query", select1)
		first <- err
	}()
	<-in
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(t.Context()) }()
	for {
		_, err := direct(t, s, t.Context(), bert, "list_connections", "{}")
		if e := access.AsError(err); e != nil && e.Code == "57P01" {
			break
		}
		time.Sleep(time.Millisecond)
	}
	select {
	case <-down:
		t.Error("did not wait for the running call")
	default:
	}
	close(let)
	if err := errors.Join(<-first, <-down); err != nil {
		t.Error(err)
	}
	if _, _, closed := f.count(); closed != 1 {
		t.Errorf("%d sessions closed", closed)
	}
}

func TestCallWithoutACallerIsRefused(t *testing.T) {
	s := newTestServer(t, newFake(), Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	for i := range tools {
		if _, err := s.call(t.Context(), &tools[i], callRequest(tools[i].name, "{}")); err == nil {
			t.Errorf("%s answers nobody in particular", tools[i].name)
		}
	}
}
