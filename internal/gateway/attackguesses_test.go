package gateway

import "testing"

// TestAttackManyGuessesThatCountAsOne: lists that are not written as arrays, and keys that are equal to one constant.
func TestAttackManyGuessesThatCountAsOne(t *testing.T) {
	w := probesWorld(t, "finder")
	w.upstream(`create table small(id int primary key, email smallint); insert into small select g, g + 100 from generate_series(1, 9) g;
		create table spaced(k varchar(40) primary key, email text unique); insert into spaced values ('a', '1'), ('a ', '2'), ('a  ', '3');
		create table big(id bigint primary key, email text unique); insert into big select 4611686018427387904 + g, g::text from generate_series(0, 9) g;
		create table texts(k text primary key, email text unique); insert into texts values ('a', '1'), ('a ', '2')`)
	w.gw.Close()
	w.openProbes([]string{"finder"})
	s := w.login("finder")
	defer s.Close()
	for _, list := range []string{"'101 102 103 104 105 106'::int2vector", "'101 102 103 104 105 106'::int2vector::int2[]", "$1::int2vector"} {
		var args []string
		if list[0] == '$' {
			args = []string{"101 102 103 104 105 106"}
		}
		wantReview(t, w.do(s, pipeline("select id from small where email = any ("+list+")", args...)...))
	}
	for _, sql := range []string{"update spaced set email = 'n' || length(k) where k = 'a'::bpchar", "update spaced set email = 'n' || length(k) where k = 'a'::char(1)",
		"update big set email = 'n' || id where id = 4611686018427387904::float8", "update big set email = 'n' || id where id = 4611686018427387904::float4"} {
		wantError(t, w.query(s, sql), "0A000")
	}
	// A parameter is cast to the key's type: it finds one row, whatever type it is declared to be of.
	for table, key := range map[string]string{"spaced": "k", "big": "id"} {
		ops := pipeline("update "+table+" set email = 'n' || length("+key+"::text) || "+key+" where "+key+" = $1", map[string]string{"spaced": "a", "big": "4611686018427387904"}[table])
		ops[0].ParamOIDs = []uint32{map[string]uint32{"spaced": 1042, "big": 701}[table]}
		if a := w.do(s, ops...); len(a.errs) > 0 || a.tags[0] != "UPDATE 1" {
			t.Errorf("%s: %v %v", table, a.tags, a.errs)
		}
	}
	w.gw.ledger.made = map[guesser][]guesses{}
	wantNoError(t, w.query(s, "update spaced set email = 'n' || length(k) where k = 'a'"))
	wantNoError(t, w.do(s, pipeline("update big set email = 'n' || id where id = $1::bigint", "4611686018427387904")...))
	wantNoError(t, w.query(s, "update big set email = 'm' || id where id = 4611686018427387904"))
	ops := pipeline("update texts set email = 'n' || length(k) where k = $1", "a")
	ops[0].ParamOIDs = []uint32{1042}
	if a := w.do(s, ops...); len(a.errs) > 0 || a.tags[0] != "UPDATE 1" {
		t.Errorf("text with bpchar: %v %v", a.tags, a.errs)
	}
}
