package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/pgframe"
	"sallyport/mask"
)

// resultCap is how many bytes of a result a record keeps as the client saw them. Beyond it a record has
// the result's shape and digest.
const resultCap = 16 << 10

// run is one execution of one statement.
type run struct {
	plan     *plan
	portal   *portal // nil for the simple protocol
	sql      string  // as asked
	params   []string
	probes   int64  // guesses at masked values that it answers
	approval string // the request under which it runs
	intent   uint64 // position of the durable intent, 0 for a pure read
	started  time.Time

	caps
	limited bool          // there were more rows than may be released
	refusal *access.Error // why the rest was not released

	handed  int // bytes of rows that were not left out
	omitted int // rows that were left out: see cut

	repeats  *mask.Repeats // what the detectors said of values; nil while there are few rows
	asks     *asks         // what the model said of values; nil while none was asked
	copy     *copyOut      // COPY TO STDOUT whose data the detectors watch
	rows     int64
	weight   int64 // bytes of them, where there is a cap on them
	detected int
	command  string
	from     int // held[from:end] are rows of this run that are not absorbed; -1: none
	end      int
	bytes    int64     // of rows, absorbed
	first    []byte    // the first rows, kept when the window went
	sum      hash.Hash // over rows, once absorbed
	columns  []string
	released bool
}

// addRun adds an execution and, unless it is a pure read, enqueues its intent.
func (s *Session) addRun(j judged, p *portal, params []string, sql string) int {
	if j.source != "" {
		sql = j.source
	}
	if j.waits() && j.approval == "" {
		s.logErr = errUnapproved
	}
	s.strain(j.plan)
	if j.plan.alters != 0 {
		s.alter(j.plan.alters)
	}
	s.runs = append(s.runs, run{plan: j.plan, portal: p, sql: sql, params: params, probes: j.probes, approval: j.approval, from: -1})
	if !j.plan.pure {
		s.dirty = true
		if j.plan.moves() {
			s.moved, s.mayMove = true, true // whatever becomes of it: a procedure may commit before it fails
		}
		s.recordIntent(&s.runs[len(s.runs)-1])
	}
	return len(s.runs) - 1
}

// stmtOf is what an EXECUTE runs, or nil. The unnamed statement is of the protocol alone.
func (s *Session) stmtOf(p *plan) *prepared {
	if p == nil || p.facts.Executes == "" {
		return nil
	}
	return s.stmts[p.facts.Executes]
}

// cursorOf is the cursor that a FETCH reads, or nil.
func (s *Session) cursorOf(p *plan) *portal {
	if p == nil || p.facts.Fetches == "" {
		return nil
	}
	return s.portals[p.facts.Fetches]
}

// mark remembers the column names for the record.
func (r *run) mark(s *Session) {
	if f := r.plan.fields.Load(); f != nil {
		r.columns = f.names
	}
}

// absorb takes held rows into the digest before they leave.
func (r *run) absorb(held []byte) {
	if r.from < 0 {
		return
	}
	rows := held[r.from:r.end]
	if r.sum == nil {
		r.sum = sha256.New()
		r.first = append([]byte(nil), wholeFrames(rows)...)
	}
	r.sum.Write(rows)
	r.bytes += int64(len(rows))
	r.from = -1
}

// wholeFrames is the longest run of whole frames of rows that a record keeps.
func wholeFrames(rows []byte) []byte {
	if len(rows) <= resultCap {
		return rows
	}
	kept := 0
	for {
		f, _, _, err := pgframe.Next(rows[kept:resultCap])
		if err != nil || f.Raw == nil {
			return rows[:kept]
		}
		kept += len(f.Raw)
	}
}

// begin marks what was just sent as running.
func (s *Session) begin() {
	now := time.Now()
	var limit access.Obligations // only its times
	for i := range s.runs {
		r := &s.runs[i]
		if r.started.IsZero() {
			r.started = now
			hasten(&limit, &r.plan.decision.Obligations)
		}
	}
	if len(s.runs) == 0 {
		// Parse and Bind take locks, and wait for them, whether or not Execute follows.
		for i := s.next; i < len(s.owed); i++ {
			if p := s.owed[i].plan; p != nil {
				hasten(&limit, &p.decision.Obligations)
			}
		}
	}
	s.busy.Store(true)
	s.active.Store(int64(now.Sub(start)))
	if s.stopped.Load() != nil {
		s.stopped.Store(nil)
	}
	if limit.Timeout > 0 || limit.LockTimeout > 0 {
		s.allow(&limit)
	}
}

// end marks the session as running nothing, and waits for a cancel request under way: it must not hit
// what comes next.
func (s *Session) end() {
	s.clock.stop()
	s.lockClock.stop()
	s.busy.Store(false)
	if !s.cancelMu.TryLock() {
		s.heavy()
		s.cancelMu.Lock()
	}
	s.cancelMu.Unlock()
}

// abandon records what was running when the session ended: nobody knows how it ended.
func (s *Session) abandon() {
	answered := s.next == len(s.owed)
	for i := s.next; i < len(s.owed); i++ {
		o := &s.owed[i]
		for ; o.runs > 0; o.runs, o.run = o.runs-1, o.run+1 {
			s.recordRun(&s.runs[o.run], &access.Error{Kind: access.Unavailable, Code: "08007", Message: "the session ended before an answer: outcome unknown"})
		}
	}
	s.parted(answered)
	s.owed, s.next, s.runs = nil, 0, nil
	s.busy.Store(false)
}

// endsTransaction reports whether a statement can take a change of a setting back.
func endsTransaction(f *access.Facts) bool {
	switch f.Transaction {
	case "commit", "rollback", "rollback to", "prepare":
		return true
	}
	return false
}

// digest is over all rows of the run, absorbed or held.
func (r *run) digest(held []byte) (sum string, first []byte, size int64) {
	if r.rows == 0 {
		return "", nil, 0
	}
	if r.sum == nil {
		if r.from < 0 {
			return "", nil, 0
		}
		rows := held[r.from:r.end]
		h := sha256.Sum256(rows)
		return hex.EncodeToString(h[:]), wholeFrames(rows), int64(len(rows))
	}
	r.absorb(held)
	return hex.EncodeToString(r.sum.Sum(nil)), r.first, r.bytes
}

// succeeded does what a statement's success means for the session.
func (s *Session) succeeded(r *run) {
	pl := r.plan
	if pl.quiet {
		return
	}
	f := pl.facts
	if f.Transaction != "" {
		s.turned(f, r.command)
	}
	if f.Prepares != "" && pl.inner != nil {
		s.stmts[f.Prepares] = &prepared{sql: r.sql, text: pl.sql, plan: pl.inner, of: s.moment(pl), byName: true}
	}
	if f.Declares != "" && pl.inner != nil {
		s.portals[f.Declares] = &portal{opened: r.approval != "", stmt: &prepared{sql: r.sql, text: pl.sql, plan: pl.inner}, plan: pl.inner, hold: pl.holds}
	}
	if pl.forgets != nil {
		pl.forgets(s)
	}
	for name, value := range pl.sets {
		switch name {
		case settingReason:
			s.reason, s.scope = claimedReason(value), nil
		case settingTask:
			s.task = s.gw.claimedTask(value)
		case settingReveal:
			s.revealSet(value)
		}
	}
	s.claims.after(pl)
	if f.PathChange {
		s.pathMoved, s.pathOpen = true, true
	}
	s.pathStale = s.pathStale || f.PathChange || s.pathMoved && endsTransaction(f)
	if f.Class == access.ClassDDL || f.Class == access.ClassRole {
		s.db.ddl.Store(true)
		if s.tx == 'I' {
			s.db.stale()
		}
	}
	if len(f.Channels) > 0 {
		s.listens = true
	}
}

// refreshTimeout keeps a catalog refresh from hanging a session.
const refreshTimeout = 30 * time.Second

func refreshContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), refreshTimeout)
}
