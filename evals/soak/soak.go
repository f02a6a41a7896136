// Package soak watches the gateway's memory: a result of ten million rows, read at full speed and by
// a client that stops in the middle, must pass without the gateway's memory following.
//
// Where to start: Main.
package soak

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"sallyport/evals/harness"
	"sallyport/evals/results"
	"sallyport/internal/testdb"
)

const (
	database = "soak"
	person   = "reader"
	secret   = "soak-secret"
)

const policy = `
@id("readers")
permit (principal, action in [Action::"connect", Action::"read"], resource);
`

// Main runs the soak with a result of n rows and records the figures.
func Main(ctx context.Context, n int) error {
	server, err := testdb.Start(testdb.Options{Conf: []string{"shared_buffers=256MB", "autovacuum=off"}})
	if err != nil {
		return err
	}
	defer server.Stop()
	if err := server.Exec(ctx, "postgres", "create database "+database); err != nil {
		return err
	}
	if err := server.Exec(ctx, database, "create table people (id int, email text); insert into people select g, 'user' || g || '@mail.example' from generate_series(1, 1000) g"); err != nil {
		return err
	}
	g, err := harness.Start(ctx, harness.Spec{
		Connections: map[string]string{database: server.DSN(database)},
		Principals:  []harness.Principal{{Name: person, Groups: []string{"readers"}, Password: secret}},
		Labels:      []harness.Label{{Name: "pii.email", Columns: []string{"public.people.email"}}},
		Masks:       map[string]harness.Mask{"pii.email": {Transform: "redact"}},
		Policy:      policy,
	})
	if err != nil {
		return err
	}
	defer g.Stop()
	sql := fmt.Sprintf("SELECT g, 'row number ' || g AS words, p.email, 12.5 AS amount, timestamp '2024-01-01' AS at FROM generate_series(1, %d) g LEFT JOIN people p ON p.id = g %% 1000", n)
	var figures []results.Figure
	for _, mode := range []struct {
		name  string
		pause time.Duration
		note  string
	}{
		{"soak.rise_mb", 0, "highest rise of resident memory while the rows pass"},
		{"soak.rise_mb.stalled_client", 8 * time.Second, "the same, with a client that stops reading for 8 s in the middle"},
	} {
		rows, rise, took, err := pass(ctx, g, sql, n/2, mode.pause)
		if err != nil {
			return err
		}
		fmt.Printf("%s: %d rows in %s, memory rose by %.1f MB\n", mode.name, rows, took.Round(time.Second), rise)
		if rows != n {
			return fmt.Errorf("%d rows came, want %d", rows, n)
		}
		figures = append(figures, results.Figure{Name: mode.name, Value: rise, Unit: "MB", N: rows, Command: "go run ./evals/cmd/soak", Note: mode.note})
	}
	return results.Check(figures...)
}

// pass reads the whole result and pauses once after so many rows.
func pass(ctx context.Context, g *harness.Gateway, sql string, after int, pause time.Duration) (rows int, rise float64, took time.Duration, err error) {
	pc, err := pgconn.Connect(ctx, g.DSN(person, secret, database))
	if err != nil {
		return 0, 0, 0, err
	}
	if err := pc.SyncConn(ctx); err != nil { // pgconn may still be reading in the background
		return 0, 0, 0, err
	}
	h, err := pc.Hijack()
	if err != nil {
		return 0, 0, 0, err
	}
	defer h.Conn.Close()
	before, err := g.RSS()
	if err != nil {
		return 0, 0, 0, err
	}
	stop := make(chan struct{})
	var watching sync.WaitGroup
	highest := before
	watching.Add(1)
	go func() {
		defer watching.Done()
		for {
			if rss, err := g.RSS(); err == nil && rss > highest {
				highest = rss
			}
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	start := time.Now()
	h.Frontend.Send(&pgproto3.Query{String: sql})
	if err = h.Frontend.Flush(); err == nil {
		rows, err = read(h.Conn, after, pause)
	}
	took = time.Since(start)
	close(stop)
	watching.Wait()
	return rows, float64(highest-before) / 1e6, took, err
}

func read(r io.Reader, after int, pause time.Duration) (rows int, err error) {
	buf := make([]byte, 256<<10)
	have := 0
	for {
		n, err := r.Read(buf[have:])
		if err != nil {
			return rows, err
		}
		have += n
		at := 0
		for have-at >= 5 {
			size := 1 + int(binary.BigEndian.Uint32(buf[at+1:]))
			if have-at < size {
				break
			}
			switch buf[at] {
			case 'D':
				if rows++; rows == after && pause > 0 {
					time.Sleep(pause)
				}
			case 'E':
				return rows, fmt.Errorf("%.300q", buf[at:at+size])
			case 'Z':
				return rows, nil
			}
			at += size
		}
		copy(buf, buf[at:have])
		have -= at
	}
}
