package audit

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/access"
)

// The crash drill: a child process appends as a gateway would, and is killed with SIGKILL, by its own
// hand at a chosen point of a commit or by its parent at any moment. What it acknowledged before, through
// a pipe, must be in the log. All rounds use one directory, so each also recovers from the one before.

const (
	crashDir   = "SALLYPORT_CRASH_DIR"
	crashPoint = "SALLYPORT_CRASH_POINT"
	crashAfter = "SALLYPORT_CRASH_AFTER"
	crashRound = "SALLYPORT_CRASH_ROUND"
)

var crashPoints = []string{"before write", "half a write", "before sync", "after sync", "while filling", "before rename", "after rename", "parent"}

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		if err := crashChild(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// killDisk kills its process at the nth time that point is reached.
func killDisk(point string, n int64) *faultDisk {
	left := new(atomic.Int64)
	left.Store(n)
	at := func(here string) {
		if here == point && left.Add(-1) < 0 {
			die()
		}
	}
	return &faultDisk{
		write: func(f file, b []byte, off int64) (int, error) {
			if onlyZeros(b) {
				at("while filling")
				return f.WriteAt(b, off)
			}
			at("before write")
			if point == "half a write" && left.Add(-1) < 0 {
				_, _ = f.WriteAt(b[:len(b)/2+1], off) // not at the end of a frame
				die()
			}
			return f.WriteAt(b, off)
		},
		sync: func(f file, _ bool) error {
			at("before sync")
			err := f.Sync()
			at("after sync")
			return err
		},
		rename: func(from, to string) error {
			at("before rename")
			err := osDisk{}.Rename(from, to)
			at("after rename")
			return err
		},
	}
}

// crashChild appends from eight sessions until it is killed. It writes "position session seq" to its
// standard output once a record is durable.
func crashChild(dir string) error {
	after, _ := strconv.ParseInt(os.Getenv(crashAfter), 10, 64)
	l, err := open(dir, Options{SegmentSize: 1 << 16}, killDisk(os.Getenv(crashPoint), after))
	if err != nil {
		return err
	}
	if err := finish(l, os.Stdout); err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make(chan error, 8)
	for c := range 8 {
		wg.Go(func() {
			errs <- crashSession(l, fmt.Sprintf("round%s-%d", os.Getenv(crashRound), c))
		})
	}
	wg.Wait()
	return <-errs
}

func ack(w io.Writer, rec *access.Record) error {
	_, err := fmt.Fprintf(w, "%d %s %d\n", rec.Position, rec.Session, rec.Seq) // one write, less than PIPE_BUF
	return err
}

func crashSession(l *Log, id string) error {
	var seq uint64
	add := func(kind access.RecordKind, intent uint64) (*access.Record, error) {
		seq++
		rec := sample()
		rec.Session, rec.Seq, rec.Kind, rec.Intent = id, seq, kind, intent
		_, err := l.Append(&rec)
		if err == nil {
			err = ack(os.Stdout, &rec)
		}
		return &rec, err
	}
	if _, err := add(access.RecordOpen, 0); err != nil {
		return err
	}
	for {
		if _, err := add(access.RecordStatement, 0); err != nil {
			return err
		}
		in, err := add(access.RecordIntent, 0)
		if err != nil {
			return err
		}
		if _, err := add(access.RecordOutcome, in.Position); err != nil {
			return err
		}
	}
}

// finish ends what earlier processes left behind, as the gateway does when it starts.
func finish(l *Log, acks io.Writer) error {
	for _, u := range l.Unfinished() {
		add := func(rec access.Record) error {
			u.Seq++
			rec.Session, rec.Seq = u.Session, u.Seq
			if rec.Kind == access.RecordClose {
				rec.Rows = int64(u.Seq)
			}
			if _, err := l.Append(&rec); err != nil {
				return err
			}
			return ack(acks, &rec)
		}
		for _, in := range u.Intents {
			if err := add(access.Record{Kind: access.RecordOutcome, Time: time.Now(), Intent: in.Position, Code: "08007", Error: "outcome unknown"}); err != nil {
				return err
			}
		}
		if u.Opened {
			if err := add(access.Record{Kind: access.RecordClose, Time: time.Now(), Error: "the gateway ended"}); err != nil {
				return err
			}
		}
	}
	return nil
}

func TestKilledProcessesLoseNothingAcknowledged(t *testing.T) {
	rounds := 64
	if testing.Short() {
		rounds = 16
	}
	dir := filepath.Join(t.TempDir(), "audit")
	type place struct {
		session string
		seq     uint64
	}
	acked := map[uint64]place{}
	rng := rand.New(rand.NewPCG(2, 2))
	cut := 0
	for round := range rounds {
		point := crashPoints[round%len(crashPoints)]
		after := rng.IntN(60)
		if point == "before rename" || point == "after rename" || point == "while filling" {
			after = rng.IntN(4)
		}
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), crashDir+"="+dir, crashPoint+"="+point, crashAfter+"="+strconv.Itoa(after), crashRound+"="+strconv.Itoa(round))
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		limit := time.Minute
		if point == "parent" {
			limit = time.Duration(20+rng.IntN(80)) * time.Millisecond
		}
		kill := time.AfterFunc(limit, func() { _ = child.Process.Kill() })
		for scan := bufio.NewScanner(out); scan.Scan(); {
			var pos uint64
			var p place
			if _, err := fmt.Sscan(scan.Text(), &pos, &p.session, &p.seq); err != nil {
				t.Fatalf("%q: %v", scan.Text(), err)
			}
			if _, ok := acked[pos]; ok {
				t.Fatalf("round %d: position %d was acknowledged twice", round, pos)
			}
			acked[pos] = p
		}
		err = child.Wait()
		onTime := kill.Stop()
		if status, ok := child.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL {
			t.Fatalf("round %d (%s): the child was not killed: %v", round, point, err)
		}
		if point != "parent" && !onTime {
			t.Fatalf("round %d: %q was not reached", round, point)
		}

		report, err := Check(dir) // before anything is repaired: an unfinished end is no damage
		if err != nil && len(acked) > 0 {
			t.Fatalf("round %d (%s): %v", round, point, err)
		}
		if err == nil && !report.Sound() {
			t.Fatalf("round %d (%s): %v", round, point, report.Problems)
		}
		l, err := Open(dir, Options{SegmentSize: 1 << 16})
		if err != nil {
			t.Fatalf("round %d (%s): %v", round, point, err)
		}
		if l.Recovered().Cut > 0 {
			cut++
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		found := 0
		err = Read(dir, func(rec *access.Record) error {
			if p, ok := acked[rec.Position]; ok {
				found++
				if p != (place{rec.Session, rec.Seq}) {
					return fmt.Errorf("record %d is %s %d, acknowledged was %v", rec.Position, rec.Session, rec.Seq, p)
				}
			}
			return nil
		})
		if err != nil || found != len(acked) {
			t.Fatalf("round %d (%s): %d of %d acknowledged records are there, error %v", round, point, found, len(acked), err)
		}
	}

	l := openLog(t, dir, Options{SegmentSize: 1 << 16})
	if err := finish(l, io.Discard); err != nil {
		t.Fatal(err)
	}
	report, err := Check(dir)
	if err != nil || !report.Sound() || len(report.Dangling) > 0 || len(report.Open) > 0 || report.Closed != report.Sessions {
		t.Fatalf("after the last round: %+v, %v", report, err)
	}
	if len(acked) < 20*rounds || cut == 0 || report.Segments < 3 {
		t.Errorf("the drill was too easy: %d records acknowledged, %d unfinished writes cut, %d segments", len(acked), cut, report.Segments)
	}
	t.Logf("%d rounds, %d records acknowledged, %d in the log, %d segments, %d unfinished writes cut", rounds, len(acked), report.Records, report.Segments, cut)
}
