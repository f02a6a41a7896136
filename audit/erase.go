package audit

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"sallyport/internal/access"
)

// Erasure says which records lose their keys. The fields that are set must all apply; one must be set.
type Erasure struct {
	Person  string    // an identifier of somebody, as text: in what was asked, answered, or given as a reason
	Session string    // all of a session
	Task    string    // all of a task
	Before  time.Time // recorded before
	// Trace erases who asked and under which policy too, not only the content.
	Trace bool
}

// ErasureOf is the erasure of what a scope picks.
func ErasureOf(s access.Scope, trace bool) Erasure {
	return Erasure{s.Person, s.Session, s.Task, s.Before, trace}
}

// Scope is what e picks.
func (e *Erasure) Scope() access.Scope {
	return access.Scope{Person: e.Person, Session: e.Session, Task: e.Task, Before: e.Before}
}

// Erased says what an erasure did, or would do.
type Erased struct {
	Records  int      // that lose a key now
	Gone     int      // that were picked, and had lost it before
	Sessions []string // that the records belong to
	// Positions of the records, from the first.
	Positions []uint64
	Held      []access.Held // that were picked and stay
	// Tagged are records out of which the person's identifier had been taken, and in which it left a tag: they stay.
	// Untag is whether the key goes by which they are found: not where Held has one of them, nor where the erasure
	// means less than all of a person's.
	Tagged int
	Untag  bool

	ID       string // of the erasure; "" where nothing was erased
	Position uint64 // of the record that says so
	Salt     []byte // the key of Order.Person, which nothing else has; nil where no person was named
	// Missed are records that were proposed and could not be erased any more, because they had been, or are held;
	// More are records that match and were not proposed. They stay.
	Missed, More int
}

// Erase destroys the keys of the records that e picks, and appends a record that says so, with who asked for it and
// why. What is in the segments stays as it is, so all proofs hold, and nobody can read it. With dry nothing is
// changed. Copies of the keys folder that were made before have to be destroyed by whoever made them. Records under
// a hold stay.
//
// A person is looked for in every record that can be read, without regard to case; identifiers of less than four
// characters are refused, for they are in everything. Records out of which the detectors had taken the person's identifier
// stay; the key goes by which they were found (persons.go).
func (l *Log) Erase(e Erasure, by, why string, dry bool) (*Erased, error) {
	s := e.Scope()
	if err := checkScope(&s); err != nil {
		return nil, err
	}
	e = ErasureOf(s, e.Trace)
	l.orders.Lock()
	defer l.orders.Unlock()
	all, err := l.ordersNow()
	if err != nil {
		return nil, err
	}
	p, err := (&picker{dir: l.dir, e: e, holds: holdsOf(all)}).pick()
	if err != nil || dry || p.Records == 0 && !p.Untag {
		return &p.Erased, err
	}
	return l.destroy(p, &access.Order{ID: newOrderID("e_"), Scope: unnamed(s), Trace: e.Trace}, s.Person, by, why)
}

// destroy records an erasure and carries it out. The caller holds l.orders.
func (l *Log) destroy(p *picked, o *access.Order, person, by, why string) (*Erased, error) {
	o.Records, o.Positions, o.Digest, o.Held = p.Records, runs(p.Positions), digestOf(p.Positions), p.Held
	if p.Untag {
		o.Tagged = p.Tagged
	}
	if person != "" {
		p.Salt = make([]byte, 16)
		rand.Read(p.Salt)
		o.Person = PersonHash(p.Salt, person)
	}
	rec, err := orderRecord(access.RecordErased, o, access.Scope{}, by, why)
	if err != nil {
		return nil, err
	}
	if err := l.carryOut(&pending{ID: o.ID, Record: rec, Content: runsOf(p.content), Trace: runsOf(p.trace), Persons: p.persons}); err != nil {
		return nil, err
	}
	p.ID, p.Position = o.ID, rec.Position
	return &p.Erased, nil
}

// PersonHash is the Person of an Order, for a certificate that has the salt: HMAC-SHA-256 of the identifier in small
// letters without the spaces around it.
func PersonHash(salt []byte, person string) string {
	h := hmac.New(sha256.New, salt)
	h.Write([]byte(strings.ToLower(strings.TrimSpace(person))))
	return hex.EncodeToString(h.Sum(nil))
}
