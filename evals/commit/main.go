// Package commit measures what it costs to make a record durable: the audit log as `serve` uses it, with every record
// sealed and hashed, beside bbolt and SQLite, which get the same bytes in clear and do no more than keep them.
//
// All stores are measured in one run on one file system, for a short time each, in rounds whose order alternates; what
// is compared is compared within a round. Start with Main.
package commit

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/evals/harness"
	"sallyport/evals/results"
)

// callers are how many records are waited for at once.
var callers = []int{1, 8, 32, 256}

// Options say where and how long. Dir must not be on a file system in memory.
type Options struct {
	Dir    string
	Time   time.Duration
	Rounds int
	Dry    bool // nothing is recorded
}

// key is a store with a number of callers.
type key struct {
	store   string
	callers int
}

// Main measures and records.
func Main(o Options) error {
	if o.Dir == "" {
		var err error
		if o.Dir, err = harness.Out("commit"); err != nil {
			return err
		}
	}
	kind, err := fileSystem(o.Dir)
	if err != nil {
		return err
	}
	fmt.Printf("file system: %s\n", kind)
	if kind == "tmpfs" {
		return errors.New("a file system in memory makes nothing durable: name a folder on a disk with -dir")
	}
	cells := map[key][]cell{}
	for round := range o.Rounds {
		order := slices.Clone(stores)
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, n := range callers {
			for _, s := range order {
				c, err := measure(s, o.Dir, n, o.Time)
				if err != nil {
					return fmt.Errorf("%s with %d callers: %w", s.name, n, err)
				}
				fmt.Printf("round %d  %4d callers  %-18s %8.0f records/s  p50 %8s  p99 %8s  %5.0f us cpu  %6.0f bytes\n", round+1, n, s.name, c.perSecond, c.p50, c.p99, c.cpu, c.stored)
				cells[key{s.name, n}] = append(cells[key{s.name, n}], c)
			}
		}
	}
	listing, err := profile(o)
	if err != nil {
		return err
	}
	figures := figuresOf(cells, kind, o)
	if o.Dry {
		for _, f := range figures {
			fmt.Println(f)
		}
		fmt.Println(listing)
		return nil
	}
	if err := harness.Listing("audit", listing); err != nil {
		return err
	}
	return results.Check(figures...)
}

func figuresOf(cells map[key][]cell, kind string, o Options) []results.Figure {
	var out []results.Figure
	for _, s := range stores {
		for _, n := range callers {
			of := func(f func(cell) float64) []float64 {
				var v []float64
				for _, c := range cells[key{s.name, n}] {
					v = append(v, f(c))
				}
				return v
			}
			name := "audit." + s.name + "." + strconv.Itoa(n) + "."
			rate := results.Median(name+"records_per_s", "1/s", of(func(c cell) float64 { return c.perSecond }))
			rate.Note = s.about + "; " + kind
			out = append(out, rate,
				results.Median(name+"p50_us", "us", of(func(c cell) float64 { return float64(c.p50.Nanoseconds()) / 1e3 })),
				results.Median(name+"p99_us", "us", of(func(c cell) float64 { return float64(c.p99.Nanoseconds()) / 1e3 })))
			if n == 32 && s.name != "floor" {
				cpu := results.Median(name+"cpu_us", "us", of(func(c cell) float64 { return c.cpu }))
				cpu.Note = "processor time of the whole process a record"
				stored := results.Median(name+"stored_bytes", "bytes", of(func(c cell) float64 { return c.stored }))
				stored.Note = fmt.Sprintf("what is in the files a record, for a record of %d bytes as JSON", len(payload))
				written := results.Median(name+"written_bytes", "bytes", of(func(c cell) float64 { return c.written }))
				written.Note = "what the process has had written to the disk a record"
				out = append(out, cpu, stored, written)
			}
		}
	}
	for _, rival := range stores[1:] {
		for _, n := range callers {
			var ratios []float64
			for i, c := range cells[key{rival.name, n}] {
				ratios = append(ratios, cells[key{"append", n}][i].perSecond/c.perSecond)
			}
			f := results.Ratio("audit.append."+strconv.Itoa(n)+".vs_"+rival.name, ratios)
			f.Note = "records/s of the log to those of " + strings.ReplaceAll(rival.name, "_", " ") + ", within a round"
			out = append(out, f)
		}
	}
	for i := range out {
		out[i].Command = fmt.Sprintf("go run ./evals/cmd/commit -time %s -rounds %d", o.Time, o.Rounds)
	}
	return out
}
