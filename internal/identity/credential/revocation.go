package credential

import (
	"encoding/json"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"sallyport/internal/access"
)

// remembered is how long revocations of a provider's tokens are kept. Proofs that are older do not hold: nobody knows any more.
const remembered = 90 * 24 * time.Hour

// withdrawal is a revocation with what sweeping it needs.
type withdrawal struct {
	access.Revocation
	Until time.Time `json:"until,omitzero"` // from then on nothing can match; zero is never
}

// until is when nothing can match r any more. What the gateway issued is gone with its own end, and a provider's token with the time that
// revocations are kept; passwords and static tokens of the configuration may come back at any time.
func until(r access.Revocation, now time.Time) time.Time {
	switch {
	case r.Credential != "":
		return now.Add(Longest + time.Hour)
	case !r.Before.IsZero() && (r.Issuer != "" || r.Subject != "" || r.Session != ""):
		return r.Before.Add(remembered + time.Hour)
	}
	return time.Time{}
}

// key is the same for revocations that differ in time and cause alone.
func (w *withdrawal) key() []byte {
	r := w.Revocation
	r.Before, r.Cause = time.Time{}, ""
	b, _ := json.Marshal(r) // strings only
	return b
}

// revocations are found by one of what they ask for, the most telling.
type revocations map[string][]*withdrawal

// handle is what a revocation is found by.
func handle(r access.Revocation) string {
	switch {
	case r.Credential != "":
		return "c" + r.Credential
	case r.Token != "":
		return "t" + r.Token
	case r.Subject != "": // before its session, which not every proof of it says
		return "u" + r.Subject
	case r.Session != "":
		return "s" + r.Session
	case r.Principal != "":
		return "p" + r.Principal
	case r.Actor != "":
		return "a" + r.Actor
	}
	return "i" + r.Issuer
}

func (m revocations) add(w *withdrawal) {
	h := handle(w.Revocation)
	m[h] = append(m[h], w)
}

func (m revocations) remove(w *withdrawal) {
	h := handle(w.Revocation)
	if m[h] = slices.DeleteFunc(slices.Clone(m[h]), func(o *withdrawal) bool { return o == w }); len(m[h]) == 0 {
		delete(m, h)
	}
}

// same gives the revocation that differs from r in time and cause alone, or nil.
func (m revocations) same(w *withdrawal) *withdrawal {
	key := string(w.key())
	for _, o := range m[handle(w.Revocation)] {
		if string(o.key()) == key {
			return o
		}
	}
	return nil
}

func (m revocations) over(now time.Time) (out []*withdrawal) {
	for _, list := range m {
		for _, w := range list {
			if !w.Until.IsZero() && !now.Before(w.Until) {
				out = append(out, w)
			}
		}
	}
	return out
}

// covers finds a revocation of the proof of p.
func (m revocations) covers(p access.Principal) *withdrawal {
	q := p.Proof
	handles := [...]string{"c" + q.Credential, "t" + q.Token, "s" + q.Session, "u" + q.Subject, "p" + p.Name, "a" + p.Actor, "i" + q.Issuer}
	find := func(h string) *withdrawal {
		for _, w := range m[h] {
			if w.Covers(p) {
				return w
			}
		}
		return nil
	}
	for _, h := range handles {
		if w := find(h); w != nil {
			return w
		}
	}
	for _, a := range p.Behind {
		if w := find("a" + a); w != nil {
			return w
		}
	}
	return nil
}

// Withdrawn says whether, and why, the proof of p holds no longer.
func (s *Store) Withdrawn(p access.Principal) (cause string, yes bool) {
	if p.Proof.Issuer != "" && s.now().Sub(p.Proof.Issued) > remembered {
		return "issued so long ago that nobody knows whether it was withdrawn", true
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if w := s.revoked.covers(p); w != nil {
		return w.Cause, true
	}
	if p.Proof.Credential != "" && s.live(p.Proof.Credential) == nil {
		return "it has expired, or later log-ins took its place", true
	}
	return "", false
}

// Revoke withdraws what r covers, for good or what was issued before r.Before, and deletes what was issued by then. It is durable when Revoke
// returns. A Revocation that names nothing is an error: it would withdraw nothing.
func (s *Store) Revoke(r access.Revocation) error {
	w := &withdrawal{Revocation: r, Until: until(r, s.now())}
	if (access.Revocation{Cause: r.Cause, Before: r.Before}) == r {
		return &access.Error{Kind: access.Invalid, Code: "22023", Message: "a revocation has to say of what", Hint: "name a principal, an actor, a token, a credential, or an issuer with its subject or session"}
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.RLock()
	before := s.revoked.same(w)
	var gone []*entry
	for _, e := range s.byID {
		if r.Covers(e.principal(access.BySecret)) {
			gone = append(gone, e)
		}
	}
	s.mu.RUnlock()
	if before != nil && (before.Before.IsZero() || !r.Before.IsZero() && before.Before.After(r.Before)) {
		w.Before, w.Until = before.Before, before.Until // it withdraws more
	}
	text, err := json.Marshal(w)
	if err != nil {
		return s.failed(err)
	}
	err = s.db.Update(func(tx *bbolt.Tx) error {
		if err := deleteEntries(tx, gone); err != nil {
			return err
		}
		return tx.Bucket(bucketRevocations).Put(w.key(), text)
	})
	if err != nil {
		return s.failed(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(gone)
	if before != nil {
		s.revoked.remove(before)
	}
	s.revoked.add(w)
	return nil
}
