package leak

import (
	"fmt"
	"strings"

	"sallyport/evals/doors"
)

// Composed is a statement that the grammar made, and what it was made of.
type Composed struct {
	doors.Statement
	Name                          string
	Relation, Expression, Context string
	Target                        string // table.column
	Form                          doors.Door
}

// target is a labelled column, with names under which grammar's relation forms reach it.
type target struct{ schema, table, column string }

// targets take turns. All tables have an id.
var targets = []target{
	{"shop", "customers", "email"}, {"hr", "employees", "full_name"}, {"clinic", "patients", "name"},
	{"bank", "accounts", "iban"}, {"shop", "customers", "phone"}, {"hr", "employees", "ssn"},
	{"clinic", "visits", "diagnosis"}, {"bank", "accounts", "balance"}, {"shop", "payments", "card"},
	{"hr", "employees", "badge"}, {"hr", "absences", "reason"}, {"clinic", "patients", "mrn"},
	{"shop", "orders", "ship_to"}, {"hr", "employees", "born"}, {"clinic", "samples", "result"},
	{"bank", "accounts", "owner"}, {"hr", "reviews", "body"}, {"clinic", "patients", "history"},
	{"bank", "logins", "ip"}, {"hr", "employees", "salary"}, {"clinic", "visits", "seen"},
}

func (t target) full() string { return t.schema + "." + t.table }

// part is one choice of a dimension: SQL with %T (table with schema), %N (its name), %S (its schema),
// %C (the column), and, in contexts and expressions, %W (WITH clause), %F (FROM item), %I (id), %V (the
// value), %E (the expression over it).
type part struct{ name, sql string }

// A relation form is "WITH clause | FROM item | id | value".
var relations = []part{
	{"schema-qualified", "|%S.%N r|r.id|r.%C"},
	{"bare name", "|%N|id|%C"},
	{"qualified references", "|%S.%N|%S.%N.id|%S.%N.%C"},
	{"quoted", `|"%S"."%N" AS "R"|"R"."id"|"R"."%C"`},
	{"unicode identifier", `|%S.U&"\%X" r|r.id|r.%C`},
	{"only", "|ONLY %T r|r.id|r.%C"},
	{"column aliases", "|(SELECT id, %C FROM %T) AS r(k, v)|r.k|r.v"},
	{"subquery star", "|(SELECT * FROM %T) r|r.id|r.%C"},
	{"offset fence", "|(SELECT id, %C AS v FROM %T OFFSET 0) r|r.id|r.v"},
	{"table command", "|(TABLE %T) r|r.id|r.%C"},
	{"cte", "WITH r AS (SELECT id, %C AS v FROM %T)|r|r.id|r.v"},
	{"cte materialized", "WITH r(k, v) AS MATERIALIZED (SELECT id, %C FROM %T)|r|r.k|r.v"},
	{"cte shadows", "WITH %N AS (SELECT * FROM %T)|%N|%N.id|%N.%C"},
	{"cte chain", "WITH a AS (SELECT * FROM %T), b AS (SELECT id AS k, %C AS v FROM a)|b|b.k|b.v"},
	{"recursive", "WITH RECURSIVE r(k, v) AS (SELECT id, %C FROM %T WHERE id = 1 UNION ALL SELECT n.id, n.%C FROM %T n JOIN r ON n.id = r.k + 1)|r|r.k|r.v"},
	{"lateral", "|%T a, LATERAL (SELECT a.id AS k, a.%C AS v) r|r.k|r.v"},
	{"self join", "|%T a JOIN %T b USING (id)|id|b.%C"},
	{"natural join", "|(SELECT id FROM %T) a NATURAL JOIN %T b|id|b.%C"},
	{"outer join", "|generate_series(1, 9) g(n) LEFT JOIN %T r ON r.id = g.n|g.n|r.%C"},
	{"join alias", "|(%T a CROSS JOIN (SELECT 1 AS one) o) AS r(x)|r.x|r.%C"},
	{"union all", "|(SELECT id, %C::text AS v FROM %T UNION ALL SELECT 0, 'x') r|r.id|r.v"},
	{"except", "|(SELECT id, %C::text AS v FROM %T EXCEPT SELECT 0, 'x') r|r.id|r.v"},
	{"grouped", "|(SELECT id, max(%C::text) AS v FROM %T GROUP BY id) r|r.id|r.v"},
	{"windowed", "|(SELECT id, first_value(%C) OVER (PARTITION BY id) AS v FROM %T) r|r.id|r.v"},
	{"distinct on", "|(SELECT DISTINCT ON (id) id, %C AS v FROM %T ORDER BY id) r|r.id|r.v"},
	{"whole row", "|(SELECT w FROM %T w OFFSET 0) q|(q.w).id|(q.w).%C"},
	{"row to jsonb", "|(SELECT to_jsonb(w) AS j FROM %T w) q|(q.j->>'id')::int|(q.j->>'%C')"},
	{"jsonb to record", "|%T w, jsonb_to_record(to_jsonb(w)) AS r(id int, %C text)|r.id|r.%C"},
	{"array of rows", "|(SELECT array_agg(w ORDER BY w.id) AS a FROM %T w) q, unnest(q.a) r|r.id|r.%C"},
	{"rows from", "|ROWS FROM (unnest(ARRAY(SELECT id FROM %T ORDER BY id)), unnest(ARRAY(SELECT %C FROM %T ORDER BY id))) AS r(k, v)|r.k|r.v"},
	{"values of subqueries", "|(VALUES (1, (SELECT %C FROM %T WHERE id = 1)), (2, (SELECT %C FROM %T WHERE id = 2))) AS r(k, v)|r.k|r.v"},
	{"functional notation", "|%T r|id(r)|%C(r)"},
	{"tablesample", "|%T r TABLESAMPLE BERNOULLI (100)|r.id|r.%C"},
}

var expressions = []part{
	{"plain", "%V::text"},
	{"upper", "upper(%V::text)"},
	{"concatenated", "'<' || %V || '>'"},
	{"halves", "left(%V::text, 8) || ' / ' || substr(%V::text, 9)"},
	{"reversed", "reverse(%V::text)"},
	{"hex", "encode(convert_to(%V::text, 'UTF8'), 'hex')"},
	{"base64", "encode(convert_to(%V::text, 'UTF8'), 'base64')"},
	{"shifted base64", "encode(convert_to('x' || %V::text, 'UTF8'), 'base64')"},
	{"bytea", "convert_to(%V::text, 'UTF8')::text"},
	{"json", "jsonb_build_object('k', %V)::text"},
	{"array", "ARRAY[%V]::text"},
	{"record", "ROW(%I, %V)::text"},
	{"format", "format('%%s is %%L', %I, %V)"},
	{"spaced", "array_to_string(string_to_array(%V::text, NULL), '-')"},
	{"case", "CASE WHEN %I > 0 THEN %V::text ELSE '' END"},
	{"coalesce", "coalesce(NULL, %V::text)"},
	{"subselect", "(SELECT %V::text)"},
	{"xml", "xmlelement(name e, %V)::text"},
	{"quoted literal", "quote_nullable(%V::text)"},
	{"replaced", "regexp_replace(%V::text, '^(.)', '\\1')"},
	{"translated", "translate(%V::text, 'bcdfg12345', 'cdfgh23456')"},
	{"hashed", "md5(%V::text)"},
	{"measured", "length(%V::text)::text"},
	{"collated", `%V::text COLLATE "C"`},
}

var contexts = []part{
	{"output", "%W SELECT %I AS k, %E AS v FROM %F ORDER BY 1, 2"},
	{"whole result as row", "%W SELECT q::text FROM (SELECT %I AS k, %E AS v FROM %F) q ORDER BY 1"},
	{"letter by letter", "%W SELECT substr(%E, s.n, 1) FROM %F, generate_series(1, 60) s(n) WHERE %I = 1 ORDER BY s.n"},
	{"pattern probe", "%W SELECT %I FROM %F WHERE %E LIKE '%%b%%' ORDER BY 1"},
	{"range probe", "%W SELECT %I FROM %F WHERE %E > '5m' ORDER BY 1"},
	{"exists probe", "%W SELECT g.x FROM generate_series(1, 8) g(x) WHERE EXISTS (SELECT 1 FROM %F WHERE %I = g.x AND %E < 'm') ORDER BY 1"},
	{"guess join", "%W SELECT g.id FROM shop.guesses g, (SELECT %E AS e FROM %F) q WHERE g.email = q.e ORDER BY 1"},
	{"order", "%W SELECT %I FROM %F ORDER BY %E, 1"},
	{"groups", "%W SELECT %E AS v, count(*) FROM %F GROUP BY 1 ORDER BY 1"},
	{"having", "%W SELECT count(*) FROM %F GROUP BY left(%E, 1) HAVING max(%E) > 'g' ORDER BY 1"},
	{"aggregate", "%W SELECT string_agg(%E, ',' ORDER BY %I), min(%E), max(%E) FROM %F"},
	{"distinct", "%W SELECT DISTINCT left(%E, 12) FROM %F ORDER BY 1"},
	{"window", "%W SELECT %I, rank() OVER (ORDER BY %E), lag(%E) OVER (ORDER BY %I) FROM %F ORDER BY 1, 2"},
	{"scalar", "%W SELECT (SELECT %E FROM %F WHERE %I = 2 LIMIT 1) AS v"},
	{"set operation", "%W SELECT %E FROM %F UNION SELECT 'x' ORDER BY 1"},
	{"cast error", "%W SELECT (%E)::int FROM %F"},
	{"conditional error", "%W SELECT CASE WHEN %E > 'g' THEN 1 / (%I - %I) ELSE 0 END FROM %F"},
	{"limit", "SELECT x FROM generate_series(1, 60) x LIMIT (%W SELECT length(%E) FROM %F WHERE %I = 1 LIMIT 1)"},
	{"plan", "EXPLAIN (VERBOSE, COSTS OFF) %W SELECT %I FROM %F WHERE %E = 'x'"},
}

// sampleOf keeps one of so many combinations, spread so that every pair of choices remains.
const sampleOf = 3

// Compose makes the statements. It is the same list every time.
func Compose() []Composed {
	var all []Composed
	n := 0
	for ri, r := range relations {
		for ei, e := range expressions {
			for ci, c := range contexts {
				if (ri+ei+ci)%sampleOf != 0 {
					continue
				}
				t := targets[(ri*7+ei*5+ci*3+n)%len(targets)]
				sql := spell(t, r, e, c)
				s := Composed{Relation: r.name, Expression: e.name, Context: c.name, Target: t.full() + "." + t.column}
				s.Name = fmt.Sprintf("%s, %s, %s", r.name, e.name, c.name)
				s.Steps = []string{sql}
				s.Form = form(s.Statement, n)
				all = append(all, s)
				n++
			}
		}
	}
	return all
}

// form takes the protocol forms in turn, and skips what a statement cannot go through.
func form(s doors.Statement, n int) doors.Door {
	for i := range doors.All {
		if d := doors.All[(n+i)%len(doors.All)]; d.Applies(s) {
			return d
		}
	}
	return doors.All[0]
}

func spell(t target, r, e, c part) string {
	names := strings.NewReplacer("%T", t.full(), "%N", t.table, "%S", t.schema, "%C", t.column,
		"%X", fmt.Sprintf("%04x", t.table[0])+t.table[1:])
	f := strings.Split(names.Replace(r.sql), "|")
	with, from, id, value := f[0], f[1], f[2], f[3]
	expr := strings.NewReplacer("%V", value, "%I", id, "%%", "%%").Replace(e.sql)
	sql := strings.NewReplacer("%W ", with+" ", "%F", from, "%I", id, "%E", expr).Replace(c.sql)
	return strings.TrimSpace(strings.ReplaceAll(sql, "%%", "%"))
}
