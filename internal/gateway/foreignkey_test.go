package gateway

import (
	"strings"
	"testing"
)

// TestForeignKeysTellNothingAboutMaskedColumns: a key that refers to a masked column says whether a guess is
// there, and one in a masked column whether a value is used.
func TestForeignKeysTellNothingAboutMaskedColumns(t *testing.T) {
	w := effectsWorld(t, `
		create table customers(id int primary key, email text unique, ssn text);
		insert into customers values (1, 'u1@example.com', '1'), (7, 'u7@example.com', '7');
		create table invites(id int, who text references customers (email));
		create table pairs(a int, email text, primary key (a, email));
		create table halves(a int, who text, foreign key (a, who) references pairs (a, email));
		create table made(x text, y text generated always as (x) stored references customers (email));
		create table parted(id int, who text) partition by range (id);
		create table part1 partition of parted (foreign key (who) references customers (email)) for values from (0) to (100);
		create table addresses(id int, addr text primary key);
		create table members(id int, email text references addresses (addr));
		insert into addresses values (1, 'u1@example.com'), (7, 'u7@example.com'), (8, 'u8@example.com');
		insert into members values (7, 'u7@example.com');
		insert into invites values (1, 'u1@example.com')`)
	for name, guesses := range map[string][2]string{
		"insert":            {"insert into invites values (2, 'u7@example.com')", "insert into invites values (2, 'nobody@example.com')"},
		"update":            {"update invites set who = 'u7@example.com'", "update invites set who = 'nobody@example.com'"},
		"part_of_the_key":   {"insert into halves values (1, 'u7@example.com')", "insert into halves values (1, 'nobody@example.com')"},
		"generated":         {"insert into made values ('u7@example.com')", "insert into made values ('nobody@example.com')"},
		"in_a_partition":    {"insert into parted values (1, 'u7@example.com')", "insert into parted values (1, 'nobody@example.com')"},
		"merge":             {"merge into invites i using (values ('u7@example.com')) v(x) on false when not matched then insert values (1, v.x)", "merge into invites i using (values ('nobody@example.com')) v(x) on false when not matched then insert values (1, v.x)"},
		"delete_referenced": {"delete from addresses where addr = 'u7@example.com'", "delete from addresses where addr = 'u8@example.com'"},
		"update_referenced": {"update addresses set addr = 'x' where addr = 'u7@example.com'", "update addresses set addr = 'x' where addr = 'u8@example.com'"},
	} {
		t.Run(name, func(t *testing.T) {
			s := w.login("writer")
			defer s.Close()
			for _, sql := range guesses {
				if a := w.query(s, sql); len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], "42501 writing public.") {
					t.Errorf("%s: %v", sql, a.errs)
				}
			}
		})
	}
	s := w.login("finder")
	defer s.Close()
	wantNoError(t, w.query(s, "insert into invites values (2, 'u7@example.com')"))
	wantNoError(t, w.query(s, "delete from addresses where addr = 'u8@example.com'"))
	o := w.login("writer")
	defer o.Close()
	wantNoError(t, w.query(o, "insert into invites(id) values (3); update addresses set id = 9; delete from invites"))
}

// TestForeignKeysCarryNoWritesThatAreNotPermitted, however far.
func TestForeignKeysCarryNoWritesThatAreNotPermitted(t *testing.T) {
	const schema = spySchema + `create table parents(id int primary key); insert into parents values (1), (2);`
	for name, c := range map[string]struct{ schema, sql string }{
		"cascade":         {"create table kids(id int references parents on delete cascade); insert into kids values (1)", "delete from parents where id = 1"},
		"set_null":        {"create table kids(id int references parents on delete set null); insert into kids values (1)", "delete from parents where id = 1"},
		"set_default":     {"create table kids(id int default 2 references parents on delete set default); insert into kids values (1)", "delete from parents where id = 1"},
		"update_cascade":  {"create table kids(id int references parents on update cascade); insert into kids values (1)", "update parents set id = 5 where id = 1"},
		"update_set_null": {"create table kids(id int references parents on update set null); insert into kids values (1)", "update parents set id = 5 where id = 1"},
		"through_another": {"create table between(id int primary key references parents on delete cascade); create table kids(id int references between on delete cascade); insert into between values (1); insert into kids values (1)", "delete from parents where id = 1"},
		"in_a_with_query": {"create table kids(id int references parents on delete cascade); insert into kids values (1)", "with d as (delete from parents where id = 1 returning id) select * from d"},
		"by_merge":        {"create table kids(id int references parents on delete cascade); insert into kids values (1)", "merge into parents p using (values (1)) v(x) on p.id = v.x when matched then delete"},
		"of_a_partition":  {"create table kids(id int references parents on delete cascade) partition by range (id); create table kid1 partition of kids for values from (0) to (9); insert into kids values (1)", "delete from parents where id = 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := effectsWorld(t, schema+c.schema)
			dba := w.login("dba")
			defer dba.Close()
			const kids = "select count(*), min(id) from kids"
			before := w.value(dba, kids)
			s := w.login("parent")
			defer s.Close()
			if a := w.query(s, c.sql); len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], "42501 ") || !strings.Contains(a.errs[0], "foreign key") {
				t.Errorf("%v", a.errs)
			}
			if after := w.value(dba, kids); after != before {
				t.Errorf("kids were %s and are %s", before, after)
			}
			o := w.login("writer")
			defer o.Close()
			wantNoError(t, w.query(o, c.sql))
			if after := w.value(dba, kids); after == before {
				t.Error("nothing is carried")
			}
		})
	}
	t.Run("triggers_there_are_asked_for", func(t *testing.T) {
		w := effectsWorld(t, schema+`create table kids(id int references parents on delete cascade); insert into kids values (1);
			create function tell() returns trigger language plpgsql as 'begin perform public.spy(1); return old; end';
			create trigger tell before delete on kids for each row execute function tell()`)
		w.runsUnasked("writer", "caller", "delete from parents where id = 1")
	})
	t.Run("what_carries_nothing_is_free", func(t *testing.T) {
		w := effectsWorld(t, schema+"create table kids(id int references parents on delete cascade, other int references parents on update restrict)")
		s := w.login("parent")
		defer s.Close()
		wantNoError(t, w.query(s, "insert into parents values (9); update parents set id = 10 where id = 9"))
	})
}
