package twin

import (
	"context"
	"fmt"
	"regexp"
	"sync"

	"sallyport/evals/doors"
	"sallyport/evals/wire"
)

// Verdicts on a statement. All but Different are reasons why its two answers tell nothing.
const (
	Same       = "same"
	Renamed    = "renamed"     // equal up to the one renaming of tokens
	TokenBytes = "token bytes" // each side answers as a copy does that really holds the tokens
	Unstable   = "unstable"    // differs from itself on one side; equal as a set of messages
	Different  = "DIFFERENT"

	// Of plain worlds, for statements that nobody wrote.
	Random  = "random"  // differs from itself on one side even as a set of messages: not comparable
	Timeout = "timeout" // ran into the timeout on one side
	Order   = "order"   // equal as a set of messages, and altogether equal on the level copies
	Plan    = "plan"    // equal on the level copies: LIMIT without ORDER BY, and errors that one plan meets first; of tokens: equal without a limit
	Copies  = "copies"  // grouping sets of tokens: the server groups by constants, and by one column twice, otherwise over a table than over a subquery
)

// Judge tells what the answers of a world's two sides say about each other. Several may ask at once, each with a
// Pair.
type Judge struct {
	w     *World
	found *canaries
	cmp   *comparer
}

// NewJudge reads the canaries, and learns how tokens are renamed.
func NewJudge(ctx context.Context, w *World) (*Judge, error) {
	j := &Judge{w: w, cmp: &comparer{kind: w.Kind}}
	var err error
	if j.found, err = newCanaries(ctx, w); err != nil {
		return nil, err
	}
	if w.Kind == Token {
		if err := j.cmp.learn(ctx, w); err != nil {
			j.Close()
			return nil, err
		}
	}
	return j, nil
}

// Close ends what NewJudge started.
func (j *Judge) Close() { j.cmp.close() }

// patience is how often a statement is asked again when one side showed what may be a raw value and the other
// ran out of time, so that nothing tells whether it is there by chance.
const patience = 5

// Pair is a client of each side, of the level copies too where there are any. Not for use by several at once.
type Pair struct {
	w      *World
	a, b   *doors.Client
	levels *Pair
}

// Pair opens nothing yet.
func (j *Judge) Pair() *Pair {
	p := &Pair{w: j.w, a: j.w.A.client(Database), b: j.w.B.client(Database)}
	if j.w.Plain {
		p.levels = &Pair{w: j.w, a: j.w.A.client(Level), b: j.w.B.client(Level)}
	}
	for q := p; q != nil; q = q.levels {
		q.a.Keep, q.b.Keep = j.w.Plain, j.w.Plain
	}
	return p
}

// Close ends the sessions.
func (p *Pair) Close() {
	for ; p != nil; p = p.levels {
		p.a.Close()
		p.b.Close()
	}
}

// ask puts a statement to both sides at the same time.
func (p *Pair) ask(ctx context.Context, d doors.Door, s doors.Statement) (a, b wire.Answer) {
	var other sync.WaitGroup
	other.Go(func() { b = p.w.B.Clean(p.b.Run(ctx, d, s)) })
	a = p.w.A.Clean(p.a.Run(ctx, d, s))
	other.Wait()
	return a, b
}

// Ask puts a statement through a door of both sides and judges what came back. It fails when a gateway has died.
func (j *Judge) Ask(ctx context.Context, p *Pair, d doors.Door, s doors.Statement) (Outcome, error) {
	a, b := p.ask(ctx, d, s)
	o := Outcome{Door: d.Name, Code: a.Code, Message: a.Error, Refused: doors.Refused(a.Code) || doors.Refused(b.Code)}
	if o.Verdict, o.Why = j.cmp.compare(ctx, d, s, a, b); o.Verdict == Different {
		o.Verdict = j.again(ctx, p, d, s, a, b)
	}
	value, chance := j.found.answers(a, b, s.SQL())
	for try := 0; try < patience && value != "" && !chance && o.Verdict == Timeout; try++ {
		if a, b = p.ask(ctx, d, s); !late(a) && !late(b) {
			_, chance = j.found.answers(a, b, s.SQL())
		}
	}
	if chance {
		o.Chance = value
	} else {
		o.Canary = value
	}
	if !j.w.A.Gateway.Alive() || !j.w.B.Gateway.Alive() {
		return o, fmt.Errorf("a gateway died, asked through %s: %s %s", d.Name, j.w.A.Gateway.LogTail(), j.w.B.Gateway.LogTail())
	}
	return o, nil
}

// again asks again what differed: what differs from itself on one side is not a difference between them.
func (j *Judge) again(ctx context.Context, p *Pair, d doors.Door, s doors.Statement, a, b wire.Answer) string {
	tries := 1
	if j.w.Plain {
		if late(a) || late(b) {
			return Timeout
		}
		tries = 10 // what is drawn by chance can agree with itself a few times
	}
	alike := wire.Sorted(a.Lines) == wire.Sorted(b.Lines)
	for i := range tries {
		if j.w.Plain && i == tries-1 { // what belongs to the session differs in the next one
			p.a.Close()
			p.b.Close()
		}
		a2, b2 := p.ask(ctx, d, s)
		switch {
		case a.Text() == a2.Text() && b.Text() == b2.Text():
		case alike:
			return Unstable
		case j.w.Plain && (late(a2) || late(b2)):
			return Timeout
		case j.w.Plain && (wire.Sorted(a.Lines) != wire.Sorted(a2.Lines) || wire.Sorted(b.Lines) != wire.Sorted(b2.Lines)):
			return Random
		}
	}
	if j.w.Kind == Token { // token twins are level as they are
		return j.tokens(ctx, p, d, s)
	}
	if p.levels == nil {
		return Different
	}
	a, b = p.levels.ask(ctx, d, s)
	switch verdict, _ := j.cmp.compare(ctx, d, s, a, b); {
	case verdict == Different:
		return Different
	case alike:
		return Order
	default:
		return Plan
	}
}

// tokens judges answers that differ in more than their tokens, and not as the copies do that hold these.
func (j *Judge) tokens(ctx context.Context, p *Pair, d doors.Door, s doors.Statement) string {
	if d.Name == "portal" { // of rows that tie in the order, it fetches the ones that come first
		all := doors.All[0]
		wholeA, wholeB := p.ask(ctx, all, s)
		if verdict, _ := j.cmp.compare(ctx, all, s, wholeA, wholeB); verdict != Different {
			return Plan
		}
	}
	if groupingSets.MatchString(s.SQL()) {
		return Copies
	}
	return Different
}

var groupingSets = regexp.MustCompile(`(?i)\b(rollup|cube|grouping\s+sets)\b`)

func late(a wire.Answer) bool { return a.Code == "57014" || a.Code == "TIMEOUT" }
