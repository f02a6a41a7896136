package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/audit"
	"sallyport/internal/access"
	"sallyport/internal/identity"
	"sallyport/internal/pgframe"
	"sallyport/internal/testdb"
)

const testSchema = `
create table customers(id int primary key, name text, email text, ssn text, notes text, region text);
insert into customers select g, 'n'||g, 'u'||g||'@example.com', lpad((g*7919)::text, 9, '0'),
  case when g = 3 then 'call +1 415 555 2671 or mail me@secret.example.org' else 'ok' end, 'r'||g%4 from generate_series(1,200) g;
create table orders(id int primary key, customer_id int, amount numeric);
insert into orders select g, g%200+1, g from generate_series(1,5000) g;
create table secrets(id int, v text);`

const testPolicy = `
@id("agents") @rows("100") permit (principal in Group::"agents", action in [Action::"connect", Action::"read"], resource in Connection::"shop");
@id("agents-secrets") forbid (principal in Group::"agents", action, resource == Table::"shop.public.secrets");
@id("writers") permit (principal in Group::"writers", action in [Action::"connect", Action::"read", Action::"write"], resource in Connection::"shop");
@id("slow") @timeout("300ms") permit (principal in Group::"slow", action in [Action::"connect", Action::"read"], resource in Connection::"shop");
@id("reasoned") @reason("required") permit (principal in Group::"reasoned", action in [Action::"connect", Action::"read"], resource in Connection::"shop");
@id("dba") permit (principal in Group::"dba", action in [Action::"connect", Action::"unrestricted"], resource in Connection::"shop");
`

// world is a gateway in front of a database of its own.
type world struct {
	t   *testing.T
	gw  *Gateway
	dir string
	dsn string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), dsn: testdb.Shared(t).NewDatabase(t, testSchema)}
	w.open()
	t.Cleanup(func() { w.gw.Close() })
	return w
}

func (w *world) config() Config {
	var people []access.LocalPrincipal
	for name, groups := range map[string][]string{"agent": {"agents"}, "writer": {"writers"}, "slowly": {"slow"}, "dba": {"dba"}, "why": {"reasoned"}, "nobody": nil} {
		people = append(people, access.LocalPrincipal{Name: name, Kind: access.Human, Groups: groups, Secret: identity.HashPassword("pw-" + name)})
	}
	return Config{DataDir: w.dir, Connections: []access.Connection{{Name: "shop", Driver: "postgres", DSN: w.dsn}}, Principals: people,
		Labels:   []access.LabelRule{{Label: "pii.email", Columns: []string{"*.*.email"}}, {Label: "pii.ssn", Columns: []string{"*.*.ssn"}}},
		Masks:    []access.Mask{{Label: "pii.email", Transform: "token"}, {Label: "pii.ssn", Transform: "redact"}},
		Policies: []PolicyFile{{Name: "test.cedar", Text: testPolicy}}}
}

func (w *world) open() {
	w.t.Helper()
	gw, err := Open(context.Background(), w.config())
	if err != nil {
		w.t.Fatal(err)
	}
	w.gw = gw
}

func (w *world) login(name string) *Session {
	w.t.Helper()
	s, err := w.gw.Connect(context.Background(), Login{Door: access.DoorPGWire, Connection: "shop", Credentials: access.Password{User: name, Secret: "pw-" + name}})
	if err != nil {
		w.t.Fatalf("%s cannot connect: %v", name, err)
	}
	return s
}

// answer is what came back, frame by frame.
type answer struct {
	rows    [][]string
	tags    []string
	errs    []string // SQLSTATE and message
	notices []string
	types   string // frame types in order
	tx      byte
}

func (a *answer) Release(frames []byte) error {
	for len(frames) > 0 {
		f, rest, _, err := pgframe.Next(frames)
		if err != nil || f.Raw == nil {
			return fmt.Errorf("not whole frames: %v", err)
		}
		frames = rest
		a.types += string(f.Type)
		switch f.Type {
		case 'D':
			d := decoder{res: &Result{}}
			d.row(f.Body())
			var row []string
			for _, v := range d.res.Rows[0] {
				if v == nil {
					row = append(row, "NULL")
				} else {
					row = append(row, *v)
				}
			}
			a.rows = append(a.rows, row)
		case 'd':
			a.rows = append(a.rows, []string{strings.TrimSuffix(string(f.Body()), "\n")})
		case 'C':
			tag, _, _ := pgframe.CString(f.Body())
			a.tags = append(a.tags, tag)
		case 'E':
			fs := pgframe.Fields(f.Body())
			a.errs = append(a.errs, field(fs, 'C')+" "+field(fs, 'M')+" "+field(fs, 'D'))
		case 'N':
			a.notices = append(a.notices, field(pgframe.Fields(f.Body()), 'M'))
		case 'Z':
			a.tx = f.Body()[0]
		}
	}
	return nil
}

func (w *world) do(s *Session, ops ...Op) *answer {
	w.t.Helper()
	a := &answer{}
	if err := s.Do(context.Background(), ops, a); err != nil {
		w.t.Fatalf("Do: %v (errors %v)", err, a.errs)
	}
	return a
}

func (w *world) query(s *Session, sql string) *answer {
	w.t.Helper()
	return w.do(s, Op{Kind: OpQuery, SQL: sql})
}

// pipeline is the extended protocol's usual burst for one statement.
func pipeline(sql string, args ...string) []Op {
	return []Op{{Kind: OpParse, SQL: sql}, {Kind: OpBind, Raw: bindText(args)}, {Kind: OpDescribe, Target: 'P'}, {Kind: OpExecute}, {Kind: OpSync}}
}

func (w *world) records() []*access.Record {
	w.t.Helper()
	var out []*access.Record
	if err := audit.Read(w.dir+"/log", func(r *access.Record) error { c := *r; out = append(out, &c); return nil }); err != nil {
		w.t.Fatal(err)
	}
	return out
}

func wantError(t *testing.T, a *answer, code string) {
	t.Helper()
	if len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], code) {
		t.Errorf("errors %q, want one with %s (rows %v)", a.errs, code, a.rows)
	}
}

func wantNoError(t *testing.T, a *answer) {
	t.Helper()
	if len(a.errs) > 0 {
		t.Fatalf("unexpected errors %q", a.errs)
	}
}

func TestMaskedPrincipalReadsMaskedValues(t *testing.T) {
	w := newWorld(t)
	s := w.login("agent")
	defer s.Close()
	for name, a := range map[string]*answer{
		"simple":   w.query(s, "select id, email, ssn, region from customers where id = 1"),
		"extended": w.do(s, pipeline("select id, email, ssn, region from customers where id = $1", "1")...),
	} {
		t.Run(name, func(t *testing.T) {
			wantNoError(t, a)
			if len(a.rows) != 1 {
				t.Fatalf("rows %v", a.rows)
			}
			r := a.rows[0]
			if r[0] != "1" || !strings.HasPrefix(r[1], "tok_") || r[2] != "***" || r[3] != "r1" {
				t.Errorf("row %v is not masked as configured", r)
			}
		})
	}
	if a := w.query(s, "copy customers(id, ssn) to stdout"); len(a.errs) > 0 || len(a.rows) != 100 && len(a.rows) != 0 {
		t.Logf("copy: %v %d rows", a.errs, len(a.rows))
	}
	if a := w.query(s, "copy (select ssn from customers where id < 3) to stdout"); len(a.rows) != 2 || a.rows[0][0] != "***" {
		t.Errorf("copy gave %v %v", a.rows, a.errs)
	}
}

func TestLiteralsOfOneShapeShareAPlan(t *testing.T) {
	w := newWorld(t)
	s := w.login("agent")
	defer s.Close()
	for i := 1; i <= 20; i++ {
		a := w.query(s, fmt.Sprintf("select id, ssn, region from customers where id = %d and region <> 'x%d';", i, i))
		wantNoError(t, a)
		if len(a.rows) != 1 || a.rows[0][0] != fmt.Sprint(i) || a.rows[0][1] != "***" {
			t.Fatalf("statement %d gave %v", i, a.rows)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.scope.shapes) == 0 || len(s.scope.texts) > 3 {
		t.Errorf("%d shapes and %d texts are cached: the statements did not share a plan", len(s.scope.shapes), len(s.scope.texts))
	}
}

func TestDetectorsWatchUnlabelledText(t *testing.T) {
	w := newWorld(t)
	s := w.login("agent")
	defer s.Close()
	for _, a := range []*answer{w.query(s, "select notes from customers where id = 3"), w.do(s, pipeline("select notes from customers where id = 3")...),
		w.query(s, "copy (select notes from customers where id = 3) to stdout")} {
		wantNoError(t, a)
		if got := a.rows[0][0]; strings.Contains(got, "secret.example") || strings.Contains(got, "2671") {
			t.Errorf("the note came out as %q", got)
		}
	}
}

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

func TestRowLimit(t *testing.T) {
	w := newWorld(t)
	s := w.login("agent")
	defer s.Close()
	for name, a := range map[string]*answer{"simple": w.query(s, "select id from orders"), "extended": w.do(s, pipeline("select id from orders")...)} {
		if len(a.rows) != 100 || len(a.notices) != 1 || len(a.errs) > 0 || a.tags[0] != "SELECT 100" || a.tx != 'I' {
			t.Errorf("%s: %d rows, notices %v, errors %v, tags %v", name, len(a.rows), a.notices, a.errs, a.tags)
		}
	}
	if a := w.query(s, "select id from orders limit 100"); len(a.rows) != 100 || len(a.notices) != 0 {
		t.Errorf("exactly the limit: %d rows, notices %v", len(a.rows), a.notices)
	}
	a := w.query(s, "copy (select id from orders) to stdout")
	wantError(t, a, "54000")
	if len(a.rows) > 100 {
		t.Errorf("COPY released %d rows", len(a.rows))
	}
	// A portal read in parts has one limit over all of them.
	w.query(s, "begin")
	ops := []Op{{Kind: OpParse, SQL: "select id from orders"}, {Kind: OpBind, Raw: bindText(nil)}}
	for range 5 {
		ops = append(ops, Op{Kind: OpExecute, MaxRows: 40})
	}
	a = w.do(s, append(ops, Op{Kind: OpSync})...)
	if len(a.rows) != 100 {
		t.Errorf("five parts of 40 gave %d rows", len(a.rows))
	}
}

func TestRowLimitHoldsOverAllFetchesOfACursor(t *testing.T) {
	w := newWorld(t)
	s := w.login("agent")
	defer s.Close()
	w.query(s, "begin")
	w.query(s, "declare c scroll cursor for select id from orders")
	rows := 0
	for _, sql := range []string{"fetch 60 from c", "fetch 30 from c", "fetch all from c", "move backward all in c", "fetch 60 from c"} {
		a := w.query(s, sql)
		wantNoError(t, a)
		rows += len(a.rows)
		if strings.Contains(a.types, "n") || sql == "fetch all from c" && a.tags[0] != "FETCH 10" {
			t.Errorf("%s answered %s with tag %v", sql, a.types, a.tags)
		}
	}
	for range 2 {
		rows += len(w.do(s, pipeline("fetch 60 from c")...).rows)
	}
	if rows != 100 {
		t.Errorf("one cursor released %d rows, the limit is 100", rows)
	}
}

func TestTimeLimit(t *testing.T) {
	w := newWorld(t)
	s := w.login("slowly")
	defer s.Close()
	start := time.Now()
	a := w.query(s, "select count(*) from orders a, orders b, orders c")
	wantError(t, a, "57014")
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("took %v", took)
	}
	wantNoError(t, w.query(s, "select 1"))
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

func TestPreparedStatementsKeepTheirPlans(t *testing.T) {
	w := newWorld(t)
	s := w.login("agent")
	defer s.Close()
	wantNoError(t, w.query(s, "prepare p(int) as select ssn from customers where id = $1"))
	if a := w.query(s, "execute p(5)"); len(a.errs) > 0 || a.rows[0][0] != "***" {
		t.Errorf("execute: %v %v", a.rows, a.errs)
	}
	wantError(t, w.query(s, "execute q"), "26000")
	wantNoError(t, w.query(s, "deallocate p"))
	wantError(t, w.query(s, "execute p(5)"), "26000")
	wantNoError(t, w.query(s, "prepare p(int) as select ssn from customers where id = $1"))
	if a := w.do(s, pipeline("execute p(6)")...); len(a.errs) > 0 || a.rows[0][0] != "***" {
		t.Errorf("execute by the extended protocol: %v %v", a.rows, a.errs)
	}
	if a := w.do(s, pipeline("select ssn, count(*) from customers")...); len(a.errs) != 1 || !strings.Contains(a.errs[0], "must appear in the GROUP BY") {
		t.Errorf("the server's own complaint about a Parse is hidden: %v", a.errs)
	}
	w.query(s, "begin")
	wantNoError(t, w.query(s, "declare c cursor for select ssn from customers order by id"))
	if a := w.query(s, "fetch 3 from c"); len(a.rows) != 3 || a.rows[0][0] != "***" {
		t.Errorf("fetch: %v %v", a.rows, a.errs)
	}
	w.query(s, "commit")
	wantError(t, w.query(s, "fetch 3 from c"), "34000")

	// A name that the upstream refuses to bind again keeps the plan that it has there, whatever else
	// is in the burst.
	parse := func(sql string) Op { return Op{Kind: OpParse, Name: "n", SQL: sql} }
	bind := Op{Kind: OpBind, Name: "n", Raw: []byte("B\x00\x00\x00\x0d\x00n\x00\x00\x00\x00\x00\x00\x00")}
	a := w.do(s, parse("select 'first'"), Op{Kind: OpSync}, parse("select 'second'"), Op{Kind: OpSync}, bind, Op{Kind: OpExecute}, Op{Kind: OpSync})
	wantError(t, a, "42P05")
	if len(a.rows) != 1 || a.rows[0][0] != "first" {
		t.Errorf("rows %v", a.rows)
	}
	if got := s.stmts["n"].sql; got != "select 'first'" {
		t.Errorf("the name now means %q here and the first statement upstream", got)
	}
}

func TestPolicyChangeReachesPreparedStatements(t *testing.T) {
	w := newWorld(t)
	s := w.login("agent")
	defer s.Close()
	wantNoError(t, w.do(s, Op{Kind: OpParse, Name: "n", SQL: "select id from orders where id = 1"}, Op{Kind: OpSync}))
	if err := w.gw.LoadPolicies([]PolicyFile{{Name: "p.cedar", Text: testPolicy + `@id("stop") forbid (principal in Group::"agents", action == Action::"read", resource == Table::"shop.public.orders");` +
		"\n" + `@id("stop-columns") forbid (principal in Group::"agents", action == Action::"read", resource in Table::"shop.public.orders");`}}); err != nil {
		t.Fatal(err)
	}
	bind := Op{Kind: OpBind, Name: "n", Raw: []byte("B\x00\x00\x00\x0d\x00n\x00\x00\x00\x00\x00\x00\x00")}
	wantError(t, w.do(s, bind, Op{Kind: OpExecute}, Op{Kind: OpSync}), "42501")
}

func TestUnrestrictedPrincipalSeesTheServerAsItIs(t *testing.T) {
	w := newWorld(t)
	s := w.login("dba")
	defer s.Close()
	for _, sql := range []string{"create temp table t(a int); insert into t values (1),(2)", "do $$ begin raise notice 'hello'; end $$", "select ssn from customers where id = 1", "drop table if exists nowhere"} {
		wantNoError(t, w.query(s, sql))
	}
	if a := w.query(s, "select ssn from customers where id = 1"); a.rows[0][0] != "000007919" {
		t.Errorf("rows %v", a.rows)
	}
	a := w.do(s, Op{Kind: OpQuery, SQL: "copy t from stdin"})
	if a.types != "G" {
		t.Fatalf("copy in answered %q %v", a.types, a.errs)
	}
	data := pgframe.End(append([]byte{'d', 0, 0, 0, 0}, "3\n4\n"...), 0)
	a = w.do(s, Op{Kind: OpCopyData, Raw: data}, Op{Kind: OpCopyDone})
	if len(a.tags) != 1 || a.tags[0] != "COPY 2" {
		t.Errorf("tags %v errors %v", a.tags, a.errs)
	}
	wantError(t, w.query(s, "selec 1"), "42601")
}

func TestNewTableIsFoundAtOnce(t *testing.T) {
	w := newWorld(t)
	dba, s := w.login("dba"), w.login("agent")
	defer dba.Close()
	defer s.Close()
	wantError(t, w.query(s, "select ssn from later"), "42P01")
	wantNoError(t, w.query(dba, "create table later as select * from customers"))
	if a := w.query(s, "select ssn from later limit 1"); len(a.errs) > 0 || a.rows[0][0] != "***" {
		t.Errorf("rows %v errors %v", a.rows, a.errs)
	}
}

func TestSearchPathIsFollowed(t *testing.T) {
	w := newWorld(t)
	dba, s := w.login("dba"), w.login("agent")
	defer dba.Close()
	defer s.Close()
	wantNoError(t, w.query(dba, "create schema other; create table other.orders(id int, ssn text); insert into other.orders values (7, 'raw')"))
	wantNoError(t, w.query(s, "set search_path = other, public"))
	if a := w.query(s, "select * from orders"); len(a.errs) > 0 || a.rows[0][0] != "7" || a.rows[0][1] != "***" {
		t.Errorf("rows %v errors %v", a.rows, a.errs)
	}
	w.query(s, "begin")
	w.query(s, "set local search_path = public")
	if a := w.query(s, "select * from orders where id = 1"); len(a.errs) > 0 || len(a.rows[0]) != 3 {
		t.Errorf("set local: %v %v", a.rows, a.errs)
	}
	w.query(s, "rollback")
	if a := w.query(s, "select * from orders"); len(a.errs) > 0 || len(a.rows[0]) != 2 {
		t.Errorf("after rollback: %v %v", a.rows, a.errs)
	}
}

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

func TestCreateTableSkipsMissingSchemas(t *testing.T) {
	w := newWorld(t)
	w.gw.LoadPolicies([]PolicyFile{{Name: "p", Text: testPolicy + `@id("ddl") permit (principal in Group::"writers", action == Action::"ddl", resource in Connection::"shop");`}})
	s := w.login("writer")
	defer s.Close()
	wantNoError(t, w.query(s, "create table w1(id int)"))
	if a := w.query(s, "select count(*) from public.w1"); len(a.errs) > 0 {
		t.Errorf("w1 is not in public: %v", a.errs)
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

func TestCancelHitsOnlyWhatRuns(t *testing.T) {
	w := newWorld(t)
	s := w.login("dba")
	defer s.Close()
	p := s.Params()
	var wg sync.WaitGroup
	wg.Go(func() {
		time.Sleep(200 * time.Millisecond)
		w.gw.Cancel(p.PID, p.Key+1)
		w.gw.Cancel(p.PID, p.Key)
	})
	wantError(t, w.query(s, "select pg_sleep(20)"), "57014")
	wg.Wait()
	w.gw.Cancel(p.PID, p.Key) // nothing runs: nothing happens
	wantNoError(t, w.query(s, "select 1"))
}

func TestLostUpstreamEndsTheSession(t *testing.T) {
	w := newWorld(t)
	s, dba := w.login("agent"), w.login("dba")
	defer dba.Close()
	wantNoError(t, w.query(dba, "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'sallyport' and pid <> pg_backend_pid()"))
	a := &answer{}
	if err := s.Do(context.Background(), []Op{{Kind: OpQuery, SQL: "select 1"}}, a); !errors.Is(err, ErrEnded) || len(a.errs) == 0 {
		t.Errorf("Do: %v, errors %v", err, a.errs)
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

func TestGroupingByThePrimaryKeySurvivesMasks(t *testing.T) {
	w := newWorld(t)
	s := w.login("agent")
	defer s.Close()
	for _, sql := range []string{
		"select c.id, c.region, c.ssn, count(*) from customers c join orders o on o.customer_id = c.id where c.id < 4 group by c.id order by c.id",
		"select c.id, upper(c.name), count(*) from customers c where c.id < 4 group by 1 having min(c.region) <> 'x' order by c.region, c.id",
	} {
		if a := w.query(s, sql); len(a.errs) > 0 || len(a.rows) != 3 {
			t.Errorf("%s: %v %v", sql, a.rows, a.errs)
		}
	}
	wantError(t, w.query(s, "select c.region, c.name from customers c group by c.region"), "42803")
}

func TestCopyLeavesTokensAlone(t *testing.T) {
	w := newWorld(t)
	s := w.login("agent")
	defer s.Close()
	plain, copied := w.query(s, "select id, email from customers where id < 90 order by id"), w.query(s, "copy (select id, email from customers where id < 90 order by id) to stdout")
	for i, row := range plain.rows {
		if got, want := copied.rows[i][0], row[0]+"\t"+row[1]; got != want {
			t.Errorf("COPY gave %q, SELECT %q", got, want)
		}
	}
}

func TestPathChangedInABurstJudgesTheRestOfIt(t *testing.T) {
	w := newWorld(t)
	dba, s := w.login("dba"), w.login("writer")
	defer dba.Close()
	defer s.Close()
	wantNoError(t, w.query(dba, "create schema other; create table other.orders(id int, ssn text); insert into other.orders values (7, 'raw')"))
	var ops []Op
	for _, sql := range []string{"begin", "set local search_path = other", "select * from orders", "rollback", "select * from orders where id = 1"} {
		ops = append(ops, pipeline(sql)[:4]...)
	}
	a := w.do(s, append(ops, Op{Kind: OpSync})...)
	wantNoError(t, a)
	if len(a.rows) != 2 || a.rows[0][0] != "7" || a.rows[0][1] != "***" || len(a.rows[1]) != 3 {
		t.Errorf("rows %v", a.rows)
	}
	wantError(t, w.query(s, "rollback; select * from orders"), "0A000")
}

func TestCopyDataMayComeBeforeItIsAskedFor(t *testing.T) {
	w := newWorld(t)
	s := w.login("writer")
	defer s.Close()
	data := pgframe.End(append([]byte{'d', 0, 0, 0, 0}, "9001\t1\t1\n"...), 0)
	tail := []Op{{Kind: OpCopyData, Raw: data}, {Kind: OpCopyDone}}
	if a := w.do(s, append([]Op{{Kind: OpQuery, SQL: "copy orders from stdin"}}, tail...)...); len(a.tags) != 1 || a.tags[0] != "COPY 1" {
		t.Errorf("simple: tags %v errors %v", a.tags, a.errs)
	}
	wantNoError(t, w.query(s, "delete from orders where id = 9001"))
	ops := []Op{{Kind: OpParse, SQL: "copy orders from stdin"}, {Kind: OpBind, Raw: bindText(nil)}, {Kind: OpExecute}}
	if a := w.do(s, append(append(ops, tail...), Op{Kind: OpSync})...); len(a.tags) != 1 || a.tags[0] != "COPY 1" || a.tx != 'I' {
		t.Errorf("extended: tags %v errors %v", a.tags, a.errs)
	}
}
