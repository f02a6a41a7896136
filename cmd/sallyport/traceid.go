package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"sallyport/audit"
	"sallyport/internal/access"
)

// complete takes the beginnings of ids that a person copies from the trace for the whole ids. A whole
// id stands for itself, even when others begin with it. A beginning of none or of several is an error:
// "nothing matches" would read like "nothing happened".
func complete(dir string, f *audit.Filter) error {
	if f.Session == "" && f.Task == "" {
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
