package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sallyport/evals/harness"
	"sallyport/evals/results"
)

var modes = []string{"simple", "extended", "prepared"}

// reads are the large results, by the name in the figure.
var reads = []struct{ name, sql string }{
	{"large_read", "SELECT * FROM pgbench_accounts"},
	{"large_read_words", "SELECT * FROM readings"},
	{"large_read_unlabelled", "SELECT id, device, serial, amount, at, note FROM readings"},
	{"large_copy", "COPY (SELECT * FROM pgbench_accounts) TO STDOUT"},
	{"large_copy_unlabelled", "COPY (SELECT id, device, serial, amount, at, note FROM readings) TO STDOUT"},
}

// samples are measurements by name ("mode=simple") and target, one a round.
type samples map[string]map[string][]float64

func (s samples) add(name, target string, v float64) {
	if s[name] == nil {
		s[name] = map[string][]float64{}
	}
	s[name][target] = append(s[name][target], v)
}

// has reports whether anything was measured at a target.
func (s samples) has(target string) bool {
	for _, by := range s {
		if len(by[target]) > 0 {
			return true
		}
	}
	return false
}

// ratios divides one target's rounds by another's.
func (s samples) ratios(name, target, base string) []float64 {
	var r []float64
	for i, v := range s[name][target] {
		if i < len(s[name][base]) {
			r = append(r, v/s[name][base][i])
		}
	}
	return r
}

func (s samples) differences(name, target, base string) []float64 {
	var r []float64
	for i, v := range s[name][target] {
		if i < len(s[name][base]) {
			r = append(r, v-s[name][base][i])
		}
	}
	return r
}

// Options say how much is measured.
type Options struct {
	Quick     bool // two short rounds; nothing is recorded
	ReadsOnly bool // three rounds of the large reads; nothing is recorded
	Rounds    int  // 0 means 7
}

// command is what measures the same again.
func (o Options) command() string {
	if o.Rounds != 0 {
		return fmt.Sprintf("go run ./evals/cmd/bench -rounds %d", o.Rounds)
	}
	return "go run ./evals/cmd/bench"
}

// Main measures and records. A round takes two minutes.
func Main(ctx context.Context, o Options) error {
	dir, err := harness.Out("bench")
	if err != nil {
		return err
	}
	b, err := open(ctx, dir)
	if err != nil {
		return err
	}
	defer b.close()
	rounds, seconds, clients := cmp.Or(o.Rounds, 7), 5, 1000
	if o.Quick {
		rounds, seconds, clients = 2, 2, 100
	}
	s := samples{}
	if o.ReadsOnly {
		for round := range 3 {
			if err := b.reads(ctx, s, round); err != nil {
				return err
			}
		}
		return s.write(dir)
	}
	for round := range rounds {
		if err := b.round(ctx, s, round, seconds); err != nil {
			return err
		}
	}
	if err := s.write(dir); err != nil {
		return err
	}
	// The rounds are on record before the idle clients are tried: they take minutes.
	missed := o.record(s.figures())
	idleFigures, err := b.idle(ctx, clients)
	if err != nil {
		return errors.Join(missed, err)
	}
	return errors.Join(missed, o.record(idleFigures))
}

// record writes figures, or prints those of a quick run.
func (o Options) record(figures []results.Figure) error {
	for i := range figures {
		figures[i].Command = o.command()
	}
	if o.Quick {
		for _, f := range figures {
			fmt.Println(f)
		}
		return nil
	}
	return results.Check(figures...)
}

// idle measures what idle clients cost each proxy.
func (b *bench) idle(ctx context.Context, clients int) (figures []results.Figure, err error) {
	for _, t := range b.targets[1:] {
		if t.clientsOnly {
			continue
		}
		before, with, err := idle(ctx, t, clients)
		if err != nil {
			return nil, err
		}
		fmt.Printf("idle memory of %s: %.1f MB before, %.1f MB with %d clients\n", t.name, before, with, clients)
		f := results.Figure{Name: "bench.idle_rss_mb", Value: with, Unit: "MB", N: clients, Note: fmt.Sprintf("resident memory with %d idle clients that each ran a statement; %.1f MB before", clients, before)}
		if t.name != "sallyport" {
			f.Name = "bench.idle_rss_mb." + t.name
		}
		figures = append(figures, f)
	}
	return figures, nil
}

// order is the targets: who begins changes from round to round.
func (b *bench) order(round int) []target {
	order := make([]target, 0, len(b.targets))
	for i := range b.targets {
		order = append(order, b.targets[(i+round)%len(b.targets)])
	}
	return order
}

// round measures everything once at each target.
func (b *bench) round(ctx context.Context, s samples, round, seconds int) error {
	order := b.order(round)
	for _, mode := range modes {
		for _, t := range order {
			tps, err := throughput(t, mode, seconds)
			if err != nil {
				return err
			}
			fmt.Printf("round %d %-9s %-9s %8.0f tps\n", round+1, mode, t.name, tps)
			s.add("mode="+mode, t.name, tps)
		}
	}
	for _, mode := range []string{"simple", "prepared"} {
		for _, t := range order {
			p50, p99, err := latencies(t, mode, max(seconds-2, 1), b.dir)
			if err != nil {
				return err
			}
			fmt.Printf("round %d one client, %-9s %-9s p50 %.0f us, p99 %.0f us\n", round+1, mode, t.name, p50, p99)
			s.add("p50="+mode, t.name, p50)
			s.add("p99="+mode, t.name, p99)
		}
	}
	return b.reads(ctx, s, round)
}

// reads measures the large results.
func (b *bench) reads(ctx context.Context, s samples, round int) error {
	for _, r := range reads {
		for _, t := range b.order(round) {
			if t.clientsOnly {
				continue
			}
			mbs, rows, err := transfer(ctx, t, r.sql)
			if err != nil {
				return err
			}
			fmt.Printf("round %d %-21s %-9s %6.0f MB/s, %d rows\n", round+1, r.name, t.name, mbs, rows)
			s.add(r.name, t.name, mbs)
		}
	}
	return nil
}

func (s samples) figures() []results.Figure {
	var all []results.Figure
	add := func(f results.Figure, note string) {
		f.Note = note
		all = append(all, f)
	}
	for _, mode := range modes {
		for _, base := range []string{"pgbouncer", "direct"} {
			add(results.Ratio("bench."+mode+".vs_"+base, s.ratios("mode="+mode, "sallyport", base)), "pgbench -S, 8 clients, 2 threads: transactions a second, per round")
		}
		add(results.Median("bench."+mode+".tps", "tps", s["mode="+mode]["sallyport"]), "")
		if floor := s.ratios("mode="+mode, "floor", "pgbouncer"); len(floor) > 0 {
			add(results.Ratio("bench."+mode+".floor_vs_pgbouncer", floor), "a relay that copies bytes and syncs a record of each answer before it goes, and does nothing else: see evals/bench/floor_linux.go")
			add(results.Ratio("bench."+mode+".vs_floor", s.ratios("mode="+mode, "sallyport", "floor")), "")
		}
		add(results.Ratio("bench."+mode+".pgbouncer_vs_direct", s.ratios("mode="+mode, "pgbouncer", "direct")), "for comparison")
	}
	for _, r := range reads {
		for _, base := range []string{"direct", "pgbouncer"} {
			add(results.Ratio("bench."+r.name+".vs_"+base, s.ratios(r.name, "sallyport", base)), "MB/s, "+r.sql+", a million rows of a relation with a masked column")
		}
		add(results.Median("bench."+r.name+".mb_s", "MB/s", s[r.name]["sallyport"]), "")
	}
	add(results.Median("bench.added_p50_us", "us", s.differences("p50=simple", "sallyport", "pgbouncer")), "beyond pgbouncer, one client, simple protocol")
	add(results.Median("bench.added_p99_us", "us", s.differences("p99=simple", "sallyport", "pgbouncer")), "beyond pgbouncer, one client, simple protocol")
	add(results.Median("bench.added_p50_us.prepared", "us", s.differences("p50=prepared", "sallyport", "pgbouncer")), "beyond pgbouncer, one client, prepared")
	add(results.Median("bench.added_p99_us.prepared", "us", s.differences("p99=prepared", "sallyport", "pgbouncer")), "beyond pgbouncer, one client, prepared")
	return all
}

// write keeps the samples in the Go benchmark format, one file a target, and benchstat's view of them.
func (s samples) write(dir string) error {
	var args []string
	for _, t := range []string{"direct", "pgbouncer", "sallyport", "floor"} {
		if !s.has(t) {
			continue
		}
		var b strings.Builder
		for name, by := range s {
			unit := "tps"
			switch {
			case strings.HasPrefix(name, "p"):
				unit = "us"
			case strings.HasPrefix(name, "large"):
				unit = "MB/s"
			}
			for _, v := range by[t] {
				fmt.Fprintf(&b, "BenchmarkDoor/%s 1 %.3f %s\n", name, v, unit)
			}
		}
		file := filepath.Join(dir, t+".txt")
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			return err
		}
		args = append(args, t+"="+file)
	}
	out, err := exec.Command("go", append([]string{"tool", "benchstat"}, args...)...).CombinedOutput()
	if err != nil {
		fmt.Println("benchstat:", err)
	}
	fmt.Print(string(out))
	return os.WriteFile(filepath.Join(dir, "benchstat.txt"), out, 0o644)
}
