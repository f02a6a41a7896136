package attack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"sallyport/evals/harness"
	"sallyport/evals/results"
)

// Options say what part of the whole is wanted. The zero value is everything, recorded.
type Options struct {
	Only  string // attacks whose family/name contains this; records nothing
	Doors string // names of doors, comma-separated; records nothing
	Part  string // "sanity" or "attacks": records the figures of that part
	Whole bool   // every mutation of every attack at every door (an hour); records nothing
}

// recorded tells whether figures stand for the whole.
func (o Options) recorded() bool { return o.Only == "" && o.Doors == "" && !o.Whole }

// Main runs the attacks and records the figures.
func Main(ctx context.Context, opt Options) error {
	all, err := load()
	if err != nil {
		return err
	}
	var picked []Attack
	for _, a := range all {
		if strings.Contains(a.Family+"/"+a.Name, opt.Only) {
			picked = append(picked, a)
		}
	}
	root, err := harness.Root()
	if err != nil {
		return err
	}
	corpus, err := harness.Hash("evals/attack/families", filepath.Join(root, "evals", "attack", "families"))
	if err != nil {
		return err
	}
	w, err := open(ctx)
	if err != nil {
		return err
	}
	defer w.close()
	var figures []results.Figure
	if opt.Part != "sanity" {
		t, err := assault(ctx, w, picked, opt)
		if err != nil {
			return err
		}
		if err := t.save(opt.recorded()); err != nil {
			return err
		}
		figures = t.figures()
	}
	if opt.Part != "attacks" {
		f, err := allowed(ctx, w, picked, opt.recorded())
		if err != nil {
			return err
		}
		figures = append(figures, f...)
	}
	for i := range figures {
		figures[i].Command, figures[i].Corpus = "go run ./evals/cmd/attack", corpus
	}
	if opt.recorded() {
		return results.Check(figures...)
	}
	for _, f := range figures {
		fmt.Println(f)
	}
	return nil
}

// totals are the tallies and findings of all doors.
type totals struct {
	tallies  map[string]*tally // by family
	byDoor   map[string]*tally
	findings []finding
}

// assault sends everything as the restricted principals.
func assault(ctx context.Context, w *world, picked []Attack, opt Options) (*totals, error) {
	log, err := outcomes("attacks.tsv")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	t := &totals{tallies: map[string]*tally{}, byDoor: map[string]*tally{}}
	for i, d := range doors {
		if opt.Doors != "" && !strings.Contains(opt.Doors, d.name) {
			continue
		}
		start := time.Now()
		p := &campaign{w: w, c: &client{w: w, door: d, principal: attacker}, tallies: map[string]*tally{}, codes: map[string]int{}}
		p.trace = func(a Attack, o outcome, effects []string) { log.write(d.name, a, o, effects) }
		attacks := mutations(picked, i, opt.Whole)
		if d.name == "simple" && opt.Only == "" {
			more, err := w.sweep(ctx)
			if err != nil {
				return nil, err
			}
			attacks = append(attacks, more...)
		}
		err := p.run(ctx, attacks)
		if err == nil && d.name == "simple" && strings.Contains("doors/", opt.Only) {
			err = p.scripts(ctx)
		}
		p.c.Close()
		if err != nil {
			return nil, err
		}
		t.add(d.name, p)
		fmt.Printf("%s: %d attacks in %s; answers by SQLSTATE: %v\n", d.name, t.byDoor[d.name].sent, time.Since(start).Round(time.Second), p.codes)
	}
	return t, nil
}

func (t *totals) add(door string, p *campaign) {
	sum := &tally{}
	t.byDoor[door] = sum
	for family, f := range p.tallies {
		if t.tallies[family] == nil {
			t.tallies[family] = &tally{}
		}
		for _, to := range []*tally{sum, t.tallies[family]} {
			to.sent, to.effects, to.answered = to.sent+f.sent, to.effects+f.effects, to.answered+f.answered
		}
	}
	t.findings = append(t.findings, p.findings...)
}

func (t *totals) figures() []results.Figure {
	var all []results.Figure
	sum := tally{}
	share := func(name string, f tally, note string) {
		figure := results.Share(name, f.effects, f.sent)
		figure.Note = fmt.Sprintf("%s; %d were answered without an error", note, f.answered)
		all = append(all, figure)
	}
	for family, f := range t.tallies {
		share("attack."+family+".effect_share", *f, "attacks of this family that had an effect or showed what is withheld")
		sum.sent, sum.effects, sum.answered = sum.sent+f.sent, sum.effects+f.effects, sum.answered+f.answered
	}
	for door, f := range t.byDoor {
		share("attack.door."+door+".effect_share", *f, "the same by door")
	}
	share("attack.effect_share", sum, "all attacks at all doors")
	effects := results.Count("attack.effects", sum.effects, sum.sent)
	effects.Note = "changes of rows, catalogs, files, settings, locks, connections, roles, sequences, statistics, transaction numbers or records of the log of writes, and canaries seen, by a principal who may only read"
	all = append(all, effects)
	sort.Slice(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all
}

// save writes the listing that RESULTS.md includes.
func (t *totals) save(recorded bool) error {
	if !recorded {
		return nil
	}
	var b strings.Builder
	b.WriteString("### Attacks that had an effect\n\n")
	if len(t.findings) == 0 {
		b.WriteString("None.\n")
	}
	for _, f := range t.findings {
		fmt.Fprintf(&b, "- %s %s/%s: %s: `%.200s`\n", f.door, f.Family, f.Name, strings.Join(f.effects, "; "), oneLine(f.SQL()))
	}
	return listing("attack.md", b.String())
}

// allowed runs the sanity check.
func allowed(ctx context.Context, w *world, picked []Attack, recorded bool) ([]results.Figure, error) {
	log, err := outcomes("sanity.tsv")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	var b strings.Builder
	b.WriteString("### Attacks without an effect even where everything is allowed\n\nThose that were marked beforehand as able to have none on this server are left out.\n\n")
	start := time.Now()
	hits, err := sanity(ctx, w, picked, func(a Attack, o outcome, effects []string) {
		log.write(almighty, a, o, effects)
		if len(effects) == 0 && !a.Idle {
			fmt.Fprintf(&b, "- %s/%s: %s %.120s\n", a.Family, a.Name, o.code, oneLine(o.message))
		}
	})
	if err != nil {
		return nil, err
	}
	n, seen, idle := 0, 0, 0
	for i, hit := range hits {
		switch {
		case picked[i].Idle:
			idle++
		case hit:
			seen++
			fallthrough
		default:
			n++
		}
	}
	fmt.Printf("sanity: %d attacks in %s\n", len(hits), time.Since(start).Round(time.Second))
	share := results.Share("attack.sanity.effect_share", seen, n)
	share.Note = fmt.Sprintf("attacks as written that have an effect when a principal sends them to whom everything is allowed: what the oracle can see; %d that can have none on this server are left out", idle)
	if !recorded {
		return []results.Figure{share}, nil
	}
	return []results.Figure{share}, listing("attack-sanity.md", b.String())
}

// outcomeLog is a file of evals/out with a line an attack.
type outcomeLog struct{ *os.File }

func outcomes(name string) (outcomeLog, error) {
	dir, err := harness.Out("attack")
	if err != nil {
		return outcomeLog{}, err
	}
	f, err := os.Create(filepath.Join(dir, name))
	return outcomeLog{f}, err
}

func (l outcomeLog) write(who string, a Attack, o outcome, effects []string) {
	fmt.Fprintf(l, "%s\t%s\t%s\t%s %.200s\t%s\t%.500s\n", who, a.Family, a.Name, o.code, oneLine(o.message), strings.Join(effects, "; "), oneLine(a.SQL()))
}

func listing(name, text string) error {
	root, err := harness.Root()
	if err != nil {
		return err
	}
	dir := filepath.Join(root, "evals", "listings")
	return errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
