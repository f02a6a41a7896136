package leak

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"sallyport/evals/doors"
	"sallyport/evals/harness"
	"sallyport/evals/wire"
)

// Item is one statement at one door.
type Item struct {
	doors.Statement
	Name   string
	Family string // for the shares
	Door   doors.Door
	Refuse bool // to answer it would be a mistake
	parts  []string
}

// Outcome is what became of an item at a system.
type Outcome struct {
	Name, Family, Door, SQL string
	Parts                   []string
	Refuse                  bool // to answer it would be a mistake
	Apart                   bool // it needs what the agents' door does not keep between calls
	Refused                 bool
	Code                    string // SQLSTATE, or GUARD
	Message                 string
	Find                    *Find  // a canary that came back
	Differs                 bool   // the twins' answers differ
	Why                     string // where they part
}

func (it Item) outcome() Outcome {
	return Outcome{Name: it.Name, Family: it.Family, Door: it.Door.Name, SQL: it.SQL(), Parts: it.parts, Refuse: it.Refuse,
		Apart: it.Door.MCP() && len(it.Steps) > 1}
}

// Leaks says whether anything got out: a value, or the difference that a value makes.
func (o Outcome) Leaks() bool { return o.Find != nil || o.Differs }

// Asked is a pair of targets with the same statements, and what stands in front of them in this process.
type Asked struct {
	A, B  doors.Target
	Twins bool                   // B is asked too, and must answer alike
	Guard func(sql string) error // nil for none
}

// Run puts the items to a system and looks at all that comes back.
func Run(ctx context.Context, w *World, ask Asked, items []Item, found *Searcher) ([]Outcome, error) {
	a, b := &doors.Client{Target: ask.A}, &doors.Client{Target: ask.B}
	defer a.Close()
	defer b.Close()
	both := func(it Item) (ra, rb wire.Answer) {
		var wait sync.WaitGroup
		if ask.Twins {
			wait.Go(func() { rb = w.B.clean(b.Run(ctx, it.Door, it.Statement)) })
		}
		ra = w.A.clean(a.Run(ctx, it.Door, it.Statement))
		wait.Wait()
		return ra, rb
	}
	var all []Outcome
	for _, it := range items {
		if it.Door.MCP() && ask.A.MCPURL == "" {
			continue
		}
		o := it.outcome()
		if ask.Guard != nil {
			if err := ask.guard(it.Statement); err != nil {
				o.Refused, o.Code, o.Message = true, "GUARD", err.Error()
				all = append(all, o)
				continue
			}
		}
		ra, rb := both(it)
		o.Code, o.Message = ra.Code, ra.Error
		o.Refused = doors.Refused(ra.Code) || ask.Twins && doors.Refused(rb.Code)
		for _, r := range []wire.Answer{ra, rb} {
			if f, ok := found.Answer(r, it.SQL()); ok {
				o.Find = &f
			}
		}
		if ask.Twins && ra.Text() != rb.Text() {
			o.Differs, o.Why = true, wire.Parting(ra.Lines, rb.Lines)
			// Asked again: what differs from itself on one side is no difference between them.
			ra2, rb2 := both(it)
			if (ra.Text() != ra2.Text() || rb.Text() != rb2.Text()) && wire.Sorted(ra.Lines) == wire.Sorted(rb.Lines) {
				o.Differs = false
			}
		}
		if ra.Code == "CLOSED" && strings.HasPrefix(ra.Text(), "connect: ") {
			return all, fmt.Errorf("%s through %s: %s", it.Name, it.Door.Name, ra.Error)
		}
		all = append(all, o)
	}
	return all, nil
}

func (ask Asked) guard(s doors.Statement) error {
	for _, step := range s.Steps {
		if err := ask.Guard(step); err != nil {
			return err
		}
	}
	return nil
}

// behind is how a gateway is asked.
func behind(g *harness.Gateway) doors.Target {
	return doors.Target{DSN: g.DSN(human, secret, database), MCPURL: g.MCPURL, Token: token, Connection: database}
}

// clean takes out what tells the servers apart by where they run.
func (s *Side) clean(a wire.Answer) wire.Answer {
	for i, l := range a.Lines {
		a.Lines[i] = s.port.ReplaceAllString(s.folders.Replace(l), "PORT")
	}
	return a
}
