package credential

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"sallyport/internal/access"
)

// Whoever logs in makes a key, and renews by a refresh token for the same one: identity tokens of both are bound to it. So the file says since when it
// knows a key. An order to withdraw what there is means the log-in, and not the hour of a renewal that comes after it: what has the refresh token, a stolen
// machine, is not somebody who logs in anew.

var bucketLogins = []byte("logins") // SHA-256 of a key's SubjectPublicKeyInfo -> login

// login is what is known of a key.
type login struct {
	First time.Time `json:"first"` // when its person logged in
	Last  time.Time `json:"last"`  // when something was issued for it last
}

func keyOf(csr *x509.CertificateRequest) []byte {
	sum := sha256.Sum256(csr.RawSubjectPublicKeyInfo)
	return sum[:]
}

// since is when the person logged in of whom a proof for a key is. The caller has s.writing.
func (s *Store) since(key []byte, q access.Proof) (first time.Time, err error) {
	first = q.Issued
	if !q.Since.IsZero() && q.Since.Before(first) {
		first = q.Since
	}
	err = s.db.View(func(tx *bbolt.Tx) error {
		v := tx.Bucket(bucketLogins).Get(key)
		if v == nil {
			return nil
		}
		var l login
		if err := json.Unmarshal(v, &l); err != nil {
			return fmt.Errorf("when somebody logged in cannot be read: %w", err) // to leave it out would take a renewal for a log-in
		}
		if l.First.Before(first) {
			first = l.First
		}
		return nil
	})
	return first, err
}

func keepLogin(tx *bbolt.Tx, key []byte, l login) error {
	v, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return tx.Bucket(bucketLogins).Put(key, v)
}

// loginsBefore lists keys for which nothing was issued as long as revocations are kept.
func (s *Store) loginsBefore(now time.Time) (keys [][]byte, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketLogins).ForEach(func(k, v []byte) error {
			var l login
			if json.Unmarshal(v, &l) == nil && now.Sub(l.Last) > remembered+Longest {
				keys = append(keys, append([]byte(nil), k...))
			}
			return nil
		})
	})
	return keys, err
}

// covers reports whether w withdraws the proof of p. An operator's order reaches what renews a log-in of before it.
func (w *withdrawal) covers(p access.Principal) bool {
	if w.Covers(p) {
		return true
	}
	if w.Ordered.IsZero() || p.Proof.Since.IsZero() || !p.Proof.Since.Before(w.Ordered) {
		return false
	}
	r := w.Revocation
	r.Before = time.Time{}
	return r.Covers(p)
}
