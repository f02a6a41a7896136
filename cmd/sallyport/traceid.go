package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sallyport/audit"
	"sallyport/audit/index"
	"sallyport/internal/access"
)

// complete takes the beginnings of ids that a person copies from the trace for the whole ids. A whole
// id stands for itself, even when others begin with it. A beginning of none or of several is an error:
// "nothing matches" would read like "nothing happened".
func complete(ctx context.Context, dir string, f *audit.Filter) error {
	if known(ctx, dir, index.Session, f.Session) && known(ctx, dir, index.Task, f.Task) {
		return nil
	}
	sessions, tasks := map[string]bool{}, map[string]bool{}
	err := audit.Read(dir, func(rec *access.Record) error {
		if f.Session != "" && strings.HasPrefix(rec.Session, f.Session) {
			sessions[rec.Session] = true
		}
		if f.Task != "" && strings.HasPrefix(rec.Task, f.Task) {
			tasks[rec.Task] = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	if f.Session, err = only("session", f.Session, sessions); err != nil {
		return err
	}
	f.Task, err = only("task", f.Task, tasks)
	return err
}

// either takes an id, or its beginning, for the session or the task that it is of. Without one it is the newest
// session that asked for something.
func either(ctx context.Context, dir, begin string) (audit.Filter, error) {
	if begin != "" && known(ctx, dir, index.Session, begin) {
		return audit.Filter{Session: begin}, nil
	}
	if begin != "" && known(ctx, dir, index.Task, begin) {
		return audit.Filter{Task: begin}, nil
	}
	ids, newest := map[string]bool{}, ""
	sessions := map[string]bool{}
	err := audit.Read(dir, func(rec *access.Record) error {
		if rec.Session != "" && strings.HasPrefix(rec.Session, begin) {
			ids[rec.Session], sessions[rec.Session] = true, true
			if rec.Kind != access.RecordOpen && rec.Kind != access.RecordClose {
				newest = rec.Session
			}
		}
		if rec.Task != "" && strings.HasPrefix(rec.Task, begin) {
			ids[rec.Task] = true
		}
		return nil
	})
	if err != nil {
		return audit.Filter{}, err
	}
	if begin == "" {
		if newest == "" {
			return audit.Filter{}, errors.New("no session in the record has asked for anything yet")
		}
		return audit.Filter{Session: newest}, nil
	}
	id, err := only("id", begin, ids)
	if sessions[id] {
		return audit.Filter{Session: id}, err
	}
	return audit.Filter{Task: id}, err
}

func only(what, begin string, found map[string]bool) (string, error) {
	const shown = 5
	switch ids := slices.Sorted(maps.Keys(found)); {
	case begin == "" || found[begin]:
		return begin, nil
	case len(ids) == 0:
		return "", fmt.Errorf("no %s in the record begins with %s", what, begin)
	case len(ids) == 1:
		return ids[0], nil
	case len(ids) > shown:
		return "", usagef("%d %ss begin with %s: %s ...", len(ids), what, begin, strings.Join(ids[:shown], ", "))
	default:
		return "", usagef("%d %ss begin with %s: %s", len(ids), what, begin, strings.Join(ids, ", "))
	}
}
