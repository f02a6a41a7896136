package audit

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport/internal/access"
)

func fillLog(t *testing.T, l *Log, from, n int, size int) {
	t.Helper()
	var last Ticket
	for i := from; i < from+n; i++ {
		rec := &access.Record{Session: "s", Seq: uint64(i), Time: time.Now(), Kind: access.RecordStatement, SQL: fmt.Sprint("SELECT ", i, strings.Repeat(" ", size))}
		var err error
		if last, err = l.Enqueue(rec); err != nil {
			t.Fatal(err)
		}
		if i%7 == 0 {
			if err := last.Wait(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := last.Wait(); err != nil {
		t.Fatal(err)
	}
}

// collect reads all that is there and checks that positions follow one another.
func collect(t *testing.T, tail *Tail, next *uint64) int {
	t.Helper()
	all := 0
	for {
		n, err := tail.Read(4096, func(rec *access.Record, _ tlog.Hash) error {
			if rec.Position != *next || rec.Seq != *next {
				t.Fatalf("record %d (seq %d), want %d", rec.Position, rec.Seq, *next)
			}
			*next++
			all++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return all
		}
	}
}

func TestTailFollowsOverSegments(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{SegmentSize: 64 << 10})
	fillLog(t, l, 1, 500, 300)
	for _, from := range []uint64{1, 2, 250, 499, 500, 501} {
		tail, err := OpenTail(dir, from)
		if err != nil {
			t.Fatal(err)
		}
		next := from
		if got := collect(t, tail, &next); got != int(501-from) {
			t.Errorf("from %d: %d records, want %d", from, got, 501-from)
		}
		tail.Close()
	}
	tail, err := OpenTail(dir, 400)
	if err != nil {
		t.Fatal(err)
	}
	defer tail.Close()
	next := uint64(400)
	collect(t, tail, &next)
	fillLog(t, l, 501, 400, 300)
	if got := collect(t, tail, &next); got != 400 {
		t.Errorf("%d of 400 new records", got)
	}
	if firsts, _ := segments(dir); len(firsts) < 3 {
		t.Fatalf("only %d segments: the test shows nothing", len(firsts))
	}
	if n, err := Next(dir); err != nil || n != 901 {
		t.Errorf("Next = %d, %v, want 901", n, err)
	}
	var first uint64
	n := 0
	if err := ReadFrom(dir, 700, func(rec *access.Record) error {
		if n++; first == 0 {
			first = rec.Position
		}
		return nil
	}); err != nil || first != 700 || n != 201 {
		t.Errorf("ReadFrom: %d records from %d, %v", n, first, err)
	}
}

func TestTailReadsWhileTheLogIsWritten(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{SegmentSize: 256 << 10})
	const total = 6000
	tail, err := OpenTail(dir, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer tail.Close()
	var wg sync.WaitGroup
	wg.Go(func() { fillLog(t, l, 1, total, 200) })
	next := uint64(1)
	for deadline := time.Now().Add(20 * time.Second); next <= total && time.Now().Before(deadline); {
		collect(t, tail, &next)
	}
	wg.Wait()
	if next != total+1 {
		t.Fatalf("read up to %d of %d", next-1, total)
	}
}

func TestTailLargeRecord(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{})
	fillLog(t, l, 1, 3, 3<<20)
	tail, err := OpenTail(dir, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer tail.Close()
	next := uint64(1)
	if got := collect(t, tail, &next); got != 3 {
		t.Errorf("%d of 3", got)
	}
}

// A record of which f says that it could not be taken comes again.
func TestTailGivesARefusedRecordAgain(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{})
	fillLog(t, l, 1, 10, 10)
	tail, err := OpenTail(dir, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer tail.Close()
	refuse := fmt.Errorf("not now")
	var last uint64
	if n, err := tail.Read(1<<20, func(rec *access.Record, _ tlog.Hash) error {
		if rec.Position == 4 {
			return refuse
		}
		last = rec.Position
		return nil
	}); n == 0 || last != 3 || err != refuse {
		t.Fatalf("%d, %d, %v", n, last, err)
	}
	next := uint64(4)
	if got := collect(t, tail, &next); got != 7 {
		t.Errorf("%d of 7", got)
	}
}

func TestTailTellsDamage(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{})
	fillLog(t, l, 1, 30, 50)
	path := filepath.Join(dir, segmentName(1))
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	h, err := parseHeader(data)
	if err != nil {
		t.Fatal(err)
	}
	off := h.length
	for range 10 {
		p, _, _ := frameAt(data, off)
		off += frameLen + len(p)
	}
	for _, tc := range []struct {
		name string
		with []byte
	}{{"one_bit", []byte{data[off+20] ^ 1}}, {"zeros", make([]byte, 100)}} {
		t.Run(tc.name, func(t *testing.T) {
			bad := t.TempDir()
			broken := append([]byte(nil), data...)
			copy(broken[off+20:], tc.with)
			if tc.name == "zeros" {
				copy(broken[off:], tc.with)
			}
			if err := os.WriteFile(filepath.Join(bad, segmentName(1)), broken, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(filepath.Join(bad, keysName), os.DirFS(filepath.Join(dir, keysName))); err != nil {
				t.Fatal(err)
			}
			tail, err := OpenTail(bad, 1)
			if err != nil {
				t.Fatal(err)
			}
			defer tail.Close()
			n := 0
			_, err = tail.Read(1<<20, func(*access.Record, tlog.Hash) error { n++; return nil })
			if n != 10 || err != nil {
				t.Fatalf("in front of the damage: %d records, %v", n, err)
			}
			if _, err = tail.Read(1<<20, func(*access.Record, tlog.Hash) error { return nil }); err == nil || !strings.Contains(err.Error(), "record 11") {
				t.Errorf("the damage was not told: %v", err)
			}
		})
	}
}

func TestTailTellsAMissingSegment(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{SegmentSize: 32 << 10})
	fillLog(t, l, 1, 400, 300)
	firsts, err := segments(dir)
	if err != nil || len(firsts) < 4 {
		t.Fatal(len(firsts), err)
	}
	if err := os.Remove(filepath.Join(dir, segmentName(firsts[1]))); err != nil {
		t.Fatal(err)
	}
	tail, err := OpenTail(dir, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer tail.Close()
	for {
		n, err := tail.Read(1<<20, func(*access.Record, tlog.Hash) error { return nil })
		if err != nil {
			if !strings.Contains(err.Error(), "the next segment begins with") {
				t.Error(err)
			}
			return
		}
		if n == 0 {
			t.Fatal("a missing segment is taken for the end")
		}
	}
}
