package pgwire

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// secureDoor is a door with TLS; ca is a file that clients may trust.
func secureDoor(t *testing.T, required bool) (d *door, ca string) {
	t.Helper()
	serverTLS, _ := testTLS()
	ca = filepath.Join(t.TempDir(), "ca.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: serverTLS.Certificates[0].Certificate[0]}
	if err := os.WriteFile(ca, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return open(t, Options{TLS: serverTLS, RequireTLS: required}), ca
}

func (d *door) dsn(more string) string {
	host, port, _ := strings.Cut(d.addr, ":")
	return fmt.Sprintf("host=%s port=%s user=%s password='%s' dbname=%s %s", host, port, testUser, testPassword, testConn, more)
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestPgx(t *testing.T) {
	d, ca := secureDoor(t, false)
	for name, more := range map[string]string{
		"plain":          "sslmode=disable",
		"tls":            "sslmode=verify-full sslrootcert=" + ca,
		"direct_tls":     "sslmode=verify-full sslnegotiation=direct sslrootcert=" + ca,
		"protocol_3.2":   "sslmode=disable max_protocol_version=3.2 min_protocol_version=3.2",
		"simple":         "sslmode=disable default_query_exec_mode=simple_protocol",
		"exec":           "sslmode=disable default_query_exec_mode=exec",
		"with_options":   "sslmode=disable options='-c search_path=x'",
		"with_app_name":  "sslmode=require application_name=test",
		"describe_exec":  "sslmode=disable default_query_exec_mode=describe_exec",
		"cache_describe": "sslmode=disable default_query_exec_mode=cache_describe",
	} {
		t.Run(name, func(t *testing.T) {
			ctx := testContext(t)
			c, err := pgx.Connect(ctx, d.dsn(more))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close(ctx)
			for range 3 {
				var v string
				if err := c.QueryRow(ctx, "ECHO abc").Scan(&v); err != nil || v != "abc" {
					t.Fatalf("got %q, %v", v, err)
				}
			}
			b := &pgx.Batch{}
			for range 50 {
				b.Queue("SELECT 1")
			}
			if err := c.SendBatch(ctx, b).Close(); err != nil {
				t.Error(err)
			}
			var pe *pgconn.PgError
			if _, err := c.Exec(ctx, "ERR"); !errors.As(err, &pe) || pe.Code != "42601" {
				t.Errorf("got %v", err)
			}
			rows, err := c.Query(ctx, "BIG 20000") // 20 MB
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for rows.Next() {
				n++
			}
			if n != 20000 || rows.Err() != nil {
				t.Errorf("%d rows, %v", n, rows.Err())
			}
			if tag, err := c.PgConn().CopyFrom(ctx, strings.NewReader(strings.Repeat("x", 1<<20)), "COPYIN"); err != nil || tag.RowsAffected() != 1<<20 {
				t.Errorf("copy: %v, %v", tag, err)
			}
			if err := c.PgConn().Ping(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestPgxCancel(t *testing.T) {
	d, ca := secureDoor(t, true)
	ctx := testContext(t)
	c, err := pgconn.Connect(ctx, d.dsn("sslmode=verify-full sslrootcert="+ca))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	done := make(chan error, 1)
	go func() { done <- c.Exec(ctx, "SLEEP").Close() }()
	eventually(t, "the statement runs", func() bool { d.core.mu.Lock(); defer d.core.mu.Unlock(); return len(d.core.bursts) > 0 })
	if err := c.CancelRequest(ctx); err != nil {
		t.Fatal(err)
	}
	var pe *pgconn.PgError
	if err := <-done; !errors.As(err, &pe) || pe.Code != "57014" {
		t.Errorf("got %v", err)
	}
}

func TestPgxRefusals(t *testing.T) {
	d, _ := secureDoor(t, true)
	for name, c := range map[string]struct{ dsn, code string }{
		"no_tls":           {d.dsn("sslmode=disable"), "28000"},
		"wrong_password":   {d.dsn("sslmode=require password=x"), "28P01"},
		"wrong_connection": {d.dsn("sslmode=require dbname=nowhere"), "3D000"},
		"replication":      {d.dsn("sslmode=require replication=database"), "0A000"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := pgconn.Connect(testContext(t), c.dsn)
			var pe *pgconn.PgError
			if !errors.As(err, &pe) || pe.Code != c.code || pe.Severity != "FATAL" || pe.Hint == "" {
				t.Errorf("got %v", err)
			}
		})
	}
}

// psql runs Debian's psql with that connection string.
func (d *door) psql(t *testing.T, dsn string, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath("psql")
	if err != nil {
		t.Fatal("psql is missing: run make setup")
	}
	cmd := exec.CommandContext(testContext(t), path, append([]string{"-XAt", "-d", dsn}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "PGPASSFILE=/dev/null")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestPsql(t *testing.T) {
	d, ca := secureDoor(t, false)
	for name, more := range map[string]string{
		"plain":           "sslmode=disable",
		"tls":             "sslmode=verify-full sslrootcert=" + ca,
		"gss_preferred":   "gssencmode=prefer sslmode=prefer",
		"reason":          `options='-c sallyport.reason=look\\ into\\ it'`,
		"ascii":           "client_encoding=SQL_ASCII",
		"encoding_auto":   "client_encoding=auto",
		"channel_binding": "sslmode=require channel_binding=prefer",
	} {
		t.Run(name, func(t *testing.T) {
			out, err := d.psql(t, d.dsn(more), "-c", "ECHO abc", "-c", "ECHO def")
			if err != nil || out != "abc\ndef\n" {
				t.Fatalf("got %q, %v", out, err)
			}
			if name == "reason" && d.core.lastLogin().Reason != "look into it" {
				t.Errorf("reason %q", d.core.lastLogin().Reason)
			}
		})
	}
	for name, c := range map[string]struct{ more, want string }{
		"wrong_password":  {"password=x", "FATAL:  password authentication failed"},
		"connection":      {"dbname=nowhere", "FATAL:  no connection nowhere\nHINT:"},
		"encoding":        {"client_encoding=LATIN1", "FATAL:  client_encoding LATIN1 is not supported"},
		"channel_binding": {"sslmode=require channel_binding=require", "channel binding"},
	} {
		t.Run("refused_"+name, func(t *testing.T) {
			out, err := d.psql(t, d.dsn(c.more), "-c", "ECHO abc")
			if err == nil || !strings.Contains(out, c.want) {
				t.Errorf("got %q, want %q", out, c.want)
			}
		})
	}
	t.Run("oversize", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "big.sql")
		if err := os.WriteFile(file, []byte("ECHO "+strings.Repeat("x", 70<<20)+";\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := d.psql(t, d.dsn("sslmode=disable"), "-f", file)
		if err == nil || !strings.Contains(out, "exceeds the limit") {
			t.Errorf("got %.200q", out)
		}
	})
}
