package fuzztwin

import (
	"fmt"
	"regexp"
	"strings"
)

// source is a FROM item, or several, with the columns that it brings into scope.
type source struct {
	sql     string
	columns []column
}

// from writes a FROM item.
func (g *generator) from() source {
	if g.fuel <= 0 {
		return g.table()
	}
	g.fuel--
	switch g.IntN(22) {
	case 0, 1, 2:
		return g.subquery("")
	case 3, 4, 5, 6:
		return g.join()
	case 7, 8:
		return g.lateral()
	case 9:
		return g.values()
	case 10, 11:
		return g.function()
	case 12:
		return g.wholeRow()
	case 13:
		return g.subquery("with ")
	case 14:
		return g.recursive()
	default:
		return g.table()
	}
}

// see gives a relation's columns as seen under an alias.
func see(columns []column, alias string) []column {
	out := make([]column, len(columns))
	for i, c := range columns {
		out[i] = column{sql: strings.ReplaceAll(c.sql, "@", alias), typ: c.typ}
	}
	return out
}

func (g *generator) table() source {
	r := pick(g, g.relations)
	alias := g.name("t")
	sample := ""
	if g.one(40) && !strings.HasPrefix(r.name, "pv_") {
		sample = " tablesample bernoulli (100)"
	}
	return source{r.name + " as " + alias + sample, see(r.columns, alias)}
}

// named gives the columns of a query under an alias.
func named(alias string, columns []column) source {
	s := source{}
	for i, c := range columns {
		s.columns = append(s.columns, column{sql: fmt.Sprintf("%s.c%d", alias, i+1), typ: c.typ})
	}
	return s
}

// subquery is a query in parentheses, or with a WITH clause inside them.
func (g *generator) subquery(with string) source {
	alias := g.name("q")
	q := g.query(nil, false)
	s := named(alias, q.columns)
	names := make([]string, len(q.columns))
	for i := range names {
		names[i] = fmt.Sprint("c", i+1)
	}
	if with != "" {
		how := pick(g, []string{"", "materialized ", "not materialized "})
		inner := g.name("w")
		s.sql = fmt.Sprintf("(with %s(%s) as %s(%s) select * from %[1]s) as %[5]s", inner, strings.Join(names, ", "), how, q.sql, alias)
		return s
	}
	s.sql = fmt.Sprintf("(%s) as %s(%s)", q.sql, alias, strings.Join(names, ", "))
	return s
}

func id(columns []column) string {
	for _, c := range columns {
		if c.typ == "int" {
			return c.sql
		}
	}
	return "1"
}

// join keeps to conditions of equality now and again, for others make results large, and FULL needs one.
func (g *generator) join() source {
	l, r := g.from(), g.from()
	both := append(append([]column(nil), l.columns...), r.columns...)
	on := id(l.columns) + " = " + id(r.columns)
	if g.one(4) {
		typ := pick(g, types)
		on = g.leaf(typ, l.columns) + " = " + g.leaf(typ, r.columns)
	}
	if g.one(4) {
		on += " and " + g.condition(both, nil)
	}
	how := pick(g, []string{"join", "left join", "right join", "full join", "join"})
	if how == "full join" {
		if on = id(l.columns) + " = " + id(r.columns); strings.HasPrefix(on, "1 ") || strings.HasSuffix(on, " 1") {
			how = "left join"
		}
	}
	return source{fmt.Sprintf("(%s %s %s on %s)", l.sql, how, r.sql, on), both}
}

func (g *generator) lateral() source {
	l := g.from()
	alias := g.name("l")
	var items []string
	s := source{columns: l.columns}
	for i := range 1 + g.IntN(2) {
		typ := pick(g, types)
		items = append(items, fmt.Sprintf("%s as c%d", g.expr(typ, l.columns), i+1))
		s.columns = append(s.columns[:len(s.columns):len(s.columns)], column{sql: fmt.Sprintf("%s.c%d", alias, i+1), typ: typ})
	}
	inner := "select " + strings.Join(items, ", ")
	if g.one(2) {
		f := g.table()
		inner += " from " + f.sql + " where " + id(f.columns) + " = " + id(l.columns)
	}
	s.sql = fmt.Sprintf("%s %s lateral (%s) as %s", l.sql, "cross join", inner, alias)
	if g.one(3) {
		s.sql = fmt.Sprintf("%s left join lateral (%s) as %s on true", l.sql, inner, alias)
	}
	return source{"(" + s.sql + ")", s.columns}
}

func (g *generator) values() source {
	alias := g.name("v")
	kinds := []string{"int", pick(g, types)}
	var rows []string
	for i := range 1 + g.IntN(3) {
		rows = append(rows, fmt.Sprintf("(%d, %s)", i+1, g.expr(kinds[1], nil)))
	}
	s := named(alias, []column{{typ: kinds[0]}, {typ: kinds[1]}})
	s.sql = fmt.Sprintf("(values %s) as %s(c1, c2)", strings.Join(rows, ", "), alias)
	return s
}

// function is a function in FROM, over columns of a table beside it.
func (g *generator) function() source {
	alias := g.name("f")
	t := g.from()
	call, typ := "", ""
	switch g.IntN(7) {
	case 0:
		return source{fmt.Sprintf("generate_series(1, %d) as %s(c1)", 1+g.IntN(9), alias), []column{{sql: alias + ".c1", typ: "int"}}}
	case 1:
		call, typ = fmt.Sprintf("unnest(%s)", g.expr("texts", t.columns)), "text"
	case 2:
		call, typ = fmt.Sprintf("unnest(%s)", g.expr("ints", t.columns)), "int"
	case 3:
		call, typ = fmt.Sprintf("string_to_table(%s, 'a')", g.expr("text", t.columns)), "text"
	case 4:
		call, typ = fmt.Sprintf("regexp_split_to_table(%s, '[aeiou]')", g.expr("text", t.columns)), "text"
	case 5:
		call, typ = fmt.Sprintf("jsonb_path_query(%s, '$.deep.list[*]')", g.expr("json", t.columns)), "json"
	default:
		call, typ = fmt.Sprintf("generate_series(1, least(abs(%s), 5))", g.expr("int", t.columns)), "int"
	}
	all := append(t.columns[:len(t.columns):len(t.columns)], column{sql: alias + ".c1", typ: typ})
	if g.one(4) {
		all = append(all, column{sql: alias + ".n::int", typ: "int"})
		return source{fmt.Sprintf("(%s cross join rows from (%s) with ordinality as %s(c1, n))", t.sql, call, alias), all}
	}
	return source{fmt.Sprintf("(%s cross join %s as %s(c1))", t.sql, call, alias), all}
}

// wholeRow reads a table through its rows: as a composite value, as JSON, as an array.
func (g *generator) wholeRow() source {
	r := pick(g, g.relations)
	w, q := g.name("w"), g.name("q")
	switch g.IntN(4) {
	case 0:
		return source{fmt.Sprintf("(select %s from %s as %[1]s offset 0) as %[3]s", w, r.name, q), see(r.columns, "("+q+"."+w+")")}
	case 1:
		sql := fmt.Sprintf("(select to_jsonb(%s) as j from %s as %[1]s) as %[3]s", w, r.name, q)
		return source{sql, []column{{sql: q + ".j", typ: "json"}, {sql: "(" + q + ".j ->> 'email')", typ: "text"}, {sql: "(" + q + ".j ->> 'id')::int", typ: "int"}}}
	case 2:
		sql := fmt.Sprintf("(select %s::text as r, row_to_json(%[1]s)::text as j from %s as %[1]s) as %[3]s", w, r.name, q)
		return source{sql, []column{{sql: q + ".r", typ: "text"}, {sql: q + ".j", typ: "text"}}}
	default:
		k := g.name("k")
		sql := fmt.Sprintf("(%s as %s cross join jsonb_each_text(to_jsonb(%[2]s)) as %s(key, value))", r.name, w, k)
		return source{sql, append(see(r.columns, w), column{sql: k + ".key", typ: "text"}, column{sql: k + ".value", typ: "text"})}
	}
}

// recursive walks over a table by its id.
func (g *generator) recursive() source {
	r := pick(g, g.relations)
	for !strings.HasPrefix(r.columns[0].sql, "@.id") {
		r = pick(g, g.relations)
	}
	w, a, b := g.name("w"), g.name("a"), g.name("b")
	typ := pick(g, types)
	first, next := g.expr(typ, see(r.columns, a)), ""
	if typ == "text" {
		first = "(" + first + ")::text"
	}
	// The second arm must have the first one's type to the letter: the same expression.
	next = regexp.MustCompile(`\b`+a+`\b`).ReplaceAllString(first, b)
	union := pick(g, []string{"union all", "union"})
	s := source{columns: []column{{sql: w + ".c1", typ: "int"}, {sql: w + ".c2", typ: typ}}}
	s.sql = fmt.Sprintf("(with recursive %[1]s(c1, c2) as (select %[2]s.id, %[3]s from %[4]s as %[2]s where %[2]s.id <= 2 %[5]s select %[6]s.id, %[7]s from %[4]s as %[6]s join %[1]s on %[6]s.id = %[1]s.c1 + 1) select * from %[1]s) as %[1]s",
		w, a, first, r.name, union, b, next)
	return s
}
