package credential

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"time"

	"go.etcd.io/bbolt"

	"sallyport/internal/access"
)

// errUsed refuses a provider's token that was handed in before: who has seen one on its way gets nothing for it.
var errUsed = &access.Error{Kind: access.Denied, Code: "28000", Message: "the provider's token was used before", Hint: "log in again"}

// Unused refuses, as Use does, what was handed in before. It notes nothing.
func (s *Store) Unused(sum string) error {
	key, err := hex.DecodeString(sum)
	if err != nil {
		return err
	}
	return s.failed(s.db.View(func(tx *bbolt.Tx) error {
		if tx.Bucket(bucketUsed).Get(key) != nil {
			return errUsed
		}
		return nil
	}))
}

// Use notes that an identity token or a logout token was handed in, until it expires and nobody takes it any more. sum is its SHA-256 in hex (access.Proof.Once). A second time is an
// *access.Error of kind Denied.
func (s *Store) Use(sum string, expires time.Time) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.failed(s.db.Update(func(tx *bbolt.Tx) error { return use(tx, sum, expires) }))
}

func use(tx *bbolt.Tx, sum string, expires time.Time) error {
	key, err := hex.DecodeString(sum)
	if err != nil || len(key) != 32 || expires.IsZero() {
		return errors.New("a token without a hash or an end cannot be used once")
	}
	b := tx.Bucket(bucketUsed)
	if b.Get(key) != nil {
		return errUsed
	}
	// Verifiers grant tokens some time after their end, for clocks that differ.
	return b.Put(key, binary.BigEndian.AppendUint64(nil, uint64(expires.Add(time.Hour).Unix())))
}

// usedBefore lists tokens that have expired.
func (s *Store) usedBefore(now time.Time) (keys [][]byte, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketUsed).ForEach(func(k, v []byte) error {
			if len(v) != 8 || int64(binary.BigEndian.Uint64(v)) < now.Unix() {
				keys = append(keys, append([]byte(nil), k...))
			}
			return nil
		})
	})
	return keys, err
}

// failed makes a failure of the file one that says so; refusals stay as they are.
func (s *Store) failed(err error) error {
	var ae *access.Error
	if err == nil || errors.As(err, &ae) {
		return err
	}
	return &access.Error{Kind: access.Unavailable, Code: "58030", Message: "the gateway cannot keep what it would issue or withdraw", Hint: "tell its operator: its data directory cannot be written", Err: err}
}

// FirstKnown gives when the gateway first knew each of the configuration's static tokens, by their SHA-256 in lower-case hex: they carry no time
// of their own, and a revocation of what was issued before a moment has to know. Tokens that are no longer in the list are
// forgotten.
func (s *Store) FirstKnown(sums []string) (map[string]time.Time, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	out := map[string]time.Time{}
	now := s.now().UTC()
	known := func(b *bbolt.Bucket) bool {
		clear(out)
		for _, sum := range sums {
			if v := b.Get([]byte(sum)); len(v) == 8 {
				out[sum] = time.Unix(0, int64(binary.BigEndian.Uint64(v))).UTC()
			}
		}
		return len(out) == len(sums) && b.Stats().KeyN == len(sums)
	}
	same := false
	if err := s.db.View(func(tx *bbolt.Tx) error { same = known(tx.Bucket(bucketTokens)); return nil }); err != nil || same {
		return out, s.failed(err)
	}
	err := s.db.Update(func(tx *bbolt.Tx) error {
		known(tx.Bucket(bucketTokens))
		if err := tx.DeleteBucket(bucketTokens); err != nil {
			return err
		}
		b, err := tx.CreateBucket(bucketTokens)
		if err != nil {
			return err
		}
		for _, sum := range sums {
			if out[sum].IsZero() {
				out[sum] = now
			}
			if err := b.Put([]byte(sum), binary.BigEndian.AppendUint64(nil, uint64(out[sum].UnixNano()))); err != nil {
				return err
			}
		}
		return nil
	})
	return out, s.failed(err)
}
