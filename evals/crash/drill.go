package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"sallyport/evals/harness"
	"sallyport/internal/testdb"
)

const (
	perLog = 25 // lives that share a data directory
	wires  = 6  // clients of the PostgreSQL door
	agents = 2  // clients of the agents' door
)

type drill struct {
	server *testdb.Server
	spec   harness.Spec
	rng    *rand.Rand
}

// tally is what was seen.
type tally struct {
	kills, starting    int // of all, while it started
	reads, large, acks int // received by clients: small results, large ones or their beginnings, acknowledged writes
	effects            int // found in the database
	records            uint64
	unrecorded         []string       // released, and not on record
	unintended         []string       // effects without an intent
	lost               []string       // acknowledged, and not on record any more
	unexplained        []string       // starts that failed, and ends that came, without a word
	refused            int            // starts that were refused with one
	unsound            []string       // what the checkers say
	faults             map[string]int // injected, by name
}

// kill has so many lives end with SIGKILL.
func (d *drill) kill(ctx context.Context, kills int) (*tally, error) {
	t := &tally{}
	for t.kills < kills {
		g, err := harness.Prepare(d.spec)
		if err != nil {
			return nil, err
		}
		err = d.log(ctx, g, t, min(kills-t.kills, perLog))
		g.Stop()
		if err != nil {
			return nil, err
		}
		fmt.Printf("%d kills, %d of them while it started: %d reads, %d large reads and %d writes received, %d effects, %d records; %d unrecorded, %d lost, %d starts refused, %d unexplained\n",
			t.kills, t.starting, t.reads, t.large, t.acks, t.effects, t.records, len(t.unrecorded)+len(t.unintended), len(t.lost), t.refused, len(t.unexplained))
	}
	return t, nil
}

// log has lives on one data directory, and looks at its record at the end.
func (d *drill) log(ctx context.Context, g *harness.Gateway, t *tally, lives int) error {
	s := newSeen()
	for range lives {
		if err := g.Launch(nil); err != nil {
			return err
		}
		t.kills++
		if d.rng.IntN(4) == 0 {
			time.Sleep(time.Duration(d.rng.IntN(400)) * time.Millisecond)
			g.Kill()
			t.starting++
			continue
		}
		if ok, told := answers(ctx, g); !ok {
			t.failedStart(g, told)
			g.Kill()
			continue
		}
		stop := s.load(ctx, g, t.kills)
		time.Sleep(time.Duration(20+d.rng.IntN(380)) * time.Millisecond)
		if !g.Alive() {
			t.failedStart(g, false) // or it ended later, by itself
		}
		g.Kill()
		stop()
	}
	return d.settle(ctx, g, s, t)
}

// settle starts the gateway once more, so that it ends what its earlier lives left, and looks at the record.
func (d *drill) settle(ctx context.Context, g *harness.Gateway, s *seen, t *tally) error {
	err := g.Launch(nil)
	if err != nil {
		return err
	}
	if ok, told := answers(ctx, g); !ok {
		t.failedStart(g, told)
		g.Kill()
		return nil
	}
	g.End()
	return d.judge(ctx, g, s, t)
}

// answers waits until somebody can log in; the sockets are open long before. told is whether the gateway says why
// nobody can.
func answers(ctx context.Context, g *harness.Gateway) (ok, told bool) {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	for g.Alive() && ctx.Err() == nil {
		conn, err := pgconn.Connect(ctx, g.DSN(person, secret, connection))
		if err == nil {
			conn.Close(ctx)
			return true, false
		}
		if isRefusal(err) {
			return false, true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false, false
}

// isRefusal is whether the gateway says that its record cannot be written.
func isRefusal(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == ioError || e.Code == diskFull) && e.Message != ""
}

// SQLSTATEs of a record that cannot be written, PostgreSQL appendix A.
const (
	ioError  = "58030"
	diskFull = "53100"
)

var panicked = regexp.MustCompile(`(?m)^(panic:|fatal error:|goroutine \d+ )`)

// failedStart counts a start after which nobody can log in. Its reason stands in its log, or is told to whoever tries.
func (t *tally) failedStart(g *harness.Gateway, told bool) {
	log := g.LogTail()
	if panicked.MatchString(log) || !told && (g.Alive() || !strings.Contains(log, "\nsallyport: ") && !strings.HasPrefix(log, "sallyport: ")) {
		t.unexplained = append(t.unexplained, log)
		fmt.Fprintf(os.Stderr, "a start failed without a reason: %s\n", log)
		return
	}
	t.refused++
}

// load has clients ask until the function that it gives is called, which waits for them.
func (s *seen) load(ctx context.Context, g *harness.Gateway, life int) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for c := range wires {
		wg.Go(func() { s.wire(ctx, g, fmt.Sprintf("k%dc%d", life, c), c) })
	}
	for c := range agents {
		wg.Go(func() { s.agent(ctx, g, fmt.Sprintf("k%dc%d", life, wires+c), c) })
	}
	return func() { cancel(); wg.Wait() }
}
