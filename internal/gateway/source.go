package gateway

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway/internal/upstream"
	"sallyport/internal/pgdsn"
)

// renewLeast is how long after a DSN was read a refused log-in has it read again at the earliest.
const renewLeast = 10 * time.Second

// source is the DSN of a connection, which can change while the gateway runs: sessions that there are stay, new ones use the new one.
type source struct {
	name     string
	insecure bool
	read     func(ctx context.Context, connection string) (string, error) // nil: it stays as it is
	logger   *slog.Logger
	now      atomic.Pointer[string]

	mu   sync.Mutex // one reading at a time; whoever waits takes what it brought
	last time.Time  // guarded by mu: of the last one tried after a refusal
}

func (s *source) begin(conf access.Connection, read func(context.Context, string) (string, error), logger *slog.Logger) {
	s.name, s.insecure, s.read, s.logger = conf.Name, conf.Insecure, read, logger
	s.now.Store(&conf.DSN)
}

func (s *source) get() string { return *s.now.Load() }

// use calls f with the DSN, and once more with another where the database refuses the log-in and there is another.
func (s *source) use(ctx context.Context, f func(dsn string) error) error {
	used := s.get()
	err := f(used)
	if upstream.RefusedLogin(err) && s.another(ctx, used) {
		err = f(s.get())
	}
	return err
}

// another reports whether there is another DSN than the one that was refused.
func (s *source) another(ctx context.Context, refused string) bool {
	if s.read == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.get() != refused {
		return true // somebody else was faster
	}
	if time.Since(s.last) < renewLeast {
		return false
	}
	s.last = time.Now()
	s.renew(context.WithoutCancel(ctx)) // others wait for it too
	return s.get() != refused
}

// renewNow reads the DSN again.
func (s *source) renewNow(ctx context.Context) {
	if s.read == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.renew(ctx)
}

// renew is called under the lock. A DSN that cannot be read, or is not one, leaves the old one.
func (s *source) renew(ctx context.Context) {
	dsn, err := s.read(ctx, s.name)
	if err == nil {
		err = pgdsn.Check(dsn, s.insecure)
	}
	if err != nil {
		s.logger.Warn("the DSN was not read again: the old one stays", "connection", s.name, "error", err)
		return
	}
	if dsn != s.get() {
		s.now.Store(&dsn)
		s.logger.Info("new sessions use another DSN", "connection", s.name)
	}
}

// dial opens a connection for a session.
func (d *database) dial(ctx context.Context, settings map[string]string) (conn *upstream.Conn, err error) {
	err = d.dsn.use(ctx, func(dsn string) (err error) {
		conn, err = upstream.Dial(ctx, dsn, settings)
		return err
	})
	return conn, err
}

// RenewDSNs reads the DSNs of all connections again. Sessions that there are stay as they are.
func (g *Gateway) RenewDSNs(ctx context.Context) {
	var wg sync.WaitGroup
	for _, db := range g.dbs {
		wg.Go(func() { db.dsn.renewNow(ctx) })
	}
	wg.Wait()
}

// renew reads secrets again, within the time that what reads them is given.
func (g *Gateway) renew() {
	g.RenewDSNs(context.Background())
	g.renewClientSecrets(context.Background())
}
