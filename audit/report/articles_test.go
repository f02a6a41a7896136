package report

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"sallyport/audit"
	"sallyport/internal/access"
)

// governed is the world with approvals in it: carl's write was approved for a purpose, dora broke the glass, and a reviewer looked at
// a preview. What s1 asked is then erased, but for a hold's records.
func governed(t *testing.T) Options {
	o := world(t)
	log, err := audit.Open(o.Dir, audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2027, 1, 2, 12, 0, 0, 0, time.UTC)
	seq := map[string]uint64{}
	write := func(session, who string, r access.Record) {
		at = at.Add(time.Minute)
		seq[session]++
		r.Time, r.Session, r.Seq, r.Principal, r.Connection, r.Door = at, session, seq[session], who, "shop", access.DoorPGWire
		if _, err := log.Append(&r); err != nil {
			t.Fatal(err)
		}
	}
	marshal := func(v any) json.RawMessage {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	review := func(who, id string, s access.ReviewStep) {
		write("sys", who, access.Record{Kind: access.RecordReview, Approval: id, Review: marshal(s)})
	}
	plan := marshal(access.PlanRecord{Class: access.ClassWrite, Effect: "review", Policies: []string{"writes"}, PolicyVersion: "v2", Relations: []string{"write public.customers"}, Compiled: true,
		Masks: []access.MaskApplied{{Column: "public.customers.email", Label: "pii.email", Transform: "redact"}}, Shown: []access.ColumnShown{{Column: "public.customers.notes", Labels: []access.Label{access.Unjudged}}}})
	review("carl", "rq_1", access.ReviewStep{To: "pending"})
	review("carl", "rq_1", access.ReviewStep{From: "pending", To: "approved", Reviewer: "kim", Verdict: "approve", Justification: hostile, Purpose: "support", LawfulBasis: "contract"})
	write("s3", "carl", access.Record{Kind: access.RecordStatement, SQL: "update customers /* from customers */", Plan: plan, Approval: "rq_1", Rows: 1})
	review("dora", "rq_2", access.ReviewStep{To: "claimed", Use: true, Glass: "it burns"})
	write("s4", "dora", access.Record{Kind: access.RecordStatement, SQL: "update customers", Plan: plan, Approval: "rq_2", Rows: 4})
	write("s5", "carl", access.Record{Kind: access.RecordStatement, SQL: "update customers", Plan: plan, Approval: "preview of rq_1", Rows: 1000})
	write("s4", "dora", access.Record{Kind: access.RecordRefused, SQL: "update customers", Plan: plan, Approval: "rq_3", Code: "42501"})
	hold, err := log.Hold(access.Scope{Session: "s2"}, "dpo", "a lawsuit")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Erase(audit.Erasure{Person: "4211"}, "dpo", "a request", false); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Erase(audit.Erasure{Person: "from customers"}, "dpo", "another", false); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Lift(hold.ID, "dpo", "it is over"); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	o.Purposes[0].Relations = []string{"public.customers"}
	o.Purposes = append(o.Purposes, access.Purpose{ID: "marketing", Text: "nothing", LawfulBasis: "consent"})
	o.Retention = []Setting{{Name: "content", State: "90 days"}}
	o.Defaults = []Setting{{Name: "what no policy permits", State: "is refused"}}
	o.Measures = []Setting{{Name: "witnessed", State: hostile, Missing: true}}
	return o
}

func TestPrinciplesCountWhatWasSaidAndUsed(t *testing.T) {
	r, err := Principles(governed(t))
	if err != nil {
		t.Fatal(err)
	}
	// s1: two reads, of which one has lost its reason; s2: a read with a reason and an unresolved one; s3 and s4. Not the preview.
	want := Accountability{Steps: 6, Reason: 1, Task: 2, Purpose: 3, Approved: 1, Glass: 1, Refused: 1, Held: 1, Labelled: 5, Unfounded: 1}
	if diff := cmp.Diff(want, r.Accountability); diff != "" {
		t.Error(diff)
	}
	if len(r.Purposes) != 2 || r.Purposes[0].Purpose != "" || r.Purposes[1].Purpose != "support" {
		t.Fatalf("%+v", r.Purposes)
	}
	support := r.Purposes[1]
	if support.Steps != 3 || support.Rows != 3 || !cmp.Equal(support.Outside, []string{"public.orders"}) ||
		!cmp.Equal(support.Columns, []ColumnUse{{"shop", "public.customers.notes", "unjudged", 0, 1}, {"shop", "public.customers.email", "pii.email", 3, 0}}) {
		t.Errorf("%+v", support)
	}
	if r.Basis.Kinds[access.RecordReview] != 3 || r.Basis.Records == 0 || r.Basis.First != 1 || r.Basis.Erased == 0 {
		t.Errorf("%+v", r.Basis)
	}
}

func TestLawfulnessTellsWhatHasNoBasis(t *testing.T) {
	r, err := Lawfulness(governed(t))
	if err != nil {
		t.Fatal(err)
	}
	if r.Personal != 5 || r.Grounded != 3 || r.Unlabeled != 1 || !cmp.Equal(r.Unused, []string{"marketing"}) {
		t.Errorf("%+v", r)
	}
	want := []LawfulUse{
		{LawfulBasis: "contract", Purpose: "support", Said: byPolicy, Steps: 2, Rows: 2, Principals: []string{"ana"}, Labels: []string{"pii.email"}, Shown: []string{}},
		{LawfulBasis: "contract", Purpose: "support", Said: byReviewer, Steps: 1, Rows: 1, Principals: []string{"carl"}, Labels: []string{"pii.email", "unjudged"}, Shown: []string{"unjudged"}},
	}
	if diff := cmp.Diff(want, r.Uses); diff != "" {
		t.Error(diff)
	}
	none := map[string]int{}
	for _, u := range r.None {
		none[u.Principal] = u.Steps
	}
	if diff := cmp.Diff(map[string]int{"erik": 1, "dora": 1}, none); diff != "" {
		t.Error(diff)
	}
}

func TestErasuresListOrdersAndHolds(t *testing.T) {
	r, err := Erasures(governed(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Erasures) != 2 || r.Erasures[1].Records != 1 || len(r.Erasures[1].Held) != 1 || r.Erasures[1].Held[0].Records != 1 || r.Erasures[0].By != "dpo" || r.Erasures[0].Why != "a request" || r.Erasures[0].Records != 1 || !strings.Contains(r.Erasures[0].Scope, "not named") || r.Erasures[0].Digest == "" {
		t.Errorf("%+v", r.Erasures)
	}
	if len(r.Holds) != 1 || r.Holds[0].Lifted == nil || r.Holds[0].LiftedBy != "dpo" || r.Holds[0].Scope != "session s2" || r.Holds[0].Stayed != 1 || r.Holds[0].Why != "a lawsuit" {
		t.Errorf("%+v", r.Holds)
	}
	if r.Content == 0 || len(r.Open) != 0 || len(r.Retention) != 1 {
		t.Errorf("%+v", r)
	}
	for _, e := range r.Erasures {
		if strings.Contains(e.Scope+e.Why, "4211") {
			t.Errorf("the person is named: %+v", e)
		}
	}
}

func TestDesignSaysWhomMasksReach(t *testing.T) {
	r, err := Design(governed(t))
	if err != nil {
		t.Fatal(err)
	}
	want := []DesignColumn{
		{Connection: "shop", Column: "public.customers.notes", Label: "unjudged", Transforms: []string{}, Masked: []string{}, Shown: []string{"carl", "dora"}},
		{Connection: "shop", Column: "public.customers.email", Label: "pii.email", Transforms: []string{"token", "redact"}, Masked: []string{"ana", "carl", "dora"}, Shown: []string{"erik"}},
	}
	if diff := cmp.Diff(want, r.Columns); diff != "" {
		t.Error(diff)
	}
	if r.Refused != 1 || r.Held != 1 || r.Detected != 1 || !cmp.Equal(r.Unjudged, []string{"shop public.customers.notes"}) || len(r.Settings) != 1 {
		t.Errorf("%+v", r)
	}
}

func TestSecurityCountsWhatTheRecordShows(t *testing.T) {
	r, err := Security(governed(t))
	if err != nil {
		t.Fatal(err)
	}
	if r.Steps != 6 || r.Compiled != 2 || !cmp.Equal(r.Refusals, []Counted{{"42501", 2}}) || !cmp.Equal(r.Versions, []Counted{{"v1", 5}, {"v2", 4}}) ||
		!cmp.Equal(r.Doors, []Counted{{"mcp", 4}, {"pgwire", 2}}) {
		t.Errorf("%+v", r)
	}
	if diff := cmp.Diff(Approvals{Requests: 2, States: []Counted{{"approved", 1}, {"claimed", 1}}, Glass: 1, Unlooked: 1}, r.Approvals); diff != "" {
		t.Error(diff)
	}
}

func TestEveryReportIsHarmlessAndSaysWhatItIsMadeFrom(t *testing.T) {
	o := governed(t)
	for name, make := range map[string]func() (Report, error){
		"access": func() (Report, error) { return Access(o, []string{"eva lind"}) }, "breach": func() (Report, error) { return Breach(o, "erik") },
		"processing": func() (Report, error) { return Processing(o) }, "drift": func() (Report, error) { return Drift(o) },
		"principles": func() (Report, error) { return Principles(o) }, "lawfulness": func() (Report, error) { return Lawfulness(o) },
		"erasure": func() (Report, error) { return Erasures(o) }, "design": func() (Report, error) { return Design(o) }, "security": func() (Report, error) { return Security(o) },
	} {
		r, err := make()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var text, page, data strings.Builder
		for _, err := range []error{Text(&text, r), HTML(&page, r), JSON(&data, r)} {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		for form, s := range map[string]string{"text": text.String(), "page": page.String(), "JSON": data.String()} {
			for _, c := range s {
				if c != '\n' && c != ' ' && !unicode.IsPrint(c) {
					t.Fatalf("%s of %s: %U", form, name, c)
				}
			}
		}
		for _, s := range []string{text.String(), page.String()} {
			if !strings.Contains(s, "What this does not tell") || !strings.Contains(s, "Made from ") || !strings.Contains(s, "positions 1 to ") && name != "breach" {
				t.Errorf("%s does not say what it is made from, or what it does not tell:\n%s", name, s)
			}
		}
		if p := page.String(); strings.Contains(p, "<script") || strings.Contains(p, "http:") && !strings.Contains(p, `xmlns="http:`) || !strings.Contains(p, "@media print") || !strings.Contains(p, "default-src 'none'") {
			t.Errorf("the page of %s is not by itself", name)
		}
		if !json.Valid([]byte(data.String())) || !strings.Contains(data.String(), `"basis"`) {
			t.Errorf("%s is not JSON with a basis", name)
		}
	}
}
