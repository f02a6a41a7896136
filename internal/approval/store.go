package approval

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
)

var bucketRequests = []byte("requests")

// store is the file of requests, by id. An id begins with the time of its request, so that the order of keys is that of time.
type store struct{ db *bbolt.DB }

func openStore(path string) (*store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucketRequests)
		return err
	})
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &store{db}, nil
}

// put writes a request where the one stored has the revision before, or none is stored and the revision is the first.
func (s *store) put(r *Request) error {
	v, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return s.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketRequests)
		old, err := decode(b.Get([]byte(r.ID)))
		switch {
		case err != nil:
			return err
		case old == nil && r.Revision != 1, old != nil && old.Revision+1 != r.Revision:
			return errStale
		}
		return b.Put([]byte(r.ID), v)
	})
}

// get gives a request, or nil.
func (s *store) get(id string) (r *Request, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		r, err = decode(tx.Bucket(bucketRequests).Get([]byte(id)))
		return err
	})
	return r, err
}

// newest calls f with requests, the newest first, until it answers false. A request that cannot be read is an error: what
// was decided about it must not be forgotten in silence.
func (s *store) newest(before string, f func(*Request) bool) error {
	return s.db.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucketRequests).Cursor()
		k, v := c.Last()
		if before != "" {
			if k, _ = c.Seek([]byte(before)); k == nil {
				k, v = c.Last()
			} else {
				k, v = c.Prev()
			}
		}
		for ; k != nil; k, v = c.Prev() {
			r, err := decode(v)
			if err != nil {
				return fmt.Errorf("request %q: %w", k, err)
			}
			if !f(r) {
				return nil
			}
		}
		return nil
	})
}

func (s *store) remove(ids []string) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		for _, id := range ids {
			if err := tx.Bucket(bucketRequests).Delete([]byte(id)); err != nil {
				return err
			}
		}
		return nil
	})
}

func decode(v []byte) (*Request, error) {
	if v == nil {
		return nil, nil
	}
	r := new(Request)
	if err := json.Unmarshal(v, r); err != nil {
		return nil, fmt.Errorf("a stored request cannot be read: %w", err)
	}
	return r, nil
}
