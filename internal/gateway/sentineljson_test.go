package gateway

import (
	"strings"
	"testing"
)

// TestMaskedValuesInDocumentsAreNotWrittenBack, in columns of json and jsonb, by the name that they stand under.
func TestMaskedValuesInDocumentsAreNotWrittenBack(t *testing.T) {
	w, s := maskedWorld(t)
	w.upstream("create table docs(id int primary key, j jsonb, t json, note text); insert into docs select g from generate_series(1, 9) g; comment on column docs.t is '@label pii.alias'")
	w.gw.dbs["shop"].stale()
	const state = "select md5(string_agg(d::text, ' ' order by id)) from docs d"
	before := w.upstream(state)
	ways := map[string]func(c, v string) []Op{
		"update": func(c, v string) []Op { return query("update docs set " + c + " = '" + v + "' where id = 1") },
		"cast":   func(c, v string) []Op { return query("update docs set " + c + " = '" + v + "'::jsonb where id = 1") },
		"insert": func(c, v string) []Op {
			return query("insert into docs(id, " + c + ") values (20, null), (21, '" + v + "')")
		},
		"all": func(c, v string) []Op {
			return query("insert into docs values (21, '{}', '" + v + "'), (22, '" + v + "', '{}')")
		},
		"selected": func(c, v string) []Op { return query("insert into docs(id, " + c + ") select 21, '" + v + "'") },
		"upsert": func(c, v string) []Op {
			return query("insert into docs(id) values (1) on conflict (id) do update set " + c + " = '" + v + "'")
		},
		"merge": func(c, v string) []Op {
			return query("merge into docs d using (select 1 as id) q on q.id = d.id when matched then update set " + c + " = '" + v + "'")
		},
		"row": func(c, v string) []Op {
			return query("update docs set (note, " + c + ") = ('x', '" + v + "') where id = 1")
		},
		"set": func(c, v string) []Op {
			return query("update docs set j = jsonb_set('{}', '{x}', '" + v + "') where id = 1")
		},
		"parameter": func(c, v string) []Op { return pipeline("update docs set "+c+" = $1 where id = 1", v) },
		"typed":     func(c, v string) []Op { return pipeline("insert into docs(id, "+c+") values (21, $1::json)", v) },
		"binary": func(c, v string) []Op {
			if c == "j" {
				v = "\x01" + v
			}
			return binaryPipeline("update docs set "+c+" = $1 where id = 1", []byte(v))
		},
		"prepared": func(c, v string) []Op {
			return append(query("prepare p as update docs set "+c+" = $1 where id = 1"), query("execute p('"+v+"')")...)
		},
		"copy": func(c, v string) []Op {
			return append(query("copy docs(id, "+c+") from stdin"), copyIn("21\t"+strings.ReplaceAll(v, `\`, `\\`)+"\n")...)
		},
		"copy csv": func(c, v string) []Op {
			return append(query("copy docs("+c+", id) from stdin csv"), copyIn(`"`+strings.ReplaceAll(v, `"`, `""`)+"\",21\n")...)
		},
	}
	masked := []string{`{"email": "u***@example.com"}`, `{"a": 1, "email":"***", "b": [2]}`, `[{"x": {"phone" : "********42"}}]`, `{"alias": "tok_ghjklmnpqrtvwxyzghjklmnp"}`,
		`{"num": 739182000}`, `{"big":8391820445510000001, "x": 1}`, `{"uid": "f1234567-f123-8123-a123-f01234567890"}`}
	odd := []string{`{"email": ["ada@example.com", "***"]}`, `{"Email": "***"}`, `{"email": "\u002a**"}`, `{"email": "\u002a\u002a\u002a"}`, `{"email": "***", "email": "x"}`, `{"a": {"email": 1}, "email": "***"}`, `"***"`}
	real := []string{`{"email": "ada@example.com"}`, `{"rating": "***"}`, `{"email": {"of": "***"}}`, `{"a": "*** \u00e9"}`, `[1, 2, 739182000]`, `{"num": 12345, "note": 739182000}`, `{}`, `null`, `"x"`, `{"email": null, "tags": ["***"]}`}
	for way, ops := range ways {
		for _, column := range []string{"j", "t"} {
			for _, v := range masked {
				a := w.do(s, ops(column, v)...)
				if len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], "42501") || !strings.Contains(a.errs[0], "masked") {
					t.Errorf("%s of %s in %s: %v %v", way, v, column, a.errs, a.tags)
				}
				w.query(s, "deallocate all")
			}
			for _, v := range odd {
				if strings.HasPrefix(way, "copy") {
					continue // rows are looked at by the server, and only so far
				}
				if a := w.do(s, ops(column, v)...); len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], "42501") {
					t.Errorf("%s of %s in %s: %v %v", way, v, column, a.errs, a.tags)
				}
				w.query(s, "deallocate all")
			}
			if after := w.upstream(state); after != before {
				t.Fatalf("%s changed docs", way)
			}
			for _, v := range real {
				if column == "t" || way == "all" && strings.Contains(v, "***") {
					continue // under a label, whatever name a value stands under
				}
				wantNoError(t, w.query(s, "begin"))
				if a := w.do(s, ops(column, v)...); len(a.errs) > 0 {
					t.Errorf("%s of the real %s in %s: %v", way, v, column, a.errs)
				}
				w.query(s, "rollback")
				w.query(s, "deallocate all")
			}
		}
	}
	for _, v := range []string{`{"any": "***"}`, `["tok_ghjklmnpqrtvwxyzghjklmnp"]`} {
		wantError(t, w.query(s, "update docs set t = '"+v+"' where id = 1"), "42501")
		wantError(t, w.do(s, append(query("copy docs(id, t) from stdin"), copyIn("21\t"+v+"\n")...)...), "42501")
	}
	for i := range 4 { // a plan of other literals
		wantNoError(t, w.query(s, `update docs set j = '{"email": "ada`+string(rune('0'+i))+`"}' where id = 1`))
	}
	wantError(t, w.query(s, `update docs set j = '{"email": "\u002a\u002a\u002a"}' where id = 1`), "42501")
}
