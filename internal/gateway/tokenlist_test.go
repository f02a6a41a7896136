package gateway

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"

	"sallyport/internal/pgframe"
)

// textArray is a text[] in binary.
func textArray(items ...string) []byte {
	b := binary.BigEndian.AppendUint32(nil, 1)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 25)
	b = binary.BigEndian.AppendUint32(b, uint32(len(items)))
	b = append(b, 0, 0, 0, 1)
	for _, s := range items {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
	}
	return b
}

// uuidArray is a uuid[] in binary.
func uuidArray(t *testing.T, items ...string) []byte {
	b := append(binary.BigEndian.AppendUint32(nil, 1), 0, 0, 0, 0, 0, 0, 0x0b, 0x86)
	b = append(binary.BigEndian.AppendUint32(b, uint32(len(items))), 0, 0, 0, 1)
	for _, s := range items {
		v, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
		if err != nil {
			t.Fatal(err)
		}
		b = append(append(b, 0, 0, 0, 16), v...)
	}
	return b
}

// binaryPipeline is pipeline with one parameter in binary, of a type that the client may have declared.
func binaryPipeline(sql string, value []byte, oids ...uint32) []Op {
	b, at := pgframe.Begin(nil, 'B')
	b = append(b, 0, 0, 0, 1, 0, 1, 0, 1)
	b = append(binary.BigEndian.AppendUint32(b, uint32(len(value))), value...)
	b = pgframe.End(append(b, 0, 0), at)
	return []Op{{Kind: OpParse, SQL: sql, ParamOIDs: oids}, {Kind: OpBind, Raw: b}, {Kind: OpDescribe, Target: 'P'}, {Kind: OpExecute}, {Kind: OpSync}}
}

// TestListsOfTokensFindRows: each item of a list is compared as what it is, in every form that clients write lists in.
func TestListsOfTokensFindRows(t *testing.T) {
	w, s := resolveWorld(t)
	seven, eight := w.token(s, "select email from customers where id = 7"), w.token(s, "select email from customers where id = 8")
	uid := w.token(s, "select uid from people where id = 2")
	raw := w.upstream("select uid from people where id = 1")
	const nine = "u9@example.com"
	for name, c := range map[string]struct {
		ops  []Op
		want string
	}{
		"in":                      {query("select id from customers where email in ('" + seven + "', '" + eight + "') order by 1"), "7 8"},
		"in_both":                 {query("select id from customers where email in ('" + seven + "', '" + nine + "') order by 1"), "7 9"},
		"in_parameters":           {pipeline("select id from customers where email in ($1, $2) order by 1", seven, nine), "7 9"},
		"in_parameter_of_values":  {pipeline("select id from customers where email in ($1, $2) order by 1", "u6@example.com", nine), "6 9"},
		"in_constant_and_token":   {pipeline("select id from customers where email in ($1, '"+nine+"') order by 1", seven), "7 9"},
		"in_token_and_parameter":  {pipeline("select id from customers where email in ('"+seven+"', $1) order by 1", nine), "7 9"},
		"literal":                 {query("select id from customers where email = any ('{" + seven + "," + eight + "}') order by 1"), "7 8"},
		"literal_of_both":         {query("select id from customers where email = any ('{\"" + seven + "\", " + nine + "}') order by 1"), "7 9"},
		"literal_escaped":         {query("select id from customers where email = any ('{\\" + seven + "}')"), "7"},
		"literal_spaced":          {query("select id from customers where email = any ('{ u6@example.com, \t" + seven + " }') order by 1"), "6 7"},
		"literal_cast":            {query("select id from customers where email = any ('{" + seven + "," + nine + "}'::text[]) order by 1"), "7 9"},
		"literal_of_values":       {query("select id from customers where email = any ('{u6@example.com," + nine + "}') order by 1"), "6 9"},
		"array":                   {query("select id from customers where email = any (array['" + seven + "', '" + eight + "']) order by 1"), "7 8"},
		"array_of_both":           {query("select id from customers where email = any (array['" + seven + "', '" + nine + "']) order by 1"), "7 9"},
		"array_of_parameters":     {pipeline("select id from customers where email = any (array[$1, $2]) order by 1", seven, nine), "7 9"},
		"parameter":               {pipeline("select id from customers where email = any ($1) order by 1", "{"+seven+","+eight+"}"), "7 8"},
		"parameter_of_both":       {pipeline("select id from customers where email = any ($1) order by 1", "{"+seven+","+nine+",NULL}"), "7 9"},
		"parameter_of_values":     {pipeline("select id from customers where email = any ($1) order by 1", "{u6@example.com,"+nine+"}"), "6 9"},
		"parameter_cast":          {pipeline("select id from customers where email = any ($1::text[]) order by 1", "{"+seven+","+nine+"}"), "7 9"},
		"empty":                   {pipeline("select id from customers where email = any ($1) order by 1", "{}"), ""},
		"binary":                  {binaryPipeline("select id from customers where email = any ($1) order by 1", textArray(seven, nine)), "7 9"},
		"binary_declared":         {binaryPipeline("select id from customers where email = any ($1) order by 1", textArray(seven, eight), 1009), "7 8"},
		"binary_of_values":        {binaryPipeline("select id from customers where email = any ($1) order by 1", textArray("u6@example.com", nine), 1009), "6 9"},
		"varchar":                 {pipeline("select id from people where phone = any ($1) order by 1", "{"+w.token(s, "select phone from people where id = 1")+",+1 415 555 2672}"), "1 2"},
		"varchar_declared":        {binaryPipeline("select id from people where phone = any ($1) order by 1", append(append(textArray()[:8:8], 0, 0, 4, 19), textArray("+1 415 555 2672")[12:]...), 1015), "2"},
		"uuid":                    {query("select id from people where uid = any ('{" + uid + "," + raw + "}') order by 1"), "1 2"},
		"uuid_parameter":          {pipeline("select id from people where uid = any ($1) order by 1", "{"+uid+","+raw+"}"), "1 2"},
		"uuid_parameter_of_value": {pipeline("select id from people where uid = any ($1) order by 1", "{"+raw+"}"), "1"},
		"uuid_binary":             {binaryPipeline("select id from people where uid = any ($1) order by 1", uuidArray(t, uid, raw)), "1 2"},
		"joined":                  {pipeline("select c.id from customers c join customers d using (id) where c.email = any ($1) and d.region is not null order by 1", "{"+seven+","+nine+"}"), "7 9"},
		"update":                  {pipeline("update customers set region = 'x' where email = any ($1) returning id", "{"+seven+"}"), "7"},
		"update_of_both":          {query("update customers set region = 'x' where customers.email in ('" + nine + "', '" + eight + "') returning id"), "8 9"},
		"delete":                  {binaryPipeline("delete from customers c where c.email = any ($1) returning id", textArray(seven, nine)), "7 9"},
		"prepared":                {append(query("prepare q as select id from customers where email = any ($1) order by 1"), query("execute q('{"+eight+",u6@example.com}')")...), "6 8"},
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			wantNoError(t, w.query(s, "begin"))
			defer w.query(s, "rollback")
			a := w.do(s, c.ops...)
			if wantNoError(t, a); strings.Join(flat(a.rows), " ") != c.want {
				t.Errorf("rows %v, want %s", a.rows, c.want)
			}
		})
	}
}

// TestListsAreServedByAnIndex: to look whether a list has tokens costs no scan where it has none.
func TestListsAreServedByAnIndex(t *testing.T) {
	w, s := resolveWorld(t)
	w.upstream("create index on customers(email); insert into customers(id, email) select g, 'v'||g||'@example.com' from generate_series(1000, 30000) g; analyze customers")
	seven := w.token(s, "select email from customers where id = 7")
	scans := func() (table, index string) {
		both := w.upstream("select seq_scan || ' ' || i.idx_scan from pg_stat_user_tables t join pg_stat_user_indexes i using (relid) where indexrelname = 'customers_email_idx'")
		table, index, _ = strings.Cut(both, " ")
		return table, index
	}
	for list, indexed := range map[string]bool{"{v2000@example.com,zed@example.com,ada@example.com}": true, "{v2000@example.com," + seven + "}": false} {
		s := w.login("writer")
		wantNoError(t, w.query(s, "select 1")) // what the log-in looks at is not what is counted
		table, index := scans()
		wantNoError(t, w.do(s, pipeline("select id from customers where email = any ($1)", list)...))
		s.Close()
		w.untilForgotten(s) // the server counts what a connection did when it ends
		after, used := scans()
		if (after == table) != indexed || (used != index) != indexed {
			t.Errorf("%s: %s scans of the table and %s of the index, then %s and %s", list, table, index, after, used)
		}
	}
}

// TestSentinelsInListsAreNotWrittenBack, as a parameter or a constant that rows are made of.
func TestSentinelsInListsAreNotWrittenBack(t *testing.T) {
	w, s := maskedWorld(t)
	const state = "select md5(string_agg(p::text, ' ' order by id)) from people p"
	before := w.upstream(state)
	for column, values := range sentinelsOf {
		if column == "tags" {
			continue
		}
		for _, v := range values {
			to := typeOf[column] + "[]"
			for way, ops := range map[string][]Op{
				"parameter":        pipeline("insert into people(id, "+column+") select 1, unnest($1::"+to+")", `{"`+v+`"}`),
				"from_a_parameter": pipeline("insert into people(id, "+column+") select 1, x from unnest($1::"+to+") x", `{"`+v+`",NULL}`),
				"constant":         query("insert into people(id, " + column + ") select 1, unnest('{\"" + v + "\"}'::" + to + ")"),
				"from_a_constant":  query("insert into people(id, " + column + ") select 1, x from unnest('{\"" + v + "\"}'::" + to + ") x"),
				"from_an_array":    query("insert into people(id, " + column + ") select 1, x from unnest(array['" + v + "']::" + to + ") x"),
				"update":           pipeline("update people set "+column+" = x from unnest($1::"+to+") x where people.id = 10", `{"`+v+`"}`),
				"element":          pipeline("update people set "+column+" = ($1::"+to+")[1] where people.id = 10", `{"`+v+`"}`),
			} {
				if a := w.do(s, ops...); len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], "42501") || !strings.Contains(a.errs[0], "masked") {
					t.Errorf("%s of %q in %s gave %v %v", way, v, column, a.errs, a.tags)
				}
			}
		}
	}
	a := w.do(s, binaryPipeline("insert into people(id, email) select 1, unnest($1::text[])", textArray("a@example.com", "u***@example.com"))...)
	wantError(t, a, "42501")
	a = w.do(s, binaryPipeline("insert into people(id, uid) select 1, unnest($1::uuid[])", uuidArray(t, "f1234567-f123-8123-a123-f01234567890"), 2951)...)
	wantError(t, a, "42501")
	if after := w.upstream(state); after != before {
		t.Fatal("people changed")
	}
	wantNoError(t, w.do(s, pipeline("insert into people(id, email) select 1, unnest($1::text[])", "{ada@example.com}")...))
	wantNoError(t, w.do(s, binaryPipeline("insert into people(id, email) select 2, unnest($1::text[])", textArray("bob@example.com"), 1009)...))
}
