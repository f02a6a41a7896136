package testdb

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// TB is what the helpers need of a testing.TB.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
	Cleanup(func())
	Failed() bool
}

// EnvShared holds a running server for Shared to take, as Share writes it.
const EnvShared = "SALLYPORT_TESTDB"

var shared = sync.OnceValues(func() (*Server, error) {
	if v := os.Getenv(EnvShared); v != "" {
		return attach(v)
	}
	return Start(Options{})
})

// Share is what the environment of test processes must hold for them to share this server: for those
// who start many, one after the other. What the tests do to a server as a whole stays.
func (s *Server) Share() string { return fmt.Sprintf("%s=%d %s", EnvShared, s.Port, s.Dir) }

// attach gives a server that another process started and will stop.
func attach(v string) (*Server, error) {
	s := &Server{}
	if _, err := fmt.Sscanf(v, "%d %s", &s.Port, &s.Dir); err != nil {
		return nil, fmt.Errorf("%s=%q: %w", EnvShared, v, err)
	}
	s.stop.Do(func() {}) // it is not ours to stop
	var err error
	s.BinDir, err = BinDir("")
	return s, err
}

// Shared gives the one server of this test process, started at its first use. It ends with the
// process, unless EnvShared names another; give each test a database of its own.
func Shared(t TB) *Server {
	t.Helper()
	s, err := shared()
	if err != nil {
		t.Fatalf("%v", err)
	}
	return s
}

// Run starts a server of its own for one test, for those that stop or break it.
func Run(t TB, opt Options) *Server {
	t.Helper()
	s, err := Start(opt)
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		s.logIfFailed(t)
		s.Stop()
	})
	return s
}

var databases atomic.Int64

// began tells this process from another of the same number that used the server before.
var began = time.Now().UnixNano()

// NewDatabase makes an empty database, runs initSQL in it and gives its DSN. The database is dropped
// at the end of the test, with whoever is still connected.
func (s *Server) NewDatabase(t TB, initSQL ...string) (dsn string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	name := fmt.Sprintf("db%d_%d_%d", began, os.Getpid(), databases.Add(1))
	if err := s.Exec(ctx, "postgres", "CREATE DATABASE "+name+" TEMPLATE template0"); err != nil {
		t.Fatalf("create database: %v\n%s", err, s.LogTail())
	}
	t.Cleanup(func() {
		s.logIfFailed(t)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		// Best effort: the test may have stopped the server, and the server goes away anyway.
		_ = s.Exec(ctx, "postgres", "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	})
	for _, sql := range initSQL {
		if err := s.Exec(ctx, name, sql); err != nil {
			t.Fatalf("load %s: %v", name, err)
		}
	}
	return s.DSN(name)
}

// logIfFailed shows what the server had to say about a test that went wrong.
func (s *Server) logIfFailed(t TB) {
	if t.Failed() {
		if tail := s.LogTail(); tail != "" {
			t.Logf("end of the PostgreSQL log:\n%s", tail)
		}
	}
}
