package mask_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/testdb"
)

// generator writes random statements over testdata/schema.sql. It knows the columns in scope, not their types:
// many statements fail at the server, which has to fail alike on both twins.
type generator struct {
	*rand.Rand
	next int
}

var tables = map[string][]string{
	"customers":         {"id", "name", "email", "phone", "ssn", "region", "born", "salary", "code", "tags", "lower_email"},
	"public.orders":     {"id", "customer_id", "amount", "email", "note"},
	"archive.customers": {"id", "email", "note"},
	"plain":             {"id", "region", "n"},
	"contacts":          {"id", "address", "name", "region"},
	"stored":            {"id", "email"},
	"parent":            {"id", "ssn"},
}

var tableNames = []string{"customers", "customers", "customers", "public.orders", "archive.customers", "plain", "contacts", "stored", "parent"}

func pick[T any](g *generator, list ...T) T { return list[g.IntN(len(list))] }

func (g *generator) name() string { g.next++; return "x" + strconv.Itoa(g.next) }

// from gives a FROM item and the columns that it brings into scope, qualified.
func (g *generator) from(depth int) (string, []string) {
	switch {
	case depth > 0 && g.IntN(5) == 0:
		alias := g.name()
		q, n := g.query(depth-1, nil)
		names := make([]string, n)
		scope := make([]string, n)
		for i := range names {
			names[i] = "c" + strconv.Itoa(i)
			scope[i] = alias + "." + names[i]
		}
		return fmt.Sprintf("(%s) AS %s(%s)", q, alias, strings.Join(names, ", ")), scope
	case depth > 0 && g.IntN(4) == 0:
		l, ls := g.from(depth - 1)
		r, rs := g.from(depth - 1)
		scope := append(ls, rs...)
		return fmt.Sprintf("(%s %s JOIN %s ON %s)", l, pick(g, "", "LEFT", "RIGHT", "FULL"), r, g.condition(depth-1, scope)), scope
	}
	t := pick(g, tableNames...)
	alias, cols := g.name(), tables[t]
	scope := []string{}
	only := pick(g, "", "", "", "ONLY ")
	if g.IntN(6) == 0 {
		return fmt.Sprintf("%s%s AS %s(k)", only, t, alias), append(scope, alias+".k")
	}
	for _, c := range cols {
		scope = append(scope, alias+"."+c)
	}
	return only + t + " " + alias, append(scope, alias)
}

// query gives a SELECT and the number of its columns, at least one.
func (g *generator) query(depth int, outer []string) (string, int) {
	from, scope := g.from(depth)
	scope = append(scope, outer...)
	n := 1 + g.IntN(3)
	var list []string
	for range n {
		list = append(list, g.expr(depth, scope))
	}
	q := "SELECT " + pick(g, "", "", "DISTINCT ") + strings.Join(list, ", ") + " FROM " + from
	if g.IntN(2) == 0 {
		q += " WHERE " + g.condition(depth, scope)
	}
	if g.IntN(6) == 0 {
		q = "SELECT " + list[0] + ", count(*) FROM " + from + " GROUP BY 1"
		n = 2
	}
	if depth > 0 && g.IntN(8) == 0 {
		q2, n2 := g.query(depth-1, nil)
		if n2 == n {
			return q + pick(g, " UNION ALL ", " UNION ", " EXCEPT ", " INTERSECT ") + q2, n
		}
	}
	return q + " ORDER BY " + list[0] + "::text, 1", n
}

func (g *generator) expr(depth int, scope []string) string {
	col := pick(g, scope...)
	if depth <= 0 {
		return col
	}
	switch g.IntN(22) {
	case 0:
		return "upper(" + g.expr(depth-1, scope) + "::text)"
	case 1:
		return "length(" + col + "::text)"
	case 2:
		return g.expr(depth-1, scope) + "::" + pick(g, "text", "int", "numeric", "date", "jsonb", "varchar(3)", "bool")
	case 3:
		return "coalesce(" + col + "::text, " + g.expr(depth-1, scope) + "::text)"
	case 4:
		return "CASE WHEN " + g.condition(depth-1, scope) + " THEN 1 ELSE 0 END"
	case 5:
		q, n := g.query(depth-1, scope)
		if n == 1 {
			return "(" + q + " LIMIT 1)"
		}
		return "EXISTS (" + q + ")"
	case 6:
		q, n := g.query(depth-1, scope)
		if n == 1 {
			return "ARRAY(" + q + ")"
		}
		return col
	case 7:
		return "to_jsonb(" + col + ")"
	case 8:
		return "row_to_json(ROW(" + col + ", " + g.expr(depth-1, scope) + "))"
	case 9:
		return "rank() OVER (ORDER BY " + col + "::text)"
	case 10:
		return "md5(" + col + "::text)"
	case 11:
		return "(" + g.expr(depth-1, scope) + "::text || " + col + "::text)"
	case 12:
		return "nullif(" + col + ", " + col + ")"
	case 13:
		return "format('%s %L', " + col + ", " + g.expr(depth-1, scope) + ")"
	default:
		return col
	}
}

func (g *generator) condition(depth int, scope []string) string {
	col := pick(g, scope...)
	switch g.IntN(9) {
	case 0:
		return col + "::text LIKE '" + pick(g, "%1%", "7%", "u%", "_*%") + "'"
	case 1:
		return col + " IS " + pick(g, "", "NOT ") + "NULL"
	case 2:
		return col + "::text " + pick(g, "=", "<", ">=", "<>", "~") + " " + pick(g, scope...) + "::text"
	case 3:
		if depth > 0 {
			q, n := g.query(depth-1, scope)
			if n == 1 {
				return col + "::text IN (SELECT s.v::text FROM (" + q + ") s(v))"
			}
			return "EXISTS (" + q + ")"
		}
		return "true"
	case 4:
		return "(" + g.condition(depth-1, scope) + pick(g, " AND ", " OR ") + g.condition(depth-1, scope) + ")"
	case 5:
		return "NOT " + g.condition(depth-1, scope)
	case 6:
		return col + "::text = '" + pick(g, "user3@example.org", "***", "3") + "'"
	default:
		return col + "::text BETWEEN '1' AND 'u'"
	}
}

func (g *generator) statement() string {
	q, _ := g.query(2, nil)
	switch g.IntN(12) {
	case 0:
		return "WITH w AS (" + q + ") SELECT * FROM w"
	case 1:
		return "SELECT * FROM (" + q + ") q, LATERAL (SELECT q.*) l"
	case 2:
		return "COPY (" + q + ") TO STDOUT"
	case 3:
		return "EXPLAIN " + q
	case 4:
		scope := []string{"id", "name", "email", "ssn", "region", "born", "customers.salary", "customers.phone"}
		return "UPDATE customers SET name = 'x' WHERE id < 4 RETURNING " + g.expr(2, scope) + ", " + g.expr(1, scope)
	case 5:
		return "DELETE FROM archive.customers t USING plain p WHERE p.id + 5 = t.id RETURNING " + g.expr(2, []string{"t.id", "t.email", "p.region"})
	}
	return q
}

// userOID matches the object identifier of a user's type, which is another one in each database.
var userOID = regexp.MustCompile(`:\d{5,}:`)

// TestTwinRandom runs random statements on two databases that differ in labelled values only. More of them:
// SALLYPORT_RANDOM=20000.
func TestTwinRandom(t *testing.T) {
	n := 300
	if s := os.Getenv("SALLYPORT_RANDOM"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	schema := read(t, "testdata/schema.sql") + ";ANALYZE"
	srv := testdb.Shared(t)
	dsn := srv.NewDatabase(t, schema)
	one, two, direct := dial(t, dsn), dial(t, srv.NewDatabase(t, twinOf(t, schema))), dial(t, dsn)
	w := newWorld(t, dsn, goldenRules, nil)
	g := &generator{Rand: rand.New(rand.NewPCG(7, uint64(n)))}
	compiled, answered := 0, 0
	for range n {
		sql := g.statement()
		c, _, err := w.compile(sql)
		if err != nil {
			if access.AsError(err).Kind == access.Internal {
				t.Errorf("%v\n%s", err, sql)
			}
			if access.AsError(err).Kind == access.Invalid && !strings.Contains(answer(t, direct, sql), "ERROR") {
				t.Errorf("the server takes what was refused: %v\n%s", err, sql)
			}
			continue
		}
		compiled++
		a, b := answer(t, one, c.SQL), answer(t, two, c.SQL)
		if userOID.ReplaceAllString(a, ":user:") != userOID.ReplaceAllString(b, ":user:") {
			t.Errorf("answers differ\n%s\n%s\n%.300s\n%.300s", sql, c.SQL, a, b)
		}
		if !strings.Contains(a, "ERROR") {
			answered++
			continue
		}
		// What the server refuses masked though it takes the original may only be a masked value's fault.
		if strings.Contains(a, "ERROR 42") && !strings.Contains(answer(t, direct, sql), "ERROR 42") {
			t.Errorf("does not compile to a valid statement\n%s\n%s\n%.300s", sql, c.SQL, a)
		}
	}
	t.Logf("%d statements, %d compiled, %d answered", n, compiled, answered)
	if answered*3 < n {
		t.Errorf("only %d of %d statements are answered", answered, n)
	}
}
