package audit

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
)

// asked is a request with a vote and two statements under it, and one that broke the glass.
func asked(t testing.TB) []*access.Record {
	at := time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)
	var recs []*access.Record
	add := func(rec access.Record) {
		at = at.Add(time.Minute)
		rec.Position, rec.Time, rec.Principal, rec.Door, rec.Connection = uint64(len(recs)+1), at, "anna", access.DoorPGWire, "shop"
		recs = append(recs, &rec)
	}
	step := func(id string, s access.ReviewStep) {
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		add(access.Record{Session: "sys_1", Kind: access.RecordReview, Approval: id, Review: b})
	}
	run := plan(t, access.PlanRecord{Class: access.ClassWrite, Tag: "UPDATE", Relations: []string{"write public.customers"}, Effect: "review"})
	step("rq_1", access.ReviewStep{To: "pending", Digest: "abab", Missing: []string{"keepers"}})
	step("rq_1", access.ReviewStep{From: "pending", To: "approved", Reviewer: "kim", Groups: []string{"keepers"}, Verdict: "approve", Channel: "web", Justification: "as\x1b[2J told", Purpose: "support", LawfulBasis: "contract",
		Grant: json.RawMessage(`{"mode":"form","uses":2,"until":"2026-11-26T09:00:00Z"}`)})
	for i := range 2 {
		add(access.Record{Session: "pg_1", Seq: uint64(i + 1), Kind: access.RecordStatement, SQL: "UPDATE customers", Plan: run, Approval: "rq_1", Command: "UPDATE 1"})
	}
	step("rq_2", access.ReviewStep{To: "claimed", Use: true, Glass: "the shop is down", Digest: "cdcd"})
	add(access.Record{Session: "pg_1", Seq: 3, Kind: access.RecordStatement, SQL: "UPDATE customers", Plan: run, Approval: "rq_2", Command: "UPDATE 1"})
	add(access.Record{Session: "pg_2", Seq: 1, Kind: access.RecordStatement, SQL: "UPDATE customers", Plan: run, Approval: "preview of rq_1", Command: "UPDATE 1", Rows: 9})
	step("rq_3", access.ReviewStep{To: "pending", Digest: "efef", Missing: []string{"keepers"}})
	step("rq_3", access.ReviewStep{From: "pending", To: "pending", Missing: []string{"keepers"}, Escalated: &access.Escalated{Group: "keepers", Quorum: 2, Approved: 1, AfterMS: 90 * 60_000, To: []string{"leads\x1b[2J", "board"}}})
	return recs
}

func TestRenderTellsWhoApproved(t *testing.T) {
	var out bytes.Buffer
	if err := Render(&out, asked(t), RenderOptions{Width: 200}); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for want, n := range map[string]int{
		"kim (keepers) approved (web): as": 1, "purpose support, lawful basis contract": 1, // the history is told once
		"rq_1 · approved · allowed 2 statements of this form, with the same values until 2026-11-26 09:00:00 UTC":                       2,
		"THE GLASS WAS BROKEN by anna: nobody was asked. Reason: the shop is down":                                                      1,
		"BROKEN GLASS, and nobody has looked at it":                                                                                     1,
		"tried to show a reviewer of request rq_1 what it would do, and rolled back":                                                    1,
		"escalated: 1 of 2 had approved for keepers after 1h30m; members of leads\\x1b[2J, board may decide in their place from now on": 1,
		"request for approval rq_3": 1, "3 requests for approval": 1, "1 WITH BROKEN GLASS": 1, "4 steps": 1, "0 rows released": 1, "digest abab": 1,
	} {
		if got := strings.Count(text, want); got != n {
			t.Errorf("%q %d times, want %d", want, got, n)
		}
	}
	if strings.ContainsRune(text, 0x1b) {
		t.Error("an escape of a reviewer's reaches the terminal")
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestCollectTakesRequestsAlong(t *testing.T) {
	dir := t.TempDir()
	log, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range asked(t) {
		if rec.Session == "sys_1" {
			rec.Seq = rec.Position
		}
		if _, err := log.Append(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	recs, err := Collect(Whole(dir), Filter{Session: "pg_1", Last: 2})
	if err != nil {
		t.Fatal(err)
	}
	var got []uint64
	for _, rec := range recs {
		got = append(got, rec.Position)
	}
	if want := []uint64{1, 2, 5, 4, 6}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestAReviewSpeaksOfWhomItsWordsName(t *testing.T) {
	b, err := json.Marshal(access.ReviewStep{To: "approved", Reviewer: "kim@example.org", Justification: "Jane Doe asked for it", Outcome: "see 4711-22"})
	if err != nil {
		t.Fatal(err)
	}
	rec := &access.Record{Kind: access.RecordReview, Review: b}
	for person, want := range map[string]bool{"jane doe": true, "kim@example.org": true, "4711-22": true, "john doe": false, "approved": false} {
		if got := (&subject{text: []byte(person)}).in(rec); got != want {
			t.Errorf("%q: %v", person, got)
		}
	}
}
