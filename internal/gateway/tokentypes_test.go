package gateway

import (
	"context"
	"encoding/binary"
	"strings"
	"testing"

	"sallyport/internal/access"
)

// tokenTypesWorld has tokens of numbers and of text that is compared without case, and a writer who may look them up.
func tokenTypesWorld(t *testing.T) (*world, *Session) {
	w, _ := resolveWorld(t)
	w.gw.Close()
	w.upstream(`create extension citext;
		create table accounts(id int primary key, handle citext, num int, big bigint, other bigint);
		insert into accounts select g, 'User' || g || '@Example.com', 1000 + g, 5000000000 + g, g from generate_series(1, 9) g;
		create table copies(id int primary key, handle citext, num int, big bigint, plain text); insert into copies select g from generate_series(1, 9) g`)
	c := w.config()
	c.Policies[0].Text += writesPolicy + resolvePolicy
	for _, l := range []string{"handle", "num", "big", "plain"} {
		label := l
		if l == "plain" {
			label = "handle"
		}
		c.Labels = append(c.Labels, access.LabelRule{Label: access.Label("pii." + label), Columns: []string{"*.*." + l}})
		if label == l {
			c.Masks = append(c.Masks, access.Mask{Label: access.Label("pii." + l), Transform: "token"})
		}
	}
	for i := range c.Principals {
		if c.Principals[i].Name == "writer" {
			c.Principals[i].Groups = append(c.Principals[i].Groups, "cleaners")
		}
	}
	var err error
	if w.gw, err = Open(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	s := w.login("writer")
	t.Cleanup(func() { s.Close() })
	return w, s
}

// TestTokensOfNumbersAndLooseTextFindRows as texts' do, and their values still do.
func TestTokensOfNumbersAndLooseTextFindRows(t *testing.T) {
	w, s := tokenTypesWorld(t)
	tokens := map[string][2]string{}
	for column, like := range map[string]string{"handle": "tok_", "num": "", "big": ""} {
		for i, id := range []string{"7", "8"} {
			token := w.token(s, "select "+column+" from accounts where id = "+id)
			if pair := tokens[column]; strings.HasPrefix(token, like) {
				pair[i] = token
				tokens[column] = pair
			}
		}
	}
	for column, value := range map[string]string{"handle": "USER3@example.com", "num": "1003", "big": "5000000003"} {
		seven, eight := tokens[column][0], tokens[column][1]
		quote := func(v string) string {
			if column == "handle" {
				return "'" + v + "'"
			}
			return v
		}
		for want, ways := range map[string][][]Op{
			"7": {
				query("select id from accounts where " + column + " = " + quote(seven)),
				query("select id from accounts a where '" + seven + "' = a." + column + " and id > 0"),
				query("select id from accounts where " + column + " in (" + quote(seven) + ")"),
				pipeline("select id from accounts where "+column+" = $1", seven),
				pipeline("select id from accounts where $1 = "+column, seven),
				pipeline("select id from accounts where "+column+" = any ($1)", "{"+seven+"}"),
				pipeline("select id from accounts where "+column+" in ($1, $1)", seven),
				append(query("prepare p as select id from accounts where "+column+" = $1"), query("execute p("+quote(seven)+"); deallocate p")...),
				query("update accounts set other = other where " + column + " = " + quote(seven) + " returning id"),
				pipeline("delete from accounts where "+column+" = $1 returning id", seven),
				pipeline("delete from accounts where id in (select id from accounts where "+column+" = any ($1)) returning id", "{"+seven+"}"),
			},
			"3": {
				query("select id from accounts where " + column + " = " + quote(value)),
				pipeline("select id from accounts where "+column+" = $1", value),
				pipeline("update accounts set other = 1 where "+column+" = $1 returning id", value),
				pipeline("select id from accounts where "+column+" = any ($1)", "{"+value+"}"),
			},
			"3 7 8": {
				query("select id from accounts where " + column + " in (" + quote(value) + ", " + quote(eight) + ", " + quote(seven) + ") order by 1"),
				query("select id from accounts where " + column + " = any ('{" + value + "," + eight + "," + seven + "}') order by 1"),
				pipeline("select id from accounts where "+column+" = any ($1) order by 1", "{"+value+","+eight+","+seven+"}"),
				pipeline("select id from accounts where "+column+" in ($1, $2, $3) order by 1", value, seven, eight),
			},
		} {
			for i, ops := range ways {
				wantNoError(t, w.query(s, "begin"))
				a := w.do(s, ops...)
				if got := strings.Join(flat(a.rows), " "); len(a.errs) > 0 || got != want {
					t.Errorf("%s %d: %s gives %s %v, want %s", column, i, ops[0].SQL, got, a.errs, want)
				}
				w.query(s, "rollback")
			}
		}
	}
	// Of a shape that is shared, and in binary, of each type that numbers have.
	for i := range 3 {
		if a := w.query(s, "select id from accounts where num = 100"+string(rune('1'+i))); len(a.rows) != 1 {
			t.Errorf("a value finds %v %v", a.rows, a.errs)
		}
	}
	for _, sql := range []string{"select id from accounts where big = $1", "select id from accounts where big = $1::bigint"} {
		if a := w.do(s, binaryPipeline(sql, binary.BigEndian.AppendUint64(nil, 5000000007), 20)...); len(a.rows) != 1 || a.rows[0][0] != "7" {
			t.Errorf("a value in binary finds %v %v", a.rows, a.errs)
		}
	}
	if a := w.do(s, binaryPipeline("select id from accounts where num = $1", binary.BigEndian.AppendUint64(nil, 5000000007), 20)...); len(a.rows) != 0 || len(a.errs) != 0 {
		t.Errorf("a bigint that is no integer finds %v %v", a.rows, a.errs)
	}
}

// TestTokensOfNumbersAndLooseTextAreStoredAsTheirValues, and nothing of their form is stored as it stands.
func TestTokensOfNumbersAndLooseTextAreStoredAsTheirValues(t *testing.T) {
	w, s := tokenTypesWorld(t)
	raw := map[string]string{"handle": "User7@Example.com", "num": "1007", "big": "5000000007"}
	nobody := map[string]string{"handle": "tok_ghjklmnpqrtvwxyzghjklmnp", "num": "739182000", "big": "8391820445510000001"}
	for column, value := range raw {
		token := w.token(s, "select "+column+" from accounts where id = 7")
		ways := func(v string) map[string][]Op {
			return map[string][]Op{
				"update":    query("update copies set " + column + " = '" + v + "' where id = 1 returning " + column),
				"insert":    query("insert into copies(id, " + column + ") values (21, null), (22, '" + v + "') returning " + column),
				"parameter": pipeline("update copies set "+column+" = $1 where id = 2", v),
				"inserted":  pipeline("insert into copies(id, "+column+") values (23, $1)", v),
				"selected":  query("insert into copies(id, " + column + ") select 24, '" + v + "'"),
				"prepared":  append(query("prepare p as update copies set "+column+" = $1 where id = 3"), query("execute p('"+v+"')")...),
				"row":       query("update copies set (id, " + column + ") = (1, '" + v + "') where id = 1"),
			}
		}
		for way, ops := range ways(token) {
			wantNoError(t, w.query(s, "begin"))
			a := w.do(s, ops...)
			if len(a.errs) > 0 || strings.Contains(strings.Join(flat(a.rows), " "), value) {
				t.Errorf("%s of %s: %v %v", way, column, a.rows, a.errs)
			}
			if got := w.query(s, "select count(*) from copies where "+column+" = '"+value+"'"); len(a.errs) == 0 && got.rows[0][0] != "1" {
				t.Errorf("%s of %s is stored in %v rows", way, column, got.rows)
			}
			w.query(s, "rollback")
			w.query(s, "deallocate all")
		}
		for way, ops := range ways(nobody[column]) {
			if a := w.do(s, ops...); len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], "42501 no value that may be looked up has this token") {
				t.Errorf("%s of nobody's %s: %v", way, column, a.errs)
			}
			w.query(s, "deallocate all")
		}
		// Rows of COPY: a number's value could have the form of a token, which whether it is stored would tell.
		a := w.do(s, append(query("copy copies(id, "+column+") from stdin"), copyIn("31\t"+token+"\n")...)...)
		if column == "handle" {
			wantNoError(t, a)
		} else {
			wantError(t, a, "42501")
		}
	}
	if n := w.upstream("select count(*) from copies where num is not null or big is not null or handle is not null and handle <> 'User7@Example.com'"); n != "0" {
		t.Errorf("%s rows have something else", n)
	}
	for i := range 4 { // a plan of other literals
		wantNoError(t, w.query(s, "update copies set num = "+string(rune('1'+i))+" where id = 1"))
	}
	wantError(t, w.query(s, "update copies set num = 739182000 where id = 1"), "42501")
	if got := w.upstream("select num from copies where id = 1"); got != "4" {
		t.Errorf("stored %s", got)
	}
}

// TestSpellingsStayHidden: text that is compared without case has one token in all spellings, so its value goes to no column
// where the spelling would show, and several spellings are no error.
func TestSpellingsStayHidden(t *testing.T) {
	w, s := tokenTypesWorld(t)
	w.upstream("insert into accounts(id, handle) values (20, 'USER7@example.com')")
	token := w.token(s, "select handle from accounts where id = 7")
	wantNoError(t, w.query(s, "update copies set handle = '"+token+"' where id = 1"))
	if again := w.token(s, "select handle from copies where id = 1"); again != token {
		t.Errorf("the token of what was stored is %s, not %s", again, token)
	}
	wantError(t, w.query(s, "update copies set plain = '"+token+"' where id = 1"), "42501")
	wantNoError(t, w.query(s, "insert into copies(id, plain) values (40, 'Shown@example.com')"))
	wantError(t, w.query(s, "update copies set handle = '"+w.token(s, "select plain from copies where id = 40")+"' where id = 2"), "42501")
}

// TestTokensOfSeveralValuesAreRefused: of 100,000 integers a few share a token.
func TestTokensOfSeveralValuesAreRefused(t *testing.T) {
	w, s := tokenTypesWorld(t)
	w.upstream("insert into accounts(id, num) select g, g from generate_series(10000, 110000) g")
	a := w.query(s, "select num from accounts group by num having count(*) > 1 and num is not null limit 1")
	if wantNoError(t, a); len(a.rows) == 0 {
		t.Fatal("no two values share a token")
	}
	wantError(t, w.query(s, "update copies set num = "+a.rows[0][0]+" where id = 1"), "42501 several values have this token")
	if n := w.upstream("select count(*) from copies where num is not null"); n != "0" {
		t.Errorf("%s are stored", n)
	}
}
