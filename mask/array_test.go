package mask

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
)

// TestTextOfElements: arrays of another shape than {x,x} are written as text, whatever the session's DateStyle, TimeZone and
// extra_float_digits are.
func TestTextOfElements(t *testing.T) {
	for f, want := range map[family]string{
		dateFamily:        "to_char(V, 'YYYY-MM-DD BC')",
		timestampFamily:   "to_char(V, 'YYYY-MM-DD BC')",
		timestamptzFamily: "to_char(pg_catalog.timezone('UTC', V), 'YYYY-MM-DD \"00:00:00+00\" BC')",
		floatFamily:       "CAST(V AS pg_catalog.text)",
	} {
		tr, s := Transform{Kind: Generalise, Style: "year", Bucket: "10"}, shape{family: f}
		value := tr.value(s, elemRef)
		if got := strings.TrimPrefix(strings.ReplaceAll(tr.text(s), value, "V"), "pg_catalog."); got != want {
			t.Errorf("%v: %s, want %s", f, got, want)
		}
	}
}

// TestElementsThatCannotBeJudged: where a constraint is not understood, an array of such elements is NULL as a whole.
func TestElementsThatCannotBeJudged(t *testing.T) {
	d := domain{name: "s.d", base: "text", family: textFamily, strict: true, unknown: true}
	if got := (Transform{}).shaped(shape{array: true, elem: d, family: textFamily, oid: oidText}); got != "CAST(NULL AS s.d[])" {
		t.Error(got)
	}
}

// TestTypesThatMayHoldText: a value of words, wherever in a type it is, may hold what a masked column holds.
func TestTypesThatMayHoldText(t *testing.T) {
	pair, words := access.Name{Schema: "s", Name: "pair"}, access.Name{Schema: "s", Name: "words"}
	cat := &access.Catalog{
		Relations: map[access.Name]*access.Relation{
			pair: {Name: pair, Columns: []access.Column{{TypeOID: oidInt4}}}, words: {Name: words, Columns: []access.Column{{TypeOID: oidInt4}, {TypeOID: oidText}}},
		},
		TypeByOID: map[uint32]*access.Type{
			20001: {Kind: 'e'}, 20002: {Kind: 'd', Base: oidInt4}, 20003: {Kind: 'd', Base: oidText}, 20004: {Kind: 'c', Relation: pair}, 20005: {Kind: 'c', Relation: words},
			20006: {Kind: 'b', Category: 'A', Elem: 20001}, 20007: {Kind: 'b', Category: 'A', Elem: oidText}, 20008: {Kind: 'r', Category: 'R', Elem: oidInt4}, 20009: {Kind: 'b', Category: 'U'},
			20010: {Kind: 'c', Relation: access.Name{Schema: "s", Name: "nothing"}}, 20011: {Kind: 'd', Base: 20011},
		},
	}
	for oid, want := range map[uint32]bool{oidInt4: false, oidText: true, 20001: false, 20002: false, 20003: true, 20004: false, 20005: true, 20006: false, 20007: true, 20008: false, 20009: true,
		20010: true, 20011: true, 29999: true} {
		if got := mayHoldText(cat, oid); got != want {
			t.Errorf("%d: %v", oid, got)
		}
	}
}

// TestOperatorsOfCitext: one of the extension is known, one that a user defined under its name is not.
func TestOperatorsOfCitext(t *testing.T) {
	op, f := access.Name{Schema: "public", Name: "="}, access.Name{Schema: "public", Name: "citext_eq"}
	cat := &access.Catalog{Operators: map[string][]*access.Operator{"=": {{Name: op, Function: f}}}, Functions: map[access.Name][]*access.Function{}}
	r := checkReader{cat: cat}
	for extension, want := range map[string]bool{"citext": true, "": false, "other": false} {
		cat.Functions[f] = []*access.Function{{Name: f, Extension: extension}}
		if got := r.citextOperator(op); got != want {
			t.Errorf("of extension %q: %v", extension, got)
		}
	}
	delete(cat.Functions, f)
	if r.citextOperator(op) {
		t.Error("of no known function")
	}
	names := []*pg.Node{pg.MakeStrNode("db"), pg.MakeStrNode("pg_catalog"), pg.MakeStrNode("text")}
	if r.cast(&pg.TypeCast{Arg: pg.MakeAConstStrNode("x", -1), TypeName: &pg.TypeName{Names: names}}) {
		t.Error("a type of three names is one of pg_catalog")
	}
}

func TestDefinitionsAreOneQuery(t *testing.T) {
	d, err := readDefinition("SELECT s.f(1) FROM s.t WHERE 1 OPERATOR(s.=) 2 AND 1 OPERATOR(s.<) ANY (SELECT 2)")
	name := func(n string) access.Name { return access.Name{Schema: "s", Name: n} }
	if err != nil || !slices.Equal(d.relations, []access.Name{name("t")}) || !slices.Equal(d.functions, []access.Name{name("f")}) || !slices.Equal(d.operators, []access.Name{name("="), name("<")}) {
		t.Errorf("%+v %v", d, err)
	}
	for sql, ok := range map[string]bool{"SELECT id FROM s.t": true, "SELECT 1; SELECT 2": false, "DELETE FROM s.t": false, "SELECT FROM WHERE": false} {
		if _, err := readDefinition(sql); (err == nil) != ok {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

// TestFormsOfMaskedValues: what a mask gives may not be stored, what it never gives may.
func TestFormsOfMaskedValues(t *testing.T) {
	text, number := shape{family: textFamily, oid: oidText}, shape{family: intFamily, oid: oidInt4}
	for _, c := range []struct {
		t        Transform
		s        shape
		is, isnt string
	}{
		{Transform{}, text, "***", "x"},
		{Transform{Kind: Partial, Style: "email"}, text, "a***@example.org", "alice@example.org"},
		{Transform{Kind: Partial, Style: "phone"}, text, "********12", "********1234"},
		{Transform{Kind: Partial, Style: "card"}, text, "********1234", "********12"},
		{Transform{Kind: Partial, Style: "generic"}, text, "a***", "alice"},
		{Transform{Kind: Generalise, Bucket: "2"}, text, "al***", "ali***"},
		{Transform{Kind: Token}, number, "123456789", "12345678"},
		{Transform{Kind: Generalise, Bucket: "10"}, number, "", "123456789"},
	} {
		form := c.t.form(c.s)
		is := func(v string) bool { return form != "" && regexp.MustCompile("(?s)"+form).MatchString(v) }
		if c.is != "" && !is(c.is) || is(c.isnt) {
			t.Errorf("%s: %q (%v), %q (%v) by %s", c.t, c.is, is(c.is), c.isnt, is(c.isnt), form)
		}
	}
}
