package gateway

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// ServeDoor is the PostgreSQL door, which imports this package: door_test.go fills it in.
var ServeDoor func(context.Context, *Gateway, net.Listener) error

// TestLateModelHoldsNobodyElse has as many sessions wait for a model as there may be event loops, and one more that
// asks it nothing.
func TestLateModelHoldsNobodyElse(t *testing.T) {
	r := newRecogniser(t)
	w := newWorld(t)
	w.reopen(Recogniser{URL: r.URL + "/analyze", Timeout: time.Minute})
	ctx, stop := context.WithCancel(context.Background())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- ServeDoor(ctx, w.gw, ln)
	}()
	defer func() { stop(); <-ended }()
	dial := func() *pgconn.PgConn {
		c, err := pgconn.Connect(ctx, fmt.Sprintf("postgres://agent:pw-agent@%s/shop?sslmode=disable", ln.Addr()))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	ask := func(c *pgconn.PgConn) *pgconn.Result {
		return c.ExecParams(context.Background(), "select 'row one'::text", nil, nil, nil, nil).Read()
	}
	n := max(1, len(w.gw.loops))
	waiting, others := make([]*pgconn.PgConn, n), make([]*pgconn.PgConn, n+1)
	for _, list := range [][]*pgconn.PgConn{waiting, others} {
		for i := range list {
			list[i] = dial()
			defer list[i].Close(context.Background())
			ask(list[i]) // a statement that is judged for the first time leaves the loop for that
		}
	}
	r.questions()
	free := make(chan struct{})
	r.breaks(func(w http.ResponseWriter, _ *http.Request) { <-free; w.WriteHeader(http.StatusInternalServerError) })
	done := make(chan string, n)
	for _, c := range waiting {
		go func() {
			res := ask(c)
			if len(res.Rows) != 1 {
				done <- fmt.Sprint(res.Err)
				return
			}
			done <- string(res.Rows[0][0])
		}()
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		r.mu.Lock()
		calls := r.calls
		r.mu.Unlock()
		if calls == n {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the model was asked %d times, want %d", calls, n)
		}
	}
	for _, c := range others { // at least one on each loop
		if res := c.ExecParams(ctx, "select 1", nil, nil, nil, nil).Read(); res.Err != nil {
			t.Fatal(res.Err)
		}
	}
	select {
	case got := <-done:
		t.Errorf("others were answered when the model's time was over (%s)", got)
	default:
	}
	close(free)
	for range n {
		if got := <-done; got != "[redacted]" {
			t.Errorf("the session that waited got %q", got)
		}
	}
}
