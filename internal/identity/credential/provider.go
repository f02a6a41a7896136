package credential

import (
	"bytes"

	"go.etcd.io/bbolt"

	"sallyport/internal/access"
)

var bucketProviders = []byte("providers") // issuer -> digest of its definition

// Configured compares the definitions of providers, digests by issuer, with those that were in force before, and deletes what was issued on the word of
// those that are gone or changed: under the new definition, who has it may be somebody else, or in other groups. So it does with what was issued to
// names that are foreign: another provider's to say now. It says which providers these are, and whose credentials are gone.
func (s *Store) Configured(now map[string]string, foreign func(issuer, name string) bool) (changed map[string]bool, whose []access.Principal, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	changed = map[string]bool{}
	same := true
	err = s.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketProviders)
		n := 0
		err := b.ForEach(func(issuer, digest []byte) error {
			n++
			if now[string(issuer)] != string(digest) {
				changed[string(issuer)], same = true, false
			}
			return nil
		})
		same = same && n == len(now)
		return err
	})
	if err != nil {
		return nil, nil, s.failed(err)
	}
	var gone []*entry
	s.mu.RLock()
	for _, e := range s.byID {
		if changed[e.Proof.Issuer] || foreign(e.Proof.Issuer, e.Name) {
			gone = append(gone, e)
			whose = append(whose, e.principal(access.BySecret))
		}
	}
	s.mu.RUnlock()
	if same && len(gone) == 0 {
		return changed, nil, nil
	}
	err = s.db.Update(func(tx *bbolt.Tx) error {
		if err := deleteEntries(tx, gone); err != nil {
			return err
		}
		b := tx.Bucket(bucketProviders)
		for issuer := range changed {
			if err := b.Delete([]byte(issuer)); err != nil {
				return err
			}
		}
		for issuer, digest := range now {
			if bytes.Equal(b.Get([]byte(issuer)), []byte(digest)) {
				continue
			}
			if err := b.Put([]byte(issuer), []byte(digest)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, nil, s.failed(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(gone)
	return changed, whose, nil
}
