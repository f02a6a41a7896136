package bench

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"sallyport/evals/harness"
)

var (
	tpsLine    = regexp.MustCompile(`tps = ([0-9.]+) \(without initial connection time\)`)
	failedLine = regexp.MustCompile(`number of failed transactions: ([0-9]+)`)
)

// throughput is select-only transactions a second.
func throughput(t target, mode string, seconds int) (float64, error) {
	out, err := pgbench(t, "-n", "-S", "-c", "8", "-j", "2", "-T", strconv.Itoa(seconds), "-M", mode).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("pgbench -M %s at %s: %w: %s", mode, t.name, err, out)
	}
	if m := failedLine.FindSubmatch(out); m != nil && string(m[1]) != "0" {
		return 0, fmt.Errorf("pgbench -M %s at %s: %s transactions failed", mode, t.name, m[1])
	}
	m := tpsLine.FindSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("pgbench at %s printed no tps: %s", t.name, out)
	}
	return strconv.ParseFloat(string(m[1]), 64)
}

// latencies gives p50 and p99 of single transactions with one client, in microseconds.
func latencies(t target, mode string, seconds int, dir string) (p50, p99 float64, err error) {
	logs, err := os.MkdirTemp(dir, "latency-")
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(logs)
	cmd := pgbench(t, "-n", "-S", "-c", "1", "-T", strconv.Itoa(seconds), "-M", mode, "-l", "--log-prefix="+filepath.Join(logs, "l"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, 0, fmt.Errorf("pgbench -l at %s: %w: %s", t.name, err, out)
	}
	files, _ := filepath.Glob(filepath.Join(logs, "l*"))
	var us []float64
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return 0, 0, err
		}
		for line := range strings.Lines(string(b)) {
			if fields := strings.Fields(line); len(fields) >= 3 {
				if v, err := strconv.ParseFloat(fields[2], 64); err == nil {
					us = append(us, v)
				}
			}
		}
	}
	if len(us) < 100 {
		return 0, 0, fmt.Errorf("only %d transactions at %s", len(us), t.name)
	}
	sort.Float64s(us)
	return us[len(us)/2], us[len(us)*99/100], nil
}

// transfer runs one statement with a large result and gives megabytes a second and rows. The client
// looks at frame headers only, so that it is not what is measured.
func transfer(ctx context.Context, t target, sql string) (mbs float64, rows int, err error) {
	pc, err := pgconn.Connect(ctx, t.dsn())
	if err != nil {
		return 0, 0, err
	}
	if err := pc.SyncConn(ctx); err != nil { // pgconn may still be reading in the background
		return 0, 0, err
	}
	h, err := pc.Hijack()
	if err != nil {
		return 0, 0, err
	}
	defer h.Conn.Close()
	h.Conn.SetDeadline(time.Now().Add(2 * time.Minute))
	h.Frontend.Send(&pgproto3.Query{String: sql})
	start := time.Now()
	if err := h.Frontend.Flush(); err != nil {
		return 0, 0, err
	}
	r := bufio.NewReaderSize(h.Conn, 256<<10)
	var total int
	for {
		head, err := r.Peek(5)
		if err != nil {
			return 0, 0, err
		}
		kind, n := head[0], int(binary.BigEndian.Uint32(head[1:]))+1
		if kind == 'E' {
			text := make([]byte, min(n, 500))
			io.ReadFull(r, text)
			return 0, 0, fmt.Errorf("%s at %s: %q", sql, t.name, text)
		}
		if _, err := r.Discard(n); err != nil {
			return 0, 0, err
		}
		total += n
		switch kind {
		case 'D', 'd':
			rows++
		case 'Z':
			if rows == 0 {
				return 0, 0, errors.New("no rows")
			}
			return float64(total) / 1e6 / time.Since(start).Seconds(), rows, nil
		}
	}
}

// idle opens n connections that have each run one statement, and gives the proxy's resident memory
// before and with them.
func idle(ctx context.Context, t target, n int) (before, with float64, err error) {
	rss, err := harness.RSS(t.pid)
	if err != nil {
		return 0, 0, err
	}
	before = float64(rss) / 1e6
	conns := make([]*pgconn.PgConn, 0, n)
	defer func() {
		for _, c := range conns {
			c.Close(ctx)
		}
	}()
	for range n {
		c, err := pgconn.Connect(ctx, t.dsn())
		if err != nil {
			return 0, 0, fmt.Errorf("connection %d at %s: %w", len(conns)+1, t.name, err)
		}
		conns = append(conns, c)
		if _, err := c.Exec(ctx, "SELECT abalance FROM pgbench_accounts WHERE aid = 1").ReadAll(); err != nil {
			return 0, 0, err
		}
	}
	time.Sleep(2 * time.Second)
	if rss, err = harness.RSS(t.pid); err != nil {
		return 0, 0, err
	}
	return before, float64(rss) / 1e6, nil
}
