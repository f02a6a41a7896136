package mask_test

import (
	"context"
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/testdb"
)

// TestCatalogWithholdsValues looks for values of a labelled column in the catalog: bounds of partitions, and what
// a column added later has in the rows before it.
func TestCatalogWithholdsValues(t *testing.T) {
	dsn := testdb.Shared(t).NewDatabase(t, `
		CREATE TABLE people (id int, ssn text) PARTITION BY RANGE (ssn);
		CREATE TABLE people_low PARTITION OF people FOR VALUES FROM ('canary-1') TO ('canary-5');
		CREATE TABLE people_list (ssn text) PARTITION BY LIST (ssn);
		CREATE TABLE people_x PARTITION OF people_list FOR VALUES IN ('canary-7');
		CREATE TABLE added (id int); INSERT INTO added VALUES (1);
		ALTER TABLE added ADD COLUMN ssn text DEFAULT 'canary-9'; ALTER TABLE added ALTER COLUMN ssn DROP DEFAULT;
		CREATE VIEW bounds AS SELECT relname, pg_get_expr(relpartbound, oid) AS b FROM pg_class;
		CREATE VIEW conditions AS SELECT relname, pg_get_partition_constraintdef(oid) AS b FROM pg_class;
		CREATE VIEW missing AS SELECT attname, attmissingval::text FROM pg_attribute;
		CREATE VIEW fine AS SELECT relname, relkind FROM pg_class;
		ANALYZE`)
	conn := dial(t, dsn)
	w := newWorld(t, dsn, []access.LabelRule{{Label: "ssn", Columns: []string{"ssn"}}}, nil)
	for _, c := range []struct {
		sql    string
		refuse bool
		holds  string // what a masked principal gets all the same
	}{
		{"SELECT relname, pg_get_expr(relpartbound, oid) FROM pg_class WHERE relispartition", false, "people_low"},
		{"SELECT relname, pg_get_expr(c.relpartbound, c.oid, true) FROM pg_catalog.pg_class c WHERE relname LIKE 'people%'", false, "people_x"},
		{"SELECT relpartbound FROM pg_class", false, ""},
		{"SELECT relpartbound::text LIKE '%canary%' FROM pg_class", false, ""},
		{"SELECT relname FROM pg_class WHERE pg_get_expr(relpartbound, oid) LIKE '%canary%'", false, ""},
		{"SELECT relname, pg_get_partition_constraintdef(oid) FROM pg_class WHERE relispartition", false, "people_low"},
		{"SELECT pg_get_partition_constraintdef('people_low'::regclass)", false, ""},
		{"SELECT * FROM pg_get_partition_constraintdef('people_low'::regclass)", true, ""},
		{"SELECT * FROM pg_relation_size('people_low')", true, ""},
		{"SELECT attname, attmissingval FROM pg_attribute WHERE attrelid = 'added'::regclass", false, "ssn"},
		{"SELECT * FROM pg_attribute WHERE attrelid = 'added'::regclass", false, "ssn"},
		{"SELECT a.*, c.relname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.relname = 'added'", false, "added"},
		{"SELECT c.* FROM pg_class c WHERE relispartition", false, "people_low"},
		{"TABLE pg_class", false, "people_low"},
		{"SELECT (SELECT q FROM (SELECT * FROM pg_class WHERE relname = 'people_x') q)", false, "people_x"},
		{"SELECT * FROM pg_class, pg_namespace", true, ""},
		{"SELECT * FROM pg_class NATURAL JOIN pg_namespace", true, ""},
		{"SELECT 1 FROM pg_class a JOIN pg_class b USING (relpages)", true, ""},
		{"SELECT c FROM pg_class c", true, ""},
		{"SELECT to_jsonb(a) FROM pg_attribute a", true, ""},
		{"SELECT (c).relpartbound FROM pg_class c", true, ""},
		{"SELECT relpartbound(c) FROM pg_class c", true, ""},
		{"SELECT a1 FROM pg_class AS c(a1, a2)", true, ""},
		{"COPY pg_class TO STDOUT", true, ""},
		{"COPY (SELECT relname, relpartbound FROM pg_class) TO STDOUT", false, "COPY"},
		{"SELECT * FROM bounds", true, ""},
		{"SELECT * FROM conditions", true, ""},
		{"SELECT * FROM missing", true, ""},
		{"SELECT * FROM fine WHERE relname = 'people_x'", false, "people_x"},
	} {
		got, _, err := w.compile(c.sql)
		if err != nil {
			if kind := access.AsError(err).Kind; !c.refuse || kind == access.Internal {
				t.Errorf("%s: %v", c.sql, err)
			}
			continue
		}
		a := answer(t, conn, got.SQL)
		if c.refuse || strings.Contains(a, "canary") || strings.Contains(a, "ERROR") || !strings.Contains(a, c.holds) {
			t.Errorf("%s is answered with %.300s\n%s", c.sql, a, got.SQL)
		}
	}
	var seen int
	if err := conn.QueryRow(context.Background(), "SELECT count(*) FROM pg_attribute WHERE attmissingval::text LIKE '%canary%'").Scan(&seen); err != nil || seen != 1 {
		t.Errorf("the server keeps %d such values: %v", seen, err)
	}
}
