package mask_test

import (
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/mask"
)

// verifyWorld is a catalog by hand: t(id, ssn, note) with ssn masked and open to lookup, plain(id, ssn).
func verifyWorld(t *testing.T) func(sql string) string {
	t.Helper()
	name := access.Name{Schema: "s", Name: "t"}
	cols := []access.Column{{Num: 1, Name: "id", Type: "integer", TypeOID: 23}, {Num: 2, Name: "ssn", Type: "text", TypeOID: 25}, {Num: 3, Name: "note", Type: "text", TypeOID: 25}}
	cat := &access.Catalog{Relations: map[access.Name]*access.Relation{
		name:                         {Name: name, Kind: access.Table, Columns: cols},
		{Schema: "s", Name: "plain"}: {Name: access.Name{Schema: "s", Name: "plain"}, Kind: access.Table, Columns: cols},
	}}
	labels, problems := mask.Resolve(cat, "c", []access.LabelRule{{Label: "pii", Columns: []string{"s.t.ssn"}}}, nil, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	masks, err := mask.NewMasks([]access.Mask{{Label: "pii", Transform: "partial", Style: "generic"}})
	if err != nil {
		t.Fatal(err)
	}
	id := []access.ColumnID{{Relation: name, Column: "ssn"}}
	return func(sql string) string { return mask.Verify(cat, labels, masks, id, id, sql) }
}

const (
	genericOf = `CAST(CASE WHEN X IS NULL THEN NULL ELSE pg_catalog.concat(pg_catalog."left"(CAST(X AS pg_catalog.text), 1), '***') END AS pg_catalog.text)`
	maskedT   = `(SELECT id, MASK AS ssn, note FROM s.t)`
)

func withMasks(sql string) string {
	sql = strings.ReplaceAll(sql, "MASKED_T", maskedT)
	for _, ref := range []string{"t.ssn", "x.ssn", "ssn"} {
		sql = strings.ReplaceAll(sql, "MASK("+ref+")", strings.ReplaceAll(genericOf, "X", ref))
	}
	return strings.ReplaceAll(sql, "MASK", strings.ReplaceAll(genericOf, "X", "ssn"))
}

// TestVerifierAccepts what the compiler makes.
func TestVerifierAccepts(t *testing.T) {
	verify := verifyWorld(t)
	for _, sql := range []string{
		"SELECT * FROM MASKED_T t",
		"SELECT ssn FROM (SELECT MASK AS ssn FROM s.t) t",
		"SELECT pg_catalog.count(*) FROM (SELECT FROM s.t) t",
		"SELECT ssn FROM (SELECT id, MASK AS ssn, note FROM ONLY s.t) x WHERE ssn LIKE 'a%'",
		"SELECT ssn FROM (SELECT id, MASK AS ssn, note FROM s.t WHERE ssn OPERATOR(pg_catalog.=) $1 AND ssn IN ('a', 'b')) x",
		"WITH t AS (SELECT * FROM MASKED_T q) SELECT ssn FROM t",
		"WITH RECURSIVE r AS (SELECT id FROM MASKED_T q UNION ALL SELECT id FROM r) SELECT * FROM r",
		"SELECT ssn FROM s.plain",
		"UPDATE s.t SET note = 'x' WHERE id = 1 RETURNING id, MASK(ssn) AS ssn",
		"UPDATE s.t SET ssn = 'x', note = 'y' WHERE ssn = 'z'",
		"DELETE FROM s.t AS x WHERE x.id = 1 RETURNING MASK(x.ssn)",
		"INSERT INTO s.t (id, ssn) SELECT id, ssn FROM s.plain",
		"INSERT INTO s.t (id, ssn) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET ssn = excluded.ssn RETURNING MASK(ssn)",
		"MERGE INTO s.t x USING s.plain p ON p.id = x.id WHEN MATCHED AND MASK(x.ssn) = 'a' THEN DELETE",
		"SELECT id FROM MASKED_T t FOR UPDATE OF t",
		"LOCK TABLE s.t", "TRUNCATE s.t", "COPY s.t FROM STDIN", "COPY (SELECT * FROM MASKED_T t) TO STDOUT",
	} {
		if why := verify(withMasks(sql)); why != "" {
			t.Errorf("%s: %s", sql, why)
		}
	}
}

// TestVerifierObjects to every way past a mask that a wrong rewriting could leave open.
func TestVerifierObjects(t *testing.T) {
	verify := verifyWorld(t)
	for _, sql := range []string{
		"SELECT id FROM s.t",
		"SELECT id FROM t",
		"SELECT id FROM elsewhere",
		"SELECT (SELECT ssn FROM s.t LIMIT 1)",
		"SELECT 1 WHERE EXISTS (SELECT FROM s.t)",
		"SELECT ssn FROM (SELECT id, ssn, note FROM s.t) t",
		"SELECT ssn FROM (SELECT id, MASK AS ssn, ssn AS note FROM s.t) t",
		"SELECT ssn FROM (SELECT MASK AS ssn, id FROM s.t) t",
		"SELECT ssn FROM (SELECT MASK AS ssn, MASK AS ssn FROM s.t) t",
		"SELECT ssn FROM (SELECT id, MASK AS note FROM s.t) t",
		"SELECT ssn FROM (SELECT id AS ssn FROM s.t) t",
		"SELECT ssn FROM (SELECT DISTINCT MASK AS ssn FROM s.t) t",
		"SELECT ssn FROM (SELECT *, MASK AS ssn FROM s.t) t",
		"SELECT ssn FROM (SELECT id, MASK AS ssn, note FROM s.t ORDER BY ssn) t",
		"SELECT ssn FROM (SELECT id, MASK AS ssn, note FROM s.t LIMIT 1) t",
		"SELECT ssn FROM (SELECT id, MASK AS ssn, note FROM s.t WHERE ssn LIKE 'a%') t",
		"SELECT ssn FROM (SELECT id, MASK AS ssn, note FROM s.t WHERE ssn > 'a') t",
		"SELECT ssn FROM (SELECT id, MASK AS ssn, note FROM s.t WHERE ssn = 'a' OR ssn = 'b') t",
		"SELECT ssn FROM (SELECT id, MASK AS ssn, note FROM s.t WHERE ssn = note) t",
		"SELECT ssn FROM (SELECT id, MASK AS ssn, note FROM s.t WHERE ssn = 'a' AND (ssn = 'b' AND note = 'c')) t",
		"SELECT ssn FROM (SELECT id, MASK AS ssn, note FROM s.t WHERE CASE WHEN true THEN true ELSE ssn = 'a' END) t",
		"SELECT ssn FROM (SELECT id, MASK AS ssn, note FROM s.t WHERE ssn = (SELECT 'a')) t",
		"SELECT ssn FROM (SELECT id, MASK AS ssn, note FROM s.t WHERE note = 'a') t",
		"SELECT ssn FROM (SELECT id, MASK AS ssn, note FROM s.t, s.plain) t",
		"SELECT ssn FROM (SELECT id, MASK AS ssn, note FROM s.t TABLESAMPLE SYSTEM (1)) t",
		"SELECT ssn FROM (SELECT id, MASK AS ssn, note FROM s.t UNION SELECT id, ssn, note FROM s.t) t",
		"SELECT ssn FROM (WITH x AS (SELECT * FROM s.t) SELECT id, MASK AS ssn, note FROM s.t) t",
		"WITH t AS (SELECT * FROM t) SELECT * FROM t",
		"WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a",
		"SELECT (WITH t AS (SELECT 1) SELECT 1 FROM t), (SELECT 1 FROM t)",
		"UPDATE t SET note = 'x'",
		"UPDATE s.t SET note = 'x' RETURNING ssn",
		"UPDATE s.t SET note = 'x' RETURNING t.ssn",
		"UPDATE s.t SET note = 'x' RETURNING s.t.ssn",
		"UPDATE s.t SET note = 'x' RETURNING *",
		"UPDATE s.t SET note = 'x' RETURNING t.*",
		"UPDATE s.t SET note = 'x' RETURNING t",
		"UPDATE s.t SET note = 'x' RETURNING (t).ssn",
		"UPDATE s.t SET note = ssn",
		"UPDATE s.t SET note = 'x' WHERE ssn LIKE 'a%'",
		"UPDATE s.t SET note = 'x' WHERE ssn = note",
		"UPDATE s.t SET note = 'x' RETURNING (SELECT t.ssn)",
		"UPDATE s.t AS x SET note = 'x' FROM s.t WHERE true",
		"UPDATE s.t AS excluded SET note = 'x' RETURNING excluded.ssn",
		"UPDATE s.t SET note = 'x' RETURNING CAST(CASE WHEN ssn IS NULL THEN NULL ELSE pg_catalog.concat(pg_catalog.\"left\"(CAST(ssn AS pg_catalog.text), 2), '***') END AS text)",
		"DELETE FROM s.t USING s.t AS x WHERE x.id = t.id",
		"DELETE FROM s.t RETURNING upper(ssn)",
		"INSERT INTO s.t (id) VALUES (1) RETURNING ssn",
		"INSERT INTO s.t (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET note = t.ssn",
		"INSERT INTO s.plain SELECT * FROM s.t",
		"MERGE INTO s.t x USING s.plain p ON p.ssn = x.ssn WHEN MATCHED THEN DELETE",
		"MERGE INTO s.plain p USING s.t x ON p.id = x.id WHEN MATCHED THEN DELETE",
		"COPY s.t TO STDOUT",
		"COPY (SELECT * FROM s.t) TO STDOUT",
		"CREATE TABLE s.x AS SELECT * FROM s.t",
		"CREATE VIEW s.x AS SELECT * FROM s.t",
		"DECLARE c CURSOR FOR SELECT * FROM s.t",
		"PREPARE p AS SELECT * FROM s.t",
		"EXPLAIN SELECT * FROM s.t",
	} {
		if verify(withMasks(sql)) == "" {
			t.Errorf("accepted: %s", sql)
		}
	}
}
