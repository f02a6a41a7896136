package export

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// sink is a receiver. It is used by one goroutine.
type sink interface {
	// send returns nil once the receiver has acknowledged all of the batch. On any error the same records come again,
	// perhaps in other batches.
	send(ctx context.Context, b *batch) error
	close() error
}

// recaller is a sink that knows by itself what it has.
type recaller interface {
	// recall gives the last position that the receiver has of a log, and the link of its event; 0 is none.
	recall(log string) (uint64, *link, error)
}

// batch is a run of records, in order and without gaps.
type batch struct {
	log     string
	entries []entry
	lines   [][]byte // one an entry, where the sink takes text
	part    bool     // the rest of what was read follows
}

func (b *batch) first() uint64 { return b.entries[0].Position }
func (b *batch) last() uint64  { return b.entries[len(b.entries)-1].Position }

// rejected is the answer of a receiver that does not take what was sent and would not take it again.
type rejected struct{ why string }

func (r *rejected) Error() string { return "the receiver rejects it: " + r.why }

// later is an error with the time that the receiver asks to be left alone for.
type later struct {
	err  error
	wait time.Duration
}

func (l *later) Error() string { return l.err.Error() }
func (l *later) Unwrap() error { return l.err }

// stopped is an error that ends an exporter: only somebody who looks can know what is right.
type stopped struct {
	at   uint64
	err  error
	hint string
}

func (s *stopped) Error() string { return fmt.Sprintf("stopped at record %d: %v", s.at, s.err) }
func (s *stopped) Unwrap() error { return s.err }

func isRejected(err error) bool {
	var r *rejected
	return errors.As(err, &r)
}
