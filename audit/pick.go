package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport/audit/internal/trace"
	"sallyport/internal/access"
)

var errNothingToErase = &access.Error{Kind: access.Invalid, Code: "22023", Message: "nothing says which records are meant", Hint: "name a person, a session, a task or a time"}

// checkScope refuses a scope that picks nothing, or too much, and takes the spaces around an identifier off.
func checkScope(s *access.Scope) error {
	if *s == (access.Scope{}) {
		return errNothingToErase
	}
	if named := s.Person != ""; named {
		if s.Person = strings.TrimSpace(s.Person); len(s.Person) < 4 {
			return &access.Error{Kind: access.Invalid, Code: "22023", Message: "an identifier of less than four characters is in too many records", Hint: "name the person by an address or a number"}
		}
	}
	return nil
}

// picked are records that are to lose keys.
type picked struct {
	Erased
	content, trace map[uint64][]uint32 // leaves of their keys, by epoch, in ascending order
	clear          uint64              // all records up to here are gone, or held, or not meant
}

func (p *picked) take(pos uint64, id uint64, content, trace bool) {
	number, leaf := splitKeyID(id)
	if content {
		p.content[number] = append(p.content[number], leaf)
	}
	if trace {
		p.trace[number] = append(p.trace[number], leaf)
	}
	p.Records++
	p.Positions = append(p.Positions, pos)
}

// picker finds the records that an erasure means.
type picker struct {
	dir   string
	e     Erasure
	holds []*Hold
	only  func(pos uint64) bool // what else matches is counted, and stays; nil for all
	from  uint64                // position of the first
	most  int                   // records; 0 for all
	late  int                   // records in a row that are too young, after which the rest is; 0 reads all
	pause func() error          // called now and then; an error ends it. nil for none
}

var errEnough = errors.New("enough")

const pauseEvery = 1024 // records

func (k *picker) pick() (*picked, error) {
	p := &picked{content: map[uint64][]uint32{}, trace: map[uint64][]uint32{}}
	held := map[string]int{}
	sessions := map[string]bool{}
	keys := readKeys(k.dir)
	person := []byte(strings.ToLower(k.e.Person))
	young, unbroken, n := 0, true, 0
	var r segmentReader
	err := r.readFrom(k.dir, k.from, nil, func(pos uint64, payload []byte) error {
		if pos < k.from {
			return nil
		}
		if n++; n%pauseEvery == 0 && k.pause != nil {
			if err := k.pause(); err != nil {
				return err
			}
		}
		fail := func(err error) error { return damaged(k.dir, fmt.Errorf("record %d cannot be read: %w", pos, err)) }
		var head struct {
			Session string            `json:"session"`
			Time    time.Time         `json:"time"`
			Kind    access.RecordKind `json:"kind"`
			Key     uint64            `json:"key"`
		}
		if err := json.Unmarshal(headOf(payload), &head); err != nil {
			return fail(err)
		}
		if !k.e.Before.IsZero() && !head.Time.Before(k.e.Before) {
			if unbroken = false; k.late > 0 && young >= k.late {
				return errEnough
			}
			young++
			return nil
		}
		young = 0
		if unbroken {
			p.clear = pos
		}
		if head.Kind == access.RecordErased || k.e.Session != "" && head.Session != k.e.Session {
			return nil
		}
		content, asked, err := keys.has(head.Key)
		if err != nil {
			return fail(err)
		}
		asked = asked && k.e.Trace && !trace.IsOrder(head.Kind)
		if len(person) > 0 || k.e.Task != "" || len(k.holds) > 0 {
			rec, _, err := keys.decode(payload)
			if err != nil {
				return fail(err)
			}
			if k.e.Task != "" && rec.Task != k.e.Task || len(person) > 0 && !speaksOf(rec, person) {
				return nil
			}
			if h := heldBy(k.holds, rec); h != nil && (content || asked) {
				held[h.ID]++
				return nil
			}
		}
		if !content && !asked {
			p.Gone++
			return nil
		}
		if k.only != nil && !k.only(pos) {
			p.More++
			return nil
		}
		p.take(pos, head.Key, content, asked)
		if head.Session != "" && !sessions[head.Session] {
			sessions[head.Session] = true
			p.Sessions = append(p.Sessions, head.Session)
		}
		if k.most > 0 && p.Records >= k.most {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	for _, h := range k.holds {
		if held[h.ID] > 0 {
			p.Held = append(p.Held, access.Held{Hold: h.ID, Records: held[h.ID]})
		}
	}
	return p, err
}

// heldBy is the first hold that keeps a record. A hold keeps its own record, or nobody could say what it holds.
func heldBy(holds []*Hold, rec *access.Record) *Hold {
	for _, h := range holds {
		if rec.Position == h.Position || h.picks(rec) {
			return h
		}
	}
	return nil
}

func (h *Hold) picks(rec *access.Record) bool {
	s := &h.Scope
	return (s.Session == "" || rec.Session == s.Session) && (s.Task == "" || rec.Task == s.Task) &&
		(s.Before.IsZero() || rec.Time.Before(s.Before)) && (s.Person == "" || speaksOf(rec, []byte(strings.ToLower(s.Person))))
}

// speaksOf is whether a record holds an identifier, given in small letters.
func speaksOf(rec *access.Record, person []byte) bool {
	for _, s := range append([]string{rec.SQL, rec.Reason, rec.Goal, rec.Ticket, rec.Error, rec.Hint, rec.Principal, rec.Actor, rec.Client}, rec.Params...) {
		if bytes.Contains(bytes.ToLower([]byte(s)), person) {
			return true
		}
	}
	words, further := trace.ReviewTexts(rec)
	for _, s := range append(words, further...) {
		if bytes.Contains(bytes.ToLower([]byte(s)), person) {
			return true
		}
	}
	var scope access.Scope
	if len(rec.Scope) > 0 && json.Unmarshal(rec.Scope, &scope) == nil && bytes.Contains(bytes.ToLower([]byte(scope.Person)), person) {
		return true
	}
	return bytes.Contains(bytes.ToLower(rec.Result), person)
}

// runs puts positions, in ascending order, into runs of first and last.
func runs(positions []uint64) [][2]uint64 {
	var out [][2]uint64
	for _, pos := range positions {
		if n := len(out); n > 0 && out[n-1][1]+1 == pos {
			out[n-1][1] = pos
		} else {
			out = append(out, [2]uint64{pos, pos})
		}
	}
	return out
}

// inRuns is whether a position is in one of the runs.
func inRuns(all [][2]uint64, pos uint64) bool {
	i, _ := slices.BinarySearchFunc(all, pos, func(r [2]uint64, pos uint64) int {
		if r[1] < pos {
			return -1
		}
		return 1
	})
	return i < len(all) && all[i][0] <= pos
}

// digestOf is the Digest of an Order.
func digestOf(positions []uint64) string {
	h := sha256.New()
	var b [8]byte
	for _, pos := range positions {
		binary.BigEndian.PutUint64(b[:], pos)
		h.Write(b[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}
