package identity

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/evals/results"
	"sallyport/internal/testidp"
	"sallyport/internal/testidp/forge"
)

// flood presents tokens whose key ids the provider has never had, n of them over a time at least, at all doors, and counts how often
// the provider is asked for its keys. Honest tokens have to be taken all the while.
func (d *drill) flood(ctx context.Context, n int, over time.Duration) ([]results.Figure, error) {
	w, err := d.world(ctx, time.Hour)
	if err != nil {
		return nil, err
	}
	defer w.close()
	if s := w.asAgent(ctx, w.access(w.corp).mint(nil)); !slices.Contains(saw(s.all.Bytes()), canaryAda) {
		return nil, fmt.Errorf("control: %s", s.answer)
	}
	asked, err := newRequest(w.g.WebURL, "corp-ada")
	if err != nil {
		return nil, err
	}
	// The gateway looks at its providers when it starts, and asks for their keys once for that; the control has asked for them too.
	for end := time.Now().Add(20 * time.Second); w.corp.Fetches() < 2; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			return nil, fmt.Errorf("control: the keys were asked for %d times before the flood, not by the start and by a token", w.corp.Fetches())
		}
	}
	var times []time.Time // when the keys were asked for
	before, began := w.corp.Fetches(), time.Now()
	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		for last := before; watching.Err() == nil; time.Sleep(5 * time.Millisecond) {
			for now := w.corp.Fetches(); last < now; last++ {
				times = append(times, time.Now())
			}
		}
	})
	key := mustKey("ES256")
	unknown := forge.Shape{Key: key}
	var next, in, lucky atomic.Int64
	var wg sync.WaitGroup
	var first error
	var mu sync.Mutex
	for range 16 {
		wg.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(n) || ctx.Err() != nil {
					return
				}
				if wait := time.Until(began.Add(over * time.Duration(i) / time.Duration(n))); wait > 0 {
					time.Sleep(wait)
				}
				shape := unknown
				shape.Header = map[string]any{"kid": "flood-" + random()}
				var s *seen
				switch {
				case i%20 == 3:
					s = w.byToken(ctx, w.access(w.corp).mint(nil, shape))
				case i%20 == 7:
					r := request{pem: asked.pem, nonce: asked.nonce}
					s = w.byIDToken(ctx, "corp", w.id(w.corp, testidp.ClientID, r.nonce).mint(nil, shape), r.nonce, r)
				case i%20 == 11:
					s = &seen{}
					status, _, err := w.backchannel(ctx, forge.Mint(w.corp, w.corp.IDClaims(""), shape))
					if s.say("%d", status); err != nil {
						s.say("%v", err)
					}
				case i%500 == 13: // an honest one
					if s = w.asAgent(ctx, w.access(w.corp).mint(nil)); slices.Contains(saw(s.all.Bytes()), canaryAda) {
						in.Add(1)
					} else {
						mu.Lock()
						first = fmt.Errorf("control: an honest token is refused in the flood: %s", s.answer)
						mu.Unlock()
					}
					continue
				default:
					s = w.asAgent(ctx, w.access(w.corp).mint(nil, shape))
				}
				if len(saw(s.all.Bytes())) > 0 {
					lucky.Add(1)
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	stop()
	watch.Wait()
	if first != nil {
		return nil, first
	}
	if in.Load() == 0 || lucky.Load() > 0 {
		return nil, fmt.Errorf("%d honest tokens were tried, %d of unknown keys were taken", in.Load(), lucky.Load())
	}
	// The most in any minute, which is more than their mean.
	most := 0
	for i := range times {
		j := i
		for j < len(times) && times[j].Sub(times[i]) < time.Minute {
			j++
		}
		most = max(most, j-i)
	}
	f := results.Count("identity.jwks.fetches_per_minute", most, n)
	f.Note = fmt.Sprintf("most fetches of a provider's keys in any minute, while tokens with invented key ids came to all doors for %.0f s; %d honest tokens in between were all taken", took.Seconds(), in.Load())
	return []results.Figure{f}, nil
}

const withdrawRefresh = time.Minute // the shortest that the configuration takes; bounds.go has it as the bound

// withdrawn has the provider withdraw the key that it signed with, and waits for tokens by it to be refused. Nothing else makes the
// gateway look: no token by the new key comes.
func (d *drill) withdrawn(ctx context.Context) ([]results.Figure, error) {
	w, err := d.world(ctx, withdrawRefresh)
	if err != nil {
		return nil, err
	}
	defer w.close()
	old := w.corp.Key()
	token := func() string { return w.access(w.corp).mint(nil, forge.Shape{Key: old}) }
	c, err := w.in(ctx, token())
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	if s := w.asAgent(ctx, token()); !slices.Contains(saw(s.all.Bytes()), canaryAda) {
		return nil, fmt.Errorf("control: %s", s.answer)
	}
	next := mustKey("ES256")
	w.corp.Publish(next)
	at, kept := time.Now(), token()
	for {
		// The same token again, and a fresh one: neither may be taken for having been taken before.
		c.token = kept
		_, _, err := c.post(ctx, "ping", nil)
		if err != nil {
			return nil, err
		}
		again := c.status
		fresh := w.caller(token())
		if fresh.begin(ctx) != nil && again == 401 {
			break
		}
		if time.Since(at) > 4*withdrawRefresh {
			return nil, fmt.Errorf("a withdrawn key is taken after %s", time.Since(at))
		}
		time.Sleep(200 * time.Millisecond)
	}
	f := results.Figure{Name: "identity.withdrawn_key.seconds", Value: time.Since(at).Seconds(), Unit: "s", N: 1,
		Note: fmt.Sprintf("from the provider's withdrawing its key to the refusal of tokens by it, new and known ones; refresh is %s", withdrawRefresh)}
	w.corp.SetKeys(next)
	if s := w.asAgent(ctx, w.access(w.corp).mint(nil)); !slices.Contains(saw(s.all.Bytes()), canaryAda) {
		return nil, fmt.Errorf("control: the new key is not taken: %s", s.answer)
	}
	return []results.Figure{f}, nil
}
