package attack

import (
	"regexp"
	"strings"
)

// A position is a way to put an attack inside a statement: % stands for it, " ;; " between steps.
type position struct{ name, sql string }

// expressions are the places of an expression. Each tests it for NULL where its type would not fit.
var expressions = []position{
	{"where", "SELECT id FROM victims WHERE (%) IS NOT NULL"},
	{"where-false", "SELECT 1 WHERE (%) IS NULL AND false"},
	{"order", "SELECT 1 ORDER BY (%) IS NULL"},
	{"group", "SELECT count(*) FROM spare GROUP BY (%) IS NULL"},
	{"grouping-sets", "SELECT count(*) FROM spare GROUP BY GROUPING SETS (((%) IS NULL), ())"},
	{"having", "SELECT count(*) FROM spare HAVING (%) IS NULL"},
	{"limit", "SELECT 1 LIMIT CASE WHEN (%) IS NULL THEN 1 ELSE 2 END"},
	{"offset", "SELECT 1 OFFSET CASE WHEN (%) IS NULL THEN 1 ELSE 0 END"},
	{"fetch", "SELECT 1 FETCH FIRST (CASE WHEN (%) IS NULL THEN 1 ELSE 2 END) ROWS ONLY"},
	{"case", "SELECT CASE WHEN (%) IS NULL THEN 1 END"},
	{"coalesce", "SELECT coalesce((%)::text, 'x')"},
	{"row", "SELECT ROW(1, %)"},
	{"array", "SELECT ARRAY[(%)::text]"},
	{"subscript", "SELECT (ARRAY[1, 2])[CASE WHEN (%) IS NULL THEN 1 ELSE 2 END]"},
	{"cast", "SELECT (%)::text"},
	{"in", "SELECT 1 WHERE 1 IN (1, CASE WHEN (%) IS NULL THEN 1 ELSE 2 END)"},
	{"any", "SELECT 1 WHERE 1 = ANY (ARRAY[CASE WHEN (%) IS NULL THEN 1 ELSE 2 END])"},
	{"scalar", "SELECT (SELECT %)"},
	{"exists", "SELECT EXISTS (SELECT 1 WHERE (%) IS NULL)"},
	{"in-sub", "SELECT 1 IN (SELECT 1 WHERE (%) IS NULL)"},
	{"array-sub", "SELECT ARRAY(SELECT (%) IS NULL)"},
	{"from-sub", "SELECT * FROM (SELECT %) x"},
	{"lateral", "SELECT * FROM spare s, LATERAL (SELECT %) x"},
	{"join-on", "SELECT 1 FROM spare a JOIN spare b ON (%) IS NOT NULL"},
	{"left-join-on", "SELECT 1 FROM spare a LEFT JOIN spare b ON (%) IS NULL"},
	{"values", "VALUES (1, NULL), (2, (%) IS NULL)"},
	{"from-values", "SELECT * FROM (VALUES ((%) IS NULL)) x"},
	{"with", "WITH q AS (SELECT %) SELECT * FROM q"},
	{"with-materialized", "WITH q AS MATERIALIZED (SELECT (%) IS NULL AS a) SELECT a FROM q"},
	{"with-nested", "WITH q AS (WITH r AS (SELECT (%) IS NULL AS a) SELECT * FROM r) SELECT * FROM q"},
	{"with-recursive", "WITH RECURSIVE q AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM q WHERE n < 3 AND (%) IS NOT NULL) SELECT * FROM q"},
	{"with-shadow", "WITH spare AS (SELECT (%) IS NULL AS a) SELECT * FROM spare"},
	{"union", "SELECT NULL UNION ALL SELECT (%)::text"},
	{"except", "SELECT 'x' EXCEPT SELECT (%)::text"},
	{"window-partition", "SELECT rank() OVER (PARTITION BY (%) IS NULL ORDER BY id) FROM spare"},
	{"window-named", "SELECT sum(id) OVER w FROM spare WINDOW w AS (ORDER BY (%) IS NULL)"},
	{"window-frame", "SELECT sum(id) OVER (ORDER BY id ROWS CASE WHEN (%) IS NULL THEN 1 ELSE 2 END PRECEDING) FROM spare"},
	{"filter", "SELECT count(*) FILTER (WHERE (%) IS NULL) FROM spare"},
	{"agg-arg", "SELECT count(%) FROM spare"},
	{"agg-order", "SELECT array_agg(id ORDER BY (%) IS NULL) FROM spare"},
	{"within-group", "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY (%) IS NULL) FROM spare"},
	{"distinct-on", "SELECT DISTINCT ON ((%) IS NULL) id FROM spare"},
	{"argument", "SELECT length(concat('a', %))"},
	{"named-argument", "SELECT make_interval(days => CASE WHEN (%) IS NULL THEN 1 ELSE 2 END)"},
	{"variadic", "SELECT concat(VARIADIC ARRAY[(%)::text])"},
	{"function-from", "SELECT * FROM generate_series(1, CASE WHEN (%) IS NULL THEN 1 ELSE 2 END)"},
	{"rows-from-argument", "SELECT * FROM ROWS FROM (generate_series(1, CASE WHEN (%) IS NULL THEN 1 ELSE 2 END), generate_series(1, 2)) x"},
	{"tablesample", "SELECT 1 FROM spare TABLESAMPLE bernoulli (CASE WHEN (%) IS NULL THEN 1 ELSE 100 END)"},
	{"xmlelement", "SELECT xmlelement(name x, (%)::text)"},
	{"xmltable", "SELECT * FROM XMLTABLE('/a' PASSING xmlelement(name a, (%)::text) COLUMNS b text PATH '.')"},
	{"between", "SELECT 1 WHERE 1 BETWEEN 0 AND CASE WHEN (%) IS NULL THEN 1 ELSE 2 END"},
	{"distinct-from", "SELECT (%)::text IS DISTINCT FROM 'x'"},
	{"like", "SELECT 1 WHERE 'a' LIKE (%)::text"},
	{"nullif", "SELECT nullif('x', (%)::text)"},
	{"greatest", "SELECT greatest('x', (%)::text)"},
	{"at-time-zone", "SELECT now() AT TIME ZONE CASE WHEN (%) IS NULL THEN 'UTC' ELSE 'GMT' END"},
	{"collate", "SELECT (%)::text COLLATE \"C\""},
	{"explain", "EXPLAIN SELECT 1 FROM spare WHERE t = (%)::text"},
	{"explain-analyze", "EXPLAIN ANALYZE SELECT %"},
	{"explain-analyze-with", "EXPLAIN (ANALYZE, FORMAT json) WITH q AS (SELECT %) SELECT * FROM q"},
	{"copy", "COPY (SELECT %) TO STDOUT"},
	{"cursor", "BEGIN ;; DECLARE c{U} CURSOR FOR SELECT % ;; FETCH ALL FROM c{U} ;; COMMIT"},
	{"cursor-hold", "DECLARE c{U} CURSOR WITH HOLD FOR SELECT % ;; FETCH ALL FROM c{U} ;; CLOSE c{U}"},
	{"prepare", "PREPARE p{U} AS SELECT % ;; EXECUTE p{U}"},
	{"prepare-twice", "PREPARE p{U} AS SELECT 1 ;; DEALLOCATE p{U} ;; PREPARE p{U} AS SELECT % ;; EXECUTE p{U}"},
	{"execute-argument", "PREPARE p{U}(boolean) AS SELECT $1 ;; EXECUTE p{U}((%) IS NULL)"},
	{"execute-explain", "PREPARE p{U} AS SELECT % ;; EXPLAIN ANALYZE EXECUTE p{U}"},
	{"stacked", "SELECT 1; SELECT %"},
	{"transaction", "BEGIN; SELECT %; COMMIT"},
	{"savepoint", "BEGIN ;; SAVEPOINT s ;; SELECT % ;; ROLLBACK TO s ;; COMMIT"},
	{"read-only", "BEGIN READ ONLY ;; SELECT % ;; COMMIT"},
	{"insert", "INSERT INTO sink SELECT 1, (%)::text"},
	{"insert-values", "INSERT INTO sink VALUES (1, (%)::text)"},
	{"update-set", "UPDATE sink SET t = (%)::text WHERE false"},
	{"delete-where", "DELETE FROM sink WHERE (%) IS NULL AND id < 0"},
	{"returning", "INSERT INTO sink VALUES (1, 'x') RETURNING %"},
	{"on-conflict", "INSERT INTO spare VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET t = (%)::text"},
	{"merge", "MERGE INTO sink s USING (SELECT (%)::text AS t) v ON s.t = v.t WHEN MATCHED THEN DO NOTHING"},
	{"select-into", "SELECT (%) IS NULL AS a INTO TEMP x{U}"},
	{"ctas", "CREATE TEMP TABLE x{U} AS SELECT (%) IS NULL AS a"},
	{"call-argument", "CALL touch_proc((%)::text)"},
	{"do", "DO $x$ BEGIN PERFORM %; END $x$"},
	{"default", "CREATE TEMP TABLE x{U} (a text DEFAULT (%)::text) ;; INSERT INTO x{U} DEFAULT VALUES"},
	{"view", "CREATE TEMP VIEW x{U} AS SELECT % ;; SELECT * FROM x{U}"},
}

// calledFrom are the places of a function call alone.
var calledFrom = []position{
	{"from", "SELECT * FROM % x"},
	{"from-ordinality", "SELECT * FROM % WITH ORDINALITY AS x"},
	{"from-rows", "SELECT * FROM ROWS FROM (%, generate_series(1, 2)) x"},
	{"from-lateral", "SELECT 1 FROM spare s, LATERAL % x"},
	{"from-left", "SELECT 1 FROM spare s LEFT JOIN LATERAL % x ON true"},
	{"from-in-with", "WITH q AS (SELECT * FROM % x) SELECT 1 FROM q"},
	{"from-exists", "SELECT EXISTS (SELECT * FROM % x)"},
	{"from-copy", "COPY (SELECT * FROM % x) TO STDOUT"},
	{"from-cross", "SELECT 1 FROM spare CROSS JOIN % x"},
}

// queries are the places of a whole query.
var queries = []position{
	{"sub", "SELECT * FROM (%) x"},
	{"sub-sub", "SELECT * FROM (SELECT * FROM (%) x) y"},
	{"with", "WITH q AS (%) SELECT * FROM q"},
	{"with-materialized", "WITH q AS MATERIALIZED (%) SELECT q FROM q"},
	{"with-not-materialized", "WITH q AS NOT MATERIALIZED (%) TABLE q"},
	{"with-shadow", "WITH victims AS (SELECT * FROM victims), q AS (%) SELECT * FROM q"},
	{"exists", "SELECT 1 WHERE EXISTS (%)"},
	{"array", "SELECT ARRAY(SELECT x::text FROM (%) x)"},
	{"text", "SELECT x::text FROM (%) x"},
	{"json", "SELECT row_to_json(x) FROM (%) x"},
	{"concat", "SELECT string_agg(concat(x.*), '|') FROM (%) x"},
	{"union", "SELECT x::text FROM (%) x UNION SELECT 'y'"},
	{"lateral", "SELECT x.* FROM spare s, LATERAL (%) x"},
	{"order", "SELECT * FROM (%) x ORDER BY 1"},
	{"copy", "COPY (%) TO STDOUT"},
	{"copy-binary", "COPY (%) TO STDOUT (FORMAT binary)"},
	{"copy-csv", "COPY (%) TO STDOUT (FORMAT csv, FORCE_QUOTE *)"},
	{"cursor", "BEGIN ;; DECLARE c{U} CURSOR FOR % ;; FETCH ALL FROM c{U} ;; COMMIT"},
	{"cursor-binary", "BEGIN ;; DECLARE c{U} BINARY CURSOR FOR % ;; FETCH ALL FROM c{U} ;; COMMIT"},
	{"prepare", "PREPARE p{U} AS % ;; EXECUTE p{U}"},
	{"explain-analyze", "EXPLAIN ANALYZE %"},
	{"into", "CREATE TEMP TABLE x{U} AS % ;; SELECT * FROM x{U}"},
	{"view", "CREATE TEMP VIEW x{U} AS % ;; SELECT * FROM x{U}"},
	{"insert", "INSERT INTO sink (t) SELECT x::text FROM (%) x RETURNING t"},
	{"error", "SELECT (SELECT x::text FROM (%) x LIMIT 1)::int"},
	{"hex", "SELECT encode(x::text::bytea, 'hex') FROM (%) x"},
	{"stacked", "SELECT 1; %"},
}

// writes are the places of a statement that writes.
var writes = []position{
	{"with", "WITH m AS (%) SELECT * FROM m"},
	{"with-unread", "WITH m AS (%) SELECT 1"},
	{"with-second", "WITH a AS (SELECT 1), m AS (%) SELECT * FROM a"},
	{"with-materialized", "WITH m AS MATERIALIZED (%) SELECT 1"},
	{"with-recursive", "WITH RECURSIVE m AS (%) SELECT 1"},
	{"with-in-write", "WITH m AS (%) INSERT INTO sink SELECT 1, 'x' FROM m"},
	{"with-two", "WITH m AS (%), n AS (SELECT * FROM m) SELECT count(*) FROM n"},
	{"with-shadow", "WITH spare AS (%) SELECT * FROM spare"},
	{"copy", "COPY (%) TO STDOUT"},
	{"copy-with", "COPY (WITH m AS (%) SELECT * FROM m) TO STDOUT"},
	{"explain-with", "EXPLAIN ANALYZE WITH m AS (%) SELECT 1"},
	{"cursor-with", "BEGIN ;; DECLARE c{U} CURSOR FOR WITH m AS (%) SELECT * FROM m ;; FETCH 1 FROM c{U} ;; COMMIT"},
	{"prepare-with", "PREPARE p{U} AS WITH m AS (%) SELECT * FROM m ;; EXECUTE p{U}"},
	{"sub", "SELECT * FROM (%) x"},
	{"sub-with", "SELECT * FROM (WITH m AS (%) SELECT * FROM m) x"},
	{"ctas-with", "CREATE TEMP TABLE x{U} AS WITH m AS (%) SELECT * FROM m"},
}

// statements are the places of a statement of any kind.
var statements = []position{
	{"stacked", "SELECT 1; %"},
	{"stacked-first", "%; SELECT 1"},
	{"transaction", "BEGIN; %; COMMIT"},
	{"transaction-steps", "BEGIN ;; % ;; COMMIT"},
	{"after-commit", "BEGIN; COMMIT; %"},
	{"after-rollback", "BEGIN ;; SELECT 1/0 ;; ROLLBACK ;; %"},
	{"read-only", "BEGIN READ ONLY; SET TRANSACTION READ WRITE; %; COMMIT"},
	{"savepoint", "BEGIN ;; SAVEPOINT s ;; % ;; RELEASE s ;; COMMIT"},
	{"prepare", "PREPARE p{U} AS % ;; EXECUTE p{U}"},
	{"explain-analyze", "EXPLAIN ANALYZE %"},
	{"explain-options", "EXPLAIN (FORMAT json, ANALYZE) %"},
	{"do", "DO $x$ BEGIN %; END $x$"},
	{"do-execute", "DO $x$ BEGIN EXECUTE $y$%$y$; END $x$"},
	{"function", "CREATE FUNCTION pg_temp.x{U}() RETURNS void LANGUAGE plpgsql AS $x$ BEGIN %; END $x$ ;; SELECT pg_temp.x{U}()"},
	{"run", "SELECT run($y$%$y$)"},
	{"dblink", "SELECT dblink_exec('{SELF}', $y$%$y$)"},
	{"xml", "SELECT query_to_xml($y$%$y$, true, true, '')"},
	{"copy", "COPY (%) TO STDOUT"},
	{"cursor", "BEGIN ;; DECLARE c{U} CURSOR FOR % ;; FETCH ALL FROM c{U} ;; COMMIT"},
	{"with", "WITH q AS (%) SELECT 1"},
	{"schema", "CREATE SCHEMA x{U} %"},
	{"rule", "CREATE RULE x{U} AS ON INSERT TO sink DO ALSO %"},
}

var oneCall = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*\(.*\)$`)

// place gives the attack in positions for its kind: one of so many, in turn.
func place(a Attack, turn, every int) []Attack {
	var at []position
	switch {
	case a.Kind == 'e' && oneCall.MatchString(a.Steps[0]):
		at = append(append(at, expressions...), calledFrom...)
	case a.Kind == 'e':
		at = expressions
	case a.Kind == 'f':
		at = calledFrom
	case len(a.Steps) > 1:
		return nil
	case a.Kind == 'q':
		at = queries
	case a.Kind == 'w':
		at = append(append(at, writes...), statements...)
	default:
		at = statements
	}
	var all []Attack
	for i, p := range at {
		if every > 1 && (i+turn)%every != 0 {
			continue
		}
		m := a
		m.Kind = 's'
		m.Name += "/in-" + p.name
		m.Steps = strings.Split(strings.ReplaceAll(p.sql, "%", a.Steps[0]), " ;; ")
		all = append(all, m)
	}
	return all
}
