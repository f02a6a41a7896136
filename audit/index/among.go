package index

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	"sallyport/audit"
	"sallyport/audit/internal/trace"
	"sallyport/internal/access"
)

// located is a record and where it lies.
type located struct {
	pos uint64
	at  audit.Place
}

// sparse is what part of a log is read record by record at most. Of more it is quicker to read all.
const sparse = 3

// Among gives a source of the records that q picks by its fields and times, with what belongs to them: the opening of their
// sessions, or with sessions all records of these, the declarations of their tasks and the steps of their requests for approval.
// It may have more, all of them in the order of the log: what the index does not know yet is read from the log's end as a whole. So
// whoever picks from it gets what they would get from the whole log.
//
// The error is ErrNone where the index cannot be relied on for that. Its checksums are all compared first, for it must not leave out
// anything.
func (x *Index) Among(ctx context.Context, q Query, sessions bool) (audit.Source, error) {
	if len(q.Fields) == 0 || len(q.Words)+len(q.Person) > 0 || q.Before != 0 {
		return nil, errors.New("what is picked is picked by fields")
	}
	found := map[uint64]audit.Place{}
	take := func(pos uint64, at audit.Place) (bool, error) {
		found[pos] = at
		return true, nil
	}
	var through uint64
	err := x.view(ctx, func(v *view) error {
		if err := check(v.tx); err != nil {
			return err
		}
		through = v.state.Next - 1
		return v.find(&q, take)
	})
	if err != nil {
		return nil, err
	}
	if dense(found, through) {
		return audit.Whole(x.logDir), nil
	}
	r := relatives{sessions: map[string]bool{}, tasks: map[string]bool{}, requests: map[string]bool{}}
	each := func(rec *access.Record) error {
		if q.match(rec) {
			r.of(rec)
		}
		return ctx.Err()
	}
	if err := x.read(found, each); err != nil {
		return nil, err
	}
	if err := audit.ReadFrom(x.logDir, through+1, each); err != nil {
		return nil, err
	}
	err = x.view(ctx, func(v *view) error {
		if v.state.Next <= through { // made anew meanwhile, and not there yet
			return unfit{"it is being made anew"}
		}
		return r.find(v, sessions, through, take)
	})
	if err != nil {
		return nil, err
	}
	if dense(found, through) {
		return audit.Whole(x.logDir), nil
	}
	return func(f func(*access.Record) error) error {
		if err := x.read(found, f); err != nil {
			return err
		}
		return audit.ReadFrom(x.logDir, through+1, f)
	}, nil
}

func dense(found map[uint64]audit.Place, through uint64) bool {
	return uint64(len(found))*sparse > through
}

// read calls f with the records at positions, in their order.
func (x *Index) read(found map[uint64]audit.Place, f func(*access.Record) error) error {
	list := make([]located, 0, len(found))
	for pos, at := range found {
		list = append(list, located{pos, at})
	}
	slices.SortFunc(list, func(a, b located) int { return cmp.Compare(a.pos, b.pos) })
	places := audit.OpenPlaces(x.logDir)
	defer places.Close()
	for _, l := range list {
		rec, _, err := places.Record(l.pos, l.at)
		if errors.Is(err, audit.ErrPlace) {
			return errors.Join(ErrNone, damagedf("record %d is not where it says", l.pos))
		}
		if err != nil {
			return err
		}
		if err := f(rec); err != nil {
			return err
		}
	}
	return nil
}

// relatives are what records belong to, by id.
type relatives struct{ sessions, tasks, requests map[string]bool }

func (r *relatives) of(rec *access.Record) {
	for _, m := range []struct {
		to map[string]bool
		id string
	}{{r.sessions, rec.Session}, {r.tasks, rec.Task}} {
		if m.id != "" {
			m.to[m.id] = true
		}
	}
	if id, preview := trace.RequestOf(rec); id != "" && !preview {
		r.requests[id] = true
	}
}

// find calls f with the records that relatives are known by, up to a position.
func (r *relatives) find(v *view, whole bool, through uint64, f func(uint64, audit.Place) (bool, error)) error {
	any := func(field Field, ids map[string]bool) clause {
		var c clause
		for _, id := range slices.Sorted(maps.Keys(ids)) {
			c = append(c, v.terms.value(field, id))
		}
		return c
	}
	kind := func(k access.RecordKind) clause { return clause{v.terms.value(Kind, string(k))} }
	asked := [][]clause{{any(Task, r.tasks), kind(access.RecordTask)}, {any(Approval, r.requests), kind(access.RecordReview)}}
	if whole {
		// The gateway's own session is everybody's: it was never opened, and is not meant.
		opened, err := r.opened(v)
		if err != nil {
			return err
		}
		asked = append(asked, []clause{any(Session, opened)})
	} else {
		asked = append(asked, []clause{any(Session, r.sessions), kind(access.RecordOpen)})
	}
	for _, clauses := range asked {
		if len(clauses[0]) == 0 {
			continue
		}
		if err := v.findAll(clauses, through+1, window{}, f); err != nil {
			return err
		}
	}
	return nil
}

// opened are those of the sessions that have an open record.
func (r *relatives) opened(v *view) (map[string]bool, error) {
	out := map[string]bool{}
	opens := clause{v.terms.value(Kind, string(access.RecordOpen))}
	for id := range r.sessions {
		err := v.findAll([]clause{{v.terms.value(Session, id)}, opens}, 0, window{}, func(uint64, audit.Place) (bool, error) {
			out[id] = true
			return false, nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
