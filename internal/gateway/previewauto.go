package gateway

import (
	"context"
	"slices"
	"sync"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/approval"
)

// Under @preview("auto") a request is tried out by itself while it waits, so that reviewers find what it would do on its page. It is done as
// PreviewReview does it, behind the back of who waits: a queue takes the request and lets them go. Where the request ends, is approved or
// denied, its preview is cancelled in the middle, for it may hold the very rows that are to be changed. One is made at a time, and all of them
// together take a tenth of the time at most: whoever may only ask could otherwise have locks held for as long as they go on asking.

const (
	mostMade    = 256 // previews that are kept: of more requests than that none is made
	previewRest = 9   // times as long as the last one took passes before the next
)

// ownPreviews are those that are made by themselves. Its methods never wait for a preview.
type ownPreviews struct {
	wake chan struct{} // of one place: there is something to do

	mu      sync.Mutex
	queue   []string            // requests that are to have one, the oldest first
	made    map[string]*Preview // of requests that are pending
	running string              // request of which one is made, or ""
	cancel  context.CancelFunc  // of that one
	epoch   uint64              // grows with the policies, under which they are made
	stopped bool
}

// asks puts a request into the queue.
func (b *ownPreviews) asks(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped || b.running == id || b.made[id] != nil || slices.Contains(b.queue, id) || len(b.queue)+len(b.made) >= mostMade {
		return
	}
	b.queue = append(b.queue, id)
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// begin takes the next request, for at most so long; ctx is cancelled where the request ends. It gives "" where there is none.
func (b *ownPreviews) begin(most time.Duration) (ctx context.Context, id string, epoch uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped || len(b.queue) == 0 {
		return nil, "", 0
	}
	id, b.queue = b.queue[0], b.queue[1:]
	ctx, b.cancel = context.WithTimeout(context.Background(), most)
	b.running = id
	return ctx, id, b.epoch
}

// end keeps what was made, unless its request has ended or the policies have changed meanwhile.
func (b *ownPreviews) end(ctx context.Context, id string, epoch uint64, p *Preview) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p != nil && b.running == id && b.epoch == epoch && !b.stopped {
		b.made[id] = p
	}
	b.cancel()
	b.running, b.cancel = "", nil
}

// drop forgets a request that does not wait any more, and cancels what is made of it.
func (b *ownPreviews) drop(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.made, id)
	b.queue = slices.DeleteFunc(b.queue, func(q string) bool { return q == id })
	if b.running == id {
		b.running = ""
		b.cancel()
	}
}

// judgedAnew forgets all that was made under other policies.
func (b *ownPreviews) judgedAnew() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.epoch++
	clear(b.made)
}

// stop cancels what is made, and has no other made.
func (b *ownPreviews) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
	if b.cancel != nil {
		b.cancel()
	}
}

func (b *ownPreviews) busy() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cancel != nil
}

func (b *ownPreviews) of(id string) *Preview {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.made[id]
}

// tried reports whether policies want a request for what was judged so to be tried out by itself. A preview makes the guesses of its statement, and
// they count: nobody's budget is spent without somebody having asked for that.
func (g *Gateway) tried(list []judged) bool {
	off := func(j judged) bool { return j.plan.decision.Obligations.NoPreview }
	auto := func(j judged) bool { return j.plan.decision.Obligations.AutoPreview }
	counted := func(j judged) bool { return len(j.plan.decision.Obligations.Probes) > 0 }
	return g.reviewing.Preview >= 0 && slices.ContainsFunc(list, auto) && !slices.ContainsFunc(list, off) && !slices.ContainsFunc(list, counted)
}

// askFor makes a request for what is wanted, and has it tried out by itself where policies want that.
func (s *Session) askFor(ctx context.Context, req approval.Request, w wanted) (*approval.Request, error) {
	r, err := s.gw.approvals.Request(ctx, req)
	if err == nil && s.gw.tried(w.list) {
		s.gw.previews.asks(r.ID)
	}
	return r, err
}

// makePreviews makes those that are made by themselves, until the gateway stops.
func (g *Gateway) makePreviews() {
	defer g.wg.Done()
	for {
		select {
		case <-g.stop:
			return
		case <-g.previews.wake:
		}
		for {
			took, more := g.makePreview()
			if !more {
				break
			}
			rest := time.NewTimer(previewRest * took)
			select {
			case <-g.stop:
				rest.Stop()
				return
			case <-rest.C:
			}
		}
	}
}

// makePreview makes the next, and says how long that took and whether there was one.
func (g *Gateway) makePreview() (took time.Duration, more bool) {
	ctx, id, epoch := g.previews.begin(g.previewTime())
	if id == "" {
		return 0, false
	}
	var p *Preview
	defer func() { g.previews.end(ctx, id, epoch, p) }()
	select {
	case g.previewing <- struct{}{}:
	case <-ctx.Done():
		return 0, true
	}
	defer func() { <-g.previewing }()
	r, err := g.approvals.Get(id)
	if err != nil || r.State != approval.Pending {
		return 0, true
	}
	began := time.Now()
	made, err := g.previewFor(ctx, r, "by itself")
	took = time.Since(began)
	switch {
	case ctx.Err() != nil: // nobody waits for it any more
	case err != nil:
		e := access.AsError(err)
		if e.Kind == access.Internal {
			g.logger.Error("preview failed", "request", id, "error", err)
		}
		p = &Preview{Why: e.Message, At: began.UTC()}
	default:
		p = made
	}
	return took, true
}

// PreviewMade is what a request would do as it was found by itself, for somebody who may decide about it; nil where that was not done, or is
// not done yet. It is of the policies of now, and shown for as long as who asked is who they were.
func (g *Gateway) PreviewMade(p access.Principal, r *ReviewRequest) *Preview {
	made := g.previews.of(r.ID)
	if made == nil || r.State != approval.Pending {
		return nil
	}
	if may, _ := g.MayDecide(p, r); !may {
		return nil
	}
	if _, err := g.askerOf(r); err != nil {
		return nil
	}
	return made
}
