package gateway

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"sallyport/internal/pgframe"
)

// copySink keeps COPY data as it came, beside the answer.
type copySink struct {
	answer
	data     bytes.Buffer
	messages int
}

func (c *copySink) Release(frames []byte) error {
	for rest := frames; len(rest) > 0; {
		f, next, _, err := pgframe.Next(rest)
		if err != nil || f.Raw == nil {
			return fmt.Errorf("not whole frames: %v", err)
		}
		if f.Type == 'd' {
			c.data.Write(f.Body())
			c.messages++
		}
		rest = next
	}
	return c.answer.Release(frames)
}

func (w *world) copy(s *Session, ops ...Op) *copySink {
	w.t.Helper()
	c := &copySink{}
	if err := s.Do(context.Background(), ops, c); err != nil {
		w.t.Fatalf("Do: %v (errors %v)", err, c.errs)
	}
	return c
}

// direct connects around the gateway.
func (w *world) direct() *pgconn.PgConn {
	w.t.Helper()
	c, err := pgconn.Connect(context.Background(), w.dsn)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

// define runs DDL through the gateway, so that its catalog knows of it.
func (w *world) define(sql string) {
	w.t.Helper()
	s := w.login("dba")
	defer s.Close()
	wantNoError(w.t, w.query(s, sql))
}

const copySchema = `
create table mixed (id int primary key, email text, ssn text, note text, big bigint, doc json, docb jsonb, tags text[], feel varchar(40), at date, empty text);
insert into mixed values
 (1, 'u1@example.com', '123456789', 'plain', 4111111111111111, '{"tel": "4111111111111111"}', '{"tel": 4111111111111111}', '{plain,words}', 'x', '2024-01-02', ''),
 (2, 'u2@example.com', null, E'two\nlines, "quoted"; \\ and a tab\t for me@secret.example.org', 42, null, null, '{me@secret.example.org}', 'call 4111 1111 1111 1111', null, null),
 (3, null, '987654321', E'it''s \\N @ | ~', -1, '[]', '"4111111111111111"', null, '[email]', '1999-12-31', '\N');
`

// mixedColumns are those of mixed.
const mixedColumns = "id, email, ssn, note, big, doc, docb, tags, feel, at, empty"

// copyForms are ways to write the same data.
var copyForms = []string{
	"", "(format text)", "(delimiter '|')", "(delimiter '@')", "(null '')", `(null 'NULL', delimiter E'\x0b')`, "(header)", "(encoding 'utf-8')",
	"csv", "csv header", "(format csv, header true)", "(format csv, force_quote *)", "(format csv, force_quote (note, id))", "(format csv, delimiter ';', quote '''')",
	`(format csv, escape '\')`, `(format csv, null 'nil', delimiter E'\t')`, "(format csv, quote '~', escape '|', delimiter '[')", "delimiter as ';' null as '-'",
	"(format binary)", "binary",
}

// TestCopyGivesWhatSelectGives takes copies through the gateway, loads them into the database directly, and
// compares with what the gateway answers to SELECT: masks, findings, NULLs, everything.
func TestCopyGivesWhatSelectGives(t *testing.T) {
	w := newWorld(t)
	direct, ctx := w.direct(), context.Background()
	w.define(copySchema + "create table loaded (like mixed)")
	s := w.login("agent")
	defer s.Close()
	selected := w.query(s, "select "+mixedColumns+" from mixed order by id")
	wantNoError(t, selected)
	if len(selected.rows) != 3 || !strings.Contains(selected.rows[1][3], "for [email]") {
		t.Fatalf("SELECT gave %v", selected.rows)
	}
	for _, form := range copyForms {
		t.Run(form, func(t *testing.T) {
			for how, ops := range map[string][]Op{
				"simple table":   {{Kind: OpQuery, SQL: "copy mixed to stdout " + form}},
				"simple query":   {{Kind: OpQuery, SQL: "copy (select * from mixed order by id) to stdout " + form}},
				"batch":          {{Kind: OpQuery, SQL: "select 1; copy mixed (" + mixedColumns + ") to stdout " + form + "; select 2"}},
				"extended query": pipeline("copy (select " + mixedColumns + " from mixed) to stdout " + form),
			} {
				a := w.copy(s, ops...)
				wantNoError(t, &a.answer)
				if tag := "COPY 3"; !strings.Contains(strings.Join(a.tags, ","), tag) {
					t.Errorf("%s: tags %v", how, a.tags)
				}
				if _, err := direct.Exec(ctx, "truncate loaded").ReadAll(); err != nil {
					t.Fatal(err)
				}
				if _, err := direct.CopyFrom(ctx, &a.data, "copy loaded from stdin "+forLoading.Replace(form)); err != nil {
					t.Fatalf("%s: %v", how, err)
				}
				var got [][]string
				for _, row := range direct.ExecParams(ctx, "select "+mixedColumns+" from loaded order by id", nil, nil, nil, nil).Read().Rows {
					var r []string
					for _, v := range row {
						if r = append(r, string(v)); v == nil {
							r[len(r)-1] = "NULL"
						}
					}
					got = append(got, r)
				}
				want := slices.Clone(selected.rows)
				if strings.Contains(form, "binary") { // an array with a finding goes whole
					want[1] = slices.Clone(want[1])
					want[1][7] = "NULL"
				}
				if form == "(null '')" { // in the text format the client's own choice confuses the two
					want[0] = slices.Clone(want[0])
					want[0][10] = "NULL"
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s (-SELECT +COPY):\n%s", how, diff)
				}
			}
		})
	}
}

// forLoading leaves out what is for writing only.
var forLoading = strings.NewReplacer(", force_quote *", "", ", force_quote (note, id)", "")

// TestCopyWithoutFindingsIsTheServersOwn compares bytes.
func TestCopyWithoutFindingsIsTheServersOwn(t *testing.T) {
	w := newWorld(t)
	direct, ctx := w.direct(), context.Background()
	w.define("create table odd as select g, chr(g) || '.' || chr(10) || chr(g + 1) as t, array[chr(g)] as a, null::text as n, true as b, g * 1.5 as f from generate_series(1, 300) g; " +
		"create table nothing (a int, b text)")
	s := w.login("writer")
	defer s.Close()
	for _, what := range []string{"odd", "(select * from odd limit 1)", "nothing", "(select from odd limit 3)", "(select t from odd)", `(values ('', null), ('\.', 'x'))`} {
		for _, form := range copyForms {
			if strings.Contains(form, "(note, id)") {
				continue
			}
			var want bytes.Buffer
			_, wantErr := direct.CopyTo(ctx, &want, "copy "+what+" to stdout "+form)
			a := w.copy(s, Op{Kind: OpQuery, SQL: "copy " + what + " to stdout " + form})
			if (wantErr != nil) != (len(a.errs) > 0) || !bytes.Equal(want.Bytes(), a.data.Bytes()) {
				t.Errorf("%s %s: %v %v\n%.300q for\n%.300q", what, form, a.errs, wantErr, a.data.Bytes(), want.Bytes())
			}
		}
	}
}

func TestCopyOptionsThatHideFieldsAreRefused(t *testing.T) {
	w := newWorld(t)
	s := w.login("writer")
	defer s.Close()
	for _, form := range []string{"(encoding 'latin1')", "(encoding 'sjis')", `(null '\')`, `(null 'a\b')`, "(freeze)", `(format csv, quote E'\n')`, `(format csv, escape E'\r')`,
		"(format csv, delimiter 1)", "(header match)", "(format xml)", `("FORMAT" binary)`, `(format csv, delimiter '"')`, `(format csv, null '"')`} {
		a := w.copy(s, Op{Kind: OpQuery, SQL: "copy customers to stdout " + form})
		if len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], "0A000") && !strings.HasPrefix(a.errs[0], "22023") || a.data.Len() > 0 {
			t.Errorf("%s gave %v and %q", form, a.errs, a.data.Bytes())
		}
	}
}

func TestCopyRowLimitCountsRowsOnly(t *testing.T) {
	w := newWorld(t)
	s := w.login("agent") // 100 rows
	defer s.Close()
	for _, form := range []string{"", "csv header", "binary"} {
		for n, code := range map[int]string{99: "", 100: "", 101: "54000"} {
			a := w.copy(s, Op{Kind: OpQuery, SQL: fmt.Sprintf("copy (select id, name from customers limit %d) to stdout %s", n, form)})
			if code == "" {
				wantNoError(t, &a.answer)
			} else {
				wantError(t, &a.answer, code)
			}
		}
	}
	if a := w.query(s, "select 1"); len(a.rows) != 1 {
		t.Errorf("after the limit: %v", a.errs)
	}
}

func TestCopyFailsAsTheServerHasIt(t *testing.T) {
	w := newWorld(t)
	s := w.login("writer")
	defer s.Close()
	direct := w.direct()
	drop := func() { // past the gateway, whose catalog does not know of it
		if _, err := direct.Exec(context.Background(), "drop table gone").ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	w.define("create table gone (id int, t text)")
	wantNoError(t, w.query(s, "select * from gone"))
	drop()
	t.Run("simple", func(t *testing.T) {
		a := w.query(s, "copy (select * from gone) to stdout")
		wantError(t, a, "42P01")
		if a.tx != 'I' || a.types != "EZ" {
			t.Errorf("answered %s, transaction %c", a.types, a.tx)
		}
	})
	t.Run("in_a_transaction", func(t *testing.T) {
		wantNoError(t, w.query(s, "begin"))
		a := w.query(s, "copy (select * from gone) to stdout")
		wantError(t, a, "42P01")
		if a.tx != 'E' || a.types != "EZ" {
			t.Errorf("answered %s, transaction %c", a.types, a.tx)
		}
		wantError(t, w.query(s, "copy (select id from customers) to stdout"), "25P02")
		wantNoError(t, w.query(s, "rollback"))
	})
	t.Run("extended", func(t *testing.T) {
		a := w.do(s, append(pipeline("copy (select * from gone) to stdout"), pipeline("select 1")...)...)
		wantError(t, a, "42P01")
		if a.types != "12nEZ12TDCZ" {
			t.Errorf("answered %s", a.types)
		}
	})
	t.Run("prepared_before", func(t *testing.T) {
		w.define("create table gone (id int, t text)")
		wantNoError(t, w.do(s, Op{Kind: OpParse, Name: "g", SQL: "copy gone to stdout"}, Op{Kind: OpSync}))
		drop()
		a := w.do(s, append([]Op{{Kind: OpBind, Name: "g", Raw: bindNamed("g")}, {Kind: OpExecute}, {Kind: OpSync}}, pipeline("select 1")...)...)
		wantError(t, a, "42P01")
		if a.types != "2EZ12TDCZ" {
			t.Errorf("answered %s", a.types)
		}
	})
	t.Run("its_own_error", func(t *testing.T) {
		wantError(t, w.query(s, "copy (select 1 / (id - 3) from customers order by id) to stdout"), "22012")
		if a := w.query(s, "select 1"); len(a.rows) != 1 {
			t.Errorf("afterwards: %v", a.errs)
		}
	})
	t.Run("parameters", func(t *testing.T) {
		wantError(t, w.do(s, pipeline("copy (select $1::text) to stdout", "x")...), "08P01") // the COPY itself takes none
	})
}

// bindNamed binds the unnamed portal to a statement without parameters.
func bindNamed(statement string) []byte {
	b, at := pgframe.Begin(nil, 'B')
	b = pgframe.AppendCString(append(b, 0), statement)
	return pgframe.End(append(b, 0, 0, 0, 0, 0, 0), at)
}

func TestPreparedCopyRunsTwice(t *testing.T) {
	w := newWorld(t)
	s := w.login("writer")
	defer s.Close()
	run := []Op{{Kind: OpBind, Name: "c", Raw: bindNamed("c")}, {Kind: OpDescribe, Target: 'P'}, {Kind: OpExecute}, {Kind: OpSync}}
	first := append([]Op{{Kind: OpParse, Name: "c", SQL: "copy (select notes, ssn from customers where id = 3) to stdout csv"}, {Kind: OpDescribe, Target: 'S', Name: "c"}}, run...)
	for _, a := range []*answer{w.do(s, first...), w.do(s, run...)} {
		wantNoError(t, a)
		if len(a.rows) != 1 || a.rows[0][0] != "call [phone] or mail [email],***" {
			t.Errorf("rows %q", a.rows)
		}
	}
}

func TestCopyBehindChangedDefinitionsComesAlone(t *testing.T) {
	w := newWorld(t)
	w.define("create table shifting (id int, n bigint); insert into shifting values (1, 4111111111111111)")
	if err := w.gw.LoadPolicies([]PolicyFile{{Name: "p", Text: testPolicy + `@id("ddl") permit (principal in Group::"writers", action == Action::"ddl", resource in Connection::"shop");`}}); err != nil {
		t.Fatal(err)
	}
	s := w.login("writer")
	defer s.Close()
	wantError(t, w.query(s, "alter table shifting alter n type text; copy shifting to stdout"), "0A000")
	if a := w.query(s, "copy shifting to stdout"); len(a.rows) != 1 || a.rows[0][0] != "1\t4111111111111111" {
		t.Errorf("rows %q, errors %v", a.rows, a.errs)
	}
	wantNoError(t, w.query(s, "alter table shifting alter n type text"))
	if a := w.query(s, "copy shifting to stdout"); len(a.rows) != 1 || a.rows[0][0] != "1\t[card]" {
		t.Errorf("rows %q, errors %v", a.rows, a.errs)
	}
}

func TestCopyWaitingForALockKeepsTheTimeLimit(t *testing.T) {
	w := newWorld(t)
	if _, err := w.direct().Exec(context.Background(), "begin; lock table orders").ReadAll(); err != nil {
		t.Fatal(err)
	}
	s := w.login("slowly") // 300 ms
	defer s.Close()
	wantError(t, w.query(s, "copy (select * from orders) to stdout"), "57014")
	if a := w.query(s, "select 1"); len(a.rows) != 1 {
		t.Errorf("afterwards: %v", a.errs)
	}
}

func TestCopyRecordsWhatLeft(t *testing.T) {
	w := newWorld(t)
	s := w.login("agent")
	defer s.Close()
	a := w.copy(s, Op{Kind: OpQuery, SQL: "copy (select id, notes from customers where id = 3) to stdout csv header"})
	wantNoError(t, &a.answer)
	if a.messages != 2 {
		t.Errorf("%d messages", a.messages)
	}
	last := w.records()
	r := last[len(last)-1]
	if r.Command != "COPY 1" || r.Rows != 1 || r.Detected != 2 || !strings.Contains(string(r.Result), "id,notes") || !strings.Contains(string(r.Result), "[email]") {
		t.Errorf("recorded %+v", r)
	}
}
