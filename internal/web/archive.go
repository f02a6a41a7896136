package web

import (
	"context"
	"io"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
)

// Archive is what has been recorded, and what stands in the policy files, as the program gives it: this door may not read them itself. Its functions may be called at
// once from any goroutine; who may ask is decided here before they are.
type Archive struct {
	// Find gives a page of records, the newest first.
	Find func(ctx context.Context, q RecordQuery) (RecordPage, error)
	// Replay writes a session as an asciicast: what was done in it in somebody's name, or all of it where that is nil. Sessions of the gateway itself
	// hold the requests of many.
	Replay func(ctx context.Context, w io.Writer, session string, of *access.Principal) error
	// Evidence writes a bundle about a session.
	Evidence func(ctx context.Context, w io.Writer, session string) error
	// Status says how the log stands.
	Status func(ctx context.Context) ([]StatusLine, error)
	// OnDisk gives the policy files as a reload would read them now. An error says in an *access.Error, with file and line, why it would
	// take nothing; the files come with it where they could be read. nil: the page does not compare.
	OnDisk func(ctx context.Context) ([]gateway.PolicyFile, error)
	// Judge holds the cases of a text in the YAML of `sallyport policy test` against policies. It runs nothing. An
	// *access.Error says which line of the text is not sound, or why nothing can be judged. nil: the page has no form.
	Judge func(ctx context.Context, cases string, by Judging) ([]CaseResult, error)
}

// Judging says by which policies cases are judged. The zero value is by those in force.
type Judging struct {
	OnDisk  bool // by the policy files as they are on disk
	Scratch bool // on disk, cases with sql too: a second core is opened for them, which reads the catalogs of their connections. Without it they are left out
}

// MostCases is the most that Archive.Judge takes at a time.
const MostCases = 200

// CaseResult is what came of one case.
type CaseResult struct {
	Name    string
	Line    int      // where it begins, from 1
	Differs []string // from what it expects; none: it holds
	Left    string   // why it was not judged; "" where it was
}

// RecordQuery picks records. Empty fields pick all; the others must all match.
type RecordQuery struct {
	// Of is in whose name it was done, as access.Principal.Same has it: Principal goes by the name alone, which others may have had. What a
	// record does not prove to be theirs is not.
	Of                                                      *access.Principal
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
