package leak

import (
	"fmt"
	"path/filepath"
	"sort"
	"strings"

	"sallyport/evals/harness"
	"sallyport/evals/results"
)

// score is what one system did with the statements that a direct client can put to it.
type score struct {
	n, values, differ, refusedShould, should int
	reading, answered                        int // of those that read labelled data and may be answered
}

// readsLabelled says whether the control's answer to the statement depends on labelled values.
func (b *merged) readsLabelled(o Outcome) bool { return b.reads[o.SQL] }

func (b *merged) score(system string) score {
	var s score
	for _, o := range b.Outcomes[system] {
		s.n++
		if o.Find != nil {
			s.values++
		} else if o.Differs {
			s.differ++
		}
		if o.Refuse {
			s.should++
			if o.Refused {
				s.refusedShould++
			}
		} else if b.readsLabelled(o) {
			s.reading++
			if !o.Refused {
				s.answered++
			}
		}
	}
	return s
}

// figures are the totals, the answered share of each family, and each system's score.
func (b *merged) figures() ([]results.Figure, error) {
	root, err := harness.Root()
	if err != nil {
		return nil, err
	}
	corpus, err := harness.Hash("evals/leak", filepath.Join(root, "evals", "leak"))
	if err != nil {
		return nil, err
	}
	var all []results.Figure
	add := func(f results.Figure, note string) {
		f.Command, f.Corpus, f.Seed, f.Note = "go run ./evals/cmd/leak", corpus, Seed, note
		all = append(all, f)
	}
	leaks, n := 0, 0
	for _, name := range []string{ours, oursMixed, oursAfter} {
		for _, o := range b.Outcomes[name] {
			n++
			if o.Leaks() {
				leaks++
			}
		}
	}
	add(results.Count("leak.leaks", leaks+len(b.State)+len(b.Record), n), "answers with a canary in any form or a difference between the twins, canaries or differences in the servers' state afterwards, and canaries in the record; n counts statements at doors")
	add(results.Count("leak.state_finds", len(b.State), len(b.Outcomes[oursAfter])), "what the shapes, committed, left on the servers outside of labelled columns")
	add(results.Count("leak.record_finds", len(b.Record), b.Entries), "canaries in the record; n counts its entries")
	distinct, written := map[string]bool{}, map[string]bool{}
	for _, o := range b.Outcomes[ours] {
		if strings.HasPrefix(o.Family, "grammar.") {
			distinct[o.SQL] = true
		} else {
			written[o.SQL] = true
		}
	}
	add(results.Count("leak.statements.composed", len(distinct), len(distinct)), "distinct texts of the grammar")
	add(results.Count("leak.statements.written", len(written), len(written)), "distinct hand-written shapes")
	families := map[string]*[2]int{}
	count := func(key string, answered bool) {
		if families[key] == nil {
			families[key] = &[2]int{}
		}
		families[key][1]++
		if answered {
			families[key][0]++
		}
	}
	for _, o := range b.Outcomes[ours] {
		// The agents' door keeps nothing between calls: what needs several is not for it to answer.
		if !b.readsLabelled(o) || o.Refuse || o.Apart {
			continue
		}
		kind, _, _ := strings.Cut(o.Family, ".")
		count(o.Family, !o.Refused)
		count(kind, !o.Refused)
		count("door."+o.Door, !o.Refused)
	}
	for _, f := range sortedKeys(families) {
		add(results.Share("leak.answered_share."+strings.ReplaceAll(f, " ", "_"), families[f][0], families[f][1]),
			"of the statements that read labelled data and may be answered")
	}
	for _, s := range append([]System{{Name: ours}}, rivals...) {
		sc := b.score(s.Name)
		name := "leak.system." + strings.NewReplacer(" ", "_", "-", "_").Replace(s.Name)
		add(results.Count(name+".values_seen", sc.values, sc.n), "answers that hold a canary")
		add(results.Count(name+".twin_differences", sc.differ, sc.n), "answers without one that differ between the twins")
		add(results.Share(name+".answered_share", sc.answered, sc.reading), "of the statements that read labelled data and may be answered")
	}
	return all, nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// table compares the systems and lists what got out of ours, and what it refused by kind.
func (b *merged) table() string {
	var w strings.Builder
	w.WriteString("### Leak benchmark: beside other systems\n\nThe same statements, each in one protocol form, sallyport's at all doors. \"Values\" are answers that hold a canary; \"inferred\" are answers that hold none and still differ between the twins; \"stopped\" are shapes that should be refused and were; \"answered\" is the share answered of those that read labelled data and need not be refused.\n\n")
	w.WriteString("| system | statements | values | inferred | stopped | answered | made for |\n|---|---|---|---|---|---|---|\n")
	ourselves := System{Name: ours, For: "masks at read: everything may be asked, labelled columns hold masked values"}
	for _, s := range append([]System{ourselves}, rivals...) {
		sc := b.score(s.Name)
		fmt.Fprintf(&w, "| %s | %d | %d | %d | %d of %d | %.1f%% | %s |\n", s.Name, sc.n, sc.values, sc.differ, sc.refusedShould, sc.should, 100*float64(sc.answered)/float64(max(1, sc.reading)), s.For)
	}
	w.WriteString("\nThe others are their ideas, set up by hand on this database; none of the products was installed. Column privileges and masking views leave their tables' views out, which is part of why they answer less. What the others are not made for they are not worse at: a read-only role that stops every write does its work.\n")
	byPart := map[string]*[2]int{}
	for _, o := range b.Outcomes[ours] {
		if !b.readsLabelled(o) {
			continue
		}
		for _, p := range o.Parts {
			if byPart[p] == nil {
				byPart[p] = &[2]int{}
			}
			byPart[p][1]++
			if !o.Refused {
				byPart[p][0]++
			}
		}
	}
	w.WriteString("\nChoices of the grammar of which sallyport did not answer all:\n\n")
	for _, p := range sortedKeys(byPart) {
		if c := byPart[p]; c[0] < c[1] {
			fmt.Fprintf(&w, "- %s: %d of %d\n", p, c[0], c[1])
		}
	}
	for _, name := range []string{ours, oursMixed, oursAfter} {
		for _, o := range b.Outcomes[name] {
			if o.Leaks() {
				fmt.Fprintf(&w, "\n- **leak** at %s through %s, `%s`: %v %s\n", name, o.Door, oneLine(o.SQL), o.Find, oneLine(o.Why))
			}
		}
	}
	for _, f := range append(b.State, b.Record...) {
		fmt.Fprintf(&w, "\n- **leak**: %s\n", oneLine(f))
	}
	return w.String()
}
