package audit

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport/internal/access"
)

// The tail tells where each record lies, and it is read from there: over several segments, records of all sizes.
func TestRecordsAreReadFromWhereTheyLie(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{SegmentSize: smallSize})
	for i := range 400 {
		rec := &access.Record{Session: "s", Seq: uint64(i + 1), Time: time.Unix(int64(i), 0).UTC(), Kind: access.RecordRefused, SQL: fmt.Sprintf("SELECT %d", i)}
		if i%50 == 3 {
			rec.Result = bytes.Repeat([]byte("x"), 3*placeChunk)
		}
		if _, err := l.Append(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	tail, err := OpenTail(dir, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer tail.Close()
	if id, err := LogID(dir); err != nil || id != tail.LogID() {
		t.Errorf("the log is %s, and %s (%v)", tail.LogID(), id, err)
	}
	type known struct {
		rec  *access.Record
		leaf tlog.Hash
		at   Place
	}
	var all []known
	for {
		n, err := tail.Read(1<<12, func(rec *access.Record, leaf tlog.Hash) error {
			all = append(all, known{rec, leaf, tail.Place()})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
	}
	if len(all) != 400 || all[399].at.Segment == 1 {
		t.Fatalf("%d records, the last in segment %d", len(all), all[len(all)-1].at.Segment)
	}
	p := OpenPlaces(dir)
	defer p.Close()
	for _, i := range []int{399, 0, 3, 200, 53, 399} {
		k := all[i]
		rec, leaf, err := p.Record(uint64(i+1), k.at)
		if err != nil || leaf != k.leaf || !reflect.DeepEqual(rec, k.rec) {
			t.Errorf("record %d: %+v, %v", i+1, rec, err)
		}
	}
	at := all[7].at
	for name, wrong := range map[string]Place{
		"another record":    all[8].at,
		"within a record":   {at.Segment, at.Offset + 5},
		"a header":          {at.Segment, 0},
		"behind the end":    {at.Segment, 1 << 30},
		"a missing segment": {at.Segment + 1, at.Offset},
	} {
		if _, _, err := p.Record(8, wrong); !errors.Is(err, ErrPlace) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What an erasure takes away is counted, and the records that it was taken from are found, with what is left of them.
func TestGoneKeysAreCounted(t *testing.T) {
	dir := people(t)
	watch := WatchKeys(dir)
	if gone, err := watch.Count(); err != nil || len(gone) != 0 {
		t.Fatalf("before any erasure: %v, %v", gone, err)
	}
	out := wantErasure(t, dir, Erasure{Person: "person3@example.org"}, false)
	gone, err := watch.Count()
	if err != nil {
		t.Fatal(err)
	}
	total := uint32(0)
	for _, g := range gone {
		total += g.Content
		if g.Trace != 0 {
			t.Errorf("keys of the trace are gone: %v", gone)
		}
	}
	if int(total) != out.Records {
		t.Errorf("%d keys are gone, and %d records lost one", total, out.Records)
	}
	var found []uint64
	err = ReadGone(dir, gone, func(rec *access.Record) error {
		found = append(found, rec.Position)
		if !rec.Erased || rec.SQL != "" || rec.Principal != "analyst" {
			t.Errorf("what is left is %+v", rec)
		}
		return nil
	})
	if err != nil || !reflect.DeepEqual(found, out.Positions) {
		t.Errorf("found %v, want %v (%v)", found, out.Positions, err)
	}
	for e := range gone {
		delete(gone, e)
		break
	}
	n := 0
	if err := ReadGone(dir, gone, func(*access.Record) error { n++; return nil }); err != nil || n == 0 || n >= out.Records {
		t.Errorf("of some of the epochs %d records of %d (%v)", n, out.Records, err)
	}
}
