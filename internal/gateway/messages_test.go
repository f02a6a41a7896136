package gateway

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/pgframe"
)

// raw is a Sink that keeps the bytes, also of what comes between two calls of Do.
type raw struct {
	mu    sync.Mutex
	bytes []byte
}

func (r *raw) Release(frames []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bytes = append(r.bytes, frames...)
	return nil
}

func (r *raw) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return string(r.bytes)
}

// waitFor waits until what came holds part.
func (r *raw) waitFor(t *testing.T, part string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if strings.Contains(r.text(), part) {
			return
		}
	}
	t.Fatalf("no %q in %q", part, r.text())
}

// leaks names what of the free text of customer 3 is in text.
func leaks(text string) string {
	for _, part := range []string{"secret.example", "415", "2671", "call ", "me@"} {
		if strings.Contains(text, part) {
			return part
		}
	}
	return ""
}

// worldWithNotify lets agents and writers LISTEN and NOTIFY as well.
func worldWithNotify(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	cfg := w.config()
	cfg.Policies = append(cfg.Policies, PolicyFile{Name: "notify.cedar", Text: `
@id("hear") permit (principal in Group::"agents", action == Action::"notify", resource in Connection::"shop");`})
	if err := w.gw.Close(); err != nil {
		t.Fatal(err)
	}
	gw, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.gw = gw
	return w
}

func TestErrorTextDoesNotPrintFreeText(t *testing.T) {
	w := newWorld(t)
	dba, s := w.login("dba"), w.login("agent")
	defer dba.Close()
	defer s.Close()
	wantNoError(t, w.query(dba, "create type mood as enum ('sad', 'happy')"))
	for _, expr := range []string{
		"notes::int", "notes::uuid", "notes::inet", "notes::boolean", "notes::interval", "notes::json", "notes::date",
		"notes::numeric", "notes::mood", "encode('x', notes)", "now() at time zone notes", "to_tsquery(notes)",
		"set_config('timezone', notes, false)", "('{' || notes)::int[]", "(notes || '\"' || notes)::int", "date_trunc(notes, now())",
		"notes::regclass", "notes::regtype", "to_number(notes, notes)", "notes::jsonpath",
	} {
		sql := "select " + expr + " from customers where id = 3"
		for how, ops := range map[string][]Op{"simple": {{Kind: OpQuery, SQL: sql}}, "extended": pipeline(sql)} {
			sink := &raw{}
			if err := s.Do(context.Background(), ops, sink); err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
			if part := leaks(sink.text()); part != "" {
				t.Errorf("%s (%s) prints %q: %q", sql, how, part, sink.text())
			}
		}
	}
}

func TestErrorTextKeepsWhatTheClientWrote(t *testing.T) {
	w := newWorld(t)
	s := w.login("agent")
	defer s.Close()
	for sql, want := range map[string]string{
		"select 'abc'::int":                               `"abc"`,
		"select nosuch from customers":                    "nosuch",
		"select id, count(*) from orders":                 "orders.id",
		"set statement_timeout = 'forever'":               "statement_timeout",
		"select 'a'::int from customers where id = 3":     `"a"`,
		"select to_tsquery('a b') from orders limit 1":    `"a b"`,
		"select now() at time zone 'nowhere' from orders": `"nowhere"`,
	} {
		if a := w.query(s, sql); len(a.errs) != 1 || !strings.Contains(a.errs[0], want) {
			t.Errorf("%s: errors %q, want one with %s", sql, a.errs, want)
		}
	}
	if a := w.do(s, pipeline("select left($1, 9)::int from orders", "sevenfold")...); len(a.errs) != 1 || !strings.Contains(a.errs[0], `"sevenfold"`) {
		t.Errorf("of a parameter: %q", a.errs)
	}
}

func TestErrorTextIsWholeForWhoSeesEverything(t *testing.T) {
	w := newWorld(t)
	s := w.login("dba")
	defer s.Close()
	if a := w.query(s, "select notes::int from customers where id = 3"); len(a.errs) != 1 || !strings.Contains(a.errs[0], "me@secret.example.org") {
		t.Errorf("errors %q", a.errs)
	}
}

func TestParameterStatusPassesTheDetectors(t *testing.T) {
	w := newWorld(t)
	s := w.login("agent")
	defer s.Close()
	sink := &raw{}
	if err := s.Do(context.Background(), []Op{{Kind: OpQuery, SQL: "select set_config('application_name', notes, false) is null from customers where id = 3"}}, sink); err != nil {
		t.Fatal(err)
	}
	text := sink.text()
	if !strings.Contains(text, "application_name") {
		t.Fatalf("no ParameterStatus in %q", text)
	}
	for _, part := range []string{"secret.example", "2671"} {
		if strings.Contains(text, part) {
			t.Errorf("%q in %q", part, text)
		}
	}
}

func TestNotificationsReachMaskedListenersWithoutTheirPayload(t *testing.T) {
	w := worldWithNotify(t)
	dba, s := w.login("dba"), w.login("agent")
	defer dba.Close()
	defer s.Close()
	sink, whole := &raw{}, &raw{}
	ctx := context.Background()
	if err := s.Do(ctx, []Op{{Kind: OpQuery, SQL: "listen changes"}}, sink); err != nil {
		t.Fatal(err)
	}
	if err := dba.Do(ctx, []Op{{Kind: OpQuery, SQL: "listen changes"}}, whole); err != nil {
		t.Fatal(err)
	}
	notify := func() {
		if err := dba.Do(ctx, []Op{{Kind: OpQuery, SQL: "select pg_notify('changes', notes) from customers where id = 3"}}, whole); err != nil {
			t.Fatal(err)
		}
	}
	notify()
	sink.waitFor(t, "changes\x00\x00") // while idle
	if !strings.Contains(whole.text(), "me@secret.example.org") {
		t.Errorf("the unrestricted listener got %q", whole.text())
	}
	if err := s.Do(ctx, []Op{{Kind: OpQuery, SQL: "begin"}}, sink); err != nil {
		t.Fatal(err)
	}
	notify()
	for _, sql := range []string{"commit", "select 1"} {
		if err := s.Do(ctx, []Op{{Kind: OpQuery, SQL: sql}}, sink); err != nil {
			t.Fatal(err)
		}
	}
	if part := leaks(sink.text()); part != "" {
		t.Errorf("the masked listener got %q: %q", part, sink.text())
	}
}

// TestIdleMessagesAreJudgedAsOthersAre: nothing that a server says between two statements is passed on as it came.
func TestIdleMessagesAreJudgedAsOthersAre(t *testing.T) {
	w := newWorld(t)
	s := w.login("agent")
	defer s.Close()
	frame := func(typ byte, body string) pgframe.Frame {
		b, at := pgframe.Begin(nil, typ)
		return pgframe.Frame{Type: typ, Raw: pgframe.End(append(b, body...), at)}
	}
	in := s.idleFilter()
	out, err := in.pass(frame('S', "application_name\x00me@secret.example.org\x00"))
	if err != nil || strings.Contains(string(out), "secret") || !strings.Contains(string(out), "application_name") {
		t.Errorf("ParameterStatus: %q, %v", out, err)
	}
	out, err = in.pass(frame('N', "SNOTICE\x00C00000\x00Mmail me@secret.example.org\x00Dme@secret.example.org\x00\x00"))
	if err != nil || strings.Contains(string(out), "secret") {
		t.Errorf("notice: %q, %v", out, err)
	}
	out, err = in.pass(frame('E', "SFATAL\x00C57P01\x00Mterminating connection due to administrator command\x00\x00"))
	if err != nil || !strings.Contains(string(out), "administrator command") {
		t.Errorf("error: %q, %v", out, err)
	}
	if out, err = in.pass(frame('S', "standard_conforming_strings\x00off\x00")); err == nil {
		t.Errorf("a change of what is pinned passed: %q", out)
	}
}

// TestRaisedErrorsTellNothing: RAISE sets every field of an error, the code among them, to what it likes.
func TestRaisedErrorsTellNothing(t *testing.T) {
	w := newWorld(t)
	cfg := w.config()
	cfg.Policies = append(cfg.Policies, PolicyFile{Name: "call.cedar", Text: `
@id("call") permit (principal in Group::"writers", action == Action::"call", resource == Function::"shop.public.refuse");`})
	if err := w.gw.Close(); err != nil {
		t.Fatal(err)
	}
	gw, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.gw = gw
	dba, s := w.login("dba"), w.login("writer")
	defer dba.Close()
	defer s.Close()
	wantNoError(t, w.query(dba, `create function refuse() returns trigger language plpgsql as $$
		declare c customers; begin
			select * into c from customers where id = 77;
			raise exception '%', c.ssn using errcode = right(c.ssn, 5), detail = c.ssn, hint = c.ssn,
				schema = c.ssn, table = c.ssn, column = c.ssn, datatype = c.ssn, constraint = c.ssn;
		end $$;
		create trigger refusal before update on orders for each row execute function refuse()`))
	const ssn = "000609763"
	if a := w.query(dba, "select ssn from customers where id = 77"); len(a.rows) != 1 || a.rows[0][0] != ssn {
		t.Fatalf("rows %v", a.rows)
	}
	sink := &raw{}
	if err := s.Do(context.Background(), []Op{{Kind: OpQuery, SQL: "update orders set amount = 1 where id = 1"}}, sink); err != nil {
		t.Fatal(err)
	}
	if text := sink.text(); strings.Contains(text, ssn[4:]) || !strings.Contains(text, "P0001") {
		t.Errorf("the client got %q", text)
	}
	failed := false
	for _, r := range w.records() {
		if strings.HasPrefix(r.SQL, "create") || r.Principal == "dba" {
			continue
		}
		failed = failed || r.Code == "P0001"
		if strings.Contains(r.Error, ssn[4:]) || r.Code == ssn[4:] {
			t.Errorf("the record has %s %q", r.Code, r.Error)
		}
	}
	if !failed {
		t.Error("the record knows of no error")
	}
}
