package upstream

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/pgdsn"
)

// Watcher looks at what other connections to an upstream wait for, on one connection of its own, which is opened when
// it is first needed and kept. It is safe for concurrent use.
type Watcher struct {
	DSN func() string

	mu   sync.Mutex // one question at a time; guards conn
	conn *pgx.Conn
}

// LockWait says for how long the server's process pid has been waiting for a lock; 0 if it does not.
func (w *Watcher) LockWait(ctx context.Context, pid uint32) (waited time.Duration, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn == nil {
		cfg, err := pgx.ParseConfig(pgdsn.Secured(w.DSN()))
		if err != nil {
			return 0, pgdsn.Malformed(err)
		}
		cfg.RuntimeParams["application_name"] = "sallyport watch"
		if w.conn, err = pgx.ConnectConfig(ctx, cfg); err != nil {
			w.conn = nil
			return 0, dialError(err)
		}
	}
	// waitstart is NULL for a moment after a wait has begun (monitoring chapter, pg_locks).
	var micros int64
	err = w.conn.QueryRow(ctx, `select coalesce(max((extract(epoch from pg_catalog.clock_timestamp() - waitstart) * 1000000)::pg_catalog.int8), 0)
		from pg_catalog.pg_locks where pid = $1 and not granted`, pid).Scan(&micros)
	if err != nil {
		w.conn.Close(ctx)
		w.conn = nil
	}
	return time.Duration(micros) * time.Microsecond, err
}

// Close closes the connection, if there is one.
func (w *Watcher) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn != nil {
		ctx, stop := context.WithTimeout(context.Background(), time.Second)
		defer stop()
		w.conn.Close(ctx)
		w.conn = nil
	}
}
