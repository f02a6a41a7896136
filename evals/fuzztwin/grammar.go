package fuzztwin

import (
	"embed"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"sallyport/evals/twin"
)

//go:embed grammar/*.txt
var grammarFiles embed.FS

// relation is a relation with the columns that are read of it.
type relation struct {
	name    string
	columns []column
}

// column is an expression, in which @ stands for the relation in relations.txt, and its type.
type column struct {
	sql, typ string
	here     bool // means nothing in a query inside of its own: an aggregate, a window function
}

// language is what statements are made of.
type language struct {
	productions map[string][]string // place + " " + type -> templates
	constants   map[string][]string // type -> constants
	relations   []relation
}

// lines are those of a file that are no comments, cut at the first tab.
func lines(file string) (all [][2]string, err error) {
	b, err := grammarFiles.ReadFile("grammar/" + file)
	if err != nil {
		return nil, err
	}
	for l := range strings.Lines(string(b)) {
		if l = strings.TrimSpace(l); l == "" || strings.HasPrefix(l, "#") {
			continue
		}
		head, rest, ok := strings.Cut(l, "\t")
		if !ok {
			return nil, fmt.Errorf("%s: no tab in %q", file, l)
		}
		all = append(all, [2]string{head, rest})
	}
	return all, nil
}

// newLanguage reads the grammar as it is for a kind of principal.
func newLanguage(kind twin.Kind) (*language, error) {
	l := &language{productions: map[string][]string{}, constants: map[string][]string{}}
	list, err := lines("expressions.txt")
	if err != nil {
		return nil, err
	}
	for _, p := range list {
		place, typ, ok := strings.Cut(p[0], " ")
		if !ok {
			place, typ = "", p[0]
		}
		l.productions[place+" "+typ] = append(l.productions[place+" "+typ], p[1])
	}
	if list, err = lines("constants.txt"); err != nil {
		return nil, err
	}
	for _, p := range list {
		l.constants[p[0]] = append(l.constants[p[0]], p[1])
	}
	if list, err = lines("relations.txt"); err != nil {
		return nil, err
	}
	for _, p := range list {
		name, computed := strings.CutPrefix(p[0], "computed ")
		if computed && kind == twin.Token {
			continue
		}
		r := relation{name: name}
		for f := range strings.FieldsSeq(p[1]) {
			i := strings.LastIndexByte(f, ':')
			if i < 0 || l.constants[f[i+1:]] == nil {
				return nil, fmt.Errorf("relations.txt: %s: no known type in %q", name, f)
			}
			sql := "@." + f[:i]
			if _, expr, ok := strings.Cut(f[:i], "="); ok && !strings.HasPrefix(f, `"`) {
				sql = expr
			}
			r.columns = append(r.columns, column{sql: sql, typ: f[i+1:]})
		}
		l.relations = append(l.relations, r)
	}
	return l, nil
}

// generator writes one statement. The same seed gives the same statement.
type generator struct {
	*rand.Rand
	*language
	names int
	fuel  int // expressions and relations that may still be opened up: bounds the statement
}

// statement writes the i-th statement of a seed for a kind.
func (l *language) statement(kind twin.Kind, seed int64, i int) string {
	h := uint64(i)
	for _, c := range []byte(kind) {
		h = h*131 + uint64(c)
	}
	g := &generator{Rand: rand.New(rand.NewPCG(uint64(seed), h)), language: l}
	g.fuel = 2 + g.IntN(fuel)
	return g.top()
}

// fuel is how large statements get at most: small ones are many, and seldom run into the timeout.
const fuel = 11

func pick[T any](g *generator, list []T) T { return list[g.IntN(len(list))] }

// one in n.
func (g *generator) one(n int) bool { return g.IntN(n) == 0 }

func (g *generator) name(prefix string) string {
	g.names++
	return fmt.Sprint(prefix, g.names)
}

// types that outputs and keys are made of: all can be compared and ordered.
var types = []string{"text", "text", "text", "int", "int", "num", "bool", "date", "ts", "iv", "json", "texts", "ints", "range", "uuid", "bytea", "inet"}

// expr writes an expression of a type over the columns in scope.
func (g *generator) expr(typ string, in []column) string {
	if g.fuel <= 0 || g.one(3) {
		return g.leaf(typ, in)
	}
	sql := g.produce(" "+typ, in)
	if typ == "bool" { // comparisons do not stand beside each other
		return "(" + sql + ")"
	}
	return sql
}

// produce fills a template of this place and type.
func (g *generator) produce(of string, in []column) string {
	templates := g.productions[of]
	if len(templates) == 0 {
		return g.leaf(of[strings.LastIndexByte(of, ' ')+1:], in)
	}
	g.fuel--
	return g.fill(pick(g, templates), in)
}

func (g *generator) leaf(typ string, in []column) string {
	var of []string
	for _, c := range in {
		if c.typ == typ {
			of = append(of, c.sql)
		}
	}
	switch {
	case g.one(10):
	case len(of) > 0:
		return pick(g, of)
	case len(in) > 0 && made[typ] != "":
		return strings.ReplaceAll(made[typ], "@", pick(g, in).sql)
	}
	return pick(g, g.constants[typ])
}

// made are values of a type made of any other.
var made = map[string]string{"text": "(@)::text", "int": "length((@)::text)", "num": "length((@)::text)::numeric", "bool": "((@)::text > 'm')",
	"json": "to_jsonb(@)", "texts": "array[(@)::text]", "bytea": "convert_to((@)::text, 'UTF8')"}

// fill replaces the holes of a template.
func (g *generator) fill(template string, in []column) string {
	var b strings.Builder
	bound := map[string]string{}
	if strings.Contains(template, "{from}") { // what stands before it reads it
		f := g.from()
		template = strings.Replace(template, "{from}", "from "+f.sql+" where "+g.condition(f.columns, inside(in)), 1)
		in = f.columns
	}
	for {
		text, rest, ok := strings.Cut(template, "{")
		b.WriteString(text)
		if !ok {
			return b.String()
		}
		hole, after, _ := strings.Cut(rest, "}")
		if !isHole(hole, g) { // a brace of SQL's: '{pan}'
			b.WriteString("{")
			template = rest
			continue
		}
		template = after
		what, name, named := strings.Cut(hole, "=")
		if named && what == "" {
			b.WriteString(bound[name])
			continue
		}
		sql := g.hole(what, in)
		if named {
			bound[name] = sql
		}
		b.WriteString(sql)
	}
}

func isHole(h string, g *generator) bool {
	what, _, named := strings.Cut(h, "=")
	if i := strings.LastIndexByte(what, ' '); i >= 0 {
		what = what[i+1:]
	}
	return named && what == "" || g.constants[what] != nil
}

func (g *generator) hole(what string, in []column) string {
	head, typ, ok := strings.Cut(what, " ")
	switch {
	case !ok:
		return g.expr(what, in)
	case head == "lit":
		return pick(g, g.constants[typ])
	case head == "rows":
		f := g.from()
		return "select " + g.expr(typ, f.columns) + " from " + f.sql + " where " + g.condition(f.columns, inside(in))
	default: // one
		f := g.from()
		return "select " + g.expr(typ, f.columns) + " from " + f.sql + " where " + g.condition(f.columns, inside(in)) + " order by 1 limit 1"
	}
}

// condition is about the columns of a FROM item, now and then about those outside of it too.
func (g *generator) condition(in, outer []column) string {
	if len(outer) > 0 && g.one(3) {
		in = append(append([]column(nil), in...), outer...)
	}
	if len(in) > 0 && g.one(2) { // something that is likely to hold for some
		for range 4 {
			if c := pick(g, in); c.typ == "int" {
				return fmt.Sprintf("%s between %d and %d", c.sql, g.IntN(20), 20+g.IntN(60))
			}
		}
	}
	return g.produce(" bool", in)
}

// inside are the columns that a query inside may name.
func inside(in []column) []column {
	return slices.DeleteFunc(slices.Clone(in), func(c column) bool { return c.here })
}
