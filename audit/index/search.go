package index

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"go.etcd.io/bbolt"

	"sallyport/audit"
	"sallyport/internal/access"
)

// Page is what a search finds.
type Page struct {
	Records []*access.Record // the newest first
	// Next is the Before of the next page; 0 when there is none. It is a position, so what is recorded meanwhile does not
	// change the pages that follow.
	Next uint64
	// Stopped is true when so many records had to be read that the search gave up before the page was full. The next page
	// goes on from there.
	Stopped bool
	Through uint64 // position of the last record that the index knows
}

const (
	pageSize = 50
	readMost = 5000 // records of the log for one page
)

// ErrNone is of an index that was not made yet, or cannot be used any more: Update makes it.
var ErrNone = errors.New("there is no index that fits the log")

// Search gives a page of records, read from the log. It does not bring the index up to date; where that is of no use
// for this log the error is ErrNone, with why.
func (x *Index) Search(ctx context.Context, q Query) (*Page, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = pageSize
	}
	page := new(Page)
	q, err := q.named(x.logDir)
	if err != nil {
		return nil, err
	}
	places := audit.OpenPlaces(x.logDir)
	defer places.Close()
	err = x.view(ctx, func(v *view) error {
		page.Through = v.state.Next - 1
		looked := 0
		return v.find(&q, func(pos uint64, at audit.Place) (bool, error) {
			if looked++; looked > readMost {
				page.Next, page.Stopped = pos+1, true
				return false, nil
			}
			rec, _, err := places.Record(pos, at)
			if errors.Is(err, audit.ErrPlace) {
				return false, damagedf("record %d is not where it says", pos)
			}
			if err != nil || !q.match(rec) {
				return err == nil, err
			}
			if len(page.Records) == limit { // one more than asked for: there is another page
				page.Next = page.Records[limit-1].Position
				return false, nil
			}
			page.Records = append(page.Records, rec)
			return true, nil
		})
	})
	return page, err
}

// Candidates gives the positions that the index has for a query, the newest first, without asking the log: a record
// may not match, where two terms have the same hash, where the words do not stand together, or where it has more than
// are in the index.
func (x *Index) Candidates(ctx context.Context, q Query) ([]uint64, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = pageSize
	}
	q, err := q.named(x.logDir)
	if err != nil {
		return nil, err
	}
	var out []uint64
	err = x.view(ctx, func(v *view) error {
		return v.find(&q, func(pos uint64, _ audit.Place) (bool, error) {
			out = append(out, pos)
			return len(out) < limit, nil
		})
	})
	return out, err
}

// Check reads the whole index and compares its checksums. It does not compare it with the log.
func (x *Index) Check(ctx context.Context) error {
	return x.view(ctx, func(v *view) error { return check(v.tx) })
}

// view is an index that is being read.
type view struct {
	tx    *bbolt.Tx
	state *state
	terms *hasher
	span  *span // read last
	key   []byte
}

func (x *Index) view(ctx context.Context, f func(*view) error) error {
	key, err := readKey(x.dir)
	if err == nil {
		err = x.reading(ctx, func(tx *bbolt.Tx) error {
			v := &view{tx: tx, terms: newHasher(key)}
			if v.state, err = x.fit(tx, v.terms); err != nil {
				return err
			}
			return f(v)
		})
	}
	var d errDamaged
	var u unfit
	if errors.Is(err, errNoKey) || errors.Is(err, fs.ErrNotExist) || errors.As(err, &d) || errors.As(err, &u) {
		return errors.Join(ErrNone, err)
	}
	return err
}

// clause is terms of which a record has one at least.
type clause []term

// clauses are what a record that matches has: of each one.
func (v *view) clauses(q *Query) []clause {
	var out []clause
	for _, f := range q.Fields {
		out = append(out, clause{v.terms.value(f.Field, f.Value)})
	}
	words, details := v.terms.value(cut, "words"), v.terms.value(cut, "details")
	each := func(phrase string, f func(w string) clause) {
		eachWord(phrase, func(w string) bool {
			c := f(w)
			if !slices.ContainsFunc(out, func(have clause) bool { return slices.Equal(have, c) }) {
				out = append(out, c)
			}
			return true
		})
	}
	for _, phrase := range q.Words {
		each(phrase, func(w string) clause { return clause{v.terms.value(word, w), words} })
	}
	for i, phrase := range q.Person {
		var tags clause
		for _, t := range q.tags[i] {
			tags = append(tags, v.terms.value(tag, t))
		}
		each(phrase, func(w string) clause {
			return append(clause{v.terms.value(word, w), v.terms.value(detail, w), words, details}, tags...)
		})
	}
	return out
}

// HasWord is whether a text has a letter or digit, by which it can be found.
func HasWord(text string) bool {
	return !eachWord(text, func(string) bool { return false }) && strings.TrimSpace(text) != ""
}

// find calls f with candidates, the newest first, until it returns false.
func (v *view) find(q *Query, f func(pos uint64, at audit.Place) (bool, error)) error {
	w := window{q.Since.UnixMicro(), q.Until.UnixMicro(), !q.Since.IsZero(), !q.Until.IsZero()}
	return v.findAll(v.clauses(q), q.Before, w, f)
}

// findAll calls f with what every clause has, below a position (0: from the newest on), the newest first, until it returns false.
func (v *view) findAll(clauses []clause, before uint64, w window, f func(pos uint64, at audit.Place) (bool, error)) error {
	top := v.state.Next // not included
	if before != 0 {
		top = min(top, before)
	}
	if top <= 1 {
		return nil
	}
	for chunk := chunkOf(top - 1); ; chunk-- {
		info, err := loadChunk(v.tx, chunk)
		if err != nil {
			return err
		}
		if info == nil {
			return damagedf("it knows nothing of records %d to %d", posOf(chunk, 0), posOf(chunk, chunkSize-1))
		}
		if !w.misses(info.from, info.to) {
			var s set
			s.fill(0, lowOf(min(top-1, posOf(chunk, chunkSize-1))))
			any, err := v.intersect(chunk, clauses, &s)
			if err != nil {
				return err
			}
			if any {
				if more, err := v.walk(chunk, &s, w.cuts(info.from, info.to), w, f); !more || err != nil {
					return err
				}
			}
		}
		if chunk == 0 {
			return nil
		}
	}
}

// intersect leaves in s what every clause has.
func (v *view) intersect(chunk uint32, clauses []clause, s *set) (any bool, err error) {
	b := v.tx.Bucket(termBucket)
	type found struct {
		sets [][]byte
		size int
	}
	all := make([]found, 0, len(clauses))
	for _, c := range clauses {
		var f found
		for _, t := range c {
			v.key = termKey(v.key, chunk, t)
			data, err := get(b, v.key)
			if err != nil {
				return false, err
			}
			if data != nil {
				f.sets, f.size = append(f.sets, data), f.size+len(data)
			}
		}
		if f.sets == nil { // mostly, where something rare is looked for: no set was read
			return false, nil
		}
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b found) int { return a.size - b.size })
	any = true
	for _, f := range all {
		var have set
		for _, data := range f.sets {
			if err := addTo(&have, data); err != nil {
				return false, damagedf("%v", err)
			}
		}
		if any = s.and(&have); !any {
			break
		}
	}
	return any, nil
}

// walk calls f with the positions of s from the highest, leaving out what is not in the window where timed says that
// some are not.
func (v *view) walk(chunk uint32, s *set, timed bool, w window, f func(uint64, audit.Place) (bool, error)) (more bool, err error) {
	for top := chunkSize; ; {
		low, ok := s.below(top)
		if !ok {
			return true, nil
		}
		top = low
		pos := posOf(chunk, uint32(low))
		if pos == 0 {
			return true, nil
		}
		if v.span == nil || spanOf(v.span.first) != spanOf(pos) {
			k := spanKey(spanOf(pos))
			data, err := get(v.tx.Bucket(spanBucket), k)
			if err != nil {
				return false, err
			}
			from, to, err := boundsOf(data)
			if err == nil && timed && w.misses(from, to) {
				top = low &^ (spanSize - 1)
				continue
			}
			if err == nil {
				v.span, err = readSpan(data)
			}
			if err != nil {
				return false, damagedf("%v", err)
			}
		}
		if v.span == nil || pos < v.span.first || pos >= v.span.end() {
			return false, damagedf("it does not know where record %d is", pos)
		}
		i := pos - v.span.first
		if t := v.span.times[i]; timed && w.misses(t, t) {
			continue
		}
		if more, err := f(pos, v.span.places[i]); !more || err != nil {
			return false, err
		}
	}
}

// window is a span of time in microseconds, both ends included: what is exact is decided on the record.
type window struct {
	since, until       int64
	hasSince, hasUntil bool
}

// misses is whether nothing between two times is in the window.
func (w *window) misses(from, to int64) bool {
	return w.hasSince && to < w.since || w.hasUntil && from > w.until
}

// cuts is whether something between two times may be outside of the window.
func (w *window) cuts(from, to int64) bool {
	return w.hasSince && from < w.since || w.hasUntil && to > w.until
}
