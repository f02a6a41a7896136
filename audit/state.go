package audit

import (
	"bytes"
	"cmp"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport/internal/access"
)

// openSession is a session that has not ended, as far as the log knows. Segment headers carry the
// list, so that Open needs to read no more than the last segment.
type openSession struct {
	Session string   `json:"session"`
	Seq     uint64   `json:"seq"`               // of its last record
	Opened  bool     `json:"opened,omitempty"`  // an open record was seen
	Intents []uint64 `json:"intents,omitempty"` // positions of intents without outcome
	// Edge are the roots of the complete subtrees over its Seq records, and Leaves how many of these are in it.
	Edge   []tlog.Hash `json:"edge,omitempty"`
	Leaves uint64      `json:"leaves,omitempty"`
}

// grow adds a record to the session's tree.
func (o *openSession) grow(leaf tlog.Hash) {
	t := tree{size: o.Leaves, edge: o.Edge}
	t.add(leaf)
	o.Leaves, o.Edge = t.size, t.edge
}

// root is that of the session's tree.
func (o *openSession) root() tlog.Hash {
	t := tree{size: o.Leaves, edge: o.Edge}
	return t.root()
}

// sessionLeaf is the leaf of a record in the tree of its session: the hash of its payload from behind the position,
// which it has only in the log.
func sessionLeaf(body []byte) tlog.Hash { return tlog.RecordHash(body) }

// bodyOf is a payload from behind its position.
func bodyOf(payload []byte) []byte { return payload[max(bytes.IndexByte(payload, ','), 0):] }

// mark is what the state needs to know of a record.
type mark struct {
	Position uint64            `json:"pos"`
	Session  string            `json:"session"`
	Seq      uint64            `json:"seq"`
	Kind     access.RecordKind `json:"kind"`
	Intent   uint64            `json:"intent"`
	leaf     tlog.Hash         // sessionLeaf
}

// tracks is whether a session has to be followed from a record on that is its first.
func (m *mark) tracks() bool { return m.Kind == access.RecordOpen || m.Kind == access.RecordIntent }

// state follows the sessions in the records that are durable.
type state map[string]*openSession

func newState(list []openSession) state {
	s := make(state, len(list))
	for _, o := range list {
		s[o.Session] = &o
	}
	return s
}

// apply takes in the next record.
func (s state) apply(m *mark) {
	o := s[m.Session]
	if o == nil {
		if !m.tracks() {
			return
		}
		o = &openSession{Session: m.Session}
		s[m.Session] = o
	}
	o.Seq = m.Seq
	o.grow(m.leaf)
	switch m.Kind {
	case access.RecordOpen:
		o.Opened = true
	case access.RecordIntent:
		o.Intents = append(o.Intents, m.Position)
	case access.RecordOutcome:
		if i := slices.Index(o.Intents, m.Intent); i >= 0 {
			o.Intents = slices.Delete(o.Intents, i, i+1)
		}
	case access.RecordClose:
		o.Opened = false
	}
	if !o.Opened && len(o.Intents) == 0 {
		delete(s, m.Session)
	}
}

// list gives the open sessions, by session id.
func (s state) list() []openSession {
	out := make([]openSession, 0, len(s))
	for _, o := range s {
		c := *o
		c.Intents, c.Edge = slices.Clone(o.Intents), slices.Clone(o.Edge)
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b openSession) int { return cmp.Compare(a.Session, b.Session) })
	return out
}
