package export

import (
	"context"
	"maps"
	"time"

	"sallyport/internal/access"
)

// Receiver takes records one by one. It is used by one goroutine.
type Receiver interface {
	// Place says what kind of receiver it is and where, without secrets.
	Place() string
	// Receive returns nil once the record is where it belongs, also where that is nowhere. On any other error the same record comes
	// again: at once after another start, otherwise when a while has passed, or what the error asks for (Later). One that can
	// never be taken (Rejected) stops the exporter.
	Receive(ctx context.Context, log string, rec *access.Record) error
	Close() error
}

// Rejected says that what was sent is not taken and would not be taken again.
func Rejected(why string) error { return &rejected{why: why} }

// IsRejected reports whether an error is one of Rejected, or of Post where the answer says so.
func IsRejected(err error) bool { return isRejected(err) }

// Later says how long a receiver asks to be left alone for.
func Later(err error, wait time.Duration) error { return &later{err: err, wait: wait} }

// receiverSink hands a batch, which is of one record, to a Receiver.
type receiverSink struct{ to Receiver }

func (s receiverSink) send(ctx context.Context, b *batch) error {
	for _, en := range b.entries {
		if err := s.to.Receive(ctx, b.log, en.Record); err != nil {
			return err
		}
	}
	return nil
}

func (s receiverSink) close() error { return s.to.Close() }

// deliverAll delivers a batch: to a Receiver record by record, so that what it has taken does not come again with the next.
func (e *exporter) deliverAll(ctx context.Context, b *batch) error {
	if e.config.Receiver == nil {
		return e.deliver(ctx, b)
	}
	for i := range b.entries {
		if err := e.deliver(ctx, &batch{log: b.log, entries: b.entries[i : i+1]}); err != nil {
			return err
		}
	}
	return nil
}

// passEvery is how often a cursor is saved that was moved over records of other kinds only: nothing would be sent again for the lack of it.
const passEvery = 10 * time.Second

// passOver moves the cursor over records of other kinds.
func (e *exporter) passOver() error {
	at := e.tail.Position()
	if len(e.config.Kinds) == 0 || at <= e.cursor.Position {
		return nil
	}
	c := &cursor{Log: e.cursor.Log, Position: at, Sessions: maps.Clone(e.cursor.Sessions)}
	e.cursor = c
	if time.Since(e.saved) > passEvery {
		e.saved = time.Now()
		return e.keep(c)
	}
	e.mu.Lock()
	e.shared.Position = at
	e.mu.Unlock()
	return nil
}
