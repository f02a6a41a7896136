package web

import (
	"context"
	"io"
	"time"

	"sallyport/internal/access"
)

// Archive is what has been recorded, as the program gives it: this door may not read the log itself. Its functions may be called at
// once from any goroutine; who may ask is decided here before they are.
type Archive struct {
	// Find gives a page of records, the newest first.
	Find func(ctx context.Context, q RecordQuery) (RecordPage, error)
	// Replay writes a session as an asciicast.
	Replay func(ctx context.Context, w io.Writer, session string) error
	// Evidence writes a bundle about a session.
	Evidence func(ctx context.Context, w io.Writer, session string) error
	// Status says how the log stands.
	Status func(ctx context.Context) ([]StatusLine, error)
}

// RecordQuery picks records. Empty fields pick all; the others must all match.
type RecordQuery struct {
	Words                                                   []string // of statement, reason, goal or ticket: whole words
	Principal, Actor, Session, Task, Connection, Door, Kind string
	Relation, Label, Decision                               string // schema.table or table; of columns used; allow, deny or review
	Since, Until                                            time.Time
	Before                                                  uint64 // at positions below; 0: the newest
	Limit                                                   int
}

// RecordPage is a part of what was found. Next is the Before of the next page, 0 where there is none; Through is the newest
// position that was looked at.
type RecordPage struct {
	Records       []*access.Record
	Next, Through uint64
}

// StatusLine is one fact about the log.
type StatusLine struct {
	Key, Text string
	Problem   bool
}
