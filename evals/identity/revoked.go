package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"sallyport/evals/results"
	"sallyport/evals/wire"
)

// Each person has as many sessions at either door.
const sessionsEach = 5

// revoked has people log out at their provider, all at once, while they have n live sessions, half of them at the PostgreSQL door and
// half at the agents', where each waits for an answer. It measures from before the provider tells the gateway to when a client
// sees its connection, or its call, end.
func (d *drill) revoked(ctx context.Context, n int) ([]results.Figure, error) {
	w, err := d.world(ctx, time.Hour)
	if err != nil {
		return nil, err
	}
	defer w.close()
	people := max(n/(2*sessionsEach), 1)
	type person struct {
		name  string
		at    time.Time // of the log-out
		pg    []*wire.Conn
		waits []*caller
		calls []string // handles that are waited for
		tasks []string
	}
	all := make([]*person, people)
	// live opens one person's sessions.
	live := func(i int) error {
		p := &person{name: fmt.Sprintf("p%d", i)}
		all[i] = p
		got, _, _, err := w.issue(ctx, p.name)
		if err != nil {
			return err
		}
		u := user(p.name)
		token := w.access(w.corp).mint(merged(u.Claims, map[string]any{"sub": u.Subject}))
		for range sessionsEach {
			c, err := w.password(ctx, got.Principal, got.Secret)
			if err != nil {
				return err
			}
			p.pg = append(p.pg, c)
			if a := c.Simple("select v from open_rows limit 1"); a.Failed() {
				return fmt.Errorf("control: %s: %s %s", p.name, a.Code, a.Error)
			}
			m, err := w.in(ctx, token)
			if err != nil {
				return err
			}
			task, err := m.task(ctx)
			if err != nil {
				return err
			}
			text, err := m.ask(ctx, task, "insert into "+canaryWeb+" values (3)")
			if err != nil {
				return err
			}
			h, err := first(handle, text, "handle")
			if err != nil {
				return err
			}
			p.waits, p.tasks, p.calls = append(p.waits, m), append(p.tasks, task), append(p.calls, h)
		}
		return nil
	}
	if err := each(people, 8, live); err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var pg, mcp []float64
	var odd []error
	var wg, begun sync.WaitGroup
	seenEnd := func(p *person, list *[]float64, what string, ok bool) {
		now := time.Now()
		mu.Lock()
		defer mu.Unlock()
		if p.at.IsZero() || !ok {
			odd = append(odd, fmt.Errorf("%s: ended otherwise: %s", p.name, what))
			return
		}
		*list = append(*list, float64(now.Sub(p.at).Microseconds())/1000)
	}
	for _, p := range all {
		for i := range sessionsEach {
			begun.Add(2)
			wg.Go(func() {
				begun.Done()
				a := p.pg[i].Wait(60 * time.Second)
				seenEnd(p, &pg, a.Code+" "+a.Error, a.Code == "57P01")
			})
			wg.Go(func() {
				begun.Done()
				text, err := p.waits[i].tool(ctx, "check_approval", map[string]any{"handle": p.calls[i], "task_id": p.tasks[i], "wait_seconds": 30})
				s := p.waits[i].status
				seenEnd(p, &mcp, fmt.Sprintf("%d %.200s %v", s, text, err), err == nil && (s == http.StatusUnauthorized || strings.Contains(text, "logged out")))
			})
		}
	}
	begun.Wait()
	time.Sleep(2 * time.Second) // the calls have arrived
	mu.Lock()
	early := len(odd)
	mu.Unlock()
	if early > 0 {
		return nil, errors.Join(odd...)
	}
	err = each(people, 16, func(i int) error {
		p := all[i]
		token := w.corp.LogoutToken(map[string]any{"aud": webClient, "sub": "sub-" + p.name, "sid": nil})
		mu.Lock()
		p.at = time.Now()
		mu.Unlock()
		status, body, err := w.backchannel(ctx, token)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("log-out of %s: %d %.200s", p.name, status, body)
		}
		return err
	})
	wg.Wait()
	if len(odd) > 3 {
		odd = append(odd[:3], fmt.Errorf("and %d more", len(odd)-3))
	}
	if err := errors.Join(append(odd, err)...); err != nil {
		return nil, err
	}
	// Nothing of it can be used any more.
	for _, p := range all[:min(len(all), 10)] {
		if a, err := w.in(ctx, p.waits[0].token); err == nil {
			return nil, fmt.Errorf("%s is let in after the log-out: %d", p.name, a.status)
		}
	}
	both := slices.Concat(pg, mcp)
	figures := []results.Figure{results.Count("identity.revocation.sessions", len(both), len(both))}
	figures[0].Note = fmt.Sprintf("live when %d people logged out at their provider, half at each door", people)
	for _, part := range []struct {
		name    string
		samples []float64
		note    string
	}{{"identity.revocation", both, "both doors"}, {"identity.revocation.pgwire", pg, "clients of the PostgreSQL door that see their connection end"}, {"identity.revocation.mcp", mcp, "agents whose waiting call ends"}} {
		for _, q := range []struct {
			name  string
			share float64
		}{{"p50", 0.5}, {"p99", 0.99}} {
			figures = append(figures, results.Figure{Name: part.name + "." + q.name, Value: quantile(part.samples, q.share), Unit: "ms", N: len(part.samples),
				Note: part.note + ", from before the provider's log-out token is sent"})
		}
	}
	return figures, nil
}

// each does something for 0 to n-1, some at a time.
func each(n, atOnce int, do func(i int) error) error {
	gate, errs := make(chan struct{}, atOnce), make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		gate <- struct{}{}
		wg.Go(func() {
			defer func() { <-gate }()
			errs[i] = do(i)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func quantile(samples []float64, q float64) float64 {
	s := slices.Sorted(slices.Values(samples))
	if len(s) == 0 {
		return 0
	}
	return s[min(int(q*float64(len(s))), len(s)-1)]
}
