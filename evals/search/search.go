// Package search measures how long the newest 50 records take to be found among 10 million.
//
// There is no log of 10 million records here, which would take some 10 GB: the index is fed with records directly and
// asked for candidates, the file opened and closed for each query as `sallyport search` does. What a search does
// beyond that, reading its page from the log, is measured over a log of 100,000. Start with Main.
package search

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sallyport/audit"
	"sallyport/audit/index"
	"sallyport/evals/results"
)

// Options of Main.
type Options struct {
	Records, Queries int
	Dir              string
}

const (
	made    = "go run ./evals/cmd/search"
	seed    = 7
	logSize = 100_000
)

// Main measures and records the figures.
func Main(ctx context.Context, o Options) error {
	dir, err := os.MkdirTemp(o.Dir, "sallyport-search-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	figures, err := found(ctx, o, filepath.Join(dir, "index"))
	if err != nil {
		return err
	}
	read, err := whole(ctx, o, filepath.Join(dir, "data"))
	if err != nil {
		return err
	}
	figures = append(figures, read...)
	for i := range figures {
		figures[i].Command, figures[i].Seed = made, seed
	}
	return results.Check(figures...)
}

// found measures queries over the large index.
func found(ctx context.Context, o Options, dir string) ([]results.Figure, error) {
	x := index.Detached(dir)
	t := newTraffic(o.Records, seed)
	began := time.Now()
	if err := x.Feed(ctx, t.all()); err != nil {
		return nil, err
	}
	took := time.Since(began)
	size, err := sizeOf(dir)
	if err != nil {
		return nil, err
	}
	fmt.Printf("fed %d records in %v, %d MB\n", o.Records, took.Round(time.Second), size>>20)
	figures := []results.Figure{
		{Name: "search.index.size", Value: float64(size) / float64(o.Records), Unit: "bytes/record", N: o.Records},
		{Name: "search.index.fed", Value: float64(o.Records) / took.Seconds(), Unit: "records/s", N: o.Records, Note: "terms made and stored, without reading the log; with the generator of the records"},
	}
	rng := rand.New(rand.NewPCG(seed, 3))
	for _, k := range kinds(o.Records) {
		var ms []float64
		hits := 0
		for range o.Queries {
			q := k.query(rng)
			began := time.Now()
			list, err := x.Candidates(ctx, q)
			ms = append(ms, float64(time.Since(began).Microseconds())/1000)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", k.name, err)
			}
			hits += len(list)
		}
		if (hits == 0) != k.empty {
			return nil, fmt.Errorf("%s: %d records were found", k.name, hits)
		}
		fmt.Printf("%-16s %6.1f records a page\n", k.name, float64(hits)/float64(o.Queries))
		figures = append(figures, quantiles("search.newest50."+k.name, ms)...)
	}
	return figures, nil
}

// whole measures searches with their records, and indexing from the log.
func whole(ctx context.Context, o Options, dir string) ([]results.Figure, error) {
	logDir := filepath.Join(dir, "log")
	log, err := audit.Open(logDir, audit.Options{})
	if err != nil {
		return nil, err
	}
	var last audit.Ticket
	for rec := range newTraffic(logSize, seed).all() {
		if last, err = log.Enqueue(rec); err != nil {
			return nil, err
		}
	}
	if err := last.Wait(); err != nil {
		return nil, err
	}
	if err := log.Close(); err != nil {
		return nil, err
	}
	x := index.New(logDir, filepath.Join(dir, "index"), nil)
	began := time.Now()
	if _, err := x.Update(ctx, nil); err != nil {
		return nil, err
	}
	rate := logSize / time.Since(began).Seconds()
	var ms []float64
	read := 0
	rng := rand.New(rand.NewPCG(seed, 4))
	for range o.Queries {
		q := index.Query{Fields: []index.Value{{Field: index.Relation, Value: fmt.Sprintf("table_%d", rng.IntN(relations))}, {Field: index.Principal, Value: fmt.Sprintf("principal%d", rng.IntN(20))}}}
		began := time.Now()
		page, err := x.Search(ctx, q)
		ms = append(ms, float64(time.Since(began).Microseconds())/1000)
		if err != nil {
			return nil, err
		}
		read += len(page.Records)
	}
	fmt.Printf("%-16s %6.1f records a page\n", "page50", float64(read)/float64(o.Queries))
	if read == 0 {
		return nil, errors.New("page50: no record was read")
	}
	return append(quantiles("search.page50", ms), results.Figure{Name: "search.index.rate", Value: rate, Unit: "records/s", N: logSize, Note: "from the log, as sallyport search does"}), nil
}

// kind is a kind of query.
type kind struct {
	name  string
	empty bool // nothing is to be found
	query func(*rand.Rand) index.Query
}

func kinds(records int) []kind {
	f := func(f index.Field, v string) index.Value { return index.Value{Field: f, Value: v} }
	who := func(r *rand.Rand) index.Value {
		return f(index.Principal, fmt.Sprintf("principal%d", r.IntN(principals)))
	}
	table := func(r *rand.Rand) index.Value { return f(index.Relation, fmt.Sprintf("table_%d", r.IntN(relations))) }
	return []kind{
		{"all", false, func(*rand.Rand) index.Query { return index.Query{} }},
		{"one_filter", false, func(r *rand.Rand) index.Query { return index.Query{Fields: []index.Value{who(r)}} }},
		{"three_filters", false, func(r *rand.Rand) index.Query {
			return index.Query{Fields: []index.Value{who(r), table(r), f(index.Decision, "deny")}}
		}},
		{"rare_frequent", false, func(*rand.Rand) index.Query {
			return index.Query{Fields: []index.Value{f(index.Principal, "rare"), f(index.Decision, "allow"), f(index.Door, "pgwire")}}
		}},
		{"disjoint", true, func(*rand.Rand) index.Query { return index.Query{Words: []string{"even", "odd"}} }},
		{"words", false, func(r *rand.Rand) index.Query {
			n := r.IntN(40)
			return index.Query{Words: []string{fmt.Sprintf("word%c%c%d", 'a'+n%26, 'a'+n/26%26, n), "select", fmt.Sprintf("table_%d", r.IntN(relations))}}
		}},
		{"unknown_word", true, func(r *rand.Rand) index.Query {
			return index.Query{Words: []string{fmt.Sprintf("nowhere%d", r.Int())}}
		}},
		{"past_window", false, func(r *rand.Rand) index.Query {
			from := time.Unix(start, int64(r.IntN(records/2))*10_000_000)
			return index.Query{Fields: []index.Value{table(r)}, Since: from, Until: from.Add(10 * time.Minute)}
		}},
		{"deep_page", false, func(r *rand.Rand) index.Query {
			return index.Query{Fields: []index.Value{table(r)}, Before: uint64(records/4 + r.IntN(records/2))}
		}},
	}
}

func quantiles(name string, ms []float64) []results.Figure {
	slices.Sort(ms)
	at := func(q float64) float64 { return ms[min(len(ms)-1, int(q*float64(len(ms))))] }
	return []results.Figure{
		{Name: name + ".p50", Value: at(0.50), Unit: "ms", N: len(ms)},
		{Name: name + ".p99", Value: at(0.99), Unit: "ms", N: len(ms)},
	}
}

func sizeOf(dir string) (size int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	return size, err
}
