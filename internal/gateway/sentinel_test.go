package gateway

import (
	"context"
	"encoding/binary"
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/pgframe"
)

// maskedWorld has a table with one column of each mask, and a writer who sees all of them masked.
func maskedWorld(t *testing.T) (*world, *Session) {
	w := newWorld(t)
	w.gw.Close()
	w.upstream(`create table people(id int primary key, email text, phone varchar(40), card text, alias text, num int, big bigint, uid uuid, born date, tags text[], note text);
		insert into people select g, 'u'||g||'@example.com', '+1 415 555 26'||g, '4242424242424242', 'al'||g, 5000+g, 7000+g, gen_random_uuid(), '1980-01-01', array['x'], 'n' from generate_series(10, 20) g`)
	c := w.config()
	c.Labels, c.Masks = nil, nil
	for column, mask := range map[string]access.Mask{"email": {Transform: "partial", Style: "email"}, "phone": {Transform: "partial", Style: "phone"}, "card": {Transform: "redact"},
		"alias": {Transform: "token"}, "num": {Transform: "token"}, "big": {Transform: "token"}, "uid": {Transform: "token"}, "born": {Transform: "generalise", Style: "year"}, "tags": {Transform: "redact"}} {
		mask.Label = access.Label("pii." + column)
		c.Masks = append(c.Masks, mask)
		c.Labels = append(c.Labels, access.LabelRule{Label: mask.Label, Columns: []string{"public.people." + column}})
	}
	var err error
	if w.gw, err = Open(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	s := w.login("writer")
	t.Cleanup(func() { s.Close() })
	return w, s
}

var sentinelsOf = map[string][]string{
	"email": {"***", "u***@example.com"}, "phone": {"***", "********42"}, "card": {"***"}, "alias": {"***", "tok_ghjklmnpqrtvwxyzghjklmnp"},
	"num": {"739182000"}, "big": {"8391820445510000001"}, "uid": {"f1234567-f123-8123-a123-f01234567890", "{F1234567f1238123a123f01234567890}"}, "tags": {"{***}", `{"***",x}`},
}

var realOf = map[string][]string{
	"email": {"ada@example.com", "*", "****"}, "phone": {"+1 415 555 2671"}, "card": {"4242 4242 4242 4242"}, "alias": {"tok_", "token"},
	"num": {"12345", "-739182000"}, "big": {"739182000"}, "uid": {"c1234567-f123-4123-a123-f01234567890"}, "tags": {"{a,b}"}, "born": {"1980-01-01"}, "note": {"***"},
}

func TestMaskedValuesAreNotWrittenBack(t *testing.T) {
	w, s := maskedWorld(t)
	const state = "select md5(string_agg(p::text, ' ' order by id)) from people p"
	ways := map[string]func(column, value string) []Op{
		"update": func(c, v string) []Op { return query("update people set " + c + " = '" + v + "' where id = 10") },
		"cast": func(c, v string) []Op {
			return query("update people set " + c + " = '" + v + "'::text::" + typeOf[c] + " where id = 10")
		},
		"parameter": func(c, v string) []Op { return pipeline("update people set "+c+" = $1 where id = 10", v) },
		"row": func(c, v string) []Op {
			return query("update people set (id, " + c + ") = row(10, '" + v + "') where id = 10")
		},
		"insert": func(c, v string) []Op {
			return query("insert into people(id, " + c + ") values (1, null), (2, '" + v + "')")
		},
		"inserted $": func(c, v string) []Op { return pipeline("insert into people(id, "+c+") values (1, $1)", v) },
		"select": func(c, v string) []Op {
			return query("insert into people(id, " + c + ") select 1, '" + v + "'::" + typeOf[c])
		},
		"upsert": func(c, v string) []Op {
			return query("insert into people(id) values (10) on conflict (id) do update set " + c + " = '" + v + "'")
		},
		"from values": func(c, v string) []Op {
			return query("update people set " + c + " = v.x from (values (10, '" + v + "'::" + typeOf[c] + ")) v(id, x) where people.id = v.id")
		},
		"with": func(c, v string) []Op {
			return query("with v as (select '" + v + "'::" + typeOf[c] + " as x) update people set " + c + " = v.x from v where people.id = 10")
		},
		"merge": func(c, v string) []Op {
			return query("merge into people p using (select 10 as id) s on s.id = p.id when matched then update set " + c + " = '" + v + "'")
		},
		"merged": func(c, v string) []Op {
			return query("merge into people p using (select 1 as id) s on s.id = p.id when not matched then insert (id, " + c + ") values (1, '" + v + "')")
		},
		"execute": func(c, v string) []Op {
			return append(query("prepare p as update people set "+c+" = $1 where id = 10"), query("execute p('"+v+"')")...)
		},
		"one batch": func(c, v string) []Op {
			return query("prepare p as update people set " + c + " = $1 where id = 10; execute p('" + v + "')")
		},
		"copy": func(c, v string) []Op {
			return append(query("copy people(id, "+c+") from stdin"), copyIn("1\t"+strings.ReplaceAll(v, `"`, `"`)+"\n")...)
		},
		"copy csv": func(c, v string) []Op {
			return append(query("copy people("+c+", id) from stdin csv"), copyIn(`"`+strings.ReplaceAll(v, `"`, `""`)+"\",1\n")...)
		},
	}
	before := w.upstream(state)
	for way, ops := range ways {
		for column, values := range sentinelsOf {
			for _, v := range values {
				a := w.do(s, ops(column, v)...)
				if len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], "42501") || !strings.Contains(a.errs[0], "masked") {
					t.Errorf("%s of %q in %s gave %v %v", way, v, column, a.errs, a.tags)
				}
				w.query(s, "deallocate all")
			}
		}
		if after := w.upstream(state); after != before {
			t.Fatalf("%s changed people", way)
		}
		for column, values := range realOf {
			for _, v := range values {
				wantNoError(t, w.query(s, "begin"))
				for _, op := range ops(column, v) {
					if a := w.do(s, op); len(a.errs) > 0 && op.Kind != OpCopyData {
						t.Errorf("%s of the real %q in %s gave %v", way, v, column, a.errs)
					}
				}
				if len(ops(column, v)) > 1 && ops(column, v)[0].Kind == OpParse {
					w.do(s, Op{Kind: OpSync})
				}
				w.query(s, "rollback")
				w.query(s, "deallocate all")
			}
		}
	}
}

var typeOf = map[string]string{"email": "text", "phone": "varchar", "card": "text", "alias": "text", "num": "int", "big": "bigint", "uid": "uuid", "born": "date", "tags": "text[]", "note": "text"}

func query(sql string) []Op { return []Op{{Kind: OpQuery, SQL: sql}} }

// TestWhatIsShownIsNotTakenBack reads every masked value of a table and tries to write it back.
func TestWhatIsShownIsNotTakenBack(t *testing.T) {
	w, s := maskedWorld(t)
	reader := w.login("agent")
	defer reader.Close()
	for column := range sentinelsOf {
		a := w.query(reader, "select "+column+" from people order by id")
		if wantNoError(t, a); len(a.rows) != 11 {
			t.Fatalf("%d rows", len(a.rows))
		}
		for _, row := range a.rows {
			wantError(t, w.query(s, "update people set "+column+" = '"+row[0]+"' where id = 10"), "42501")
			wantError(t, w.do(s, pipeline("update people set "+column+" = $1 where id = 10", row[0])...), "42501")
		}
	}
}

// TestBinaryParametersAreLookedAt: drivers send numbers and uuids in binary, without naming their types.
func TestBinaryParametersAreLookedAt(t *testing.T) {
	w, s := maskedWorld(t)
	for column, value := range map[string][]byte{"num": binary.BigEndian.AppendUint32(nil, 739182000), "big": binary.BigEndian.AppendUint64(nil, 8391820445510000001),
		"uid": {0xf1, 0x23, 0x45, 0x67, 0xf1, 0x23, 0x81, 0x23, 0xa1, 0x23, 0xf0, 0x12, 0x34, 0x56, 0x78, 0x90}, "alias": []byte("tok_ghjklmnpqrtvwxyzghjklmnp")} {
		b, at := pgframe.Begin(nil, 'B')
		b = append(b, 0, 0, 0, 1, 0, 1, 0, 1)
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(value))), value...)
		b = pgframe.End(append(b, 0, 0), at)
		a := w.do(s, Op{Kind: OpParse, SQL: "update people set " + column + " = $1 where id = 10"}, Op{Kind: OpBind, Raw: b}, Op{Kind: OpExecute}, Op{Kind: OpSync})
		wantError(t, a, "42501")
	}
}

// TestShapesDoNotCarrySentinels: a plan that is shared by statements with other literals has not seen this one.
func TestShapesDoNotCarrySentinels(t *testing.T) {
	w, s := maskedWorld(t)
	for i := range 5 {
		wantNoError(t, w.query(s, "update people set card = 'card "+string(rune('a'+i))+"' where id = 10"))
	}
	wantError(t, w.query(s, "update people set card = '***' where id = 10"), "42501")
	wantNoError(t, w.query(s, "update people set card = 'card x' where id = 10"))
}
