package gateway

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/access"
)

// slowRead takes some tenths of a second of the server's time.
const slowRead = "select count(*) from orders a, orders b where a.id < 200 and a.amount + b.amount > 3"

func (w *world) wantNoPlaces(sessions int64) {
	w.t.Helper()
	p := &w.gw.places
	p.mu.Lock()
	defer p.mu.Unlock()
	for who, h := range p.by {
		if h.running != 0 || len(h.waiting) != 0 || h.sessions != sessions {
			w.t.Errorf("%s has %d running, %d waiting, %d sessions", who, h.running, len(h.waiting), h.sessions)
		}
	}
}

// untilPlaces waits until "many" has so many statements that run and that wait. It may be called beside the test.
func (w *world) untilPlaces(running int64, waiting int) {
	p := &w.gw.places
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		p.mu.Lock()
		h := p.by["many"]
		is := h != nil && h.running == running && len(h.waiting) == waiting
		p.mu.Unlock()
		if is {
			return
		}
		if time.Now().After(end) {
			w.t.Errorf("there were never %d that run and %d that wait", running, waiting)
			return
		}
	}
}

// running are the statements of the gateway's that the server is working on, by process and start. The server looks at
// its processes one after the other, so two that took turns can be in one answer: only what is in two answers ran
// between them.
func (w *world) running(t *testing.T, conn *pgx.Conn) []string {
	rows, err := conn.Query(context.Background(), `select pid || ' ' || query_start from pg_stat_activity where application_name = 'sallyport' and state = 'active'
		and query ilike '%orders b%'`)
	if err != nil {
		t.Error(err)
		return nil
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Error(err)
	}
	return all
}

func TestNoMoreStatementsRunThanThePolicyAllows(t *testing.T) {
	w := newWorld(t)
	w.gw.placePatience = 30 * time.Second
	conn, err := pgx.Connect(context.Background(), w.dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var clients, watch sync.WaitGroup
	stop := make(chan struct{})
	var most atomic.Int64
	watch.Go(func() {
		var before []string
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				now, n := w.running(t, conn), int64(0)
				for _, statement := range now {
					if slices.Contains(before, statement) {
						n++
					}
				}
				most.Store(max(n, most.Load()))
				before = now
			}
		}
	})
	for i := range 6 {
		clients.Go(func() {
			s := w.login("many")
			defer s.Close()
			a := &answer{}
			var err error
			switch i % 3 {
			case 0:
				err = s.Do(context.Background(), []Op{{Kind: OpQuery, SQL: slowRead}}, a)
			case 1:
				err = s.Do(context.Background(), pipeline(slowRead), a)
			default:
				_, err = s.Query(context.Background(), Query{SQL: slowRead})
			}
			if err != nil || len(a.errs) > 0 {
				t.Errorf("%v %v", err, a.errs)
			}
		})
	}
	clients.Wait()
	close(stop)
	watch.Wait()
	if n := most.Load(); n != 2 {
		t.Errorf("%d ran at a time, the policy allows 2", n)
	}
	w.wantNoPlaces(0)
}

func TestWhoFindsNoPlaceIsRefusedAfterAWhile(t *testing.T) {
	w := newWorld(t)
	w.gw.placePatience = 200 * time.Millisecond
	var busy []*Session
	var wg sync.WaitGroup
	for range 2 {
		s := w.login("many")
		busy = append(busy, s)
		wg.Go(func() {
			s.Do(context.Background(), []Op{{Kind: OpQuery, SQL: "select count(*) from orders a, orders b, orders c"}}, &answer{})
		})
	}
	w.untilPlaces(2, 0)
	s, began := w.login("many"), time.Now()
	for name, ops := range map[string][]Op{"simple": {{Kind: OpQuery, SQL: "select * from orders"}}, "extended": pipeline("select * from orders"),
		"batch": {{Kind: OpQuery, SQL: "select 1; select * from orders"}}} {
		a := w.do(s, ops...)
		if len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], "53400 the policy lets many run 2 statements at a time") || a.tx != 'I' {
			t.Errorf("%s: %v", name, a.errs)
		}
	}
	if time.Since(began) < 600*time.Millisecond {
		t.Error("refused without a wait")
	}
	_, err := s.Query(context.Background(), Query{SQL: "select 1 from orders"})
	if ae := access.AsError(err); ae.Code != "53400" || ae.Kind != access.Unavailable {
		t.Errorf("an agent is told %v", err)
	}
	other := w.login("agent") // has places of its own
	wantNoError(t, w.query(other, "select 1"))
	other.Close()
	// A wait can be cancelled, and ends when the client goes.
	w.gw.placePatience = time.Minute
	wg.Go(func() { w.untilPlaces(2, 1); w.gw.Cancel(s.pid, s.key) })
	wantError(t, w.query(s, "select * from orders"), "57014")
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	wg.Go(func() { w.untilPlaces(2, 1); leave() })
	if err := s.Do(ctx, []Op{{Kind: OpQuery, SQL: "select * from orders"}}, &answer{}); !errors.Is(err, context.Canceled) {
		t.Errorf("the client has gone: %v", err)
	}
	w.gw.Cancel(busy[0].pid, busy[0].key)
	wantNoError(t, w.query(s, "select * from orders limit 1")) // its place goes to who asks next
	w.gw.Cancel(busy[1].pid, busy[1].key)
	wg.Wait()
	for _, b := range append(busy, s) {
		b.Close()
	}
	w.wantNoPlaces(0)
}

func TestOnlySoManyWait(t *testing.T) {
	var p places
	if ok, _ := p.take("x", 1); !ok {
		t.Fatal("no place")
	}
	var all []*waiter
	for range mostWaiting {
		_, w := p.take("x", 1)
		all = append(all, w)
	}
	if ok, w := p.take("x", 1); ok || w != nil {
		t.Error("one more waits")
	}
	if ok, _ := p.take("y", 1); !ok {
		t.Error("another principal waits with them")
	}
	p.leave("y")
	p.leave("x")
	select {
	case <-all[0].granted:
	default:
		t.Error("the first in the queue was not served")
	}
	for _, w := range all[1:] {
		p.giveUp("x", w)
	}
	p.leave("x")
	if len(p.by) != 0 {
		t.Errorf("left behind: %v", p.by)
	}
}

func TestSessionLimit(t *testing.T) {
	w := newWorld(t)
	var all []*Session
	for range 12 {
		all = append(all, w.login("many"))
	}
	_, err := w.gw.Connect(context.Background(), Login{Door: access.DoorMCP, Connection: "shop", Credentials: access.Password{User: "many", Secret: "pw-many"}})
	if ae := access.AsError(err); err == nil || ae.Code != "53300" || ae.Message != "many has as many sessions as the policy allows: 12" {
		t.Fatalf("one more: %v", err)
	}
	w.login("agent").Close()
	all[3].Close()
	all[3].Close() // once is enough
	all[3] = w.login("many")
	for _, bad := range []map[string]string{{"role": "postgres"}, {"options": "x"}} {
		all[0].Close()
		if _, err := w.gw.Connect(context.Background(), Login{Door: access.DoorPGWire, Connection: "shop", Credentials: access.Password{User: "many", Secret: "pw-many"}, Settings: bad}); err == nil {
			t.Error("connected")
		}
		all[0] = w.login("many") // a log-in that failed holds no place
	}
	for _, s := range all {
		s.Close()
	}
	w.wantNoPlaces(0)
}

// panics is a door that fails in the middle of an answer.
type panics struct{}

func (panics) Release([]byte) error { panic("as asked") }

// Places come back whatever way a statement or session ends.
func TestPlacesComeBack(t *testing.T) {
	w := newWorld(t)
	w.gw.placePatience = 100 * time.Millisecond
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(i)))
			for range 8 {
				s, err := w.gw.Connect(context.Background(), Login{Door: access.DoorPGWire, Connection: "shop", Credentials: access.Password{User: "many", Secret: "pw-many"}})
				if err != nil {
					continue
				}
				ctx, leave := context.WithCancel(context.Background())
				soon := time.Duration(rng.IntN(150)) * time.Millisecond
				switch rng.IntN(6) {
				case 0: // the client goes
					time.AfterFunc(soon, leave)
				case 1: // it cancels
					time.AfterFunc(soon, func() { w.gw.Cancel(s.pid, s.key) })
				case 2: // the server kills
					time.AfterFunc(soon, func() { s.up.Abort() })
				case 3: // the door panics
					func() {
						defer func() { recover() }()
						s.Do(ctx, []Op{{Kind: OpQuery, SQL: "select * from orders"}}, panics{})
					}()
				case 4: // nothing comes of it
					s.Do(ctx, []Op{{Kind: OpQuery, SQL: "select 1/0 from orders"}}, &answer{})
				}
				s.Do(ctx, []Op{{Kind: OpQuery, SQL: slowRead}}, &answer{})
				s.Close()
				leave()
			}
		})
	}
	wg.Wait()
	w.wantNoPlaces(0)
	s := w.login("many")
	defer s.Close()
	wantNoError(t, w.query(s, "select 1 from orders limit 1"))
}
