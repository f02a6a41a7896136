package index

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"os"

	"go.etcd.io/bbolt"

	"sallyport/audit"
	"sallyport/internal/access"
)

// Detached is an index in dir that belongs to no log, to measure it with more records than one has a log of. It has
// candidates only.
func Detached(dir string) *Index {
	return &Index{dir: dir, log: slog.New(slog.DiscardHandler), detached: true}
}

// Feed adds records to a detached index, as if they lay one after the other in segments of their chunks.
func (x *Index) Feed(ctx context.Context, records iter.Seq[*access.Record]) error {
	if !x.detached {
		return errors.New("an index of a log takes its records from the log")
	}
	key, err := readKey(x.dir)
	s := &state{Format: format, Next: 1}
	if errors.Is(err, errNoKey) {
		if err := os.MkdirAll(x.dir, 0o700); err != nil {
			return err
		}
		key, err = makeKey(x.dir)
	}
	if err != nil {
		return err
	}
	h := newHasher(key)
	s.Key = keyMark(h)
	store := func(b *batch) error {
		s.Next = b.next
		return x.writing(ctx, func(db *bbolt.DB) error {
			return db.Update(func(tx *bbolt.Tx) error {
				if err := s.begin(tx); err != nil {
					return err
				}
				return b.store(tx, h)
			})
		})
	}
	b := newBatch(1)
	at := audit.Place{Segment: 1, Offset: 1 << 10}
	for rec := range records {
		if b.full(b.next) {
			if err := store(b); err != nil {
				return err
			}
			at = audit.Place{Segment: b.next, Offset: 1 << 10}
			b = newBatch(b.next)
		}
		b.add(rec, at, nil)
		at.Offset += 800
	}
	return store(b)
}
