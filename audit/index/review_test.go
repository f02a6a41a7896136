package index

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/access"
)

func raw(t *testing.T, v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestReviewsAreFoundByTheirWords covers requests for approval and orders about the record: what was written in them is found, the
// person that an order is about is not.
func TestReviewsAreFoundByTheirWords(t *testing.T) {
	l := newLog(t)
	l.add(
		&access.Record{Session: "sys_1", Seq: 1, Kind: access.RecordReview, Principal: "anna", Approval: "rq_1", SQL: "UPDATE customers", Reason: "the region moved", Review: raw(t, access.ReviewStep{To: "pending"})},
		&access.Record{Session: "sys_1", Seq: 2, Kind: access.RecordReview, Principal: "anna", Approval: "rq_1", Review: raw(t, access.ReviewStep{From: "pending", To: "approved", Reviewer: "kim", Verdict: "approve", Justification: "verified\x1b with logistics"})},
		&access.Record{Session: "sys_1", Seq: 3, Kind: access.RecordReview, Principal: "anna", Approval: "rq_2", Review: raw(t, access.ReviewStep{To: "claimed", Use: true, Glass: "warehouse outage"})},
		&access.Record{Session: "s_1", Seq: 1, Kind: access.RecordRefused, Principal: "anna", Approval: "rq_1", Code: "42501"},
		&access.Record{Session: "s_1", Seq: 2, Kind: access.RecordIntent, Principal: "anna", Approval: "preview of rq_1"},
		&access.Record{Session: "o_1", Seq: 1, Kind: access.RecordHold, Principal: "dpo", Reason: "a lawsuit", Scope: raw(t, access.Scope{Person: "jane@example.com"}), Order: raw(t, access.Order{ID: "h_1"})},
		&access.Record{Session: "o_1", Seq: 2, Kind: access.RecordProposal, Principal: "dpo", Reason: "a request", Rows: 3, Scope: raw(t, access.Scope{Person: "jane@example.com"}), Order: raw(t, access.Order{ID: "e_1"})},
		&access.Record{Session: "o_1", Seq: 3, Kind: access.RecordLifted, Principal: "dpo", Reason: "it is over", Order: raw(t, access.Order{ID: "h_1"})},
	)
	if _, err := l.index.Update(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		q    Query
		want []uint64
	}{
		{"justification", Query{Words: []string{"logistics"}}, []uint64{2}},
		{"reason", Query{Words: []string{"region moved"}}, []uint64{1}},
		{"why nobody was asked", Query{Words: []string{"outage"}}, []uint64{3}},
		{"reviewer", Query{Person: []string{"kim"}}, []uint64{2}},
		{"request", Query{Fields: []Value{{Approval, "rq_1"}}}, []uint64{4, 2, 1}},
		{"held", Query{Fields: []Value{{Decision, "review"}}}, []uint64{4}},
		{"kind review", Query{Fields: []Value{{Kind, "review"}}}, []uint64{3, 2, 1}},
		{"kind hold", Query{Fields: []Value{{Kind, "hold"}}}, []uint64{6}},
		{"kind proposal", Query{Fields: []Value{{Kind, "proposal"}}}, []uint64{7}},
		{"kind lifted", Query{Fields: []Value{{Kind, "lifted"}}}, []uint64{8}},
		{"the person of an order", Query{Person: []string{"jane@example.com"}}, nil},
	} {
		candidates, err := l.index.Candidates(context.Background(), c.q)
		if err != nil {
			t.Fatal(err)
		}
		page, err := l.index.Search(context.Background(), c.q)
		if err != nil {
			t.Fatal(err)
		}
		var got []uint64
		for _, rec := range page.Records {
			got = append(got, rec.Position)
		}
		if !slices.Equal(got, c.want) || !slices.Equal(candidates, c.want) {
			t.Errorf("%s: %v, of candidates %v, want %v", c.name, got, candidates, c.want)
		}
	}
	page, err := l.index.Search(context.Background(), Query{})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := List(&out, page.Records, ListOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"rq_1: asked by anna", "rq_1: kim approved: verified", "THE GLASS WAS BROKEN by anna", "put records under a hold", "proposed to erase 3 records", "ended a hold"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the list does not say %q:\n%s", want, out.String())
		}
	}
	if strings.ContainsRune(out.String(), 0x1b) {
		t.Error("an escape reaches the terminal")
	}
}
