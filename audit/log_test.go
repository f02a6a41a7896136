package audit

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/access"
)

func openLog(t *testing.T, dir string, opt Options) *Log {
	t.Helper()
	l, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func readAll(t *testing.T, dir string) []*access.Record {
	t.Helper()
	var out []*access.Record
	if err := Read(dir, func(r *access.Record) error { out = append(out, r); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAppendedRecordsAreReadBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	l := openLog(t, dir, Options{SegmentSize: 8 << 10})
	var want []*access.Record
	for i := range 100 {
		rec := sample()
		rec.Seq = uint64(i + 1)
		pos, err := l.Append(&rec)
		if err != nil || pos != uint64(i+1) || rec.Position != pos {
			t.Fatalf("append %d: position %d, in the record %d, error %v", i, pos, rec.Position, err)
		}
		want = append(want, &rec)
	}
	if diff := cmp.Diff(want, readAll(t, dir)); diff != "" {
		t.Errorf("live directory (-want +got):\n%s", diff)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = openLog(t, dir, Options{SegmentSize: 8 << 10})
	rec := sample()
	if pos, err := l.Append(&rec); err != nil || pos != 101 {
		t.Fatalf("after reopening: position %d, error %v", pos, err)
	}
	if got := readAll(t, dir); len(got) != 101 {
		t.Errorf("%d records after reopening", len(got))
	}
}
