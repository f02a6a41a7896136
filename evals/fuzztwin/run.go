package fuzztwin

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"

	"sallyport/evals/doors"
	"sallyport/evals/sqlsmith"
	"sallyport/evals/twin"
)

// Kinds are the kinds of principal that take part.
var Kinds = []twin.Kind{twin.Redact, twin.Token, twin.Partial, twin.Generalise, twin.Filter}

// entrances take turns; one that does not apply to a statement leaves it to the first.
var entrances = []string{"simple", "mcp-query", "extended-text", "extended-binary", "copy", "simple", "mcp-query", "extended-binary", "extended-text", "portal"}

// smiths is every how many statements one is sqlsmith's. It knows nothing of row filters, nor of what is drawn by
// chance where tokens are compared with those of a copy.
const smiths = 20

func smithy(k twin.Kind) bool { return k != twin.Filter && k != twin.Token }

// sampled is every how many statements one also runs around the gateways.
const sampled = 20

// statement is one of a run.
type statement struct {
	doors.Statement
	number int
	origin string // grammar or sqlsmith
	door   doors.Door
	writes bool
}

// changing finds statements that change or lock rows, and some more.
var changing = regexp.MustCompile(`(?i)\b(insert|update|delete|merge|truncate|for share|for key share|for no key)\b`)

func doorOf(name string) doors.Door {
	return doors.All[slices.IndexFunc(doors.All, func(d doors.Door) bool { return d.Name == name })]
}

// put finds the statement a door.
func put(number int, origin, sql, door string) statement {
	s := statement{number: number, origin: origin, writes: changing.MatchString(sql), Statement: doors.Statement{Steps: []string{sql}}}
	s.door = doorOf(door)
	// Nothing is taken back at the agents' door.
	if s.writes && s.door.MCP() || !s.door.Applies(s.Statement) {
		s.door = doors.All[0]
	}
	s.NoTx = !s.writes && s.door.Name != "portal"
	return s
}

// supply gives the statements of a kind in order. The same seed gives the same ones.
type supply struct {
	mu       sync.Mutex
	world    *twin.World
	language *language
	seed     int64
	without  bool // no sqlsmith
	next     int
	smith    []string
	chunk    int64
}

func (s *supply) take(ctx context.Context) (statement, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.next
	s.next++
	origin, sql := "grammar", ""
	if !s.without && smithy(s.world.Kind) && i%smiths == smiths-1 {
		if len(s.smith) == 0 {
			s.chunk++
			var err error
			if s.smith, err = sqlsmith.Generate(ctx, s.world, 500, s.seed+s.chunk); err != nil {
				return statement{}, err
			}
		}
		origin, sql, s.smith = "sqlsmith", s.smith[0], s.smith[1:]
	} else {
		sql = s.language.statement(s.world.Kind, s.seed, i)
	}
	return put(i, origin, sql, entrances[i%len(entrances)]), nil
}

// run is one kind's part.
type run struct {
	world   *twin.World
	judge   *twin.Judge
	supply  *supply
	tallies *tallies
	found   string     // folder for failing statements; "" keeps none
	writing sync.Mutex // held by whoever changes rows: two would wait for each other
	finding sync.Mutex // held by whoever minimises
}

func open(ctx context.Context, kind twin.Kind, seed int64, t *tallies) (*run, error) {
	l, err := newLanguage(kind)
	if err != nil {
		return nil, err
	}
	w, err := twin.OpenPlain(ctx, kind)
	if err != nil {
		return nil, err
	}
	r := &run{world: w, supply: &supply{world: w, language: l, seed: seed}, tallies: t}
	if r.judge, err = twin.NewJudge(ctx, w); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *run) close() {
	if r.judge != nil {
		r.judge.Close()
	}
	r.world.Close()
}

// until runs statements with so many workers, until n were taken or time is up.
func (r *run) until(ctx context.Context, workers, n int, deadline time.Time) error {
	var all sync.WaitGroup
	errs := make(chan error, workers)
	for range workers {
		all.Go(func() {
			if err := r.work(ctx, n, deadline); err != nil {
				errs <- err
			}
		})
	}
	all.Wait()
	close(errs)
	return <-errs
}

func (r *run) work(ctx context.Context, n int, deadline time.Time) error {
	c := r.clients()
	defer c.close()
	for {
		s, err := r.supply.take(ctx)
		if err != nil {
			return err
		}
		if n > 0 && s.number >= n || !deadline.IsZero() && time.Now().After(deadline) || ctx.Err() != nil {
			return nil
		}
		o, err := r.ask(ctx, c, s)
		if err != nil {
			return fmt.Errorf("%s %d: %w\n%s", r.world.Kind, s.number, err, s.SQL())
		}
		around := look{}
		if s.number%sampled == 0 {
			around = r.around(ctx, c, s)
		}
		if o.Verdict == twin.Different || o.Canary != "" {
			if err := r.keep(ctx, c, s, o); err != nil {
				return err
			}
		}
		r.tallies.add(r.world.Kind, s, o, around)
	}
}

// clients are one worker's.
type clients struct {
	pair *twin.Pair
	a, b *doors.Client // around the gateways
}

func (r *run) clients() *clients {
	c := &clients{r.judge.Pair(), r.world.A.Around(), r.world.B.Around()}
	for _, d := range []*doors.Client{c.a, c.b} {
		d.DSN += "&statement_timeout=300"
		d.Keep = true
	}
	return c
}

func (c *clients) close() {
	c.pair.Close()
	c.a.Close()
	c.b.Close()
}

func (r *run) ask(ctx context.Context, c *clients, s statement) (twin.Outcome, error) {
	if s.writes {
		r.writing.Lock()
		defer r.writing.Unlock()
	}
	return r.judge.Ask(ctx, c.pair, s.door, s.Statement)
}

// look is what a statement does around the gateways.
type look struct {
	taken    bool
	accepted bool // the server takes it: it ends well, or in an error of computing
	reads    bool // the twins answer differently: it depends on what is masked or hidden
}

func (r *run) around(ctx context.Context, c *clients, s statement) look {
	if s.writes {
		r.writing.Lock()
		defer r.writing.Unlock()
	}
	a, b := r.world.A.Clean(c.a.Run(ctx, doors.Direct, s.Statement)), r.world.B.Clean(c.b.Run(ctx, doors.Direct, s.Statement))
	return look{taken: true, accepted: sqlsmith.Accepted(a.Code), reads: a.Text() != b.Text()}
}
