package gateway

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway/internal/upstream"
	"sallyport/mask"
	"sallyport/sqlguard/postgres"
	"sallyport/sqlguard/registry"
)

// minRefresh is how long an unknown name has to wait before it may cause another look at the catalog.
const minRefresh = time.Second

// retryRefresh is how long a failed refresh is not tried again, unless for an unknown name.
const retryRefresh = 250 * time.Millisecond

// database is one configured connection with the newest snapshot of its catalog.
type database struct {
	conf   access.Connection
	rules  []access.LabelRule
	masks  *mask.Masks
	logger *slog.Logger
	judged atomic.Pointer[access.Judgements] // nil without a labels file

	snap    atomic.Pointer[snapshot]
	watcher upstream.Watcher // of what sessions wait for
	dsn     source

	ddl atomic.Bool // DDL went through and its transaction may be open
	old atomic.Bool // the snapshot is known to be out of date

	mu sync.Mutex // one refresh at a time
	// Of the last refresh tried; guarded by mu.
	last   time.Time
	failed bool
	told   map[access.ColumnID]bool // of which the log says already that nobody has judged them
}

// snapshot is a catalog with what follows from it: labels, and the registry of its server's version.
type snapshot struct {
	cat      *access.Catalog
	labels   *mask.Labels
	judged   *access.Judgements // that labels was made of
	masks    *mask.Masks
	problems []mask.Problem
	registry *registry.Registry
	bodies   *postgres.Bodies
}

// stale makes the next judgement look at the catalog again.
func (d *database) stale() {
	d.ddl.Store(false)
	d.old.Store(true)
}

// fresh refreshes a snapshot that is out of date or over age. The age is looked at without a clock read:
// a ticker of the gateway's sets old.
//
// It reports false when the catalog is known to have changed, or may have, and cannot be read: nothing may
// then be judged by the snapshot that there is.
func (d *database) fresh() bool {
	for range 3 { // a change can be seen while the one before is being read
		if !d.old.Load() {
			return true
		}
		d.refresh(0)
	}
	return !d.old.Load()
}

// errStale refuses what would be judged by an outdated catalog.
var errStale = &access.Error{Kind: access.Unavailable, Code: "57P03", Message: "the database's catalog may have changed and cannot be read just now",
	Hint: "try again in a moment; a lock on a view or table can be in the way"}

// refresh takes a new snapshot unless the last try is younger than least, and reports whether it changed.
// When the catalog cannot be read the old snapshot stays, marked old: see fresh.
func (d *database) refresh(least time.Duration) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if least > 0 && time.Since(d.last) < least {
		return false
	}
	if least == 0 && d.snap.Load() != nil && (!d.old.Load() || d.failed && time.Since(d.last) < retryRefresh) {
		return false // somebody else was faster, or has just failed
	}
	d.last = time.Now()
	d.old.Store(false)
	snap, err := d.load()
	if d.failed = err != nil; d.failed {
		d.old.Store(true)
		d.logger.Warn("catalog not refreshed", "connection", d.conf.Name, "error", err)
		return false
	}
	if old := d.snap.Load(); old != nil && old.cat.Version == snap.cat.Version && old.judged == snap.judged {
		return false
	}
	d.tellUnjudged(d.snap.Load(), snap)
	d.snap.Store(snap)
	d.logger.Info("catalog", "connection", d.conf.Name, "version", snap.cat.Version, "relations", len(snap.cat.Relations))
	return true
}

func (d *database) load() (*snapshot, error) {
	ctx, cancel := refreshContext()
	defer cancel()
	var cat *access.Catalog
	err := d.dsn.use(ctx, func(dsn string) (err error) {
		cat, err = upstream.Snapshot(ctx, d.conf.Name, dsn)
		return err
	})
	if err != nil {
		return nil, err
	}
	reg, err := registry.Load(cat.ServerVersion)
	if err != nil {
		return nil, err
	}
	snap := &snapshot{cat: cat, masks: d.masks, registry: reg, judged: d.judged.Load(), bodies: new(postgres.Bodies)}
	env := postgres.Env{Catalog: cat, Path: []string{"pg_catalog"}, Registry: reg}
	snap.labels, snap.problems = mask.Resolve(cat, d.conf.Name, d.rules, snap.judged,
		func(v *access.Relation) ([]access.Output, []access.ColumnID, error) {
			l, err := postgres.ViewLineage(v, env)
			return l.Outputs, l.Decides, err
		})
	return snap, nil
}
