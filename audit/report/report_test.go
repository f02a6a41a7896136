package report

import (
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"sallyport/audit"
	"sallyport/internal/access"
)

func row(values ...string) []byte {
	body := binary.BigEndian.AppendUint16(nil, uint16(len(values)))
	for _, v := range values {
		body = append(binary.BigEndian.AppendUint32(body, uint32(len(v))), v...)
	}
	return append(binary.BigEndian.AppendUint32([]byte{'D'}, uint32(len(body)+4)), body...)
}

const hostile = "a\x1b]0;x\x07b\u202ec\td"

// world is a log: ana, through an agent, works on a task about an order and looks at salaries too; erik reads raw.
func world(t *testing.T) Options {
	dir := t.TempDir()
	log, err := audit.Open(dir, audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2027, 1, 1, 12, 0, 0, 0, time.UTC)
	seq := map[string]uint64{}
	write := func(session string, kind access.RecordKind, plan *access.PlanRecord, r access.Record) uint64 {
		at = at.Add(time.Minute)
		r.Time, r.Session, r.Kind = at, session, kind
		if session != "" {
			seq[session]++
			r.Seq, r.Connection, r.Door = seq[session], "shop", access.DoorMCP
		}
		switch session {
		case "s1":
			r.Principal, r.Actor = "ana", "bot"
		case "s2":
			r.Principal = "erik"
		}
		if plan != nil {
			plan.PolicyVersion = "v1"
			if r.Plan, err = json.Marshal(plan); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := log.Append(&r); err != nil {
			t.Fatal(err)
		}
		return r.Position
	}
	masked := &access.PlanRecord{Class: access.ClassRead, Effect: "allow", Policies: []string{"agents-read"}, Relations: []string{"read public.orders", "read public.customers"}, Labels: []access.Label{"pii.email"},
		Masks: []access.MaskApplied{{Column: "public.customers.email", Label: "pii.email", Transform: "token"}}}
	raw := &access.PlanRecord{Class: access.ClassRead, Effect: "allow", Policies: []string{"raw"}, Relations: []string{"read public.customers"}, Labels: []access.Label{"pii.email"},
		Shown: []access.ColumnShown{{Column: "public.customers.email", Labels: []access.Label{"pii.email"}}}}
	denied := &access.PlanRecord{Effect: "deny", Policies: []string{"no-payroll"}, Relations: []string{"read payroll.salaries"}}
	write("", access.RecordTask, nil, access.Record{Task: "t1", Principal: "ana", Actor: "bot", Goal: "why are the orders of customer 42 late", Ticket: "OPS-1"})
	write("s1", access.RecordOpen, nil, access.Record{Client: "10.0.0.7 bot", Groups: []string{"agents"}})
	write("s1", access.RecordStatement, masked, access.Record{Task: "t1", Reason: "see the order", SQL: "select o.id, c.email from orders o join customers c on c.id = o.customer where c.id = $1", Params: []string{"4211"}, Columns: []string{"id", "email"}, Rows: 2, Bytes: 60, Result: append(row("1", "tok_x"), row("2", "tok_x")...), Detected: 1})
	write("s1", access.RecordStatement, masked, access.Record{Task: "t1", SQL: "select 1 from orders where mail = '[email]'", Rows: 0})
	write("s1", access.RecordRefused, denied, access.Record{Task: "t1", SQL: "select pay from payroll.salaries", Code: "42501", Error: "no"})
	write("s2", access.RecordOpen, nil, access.Record{Client: hostile})
	in := write("s2", access.RecordIntent, raw, access.Record{SQL: "select email, name from customers", Reason: hostile})
	write("s2", access.RecordOutcome, nil, access.Record{Intent: in, Columns: []string{"email", "name"}, Rows: 3, Bytes: 90, Result: append(row("Eva.Lind@Example.org", "Eva Lind"), row("xeva.lind@example.org", "Xeva")...)})
	write("s2", access.RecordStatement, &access.PlanRecord{Class: access.ClassRead, Effect: "allow", Policies: []string{"dba"}}, access.Record{SQL: "select anything", Rows: 5, Bytes: 5, Result: row("1")})
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	return Options{Dir: dir, PolicyVersion: "v1", ByPolicy: map[string]string{"agents-read": "support"}, Purposes: []access.Purpose{{ID: "support", Text: "answering customers", LawfulBasis: "contract"}}}
}

func TestAccessFindsWhoConsultedAPerson(t *testing.T) {
	o := world(t)
	for _, c := range []struct {
		person []string
		want   map[uint64][]string // by position
	}{
		{[]string{"eva.lind@example.org"}, map[uint64][]string{7: {"result, column email"}}},
		{[]string{"EVA LIND", "4211"}, map[uint64][]string{3: {"parameter 1"}, 7: {"result, column name"}}},
		{[]string{"421"}, map[uint64][]string{}},
		{[]string{"nobody@example.org"}, map[uint64][]string{}},
	} {
		r, err := Access(o, c.person)
		if err != nil {
			t.Fatal(err)
		}
		got := map[uint64][]string{}
		for _, e := range r.Entries {
			got[e.Position] = e.Found
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.person, diff)
		}
		if r.Hidden != 1 {
			t.Errorf("%q: %d steps with hidden values", c.person, r.Hidden)
		}
	}
	r, err := Access(o, []string{"4211"})
	if err != nil {
		t.Fatal(err)
	}
	e := r.Entries[0]
	if e.Principal != "ana" || e.Actor != "bot" || e.Reason != "see the order" || !strings.HasPrefix(e.Goal, "why are") || !cmp.Equal(e.Purposes, []string{"support"}) || r.Partial != 2 {
		t.Errorf("%+v, %d partial", e, r.Partial)
	}
	if _, err := Access(o, []string{"x"}); err == nil {
		t.Error("an identifier of one character is taken")
	}
}

// Whose identifier was taken out of a statement is found in it, but not when their key is gone; whom else it spoke of still is.
func TestAccessFindsWhomRecordsDoNotName(t *testing.T) {
	o := world(t)
	log, err := audit.Open(o.Dir, audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	rec := &access.Record{Session: "s3", Seq: 1, Kind: access.RecordStatement, Time: time.Date(2027, 1, 2, 0, 0, 0, 0, time.UTC), Principal: "ana", SQL: "select '[email]', '[phone]'",
		Named: []access.Identifier{{Kind: "email", Value: "jane@example.org"}, {Kind: "phone", Value: "+49 30 901820"}}}
	if _, err := log.Append(rec); err != nil {
		t.Fatal(err)
	}
	want := func(person string, found ...string) {
		t.Helper()
		r, err := Access(o, []string{person})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Entries) != len(found) || len(found) > 0 && (r.Entries[0].Position != rec.Position || !cmp.Equal(r.Entries[0].Found, found)) {
			t.Errorf("%s: %+v", person, r.Entries)
		}
		if r.Hidden != 1 {
			t.Errorf("%s: of %d steps it is not known whom they name", person, r.Hidden)
		}
	}
	want("Jane@example.org", takenOut)
	want("0049 (0)30/901820", takenOut)
	want("mary@example.org")
	if out, err := log.Erase(audit.Erasure{Person: "jane@example.org"}, "dpo", "request", false); err != nil || !out.Untag || out.Records != 0 {
		t.Fatalf("%+v, %v", out, err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	want("jane@example.org")
	want("+4930901820", takenOut)
}

func TestBreachAddsUpWhatAnIdentityHasSeen(t *testing.T) {
	o := world(t)
	r, err := Breach(o, "erik")
	if err != nil {
		t.Fatal(err)
	}
	if r.Steps != 2 || r.Rows != 8 || r.Unmasked != 3 || r.Unknown != 1 || len(r.Sessions) != 1 || r.Bytes != 95 {
		t.Errorf("%+v", r)
	}
	want := []BreachColumn{{Connection: "shop", Label: "pii.email", Column: "public.customers.email", Steps: 1, Rows: 3}}
	if diff := cmp.Diff(want, r.Columns); diff != "" {
		t.Error(diff)
	}
	if r, err = Breach(o, "ana"); err != nil || r.Unmasked != 0 || r.Refused != 1 || r.Rows != 2 || r.Detected != 1 || len(r.Relations) != 2 || !r.Columns[0].Masked {
		t.Errorf("%+v %v", r, err)
	}
	o.From = time.Date(2027, 1, 1, 12, 8, 30, 0, time.UTC)
	if r, err = Breach(o, "erik"); err != nil || r.Unmasked != 0 || r.Steps != 1 {
		t.Errorf("in the interval: %+v %v", r, err)
	}
}

func TestProcessingDraftsFromActualUse(t *testing.T) {
	r, err := Processing(world(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Activities) != 2 {
		t.Fatalf("%+v", r.Activities)
	}
	none, support := r.Activities[0], r.Activities[1]
	if none.Purpose != "" || !cmp.Equal(none.Recipients, []Recipient{{Principal: "erik", Steps: 1, Unmasked: []string{"pii.email"}}}) {
		t.Errorf("%+v", none)
	}
	if support.LawfulBasis != "contract" || support.Steps != 2 || !cmp.Equal(support.Categories, []string{"pii.email"}) || !cmp.Equal(support.Measures, []string{"pii.email: token"}) ||
		!cmp.Equal(support.Recipients, []Recipient{{Principal: "ana", Actors: []string{"bot"}, Steps: 2}}) {
		t.Errorf("%+v", support)
	}
}

func TestDriftListsWhatATaskDoesNotSpeakOf(t *testing.T) {
	o := world(t)
	for _, c := range []struct {
		name     string
		patterns []string
		want     map[string]string
	}{
		{"by words", nil, map[string]string{"payroll.salaries": Unmentioned}},
		{"by the purpose", []string{"public.orders"}, map[string]string{"payroll.salaries": Outside, "public.customers": Outside}},
		{"by a purpose with patterns", []string{"pub*.*"}, map[string]string{"payroll.salaries": Outside}},
	} {
		o.Purposes[0].Relations = c.patterns
		r, err := Drift(o)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, task := range r.Tasks {
			for _, d := range task.Relations {
				got[d.Relation] = d.Why
				if d.Relation == "payroll.salaries" && (d.Tried != 1 || d.Steps != 1 || d.Tasks != 1) {
					t.Errorf("%+v", d)
				}
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" || r.Seen != 1 {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestReportsAreHarmlessOnATerminal(t *testing.T) {
	o := world(t)
	o.Purposes[0].Text = hostile
	a, err1 := Access(o, []string{"eva lind", hostile})
	b, err2 := Breach(o, "erik")
	p, err3 := Processing(o)
	d, err4 := Drift(o)
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range []Report{a, b, p, d} {
		for name, write := range map[string]func(*strings.Builder) error{
			"text": func(w *strings.Builder) error { return Text(w, r) }, "JSON": func(w *strings.Builder) error { return JSON(w, r) },
		} {
			var out strings.Builder
			if err := write(&out); err != nil {
				t.Fatal(err)
			}
			for _, c := range out.String() {
				if c != '\n' && !unicode.IsPrint(c) {
					t.Fatalf("%s of %T: %U in %q", name, r, c, out.String())
				}
			}
			if name == "JSON" && !json.Valid([]byte(out.String())) {
				t.Errorf("%T is not JSON", r)
			}
		}
	}
}
