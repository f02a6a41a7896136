package audit

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport/audit/checkpoint"
	"sallyport/audit/internal/trace"
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
	Origin   string    // of the log, as its checkpoint has it
	Signed   uint64    // records that the newest checkpoint covers; those after it are not signed yet
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

// Check reads the whole log in dir and verifies it: every frame; the Merkle root in each segment's header, and in the
// signed checkpoint; positions from 1
// without gaps; in each session an open record first, sequence numbers from 1 without gaps, outcomes
// that belong to an intent, and a close record that is last and whose count is right. It takes no lock.
// The error is for a log that cannot be read at all; everything else is a Problem.
//
// Somebody who has the signing key can make a log that Check finds sound; a checkpoint that was kept elsewhere, or
// given to a witness, gives them away.
func Check(dir string) (*Report, error) {
	c := checker{keys: readKeys(dir), sessions: map[string]*checked{}, intents: map[uint64]*access.Record{}}
	c.before = c.tree.root()
	var r segmentReader
	if err := c.checkpoint(dir); err != nil {
		c.problem(0, "", "%v", err)
	}
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
	if c.report.Records < uint64(c.signed.all.N) {
		c.problem(0, "", "%d records were signed, and it has %d: the end was cut off, or an old copy put back", c.signed.all.N, c.report.Records)
	}
	return c.finish(), nil
}

// checkpoint reads what was signed.
func (c *checker) checkpoint(dir string) error {
	keys, err := checkpoint.LoadVerifiers(filepath.Join(dir, signingName))
	if err != nil {
		return err
	}
	head, _, err := readCheckpoint(dir, keys)
	if err != nil {
		return err
	}
	c.report.Origin, c.report.Signed = head.Origin, uint64(head.Tree.N)
	c.signed.all = head.Tree
	c.signed.closed, err = Closed(head)
	return err
}

type checker struct {
	report   Report
	tree     tree
	closed   tree // over closed sessions
	signed   heads
	before   tlog.Hash // root of the tree at the end of the segment before
	parted   bool      // a root was wrong, and so are all after it
	keys     *keyring
	logID    [16]byte
	sessions map[string]*checked
	intents  map[uint64]*access.Record // without outcome
}

type checked struct {
	openSession
	closed bool
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

// grow follows the trees up to where they were signed, and on.
func (c *checker) grow(payload []byte) {
	c.tree.add(tlog.RecordHash(payload))
	if head, ok := closeHead(payload); ok {
		c.closed.add(tlog.RecordHash(head))
	}
	if c.tree.size != uint64(c.signed.all.N) {
		return
	}
	if now := (tlog.Tree{N: int64(c.tree.size), Hash: c.tree.root()}); now != c.signed.all {
		c.problem(0, "", "the first %d records are not those that were signed", now.N)
	}
	if now := (tlog.Tree{N: int64(c.closed.size), Hash: c.closed.root()}); now != c.signed.closed {
		c.problem(0, "", "%d sessions have ended in the first %d records, and these are not those that were signed", now.N, c.tree.size)
	}
}

func (c *checker) record(pos uint64, payload []byte) {
	c.report.Records++
	c.grow(payload)
	var m struct {
		mark
		Rows int64  `json:"rows"`
		Root string `json:"root"`
	}
	if err := json.Unmarshal(headOf(payload), &m); err != nil {
		c.problem(pos, "", "it is no record: %v", err)
		return
	}
	rec, _, err := c.keys.decode(payload)
	if err != nil {
		c.problem(pos, m.Session, "it cannot be read: %v", err)
		rec = new(access.Record)
	}
	if m.Position != pos {
		c.problem(pos, m.Session, "it says that it is record %d", m.Position)
	}
	if m.Kind == access.RecordHeartbeat {
		c.heartbeat(pos, rec)
		return
	}
	if m.Session == "" {
		if m.Kind != access.RecordRefused && m.Kind != access.RecordTask && !trace.IsProof(m.Kind) && !trace.IsOrder(m.Kind) {
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
	case m.Seq <= s.Seq:
		c.problem(pos, m.Session, "number %d after number %d: repeated, or out of order", m.Seq, s.Seq)
	case m.Seq == s.Seq+2:
		c.problem(pos, m.Session, "number %d is missing", s.Seq+1)
	case m.Seq != s.Seq+1:
		c.problem(pos, m.Session, "numbers %d to %d are missing", s.Seq+1, m.Seq-1)
	}
	first := s.Seq == 0
	s.Seq = max(s.Seq, m.Seq)
	before := s.root()
	if m.tracks() || s.Leaves > 0 {
		s.grow(sessionLeaf(bodyOf(payload)))
	}

	switch m.Kind {
	case access.RecordOpen:
		if !first {
			c.problem(pos, m.Session, "an open record that is not the first")
		}
		s.Opened = true
		return
	case access.RecordRefused, access.RecordTask, access.RecordReview, access.RecordLogin, access.RecordRevoked, access.RecordViewed: // a refused login, a task declared before any session, a step of a request, what proves somebody, what was looked at
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
		if s.Opened && m.Root != before.String() {
			c.problem(pos, m.Session, "the close record has another root than the records before it")
		}
		if m.Rows != int64(m.Seq) {
			c.problem(pos, m.Session, "the close record counts %d records, and is number %d itself", m.Rows, m.Seq)
		}
	default:
		c.problem(pos, m.Session, "unknown kind of record %q", m.Kind)
	}
	if !s.Opened {
		c.problem(pos, m.Session, "a record of kind %q without an open record before it", m.Kind)
		s.Opened = true // said once
	}
}

// heartbeat compares a list of open sessions with what came before it.
func (c *checker) heartbeat(pos uint64, rec *access.Record) {
	for _, o := range rec.Open {
		if s := c.sessions[o.Session]; s == nil || s.Seq < o.Seq {
			c.problem(pos, o.Session, "it had %d records, and not so many come before", o.Seq)
		}
	}
}

func (c *checker) finish() *Report {
	r := &c.report
	r.Sessions = len(c.sessions)
	for id, s := range c.sessions {
		if s.Opened && !s.closed {
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
