package gateway

import (
	"context"
	"encoding/binary"
	"strings"
	"testing"

	"sallyport/internal/pgframe"
)

const affectedPolicy = `
@id("few") @affected("<=10") permit (principal in Group::"cleaners", action == Action::"write", resource in Connection::"shop");
@id("all") permit (principal in Group::"cleaners", action == Action::"write_all_rows", resource in Connection::"shop");
`

// total is what the tests change: nothing may have, unless they say so.
const total = "select sum(amount) || ' ' || count(*) from orders"

func copyIn(text string) []Op {
	frame, at := pgframe.Begin(nil, 'd')
	frame = pgframe.End(append(frame, text...), at)
	return []Op{{Kind: OpCopyData, Raw: frame}, {Kind: OpCopyDone, Raw: pgframe.AppendEmpty(nil, 'c')}}
}

func lines(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(string(rune('a'+i%26)) + "\n")
	}
	return b.String()
}

// weighedWorld has a writer who may change ten rows with one statement.
func weighedWorld(t *testing.T) (*world, *Session, string) {
	w := newWritesWorld(t, affectedPolicy)
	s := w.login("writer")
	t.Cleanup(func() { s.Close() })
	return w, s, w.upstream(total)
}

func TestTooManyAffectedRowsAreUndone(t *testing.T) {
	w, s, before := weighedWorld(t)
	for name, sql := range map[string]string{
		"update": "update orders set amount = 0 where id <= 11", "delete": "delete from orders where id <= 11", "every row": "update orders set amount = 0",
		"insert":    "insert into orders select g, 1, 0 from generate_series(90001, 90011) g",
		"upsert":    "insert into orders select g, 1, 0 from generate_series(1, 11) g on conflict (id) do update set amount = 0",
		"returning": "update orders set amount = 0 where id <= 11 returning id, amount",
		"merge":     "merge into orders o using generate_series(1, 11) g on g = o.id when matched then delete",
	} {
		for how, ops := range map[string][]Op{"simple": {{Kind: OpQuery, SQL: sql}}, "extended": pipeline(sql),
			"batch":   {{Kind: OpQuery, SQL: "select 1; " + sql + "; delete from orders where id = 20"}},
			"of ten":  {{Kind: OpParse, SQL: sql}, {Kind: OpBind, Raw: bindText(nil)}, {Kind: OpExecute, MaxRows: 5}, {Kind: OpSync}},
			"piped":   append(append(pipeline("delete from orders where id = 20")[:4], pipeline(sql)[:4]...), pipeline("delete from orders where id = 21")...),
			"flushed": append(append(pipeline(sql)[:4], Op{Kind: OpFlush}), Op{Kind: OpSync}),
		} {
			t.Run(name+"/"+how, func(t *testing.T) {
				a := w.do(s, ops...)
				if wantError(t, a, "54000"); a.tx != 'I' || strings.Count(a.types, "Z") != 1 {
					t.Errorf("answer %s in state %c", a.types, a.tx)
				}
				for _, tag := range a.tags {
					if tag != "SELECT 1" && tag != "DELETE 1" {
						t.Errorf("the client was told %q", tag)
					}
				}
				if name == "returning" && len(a.rows) > 1 {
					t.Errorf("rows of what was undone: %v", a.rows)
				}
				if after := w.upstream(total); after != before {
					t.Errorf("orders are %s, and were %s", after, before)
				}
			})
		}
	}
	_, err := s.Query(context.Background(), Query{SQL: "delete from orders where id < $1 returning *", Args: []string{"100"}, MaxRows: 3})
	if err == nil || !strings.Contains(err.Error(), "99 rows, more than the 10") {
		t.Errorf("an agent's call gave %v", err)
	}
	if after := w.upstream(total); after != before {
		t.Errorf("orders are %s, and were %s", after, before)
	}
	s.Close()
	found := 0
	for _, r := range w.records() {
		if r.Code == "54000" && r.Intent > 0 && strings.Contains(r.Error, "more than the 10") {
			found++
		}
	}
	if found < 7*6 {
		t.Errorf("%d outcomes say that too many rows would have changed", found)
	}
}

func TestFewAffectedRowsStand(t *testing.T) {
	w, s, _ := weighedWorld(t)
	for _, ops := range [][]Op{{{Kind: OpQuery, SQL: "delete from orders where id between 1 and 10"}}, pipeline("delete from orders where id between 11 and 20 returning id, amount"),
		{{Kind: OpQuery, SQL: "delete from orders where id = 21; select count(*) from customers; delete from orders where id between 22 and 31"}},
		{{Kind: OpQuery, SQL: "begin; delete from orders where id = 32; commit"}},
		append(pipeline("delete from orders where id = 33")[:4], pipeline("delete from orders where id = 34")...),
		{{Kind: OpParse, SQL: "delete from orders where id between 35 and 40 returning id"}, {Kind: OpBind, Raw: bindText(nil)}, {Kind: OpExecute, MaxRows: 2}, {Kind: OpSync}},
		{{Kind: OpQuery, SQL: "prepare d as delete from orders where id between $1 and $2"}, {Kind: OpQuery, SQL: "execute d(41, 50)"}}} {
		a := w.do(s, ops...)
		if wantNoError(t, a); a.tx != 'I' {
			t.Errorf("%v left state %c", ops[0].SQL, a.tx)
		}
	}
	if n := w.upstream("select count(*) from orders where id <= 50"); n != "0" {
		t.Errorf("%s of the deleted orders are still there", n)
	}
	res, err := s.Query(context.Background(), Query{SQL: "delete from orders where id between 51 and 55 returning id", MaxRows: 3})
	if err != nil || len(res.Rows) != 3 || !res.Truncated || res.Command != "DELETE 5" {
		t.Errorf("an agent's call gave %+v, %v", res, err)
	}
}

func TestTooManyAffectedRowsAbortATransaction(t *testing.T) {
	w, s, before := weighedWorld(t)
	for _, too := range [][]Op{{{Kind: OpQuery, SQL: "delete from orders where id < 100"}}, pipeline("delete from orders where id < $1", "100")} {
		wantNoError(t, w.query(s, "begin"))
		wantNoError(t, w.query(s, "delete from orders where id = 1"))
		wantNoError(t, w.query(s, "savepoint mine"))
		a := w.do(s, too...)
		if wantError(t, a, "54000"); a.tx != 'E' {
			t.Errorf("the transaction is in state %c", a.tx)
		}
		wantError(t, w.query(s, "delete from orders where id = 2"), "25P02")
		wantNoError(t, w.query(s, "rollback to mine"))
		wantNoError(t, w.query(s, "delete from orders where id = 3"))
		a = w.do(s, append(too, Op{Kind: OpQuery, SQL: "commit"})...)
		wantError(t, a, "54000")
		if a.tx != 'I' || a.tags[len(a.tags)-1] != "ROLLBACK" {
			t.Errorf("commit behind it gave %v in state %c", a.tags, a.tx)
		}
	}
	w.do(s, append(append(pipeline("begin")[:4], pipeline("delete from orders where id < 100")[:4]...), pipeline("commit")...)...)
	w.query(s, "rollback")
	w.query(s, "begin; delete from orders where id < 100; commit")
	w.query(s, "rollback")
	if after := w.upstream(total); after != before {
		t.Errorf("orders are %s, and were %s", after, before)
	}
}

func TestAffectedRowsOfCopy(t *testing.T) {
	w, s, _ := weighedWorld(t)
	const sql = "copy secrets(v) from stdin"
	extended := append(pipeline(sql)[:2], Op{Kind: OpExecute})
	for n, code := range map[int]string{10: "", 11: "54000"} {
		for name, ops := range map[string][]Op{
			"simple":                {{Kind: OpQuery, SQL: sql}},
			"last of a batch":       {{Kind: OpQuery, SQL: "select 1; " + sql}},
			"extended":              extended,
			"extended with a sync":  append(extended[:3:3], Op{Kind: OpSync}),
			"extended in one burst": append(append(extended[:3:3], copyIn(lines(n))...), Op{Kind: OpSync}),
		} {
			w.upstream("delete from secrets")
			a := w.do(s, ops...)
			if !strings.Contains(name, "burst") {
				rest := copyIn(lines(n))
				if strings.HasPrefix(name, "extended") {
					rest = append(rest, Op{Kind: OpSync})
				}
				a = w.do(s, rest...)
			}
			want := "0"
			if code == "" {
				wantNoError(t, a)
				want = "10"
			} else {
				wantError(t, a, code)
			}
			if got := w.upstream("select count(*) from secrets"); got != want || a.tx != 'I' {
				t.Errorf("%s of %d: %s rows, state %c, want %s", name, n, got, a.tx, want)
			}
			wantNoError(t, w.query(s, "select 1"))
		}
	}
	wantError(t, w.query(s, sql+"; delete from orders where id = 1"), "0A000")
	for _, end := range [][]Op{{{Kind: OpCopyFail, Raw: copyFail()}}, copyIn("a\tb\n")} {
		w.query(s, sql)
		a := w.do(s, end...)
		if len(a.errs) != 1 || a.tx != 'I' {
			t.Errorf("a COPY that fails gave %v in state %c", a.errs, a.tx)
		}
	}
}

func copyFail() []byte {
	b := append([]byte{'f', 0, 0, 0, 0}, "no more\x00"...)
	binary.BigEndian.PutUint32(b[1:], uint32(len(b)-1))
	return b
}

func TestWhatCannotBeCountedIsRefusedUnderAffected(t *testing.T) {
	w, s, before := weighedWorld(t)
	for _, sql := range []string{"with d as (delete from orders where id < 5 returning id) select * from d", "truncate orders", "explain analyze delete from orders where id = 1",
		"with d as (delete from orders where id < 500 returning id) delete from secrets where id in (select id from d)", "prepare p as with d as (delete from orders where id = 1 returning 1) select 1"} {
		if a := w.query(s, sql); len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], "0A000") {
			t.Errorf("%s gave %v", sql, a.errs)
		}
	}
	wantNoError(t, w.query(s, "prepare q as delete from orders where id = 1"))
	if a := w.query(s, "explain analyze execute q"); len(a.errs) != 1 {
		t.Errorf("explain analyze execute gave %v", a.errs)
	}
	wantNoError(t, w.query(s, "select count(*) from orders"))
	if after := w.upstream(total); after != before {
		t.Errorf("orders are %s, and were %s", after, before)
	}
}

// TestRowLimitOfAWriteUndoesIt: the policy releases a hundred rows of an answer. A write whose answer is larger
// must not be answered with an error and stand.
func TestRowLimitOfAWriteUndoesIt(t *testing.T) {
	w := newWritesWorld(t, `@id("some") @rows("5") permit (principal in Group::"cleaners", action == Action::"write", resource in Connection::"shop");`)
	s := w.login("writer")
	defer s.Close()
	before := w.upstream(total)
	const sql = "delete from orders where id < 100 returning id"
	for range 5 {
		wantError(t, w.query(s, sql), "54000")
		wantError(t, w.do(s, pipeline(sql)...), "54000")
	}
	if after := w.upstream(total); after != before {
		t.Errorf("orders are %s, and were %s", after, before)
	}
}
