package gateway

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/audit"
	"sallyport/internal/access"
	"sallyport/internal/gateway/internal/upstream"
	"sallyport/internal/loop"
)

// Session is one principal on one door to one upstream. Do, Query and Close may be called from any
// goroutine; calls are served one at a time.
type Session struct {
	gw        *Gateway
	db        *database
	principal access.Principal
	door      access.Door
	client    string
	id        string
	pid, key  uint32
	since     time.Time // when it was opened
	proven    *proven   // as what it rests on a proof; nil before it is registered

	ending   atomic.Pointer[ending] // it is to end: why
	attended atomic.Pointer[Sink]   // its client, where that can be reached between two calls of Do
	gone     chan struct{}          // closed when it has ended
	active   atomic.Int64           // when something was last sent upstream, in ns since start

	mu     sync.Mutex // serves one Do at a time; guards all below it
	up     *upstream.Conn
	closed bool
	seq    uint64 // records written
	scope  *scope // plans for what this session is now; nil: must be looked up again

	tx     byte        // transaction status of the last ReadyForQuery: I, T or E
	begun  bool        // something was sent that no ReadyForQuery has answered: the upstream may hold locks
	unsync bool        // something was sent since the last Sync: an implicit transaction may be open
	skip   bool        // an error was answered: operations are ignored until Sync
	copyIn bool        // the client is sending COPY data
	copied *copiedRows // ... whose tokens are stored as values

	vetoed  *access.Error // a weighed execution must be undone, before anything else is sent
	syncDue bool          // the COPY under way is of a simple query that runs through the extended protocol

	stmts   map[string]*prepared // by name, as PREPARE and Parse share one name space
	portals map[string]*portal   // open portals and cursors

	owed    []owed // answers that the upstream owes, in order, from owed[next]
	next    int
	runs    []run  // executions that owed speaks of
	out     []byte // bytes to be written upstream
	held    []byte // bytes to be released, once ticket is durable
	ticket  audit.Ticket
	tickets bool  // ticket must be durable before anything is released
	intents bool  // ticket must be durable before anything is sent upstream
	logErr  error // the log refused a record: nothing is sent or released any more
	windows bool  // some of this Do's answer was released already

	path         []string // effective search_path
	pathID       string   // path joined, part of the plan key
	pathMoved    bool     // search_path was changed in this session
	pathOpen     bool     // ... in a transaction, explicit or implicit, that has not ended
	pathStale    bool     // path must be asked again before the next judgement
	lastPos      uint64   // position of the newest record of an execution
	lastDetected int
	lastLimited  bool // ... of which rows were kept back
	lastPlan     *plan
	pins         access.Pins // as of its beginning
	moved        bool        // they may have been moved, and must be set again before the next judgement
	mayMove      bool        // ... and may be again in the transaction under way, or at its end: deferred triggers run there, and cursors WITH HOLD
	dirty        bool        // something ran since Reset that may have left a trace in the session
	wish         int         // bytes of rows that Query is to fetch
	reason       string      // sallyport.reason
	traceparent  string      // of the call at hand, where the door has such
	task         Task        // ... and sallyport.task, as of the last word of the server
	claims       claims
	listens      bool          // LISTEN was run: notifications may come at any time
	underway     []underway    // approvals for one time that were claimed
	block        bool          // what the server has done last was within BEGIN and its end
	altered      alters        // what the transaction or burst under way may have changed
	sampled      *string       // settings by which constants and parameters are read, as they are now; nil: not known
	erred        bool          // it has answered with an error since the last ReadyForQuery
	preview      string        // the request that this session tries out
	meaning      []string      // settings of the session that the statement in hand may depend on, "name=value", sorted; see askMeaning
	settings     []string      // those of meaning that were changed in the session
	failedWith   []string      // ... as of a refusal that has failed the transaction under way; nil: of none
	lacking      []string      // scopes of which the token wants one for what was refused last; see access.Error
	claiming     string        // the request of which the statement itself is run, see Query.Approval
	handle       string        // the newest request for approval that was made without waiting
	idle         chan struct{} // closed when the idle reader has ended; nil when none runs
	shapes       shapeBuffer
	judged       []judged

	cancelMu  sync.Mutex  // held while a cancel request is under way, so that it cannot hit the next statement
	busy      atomic.Bool // something is running upstream
	clock     clock       // of the running statement's time limit
	lockClock clock       // ... and of its limit on waits for locks
	lockLimit atomic.Int64
	times     access.Obligations                                      // that the clocks were set by
	stopped   atomic.Pointer[func(*access.Obligations) *access.Error] // a clock has cancelled what runs: why
	overdue   atomic.Bool                                             // the upstream did not react to the cancel that followed, and was given up

	placed bool                   // it has one of its principal's places for statements
	waits  atomic.Pointer[waiter] // it waits for one

	idleClock clock         // runs between two calls of Do, within a transaction that has a limit
	idleLimit time.Duration // of the transaction under way; 0 is none
	idleSink  Sink          // who is told

	loopTask   *loop.Task // the event loop's task that serves this session, or nil
	onDurable  func()     // its Signal
	clientConn *loop.Conn // the client's connection, where loopTask is not nil

	watched <-chan struct{} // the last Do's ctx.Done()
	unwatch func() bool
}

// prepared is a prepared statement: of the protocol, or of SQL's PREPARE.
type prepared struct {
	sql  string // as asked
	text string // as the upstream has it
	plan *plan
	oids []uint32 // of parameters: those declared, and of guarded ones what the catalog says
	// declared are the types of parameters as the client has declared them.
	declared []uint32
	of       moment // when it was parsed
	byName   bool   // of SQL's PREPARE
}

// portal is a portal of the protocol, or a cursor of SQL's DECLARE.
type portal struct {
	stmt    *prepared
	plan    *plan
	formats []int16 // result format codes as Bind gave them
	params  []string
	nulls   []int   // numbers of those that are NULL, from 1
	lists   []int64 // how many values each parameter holds, where guesses are counted
	rows    int64   // released so far
	bytes   int64   // of them, where there is a cap on them
	of      moment  // when it was bound
	used    bool    // it was executed before, or that was asked for
	afford  bool    // what it may cost was looked at
	claimed bool    // an approval was claimed for it
	bind    []byte  // the Bind message, where the cost is limited
	values  []byte  // formats and values of it, where it needs approval
	opened  bool    // an execution of it has been answered, or it was declared: what it reads needed approval then, and not again
	hold    bool    // WITH HOLD: outlives its transaction
}

func (p *portal) sql() string {
	if p.stmt != nil {
		return p.stmt.sql
	}
	return ""
}

// judged is what executing the portal runs, which is pl.
func (p *portal) judged(pl *plan) judged {
	j := judged{plan: pl}
	if p.plan != pl {
		j.named = p.plan
	}
	return j
}

// Params is what a wire door tells its client after log-in.
func (s *Session) Params() SessionParams {
	status := maps.Clone(s.up.Status)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.scope == nil || s.scope.unrestricted.Effect != access.Allow {
		// What the gateway's role may do is not what this principal may: pg_dump asks for more of a
		// superuser than it gets here.
		status["is_superuser"] = "off"
	}
	return SessionParams{ID: s.id, Status: status, TxStatus: 'I', PID: s.pid, Key: s.key}
}

// Principal is who this session belongs to.
func (s *Session) Principal() access.Principal { return s.principal }

// Close ends the session, the upstream connection with it, and records the end. It waits for a running
// Do; cancel that one's context first.
func (s *Session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.close("")
}

// close is Close with a cause for the record. The caller holds s.mu.
func (s *Session) close(cause string) error {
	if s.closed {
		return nil
	}
	s.closed = true
	s.stopIdle()
	s.idleClock.stop()
	if s.unwatch != nil {
		s.unwatch()
	}
	s.gw.forget(s)
	s.vacate()
	s.abandon()
	s.endCopyIn()
	s.up.Close()
	rec := s.newRecord(access.RecordClose)
	rec.Rows, rec.Error = int64(rec.Seq), cause
	_, err := s.gw.log.Append(rec)
	close(s.gone)
	return err
}

// cancelRunning asks the upstream to cancel what runs now, if anything does.
func (s *Session) cancelRunning() {
	if w := s.waits.Load(); w != nil {
		w.cancel()
	}
	s.cancelWhile(s.busy.Load)
}

// cancelWhile is cancelRunning if still holds once no end of what runs can come in between.
func (s *Session) cancelWhile(still func() bool) {
	s.cancelMu.Lock()
	defer s.cancelMu.Unlock()
	if !still() {
		return
	}
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	if err := s.up.Cancel(ctx); err != nil {
		s.gw.logger.Warn("cancel request failed", "session", s.id, "error", err)
	}
}

// patience is how long an upstream that was told to cancel may take. One that is stopped, or behind a network
// that swallows everything, would otherwise hold a session, its place and the gateway's own end for ever.
const patience = 5 * time.Second

// giveUp cancels what runs, and breaks with an upstream that does not react. It is for sessions that are
// about to end.
func (s *Session) giveUp() {
	time.AfterFunc(s.gw.patience, s.up.Abort)
	s.cancelRunning()
}

// watch makes a cancelled context cancel the running statement. A door that passes the same context each
// time pays for this once.
func (s *Session) watch(ctx context.Context) {
	if done := ctx.Done(); done != s.watched {
		if s.unwatch != nil {
			s.unwatch()
		}
		s.watched, s.unwatch = done, context.AfterFunc(ctx, s.giveUp)
	}
}
