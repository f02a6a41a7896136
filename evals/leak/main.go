package leak

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"sallyport/evals/doors"
	"sallyport/evals/harness"
	"sallyport/evals/wire"
)

// Options say what part of the benchmark runs.
type Options struct {
	Part    string // one of Parts; "" for all
	Only    string // statements whose name holds this; records nothing
	Listing bool   // print each leak
}

// Parts of the benchmark. Each has a world of its own and a minute or two; what they find is kept under
// evals/out until all of one commit are there.
var Parts = []string{"rivals", "grammar", "shapes", "after"}

// Main runs the benchmark, or a part of it, and records its figures when all parts are there.
func Main(ctx context.Context, opt Options) error {
	shapes, err := Shapes()
	if err != nil {
		return err
	}
	parts := Parts
	if opt.Part != "" {
		parts = []string{opt.Part}
	}
	for _, part := range parts {
		b := &bench{opt: opt, search: NewSearcher(), shapes: shapeItems(shapes, opt.Only), grammar: grammarItems(opt.Only)}
		if err := b.part(ctx, part); err != nil {
			return err
		}
		if err := b.save(part, opt.Only == ""); err != nil {
			return err
		}
	}
	if opt.Only != "" {
		return nil
	}
	b, err := merge()
	if b == nil || err != nil {
		return err
	}
	return b.report()
}

// part runs one part in a world of its own.
func (b *bench) part(ctx context.Context, part string) (err error) {
	steps := map[string][]func(context.Context) error{
		"rivals":  {b.rivals},
		"grammar": {func(ctx context.Context) error { return b.gateway(ctx, b.grammar) }, b.audit},
		"shapes":  {func(ctx context.Context) error { return b.gateway(ctx, b.shapes) }, b.audit},
		"after":   {b.mixed, b.committed, b.audit},
	}[part]
	if steps == nil {
		return fmt.Errorf("no part %q: %s", part, strings.Join(Parts, ", "))
	}
	os.Remove(forbiddenFile)
	if b.world, err = Open(ctx, part != "rivals", part == "after"); err != nil {
		return err
	}
	defer b.world.Close()
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// bench collects what the parts of a run find.
type bench struct {
	found
	opt     Options
	world   *World
	search  *Searcher
	grammar []Item
	shapes  []Item
}

// found is what is kept of a part.
type found struct {
	Commit   string
	Outcomes map[string][]Outcome // by system
	State    []string             // canaries where statements stored them, and differences between the twins' states
	Entries  int                  // of the record
	Record   []string             // canaries in it
}

const (
	ours      = "sallyport"
	oursMixed = "sallyport, mixed masks"
	oursAfter = "sallyport, committed"
)

func grammarItems(only string) []Item {
	var all []Item
	for _, c := range Compose() {
		if strings.Contains(c.Name, only) {
			all = append(all, Item{Statement: c.Statement, Name: c.Name, Family: "grammar." + c.Context, Door: c.Form,
				parts: []string{"relation: " + c.Relation, "expression: " + c.Expression, "context: " + c.Context}})
		}
	}
	return all
}

// plainDoors are those that every shape goes through; the others take turns.
var plainDoors = []string{"simple", "extended-binary", "mcp-query"}

// shapeItems are the shapes at their doors, door by door.
func shapeItems(shapes []Shape, only string) []Item {
	var all []Item
	for i, d := range doors.All {
		for j, s := range shapes {
			plain := slices.Contains(plainDoors, d.Name)
			if !d.Applies(s.Statement) || !strings.Contains(s.Name, only) || !plain && (i+j)%3 != 0 {
				continue
			}
			family, _, _ := strings.Cut(s.File, ".")
			all = append(all, Item{Statement: s.Statement, Name: s.Name, Family: "shapes." + family, Door: d, Refuse: s.Refuse})
		}
	}
	return all
}

// plainly are the items as a direct client puts them: once each, and never by the agents' door.
func (b *bench) plainly() []Item {
	var all []Item
	for _, it := range b.grammar {
		if it.Door.MCP() {
			it.Door = doors.All[0]
		}
		all = append(all, it)
	}
	for _, it := range b.shapes {
		if it.Door.Name == doors.All[0].Name {
			all = append(all, it)
		}
	}
	return all
}

func (b *bench) run(ctx context.Context, name string, ask Asked, items []Item) error {
	start := time.Now()
	out, err := Run(ctx, b.world, ask, items, b.search)
	if b.Outcomes == nil {
		b.Outcomes = map[string][]Outcome{}
	}
	b.Outcomes[name] = append(b.Outcomes[name], out...)
	leaks, refused := 0, 0
	for _, o := range out {
		if o.Leaks() {
			leaks++
		}
		if o.Refused {
			refused++
		}
		if o.Leaks() && b.opt.Listing {
			fmt.Printf("%s\t%s\t%s\t%v\t%s\n\t%s\n", name, o.Name, o.Door, o.Find, o.Why, o.SQL)
		}
	}
	fmt.Printf("%-26s %5d asked, %5d refused, %5d leak, %s\n", name, len(out), refused, leaks, time.Since(start).Round(time.Second))
	return err
}

// rivals runs the other systems, the control among them.
func (b *bench) rivals(ctx context.Context) error {
	for _, s := range rivals {
		ta, err := s.target(b.world.A)
		if err != nil {
			return err
		}
		tb, err := s.target(b.world.B)
		if err != nil {
			return err
		}
		items := b.plainly()
		if s.Name == "direct" { // it would do what the others are asked not to
			var safe []Item
			for _, it := range items {
				if !strings.Contains(it.SQL(), forbiddenFile) {
					safe = append(safe, it)
				}
			}
			items = safe
		}
		if err := b.run(ctx, s.Name, Asked{A: ta, B: tb, Twins: true, Guard: s.guard}, items); err != nil {
			return err
		}
	}
	return nil
}

// gateway puts items to the gateway that redacts, on both sides.
func (b *bench) gateway(ctx context.Context, items []Item) error {
	return b.run(ctx, ours, Asked{A: behind(b.world.A.Redact), B: behind(b.world.B.Redact), Twins: true}, items)
}

// mixed asks half of it for tokens, partial and generalised values. These depend on the value, so there are no
// twins.
func (b *bench) mixed(ctx context.Context) error {
	var half []Item
	for i, it := range append(slices.Clone(b.grammar), b.shapes...) {
		if i%2 == 0 && (it.Door.Name != "extended-binary" || !strings.HasPrefix(it.Family, "shapes")) {
			half = append(half, it)
		}
	}
	return b.run(ctx, oursMixed, Asked{A: behind(b.world.A.Mixed)}, half)
}

// committed runs the shapes once more without taking them back, and looks at what the servers hold then.
func (b *bench) committed(ctx context.Context) error {
	before, err := state(ctx, b.world.A)
	if err != nil {
		return err
	}
	if finds := searchState(b.search, before); finds != nil {
		return fmt.Errorf("the state holds canaries before anything is committed: %s", finds[0])
	}
	var items []Item
	for _, it := range b.shapes {
		if it.Door.Name == doors.All[0].Name {
			it.NoTx = true
			items = append(items, it)
		}
	}
	ask := Asked{A: behind(b.world.A.Redact), B: behind(b.world.B.Redact), Twins: true}
	if err := b.run(ctx, oursAfter, ask, items); err != nil {
		return err
	}
	after, err := state(ctx, b.world.A)
	if err != nil {
		return err
	}
	twin, err := state(ctx, b.world.B)
	if err != nil {
		return err
	}
	b.State = append(searchState(b.search, after), searchState(b.search, twin)...)
	if after != twin {
		b.State = append(b.State, "the twins' servers differ: "+wire.Parting(strings.Split(after, "\n"), strings.Split(twin, "\n")))
	}
	fmt.Printf("state: %d lines, %d finds\n", strings.Count(after, "\n"), len(b.State))
	return nil
}

// audit searches what the gateways wrote down.
func (b *bench) audit(context.Context) error {
	for _, g := range []*harness.Gateway{b.world.A.Redact, b.world.B.Redact, b.world.A.Mixed} {
		if g == nil {
			continue
		}
		n, finds, err := searchRecord(b.search, g.Dir)
		if err != nil {
			return err
		}
		b.Entries += n
		b.Record = append(b.Record, finds...)
	}
	fmt.Printf("record: %d entries, %d finds\n", b.Entries, len(b.Record))
	return nil
}
