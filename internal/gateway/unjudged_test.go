package gateway

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/access"
	"sallyport/internal/testdb"
	"sallyport/mask"
)

const unjudgedSchema = `
create table people(id int primary key, email text, city text, born date);
insert into people values (1, 'ada@example.com', 'Turin', '1990-01-02');
create type mood as enum ('good', 'bad');
create domain note as text;
create type pair as (a int, b text);
create type point2 as (a int, b int);
create table wide(i int, n numeric, b boolean, t timestamptz, u uuid, ip inet, m mood, ints int[], span int4range, p2 point2, moods mood[],
  x text, v varchar(9), c char(3), j json, jb jsonb, xm xml, by bytea, arr text[], d note, ds note[], p pair, nm name, ch "char", ts tsvector);
create table part(id int, memo text) partition by range (id);
create table part_1 partition of part for values from (0) to (10);
create table odd("a.b""c` + "\n" + `d" text);
create view v as select city as town from people;`

// judgedWorld is a gateway whose connection has a labels file that has judged all but some columns of people.
func judgedWorld(t *testing.T, show bool, judgements ...access.Judgement) (*world, *logged) {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), dsn: testdb.Shared(t).NewDatabase(t, unjudgedSchema)}
	c := w.config()
	log := &logged{}
	c.Log = slog.New(slog.NewTextHandler(log, nil))
	c.Labels, c.Masks = nil, nil
	c.Connections[0].Judged = &access.Judgements{File: "shop.labels.yaml", Show: show, Columns: judgements}
	gw, err := Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	w.gw = gw
	t.Cleanup(func() { w.gw.Close() })
	return w, log
}

func judgement(column string, label access.Label, decided bool) access.Judgement {
	return access.Judgement{Column: access.ColumnID{Relation: access.Name{Schema: "public", Name: "people"}, Column: column}, Label: label, Decided: decided, Source: "shop.labels.yaml:1"}
}

type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// exec runs SQL past the gateway.
func (w *world) exec(sql string) {
	w.t.Helper()
	conn, err := pgx.Connect(context.Background(), w.dsn)
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(context.Background(), sql); err != nil {
		w.t.Fatal(err)
	}
}

// TestNewColumnsAreHiddenUntilJudged adds columns to a table, past the gateway and through it, and reads them at both doors.
func TestNewColumnsAreHiddenUntilJudged(t *testing.T) {
	w, log := judgedWorld(t, false, judgement("id", "", true), judgement("email", "pii.email", false), judgement("city", "", true), judgement("born", "", true))
	wire := w.login("agent")
	mcp, err := w.gw.Connect(context.Background(), Login{Door: access.DoorMCP, Connection: "shop", Credentials: access.Password{User: "agent", Secret: "pw-agent"}})
	if err != nil {
		t.Fatal(err)
	}
	read := func(columns string) (string, string) {
		t.Helper()
		sql := "select " + columns + " from people"
		a := w.query(wire, sql)
		wantNoError(t, a)
		r, err := mcp.Query(context.Background(), Query{SQL: sql, MaxRows: 10})
		if err != nil {
			t.Fatal(err)
		}
		var row []string
		for _, v := range r.Rows[0] {
			if v == nil {
				row = append(row, "NULL")
			} else {
				row = append(row, *v)
			}
		}
		return fmt.Sprint(a.rows), fmt.Sprint([][]string{row})
	}
	want := func(columns, want string) {
		t.Helper()
		if pg, agent := read(columns); pg != want || agent != want {
			t.Errorf("select %s: psql sees %s, an agent %s, want %s", columns, pg, agent, want)
		}
	}
	// A label that is only proposed masks; what was judged to hold nothing shows.
	want("email, city, born", "[[*** Turin 1990-01-02]]")

	w.exec("alter table people add column memo text default 'call us', add column visits int default 7, add column doc jsonb default '{\"a\": \"call us\"}'")
	w.gw.dbs["shop"].stale() // what the refresh does every minute
	want("memo, visits, doc", "[[*** 7 NULL]]")
	for _, line := range []string{`nobody has judged a column" connection=shop column=public.people.memo type=text masked=true`, "column=public.people.visits type=integer masked=false"} {
		if strings.Count(log.String(), line) != 1 {
			t.Errorf("%q is not once in the log:\n%s", line, log)
		}
	}

	// Through the gateway it is seen by the next statement.
	wantNoError(t, w.query(w.login("dba"), "alter table people add column remark varchar(20) default 'ask us'"))
	want("remark", "[[***]]")
	for _, sql := range []string{"select 1 from people where remark like 'ask%'", "select 1 from people where memo > 'a' and doc ->> 'a' like 'call%'"} {
		if a := w.query(wire, sql); len(a.rows) > 0 {
			t.Errorf("%s finds the raw value", sql)
		}
	}

	// Once judged, it shows, to sessions that are there already.
	judged := *w.gw.dbs["shop"].judged.Load()
	judged.Columns = append(slices.Clone(judged.Columns), judgement("memo", "", true), judgement("remark", "pii.note", true))
	w.gw.Judge(map[string]*access.Judgements{"shop": &judged})
	want("memo, remark", "[[call us ***]]")
	if n := strings.Count(log.String(), "column=public.people.memo"); n != 1 {
		t.Errorf("the log speaks of memo %d times", n)
	}
}

// TestUnjudgedCanBeShown leaves them raw, and tells of them all the same.
func TestUnjudgedCanBeShown(t *testing.T) {
	w, log := judgedWorld(t, true, judgement("email", "pii.email", true))
	a := w.query(w.login("agent"), "select email, city from people")
	wantNoError(t, a)
	if got := fmt.Sprint(a.rows); got != "[[*** Turin]]" {
		t.Errorf("got %s", got)
	}
	if !strings.Contains(log.String(), "column=public.people.city type=text masked=false") {
		t.Errorf("not told:\n%s", log)
	}
}

// TestWhichColumnsAreUnjudged goes through types, partitions, names and views.
func TestWhichColumnsAreUnjudged(t *testing.T) {
	w, _ := judgedWorld(t, false, judgement("id", "", true), judgement("email", "pii.email", false), judgement("city", "", false), judgement("born", "", true))
	list, err := w.gw.Unjudged("shop")
	if err != nil {
		t.Fatal(err)
	}
	var hidden, shown []string
	for _, u := range list {
		name := u.Column.Relation.Name + "." + u.Column.Column
		if u.Listed {
			name += "?"
		}
		if u.Masked {
			hidden = append(hidden, name)
		} else {
			shown = append(shown, name)
		}
	}
	wantHidden := "odd.a.b\"c\nd part.memo people.email? people.city? wide.x wide.v wide.c wide.j wide.jb wide.xm wide.by wide.arr wide.d wide.ds wide.p wide.nm wide.ch wide.ts"
	if got := strings.Join(hidden, " "); got != wantHidden {
		t.Errorf("hidden %q\n  want %q", got, wantHidden)
	}
	if got := strings.Join(shown, " "); got != "part.id wide.i wide.n wide.b wide.t wide.u wide.ip wide.m wide.ints wide.span wide.p2 wide.moods" {
		t.Errorf("shown %q", got)
	}
	labels := w.gw.dbs["shop"].snap.Load().labels
	for name, column := range map[string]string{"part_1": "memo", "v": "town"} {
		if got := labels.Columns(access.Name{Schema: "public", Name: name})[column]; !slices.Contains(got, access.Unjudged) {
			t.Errorf("%s.%s has labels %v", name, column, got)
		}
	}
	if _, err := w.gw.Unjudged("shpo"); err == nil {
		t.Error("an unknown connection is taken")
	}
}

// TestOneChildIsNotJudgedForTheNext: what was decided for one heir of a table is not for its parent and the parent's other
// heirs; what was decided for the parent, whose rows theirs are, is.
func TestOneChildIsNotJudgedForTheNext(t *testing.T) {
	of := func(relation, column string) access.Judgement {
		j := judgement(column, "", true)
		j.Column.Relation.Name = relation
		return j
	}
	for judged, want := range map[string]string{"left_heir": "[[***] [***] [***]]", "base": "[[base] [left] [right]]"} {
		w := &world{t: t, dir: t.TempDir(), dsn: testdb.Shared(t).NewDatabase(t, `create table base(id int, memo text); insert into base values (1, 'base');
			create table left_heir() inherits (base); insert into left_heir values (2, 'left'); create table right_heir() inherits (base); insert into right_heir values (3, 'right')`)}
		c := w.config()
		c.Labels, c.Masks = nil, nil
		c.Connections[0].Judged = &access.Judgements{File: "shop.labels.yaml", Columns: []access.Judgement{of(judged, "memo")}}
		gw, err := Open(context.Background(), c)
		if err != nil {
			t.Fatal(err)
		}
		w.gw = gw
		a := w.query(w.login("agent"), "select memo from base order by id")
		b := w.query(w.login("agent"), "select memo from right_heir")
		if got := fmt.Sprint(a.rows); got != want || len(b.rows) != 1 || (b.rows[0][0] == "right") != (judged == "base") {
			t.Errorf("with a decision on %s: %v %v, %v %v", judged, a.rows, a.errs, b.rows, b.errs)
		}
		gw.Close()
	}
}

// TestJudgementsOfLostColumns tells of what is not there any more, and hides nothing less for it.
func TestJudgementsOfLostColumns(t *testing.T) {
	w, _ := judgedWorld(t, false, judgement("gone", "pii.name", true))
	results, _ := w.gw.Check(context.Background())
	found := slices.ContainsFunc(results[0].Problems, func(p mask.Problem) bool {
		return p.Safe && strings.Contains(p.String(), "shop.labels.yaml:1: there is no column public.people.gone any more")
	})
	if !found || len(results[0].Unjudged) == 0 {
		t.Errorf("%+v", results[0])
	}
}
