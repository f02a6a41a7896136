package approval

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"sallyport/evals/results"
)

// times are milliseconds of one thing.
type times []float64

func (t *times) add(d time.Duration) { *t = append(*t, float64(d.Microseconds())/1000) }

// at is a quantile of them.
func (t times) at(q float64) float64 {
	s := slices.Sorted(slices.Values(t))
	return s[min(len(s)-1, int(q*float64(len(s))))]
}

// figures are the median and the 99th percentile.
func (t times) figures(name, note string) []results.Figure {
	p50 := results.Median(name+".p50", "ms", t)
	p50.Note = note
	return []results.Figure{p50, {Name: name + ".p99", Value: t.at(0.99), Unit: "ms", N: len(t), Note: note}}
}

// settled is how long is waited before a decision, so that who waits is waiting.
const settled = 20 * time.Millisecond

// released measures how soon a held statement goes on once somebody has said so.
func (d *drill) released(ctx context.Context, rounds int) ([]results.Figure, error) {
	w, err := d.world(ctx, nil, nil)
	if err != nil {
		return nil, err
	}
	defer w.close()
	var held, freed, heldMCP, freedMCP times
	if err := w.wireRounds(ctx, rounds, &held, &freed); err != nil {
		return nil, err
	}
	if err := w.agentRounds(ctx, max(1, rounds/3), &heldMCP, &freedMCP); err != nil {
		return nil, err
	}
	return slices.Concat(
		freed.figures("approval.released", "from the reviewer's POST, with a password to be checked, to the first row or the command tag at a PostgreSQL client that waits; reads and writes in turn"),
		held.figures("approval.held", "from the statement to the notice that it waits"),
		freedMCP.figures("approval.released.mcp", "from the reviewer's POST to the whole answer of check_approval that waits; reads and writes in turn"),
		heldMCP.figures("approval.held.mcp", "from the call of query to the whole answer with a handle")), nil
}

// heldStatement is the statement of a round.
func heldStatement(i int) string {
	if i%2 == 0 {
		return fmt.Sprintf("SELECT v, %d FROM secrets", i)
	}
	return fmt.Sprintf("UPDATE accounts SET n = n + 1 WHERE id = %d", 1+i%20)
}

// approveNow sends the decision about a new request at once, and gives when it was sent.
func (w *world) approveNow(ctx context.Context, id string) (time.Time, error) {
	time.Sleep(settled)
	r, err := w.show(ctx, "keeper", id)
	if err != nil {
		return time.Time{}, err
	}
	sent := time.Now()
	status, body, err := w.call(ctx, call{method: "POST", path: "/api/v1/reviews/" + id + "/approve", user: "keeper", password: secretOf("keeper"), body: verdict(r.Revision, nil)})
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("approve: %d %s", status, body)
	}
	return sent, err
}

func (w *world) wireRounds(ctx context.Context, rounds int, held, freed *times) error {
	type noticed struct {
		id string
		at time.Time
	}
	notices := make(chan noticed, 10)
	conf, err := pgconn.ParseConfig(w.g.DSN("ada", secretOf("ada"), connection))
	if err != nil {
		return err
	}
	conf.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if strings.HasPrefix(n.Message, "waiting for approval") {
			notices <- noticed{handleOf(n.Message), time.Now()}
		}
	}
	conn, err := pgconn.ConnectConfig(ctx, conf)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	type first struct {
		at  time.Time
		err error
	}
	for i := range rounds {
		asked, answered := time.Now(), make(chan first, 1)
		go func() {
			res := conn.Exec(ctx, heldStatement(i))
			res.NextResult()
			if i%2 == 0 {
				res.ResultReader().NextRow()
			} else {
				res.ResultReader().Close()
			}
			at := time.Now()
			answered <- first{at, res.Close()}
		}()
		select {
		case n := <-notices:
			held.add(n.at.Sub(asked))
			sent, err := w.approveNow(ctx, n.id)
			if err != nil {
				return err
			}
			f := <-answered
			if f.err != nil {
				return f.err
			}
			freed.add(f.at.Sub(sent))
		case f := <-answered:
			return fmt.Errorf("it did not wait: %v", f.err)
		}
	}
	return nil
}

func (w *world) agentRounds(ctx context.Context, rounds int, held, freed *times) error {
	a, err := w.agent(ctx, "bot")
	if err != nil {
		return err
	}
	defer a.Close()
	type reply struct {
		at  time.Time
		err error
	}
	for i := range rounds {
		asked := time.Now()
		r, err := a.Tool(ctx, "query", map[string]any{"connection": connection, "task_id": a.Task(), "reason": a.Reason, "sql": heldStatement(i)})
		if err != nil || r.Pending.Handle == "" {
			return fmt.Errorf("it did not wait: %s %w", r.Text, err)
		}
		held.add(time.Since(asked))
		answered := make(chan reply, 1)
		go func() {
			r, err := a.Tool(ctx, "check_approval", map[string]any{"handle": r.Pending.Handle, "task_id": a.Task(), "reason": a.Reason, "wait_seconds": 15})
			at := time.Now()
			if err == nil && (r.IsError || r.Pending.Handle != "") {
				err = fmt.Errorf("check_approval: %s", r.Text)
			}
			answered <- reply{at, err}
		}()
		sent, err := w.approveNow(ctx, r.Pending.Handle)
		if err != nil {
			return err
		}
		f := <-answered
		if f.err != nil {
			return f.err
		}
		freed.add(f.at.Sub(sent))
	}
	return nil
}
