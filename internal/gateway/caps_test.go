package gateway

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// rowsRead is how many rows of a table the server has read so far. What a session read is in it once the session is forgotten.
func (w *world) rowsRead(table string) (n int64) {
	w.t.Helper()
	conn, err := pgx.Connect(context.Background(), w.dsn)
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := conn.QueryRow(context.Background(), "select seq_tup_read from pg_stat_user_tables where relname = $1", table).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

const bigSchema = `create table big(id int, pad text); insert into big select g, repeat('x', 100) from generate_series(1, 300000) g;
	alter table big set (parallel_workers = 0); vacuum analyze big`

func (w *world) grow() {
	w.t.Helper()
	conn, err := pgx.Connect(context.Background(), w.dsn)
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, sql := range strings.Split(bigSchema, ";") {
		if _, err := conn.Exec(context.Background(), sql); err != nil {
			w.t.Fatal(err)
		}
	}
	w.gw.dbs["shop"].stale()
}

// What the server reads is measured, for a cap that the gateway keeps while the server runs on is no cap on cost.
func TestTheServerStopsAtACap(t *testing.T) {
	w := newWorld(t)
	w.grow()
	const buffered = 100_000 // what a COPY under way and the sockets hold
	for _, c := range []struct {
		name, who  string
		ops        []Op
		rows       int
		most       int64
		fails      bool
		statements int
	}{
		{"simple", "agent", []Op{{Kind: OpQuery, SQL: "select * from big"}}, 100, 200, false, 1},
		{"extended", "agent", pipeline("select * from big"), 100, 200, false, 1},
		{"several statements", "agent", []Op{{Kind: OpQuery, SQL: "select id from big; select pad from big; select 1"}}, 201, 400, false, 2},
		{"cursor", "agent", []Op{{Kind: OpQuery, SQL: "begin; declare c cursor for select * from big; fetch all from c; fetch forward 100000 c; commit"}}, 100, 400, false, 1},
		{"copy", "agent", []Op{{Kind: OpQuery, SQL: "copy (select * from big) to stdout"}}, 100, buffered, true, 1},
		{"bytes, simple", "lightly", []Op{{Kind: OpQuery, SQL: "select * from big"}}, 86, 400, false, 1},
		{"bytes, extended", "lightly", pipeline("select * from big"), 86, 400, false, 1},
		{"bytes, several", "lightly", []Op{{Kind: OpQuery, SQL: "select * from big; select * from big"}}, 172, 800, false, 2},
		{"bytes, copy", "lightly", []Op{{Kind: OpQuery, SQL: "copy (select * from big) to stdout"}}, 93, buffered, true, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := w.login(c.who)
			before := w.rowsRead("big")
			a := w.do(s, c.ops...)
			s.Close()
			w.untilForgotten(s)
			read := w.rowsRead("big") - before
			if read == 0 || read > c.most {
				t.Errorf("the server read %d rows, want at most %d", read, c.most)
			}
			if c.fails {
				wantError(t, a, "54000")
			} else {
				wantNoError(t, a)
				if len(a.notices) < c.statements || !a.warned && c.name != "cursor" {
					t.Errorf("notices %q", a.notices)
				}
			}
			if len(a.rows) > c.rows || len(a.rows) < c.rows*9/10 {
				t.Errorf("%d rows released, want %d", len(a.rows), c.rows)
			}
		})
	}
}

func TestACapIsPerStatementAndHoldsOverAllItsReads(t *testing.T) {
	w := newWorld(t)
	w.grow()
	s := w.login("lightly")
	defer s.Close()
	size := func(a *answer) (n int) {
		for _, row := range a.rows {
			n += 7 // type, length, number of columns
			for _, v := range row {
				n += 4 + len(v)
			}
		}
		return n
	}
	a := w.query(s, "select repeat('y', 3000) from big where id < 10")
	wantNoError(t, a)
	if len(a.rows) != 3 || size(a) > 10000 {
		t.Errorf("%d rows of %d bytes", len(a.rows), size(a))
	}
	if a = w.query(s, "select repeat('y', 20000)"); len(a.rows) != 0 || len(a.notices) != 1 || a.tags[0] != "SELECT 0" {
		t.Errorf("one row above the cap: %d rows, %v, %v", len(a.rows), a.notices, a.tags)
	}
	if a = w.query(s, "select id from big where id <= 500"); len(a.rows) != 500 || len(a.notices) != 0 {
		t.Errorf("an answer below the cap: %d rows, %v", len(a.rows), a.notices)
	}
	wantNoError(t, w.query(s, "begin"))
	ops := []Op{{Kind: OpParse, SQL: "select * from big"}, {Kind: OpBind, Raw: bindText(nil)}}
	for range 30 {
		ops = append(ops, Op{Kind: OpExecute, MaxRows: 7})
	}
	if a = w.do(s, append(ops, Op{Kind: OpSync})...); size(a) > 10000 || size(a) < 9500 {
		t.Errorf("a portal in parts gave %d bytes", size(a))
	}
	wantNoError(t, w.query(s, "declare c scroll cursor for select * from big"))
	total := 0
	for i := range 20 {
		a = w.query(s, fmt.Sprintf("fetch %d from c", 10+i))
		wantNoError(t, a)
		total += size(a)
		a = w.do(s, pipeline("fetch 20 from c")...)
		wantNoError(t, a)
		total += size(a)
	}
	if total > 10000 || total < 9500 {
		t.Errorf("a cursor gave %d bytes", total)
	}
	wantNoError(t, w.query(s, "rollback"))
	a = w.query(s, "insert into big select 1, 'x' returning *")
	wantError(t, a, "42501")
}

func TestACutAnswerSaysSoToAnAgent(t *testing.T) {
	w := newWorld(t)
	w.grow()
	s := w.login("lightly")
	defer s.Close()
	res, err := s.Query(context.Background(), Query{SQL: "select * from big", MaxRows: 1000, MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if !res.Truncated || len(res.Notes) != 1 || !strings.Contains(res.Notes[0], "10000 bytes") || len(res.Rows) > 90 {
		t.Errorf("truncated %v, notes %q, %d rows", res.Truncated, res.Notes, len(res.Rows))
	}
	res, err = s.Query(context.Background(), Query{SQL: "select * from big", MaxRows: 50, MaxBytes: 1 << 20})
	if err != nil || len(res.Rows) != 50 || !res.Truncated || len(res.Notes) != 0 {
		t.Errorf("the agent's own wish: %v, %+v", err, res)
	}
}

func TestAFetchPreparedForAnotherCursorIsCappedToo(t *testing.T) {
	w := newWorld(t)
	w.grow()
	s := w.login("agent")
	defer s.Close()
	wantNoError(t, w.query(s, `begin; declare "My c" scroll cursor for select * from big`))
	a := w.do(s, Op{Kind: OpParse, Name: "f", SQL: `fetch all in "My c"`}, Op{Kind: OpBind, Name: "f", Raw: bindNamed("f")}, Op{Kind: OpExecute}, Op{Kind: OpSync})
	wantNoError(t, a)
	if len(a.rows) != 100 {
		t.Errorf("%d rows", len(a.rows))
	}
	a = w.do(s, Op{Kind: OpBind, Name: "f", Raw: bindNamed("f")}, Op{Kind: OpExecute}, Op{Kind: OpSync})
	wantNoError(t, a)
	if len(a.rows) != 0 {
		t.Errorf("%d rows more", len(a.rows))
	}
	if a = w.query(s, `fetch backward all in "My c"`); len(a.rows) != 0 || len(a.errs) > 0 {
		t.Errorf("backwards: %d rows, %v", len(a.rows), a.errs)
	}
}
