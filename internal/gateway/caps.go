package gateway

import (
	"fmt"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
	"sallyport/internal/pgframe"
)

// Caps on rows and bytes are kept by letting Execute stop (a suspended portal): the server itself produces no
// more, and what runs is the client's own statement. For a cap on rows, Execute asks for one row more than may be
// released, which tells a whole answer from a cut one. Bytes cannot be asked for, so a metered run
// is executed in parts, each about as many rows as still fit. What cannot stop (COPY, EXPLAIN ANALYZE) is cancelled
// and fails: its client could take a part for the whole.

// caps is what a run may still release, over all reads of its portal or cursor.
type caps struct {
	capped  bool    // Execute was told to stop one row after limit
	limit   int64   // rows
	metered bool    // executed in parts
	most    int64   // bytes of rows, with metered
	cursor  *portal // the portal or cursor whose rows and bytes count against both
	name    string  // metered: the portal that is executed
	want    int64   // metered: rows that all parts together ask for; 0 is all
	asked   int64   // metered: rows asked for so far
}

// firstPart is how many rows a metered run asks for before it knows how large they are.
const firstPart = 16

// pages reports whether caps are kept by letting Execute stop, rather than by cancelling.
func (p *plan) pages() bool {
	f, o := p.facts, &p.decision.Obligations
	return (o.Rows > 0 || o.Bytes > 0) && f.Class == access.ClassRead && len(f.Outputs) > 0 &&
		!f.CopyOut && !f.CopyIn && !f.Explain && f.Prepares == "" && f.Declares == ""
}

// meters reports whether it has to be executed in parts.
func (p *plan) meters() bool { return p.decision.Obligations.Bytes > 0 && p.pages() }

// fetchText is the text of a FETCH from the cursor that limits says, "" where it is as written. The server runs a
// FETCH to its end before it sends the first row, so no Execute stops it: one that asks for more rows than may be
// released asks for one more than that instead.
func (p *plan) fetchText(cursor *plan) string {
	f, most := p.fetches, cursor.decision.Obligations.Rows+1
	if f == nil || most == 1 || max(f.GetHowMany(), -f.GetHowMany()) < most {
		return ""
	}
	direction := "FORWARD"
	if (f.GetDirection() == pg.FetchDirection_FETCH_BACKWARD) != (f.GetHowMany() < 0) {
		direction = "BACKWARD"
	}
	return fmt.Sprintf("FETCH %s %d FROM %s", direction, most, quoteIdent(f.GetPortalname()))
}

// staged reports whether statements of a simple query have to be executed one by one, before the next is sent.
func staged(list []judged) bool {
	for i := range list {
		if p := list[i].plan; p.weighed || p.meters() || len(list) > 1 && (p.pages() || list[i].costly()) {
			return true
		}
	}
	return false
}

// hold puts a run under the caps of its plan and gives the number of rows to ask for. wish is what the client
// asks for, 0 for all; cursor is where rows and bytes add up, if not in the run alone.
func (r *run) holdTo(portalName string, cursor *portal, wish int64) int64 {
	if !r.plan.pages() {
		return wish
	}
	var had portal
	if cursor != nil {
		had = *cursor
	}
	o := &r.plan.decision.Obligations
	r.cursor = cursor
	if left := max(o.Rows-had.rows, 0); o.Rows > 0 && (wish == 0 || wish > left) {
		r.capped, r.limit = true, left
		wish = left + 1
	}
	if o.Bytes > 0 {
		r.metered, r.most, r.name, r.want = true, max(o.Bytes-had.bytes, 0), portalName, wish
		if wish == 0 || wish > firstPart {
			wish = firstPart
		}
		r.asked = wish
	}
	return wish
}

// over reports whether a row is more than may be released, and does what follows from that.
func (s *Session) over(r *run, f pgframe.Frame) bool {
	if r.capped || r.metered {
		r.limited = r.limited || r.capped && r.rows >= r.limit || r.metered && r.weight+int64(len(f.Raw)) > r.most
		return r.limited
	}
	o := &r.plan.decision.Obligations
	if !r.limited && !(o.Rows > 0 && r.rows >= o.Rows) && !(o.Bytes > 0 && r.weight+int64(len(f.Raw)) > o.Bytes) {
		return false
	}
	if !r.limited {
		r.limited = true
		r.refusal = r.tooMuch()
		// The server must stop before it is read on: what it can still send is what the sockets hold.
		s.heavy()
		s.cancelRunning()
	}
	return true
}

// resumes reports whether a metered run that has come to the end of a part goes on, and then asks for the next.
func (s *Session) resumes(r *run) (bool, error) {
	if !r.metered || r.limited || r.want > 0 && r.asked >= r.want {
		return false, nil
	}
	// As many as still fit if they are as large as those before, and one that tells whether there are more.
	part := min((r.most-r.weight)/max(r.weight/max(r.rows, 1), 1)+1, 8*r.asked)
	if r.want > 0 {
		part = min(part, r.want-r.asked)
	}
	r.asked += part
	s.appendExecute(r.name, part)
	s.out = pgframe.AppendEmpty(s.out, 'H')
	return true, s.send()
}

// tally adds what a run released to what its cursor did.
func (r *run) tally() {
	if r.cursor != nil {
		r.cursor.rows += r.rows
		r.cursor.bytes += r.weight
	}
}

// cutCommand is the tag of an answer that was cut.
func (r *run) cutCommand(suspended bool) string {
	verb, _, _ := strings.Cut(r.command, " ")
	if suspended {
		verb = "SELECT"
		if r.cursor != r.portal {
			verb = "FETCH"
		}
	}
	return fmt.Sprintf("%s %d", verb, r.rows)
}

// mostWords says what a run may release: by bytes where the rows would still have fitted.
func (r *run) mostWords() (most, wider string) {
	o := &r.plan.decision.Obligations
	if o.Bytes > 0 && (o.Rows == 0 || r.capped && r.rows < r.limit || !r.capped && r.rows < o.Rows) {
		return fmt.Sprintf("%d bytes", o.Bytes), "select fewer columns or rows, or ask for a policy with a larger @bytes"
	}
	return fmt.Sprintf("%d rows", o.Rows), "narrow the statement down, or ask for a policy with a larger @rows"
}

// appendCutNotice tells the client that the answer was cut.
func (r *run) appendCutNotice(dst []byte) []byte {
	most, wider := r.mostWords()
	return appendNotice(dst, "the policy releases at most "+most+" of this answer; there are more", wider)
}

// tooMuch is the refusal of what cannot be cut.
func (r *run) tooMuch() *access.Error {
	most, wider := r.mostWords()
	return &access.Error{Kind: access.Denied, Code: "54000", Message: "the answer has more than the " + most + " that the policy releases", Hint: wider}
}
