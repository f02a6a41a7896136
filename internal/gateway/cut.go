package gateway

import (
	"encoding/binary"
	"fmt"

	"sallyport/internal/access"
	"sallyport/internal/pgframe"
)

// maxRow is the largest row that Query hands out. A door that answers in one piece has to hold what it
// answers, so one value of hundreds of megabytes must not come as far as that.
const maxRow = 8 << 20

// cut keeps what Query was asked to fetch from growing without bound: past its wish for bytes, rows are left
// out, and a row that is too large is never held. It reports whether the row f is dealt with.
//
// Reads that can change nothing are cancelled then. A statement that writes is not, because it would be
// undone: it runs to its end, and a notice says that its answer is not complete.
func (s *Session) cut(r *run, f pgframe.Frame) bool {
	switch {
	case len(f.Raw) == 5: // see upstream.Conn.MaxRow
		r.omitted++
		if r.plan.pure && r.refusal == nil {
			r.refusal = rowTooLarge(int64(binary.BigEndian.Uint32(f.Raw[1:])))
			go s.cancelRunning() // ends at the latest when done() takes cancelMu
		}
		return true
	case r.plan.pure && s.wish > 0 && r.handed >= s.wish:
		if r.omitted++; r.omitted == 1 {
			go s.cancelRunning()
		}
		return true
	}
	r.handed += len(f.Raw)
	return false
}

// cutShort says whether an error is the end that cut asked for.
func (r *run) cutShort(pgerr []pgframe.Field) bool {
	return r.omitted > 0 && r.refusal == nil && r.plan.pure && field(pgerr, 'C') == "57014"
}

// completeCut ends an execution of which rows were left out and that ran to its end all the same.
func (s *Session) completeCut(r *run, f pgframe.Frame) {
	if r.plan.pure {
		s.appendCut(r)
		return
	}
	r.limited = true
	s.recordRun(r, nil)
	s.held = appendNotice(s.held, fmt.Sprintf("%d rows are left out of this answer: they are larger than the %d MiB that this door takes", r.omitted, maxRow>>20),
		"the statement has run: do not run it again to see them")
	s.held = append(s.held, f.Raw...)
	s.succeeded(r)
}

// appendCut ends an answer of which rows were left out, for the Sink of Query: as a portal that has more.
func (s *Session) appendCut(r *run) {
	r.command = fmt.Sprintf("SELECT %d", r.rows)
	r.limited = true
	s.recordRun(r, nil)
	s.held = pgframe.AppendEmpty(s.held, 's')
}

func rowTooLarge(size int64) *access.Error {
	return &access.Error{Kind: access.Denied, Code: "54000", Message: fmt.Sprintf("a row of %d bytes is larger than the %d MiB that this door takes", size, maxRow>>20),
		Hint: "select a part of the value with substring or left, or its length"}
}
