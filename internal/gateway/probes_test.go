package gateway

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/identity"
	"sallyport/internal/pgframe"
	"sallyport/internal/testdb"
)

const probesPolicy = `
@id("people") permit (principal, action in [Action::"connect", Action::"read", Action::"write"], resource in Connection::"shop");
@id("find") @probes("5/1h") permit (principal in Group::"finders", action == Action::"lookup", resource in Label::"pii.email");
@id("single") @concurrent("1") permit (principal == User::"single", action == Action::"connect", resource in Connection::"shop");
@id("free") permit (principal in Group::"frees", action == Action::"lookup", resource in Label::"pii.email");
`

// probesWorld has finders, who may make five guesses an hour, and free, who may make any number.
func probesWorld(t *testing.T, finders ...string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), dsn: testdb.Shared(t).NewDatabase(t, testSchema+"create unique index on customers(email);")}
	w.openProbes(finders)
	t.Cleanup(func() { w.gw.Close() })
	return w
}

func (w *world) openProbes(finders []string) {
	w.t.Helper()
	c := w.config()
	c.Policies = []PolicyFile{{Name: "probes.cedar", Text: probesPolicy}}
	c.Principals = []access.LocalPrincipal{{Name: "free", Kind: access.Human, Groups: []string{"frees"}, Secret: identity.HashPassword("pw-free")}}
	for _, name := range finders {
		c.Principals = append(c.Principals, access.LocalPrincipal{Name: name, Kind: access.Human, Groups: []string{"finders"}, Secret: identity.HashPassword("pw-" + name)})
	}
	var err error
	if w.gw, err = Open(context.Background(), c); err != nil {
		w.t.Fatal(err)
	}
}

// wantReview expects the refusal of a statement that is past its budget.
func wantReview(t *testing.T, a *answer) {
	t.Helper()
	if len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], "42501 this statement needs approval") {
		t.Errorf("errors %q (rows %v), want one that asks for approval", a.errs, a.rows)
	}
}

// binaryArray is a Bind of one array of texts in binary.
func binaryArray(items ...string) []byte {
	v := binary.BigEndian.AppendUint32(nil, 1)
	v = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(v, 0), 25)
	v = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(v, uint32(len(items))), 1)
	for _, s := range items {
		v = append(binary.BigEndian.AppendUint32(v, uint32(len(s))), s...)
	}
	b, at := pgframe.Begin(nil, 'B')
	b = append(b, 0, 0, 0, 1, 0, 1, 0, 1)
	b = append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
	return pgframe.End(append(b, 0, 0), at)
}

// TestEveryGuessIsCounted makes guesses in each way there is: what is left of a budget of five shows how many they were.
func TestEveryGuessIsCounted(t *testing.T) {
	ways := []struct {
		name    string
		guesses int
		run     func(w *world, s *Session) *answer
	}{
		{"equality", 1, func(w *world, s *Session) *answer { return w.query(s, "select id from customers where email = 'x'") }},
		{"list", 3, func(w *world, s *Session) *answer {
			return w.query(s, "select id from customers where email in ('x', 'y', 'z')")
		}},
		{"array_constant", 4, func(w *world, s *Session) *answer {
			return w.query(s, "select id from customers where email = any ('{a,b,c,d}')")
		}},
		{"array_parameter", 4, func(w *world, s *Session) *answer {
			return w.do(s, pipeline("select id from customers where email = any ($1)", "{a,b,c,d}")...)
		}},
		{"array_parameter_in_binary", 4, func(w *world, s *Session) *answer {
			ops := pipeline("select id from customers where email = any ($1)")
			ops[1].Raw = binaryArray("a", "b,", "c", "u7@example.com")
			return w.do(s, ops...)
		}},
		{"batch", 2, func(w *world, s *Session) *answer {
			return w.query(s, "select id from customers where email = 'x'; select id from customers where email = 'y'")
		}},
		{"union", 2, func(w *world, s *Session) *answer {
			return w.query(s, "select id from customers where email = 'x' union all select id from customers where email = 'y'")
		}},
		{"explain", 1, func(w *world, s *Session) *answer {
			return w.query(s, "explain select id from customers where email = 'x'")
		}},
		{"copy", 1, func(w *world, s *Session) *answer {
			return w.query(s, "copy (select id from customers where email = 'x') to stdout")
		}},
		{"prepared_and_executed_twice", 2, func(w *world, s *Session) *answer {
			return w.query(s, "prepare p as select id from customers where email = $1; execute p('x'); execute p('y')")
		}},
		{"prepared_list", 3, func(w *world, s *Session) *answer {
			return w.query(s, "prepare p as select id from customers where email = any ($1); execute p('{x,y,z}')")
		}},
		{"cursor_read_twice", 1, func(w *world, s *Session) *answer {
			return w.query(s, "begin; declare c cursor for select id from customers where email = 'x'; fetch c; fetch c; commit")
		}},
		{"bound_once_executed_twice", 1, func(w *world, s *Session) *answer {
			ops := pipeline("select id from customers where email = 'u7@example.com'")
			return w.do(s, append(ops[:4:4], Op{Kind: OpExecute}, Op{Kind: OpSync})...)
		}},
		{"update", 1, func(w *world, s *Session) *answer {
			return w.query(s, "update customers set region = 'q' where email = 'x'")
		}},
		{"a_row_that_a_constraint_compares", 1, func(w *world, s *Session) *answer {
			return w.query(s, "update customers set email = lower('P@Q') where id = 11")
		}},
		{"a_key_parameter", 1, func(w *world, s *Session) *answer {
			return w.do(s, pipeline("update customers set email = lower('P@Q') || id where id = $1", "11")...)
		}},
		{"subqueries_of_an_update", 3, func(w *world, s *Session) *answer {
			return w.query(s, "update customers set region = 'q' where id in (select id from customers where email in ('x', 'y')) and not exists (select from customers c where c.email = 'z')")
		}},
		{"subquery_of_a_delete", 1, func(w *world, s *Session) *answer {
			return w.query(s, "delete from orders where id in (select id from customers where email = 'x')")
		}},
		{"the_same_value", 1, func(w *world, s *Session) *answer {
			return w.query(s, "update customers set email = 'r@q' where region = 'nowhere'")
		}},
		{"no_value_that_is_compared", 0, func(w *world, s *Session) *answer {
			return w.query(s, "update customers set region = region || 'x' where id < 3")
		}},
		{"rows_that_a_constraint_compares", 2, func(w *world, s *Session) *answer {
			return w.query(s, "insert into customers(id, email) values (901, 'p@q'), (902, 'u7@example.com') on conflict do nothing")
		}},
		{"token", 0, func(w *world, s *Session) *answer {
			token := w.query(s, "select email from customers where id = 7").rows[0][0]
			if !strings.HasPrefix(token, "tok_") {
				t.Fatalf("no token but %s", token)
			}
			return w.query(s, "select id from customers where email = '"+token+"'")
		}},
		{"masked_comparison", 0, func(w *world, s *Session) *answer {
			return w.query(s, "select id from customers where email like 'u7%' or email = 'x'")
		}},
		{"unlabelled", 0, func(w *world, s *Session) *answer { return w.query(s, "select id, email from customers where id = 1") }},
	}
	var names []string
	for _, way := range ways {
		names = append(names, way.name)
	}
	w := probesWorld(t, names...)
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			s := w.login(way.name)
			defer s.Close()
			wantNoError(t, way.run(w, s))
			for i := range 5 - way.guesses {
				if a := w.query(s, fmt.Sprintf("select id from customers where email = 'left%d'", i)); len(a.errs) > 0 {
					t.Fatalf("only %d of %d guesses were left: %v", i, 5-way.guesses, a.errs)
				}
			}
			wantReview(t, w.query(s, "select id from customers where email = 'u7@example.com'"))
			wantReview(t, w.do(s, pipeline("select id from customers where email = $1", "u7@example.com")...))
			if a := w.query(s, "select count(*) from customers where id = 7"); len(a.errs) > 0 {
				t.Errorf("a statement without guesses is refused: %v", a.errs)
			}
		})
	}
}

// TestUncountedGuessesAreRefused: under a budget, how many guesses there are must be known before they are made.
func TestUncountedGuessesAreRefused(t *testing.T) {
	w := probesWorld(t, "finder")
	s, free := w.login("finder"), w.login("free")
	defer s.Close()
	defer free.Close()
	for _, sql := range []string{
		"insert into customers(id, email) select 1000 + g, 'u' || g || '@example.com' from generate_series(1, 900) g on conflict do nothing",
		"insert into customers(id, email) values (generate_series(1001, 1900), 'u' || generate_series(1, 900) || '@example.com') on conflict do nothing returning id",
		"copy customers(id, email) from stdin",
		"prepare p as select id from customers where email = any ($1); execute p(array['x', 'y'])",
		"update customers set email = 'u' || (id + 100) || '@example.com' where id < 50",
		"update customers set email = v.e from (values (1, 'a@b'), (2, 'b@b')) v(i, e) where id = v.i",
		"update customers set email = 'x' || id where id = 3 or id = 4",
		"update customers set email = 'x' || id where id > 7 and region = 'r1'",
		"with x as (update customers set email = 'x' || id where id > 0 returning id) select count(*) from x",
		"prepare p2(text) as update customers set email = $1 || id where id > 0; execute p2('x')",
		"merge into customers c using (values (1)) v(i) on c.id = v.i when matched then update set email = 'u9@example.com'",
	} {
		wantError(t, w.query(s, sql), "0A000")
	}
	if n := w.upstream("select count(*) from customers"); n != "200" {
		t.Errorf("%s customers", n)
	}
	wantNoError(t, w.query(free, "prepare p as select id from customers where email = any ($1); execute p(array['u7@example.com', 'y'])"))
}

// TestBudgetOutlivesTheProcess: guesses are counted in the record, over all sessions of a principal.
func TestBudgetOutlivesTheProcess(t *testing.T) {
	w := probesWorld(t, "finder", "other")
	for i := range 4 {
		s := w.login("finder")
		wantNoError(t, w.query(s, fmt.Sprintf("select id from customers where email = 'x%d'", i)))
		s.Close()
	}
	w.gw.Close()
	w.openProbes([]string{"finder", "other"})
	s := w.login("finder")
	defer s.Close()
	wantReview(t, w.query(s, "select id from customers where email in ('x', 'y')"))
	wantNoError(t, w.query(s, "select id from customers where email = 'x'"))
	wantReview(t, w.query(s, "select id from customers where email = 'x'"))
	other := w.login("other")
	defer other.Close()
	wantNoError(t, w.query(other, "select id from customers where email = 'x'"))

	var ran, refused int64
	for _, r := range w.records() {
		var p access.PlanRecord
		if r.Principal != "finder" || r.Probes == 0 || json.Unmarshal(r.Plan, &p) != nil {
			continue
		}
		if r.Kind == access.RecordRefused {
			refused += r.Probes
			if p.Effect != "review" {
				t.Errorf("the record of a refusal says %q", p.Effect)
			}
		} else {
			ran += r.Probes
			if p.Obligations == nil || len(p.Obligations.Probes) != 1 || p.Effect != "allow" {
				t.Errorf("the record says %s", r.Plan)
			}
		}
	}
	if ran != 5 || refused != 3 {
		t.Errorf("%d guesses are recorded as made, %d as refused", ran, refused)
	}
}

func TestLedgerForgetsOnlyWhatIsOld(t *testing.T) {
	l := ledger{made: map[guesser][]guesses{}}
	who, d := guesser{"shop", "ada"}, access.Decision{Effect: access.Allow, Obligations: access.Obligations{Probes: []access.ProbeBudget{{Most: 3, Window: time.Minute}}}}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i, want := range []access.Effect{access.Allow, access.Allow, access.Allow, access.Review, access.Review} {
		if got := l.take(who, now.Add(time.Duration(i)*10*time.Second), d, 1); got.Effect != want {
			t.Errorf("guess %d: %v", i, got.Effect)
		}
	}
	if got := l.take(who, now.Add(61*time.Second), d, 1); got.Effect != access.Allow {
		t.Error("a guess of more than a minute ago still counts")
	}
	if got := l.take(who, now.Add(62*time.Second), d, 1); got.Effect != access.Review {
		t.Error("guesses of less than a minute ago do not count")
	}
	for i := range mostGuesses + 10 { // many grains are joined, none is lost
		l.add(who, now.Add(2*time.Hour+time.Duration(i)*2*time.Second), 1)
	}
	sum := int64(0)
	for _, g := range l.made[who] {
		sum += g.n
	}
	if len(l.made[who]) >= mostGuesses || sum != mostGuesses+10+4 {
		t.Errorf("%d guesses in %d grains", sum, len(l.made[who]))
	}
}

// TestWhatFindsNoPlaceIsNoGuess has a statement refused for @concurrent: it has told nothing, and uses up nothing.
func TestWhatFindsNoPlaceIsNoGuess(t *testing.T) {
	w := probesWorld(t, "single")
	w.gw.placePatience = 10 * time.Millisecond
	s := w.login("single")
	defer s.Close()
	const guess = "select id from customers where email in ('a', 'b', 'c')"
	if ok, _ := w.gw.places.take("single", 1); !ok {
		t.Fatal("there is no place to take")
	}
	for range 3 {
		wantError(t, w.query(s, guess), "53400")
		wantError(t, w.do(s, pipeline(guess)...), "53400")
	}
	w.gw.places.leave("single")
	wantNoError(t, w.query(s, guess))
	wantReview(t, w.query(s, guess))
}

// TestParametersThatAreKeys are cast to the column's type where a budget asks for one row, so that whatever type a client gives
// them, they are a value of the key.
func TestParametersThatAreKeys(t *testing.T) {
	w := probesWorld(t, "finder")
	w.upstream(`create table wide(big bigint primary key, email text unique); insert into wide select 9007199254740992 + g, 'w' || g from generate_series(0, 3) g;
		create table coded(code varchar(20) primary key, email text unique); insert into coded values ('a', 'c1'), ('a ', 'c2'), ('b', 'c3');
		create table priced(price numeric, at date, email text unique, primary key (price, at)); insert into priced values (1.50, '2025-01-01', 'p1'), (1.50, '2025-01-02', 'p2'), (2, '2025-01-01', 'p3');
		create table spoken(word char(5) primary key, email text unique); insert into spoken values ('a', 's1')`)
	w.gw.dbs["shop"].stale()
	s := w.login("finder")
	defer s.Close()
	const float8, bpchar, numeric, timestamp = 701, 1042, 1700, 1114
	for _, c := range []struct {
		sql   string
		oids  []uint32
		args  []string
		check string // what is changed
	}{
		{"update wide set email = 'new' || big where big = $1", nil, []string{"9007199254740993"}, "1"},
		{"update wide set email = 'new' || big where big = $1", []uint32{float8}, []string{"9007199254740993"}, "1"}, // as double precision two are equal to it
		{"update wide set email = 'new' || big where big = $1", []uint32{numeric}, []string{"9007199254740994.5"}, "0"},
		{"update wide set email = 'new' || big where $1 = big and email is not null", nil, []string{"9007199254740995"}, "1"},
		{"update coded set email = 'new' || code where code = $1", nil, []string{"a"}, "1"},
		{"update coded set email = 'new' || code where code = $1", []uint32{bpchar}, []string{"a"}, "1"}, // as char both are
		{"delete from coded where code = $1", nil, []string{"b"}, "1"},
		{"update priced set email = 'new' || price where price = $1 and at = $2", nil, []string{"1.5", "2025-01-02"}, "1"},
		{"update priced set email = 'new' || price where price = $1 and at = $2", []uint32{float8, timestamp}, []string{"1.5", "2025-01-02 00:00"}, "1"},
	} {
		wantNoError(t, w.query(s, "begin"))
		ops := pipeline(c.sql, c.args...)
		ops[0].ParamOIDs = c.oids
		a := w.do(s, ops...)
		if wantNoErrors(t, c.sql, a); len(a.tags) != 1 || !strings.HasSuffix(a.tags[0], " "+c.check) {
			t.Errorf("%s with %v of types %v: %v, want %s", c.sql, c.args, c.oids, a.tags, c.check)
		}
		w.query(s, "rollback")
		w.gw.ledger.made = map[guesser][]guesses{}
	}
	for _, c := range []struct{ sql, arg string }{
		{"update priced set email = 'new' || price where price = $1", "1.5"}, // a part of the key
		{"update wide set email = 'new' || big where big = $1 or big = 3", "1"},
		{"update wide set email = 'new' || big where big >= $1", "1"},
		{"update wide set email = 'new' || big where big = $1 + 1", "1"},
		{"update spoken set email = 'new' || word where word = $1", "a"},
	} {
		wantError(t, w.do(s, pipeline(c.sql, c.arg)...), "0A000")
	}
	w.upstream("create type pair as (a int); create function whole(pair) returns bigint language sql immutable as 'select 1::bigint'; create cast (pair as bigint) with function whole(pair)")
	w.gw.dbs["shop"].stale()
	wantError(t, w.do(s, pipeline("update wide set email = 'new' || big where big = $1", "1")...), "0A000") // the cast might call it
}

func wantNoErrors(t *testing.T, sql string, a *answer) {
	t.Helper()
	if len(a.errs) > 0 {
		t.Errorf("%s: %v", sql, a.errs)
	}
}
