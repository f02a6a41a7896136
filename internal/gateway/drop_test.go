package gateway

import (
	"strings"
	"testing"
)

// TestDropTakesNothingAlong that was not named.
func TestDropTakesNothingAlong(t *testing.T) {
	w := effectsWorld(t, `create table customers(id int, email text, ssn text); create table parents(id int primary key, x int);
		create view seen as select x from parents; create table kids(id int references parents); create type mood as enum ('a');
		create table moods(m mood); create schema old; create table old.things(id int); create function f() returns int language sql as 'select 1';
		create table calls(x int default f())`)
	s, dba := w.login("builder"), w.login("dba")
	defer s.Close()
	defer dba.Close()
	const left = `select count(*) || ' ' || (select count(*) from pg_constraint where conname = 'kids_id_fkey') || ' ' || (select count(*) from pg_attrdef)
		from pg_attribute a join pg_class c on c.oid = a.attrelid where c.relname in ('parents', 'seen', 'kids', 'moods', 'things', 'calls') and attnum > 0 and not attisdropped`
	before := w.value(dba, left)
	for _, sql := range []string{"drop table parents cascade", "drop table if exists parents, kids cascade", "alter table parents drop column x cascade",
		"alter table parents drop constraint parents_pkey cascade", "drop type mood cascade", "drop schema old cascade", "drop function f() cascade",
		"drop index parents_pkey cascade", "drop view seen cascade"} {
		if a := w.query(s, sql); len(a.errs) != 1 || !strings.Contains(a.errs[0], "CASCADE is not") {
			t.Errorf("%s: %v", sql, a.errs)
		}
	}
	if after := w.value(dba, left); after != before {
		t.Errorf("there were %s and are %s", before, after)
	}
	wantNoError(t, w.query(s, "drop view seen; alter table parents drop column x; drop table kids; drop table parents restrict"))
}
