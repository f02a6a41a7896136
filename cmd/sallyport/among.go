package main

import (
	"context"
	"path/filepath"
	"time"

	"sallyport/audit"
	"sallyport/audit/index"
)

// among is a source of at least those records of the log in dir that f picks, with what audit.Collect puts in front of them: found by
// the index where that is sound and f names a session, a task or a principal, otherwise the whole log. What is picked from it is the same.
func among(ctx context.Context, dir string, f audit.Filter) audit.Source {
	return indexed(ctx, dir, f, false)
}

// bySessions is among with all of the records of the sessions: of what is erased whole, the record does not say whose it was.
func bySessions(ctx context.Context, dir string, f audit.Filter) audit.Source {
	if f.Principal != "" { // whose session it was may stand in records of another time
		f.Since, f.Until = time.Time{}, time.Time{}
	}
	return indexed(ctx, dir, f, true)
}

func indexed(ctx context.Context, dir string, f audit.Filter, sessions bool) audit.Source {
	q := index.Query{Since: f.Since, Until: f.Until}
	for _, v := range []index.Value{{Field: index.Session, Value: f.Session}, {Field: index.Task, Value: f.Task}, {Field: index.Principal, Value: f.Principal}} {
		if v.Value != "" {
			q.Fields = append(q.Fields, v)
		}
	}
	if len(q.Fields) == 0 {
		return audit.Whole(dir)
	}
	from, err := index.New(dir, indexDir(filepath.Dir(dir)), nil).Among(ctx, q, sessions)
	if err != nil { // none, an unsound one, one that somebody else holds: the log has all
		return audit.Whole(dir)
	}
	return from
}

// known is whether the record has a whole id, or none is given: "" has nothing to be looked for.
func known(ctx context.Context, dir string, field index.Field, id string) bool {
	if id == "" {
		return true
	}
	page, err := index.New(dir, indexDir(filepath.Dir(dir)), nil).Search(ctx, index.Query{Fields: []index.Value{{Field: field, Value: id}}, Limit: 1})
	return err == nil && len(page.Records) > 0
}
