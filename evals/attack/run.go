package attack

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// finding is an attack that had an effect.
type finding struct {
	Attack
	door    string
	effects []string
}

// tally counts what became of the attacks of one family at one door.
type tally struct{ sent, effects, answered int }

// campaign sends attacks through one door and keeps what it learns.
type campaign struct {
	w        *world
	c        *client
	tallies  map[string]*tally // by family
	findings []finding
	codes    map[string]int
	last     glance
	trace    func(a Attack, o outcome, effects []string)
}

// batch is how many attacks go between two whole looks at the server.
const batch = 150

// run sends all attacks.
func (p *campaign) run(ctx context.Context, attacks []Attack) error {
	before, err := p.settle(ctx)
	if err != nil {
		return err
	}
	for part := range slices.Chunk(attacks, batch) {
		found := len(p.findings)
		for _, a := range part {
			if _, err := p.one(ctx, a, true); err != nil {
				return err
			}
		}
		after, err := p.w.look(ctx)
		if err != nil {
			return err
		}
		diff := before.diff(after)
		if len(diff) > 0 && len(p.findings) == found { // whoever did it was not seen doing it: ask one by one
			fmt.Printf("  %s: after %d attacks: %s\n", p.c.door.name, len(part), strings.Join(diff, ", "))
			if err := p.search(ctx, part); err != nil {
				return err
			}
			if len(p.findings) == found {
				p.find(Attack{Family: part[0].Family, Name: "one of the batch of " + part[0].Name}, diff)
			}
		}
		before = after
		if len(p.findings) > found {
			if err := p.w.restore(ctx); err != nil {
				return err
			}
			p.c.Close()
			if before, err = p.settle(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// settle takes the state to compare with.
func (p *campaign) settle(ctx context.Context) (state, error) {
	if err := p.c.dial(ctx); err != nil {
		return nil, err
	}
	if _, err := p.w.glance(ctx, &p.last); err != nil {
		return nil, err
	}
	return p.w.look(ctx)
}

// search looks at everything after each attack of a batch.
func (p *campaign) search(ctx context.Context, part []Attack) error {
	before, err := p.w.look(ctx)
	if err != nil {
		return err
	}
	for _, a := range part {
		if _, err := p.one(ctx, a, false); err != nil {
			return err
		}
		after, err := p.w.look(ctx)
		if err != nil {
			return err
		}
		if diff := before.diff(after); len(diff) > 0 {
			p.find(a, diff)
		}
		before = after
	}
	return nil
}

func (p *campaign) find(a Attack, effects []string) {
	p.findings = append(p.findings, finding{a, p.c.door.name, effects})
	p.tally(a.Family).effects++
	fmt.Printf("  EFFECT %s %s/%s: %s\n    %.300s\n", p.c.door.name, a.Family, a.Name, strings.Join(effects, "; "), a.SQL())
}

func (p *campaign) tally(family string) *tally {
	t := p.tallies[family]
	if t == nil {
		t = &tally{}
		p.tallies[family] = t
	}
	return t
}

// one sends an attack and looks at the cheap part of the state.
func (p *campaign) one(ctx context.Context, a Attack, count bool) ([]string, error) {
	steps := make([]string, len(a.Steps))
	p.w.unique++
	for i, s := range a.Steps {
		steps[i] = p.w.fill(s)
	}
	var effects []string
	held := func() { // what a transaction holds is gone when it ends
		seen, err := p.w.glance(ctx, &p.last)
		if err == nil {
			effects = append(effects, seen...)
		}
		if p.w.exported() {
			effects = append(effects, "snapshot")
		}
	}
	o, err := p.c.send(ctx, steps, held)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", a.Family, a.Name, err)
	}
	effects = append(effects, o.seen...)
	seen, err := p.w.glance(ctx, &p.last)
	if err != nil {
		return nil, fmt.Errorf("after %s %s: %w", a.Family, a.Name, err)
	}
	effects = append(effects, seen...)
	if strings.Contains(strings.ToLower(a.SQL()), "listen") && o.answered && p.c.hears(ctx) {
		effects = append(effects, "listening")
	}
	if strings.Contains(strings.ToLower(a.SQL()), "listen") {
		if _, err := p.w.glance(ctx, &p.last); err != nil {
			return nil, err
		}
	}
	if !p.w.gateway.Alive() {
		return nil, fmt.Errorf("%s %s ended the gateway: %s", a.Family, a.Name, p.w.gateway.LogTail())
	}
	if p.trace != nil {
		p.trace(a, o, effects)
	}
	if count && slices.Equal(effects, []string{"time"}) { // a statement that sleeps does so again, a busy machine need not
		if effects, err = p.one(ctx, a, false); err != nil {
			return nil, err
		}
	}
	if count {
		t := p.tally(a.Family)
		t.sent++
		if o.answered {
			t.answered++
		}
		p.codes[o.code]++
		if len(effects) > 0 {
			p.find(a, effects)
			p.c.Close()
		}
	}
	return effects, nil
}

// scripts plays the attacks by protocol messages, each judged by all of the state.
func (p *campaign) scripts(ctx context.Context) error {
	before, err := p.settle(ctx)
	if err != nil {
		return err
	}
	for _, s := range scripts {
		a := s.attack()
		lines, err := s.play(ctx, p.w, p.c.principal)
		if err != nil {
			return err
		}
		var effects []string
		if showsCanary(lines) {
			effects = append(effects, "canary")
		}
		seen, err := p.w.glance(ctx, &p.last)
		if err != nil {
			return err
		}
		after, err := p.w.look(ctx)
		if err != nil {
			return err
		}
		effects = append(append(effects, seen...), before.diff(after)...)
		before = after
		p.tally(a.Family).sent++
		if p.trace != nil {
			p.trace(a, outcome{message: strings.ToValidUTF8(strings.Join(lines, " "), "?")}, effects)
		}
		if len(effects) == 0 {
			continue
		}
		p.find(a, effects)
		if err := p.w.restore(ctx); err != nil {
			return err
		}
		if before, err = p.settle(ctx); err != nil {
			return err
		}
	}
	return nil
}
