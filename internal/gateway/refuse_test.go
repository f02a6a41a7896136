package gateway

import (
	"context"
	"strings"
	"testing"

	"sallyport/internal/access"
)

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	s := w.login("agent")
	defer s.Close()
	for name, sql := range map[string]string{
		"forbidden_table":        "select * from secrets",
		"write":                  "update orders set amount = 0",
		"write_in_cte":           "with d as (delete from orders returning 1) select * from d",
		"batch_with_one_refused": "select 1; delete from orders; select 2",
		"sql_in_text":            "select query_to_xml('select ssn from customers', true, true, '')",
		"file":                   "select pg_read_file('/etc/passwd')",
		"statistics":             "select * from pg_stats",
		"token_key":              "show sallyport.ipad",
		"token_key_function":     "select current_setting('sallyport.opad')",
		"set_role":               "set role postgres",
	} {
		t.Run(name, func(t *testing.T) {
			a := w.query(s, sql)
			if len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], "42501") && !strings.HasPrefix(a.errs[0], "0A000") {
				t.Errorf("errors %q, want one refusal", a.errs)
			}
			if a.tx != 'I' || len(a.rows) > 0 || len(a.tags) > 0 {
				t.Errorf("answer %+v: nothing may have run", a)
			}
			a = w.do(s, pipeline(sql)...)
			if len(a.errs) != 1 || a.tx != 'I' {
				t.Errorf("extended: %+v", a)
			}
		})
	}
}

func TestRefusalAbortsTheTransaction(t *testing.T) {
	w := newWorld(t)
	s := w.login("writer")
	defer s.Close()
	w.query(s, "begin")
	wantNoError(t, w.query(s, "update orders set amount = -1 where id = 1"))
	a := w.query(s, "select pg_read_file('x')")
	wantError(t, a, "42501")
	if a.tx != 'E' {
		t.Errorf("transaction status %c after a refusal, want E", a.tx)
	}
	wantError(t, w.query(s, "select 1"), "25P02")
	w.query(s, "commit")
	if a := w.query(s, "select amount from orders where id = 1"); a.rows[0][0] != "1" {
		t.Errorf("amount %v: the refused transaction was committed", a.rows)
	}
	// In a pipeline the statements before the refused one go with it, as they would at the server.
	ops := append(pipeline("update orders set amount = -2 where id = 1")[:4], pipeline("select pg_read_file('x')")...)
	a = w.do(s, ops...)
	wantError(t, a, "42501")
	if a.tx != 'I' {
		t.Errorf("transaction status %c, want I", a.tx)
	}
	if a := w.query(s, "select amount from orders where id = 1"); a.rows[0][0] != "1" {
		t.Errorf("amount %v: half a pipeline was committed", a.rows)
	}
}

func TestReasonIsRequiredAndRecorded(t *testing.T) {
	w := newWorld(t)
	s := w.login("why")
	wantError(t, w.query(s, "select id from orders where id = 1"), "42501")
	wantNoError(t, w.query(s, "set sallyport.reason = 'looking into the refund of order 1'"))
	wantNoError(t, w.query(s, "select id from orders where id = 1"))
	s.Close()
	found := false
	for _, r := range w.records() {
		found = found || r.Kind == access.RecordStatement && strings.Contains(r.SQL, "from orders") && r.Reason == "looking into the refund of order 1"
	}
	if !found {
		t.Error("no record has the reason")
	}
}

func TestLoginRefusals(t *testing.T) {
	w := newWorld(t)
	for name, l := range map[string]Login{
		"wrong_password":     {Connection: "shop", Credentials: access.Password{User: "agent", Secret: "no"}},
		"unknown_connection": {Connection: "nowhere", Credentials: access.Password{User: "agent", Secret: "pw-agent"}},
		"not_permitted":      {Connection: "shop", Credentials: access.Password{User: "nobody", Secret: "pw-nobody"}},
		"pinned_setting":     {Connection: "shop", Credentials: access.Password{User: "agent", Secret: "pw-agent"}, Settings: map[string]string{"standard_conforming_strings": "off"}},
		"token_key":          {Connection: "shop", Credentials: access.Password{User: "agent", Secret: "pw-agent"}, Settings: map[string]string{"sallyport.ipad": "00"}},
		"role":               {Connection: "shop", Credentials: access.Password{User: "agent", Secret: "pw-agent"}, Settings: map[string]string{"role": "postgres"}},
	} {
		t.Run(name, func(t *testing.T) {
			l.Door = access.DoorPGWire
			if s, err := w.gw.Connect(context.Background(), l); err == nil {
				s.Close()
				t.Error("let in")
			}
		})
	}
}
