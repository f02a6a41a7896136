package verify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport/audit/checkpoint"
	"sallyport/audit/cosignature"
)

// Dir is Trust.Dir for whoever has the log's first public key alone, or nothing ("").
func Dir(dir, trusted string) (*Report, error) { return Trust{Key: trusted}.Dir(dir) }

// Dir verifies the log in dir, as a gateway keeps it: that it is what its newest checkpoint signs, that of every
// session every record is there, and what witnesses and time-stamping authorities have said of it. The error is for a
// directory that cannot be read.
func (t Trust) Dir(dir string) (*Report, error) {
	keys, err := checkpoint.LoadVerifiers(filepath.Join(dir, "signing"))
	if err != nil {
		return nil, err
	}
	v := &dirVerifier{sessions: map[string]*session{}}
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
	}
	// The records come last: a gateway that runs adds to them before they are signed, and before others have seen them.
	names, err := segments(dir)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", dir, err)
	}
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

	before      *segment
	all, closed edge
	matched     bool // the tree had the size and root that were signed
	sessions    map[string]*session
	open, ended int

	policy  cosignature.Policy
	vouched []*vouched // by size
	next    int        // of vouched, the first that is larger than what was read
	unread  int        // timestamps that nobody can read
}

// session is what a session's records have shown so far.
type session struct {
	seq    uint64
	tree   edge // over its records, once it has one that opens it
	opened bool
	closed bool
}

// head is the part of a record that is in clear.
type head struct {
	Pos     uint64 `json:"pos"`
	Session string `json:"session"`
	Seq     uint64 `json:"seq"`
	Kind    string `json:"kind"`
	Rows    int64  `json:"rows"`
	Root    string `json:"root"`
}

func (v *dirVerifier) segment(s *segment, first, last bool) {
	if t := v.all.tree(); s.root != t.Hash {
		v.problem("%s was written after other records than the %d before it", s.name, t.N)
	}
	switch {
	case first && s.first != 1:
		v.problem("the log begins with record %d: records before it are missing", s.first)
	case !first && s.log != v.before.log:
		v.problem("%s is of another log", s.name)
	case !first && (s.after != v.before.first || s.first != uint64(v.all.size)+1):
		v.problem("%s does not follow %s: records are missing, or there twice", s.name, v.before.name)
	}
	for _, p := range s.payloads {
		v.record(p)
	}
	if len(s.rest) > 0 {
		if last {
			v.unproven("what the last %d bytes of %s are: they are not a whole record, as a crash leaves it", len(s.rest), s.name)
		} else {
			v.problem("%s holds %d bytes that are no record, after record %d", s.name, len(s.rest), v.all.size)
		}
	}
	v.before = s
}

func (v *dirVerifier) record(payload []byte) {
	v.all.add(tlog.RecordHash(payload))
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
	if h.Kind == "open" {
		s.opened = true
	}
	if h.Kind == "close" {
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
	if v.all.size < n {
		v.problem("%d records were signed, and %d are there: the end was cut off, or an old copy put back", n, v.all.size)
	}
	if v.matched || n == 0 && v.head.Origin != "" {
		v.proven("records 1 to %d of the log %s are those that were signed, unchanged and in order", n, v.head.Origin)
		v.proven("%d sessions that have ended are among them, and no others have", v.closedHead.N)
	}
	if v.Good() {
		v.proven("of each of %d sessions that have ended every record is there", v.ended)
	}
	if more := v.all.size - n; more > 0 {
		v.unproven("the %d records after record %d, which no checkpoint signs yet", more, n)
	}
	if v.open > 0 {
		v.unproven("that nothing is missing at the end of %d sessions that have not ended", v.open)
	}
	v.told(v.policy, v.vouched, v.unread)
	v.unproven("that no newer checkpoint was made and taken back, which only asking the witnesses, or a checkpoint kept elsewhere, can tell")
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
