package credential

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"sallyport/internal/access"
)

// Glass is a log-in by what is kept for when nobody else can come in, that nobody has looked at. The record has it too, and for good.
type Glass struct {
	ID         string        `json:"id"`
	Time       time.Time     `json:"time"`
	Principal  string        `json:"principal"`
	Method     access.Method `json:"method"`
	Door       access.Door   `json:"door,omitempty"`
	Connection string        `json:"connection,omitempty"`
	Client     string        `json:"client,omitempty"`
}

// KeepGlass keeps a log-in until somebody has looked at it.
func (s *Store) KeepGlass(g Glass) error {
	v, err := json.Marshal(g)
	if err != nil {
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.failed(s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketGlass).Put([]byte(g.ID), v) }))
}

// Glasses lists what nobody has looked at, the newest first.
func (s *Store) Glasses() (list []Glass, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketGlass).ForEach(func(_, v []byte) error {
			var g Glass
			if err := json.Unmarshal(v, &g); err != nil {
				return fmt.Errorf("a log-in by break glass cannot be read: %w", err)
			}
			list = append(list, g)
			return nil
		})
	})
	slices.SortStableFunc(list, func(a, b Glass) int { return b.Time.Compare(a.Time) })
	return list, err
}

// DropGlass forgets a log-in that somebody has looked at.
func (s *Store) DropGlass(id string) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.failed(s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketGlass).Delete([]byte(id)) }))
}
