package postgres

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
)

// TestPolymorphicOperators: all other built-in operators give a type of pg_catalog whatever their operands.
func TestPolymorphicOperators(t *testing.T) {
	rows, err := connect(t).Query(t.Context(), `SELECT DISTINCT o.oprname FROM pg_operator o JOIN pg_type t ON t.oid = o.oprresult
		WHERE t.typname ~ '^any' AND o.oid < 16384 ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	if n := len(strings.Fields(polymorphicOperators)); n != len(names) {
		t.Errorf("%d are listed, the server has %q", n, names)
	}
	for _, n := range names {
		if !strings.Contains(polymorphicOperators, " "+n+" ") {
			t.Errorf("operator %s is not listed", n)
		}
	}
}

// TestTypesOfExpressions reads off which casts count for an expression what type it is known to have. Where it is not
// known, all count: a cast that was left out would be code that nobody permitted.
func TestTypesOfExpressions(t *testing.T) {
	const builtin, any, literal = "bool int4 text", "bool int4 text mood posint", ""
	env := Env{Catalog: parseCatalog(t, testCatalog+"type public.target b\ntable public.t id:int4 n:numeric m:public.mood p:public.posint ms:public.moods r:public.address\ntype public.moods b\n"+
		"function public.mooded scalar\n"), Path: []string{"pg_catalog", "public"}, Registry: testRegistry{}}
	cat := env.Catalog
	user := func(name string) *access.Type { return cat.Types[access.Name{Schema: "public", Name: name}] }
	user("posint").Base = user("mood").OID
	user("moods").Category, user("moods").Elem = 'A', user("mood").OID
	cat.Functions[access.Name{Schema: "public", Name: "mooded"}][0].ReturnType = user("mood").OID
	sources := map[string]uint32{"bool": 16, "int4": 23, "text": 25, "mood": user("mood").OID, "posint": user("posint").OID}
	for name, oid := range sources {
		if oid < firstUserOID {
			cat.TypeByOID[oid] = &access.Type{OID: oid, Kind: 'b', Name: access.Name{Schema: "pg_catalog", Name: name}}
		}
		cat.Casts = append(cat.Casts, access.Cast{Source: oid, Target: user("target").OID, Context: 'e', Function: access.Name{Schema: "from", Name: name}})
	}
	cat.Relations[access.Name{Schema: "public", Name: "t"}].Column("n").TypeOID = 1700 // of which the catalog says no more
	cat.Polymorphic = map[string]bool{"max": true}
	for _, c := range []struct{ expr, want string }{
		{"true", "bool"}, {"1", builtin}, {"1.5", builtin}, {"B'1'", builtin}, {"'x'", literal}, {"NULL", literal}, {"$1", builtin},
		{"id", "text"}, {"n", builtin}, {"m", "mood"}, {"p", "mood posint"}, {"ms", "mood"}, {"m COLLATE x", "mood"},
		{"m IS NULL", "bool"}, {"(m = m) IS TRUE", "bool"}, {"m = m AND m = m", "bool"}, {"m IN (m)", "bool"}, {"m BETWEEN m AND m", "bool"}, {"m IS DISTINCT FROM m", "bool"},
		{"m = ANY (ms)", "bool"}, {"m LIKE m", builtin}, {"m ILIKE m", builtin}, {"m SIMILAR TO 'x'", builtin}, {"m = m", builtin}, {"m === m", any},
		{"id + id", builtin}, {"m + m", any}, {"id - m", any}, {"- m", any}, {"NULLIF(id, 1)", builtin}, {"NULLIF(m, m)", any},
		{"CASE WHEN $1 > 1 THEN $1 END", any},
		{"CASE WHEN m = m THEN m END", "mood"}, {"CASE WHEN m = m THEN m ELSE 'a' END", "mood"}, {"CASE WHEN m = m THEN 'a' ELSE m END", "mood"},
		{"CASE WHEN m = m THEN m ELSE p END", any}, {"CASE WHEN m = m THEN 1 ELSE id END", builtin}, {"CASE WHEN m = m THEN 'a' END", builtin}, {"CASE WHEN m = m THEN 'a' ELSE 'b' END", builtin},
		{"COALESCE(m, NULL)", "mood"}, {"COALESCE('a', NULL)", builtin}, {"GREATEST(m, m)", "mood"}, {"GREATEST(1, id)", builtin},
		{"ARRAY[m]", any}, {"ARRAY[id]", builtin}, {"GROUPING(m)", builtin}, {"current_user", builtin}, {"ROW(m)", any},
		{"m::text", builtin}, {"id::mood", "mood"}, {"id::mood[]", any}, {"id::posint", "mood posint"}, {"NULL::t", any},
		{"m IN (SELECT m FROM t)", "bool"}, {"m > ALL (SELECT m FROM t)", "bool"}, {"EXISTS (SELECT m FROM t)", "bool"},
		{"(SELECT m FROM t)", "mood"}, {"(SELECT id FROM t)", "text"}, {"ARRAY(SELECT m FROM t)", any}, {"ARRAY(SELECT id FROM t)", builtin},
		{"(SELECT id, m FROM t)", any}, {"(SELECT * FROM jsonb_populate_record(NULL::address, '{}'))", any},
		{"length(m)", builtin}, {"max(m)", any}, {"max(id)", builtin}, {"mooded(1)", "mood"}, {"reveal(1)", "text"}, {"(r).city", "text"},
	} {
		trees, err := Parse("SELECT (" + c.expr + ")::public.target FROM t")
		if err != nil {
			t.Fatalf("%s: %v", c.expr, err)
		}
		facts, err := Analyze(trees[0], env)
		if err != nil {
			t.Errorf("%s: %v", c.expr, err)
			continue
		}
		var got []string
		for _, name := range strings.Fields(any) {
			if slices.ContainsFunc(facts.Functions, func(f access.FunctionUse) bool { return f.Name == access.Name{Schema: "from", Name: name} }) {
				got = append(got, name)
			}
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: casts from %q count, want %q", c.expr, s, c.want)
		}
	}
}

// TestCastsBelowATypeCount: a cast to a type is one to what it is made of.
func TestCastsBelowATypeCount(t *testing.T) {
	cat := parseCatalog(t, testCatalog+"type public.below e\ntype public.over d\ntype public.many b\ntype public.bare d\ntype public.span r\ntype public.pair c\ncomposite public.pair x:public.below y:text\n"+
		"type public.nest c\ncomposite public.nest x:public.over y:text\ntype public.list c\ncomposite public.list x:public.many y:text\ntype public.raw b\ntype public.fine d\n")
	user := func(name string) *access.Type { return cat.Types[access.Name{Schema: "public", Name: name}] }
	user("over").Base = user("below").OID
	user("many").Category, user("many").Elem = 'A', user("below").OID
	user("bare").Base = 23 // of which the catalog says no more
	user("fine").Base = user("raw").OID
	cat.TypeByOID[25] = &access.Type{OID: 25, Kind: 'b', Name: access.Name{Schema: "pg_catalog", Name: "text"}}
	cat.Casts = []access.Cast{{Source: 25, Target: user("below").OID, Context: 'e', Function: access.Name{Schema: "from", Name: "text"}}}
	for _, c := range []struct {
		to, calls string
		pure      bool
	}{
		{"below", "from.text", true}, {"over", "from.text", true}, {"many", "from.text", true}, {"pair", "from.text", true},
		{"nest", "from.text", true}, {"list", "from.text", true},
		{"bare", "", true}, {"mood", "", true}, {"raw", "public.raw", true}, {"fine", "public.raw", true}, {"span", "", false},
	} {
		trees, err := Parse("SELECT email::public." + c.to + " FROM customers")
		if err != nil {
			t.Fatal(err)
		}
		facts, err := Analyze(trees[0], Env{Catalog: cat, Path: []string{"pg_catalog", "public"}, Registry: testRegistry{}})
		if err != nil {
			t.Errorf("%s: %v", c.to, err)
			continue
		}
		var calls []string
		for _, f := range facts.Functions {
			calls = append(calls, f.Name.String())
		}
		if got := strings.Join(calls, " "); got != c.calls || facts.Pure != c.pure && len(calls) == 0 {
			t.Errorf("%s: calls %q, pure %v; want %q, %v", c.to, got, facts.Pure, c.calls, c.pure)
		}
	}
	cat.Casts[0].Context = 'i'
	trees, err := Parse("SELECT NULL::public.below")
	if err != nil {
		t.Fatal(err)
	}
	facts, err := Analyze(trees[0], Env{Catalog: cat, Path: []string{"pg_catalog", "public"}, Registry: testRegistry{}})
	if err != nil || len(facts.Functions) != 1 || facts.Functions[0].By != "cast of text to public.below" {
		t.Errorf("%+v %v", facts, err)
	}
}

func TestKindsOfObjects(t *testing.T) {
	for kind, want := range map[pg.ObjectType]string{
		pg.ObjectType_OBJECT_TABLE: "table", pg.ObjectType_OBJECT_MATVIEW: "materialized view", pg.ObjectType_OBJECT_FOREIGN_TABLE: "foreign table",
		pg.ObjectType_OBJECT_TABCONSTRAINT: "constraint", pg.ObjectType_OBJECT_DOMCONSTRAINT: "domain constraint", pg.ObjectType_OBJECT_STATISTIC_EXT: "statistics",
	} {
		if got := objectKind(kind); got != want {
			t.Errorf("%s: %q, want %q", kind, got, want)
		}
	}
}

// TestConditionsThatHoldForEveryRow: NULL cannot be in a column that is NOT NULL.
func TestConditionsThatHoldForEveryRow(t *testing.T) {
	env := testEnv(t)
	env.Catalog.Relations[access.Name{Schema: "public", Name: "orders"}].Column("id").NotNull = true
	for where, every := range map[string]bool{"id IS NOT NULL": true, "note IS NOT NULL": false, "lower(note) IS NULL": false, "id IS NOT NULL AND id > 1": false} {
		trees, err := Parse("DELETE FROM orders WHERE " + where)
		if err != nil {
			t.Fatal(err)
		}
		facts, err := Analyze(trees[0], env)
		if err != nil || facts.Relations[0].Every != every {
			t.Errorf("%s: %+v %v", where, facts, err)
		}
	}
}
