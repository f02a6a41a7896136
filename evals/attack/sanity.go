package attack

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// sanity sends attacks as somebody to whom everything is allowed, each in a session of its own, and tells
// which had an effect. What they spoil is restored.
func sanity(ctx context.Context, w *world, attacks []Attack, trace func(a Attack, o outcome, effects []string)) (hits []bool, err error) {
	p := &campaign{w: w, tallies: map[string]*tally{}, codes: map[string]int{}}
	p.c = &client{w: w, door: doors[0], principal: almighty}
	defer p.c.Close()
	before, err := p.settle(ctx)
	if err != nil {
		return nil, err
	}
	for _, a := range attacks {
		var o outcome
		p.trace = func(_ Attack, got outcome, _ []string) { o = got }
		effects, err := p.one(ctx, a.plain(), false)
		if err != nil {
			return hits, err
		}
		p.c.Close()
		time.Sleep(15 * time.Millisecond) // what the end of a session writes belongs to this attack
		more, err := w.glance(ctx, &p.last)
		if err != nil {
			return hits, err
		}
		effects = append(effects, more...)
		// Without a record of a write, no row can have changed.
		after, err := w.glanceAtFiles(ctx, before)
		if slices.ContainsFunc(effects, func(e string) bool { return strings.HasPrefix(e, "wal: ") || strings.HasPrefix(e, "transaction") }) {
			after, err = w.look(ctx)
		}
		if err != nil {
			return hits, err
		}
		diff := own(before.diff(after))
		effects = append(effects, diff...)
		hits = append(hits, len(effects) > 0)
		trace(a, o, effects)
		if before = after; !slices.ContainsFunc(diff, spoilt) {
			continue
		}
		if err := w.repair(ctx, diff); err != nil {
			return hits, fmt.Errorf("after %s %s: %w", a.Family, a.Name, err)
		}
		if before, err = p.settle(ctx); err != nil {
			return hits, err
		}
	}
	return hits, nil
}

// own leaves out what is written late, when it is no longer known who did it.
func own(diff []string) []string {
	return slices.DeleteFunc(diff, func(k string) bool { return k == "statistics-functions" })
}

// spoilt tells what has to be put right before the next attack from what merely goes up.
func spoilt(k string) bool {
	return !strings.HasPrefix(k, "sequence:") && k != "rows:public.ledger" && k != "checkpoint" && k != "conf-loaded" && k != "statistics-reset"
}
