package fuzztwin

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"sallyport/evals/results"
	"sallyport/evals/twin"
)

// tally counts outcomes.
type tally struct {
	n, answered, canaries, chance int
	verdicts                      map[string]int
	// Of those that also ran around the gateways.
	looked, accepted, acceptedAnswered, reading, readingAnswered int
}

func (t *tally) add(o twin.Outcome, l look) {
	if t.verdicts == nil {
		t.verdicts = map[string]int{}
	}
	answered := count(!o.Refused)
	t.n++
	t.answered += answered
	t.verdicts[o.Verdict]++
	t.canaries += count(o.Canary != "")
	t.chance += count(o.Chance != "")
	if !l.taken {
		return
	}
	t.looked++
	if l.accepted {
		t.accepted++
		t.acceptedAnswered += answered
		if l.reads {
			t.reading++
			t.readingAnswered += answered
		}
	}
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// tallies are those of a run: of all, and by kind, door and origin.
type tallies struct {
	mu      sync.Mutex
	start   time.Time
	by      map[string]*tally // "", "redact", "redact.simple", "grammar"
	refused map[string]reason // by message
}

// reason is why statements were not answered.
type reason struct {
	n       int
	example string // the shortest
}

func newTallies() *tallies {
	return &tallies{start: time.Now(), by: map[string]*tally{}, refused: map[string]reason{}}
}

func (t *tallies) add(kind twin.Kind, s statement, o twin.Outcome, l look) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range []string{"", string(kind), string(kind) + "." + s.door.Name, s.origin} {
		if t.by[name] == nil {
			t.by[name] = &tally{}
		}
		t.by[name].add(o, l)
	}
	if o.Refused && (!l.taken || l.accepted) {
		m := o.Code + " " + strings.Join(strings.Fields(o.Message), " ")
		r := t.refused[m]
		if r.n++; r.example == "" || len(s.SQL()) < len(r.example) {
			r.example = s.SQL()
		}
		t.refused[m] = r
	}
}

// line says how far a run is.
func (t *tallies) line() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.by[""]
	if all == nil {
		return "0 statements"
	}
	return fmt.Sprintf("%d statements, %.0f/s, %d different, %d canaries, %.0f%% answered (%.0f%% of those that the server accepts), %.0f%% read labelled or hidden values; %s",
		all.n, float64(all.n)/time.Since(t.start).Seconds(), all.verdicts[twin.Different], all.canaries, percent(all.answered, all.n),
		percent(all.acceptedAnswered, all.accepted), percent(all.reading, all.looked), verdicts(all.verdicts))
}

func percent(part, whole int) float64 { return 100 * float64(part) / float64(max(whole, 1)) }

func verdicts(m map[string]int) string {
	var all []string
	for _, v := range slices.Sorted(maps.Keys(m)) {
		all = append(all, fmt.Sprintf("%s %d", v, m[v]))
	}
	return strings.Join(all, ", ")
}

// figures are the run's.
func (t *tallies) figures(opt Options) []results.Figure {
	var all []results.Figure
	add := func(f results.Figure, note string) {
		f.Command, f.Seed, f.Note = opt.command(), opt.Seed, note
		all = append(all, f)
	}
	for _, name := range slices.Sorted(maps.Keys(t.by)) {
		prefix, c := "fuzztwin.", t.by[name]
		if name != "" {
			prefix += name + "."
		}
		add(results.Count(prefix+"statements", c.n, c.n), "")
		add(results.Count(prefix+"differences", c.verdicts[twin.Different], c.n), "")
		add(results.Count(prefix+"canaries", c.canaries, c.n), "")
		add(results.Share(prefix+"answered_share", c.acceptedAnswered, c.accepted), "of the statements that the server accepts; one in twenty was asked")
		if strings.Contains(name, ".") {
			continue
		}
		add(results.Share(prefix+"reading_share", c.reading, c.looked), "of one in twenty: the twins' direct answers differ, so the statement depends on a labelled or hidden value")
		add(results.Share(prefix+"reading_answered_share", c.readingAnswered, c.reading), "of those that read labelled or hidden values")
	}
	// The verdicts that are neither same nor different.
	c := t.by[""]
	for _, v := range []struct{ verdict, name, note string }{
		{twin.Order, "order", "equal after sorting the rows, and altogether equal where the server has no statistics of values to choose plans by"},
		{twin.Plan, "plan", "equal only where the server has no statistics of values to choose plans by"},
		{twin.Copies, "copies", "grouping sets of tokens, which the server forms otherwise over the copies: not comparable, but with the other masks"},
		{twin.Unstable, "unstable", "differ from themselves on one side; equal after sorting the rows"},
		{twin.Random, "random", "differ from themselves on one side even so: not comparable"},
		{twin.Timeout, "timeouts", "ran into the timeout on one side: not comparable"},
		{twin.Renamed, "renamed", "equal up to the one renaming of tokens"},
		{twin.TokenBytes, "token_bytes", "depend on the bytes or the order of tokens; each side equals the answer of a copy that really holds the tokens"},
	} {
		add(results.Count("fuzztwin."+v.name, c.verdicts[v.verdict], c.n), v.note)
	}
	add(results.Count("fuzztwin.chance", c.chance, c.n), "answers that hold a value of one twin, and are the same on both: it is there by chance")
	return all
}
