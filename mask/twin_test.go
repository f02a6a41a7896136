package mask_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"sallyport/internal/access"
	"sallyport/internal/testdb"
)

// twinOf writes other values into the labelled columns of testdata/schema.sql, of other lengths, some NULL.
func twinOf(t *testing.T, schema string) string {
	t.Helper()
	for old, now := range map[string]string{
		"'user' || g || '@example.org', '+49":       "nullif('somebody.else' || g * 31 || '@elsewhere.example', 'somebody.else124@elsewhere.example'), '+1",
		"'user' || g || '@example.org', 'n'":        "'x' || g || '@y.io', 'n'",
		"'user' || g % 12 + 1 || '@example.org'":    "md5(g::text)",
		"lpad(g::text, 9, '7')":                     "CASE WHEN g <> 5 THEN lpad(g::text, 9, '3') END",
		"date '1980-01-01' + g * 100":               "date '1949-05-05' - g * 33",
		"g * 10, md5(g::text)":                      "nullif(g * 77, 154), md5('twin' || g)",
		"array['t' || g % 2]":                       "array['other', null, g::text]",
		"VALUES (1, 'a@x.io', 1), (2, 'b@x.io', 2)": "VALUES (1, 'q@q.io', 1), (2, NULL, 2)",
		"VALUES (1, '111')":                         "VALUES (1, '99999')",
		"VALUES (2, '222', 3)":                      "VALUES (2, NULL, 3)",
	} {
		if !strings.Contains(schema, old) {
			t.Fatalf("the schema has no %s any more", old)
		}
		schema = strings.ReplaceAll(schema, old, now)
	}
	return schema
}

// TestTwinGolden runs every golden statement with redact and null masks on two databases that differ in
// labelled values only.
func TestTwinGolden(t *testing.T) {
	schema := read(t, "testdata/schema.sql")
	srv := testdb.Shared(t)
	dsn := srv.NewDatabase(t, schema)
	one, two := dial(t, dsn), dial(t, srv.NewDatabase(t, twinOf(t, schema)))
	for _, masks := range [][]access.Mask{nil, nullMasks()} {
		w := newWorld(t, dsn, goldenRules, masks)
		eachGolden(t, func(name, sql string) {
			c, _, err := w.compile(sql)
			if err != nil || strings.Contains(name, "copy_from") || strings.HasSuffix(name, "prepare") {
				return
			}
			if a, b := answer(t, one, c.SQL), answer(t, two, c.SQL); a != b {
				t.Errorf("%s: answers differ\n%s\n%.300s\n%.300s", name, sql, a, b)
			}
		})
	}
}

// TestTwinPartial does so with partial masks: the twins' values differ, their images do not.
func TestTwinPartial(t *testing.T) {
	schema := `CREATE TABLE customers (id int PRIMARY KEY, email text, phone text, card text, name varchar(40), tags text[]);
		INSERT INTO customers SELECT g, 'u' || LOCAL || '@h' || g % 3 || '.example', PHONE || '4' || g % 10, CARD || 1000 + g, 'N' || REST, array['t' || REST, NULL] FROM generate_series(1, 30) g;
		CREATE TABLE orders (id int PRIMARY KEY, email text, ssn text); INSERT INTO orders SELECT g, 'a' || LOCAL || '@x.example' FROM generate_series(1, 9) g; ANALYZE`
	fill := func(local, phone, card, rest string) string {
		return strings.NewReplacer("LOCAL", local, "PHONE", phone, "CARD", card, "REST", rest).Replace(schema)
	}
	a := fill("'ser' || g", "'+49 170 1234'", "'4111 1111 1111 '", "'ame' || g")
	b := fill("'@' || g * 991 || 'longer' || md5(g::text)", "'(0)99/888-77'", "'5500-0000-0000-'", "md5(g::text)")
	masks := []access.Mask{{Label: "email", Transform: "partial", Style: "email"}, {Label: "phone", Transform: "partial", Style: "phone"},
		{Label: "card", Transform: "partial", Style: "card"}, {Label: "name", Transform: "partial", Style: "generic"}}
	rules := []access.LabelRule{{Label: "email", Columns: []string{"email"}}, {Label: "phone", Columns: []string{"phone"}}, {Label: "card", Columns: []string{"card"}},
		{Label: "name", Columns: []string{"customers.name", "tags"}}}
	srv := testdb.Shared(t)
	dsn := srv.NewDatabase(t, a)
	one, two := dial(t, dsn), dial(t, srv.NewDatabase(t, b))
	w := newWorld(t, dsn, rules, masks)
	for _, sql := range []string{
		"SELECT * FROM customers", "SELECT c FROM customers c", "SELECT to_jsonb(c) FROM customers c", "SELECT length(email), md5(phone), card || '' FROM customers",
		"SELECT id FROM customers WHERE email LIKE 'u%' ORDER BY phone, id", "SELECT email, count(*) FROM customers GROUP BY email ORDER BY 1",
		"SELECT DISTINCT card FROM customers ORDER BY 1", "SELECT c.id, o.id FROM customers c JOIN orders o USING (email)", "SELECT unnest(tags) FROM customers",
		"SELECT phone::int FROM customers", "SELECT max(name), min(tags) FROM customers", "UPDATE customers SET id = id RETURNING email, tags",
		"SELECT id, rank() OVER (ORDER BY phone, card) FROM customers ORDER BY 1", "SELECT string_agg(email, ',' ORDER BY email, id) FROM customers",
	} {
		c, _, err := w.compile(sql)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		if a, b := answer(t, one, c.SQL), answer(t, two, c.SQL); a != b {
			t.Errorf("answers differ\n%s\n%.300s\n%.300s", sql, a, b)
		}
	}
}

func nullMasks() []access.Mask {
	var out []access.Mask
	for _, m := range goldenMasks {
		out = append(out, access.Mask{Label: m.Label, Transform: "null"})
	}
	return out
}

func eachGolden(t *testing.T, f func(name, sql string)) {
	t.Helper()
	files, err := filepath.Glob("testdata/compile/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		ar, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range ar.Files {
			if name, ok := strings.CutSuffix(s.Name, ".sql"); ok {
				f(filepath.Base(file)+"/"+name, strings.TrimSpace(string(s.Data)))
			}
		}
	}
}

// TestMaskKeepsIndex holds the promise that PostgreSQL flattens a masked subquery, whatever the masks.
func TestMaskKeepsIndex(t *testing.T) {
	dsn := testdb.Shared(t).NewDatabase(t, read(t, "testdata/schema.sql"))
	conn := dial(t, dsn)
	w := newWorld(t, dsn, goldenRules, goldenMasks)
	w.lookup[access.ColumnID{Relation: access.Name{Schema: "public", Name: "customers"}, Column: "email"}] = true
	for sql, index := range map[string]string{
		"EXPLAIN SELECT * FROM customers WHERE id = 3":                                 "customers_pkey",
		"EXPLAIN SELECT * FROM customers WHERE email = 'user3@example.org'":            "customers_email_key",
		"EXPLAIN SELECT c.* FROM plain p LEFT JOIN customers c ON c.id = p.id LIMIT 1": "customers_pkey",
		"EXPLAIN SELECT * FROM contacts WHERE id = 3":                                  "customers_pkey",
	} {
		c, _, err := w.compile(sql)
		if err != nil {
			t.Fatal(err)
		}
		if got := answer(t, conn, "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; "+c.SQL); !strings.Contains(got, index) {
			t.Errorf("%s does not use %s:\n%s", sql, index, got)
		}
	}
}
