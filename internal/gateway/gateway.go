package gateway

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/audit"
	"sallyport/internal/access"
	"sallyport/internal/approval"
	"sallyport/internal/gateway/internal/model"
	"sallyport/internal/identity"
	"sallyport/internal/identity/credential"
	"sallyport/internal/loop"
	"sallyport/internal/pgdsn"
	"sallyport/mask"
	"sallyport/sqlguard"
	"sallyport/sqlguard/policy"
)

// Gateway is the core. It is safe for concurrent use.
type Gateway struct {
	logger         *slog.Logger
	log            *audit.Log
	loops          []*loop.Loop // empty where there is none
	people         people
	issued         *credential.Store // what the gateway gave out, and withdrew
	proofs         *proofs           // what rests on them
	ahead          ahead
	glass          glass
	loading        sync.Mutex      // held while other principals are put in force
	redefined      map[string]bool // issuers of providers that were defined otherwise when the gateway last ended
	credentialLife time.Duration
	detector       *mask.Detector
	model          *model.Client // asked after the detectors; nil: none
	dbs            map[string]*database
	policies       atomic.Pointer[policy.Set]
	policyText     atomic.Pointer[policyText] // what policies was made of
	patience       time.Duration
	places         places
	approvals      *approval.Engine
	reviewing      Approvals
	deciding       sync.RWMutex // held for reading over a decision, from looking at who decides to having made it
	regroupings    regroupings
	memory         approval.Memory
	previewing     chan struct{} // of one place, taken while a preview is made
	previews       ownPreviews
	refusals       refusals      // of tokens at the agents' door
	logoutRefusals refusals      // of logout tokens
	revealing      atomic.Uint64 // grows when what approvals reveal may have changed
	placePatience  time.Duration // how long a statement waits for a place
	tokenKey       []byte        // master key of token masks; no client and no statement text ever holds it
	signIn         atomic.Pointer[signIn]

	mu       sync.Mutex
	scopes   map[scopeKey]*scope
	sessions map[uint32]*Session // by cancel pid
	nextPID  uint32
	tasks    map[string]taskEntry
	ledger   ledger
	system   *Session // records without a session of their own: tasks, refused log-ins

	audience string // of access tokens: the URL of the agents' door

	stop   chan struct{}
	ending chan struct{} // closed by Drain
	drain  sync.Once
	wg     sync.WaitGroup
}

type scopeKey struct {
	db        *database
	snap      *snapshot
	policies  *policy.Set
	who       string
	door      access.Door
	path      string
	hasReason bool
	reason    string // only where a policy looks at the words
	revealed  string // columns that are shown by approvals
}

// Open starts the core: policies and masks are loaded, the log is opened and recovered, every upstream is
// looked at once. An upstream that is down is no error: its sessions fail until it is back.
func Open(ctx context.Context, c Config) (*Gateway, error) {
	g := &Gateway{logger: c.Log, dbs: map[string]*database{}, scopes: map[scopeKey]*scope{}, patience: patience, placePatience: placePatience,
		sessions: map[uint32]*Session{}, tasks: map[string]taskEntry{}, ledger: ledger{made: map[guesser][]guesses{}}, proofs: newProofs(), stop: make(chan struct{}), ending: make(chan struct{})}
	if g.logger == nil {
		g.logger = slog.New(slog.DiscardHandler)
	}
	if err := g.LoadPolicies(c.Policies); err != nil {
		return nil, err
	}
	var err error
	if g.detector, err = newDetector(c.PhoneRegions); err != nil {
		return nil, err
	}
	if err := g.openModel(c.Model); err != nil {
		return nil, err
	}
	masks, err := mask.NewMasks(c.Masks)
	if err != nil {
		return nil, err
	}
	if _, err = identity.New(c.Principals); err != nil { // before a file is made
		return nil, err
	}
	signIn, err := newSignIn(c.Principals, c.Providers)
	if err != nil {
		return nil, err
	}
	g.signIn.Store(signIn)
	for _, conf := range c.Connections {
		if conf.Driver != "" && conf.Driver != "postgres" {
			return nil, fmt.Errorf("connection %s: driver %q is not available: use postgres", conf.Name, conf.Driver)
		}
		if err := pgdsn.Check(conf.DSN, conf.Insecure); err != nil {
			return nil, fmt.Errorf("connection %s: %w", conf.Name, err)
		}
		if weak := pgdsn.Weak(conf.DSN); weak != "" {
			g.logger.Warn("a database is on another machine, and "+weak, "connection", conf.Name, "hint", "use sslmode=verify-full")
		}
	}
	if g.log, err = audit.Open(filepath.Join(c.DataDir, "log"), audit.Options{Log: g.logger}); err != nil {
		return nil, err
	}
	if err := g.openIdentity(c); err != nil {
		return nil, g.shut(err)
	}
	if g.tokenKey, err = tokenKey(filepath.Join(c.DataDir, "token.key")); err != nil {
		return nil, g.shut(err)
	}
	maxAge := c.CatalogRefresh
	if maxAge <= 0 {
		maxAge = time.Minute
	}
	for _, conf := range c.Connections {
		db := &database{conf: conf, rules: c.Labels, masks: masks, logger: g.logger}
		db.dsn.begin(conf, c.DSN, g.logger)
		db.watcher.DSN = db.dsn.get
		g.dbs[conf.Name] = db
		g.dbs[conf.Name].judged.Store(conf.Judged)
	}
	if window := g.policies.Load().ProbeWindow(); window > 0 {
		if err := g.ledger.restore(filepath.Join(c.DataDir, "log"), time.Now().Add(-window)); err != nil {
			return nil, g.shut(err)
		}
	}
	g.system = &Session{gw: g, db: &database{}, id: newID(systemPrefix)}
	if err := g.closeDangling(); err != nil {
		return nil, g.shut(err)
	}
	if err := g.note(access.RecordOpen, func(rec *access.Record) { rec.Client = "the gateway itself" }); err != nil {
		return nil, g.shut(err)
	}
	if err := g.openApprovals(ctx, c.DataDir, c.Approvals); err != nil {
		return nil, g.shut(err)
	}
	g.endRequests(causeConfigured, g.ofNobody(g.redefined))
	for _, db := range g.dbs {
		db.refresh(0)
	}
	g.openLoops()
	g.warnWriters()
	g.every(maxAge, g.age)
	g.every(sweepEvery, g.sweepIdentity)
	g.every(refusalsTold, func() { g.tellRefusals(time.Now(), false) })
	if c.DSNRefresh > 0 {
		g.every(c.DSNRefresh, g.renew)
	}
	return g, nil
}

// every has something done again and again, until the gateway closes.
func (g *Gateway) every(interval time.Duration, do func()) {
	g.wg.Go(func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-g.stop:
				return
			case <-tick.C:
				do()
			}
		}
	})
}

// age marks snapshots as old, so that no statement has to read a clock.
func (g *Gateway) age() {
	for _, db := range g.dbs {
		if db.snap.Load() != nil {
			db.old.Store(true)
		}
	}
}

// closeDangling ends what a crash left open: an intent without an answer becomes unknown, a session
// without an end gets a close record.
func (g *Gateway) closeDangling() error {
	for _, u := range g.log.Unfinished() {
		last := access.Record{Session: u.Session, Seq: u.Seq}
		for _, d := range u.Intents {
			last.Seq++
			rec := access.Record{Session: u.Session, Seq: last.Seq, Time: time.Now().UTC(), Kind: access.RecordOutcome, Intent: d.Position,
				Door: d.Door, Connection: d.Connection, Principal: d.Principal, Actor: d.Actor, Task: d.Task,
				Code: "08007", Error: "the gateway stopped before an answer: outcome unknown"}
			if _, err := g.log.Append(&rec); err != nil {
				return err
			}
		}
		if u.Opened {
			rec := access.Record{Session: u.Session, Seq: last.Seq + 1, Time: time.Now().UTC(), Kind: access.RecordClose, Rows: int64(last.Seq + 1),
				Error: "the gateway stopped without closing this session"}
			if _, err := g.log.Append(&rec); err != nil {
				return err
			}
		}
	}
	return nil
}

// LoadPolicies puts policies in force: all of them, or none on an error. Live sessions are judged by them
// from their next statement on.
func (g *Gateway) LoadPolicies(files []PolicyFile) error {
	set, err := parsePolicies(files)
	if err == nil {
		g.put(files, set)
	}
	return err
}

func parsePolicies(files []PolicyFile) (*policy.Set, error) {
	in := make([]policy.File, len(files))
	for i, f := range files {
		in[i] = policy.File{Name: f.Name, Text: f.Text}
	}
	return policy.Load(in)
}

func (g *Gateway) put(files []PolicyFile, set *policy.Set) {
	g.policies.Store(set)
	g.policyText.Store(textOf(files, set))
	g.previews.judgedAnew()
	g.warnWriters()
}

// Reload puts policies, principals and providers in force: all of them, or none on an error. See LoadPolicies and LoadPrincipals. Principals are
// first, so that for a moment those of now are judged by the policies of before.
func (g *Gateway) Reload(files []PolicyFile, principals []access.LocalPrincipal, providers []access.Provider) (ended int, err error) {
	set, err := parsePolicies(files)
	if err != nil {
		return 0, err
	}
	ended, before, err := g.loadPrincipals(principals, providers)
	if err != nil {
		return 0, err
	}
	g.put(files, set)
	before.Close()
	return ended, nil
}

// PolicyVersion tells the policies in force from those before and after them.
func (g *Gateway) PolicyVersion() string { return g.policies.Load().Version() }

// Drain ends the waits for approval: the gateway is about to stop, and requests outlive it. Call it before the doors are shut, for
// who goes away while waiting withdraws.
func (g *Gateway) Drain() { g.drain.Do(func() { close(g.ending) }) }

// Close ends all sessions and closes the log. Doors must be shut before.
func (g *Gateway) Close() error {
	g.Drain()
	close(g.stop)
	g.previews.stop()
	g.wg.Wait()
	g.proofs.stop()
	g.mu.Lock()
	sessions := make([]*Session, 0, len(g.sessions))
	for _, s := range g.sessions {
		sessions = append(sessions, s)
	}
	g.mu.Unlock()
	for _, s := range sessions {
		s.giveUp()
		s.mu.Lock()
		s.close("the gateway was stopped")
		s.mu.Unlock()
	}
	g.closeLoops()
	for _, l := range g.signIn.Load().flows {
		l.Close()
	}
	for _, db := range g.dbs {
		db.watcher.Close()
	}
	if g.model != nil {
		g.model.Close()
	}
	if err := g.approvals.Close(); err != nil {
		g.logger.Warn("requests for approval", "error", err)
	}
	g.tellRefusals(time.Now(), true)
	err := g.note(access.RecordClose, func(rec *access.Record) { rec.Rows = int64(rec.Seq) })
	return g.shut(err)
}

// shut closes the log. A log that has failed says so again when it is closed: once is enough.
func (g *Gateway) shut(err error) error {
	if g.issued != nil {
		if store := g.people.store.Load(); store != nil {
			store.Close()
		}
		if closed := g.issued.Close(); err == nil {
			err = closed
		}
	}
	if closed := g.log.Close(); err == nil {
		return closed
	}
	return err
}

// scope finds or makes the scope for a principal.
func (g *Gateway) scope(db *database, snap *snapshot, policies *policy.Set, p access.Principal, door access.Door, path []string, pathID, reason string) *scope {
	hasReason := sqlguard.SufficientReason(reason)
	if !policies.UsesReason() {
		reason = ""
	}
	shown := g.reveals(p, door, db.conf.Name)
	key := scopeKey{db, snap, policies, judgedAs(p), door, pathID, hasReason, reason, shown.key}
	g.mu.Lock()
	defer g.mu.Unlock()
	if sc := g.scopes[key]; sc != nil && sc.revealed.until.Equal(shown.until) {
		return sc
	}
	sc := &scope{db: db, snap: snap, policies: policies, principal: p, door: door, path: existing(path, snap), hasReason: hasReason, reason: reason,
		revealed: shown, texts: map[string][]judged{}, shapes: map[string]*template{}}
	sc.unrestricted = sqlguard.Unrestricted(p, db.conf.Name, door, policies)
	sc.pins, _ = sqlguard.Pinned(p, db.conf.Name, door, policies) // where there is no saying what they are, all is denied
	sc.masked = sc.unrestricted.Effect != access.Allow && (len(sc.maskedColumns()) > 0 ||
		sqlguard.Filtered(p, db.conf.Name, snap.cat, snap.labels.Columns, policies))
	if sc.masked {
		sc.writable = map[access.Label]access.ColumnID{}
		if !sqlguard.LooksUpTokens(p, db.conf.Name, door, hasReason, snap.cat, snap.labels.Columns, db.masks.Tokens, policies) {
			sc.writable = sqlguard.Writable(p, db.conf.Name, snap.cat, snap.labels.Columns, policies)
		}
	}
	for k := range g.scopes {
		if k.db == db && (k.snap != snap || k.policies != policies) || len(g.scopes) >= maxScopes {
			delete(g.scopes, k)
		}
	}
	g.scopes[key] = sc
	return sc
}

// existing is a search_path less the schemas that do not exist, as the server skips them: the first that is
// left is where CREATE puts a table.
func existing(path []string, snap *snapshot) []string {
	return slices.DeleteFunc(slices.Clone(path), func(schema string) bool { return !snap.cat.Schemas[schema] })
}

// maskedColumns lists every column of the database that the principal may not see raw. A relation that a
// masked principal may not use at all counts too.
func (sc *scope) maskedColumns() []access.ColumnID {
	return sqlguard.MaskedColumns(sc.principal, sc.db.conf.Name, sc.door, sc.snap.cat, sc.snap.labels.Columns, sc.policies)
}

func (g *Gateway) forget(s *Session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.sessions, s.pid)
	g.proofs.drop(s.proven)
	g.places.exit(s.principal.Name)
}

// tokenKey reads the key of token masks, making it the first time.
func tokenKey(path string) ([]byte, error) {
	key, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		key = make([]byte, 32)
		rand.Read(key)
		if err := os.WriteFile(path, key, 0o600); err != nil {
			return nil, fmt.Errorf("the key of token masks cannot be stored: %w", err)
		}
		return key, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the key of token masks cannot be read: %w", err)
	}
	if len(key) != 32 {
		return nil, fmt.Errorf("%s does not hold a 32-byte key; restore it from a backup, or remove it: tokens then change", path)
	}
	return key, nil
}

// SystemSession begins the ids of sessions that are the gateway's own: what belongs to no session stands in them.
const SystemSession = systemPrefix + "_"

const systemPrefix = "sys"

func newID(prefix string) string {
	b := make([]byte, 12)
	rand.Read(b)
	return prefix + "_" + hex.EncodeToString(b)
}
