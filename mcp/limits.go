package mcp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"sallyport/internal/access"
)

// places limits how many calls of one principal run at once.
type places struct {
	most int

	mu   sync.Mutex
	used map[string]int // guarded by mu
}

func newPlaces(most int) *places { return &places{most: most, used: map[string]int{}} }

func (p *places) enter(owner string) (leave func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.used[owner] >= p.most {
		return nil, &access.Error{
			Kind: access.Unavailable, Code: "53300",
			Message: fmt.Sprintf("%d calls of this principal are running already", p.most),
			Hint:    "wait for one of them to end, then call again",
		}
	}
	p.used[owner]++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.used[owner]--; p.used[owner] == 0 {
			delete(p.used, owner)
		}
	}, nil
}

// grace is how long after its deadline a call may take to come back by itself.
const grace = 3 * time.Second

// within runs f under a deadline and comes back by then, whatever f does. f keeps its place (leave) and
// is waited for at shutdown (running) until it really ends.
func (s *Server) within(ctx context.Context, leave func(), f func(context.Context) (*answer, error)) (*answer, error) {
	type outcome struct {
		a   *answer
		err error
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		leave()
		return nil, &access.Error{Kind: access.Unavailable, Code: "57P01", Message: "the gateway is shutting down", Hint: "try again in a moment"}
	}
	s.running.Add(1)
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, s.opt.CallTimeout)
	done := make(chan outcome, 1)
	go func() {
		defer s.running.Done()
		defer cancel()
		defer leave()
		var o outcome
		defer func() {
			if v := recover(); v != nil {
				o = outcome{nil, fmt.Errorf("panic in a tool: %v\n%s", v, debug.Stack())}
			}
			done <- o
		}()
		o.a, o.err = f(ctx)
	}()
	var o outcome
	select {
	case o = <-done:
	case <-ctx.Done():
		late := time.NewTimer(grace)
		defer late.Stop()
		select {
		case o = <-done:
		case <-late.C:
			s.opt.Log.Error("a tool call did not end when it was told to", slog.Duration("timeout", s.opt.CallTimeout))
			o.err = ctx.Err()
		}
	}
	if o.err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil, &access.Error{
			Kind: access.Upstream, Code: "57014",
			Message: fmt.Sprintf("the call was cancelled: it took longer than %s", s.opt.CallTimeout),
			Hint:    "ask for less: narrow the WHERE clause, aggregate, add LIMIT, or use explain to see what is slow",
			Err:     o.err,
		}
	}
	return o.a, o.err
}
