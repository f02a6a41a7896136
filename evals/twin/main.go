package twin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sallyport/evals/agent"
	"sallyport/evals/doors"
	"sallyport/evals/harness"
	"sallyport/evals/results"
)

// Main runs the check for each kind and records the figures.
func Main(ctx context.Context, kinds []string, direct bool, only, through string) error {
	shapes, corpus, err := load(only)
	if err != nil {
		return err
	}
	if direct {
		return listDirect(ctx, shapes)
	}
	t := &totals{corpus: corpus, shapes: shapes, doors: doors.All}
	if through != "" {
		t.doors = slices.DeleteFunc(slices.Clone(doors.All), func(d doors.Door) bool { return d.Name != through })
	}
	for _, k := range kinds {
		if err := t.kind(ctx, Kind(k)); err != nil {
			return errors.Join(err, t.write(false)) // what was seen so far is worth a look
		}
	}
	whole := only == "" && through == ""
	if err := t.write(whole); err != nil || !whole {
		return err
	}
	return results.Check(t.figures()...)
}

func load(only string) (shapes []Shape, corpus string, err error) {
	if shapes, err = OwnShapes(); err != nil {
		return nil, "", err
	}
	dir, err := harness.Corpora()
	if err != nil {
		fmt.Println("WARNING: running without the corpus of leak shapes:", err)
	} else {
		more, err := CorpusShapes(dir)
		if err != nil {
			return nil, "", err
		}
		shapes = append(shapes, more...)
		if corpus, err = harness.Hash("leaks", filepath.Join(dir, "leaks")); err != nil {
			return nil, "", err
		}
	}
	root, err := harness.Root()
	if err != nil {
		return nil, "", err
	}
	own, err := harness.Hash("evals/twin/shapes", filepath.Join(root, "evals", "twin", "shapes"))
	if err != nil {
		return nil, "", err
	}
	corpus = strings.TrimPrefix(corpus+", "+own, ", ")
	var kept []Shape
	for _, s := range shapes {
		if strings.Contains(s.Name, only) {
			kept = append(kept, s)
		}
	}
	return kept, corpus, nil
}

// listDirect is for writing shapes: which fail directly, and which read labelled data.
func listDirect(ctx context.Context, shapes []Shape) error {
	w, err := Open(ctx, Redact, false)
	if err != nil {
		return err
	}
	defer w.Close()
	reads, errs, err := Direct(ctx, w, shapes)
	if err != nil {
		return err
	}
	n := 0
	for i, s := range shapes {
		if reads[i] {
			n++
		}
		if errs[i] != "" || !reads[i] {
			fmt.Printf("%-28s reads=%-5t %s\n", s.Name, reads[i], errs[i])
		}
	}
	fmt.Printf("%d shapes, %d read labelled data\n", len(shapes), n)
	return nil
}

// totals collect the outcomes of all kinds.
type totals struct {
	corpus   string
	shapes   []Shape
	doors    []doors.Door
	byKind   []Kind
	outcomes map[Kind][]Outcome
	tools    int // bytes of tools/list
}

func (t *totals) kind(ctx context.Context, k Kind) error {
	w, err := Open(ctx, k, true)
	if err != nil {
		return err
	}
	defer w.Close()
	out, err := Run(ctx, w, t.doors, t.shapes, func(s string) { fmt.Println(s) })
	if t.outcomes == nil {
		t.outcomes = map[Kind][]Outcome{}
	}
	t.byKind, t.outcomes[k] = append(t.byKind, k), out
	if err != nil {
		return err
	}
	if ag, err := agent.Dial(ctx, w.A.Gateway.MCPURL, Secret+"-token-0123456789", Database); err == nil {
		t.tools, _ = ag.ToolsListBytes(ctx)
		ag.Close()
	}
	return nil
}

// write makes the per-item listing in evals/out and the compact one that RESULTS.md includes.
func (t *totals) write(committed bool) error {
	dir, err := harness.Out("twin")
	if err != nil {
		return err
	}
	var full, brief strings.Builder
	brief.WriteString("### Twin check: what differed and what was refused\n")
	for _, k := range t.byKind {
		for _, o := range t.outcomes[k] {
			fmt.Fprintf(&full, "%s\t%s\t%s\t%s\treads=%t\trefused=%t\t%s %s\t%s\t%s\t%s\n", k, o.Door, o.Shape.Name, o.Verdict, o.Reads, o.Refused, o.Code, oneLine(o.Message), o.Canary, oneLine(o.Why), oneLine(o.Shape.SQL()))
			if o.Verdict == Different || o.Canary != "" {
				fmt.Fprintf(&brief, "\n- **%s** %s/%s `%s`: %s %s\n", o.Verdict, k, o.Door, o.Shape.Name, oneLine(o.Why), o.Canary)
			}
		}
	}
	for _, o := range t.outcomes[Redact] {
		if o.Door == "simple" && o.Shape.Refuse && !doors.Refused(o.Code) {
			fmt.Fprintf(&brief, "\n- to be refused, but answered: `%s`\n", o.Shape.Name)
		}
	}
	for _, door := range []string{"simple", "mcp-query"} {
		fmt.Fprintf(&brief, "\nRefused through %s with redact masks, though the shape reads labelled data:\n\n", door)
		for _, o := range t.outcomes[Redact] {
			if o.Door == door && o.Reads && o.Refused {
				mark := ""
				if o.Shape.Refuse {
					mark = " (rightly)"
				}
				fmt.Fprintf(&brief, "- `%s`%s: %s %s\n", o.Shape.Name, mark, o.Code, oneLine(o.Message))
			}
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "outcomes.tsv"), []byte(full.String()), 0o644); err != nil || !committed {
		return err
	}
	root, err := harness.Root()
	if err != nil {
		return err
	}
	list := filepath.Join(root, "evals", "listings")
	if err := os.MkdirAll(list, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(list, "twin.md"), []byte(brief.String()), 0o644)
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// figures are the totals over kinds and doors, and each door's and kind's own.
func (t *totals) figures() []results.Figure {
	const command = "go run ./evals/cmd/twin"
	var all []results.Figure
	add := func(f results.Figure, note string) {
		f.Command, f.Corpus, f.Note = command, t.corpus, note
		all = append(all, f)
	}
	diffs, seen, n := 0, 0, 0
	var worst, worstAll lowest
	for _, k := range t.byKind {
		verdicts := map[string]int{}
		byDoor := map[string][]Outcome{}
		for _, o := range t.outcomes[k] {
			n++
			verdicts[o.Verdict]++
			if o.Verdict == Different {
				diffs++
			}
			if o.Canary != "" {
				seen++
			}
			byDoor[o.Door] = append(byDoor[o.Door], o)
		}
		for _, d := range t.doors {
			var may, every tally
			differing, canaries := 0, 0
			for _, o := range byDoor[d.Name] {
				differing += b2i(o.Verdict == Different)
				canaries += b2i(o.Canary != "")
				// The MCP door keeps nothing between calls: what needs several is not for it to answer.
				if !o.Reads || d.MCP() && len(o.Shape.Steps) > 1 {
					continue
				}
				every.add(!o.Refused)
				if !o.Shape.Refuse {
					may.add(!o.Refused)
				}
			}
			prefix := fmt.Sprintf("twin.%s.%s.", k, d.Name)
			share := results.Share(prefix+"answered_share", may.hits, may.n)
			add(share, "of the shapes that read labelled data and are not marked to be refused")
			add(results.Count(prefix+"differences", differing, len(byDoor[d.Name])), "")
			add(results.Count(prefix+"canaries_seen", canaries, len(byDoor[d.Name])), "")
			if d.Name == "simple" || d.Name == "extended-text" || d.Name == "mcp-query" {
				where := fmt.Sprintf("%s, %s masks", d.Name, k)
				worst.take(share, where)
				worstAll.take(results.Share("", every.hits, every.n), where)
			}
		}
		for _, v := range []string{Unstable, Renamed, TokenBytes} {
			if verdicts[v] > 0 {
				add(results.Count(fmt.Sprintf("twin.%s.%s", k, strings.ReplaceAll(v, " ", "_")), verdicts[v], len(t.outcomes[k])), verdictNotes[v])
			}
		}
	}
	add(results.Count("twin.differences", diffs, n), "over all kinds of principal and all doors; n counts shape-at-door pairs")
	add(results.Count("twin.canaries_seen", seen, n), "answers that hold a raw labelled value, as it is, in hex, base64 or reversed")
	worst.Name, worstAll.Name = "twin.answered_share", "twin.answered_share.with_attacks"
	add(worst.Figure, "the lowest of the plain doors (simple, extended, MCP query): "+worst.where+"; a shape counts when its direct answers differ between the twins, unless it is one of ours that DESIGN or THREATS want refused")
	add(worstAll.Figure, "the same with those counted too: "+worstAll.where)
	corpus, wrong := tally{}, tally{}
	for _, o := range t.outcomes[Redact] {
		if o.Door == "simple" && o.Shape.Corpus && o.Reads {
			corpus.add(!o.Refused)
		}
		if o.Door == "simple" && o.Shape.Refuse {
			wrong.add(!doors.Refused(o.Code))
		}
	}
	add(results.Share("twin.answered_share.corpus", corpus.hits, corpus.n), "the corpora's shapes alone, simple protocol, redact masks")
	add(results.Count("twin.refuse_answered", wrong.hits, wrong.n), "shapes marked to be refused that were not, simple protocol, redact masks")
	if t.tools > 0 {
		all = append(all, results.Figure{Name: "mcp.tools_list_tokens", Value: float64((t.tools + 3) / 4), Unit: "tokens", N: 1, Command: command, Note: "bytes of the tools/list result divided by four"})
	}
	return all
}

// tally counts hits among n.
type tally struct{ hits, n int }

func (t *tally) add(hit bool) {
	t.n++
	t.hits += b2i(hit)
}

// lowest keeps the lowest share and where it was.
type lowest struct {
	results.Figure
	where string
}

func (l *lowest) take(f results.Figure, where string) {
	if l.where == "" || f.Value < l.Value {
		l.Figure, l.where = f, where
	}
}

var verdictNotes = map[string]string{
	Unstable:   "differed from itself when asked twice on one side, equal as a set of messages",
	Renamed:    "equal up to the one renaming of tokens",
	TokenBytes: "depends on the bytes or the order of tokens; each side equals the answer of a copy that really holds the tokens",
}
