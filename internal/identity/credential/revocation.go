package credential

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
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
	// Ordered is what Before, and Why what Cause, was in the last order of an operator. A log-out or other groups, of the same name or account, may
	// have come after it, and withdraw more proofs, but no approvals.
	Ordered time.Time `json:"ordered,omitzero"`
	Why     string    `json:"why,omitempty"`
}

// keepOrder has w be ordered as o was, where that withdraws more.
func (w *withdrawal) keepOrder(o *withdrawal) {
	if o.Ordered.After(w.Ordered) {
		w.Ordered, w.Why = o.Ordered, o.Why
	}
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

// key is the same for revocations that differ in time, cause and the case of names alone.
func (w *withdrawal) key() []byte {
	r := w.Revocation
	r.Principal, r.Actor, r.Before, r.Cause, r.Accounts = Folded(r.Principal), Folded(r.Actor), time.Time{}, "", nil
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
		return "p" + Folded(r.Principal)
	case r.Actor != "":
		return "a" + Folded(r.Actor)
	}
	return "i" + r.Issuer
}

// handles are all that a revocation is found by: its own, and those of the accounts that it has come to withdraw.
func handles(r access.Revocation) []string {
	out := []string{handle(r)}
	for _, a := range r.Accounts {
		out = append(out, "u"+a.Subject)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (m revocations) add(w *withdrawal) {
	for _, h := range handles(w.Revocation) {
		m[h] = append(m[h], w)
	}
}

func (m revocations) remove(w *withdrawal) {
	for _, h := range handles(w.Revocation) {
		if m[h] = slices.DeleteFunc(slices.Clone(m[h]), func(o *withdrawal) bool { return o == w }); len(m[h]) == 0 {
			delete(m, h)
		}
	}
}

// all are the revocations, each once.
func (m revocations) all() (out []*withdrawal) {
	for h, list := range m {
		for _, w := range list {
			if h == handle(w.Revocation) {
				out = append(out, w)
			}
		}
	}
	return out
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
	for _, w := range m.all() {
		if !w.Until.IsZero() && !now.Before(w.Until) {
			out = append(out, w)
		}
	}
	return out
}

// covers finds a revocation of the proof of p.
func (m revocations) covers(p access.Principal) *withdrawal {
	q := p.Proof
	handles := [...]string{"c" + q.Credential, "t" + q.Token, "t" + q.Twin, "s" + q.Session, "u" + q.Subject, "p" + Folded(p.Name), "a" + Folded(p.Actor), "a" + Folded(p.Name), "i" + q.Issuer}
	find := func(h string) *withdrawal {
		for _, w := range m[h] {
			if w.covers(p) {
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
		if w := find("a" + Folded(a)); w != nil {
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
func (s *Store) Revoke(r access.Revocation) error { return s.withdraw(r, false) }

// Order is Revoke at the order of an operator, which is kept as one (Ordered).
func (s *Store) Order(r access.Revocation) error { return s.withdraw(r, true) }

func (s *Store) withdraw(r access.Revocation, order bool) error {
	if !names(r) {
		return &access.Error{Kind: access.Invalid, Code: "22023", Message: "a revocation has to say of what", Hint: "name a principal, an actor, a token, a credential, or an issuer with its subject or session"}
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.revoke(r, order)
}

// names reports whether a revocation says of what.
func names(r access.Revocation) bool {
	return r.Principal != "" || r.Actor != "" || r.Issuer != "" || r.Subject != "" || r.Session != "" || r.Token != "" || r.Credential != ""
}

// revoke is Revoke, or Order, for who has s.writing.
func (s *Store) revoke(r access.Revocation, order bool) error {
	w := &withdrawal{Revocation: s.Widened(r), Until: until(r, s.now())}
	if order {
		w.Ordered, w.Why = r.Before, r.Cause
	}
	s.mu.RLock()
	before := s.revoked.same(w)
	if before != nil {
		if before.Before.IsZero() && !r.Before.IsZero() { // for good it was, and is
			w.Cause = before.Cause
		}
		w.Accounts = joined(before.Accounts, w.Accounts)
		w.keepOrder(before)
	}
	r = w.Revocation
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
	s.listRevoked()
	return nil
}

// Revoked reports whether there is a revocation of just what r names, whenever and for whatever cause it was made.
func (s *Store) Revoked(r access.Revocation) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.revoked.same(&withdrawal{Revocation: r}) != nil
}

// Restore takes a revocation back: what it withdrew and has not ended otherwise holds again. What the gateway had issued has. ok is false where there
// was none.
func (s *Store) Restore(r access.Revocation) (ok bool, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.RLock()
	w := s.revoked.same(&withdrawal{Revocation: r})
	s.mu.RUnlock()
	if w == nil {
		return false, nil
	}
	if err := s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketRevocations).Delete(w.key()) }); err != nil {
		return false, s.failed(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revoked.remove(w)
	s.listRevoked()
	return true, nil
}

// Revocations are those in force, the newest first, and those for good before.
func (s *Store) Revocations() []access.Revocation {
	s.mu.RLock()
	defer s.mu.RUnlock()
	now := s.now()
	var out []access.Revocation
	for _, w := range s.revoked.all() {
		if w.Until.IsZero() || now.Before(w.Until) {
			out = append(out, w.Revocation)
		}
	}
	slices.SortFunc(out, func(a, b access.Revocation) int {
		if a.Before.IsZero() != b.Before.IsZero() {
			if a.Before.IsZero() {
				return -1
			}
			return 1
		}
		return cmp.Or(b.Before.Compare(a.Before), strings.Compare(handle(a), handle(b)))
	})
	return out
}

// ForGood are the revocations in force that are for good and of whole principals, accounts or providers, not of single proofs. They are not to be
// changed.
func (s *Store) ForGood() []access.Revocation { return *s.forGood.Load() }

// Ordered are the revocations in force that operators ordered of whole principals, accounts or providers, of what was issued before a moment. They
// are not to be changed.
func (s *Store) Ordered() []access.Revocation { return *s.ordered.Load() }

// listRevoked makes what ForGood and Ordered give. The caller has the lock, or the Store to itself.
func (s *Store) listRevoked() {
	var forGood, ordered []access.Revocation
	for _, w := range s.revoked.all() {
		switch {
		case w.Token != "" || w.Credential != "" || w.Session != "":
		case w.Before.IsZero():
			forGood = append(forGood, w.Revocation)
		case !w.Ordered.IsZero() && w.Actor == "":
			r := w.Revocation
			r.Before, r.Cause = w.Ordered, w.Why
			ordered = append(ordered, r)
		}
	}
	s.forGood.Store(&forGood)
	s.ordered.Store(&ordered)
}

// Barred reports whether the proof of p holds no longer and none that p could get would: it was withdrawn for good.
func (s *Store) Barred(p access.Principal) bool {
	return slices.ContainsFunc(s.ForGood(), func(r access.Revocation) bool { return r.Covers(p) })
}
