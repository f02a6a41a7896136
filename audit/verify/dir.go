package verify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport/audit/checkpoint"
	"sallyport/audit/cosignature"
)

// Dir verifies the log in dir, as a gateway keeps it: that it is what its newest checkpoint signs, that of every
// session every record is there, and what witnesses and time-stamping authorities have said of it. The error is for a
// directory that cannot be read.
func (t Trust) Dir(dir string) (*Report, error) {
	keys, err := checkpoint.LoadVerifiers(filepath.Join(dir, "signing"))
	if err != nil {
		return nil, err
	}
	v := &dirVerifier{Report: Report{Log: dir}, sessions: map[string]*session{}}
	v.whose(keys.List()[0].Public, t.Key)
	if err := v.outside(dir, keys, t); err != nil {
		return nil, err
	}
	msg, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err == nil {
		v.head, err = keys.Open(msg)
	}
	if err == nil {
		v.closedHead, err = closedOf(v.head)
	}
	if err != nil {
		v.problem("the checkpoint: %v", err)
		v.head = checkpoint.Checkpoint{}
	}
	// The records come last: a gateway that runs adds to them before they are signed, and before others have seen them.
	names, err := segments(dir)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", dir, err)
	}
	v.isKept(t, keys)
	v.tree, v.ends = openHashes(dir, "tree", v.head.Tree), openHashes(dir, "closed", v.closedHead)
	v.all.seen, v.closed.seen = v.tree.compare, v.ends.compare
	v.places = places{file: v.tree, first: -1}
	for i, name := range names {
		s, err := readSegment(name)
		if err != nil {
			v.problem("%v", err)
			break
		}
		v.segment(s, i == 0, i == len(names)-1)
	}
	v.finish()
	return &v.Report, nil
}

type dirVerifier struct {
	Report
	head       checkpoint.Checkpoint
	closedHead tlog.Tree

	kept *checkpoint.Checkpoint // as it was kept elsewhere; nil when there is none

	before      *segment
	all, closed edge
	tree, ends  *hashFile // of all, of closed
	places      places
	matched     bool // the tree had the size and root that were signed
	keptMatched bool // and those of kept
	sessions    map[string]*session
	open, ended int

	policy  cosignature.Policy
	vouched []*vouched // by size
	next    int        // of vouched, the first that is larger than what was read
	unread  int        // timestamps that nobody can read
}

// session is what a session's records have shown so far.
type session struct {
	seq     uint64
	tree    edge // over its records, once it has one that opens it
	opened  bool
	closed  bool
	intents []uint64 // without outcome
}

// head is the part of a record that is in clear.
type head struct {
	Pos     uint64 `json:"pos"`
	Session string `json:"session"`
	Seq     uint64 `json:"seq"`
	Kind    string `json:"kind"`
	Intent  uint64 `json:"intent"`
	Rows    int64  `json:"rows"`
	Root    string `json:"root"`
}

func (v *dirVerifier) segment(s *segment, first, last bool) {
	if t := v.all.tree(); s.root != t.Hash {
		v.problem("the header of %s names another root than the %d records before it have", s.name, t.N)
	}
	if s.name != fmt.Sprintf("%020d.seg", s.first) {
		v.problem("%s begins with record %d, so it does not have its name", s.name, s.first)
	}
	here := uint64(v.all.size) + 1
	switch {
	case first && s.first != 1:
		v.problem("the log begins with %s, record %d: records before it are missing", s.name, s.first)
	case first && s.after != 0:
		v.problem("%s was not the first segment: the one before it, which began with record %d, is missing", s.name, s.after)
	case !first && s.log != v.before.log:
		v.problem("%s and %s are of different logs", v.before.name, s.name)
	case !first && s.after != v.before.first:
		v.problem("%s was not written after %s, but after a segment that began with record %d", s.name, v.before.name, s.after)
	case !first && s.first > here:
		v.problem("between %s and %s %s missing", v.before.name, s.name, span(int64(here), int64(s.first)-1))
	case !first && s.first < here:
		v.problem("%s begins with record %d, after record %d: records were added before it, or are there twice", s.name, s.first, here-1)
	}
	v.openAt(s)
	for i, p := range s.payloads {
		if slices.Contains(s.batches, i) {
			v.problem("the frame of record %d, in %s, says that it is of a batch that it is not of", v.all.size+1, s.name)
		}
		v.record(p)
	}
	switch next := v.all.size + 1; {
	case len(s.rest) == 0:
	case !last || next <= v.head.Tree.N:
		v.problem("record %d cannot be read: the frame at byte %d of %s %s", next, s.end, s.name, s.why)
	default:
		v.unproven("what the last %d bytes of %s are: they are not a whole record, as a crash leaves it", len(s.rest), s.name)
	}
	v.before = s
}

// openAt compares the sessions that a segment says were open with those that were.
func (v *dirVerifier) openAt(s *segment) {
	said := map[string]openSession{}
	for _, o := range s.open {
		said[o.Session] = o
		if t := v.sessions[o.Session]; t == nil || !t.isOpen() {
			v.problem("the header of %s says that session %q was open, and it was not", s.name, o.Session)
		}
	}
	for id, t := range v.sessions {
		o, ok := said[id]
		switch {
		case !t.isOpen():
		case !ok:
			v.problem("the header of %s does not say that session %q was open", s.name, id)
		case o.Seq != t.seq || o.Opened != (t.opened && !t.closed) || !slices.Equal(o.Intents, t.intents) ||
			o.Opened && (o.Leaves != t.tree.size || !slices.Equal(o.Edge, t.tree.roots)):
			v.problem("the header of %s says of session %q what its records do not", s.name, id)
		}
	}
}

func (s *session) isOpen() bool { return s.opened && !s.closed || len(s.intents) > 0 }

func (v *dirVerifier) record(payload []byte) {
	leaf := tlog.RecordHash(payload)
	n := v.all.size
	v.all.add(leaf)
	v.places.record(leaf, v.tree.differs(n))
	line := payload
	if i := bytes.IndexByte(payload, '\n'); i >= 0 {
		line = payload[:i]
	}
	var h head
	if err := json.Unmarshal(line, &h); err != nil {
		v.problem("record %d has no head", v.all.size)
		return
	}
	if h.Kind == "close" {
		v.closed.add(tlog.RecordHash(line))
	}
	if h.Pos != uint64(v.all.size) {
		v.problem("record %d says that it is record %d", v.all.size, h.Pos)
	}
	if h.Session != "" {
		v.ofSession(&h, payload[max(bytes.IndexByte(payload, ','), 0):])
	}
	v.passed()
	if v.all.size == v.head.Tree.N {
		switch {
		case v.all.tree() != v.head.Tree:
			v.problem("the first %d records are not those that were signed", v.all.size)
		case v.closed.tree() != v.closedHead:
			v.problem("the sessions that have ended in the first %d records are not those that were signed", v.all.size)
		default:
			v.matched = true
		}
	}
	if v.kept != nil && v.all.size == v.kept.Tree.N {
		v.keptMatched = v.all.tree() == v.kept.Tree
	}
}

func (v *dirVerifier) ofSession(h *head, body []byte) {
	s := v.sessions[h.Session]
	if s == nil {
		s = new(session)
		v.sessions[h.Session] = s
	}
	if s.closed {
		v.problem("record %d belongs to session %q, which was closed before", h.Pos, h.Session)
	}
	if h.Seq != s.seq+1 {
		v.problem("record %d is number %d of session %q, after number %d", h.Pos, h.Seq, h.Session, s.seq)
	}
	s.seq = max(s.seq, h.Seq)
	switch h.Kind {
	case "open":
		s.opened = true
	case "intent":
		s.intents = append(s.intents, h.Pos)
	case "outcome":
		if i := slices.Index(s.intents, h.Intent); i >= 0 {
			s.intents = slices.Delete(s.intents, i, i+1)
		}
	case "close":
		s.closed = true
		if h.Rows != int64(h.Seq) || s.opened && h.Root != s.tree.tree().Hash.String() {
			v.problem("the close record of session %q, record %d, does not have the number or the root of its records", h.Session, h.Pos)
		}
	}
	if s.tree.size > 0 || h.Kind == "open" || h.Kind == "intent" {
		s.tree.add(tlog.RecordHash(body))
	}
}

func (v *dirVerifier) finish() {
	for _, s := range v.sessions {
		switch {
		case s.closed:
			v.ended++
		case s.opened:
			v.open++
		}
	}
	n := v.head.Tree.N
	follows := v.Problems // from what is found now, for the most part
	v.Problems = nil
	v.places.explain(&v.Report)
	v.tree.finish(&v.Report, v.matched)
	v.ends.finish(&v.Report, v.matched)
	v.finishKept()
	v.Problems = append(v.Problems, follows...)
	if v.all.size < n {
		v.problem("%d records were signed, and %d are there: the end was cut off, or an old copy put back", n, v.all.size)
	}
	if v.matched {
		v.Size, v.Root = n, v.head.Tree.Hash.String()
	}
	if v.matched || n == 0 && v.head.Origin != "" {
		v.proven("records 1 to %d of the log %s are those that were signed, unchanged and in order", n, v.head.Origin)
		v.proven("%d sessions that have ended are among them, and no others had ended by then", v.closedHead.N)
	}
	if v.Good() {
		v.proven("of each of these %d sessions every record is there", v.closedHead.N)
	}
	if more := v.all.size - n; more > 0 {
		also := ""
		if later := int64(v.ended) - v.closedHead.N; later > 0 {
			also = fmt.Sprintf("; %d more sessions end in them, each with every record if these are what was written", later)
		}
		v.unproven("the %d records after record %d, which no checkpoint signs yet%s", more, n, also)
	}
	if v.open > 0 {
		v.unproven("that nothing is missing at the end of %d sessions that have not ended", v.open)
	}
	v.told(v.policy, v.vouched, v.unread)
	if v.keptMatched {
		v.unproven("that no checkpoint was made and taken back that is newer than the one kept elsewhere, of %d records", v.kept.Tree.N)
	} else {
		v.unproven("that no newer checkpoint was made and taken back, which only asking the witnesses, or a checkpoint kept elsewhere, can tell")
	}
	v.unproven("what the records say: they are sealed, and their reasons were claimed by whoever asked")
}

// closedOf gives the tree over closed sessions that a checkpoint signs.
func closedOf(c checkpoint.Checkpoint) (tlog.Tree, error) {
	for _, line := range c.Extensions {
		var t tlog.Tree
		var root string
		if n, _ := fmt.Sscanf(line, "closed-sessions %d %s", &t.N, &root); n != 2 {
			continue
		}
		var err error
		t.Hash, err = tlog.ParseHash(root)
		return t, err
	}
	return tlog.Tree{}, fmt.Errorf("it says nothing of closed sessions")
}
