package credential

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"go.etcd.io/bbolt"

	"sallyport/internal/access"
)

// A provider's names change hands, and people change names. That a name was withdrawn is meant of whoever has it, so the file says which account came
// in under a name last.

const (
	// bornAnew is how long a bearer's last coming may be behind in the file.
	bornAnew = 24 * time.Hour
	// mostAccounts is how many accounts one revocation comes to withdraw: who can choose their name at a provider makes no list grow for ever.
	mostAccounts = 100
)

// bearer is who had a name at a provider last.
type bearer struct {
	Issuer  string    `json:"iss"`
	Name    string    `json:"name"`
	Subject string    `json:"sub"`
	Seen    time.Time `json:"seen"`
}

type bearerKey struct{ issuer, name string }

type bearers map[bearerKey]bearer

func (b bearer) key() bearerKey { return bearerKey{b.Issuer, b.Name} }

// at is the key of the file.
func (k bearerKey) at() []byte {
	b, _ := json.Marshal([]string{k.issuer, k.name}) // strings only
	return b
}

// of are the accounts that had a name last, in any case, at a provider; with issuer "" at each.
func (m bearers) of(name, issuer string) (out []access.Account) {
	for k, b := range m {
		if strings.EqualFold(k.name, name) && (issuer == "" || k.issuer == issuer) {
			out = append(out, access.Account{Issuer: k.issuer, Subject: b.Subject})
		}
	}
	return out
}

// Widened is r with the accounts that had its principal's name last.
func (s *Store) Widened(r access.Revocation) access.Revocation {
	if r.Principal != "" && r.Subject == "" {
		s.mu.RLock()
		defer s.mu.RUnlock()
		r.Accounts = joined(r.Accounts, s.bearers.of(r.Principal, r.Issuer))
	}
	return r
}

// Bears notes that p, whom a provider speaks for, has come in under their name. It is in the file before it is believed.
func (s *Store) Bears(p access.Principal) error {
	b := bearer{p.Proof.Issuer, p.Name, p.Proof.Subject, s.now().UTC()}
	if b.Issuer == "" || b.Subject == "" {
		return nil
	}
	s.mu.RLock()
	old, known := s.bearers[b.key()]
	s.mu.RUnlock()
	if known && old.Subject == b.Subject && b.Seen.Sub(old.Seen) < bornAnew {
		return nil
	}
	v, err := json.Marshal(b)
	if err != nil {
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketBearers).Put(b.key().at(), v) }); err != nil {
		return s.failed(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bearers[b.key()] = b
	return nil
}

// Bind has the revocations for good of p's name withdraw p's account as well, for it came with that name.
func (s *Store) Bind(p access.Principal) error {
	a := access.Account{Issuer: p.Proof.Issuer, Subject: p.Proof.Subject}
	if a.Issuer == "" || a.Subject == "" {
		return nil
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	for _, r := range s.ForGood() {
		if !strings.EqualFold(r.Principal, p.Name) || r.Subject != "" || !r.Covers(p) || slices.Contains(r.Accounts, a) || len(r.Accounts) >= mostAccounts {
			continue
		}
		r.Accounts = []access.Account{a}
		if err := s.revoke(r, false); err != nil {
			return err
		}
	}
	return nil
}

// joined are the accounts of both lists, each once.
func joined(a, b []access.Account) []access.Account {
	out := slices.Concat(a, b)
	slices.SortFunc(out, func(x, y access.Account) int {
		return strings.Compare(x.Issuer+"\x00"+x.Subject, y.Issuer+"\x00"+y.Subject)
	})
	return slices.Compact(out)
}

func (s *Store) loadBearers(tx *bbolt.Tx) error {
	return tx.Bucket(bucketBearers).ForEach(func(_, v []byte) error {
		var b bearer
		if err := json.Unmarshal(v, &b); err != nil {
			return fmt.Errorf("who had a name last cannot be read: %w", err)
		}
		s.bearers[b.key()] = b
		return nil
	})
}

// forgotten are bearers of whom no proof can be as young as to hold. The caller has the lock.
func (m bearers) forgotten(now time.Time) (out []bearerKey) {
	for k, b := range m {
		if now.Sub(b.Seen) > remembered+bornAnew {
			out = append(out, k)
		}
	}
	return out
}

// Folded is the same of two names where strings.EqualFold takes them for one.
func Folded(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, name)
}
