package sqlguard

import (
	"slices"

	"sallyport/internal/access"
	"sallyport/sqlguard/policy"
)

// transactions are the forms of transaction control that anybody may use. Two-phase commit is not
// among them: a prepared transaction outlives the session, with its locks and out of its record.
var transactions = []string{"begin", "start", "commit", "rollback", "savepoint", "release", "rollback to"}

// miscellaneous are the commands of class MISC that act on the client's own session only, or that
// another step judges by what they name.
var miscellaneous = []string{
	"DEALLOCATE", "CLOSE", "CLOSE CURSOR", "FETCH", "MOVE", "EXECUTE", "PREPARE", "DECLARE", "DECLARE CURSOR", "DISCARD",
	"LISTEN", "UNLISTEN", "NOTIFY", "LOCK", "LOCK TABLE", "EXPLAIN",
}

// statement judges what kind of statement this is.
func (j *judge) statement() *access.Decision {
	f := j.in.Facts
	name := f.Tag
	if name == "" {
		name = "this statement"
	}
	if f.Tag == "COPY" && !f.CopyIn && !f.CopyOut {
		return j.unsupported("COPY with a file or a program of the server")
	}
	if f.Cascade {
		// What goes along may be newer than the catalog snapshot.
		d := j.unsupported(name + " ... CASCADE")
		d.Hint = "drop what depends on it first, each by its name: without CASCADE the server lists it"
		return d
	}
	switch f.Class {
	case access.ClassRead, access.ClassWrite:
		return nil
	case access.ClassDDL:
		if len(f.Objects) == 0 && len(f.Relations) == 0 {
			return j.unsupported(name)
		}
		return nil
	case access.ClassMiscSet:
		return nil
	case access.ClassTransaction:
		return j.transaction(name)
	case access.ClassMisc:
		if slices.Contains(miscellaneous, f.Tag) || f.Executes != "" || f.Fetches != "" {
			return nil
		}
		// VACUUM, ANALYZE, REINDEX, CLUSTER and their like say what they work on.
		if len(f.Relations) > 0 && !slices.ContainsFunc(f.Relations, func(r access.RelationUse) bool { return r.Action == access.ActRead }) {
			return nil
		}
		return j.unsupported(name)
	case access.ClassFunction:
		if f.Tag == "CALL" && len(f.Functions) > 0 {
			return nil
		}
		return j.unsupported(name)
	default: // ROLE, and what is not known
		return j.unsupported(name)
	}
}

func (j *judge) transaction(name string) *access.Decision {
	if slices.Contains(transactions, j.in.Facts.Transaction) {
		return nil
	}
	return j.unsupported(name)
}

// channels judges LISTEN and NOTIFY. UNLISTEN gives up what was had and needs nothing.
func (j *judge) channels() *access.Decision {
	if len(j.in.Facts.Channels) == 0 && j.in.Facts.Tag != "LISTEN" && j.in.Facts.Tag != "NOTIFY" || j.in.Facts.Tag == "UNLISTEN" {
		return nil
	}
	return j.need(access.ActNotify, policy.Connection(j.in.Connection), "LISTEN and NOTIFY on "+j.in.Connection)
}
