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

var shared = sync.OnceValues(func() (*Server, error) { return Start(Options{}) })

// Shared gives the one server of this test process, started at its first use. It ends with the
// process; give each test a database of its own.
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

// NewDatabase makes an empty database, runs initSQL in it and gives its DSN. The database is dropped
// at the end of the test, with whoever is still connected.
func (s *Server) NewDatabase(t TB, initSQL ...string) (dsn string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	name := fmt.Sprintf("db%d_%d", os.Getpid(), databases.Add(1))
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
