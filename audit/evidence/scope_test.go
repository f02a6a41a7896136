package evidence

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"sallyport/audit"
	"sallyport/internal/access"
)

// TestCollectTakesWhatBelongs writes two sessions that take turns, one of them on a task, into a log.
func TestCollectTakesWhatBelongs(t *testing.T) {
	dir := t.TempDir()
	log, err := audit.Open(dir, audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	at := func(i int) time.Time { return time.Date(2027, 1, 1, 12, i, 0, 0, time.UTC) }
	for i, r := range []access.Record{
		{Session: "s1", Seq: 1, Kind: access.RecordOpen, Principal: "ada"},
		{Session: "s2", Seq: 1, Kind: access.RecordOpen, Principal: "bob"},
		{Kind: access.RecordTask, Task: "t1", Principal: "bob", Goal: "g"},
		{Session: "s1", Seq: 2, Kind: access.RecordStatement, Principal: "ada", SQL: "select 1", Result: row("1"), Rows: 1},
		{Session: "s2", Seq: 2, Kind: access.RecordStatement, Principal: "bob", Task: "t1", SQL: "select 2"},
		{Session: "s2", Seq: 3, Kind: access.RecordClose, Principal: "bob", Rows: 3},
		{Session: "s1", Seq: 3, Kind: access.RecordStatement, Principal: "ada", SQL: "select 3"},
	} {
		r.Time = at(i)
		if _, err := log.Append(&r); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		scope Scope
		want  []uint64
	}{
		{"session", Scope{Session: "s1"}, []uint64{1, 4, 7}},
		{"task, with the session's open record", Scope{Task: "t1"}, []uint64{2, 3, 5}},
		{"principal", Scope{Principal: "bob"}, []uint64{2, 3, 5, 6}},
		{"period, with open records from before", Scope{From: at(4), To: at(6)}, []uint64{2, 3, 5, 6}},
		{"principal in a period", Scope{Principal: "ada", From: at(6)}, []uint64{1, 7}},
		{"nothing", Scope{Session: "s3"}, nil},
	} {
		recs, err := Collect(audit.Whole(dir), c.scope)
		if err != nil {
			t.Fatal(err)
		}
		var got []uint64
		for _, r := range recs {
			got = append(got, r.Position)
			if r.Result != nil {
				t.Error("rows are held")
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: records %v, want %v", c.name, fmt.Sprint(got), c.want)
		}
	}
}
