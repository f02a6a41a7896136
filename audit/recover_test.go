package audit

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/access"
)

const smallSize = 16 << 10

// someRecord is a short one, of a kind that needs no open record.
func someRecord(n int) *access.Record {
	return &access.Record{Session: "s", Seq: uint64(n), Time: time.Unix(int64(n), 0).UTC(), Kind: access.RecordRefused, SQL: fmt.Sprintf("SELECT %d", n)}
}

// writeLog makes a log of n records, each a batch of its own, and gives its directory.
func writeLog(t testing.TB, n int) string {
	t.Helper()
	dir := t.TempDir()
	l, err := Open(dir, Options{SegmentSize: smallSize})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if _, err := l.Append(someRecord(i + 1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// offsets gives where the frames of a segment begin, and where the last ends.
func offsets(t testing.TB, data []byte) []int {
	t.Helper()
	h, err := parseHeader(data)
	if err != nil {
		t.Fatal(err)
	}
	out := []int{h.length}
	for {
		payload, _, ok := frameAt(data, out[len(out)-1])
		if !ok {
			return out
		}
		out = append(out, out[len(out)-1]+frameLen+len(payload))
	}
}

func lastSegment(t testing.TB, dir string) (path string, data []byte) {
	t.Helper()
	firsts, err := segments(dir)
	if err != nil || len(firsts) == 0 {
		t.Fatal(firsts, err)
	}
	path = filepath.Join(dir, segmentName(firsts[len(firsts)-1]))
	if data, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	return path, data
}

func put(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// wantOpen opens dir, wants the records up to last in it, and adds one.
func wantOpen(t *testing.T, dir string, last uint64, cut bool) {
	t.Helper()
	if got := readAll(t, dir); uint64(len(got)) != last {
		t.Fatalf("%d records are read before opening, want %d", len(got), last)
	}
	l, err := Open(dir, Options{SegmentSize: smallSize})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if r := l.Recovered(); r.Last != last || r.Cut > 0 != cut {
		t.Errorf("recovered %+v, want last %d, cut %v", r, last, cut)
	}
	if pos, err := l.Append(someRecord(int(last + 1))); err != nil || pos != last+1 {
		t.Fatalf("position %d, error %v", pos, err)
	}
	got := readAll(t, dir)
	if uint64(len(got)) != last+1 {
		t.Fatalf("%d records after opening and adding one, want %d", len(got), last+1)
	}
	for i, rec := range got {
		if want := fmt.Sprintf("SELECT %d", i+1); rec.Position != uint64(i+1) || rec.SQL != want {
			t.Fatalf("record %d is %d: %s", i+1, rec.Position, rec.SQL)
		}
	}
}

// signedUpTo puts back the checkpoint of a log as it was when it had n records, for a crash comes before Close.
func signedUpTo(t testing.TB, dir string, n uint64) {
	t.Helper()
	s, err := openSigning(dir)
	if err != nil {
		t.Fatal(err)
	}
	g, err := openGrowth(dir, heads{})
	if err != nil {
		t.Fatal(err)
	}
	defer g.close()
	g.all.empty()
	g.closed.empty()
	if err := g.catchUp(dir, n, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	if err := s.sign(g.heads()); err != nil {
		t.Fatal(err)
	}
}

func TestTornEndIsCut(t *testing.T) {
	dir := writeLog(t, 5)
	path, whole := lastSegment(t, dir)
	at := offsets(t, whole)
	for n := at[4]; n < at[5]; n++ {
		for _, shape := range []struct {
			name string
			data []byte
		}{
			{"zeros", append(bytes.Clone(whole[:n]), make([]byte, len(whole)-n)...)},
			{"end_of_file", bytes.Clone(whole[:n])},
		} {
			t.Run(fmt.Sprintf("%s/%d", shape.name, n-at[4]), func(t *testing.T) {
				put(t, path, shape.data)
				signedUpTo(t, dir, 3)
				wantOpen(t, dir, 4, n > at[4])
			})
		}
	}
}

// batchOf makes a log with one record, and a last batch of n.
func batchOf(t *testing.T, n int) string {
	dir := writeLog(t, 1)
	l := openLog(t, dir, Options{SegmentSize: smallSize})
	var last Ticket
	for i := range n {
		var err error
		if last, err = l.Enqueue(someRecord(i + 2)); err != nil {
			t.Fatal(err)
		}
	}
	if err := last.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A disk may write the pages of one batch in any order, so frames behind a bad one need not mean damage.
func TestBatchWrittenOutOfOrderIsCut(t *testing.T) {
	dir := batchOf(t, 4)
	path, whole := lastSegment(t, dir)
	at := offsets(t, whole)
	for bad := 1; bad <= 4; bad++ {
		for _, n := range []int{0, 3, 5, 9, 20, at[bad+1] - at[bad] - 1} {
			data := bytes.Clone(whole)
			data[at[bad]+n] ^= 0x41
			put(t, path, data)
			signedUpTo(t, dir, 1)
			wantOpen(t, dir, uint64(bad), true)
		}
		data := bytes.Clone(whole)
		clear(data[at[bad]:at[bad+1]])
		put(t, path, data)
		signedUpTo(t, dir, 1)
		wantOpen(t, dir, uint64(bad), bad < 4)
	}
}

func TestDamageInTheMiddleIsRefused(t *testing.T) {
	dir := writeLog(t, 6)
	path, whole := lastSegment(t, dir)
	at := offsets(t, whole)
	for off := at[2]; off < at[3]; off++ {
		data := bytes.Clone(whole)
		data[off] ^= 0x20
		put(t, path, data)
		_, err := Open(dir, Options{})
		wantError(t, err, access.Unavailable, codeCorrupt)
		if !strings.Contains(err.Error(), "record 3 ") || !strings.Contains(err.Error(), path) {
			t.Fatalf("the error names neither record nor file: %v", err)
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(after, data) {
			t.Fatal("the damaged segment was changed")
		}
		n := 0
		err = Read(dir, func(*access.Record) error { n++; return nil })
		wantError(t, err, access.Unavailable, codeCorrupt)
		if n != 2 {
			t.Fatalf("%d records were read before the damage", n)
		}
		if report, err := Check(dir); err != nil || report.Sound() {
			t.Fatalf("Check: %+v, %v", report, err)
		}
	}
	put(t, path, whole)
	wantOpen(t, dir, 6, false)
}

func TestDamagedDirectoriesAreRefused(t *testing.T) {
	name := func(dir string, i int) string {
		firsts, err := segments(dir)
		if err != nil || len(firsts) < 4 {
			t.Fatal(firsts, err)
		}
		return filepath.Join(dir, segmentName(firsts[i]))
	}
	other := writeLog(t, 500)
	for _, c := range []struct {
		name, want string
		change     func(dir string) error
	}{
		{"header_flipped", "header is damaged", func(dir string) error { return flip(name(dir, 0), 20) }},
		{"last_header_flipped", "header is damaged", func(dir string) error { return flip(name(dir, 3), 60) }},
		{"open_sessions_flipped", "header is damaged", func(dir string) error { return flip(name(dir, 1), fixedLen) }},
		{"magic_flipped", "header is damaged", func(dir string) error { return flip(name(dir, 1), 0) }},
		{"emptied", "header is damaged", func(dir string) error { return os.Truncate(name(dir, 2), 0) }},
		{"future_version", "version", func(dir string) error { return flip(name(dir, 0), 8) }},
		{"first_segment_missing", "is missing", func(dir string) error { return os.Remove(name(dir, 0)) }},
		{"middle_segment_missing", "is missing", func(dir string) error { return os.Remove(name(dir, 1)) }},
		{"renamed", "begins with record", func(dir string) error { return os.Rename(name(dir, 2), filepath.Join(dir, segmentName(7))) }},
		{"of_another_log", "another log", func(dir string) error {
			b, err := os.ReadFile(name(other, 1))
			return errors.Join(err, os.WriteFile(name(dir, 1), b, 0o600))
		}},
		{"stray_file", "is no segment", func(dir string) error { return os.WriteFile(filepath.Join(dir, "x.seg"), nil, 0o600) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := writeLog(t, 500)
			if err := c.change(dir); err != nil {
				t.Fatal(err)
			}
			_, err := Open(dir, Options{})
			wantError(t, err, access.Unavailable, "")
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error: %v", err)
			}
			report, err := Check(dir)
			if err == nil && report.Sound() {
				t.Error("Check finds nothing wrong")
			}
		})
	}
}

func flip(path string, off int) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	data[off] ^= 0x10
	return os.WriteFile(path, data, 0o600)
}

func TestSpareOfACrashIsNotUsed(t *testing.T) {
	dir := writeLog(t, 3)
	_, whole := lastSegment(t, dir)
	put(t, filepath.Join(dir, spareName), whole)
	wantOpen(t, dir, 3, false)
	if _, err := os.Stat(filepath.Join(dir, spareName)); !errors.Is(err, os.ErrNotExist) {
		t.Error("the spare is still there")
	}
}

func TestSecondInstanceIsRefused(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{SegmentSize: smallSize})
	_, err := Open(dir, Options{SegmentSize: smallSize})
	wantError(t, err, access.Unavailable, codeInUse)
	for _, want := range []string{dir, fmt.Sprintf("process %d", os.Getpid())} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	if _, err := l.Append(someRecord(1)); err != nil {
		t.Errorf("the first instance suffered: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	wantOpen(t, dir, 1, false)
}

func TestUnusableDirectoriesAreRefused(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "file"), nil)
	cases := map[string]string{"below_a_file": filepath.Join(dir, "file", "audit"), "a_file": filepath.Join(dir, "file"), "below_proc": "/proc/sallyport/audit"}
	if os.Getuid() != 0 { // the superuser may write anyway
		cases["not_writable"] = filepath.Join(dir, "closed")
		if err := os.Mkdir(cases["not_writable"], 0o500); err != nil {
			t.Fatal(err)
		}
	}
	for name, path := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Open(path, Options{})
			wantError(t, err, access.Unavailable, codeIO)
			if !strings.Contains(err.Error(), path) {
				t.Errorf("error: %v", err)
			}
			wantError(t, Read(path, nil), access.Unavailable, codeIO)
		})
	}
	t.Run("no_log_to_read", func(t *testing.T) { wantError(t, Read(t.TempDir(), nil), access.Unavailable, codeIO) })
}

func TestUnfinishedSessionsAreFoundAfterManySegments(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{SegmentSize: smallSize})
	add := func(session string, seq uint64, kind access.RecordKind, intent uint64) *access.Record {
		t.Helper()
		rec := &access.Record{Session: session, Seq: seq, Kind: kind, Intent: intent, Time: time.Unix(1, 0).UTC(), SQL: "UPDATE " + session}
		if _, err := l.Append(rec); err != nil {
			t.Fatal(err)
		}
		return rec
	}
	add("crashed", 1, access.RecordOpen, 0)
	first := add("crashed", 2, access.RecordIntent, 0)
	done := add("crashed", 3, access.RecordIntent, 0)
	add("crashed", 4, access.RecordOutcome, done.Position)
	add("ended", 1, access.RecordOpen, 0)
	add("ended", 2, access.RecordClose, 0)
	add("", 0, access.RecordRefused, 0)
	add("idle", 1, access.RecordOpen, 0)
	for i := range 500 {
		add("busy", uint64(i+1), access.RecordStatement, 0)
	}
	second := add("crashed", 5, access.RecordIntent, 0)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if firsts, _ := segments(dir); len(firsts) < 3 {
		t.Fatalf("only %d segments", len(firsts))
	}
	l = openLog(t, dir, Options{SegmentSize: smallSize})
	want := []Unfinished{
		{Session: "crashed", Seq: 5, Opened: true, Intents: []*access.Record{first, second}},
		{Session: "idle", Seq: 1, Opened: true},
	}
	if diff := cmp.Diff(want, l.Unfinished()); diff != "" {
		t.Errorf("unfinished (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]*access.Record{first, second}, l.Dangling()); diff != "" {
		t.Errorf("dangling (-want +got):\n%s", diff)
	}
	add("crashed", 6, access.RecordOutcome, first.Position)
	add("crashed", 7, access.RecordOutcome, second.Position)
	add("crashed", 8, access.RecordClose, 0)
	add("idle", 2, access.RecordClose, 0)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = openLog(t, dir, Options{SegmentSize: smallSize})
	if u := l.Unfinished(); len(u) != 0 {
		t.Errorf("still unfinished: %+v", u)
	}
}

// After a failed fsync the page cache may show frames that never reached the disk. Recovery keeps them,
// so it has to write them again before anything is built on them.
func TestRecoveredFramesAreMadeDurableAgain(t *testing.T) {
	dir := writeLog(t, 5)
	_, whole := lastSegment(t, dir)
	var written []byte
	synced := false
	d := &faultDisk{
		write: func(f file, b []byte, off int64) (int, error) {
			if off == int64(len(written)) {
				written = append(written, b...)
			}
			return f.WriteAt(b, off)
		},
		sync: func(f file, _ bool) error { synced = bytes.Equal(written, whole); return f.Sync() },
	}
	l, err := open(dir, Options{SegmentSize: smallSize}, d)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if !synced {
		t.Error("Open did not write and sync what it found")
	}
}

// What looks like damage in a file that is being written may be a frame that was read too early.
func TestReaderLooksTwiceBeforeItSpeaksOfDamage(t *testing.T) {
	dir := writeLog(t, 6)
	path, whole := lastSegment(t, dir)
	data := bytes.Clone(whole)
	at := offsets(t, whole)
	clear(data[at[2]:at[3]])
	put(t, path, data)
	n := 0
	err := Read(dir, func(rec *access.Record) error {
		if n++; n == 1 {
			put(t, path, whole)
		}
		return nil
	})
	if err != nil || n != 6 {
		t.Errorf("%d records, error %v", n, err)
	}
}

func TestCreateNeverEmptiesAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), spareName)
	put(t, path, []byte("kept"))
	if _, err := (osDisk{}).Create(path); !errors.Is(err, os.ErrExist) {
		t.Errorf("error %v", err)
	}
	if data, _ := os.ReadFile(path); string(data) != "kept" {
		t.Errorf("it holds %q", data)
	}
}
