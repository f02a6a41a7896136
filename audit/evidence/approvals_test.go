package evidence

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/audit"
	"sallyport/internal/access"
)

const (
	agreed, waiting, glass = "rq_1", "rq_2", "rq_3"
	parent                 = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
)

// reviewed is a session in which one statement ran under an approval, one waits, and one broke the glass; and the session of a
// preview. The steps of the requests are the gateway's own.
func reviewed(t testing.TB) []*access.Record {
	at := time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)
	var recs []*access.Record
	seq := map[string]uint64{}
	add := func(session string, kind access.RecordKind, rec access.Record) *access.Record {
		at = at.Add(time.Minute)
		seq[session]++
		rec.Position, rec.Session, rec.Seq, rec.Kind, rec.Time = uint64(len(recs)+1), session, seq[session], kind, at
		rec.Door, rec.Connection, rec.Principal = access.DoorPGWire, "shop", "anna"
		recs = append(recs, &rec)
		return &rec
	}
	review := func(id string, step access.ReviewStep, rec access.Record) {
		b, err := json.Marshal(step)
		if err != nil {
			t.Fatal(err)
		}
		rec.Approval, rec.Review = id, b
		add("sys_1", access.RecordReview, rec)
	}
	plan := planOf(t, access.PlanRecord{Class: access.ClassWrite, Tag: "UPDATE", Relations: []string{"write public.customers"}, Effect: "review", Policies: []string{"writes"}, PolicyVersion: "p1"})
	const sql = "UPDATE customers SET region = 'x' WHERE id = 7"
	expires := at.Add(time.Hour)
	add("pg_1", access.RecordOpen, access.Record{Client: "192.0.2.7:4000 psql"})
	review(agreed, access.ReviewStep{Session: "pg_1", To: "pending", Digest: strings.Repeat("ab", 32), Expires: expires, Missing: []string{"keepers"}, Relations: []string{"update public.customers"},
		Labels: []access.Label{"pii.region"}, Policies: []string{"writes"}}, access.Record{SQL: sql, Reason: "customer 7 moved"})
	add("pg_2", access.RecordOpen, access.Record{Client: "preview of request " + agreed + " for kim"})
	tried := add("pg_2", access.RecordIntent, access.Record{SQL: sql, Plan: plan, Approval: "preview of " + agreed})
	add("pg_2", access.RecordOutcome, access.Record{Intent: tried.Position, Rows: 1, Bytes: 40, Command: "UPDATE 1"})
	review(agreed, access.ReviewStep{From: "pending", To: "approved", Reviewer: "kim", Groups: []string{"keepers"}, Verdict: "approve", Channel: "web", Justification: "ticket 12 says so", Purpose: "support",
		LawfulBasis: "contract", Authenticated: at, Proven: "certificate of https://id.example (sub k)", Grant: json.RawMessage(`{"mode":"once","until":"2026-11-26T09:00:00Z"}`)}, access.Record{})
	review(agreed, access.ReviewStep{From: "approved", To: "claimed", Use: true}, access.Record{})
	in := add("pg_1", access.RecordIntent, access.Record{SQL: sql, Plan: plan, Approval: agreed, Reason: "customer 7 moved", Traceparent: parent})
	add("pg_1", access.RecordOutcome, access.Record{Intent: in.Position, Command: "UPDATE 1"})
	review(agreed, access.ReviewStep{From: "claimed", To: "executed", Outcome: "UPDATE 1"}, access.Record{})
	review(waiting, access.ReviewStep{Session: "pg_1", To: "pending", Digest: strings.Repeat("cd", 32), Expires: expires, Missing: []string{"keepers"}}, access.Record{SQL: sql})
	add("pg_1", access.RecordRefused, access.Record{SQL: sql, Plan: plan, Approval: waiting, Code: "42501", Error: "this statement needs approval by keepers"})
	review(glass, access.ReviewStep{Session: "pg_1", To: "claimed", Use: true, Digest: strings.Repeat("ef", 32), Expires: expires, Glass: "the shop is\x1b[2J down"}, access.Record{SQL: sql})
	in = add("pg_1", access.RecordIntent, access.Record{SQL: sql, Plan: plan, Approval: glass, Traceparent: "not one"})
	add("pg_1", access.RecordOutcome, access.Record{Intent: in.Position, Command: "UPDATE 1"})
	review(glass, access.ReviewStep{From: "claimed", To: "executed", Glass: "the shop is\x1b[2J down", Outcome: "UPDATE 1"}, access.Record{})
	review(waiting, access.ReviewStep{From: "pending", To: "pending", Missing: []string{"keepers"}, Escalated: &access.Escalated{Group: "keepers", Quorum: 1, AfterMS: 20 * 60_000, To: []string{"leads"}}},
		access.Record{SQL: sql})
	review(waiting, access.ReviewStep{From: "pending", To: "denied", Reviewer: "lea", Groups: []string{"leads"}, Instead: []string{"keepers"}, Verdict: "deny", Justification: "not before the audit", ACR: "mfa"}, access.Record{})
	add("pg_1", access.RecordClose, access.Record{Rows: int64(seq["pg_1"] + 1)})
	return recs
}

func TestABundleTellsWhoApproved(t *testing.T) {
	recs := reviewed(t)
	in := input(t, recs)
	in.Scope = Scope{Principal: "anna"}
	files := bundle(t, in)
	d := decode(t, files)
	if d.Summary.Requests != 3 || d.Summary.BrokenGlass != 1 || d.Summary.Previews != 1 || d.Summary.Steps != 3 || d.Summary.Held != 1 || d.Summary.Rows != 0 {
		t.Errorf("%+v", d.Summary)
	}
	a := d.Approvals[0]
	if a.ID != agreed || a.State != "executed" || a.Requester != "anna" || a.Session != "pg_1" || a.Digest != strings.Repeat("ab", 32) || a.Reason != "customer 7 moved" ||
		a.WaitedMS != 4*60_000 || !cmp.Equal(a.Steps, []uint64{8}) || a.Grant.Mode != "once" || a.Glass != nil || len(a.History) != 4 {
		t.Errorf("%+v", a)
	}
	v := a.History[1]
	if v.Reviewer != "kim" || v.Verdict != "approve" || v.Channel != "web" || v.Justification != "ticket 12 says so" || v.Purpose != "support" || v.LawfulBasis != "contract" || v.Authenticated == nil ||
		v.Proven != "certificate of https://id.example (sub k)" || !strings.Contains(v.Description, "proven by certificate of https://id.example (sub k), at 2026-") || !strings.Contains(string(files["trace.html"]), "proven by certificate of") {
		t.Errorf("%+v", v)
	}
	if b := d.Approvals[2]; b.ID != glass || b.Glass == nil || b.Glass.Looked || !cmp.Equal(b.Steps, []uint64{14}) {
		t.Errorf("%+v", b)
	}
	if w := d.Approvals[1].History; len(w) != 3 || w[1].Escalated == nil || w[1].Escalated.Group != "keepers" || w[1].Escalated.AfterMS != 20*60_000 || !cmp.Equal(w[1].Escalated.To, []string{"leads"}) ||
		!cmp.Equal(w[2].Instead, []string{"keepers"}) || w[2].ACR != "mfa" {
		t.Errorf("%+v", w)
	}
	if len(d.Purposes) != 1 || d.Purposes[0].ID != "support" {
		t.Errorf("purposes %+v", d.Purposes)
	}
	var approvals, parents []string
	for _, s := range d.Sessions {
		if s.ID == "sys_1" {
			t.Error("the gateway's own session is one of the principal's")
		}
		for _, st := range s.Steps {
			approvals, parents = append(approvals, st.Approval+"|"+st.PreviewOf+"|"+string(st.Outcome)), append(parents, st.Traceparent)
		}
	}
	if want := []string{agreed + "||allowed", waiting + "||held", glass + "||allowed", "|" + agreed + "|allowed"}; !slices.Equal(approvals, want) {
		t.Errorf("%q, want %q", approvals, want)
	}
	if !slices.Equal(parents, []string{parent, "", "", ""}) {
		t.Errorf("traceparents %q", parents)
	}
	limits := strings.Join(d.Limits, "\n")
	if strings.Contains(limits, "do not exist") || !strings.Contains(limits, "breaking the glass") || !strings.Contains(limits, "At 1 of them nobody has looked") {
		t.Errorf("limits: %s", limits)
	}
	page := string(files["trace.html"])
	for _, want := range []string{"kim (keepers) approved (web), proven by certificate of https://id.example (sub k), at 2026-11-26 08:05:00 UTC: ticket 12 says so; purpose support, lawful basis contract", "Broken glass: nobody was asked.", `href="#approval-rq_1"`, `id="approval-rq_1"`,
		"escalated: nobody had approved for keepers after 20m; members of leads may decide in their place from now on", "lea (leads) denied in the place of keepers, proven with acr mfa: not before the audit",
		"Tried and rolled back", "Nobody has looked at it.", "this statement, once"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.ContainsRune(page, 0x1b) {
		t.Error("the page has an escape")
	}
}

func TestWithoutApprovalsNothingIsSaidOfThem(t *testing.T) {
	recs := day(t, 5)
	d := decode(t, bundle(t, input(t, recs)))
	if len(d.Approvals) > 0 || strings.Contains(strings.Join(d.Limits, "\n"), "reviewer") {
		t.Errorf("%+v %q", d.Approvals, d.Limits)
	}
}

func TestCollectTakesTheHistoryOfRequestsAlong(t *testing.T) {
	dir := t.TempDir()
	log, err := audit.Open(dir, audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range reviewed(t) {
		if _, err := log.Append(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	recs, err := Collect(audit.Whole(dir), Scope{Session: "pg_1"})
	if err != nil {
		t.Fatal(err)
	}
	n := map[string]int{}
	for _, rec := range recs {
		if rec.Kind == access.RecordReview {
			n[rec.Approval]++
		}
		if rec.Session == "pg_2" {
			t.Errorf("record %d is of another session", rec.Position)
		}
	}
	if diff := cmp.Diff(map[string]int{agreed: 4, waiting: 3, glass: 2}, n); diff != "" {
		t.Error(diff)
	}
}
