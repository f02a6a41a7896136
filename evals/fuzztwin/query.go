package fuzztwin

import (
	"fmt"
	"strings"
)

// top writes a whole statement: mostly a query, now and then one that writes and tells what it wrote.
func (g *generator) top() string {
	if g.one(14) {
		return g.write()
	}
	return g.query(nil, true).sql
}

// query writes a query that gives columns of the types, or of types of its own choice. The outermost one mostly has an
// order that is total; LIMIT never goes without one.
func (g *generator) query(want []string, outermost bool) source {
	q := g.selection(want)
	want = nil
	for _, c := range q.columns {
		want = append(want, c.typ)
	}
	if g.fuel > 0 && g.one(7) {
		g.fuel--
		how := pick(g, []string{"union", "union all", "intersect", "except", "except all", "intersect all"})
		q.sql = fmt.Sprintf("(%s) %s (%s)", q.sql, how, g.selection(want).sql)
	}
	if outermost && !g.one(5) || g.one(4) {
		q.sql += g.order(len(want))
		switch g.IntN(8) {
		case 0:
			q.sql += fmt.Sprint(" limit ", 1+g.IntN(20))
		case 1:
			q.sql += fmt.Sprintf(" limit (select count(*) / 2 from %s) offset 1", g.table().sql)
		case 2:
			q.sql += fmt.Sprintf(" offset %d rows fetch first %d rows with ties", g.IntN(3), 1+g.IntN(9))
		}
	}
	return q
}

// order is over every column of the output.
func (g *generator) order(n int) string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprint(i+1, pick(g, []string{"", "", " desc", " nulls first", " desc nulls last"}))
	}
	g.Shuffle(n, func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	return " order by " + strings.Join(keys, ", ")
}

// selection is one SELECT without ORDER BY.
func (g *generator) selection(want []string) source {
	kept := g.fuel / 2 // for the expressions
	g.fuel -= kept
	f := g.from()
	g.fuel += kept
	if want == nil {
		for range 1 + g.IntN(3) {
			if want = append(want, pick(g, types)); len(f.columns) > 0 && !g.one(4) {
				want[len(want)-1] = pick(g, f.columns).typ
			}
		}
	}
	where := ""
	if g.one(2) {
		where = " where " + g.condition(f.columns, nil)
	}
	out := source{}
	for _, t := range want {
		out.columns = append(out.columns, column{typ: t})
	}
	items := make([]string, len(want))
	fill := func(in []column) {
		for i, t := range want {
			items[i] = g.expr(t, in)
		}
	}
	verb, tail := "select ", ""
	form := g.IntN(9)
	switch form {
	case 0, 1:
		tail = g.grouped(want, f, items)
	case 2: // one group of everything
		fill(g.computed("agg", f.columns))
	case 3:
		fill(append(g.computed("win", f.columns), f.columns...))
	case 4:
		verb = "select distinct "
		fill(f.columns)
	case 5:
		verb = "select distinct on (1) "
		fill(f.columns)
		tail = " order by 1" + strings.Repeat(", 2", min(1, len(want)-1)) + strings.Repeat(", 3", max(0, len(want)-2))
	default:
		fill(f.columns)
	}
	out.sql = verb + strings.Join(items, ", ") + " from " + f.sql + where + tail
	if form == 5 { // an order of its own would be in the way
		out.sql = fmt.Sprintf("select * from (%s) as %s(%s)", out.sql, g.name("d"), strings.Join([]string{"c1", "c2", "c3"}[:len(want)], ", "))
	}
	return out
}

// computed are a few aggregates or window functions, for expressions to stand on.
func (g *generator) computed(place string, in []column) []column {
	var out []column
	for _, t := range []string{"text", "int", "num", "json", "texts", "bool", "date"} {
		if g.productions[place+" "+t] != nil && !g.one(3) {
			out = append(out, column{sql: "(" + g.produce(place+" "+t, in) + ")", typ: t, here: true})
		}
	}
	return out
}

// grouped fills the items with keys and aggregates, and writes GROUP BY and HAVING.
func (g *generator) grouped(want []string, f source, items []string) string {
	keys := 1 + g.IntN(min(2, len(want)))
	var places []string
	for i := range keys {
		items[i] = g.expr(want[i], f.columns)
		places = append(places, fmt.Sprint(i+1))
	}
	in := g.computed("agg", f.columns)
	for i := keys; i < len(want); i++ {
		items[i] = g.expr(want[i], in)
	}
	by := strings.Join(places, ", ")
	switch g.IntN(6) {
	case 0:
		by = "rollup (" + by + ")"
	case 1:
		by = "cube (" + by + ")"
	case 2:
		by = "grouping sets ((" + by + "), (" + places[0] + "), ())"
	}
	tail := " group by " + by
	if g.one(3) {
		tail += " having " + g.condition(in, nil)
	}
	return tail
}

// write is a statement that changes rows, of a transaction that is rolled back.
func (g *generator) write() string {
	targets := []struct{ table, set, insert, constant string }{
		{"notes", "body", "id, body", "'new'"}, {"sink", "t", "id, t", "'new'"}, {"people", "note", "", "'new'"},
		{"payments", "amount", "", "@.amount + 1"}, {"watched", "note", "id, note", "'n'"}, {"guesses", "amount", "id, amount", "7"},
		{"dept", "name", "id, name", "@.name || '+'"}, {"base_log", "line", "id, line", "'l'"}, {"events", "at", "", "@.at + interval '1 day'"},
	}
	t := targets[g.IntN(len(targets))]
	var r relation
	for _, r = range g.relations {
		if r.name == t.table {
			break
		}
	}
	if r.name != t.table { // sink is only written
		r = relation{t.table, []column{{sql: "@.id", typ: "int"}, {sql: "@.t", typ: "text"}, {sql: "@.n", typ: "num"}}}
	}
	alias := g.name("x")
	in := see(r.columns, alias)
	outs := g.expr(pick(g, types), in) + ", " + g.expr(pick(g, types), in)
	where := g.condition(in, nil)
	set := fmt.Sprintf("%s = %s", t.set, strings.ReplaceAll(t.constant, "@", alias))
	switch g.IntN(5) {
	case 0:
		return fmt.Sprintf("delete from %s as %s where %s returning %s", t.table, alias, where, outs)
	case 1:
		f := g.table()
		return fmt.Sprintf("update %s as %s set %s from %s where %s = %s and %s returning %s", t.table, alias, set, f.sql, id(in), id(f.columns), where, outs)
	case 2:
		if t.insert != "" && !strings.Contains(t.constant, "@") {
			return fmt.Sprintf("insert into %s as %s (%s) values (%d, %s) on conflict do nothing returning %s", t.table, alias, t.insert, 1+g.IntN(99), t.constant, outs)
		}
	case 3:
		d := g.name("d")
		return fmt.Sprintf("with %s as (update %s as %s set %s where %s returning %s as k, %s as v) select v, count(k) from %[1]s group by v order by 1, 2", d, t.table, alias, set, where, id(in), g.expr(pick(g, types), in))
	}
	return fmt.Sprintf("update %s as %s set %s where %s returning %s", t.table, alias, set, where, outs)
}
