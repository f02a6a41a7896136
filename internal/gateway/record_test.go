package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"sallyport/audit"
	"sallyport/internal/access"
)

func TestRecordsHaveNoGapsAndWritesHaveIntents(t *testing.T) {
	w := newWorld(t)
	s := w.login("writer")
	w.query(s, "select count(*) from orders")
	w.query(s, "update orders set amount = 2 where id = 2")
	w.query(s, "select * from nowhere")
	s.Close()
	var kinds []string
	var seq uint64
	for _, r := range w.records() {
		if r.Session != s.id {
			continue
		}
		if seq++; r.Seq != seq {
			t.Errorf("record %d has sequence number %d", seq, r.Seq)
		}
		kinds = append(kinds, string(r.Kind))
	}
	if got := strings.Join(kinds, " "); got != "open statement intent outcome refused close" {
		t.Errorf("kinds %s", got)
	}
	if rep, err := audit.Check(w.dir + "/log"); err != nil {
		t.Errorf("check: %+v %v", rep, err)
	}
}

func TestStatementsBehindAFailedOneHaveOutcomes(t *testing.T) {
	w := newWorld(t)
	s := w.login("writer")
	wantError(t, w.query(s, "select 1; select 1/0; update orders set amount = 1 where id = 1; update orders set amount = 1 where id = 2"), "22012")
	s.Close()
	rep, err := audit.Check(w.dir + "/log")
	if err != nil || len(rep.Dangling) > 0 {
		t.Errorf("%d intents without an outcome, err %v", len(rep.Dangling), err)
	}
}

func TestNothingIsReleasedWhenTheLogFails(t *testing.T) {
	w := newWorld(t)
	s := w.login("agent")
	wantNoError(t, w.query(s, "select 1"))
	w.gw.log.Close()
	a := &answer{}
	if err := s.Do(context.Background(), []Op{{Kind: OpQuery, SQL: "select id from customers"}}, a); !errors.Is(err, ErrEnded) {
		t.Errorf("Do: %v", err)
	}
	if len(a.rows) > 0 || len(a.tags) > 0 || len(a.errs) != 1 {
		t.Errorf("released without a record: %+v", a)
	}
}

func TestLargeResultLeavesInRecordedWindows(t *testing.T) {
	w := newWorld(t)
	s := w.login("dba")
	a := w.query(s, "select g, repeat('x', 100) from generate_series(1, 20000) g")
	wantNoError(t, a)
	if len(a.rows) != 20000 {
		t.Errorf("%d rows", len(a.rows))
	}
	s.Close()
	releases := 0
	for _, r := range w.records() {
		if r.Kind == access.RecordRelease {
			releases++
		}
	}
	if releases < 5 {
		t.Errorf("%d release records", releases)
	}
}

// TestRecordsSayWhichResultColumnsWereMasked whatever they are called in the result; an explanation has none.
func TestRecordsSayWhichResultColumnsWereMasked(t *testing.T) {
	w := newWorld(t)
	s := w.login("agent")
	wantNoError(t, w.query(s, "select id, upper(email) as mail, ssn || email as both from customers"))
	wantNoError(t, w.query(s, "explain select email from customers"))
	wantNoError(t, w.query(s, "select id from customers"))
	s.Close()
	var got []string
	for _, r := range w.records() {
		if r.Kind != access.RecordStatement {
			continue
		}
		var p access.PlanRecord
		if err := json.Unmarshal(r.Plan, &p); err != nil {
			t.Fatal(err)
		}
		var columns []string
		for _, masks := range p.Outputs {
			var names []string
			for _, n := range masks {
				names = append(names, p.Masks[n].Column)
			}
			slices.Sort(names)
			columns = append(columns, strings.Join(names, "+"))
		}
		got = append(got, strings.Join(columns, " | "))
	}
	want := []string{" | public.customers.email | public.customers.email+public.customers.ssn", "", ""}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Whom literals, parameters and reasons name is not in the record, and their records are found by it.
func TestRecordsHaveTagsOfWhomTheyNamed(t *testing.T) {
	w := newWorld(t)
	s := w.login("dba")
	wantNoError(t, w.query(s, "select count(*) from customers where email in ('jane.roe@example.com', 'bob@example.org')"))
	wantNoError(t, w.query(s, "select 1"))
	agent := w.login("agent")
	w.query(agent, "select * from nowhere where email = 'JANE.ROE@example.com'")
	agent.Close()
	wantNoError(t, w.do(s, pipeline("select $1::text", "jane.roe@example.com")...))
	s.Close()
	for person, want := range map[string]string{"jane.roe@example.com": "intent refused intent", "bob@example.org": "intent", "mary@example.org": ""} {
		tags, err := audit.PersonTags(w.dir+"/log", person)
		if err != nil {
			t.Fatal(err)
		}
		var kinds []string
		for _, r := range w.records() {
			if text := r.SQL + strings.Join(r.Params, " ") + r.Error; strings.Contains(strings.ToLower(text), person) {
				t.Errorf("record %d names %s: %s", r.Position, person, text)
			}
			if slices.ContainsFunc(r.Persons, func(tag string) bool { return slices.Contains(tags, tag) }) {
				kinds = append(kinds, string(r.Kind))
			}
			if r.SQL == "select 1" && len(r.Persons) > 0 {
				t.Errorf("record %d names nobody and has tags", r.Position)
			}
		}
		if got := strings.Join(kinds, " "); got != want {
			t.Errorf("%s is found in %q, want %q", person, got, want)
		}
	}
}
