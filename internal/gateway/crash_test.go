package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sallyport/audit"
	"sallyport/internal/access"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/testdb"
	"sallyport/proxy/pgwire"
)

// TestMain lets the crash drill run this binary again as the gateway that is killed.
func TestMain(m *testing.M) {
	if dsn := os.Getenv("SALLYPORT_CRASH_DSN"); dsn != "" {
		serveUntilKilled(dsn, os.Getenv("SALLYPORT_CRASH_DIR"))
	}
	os.Exit(m.Run())
}

func serveUntilKilled(dsn, dir string) {
	gw, err := gateway.Open(context.Background(), gateway.Config{DataDir: dir,
		Connections: []access.Connection{{Name: "shop", Driver: "postgres", DSN: dsn}},
		Principals:  []access.LocalPrincipal{{Name: "ann", Kind: access.Human, Groups: []string{"staff"}, Secret: identity.HashPassword("pw")}},
		Policies:    []gateway.PolicyFile{{Name: "p.cedar", Text: `@id("all") permit (principal, action in [Action::"connect", Action::"read", Action::"write"], resource in Connection::"shop");`}}})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println(ln.Addr())
	err = pgwire.New(gw, pgwire.Options{Log: slog.New(slog.DiscardHandler)}).Serve(context.Background(), ln)
	fmt.Println("error:", err)
	os.Exit(1)
}

// drill is what clients saw of one life of the gateway.
type drill struct {
	mu      sync.Mutex
	reads   []string // statements whose rows arrived
	updates []string // statements that were acknowledged
}

// TestKilledGatewayReleasedNothingUnrecorded kills the process at random points under load. Whatever a
// client received has a record, whatever the database holds has an intent, and the log opens again.
func TestKilledGatewayReleasedNothingUnrecorded(t *testing.T) {
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	dir := t.TempDir()
	srv := testdb.Shared(t)
	dsn := srv.NewDatabase(t, "create table orders(id int primary key, mark text); insert into orders select g, '' from generate_series(1, 1000) g")
	d := &drill{}
	for round := range rounds {
		d.life(t, dsn, dir, round)
	}
	statements, intents := map[string]bool{}, map[string]bool{}
	err := audit.Read(filepath.Join(dir, "log"), func(r *access.Record) error {
		switch {
		case r.Kind == access.RecordStatement && r.Rows > 0 && r.Digest != "":
			statements[r.SQL] = true
		case r.Kind == access.RecordIntent:
			intents[r.SQL] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(d.reads) < rounds || len(d.updates) < rounds {
		t.Fatalf("%d reads and %d updates in %d rounds: the drill has drilled nothing", len(d.reads), len(d.updates), rounds)
	}
	for _, sql := range d.reads {
		if !statements[sql] {
			t.Errorf("rows were released without a record: %s", sql)
		}
	}
	for _, sql := range d.updates {
		if !intents[sql] {
			t.Errorf("an update was acknowledged without an intent: %s", sql)
		}
	}
	conn, err := pgx.Connect(context.Background(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(context.Background(), "select id, mark from orders where mark <> ''")
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var id int
		var mark string
		if err := rows.Scan(&id, &mark); err != nil {
			t.Fatal(err)
		}
		if sql := update(id, mark); !intents[sql] {
			t.Errorf("the database holds an effect without an intent: %s", sql)
		}
	}
	t.Logf("%d rounds: %d reads received and %d updates acknowledged, all on record", rounds, len(d.reads), len(d.updates))
}

func update(id int, mark string) string {
	return fmt.Sprintf("update orders set mark = '%s' where id = %d", mark, id)
}

// life starts the gateway, loads it with eight clients and kills it.
func (d *drill) life(t *testing.T, dsn, dir string, round int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "SALLYPORT_CRASH_DSN="+dsn, "SALLYPORT_CRASH_DIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || strings.HasPrefix(line, "error") {
		t.Fatalf("round %d: the gateway did not start again: %s %v", round, line, err)
	}
	var wg sync.WaitGroup
	for c := range 8 {
		wg.Go(func() { d.client(strings.TrimSpace(line), round, c) })
	}
	reads, updates := d.seen()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if r, u := d.seen(); r > reads && u > updates {
			break
		}
	}
	time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
	cmd.Process.Kill()
	cmd.Wait()
	wg.Wait()
}

// seen is how much clients saw so far.
func (d *drill) seen() (reads, updates int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.reads), len(d.updates)
}

func (d *drill) client(addr string, round, c int) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgconn.Connect(ctx, "postgres://ann:pw@"+addr+"/shop?sslmode=disable")
	if err != nil {
		return
	}
	defer conn.Close(ctx)
	for i := 0; ; i++ {
		mark := fmt.Sprintf("r%dc%di%d", round, c, i)
		read := fmt.Sprintf("select id, '%s' from orders where id = %d", mark, 1+(i*8+c)%1000)
		res, err := conn.Exec(ctx, read).ReadAll()
		if err != nil {
			return
		}
		if len(res) == 1 && len(res[0].Rows) == 1 {
			d.mu.Lock()
			d.reads = append(d.reads, read)
			d.mu.Unlock()
		}
		if i%3 != 0 {
			continue
		}
		write := update(1+(i*8+c)%1000, mark)
		if _, err := conn.Exec(ctx, write).ReadAll(); err != nil {
			return
		}
		d.mu.Lock()
		d.updates = append(d.updates, write)
		d.mu.Unlock()
	}
}
