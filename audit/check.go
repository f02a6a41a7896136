package audit

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport/internal/access"
)

// Report is what Check found.
type Report struct {
	Segments int
	Records  uint64
	Sessions int      // with at least one record
	Closed   int      // of those, with a close record
	Open     []string // sessions with an open record and no close record: running, or cut off
	// Dangling are intents without an outcome: running, or cut off.
	Dangling []*access.Record
	Problems []Problem // empty for a sound log
}

// Problem is something that cannot be so in a log that nobody and nothing has changed.
type Problem struct {
	Position uint64 // of the record that shows it; 0 when it is none
	Session  string
	Text     string
}

func (p Problem) String() string {
	s := p.Text
	if p.Session != "" {
		s = "session " + p.Session + ": " + s
	}
	if p.Position != 0 {
		s = fmt.Sprintf("record %d: %s", p.Position, s)
	}
	return s
}

// Sound is true when nothing is wrong; open sessions and dangling intents are not wrong in themselves.
func (r *Report) Sound() bool { return len(r.Problems) == 0 }

// Check reads the whole log in dir and verifies it: every frame and segment digest; positions from 1
// without gaps; in each session an open record first, sequence numbers from 1 without gaps, outcomes
// that belong to an intent, and a close record that is last and whose count is right. It takes no lock.
// The error is for a log that cannot be read at all; everything else is a Problem.
//
// It finds what accidents leave behind. Against somebody who recomputes the checksums only signed
// checkpoints help.
func Check(dir string) (*Report, error) {
	c := checker{keys: readKeys(dir), sessions: map[string]*checked{}, intents: map[uint64]*access.Record{}}
	c.before = c.tree.root()
	var r segmentReader
	err := r.readFrom(dir, 0, func() { c.segment(&r) }, func(pos uint64, payload []byte) error {
		c.record(pos, payload)
		return nil
	})
	if err != nil {
		var e *access.Error
		if !errors.As(err, &e) || e.Code != codeCorrupt {
			return nil, err
		}
		c.problem(0, "", "%s", e.Error())
	}
	return c.finish(), nil
}

type checker struct {
	report   Report
	tree     tree
	before   tlog.Hash // root of the tree at the end of the segment before
	parted   bool      // a root was wrong, and so are all after it
	keys     *keyring
	logID    [16]byte
	sessions map[string]*checked
	intents  map[uint64]*access.Record // without outcome
}

type checked struct {
	seq            uint64
	opened, closed bool
}

func (c *checker) problem(pos uint64, session, format string, args ...any) {
	c.report.Problems = append(c.report.Problems, Problem{pos, session, fmt.Sprintf(format, args...)})
}

// segment is called at the end of each segment.
func (c *checker) segment(r *segmentReader) {
	name := segmentName(r.head.First)
	switch {
	case c.report.Segments == 0:
		c.logID = r.head.LogID
		if r.head.First != 1 {
			c.problem(0, "", "the log begins with %s: records 1 to %d are missing", name, r.head.First-1)
		}
	case r.head.LogID != c.logID:
		c.problem(0, "", "%s belongs to another log", name)
	case r.head.Root != c.before && !c.parted:
		c.parted = true
		c.problem(0, "", "the records before %s are not those that it was written after", name)
	}
	c.report.Segments++
	c.before = c.tree.root()
}

func (c *checker) record(pos uint64, payload []byte) {
	c.report.Records++
	c.tree.add(tlog.RecordHash(payload))
	var m struct {
		mark
		Rows int64 `json:"rows"`
	}
	if err := json.Unmarshal(headOf(payload), &m); err != nil {
		c.problem(pos, "", "it is no record: %v", err)
		return
	}
	rec, err := c.keys.decode(payload)
	if err != nil {
		c.problem(pos, m.Session, "it cannot be read: %v", err)
		rec = new(access.Record)
	}
	if m.Position != pos {
		c.problem(pos, m.Session, "it says that it is record %d", m.Position)
	}
	if m.Session == "" {
		if m.Kind != access.RecordRefused && m.Kind != access.RecordTask {
			c.problem(pos, "", "a record of kind %q belongs to no session", m.Kind)
		}
		return
	}
	s := c.sessions[m.Session]
	if s == nil {
		s = &checked{}
		c.sessions[m.Session] = s
	}
	switch {
	case s.closed:
		c.problem(pos, m.Session, "it comes after the close record")
	case m.Seq <= s.seq:
		c.problem(pos, m.Session, "number %d after number %d: repeated, or out of order", m.Seq, s.seq)
	case m.Seq == s.seq+2:
		c.problem(pos, m.Session, "number %d is missing", s.seq+1)
	case m.Seq != s.seq+1:
		c.problem(pos, m.Session, "numbers %d to %d are missing", s.seq+1, m.Seq-1)
	}
	first := s.seq == 0
	s.seq = max(s.seq, m.Seq)

	switch m.Kind {
	case access.RecordOpen:
		if !first {
			c.problem(pos, m.Session, "an open record that is not the first")
		}
		s.opened = true
		return
	case access.RecordRefused, access.RecordTask: // a refused login, a task declared before any session
		return
	case access.RecordStatement, access.RecordRelease:
	case access.RecordIntent:
		c.intents[pos] = rec
	case access.RecordOutcome:
		if in := c.intents[m.Intent]; in == nil || in.Session != m.Session {
			c.problem(pos, m.Session, "an outcome of record %d, which is no intent of this session without one", m.Intent)
		} else {
			delete(c.intents, m.Intent)
		}
	case access.RecordClose:
		s.closed = true
		c.report.Closed++
		if m.Rows != int64(m.Seq) {
			c.problem(pos, m.Session, "the close record counts %d records, and is number %d itself", m.Rows, m.Seq)
		}
	default:
		c.problem(pos, m.Session, "unknown kind of record %q", m.Kind)
	}
	if !s.opened {
		c.problem(pos, m.Session, "a record of kind %q without an open record before it", m.Kind)
		s.opened = true // said once
	}
}

func (c *checker) finish() *Report {
	r := &c.report
	r.Sessions = len(c.sessions)
	for id, s := range c.sessions {
		if s.opened && !s.closed {
			r.Open = append(r.Open, id)
		}
	}
	slices.Sort(r.Open)
	for _, rec := range c.intents {
		r.Dangling = append(r.Dangling, rec)
	}
	slices.SortFunc(r.Dangling, func(a, b *access.Record) int { return cmp.Compare(a.Position, b.Position) })
	return r
}
