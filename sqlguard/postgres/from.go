package postgres

import (
	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
	"sallyport/internal/pgtree"
	"sallyport/sqlguard/registry"
)

// from adds the items of a FROM (or USING) list to level sc, as transformFromClause does: while later
// items are analysed the earlier ones can be seen by LATERAL ones only.
func (a *analyzer) from(sc *scope, ns []*pg.Node) {
	for _, n := range ns {
		_, space := a.fromItem(sc, n)
		a.checkConflicts(sc.items, space)
		lateral(space, true, true)
		sc.items = append(sc.items, space...)
	}
	lateral(sc.items, false, true)
}

func lateral(items []*item, only, ok bool) {
	for _, it := range items {
		it.lateralOnly, it.lateralOK = only, ok
	}
}

// checkConflicts refuses two items of one name, except two relations known by their own names.
func (a *analyzer) checkConflicts(xs, ys []*item) {
	a.spend(len(xs) * len(ys))
	for _, x := range xs {
		if !x.relVisible {
			continue
		}
		for _, y := range ys {
			if !y.relVisible || x.name != y.name || x.name == "" {
				continue
			}
			if x.bare() && y.bare() && x.ref.Relation != y.ref.Relation {
				continue
			}
			a.fail(-1, "42712", "table name %q specified more than once", x.name)
		}
	}
}

func (it *item) bare() bool { return it.ref != nil && !it.ref.HasAlias }

// fromItem analyses one item. It gives the item itself and the namespace that it makes: a join brings
// its members' names along.
func (a *analyzer) fromItem(sc *scope, n *pg.Node) (*item, []*item) {
	var it *item
	switch n := n.GetNode().(type) {
	case *pg.Node_RangeVar:
		it = a.rangeVar(sc, n.RangeVar)
	case *pg.Node_RangeSubselect:
		it = a.rangeSubselect(sc, n.RangeSubselect)
	case *pg.Node_RangeFunction:
		it = a.rangeFunction(sc, n.RangeFunction)
	case *pg.Node_RangeTableFunc:
		it = a.rangeTableFunc(sc, n.RangeTableFunc)
	case *pg.Node_RangeTableSample:
		s := n.RangeTableSample
		var space []*item
		it, space = a.fromItem(sc, s.Relation)
		for _, c := range a.functionsOrFail(s.Method, s.Location) {
			if c.use.Builtin && (c.use.Name.Name == "bernoulli" || c.use.Name.Name == "system") {
				c.use.Class = registry.Volatile // as a sampling method; a call of the handler is internal
			}
			a.use(c.use)
		}
		for _, e := range s.Args {
			a.where(sc, e)
		}
		a.where(sc, s.Repeatable)
		return it, space
	case *pg.Node_JoinExpr:
		return a.join(sc, n.JoinExpr)
	default:
		a.unknown("FROM", n)
	}
	return it, []*item{it}
}

func (a *analyzer) functionsOrFail(name []*pg.Node, loc int32) []candidate {
	c := a.functions(text(name), loc)
	if len(c) == 0 {
		a.noFunction(name, loc)
	}
	return c
}

// rangeVar is a relation or a common table expression, which a name without schema means first.
func (a *analyzer) rangeVar(sc *scope, rv *pg.RangeVar) *item {
	a.visit(rv)
	if rv.Schemaname == "" {
		if c, level := findCTE(sc, rv.Relname); c != nil {
			return a.cteItem(c, level, rv)
		}
	}
	ref := a.reference(rv, false)
	a.act(ref.Relation, access.ActRead, "select")
	return a.relationItem(ref, rv.Alias)
}

// reference resolves rv to a relation and notes it in t.Refs.
func (a *analyzer) reference(rv *pg.RangeVar, target bool) *pgtree.Ref {
	rel := a.relation(rv)
	if rel.Kind == access.CompositeRel {
		a.fail(rv.Location, "42809", "cannot open relation %q", rel.Name.Name)
	}
	ref := &pgtree.Ref{Var: rv, Relation: rel, Alias: rv.Relname, Target: target}
	if rv.Alias != nil {
		ref.Alias, ref.HasAlias = rv.Alias.Aliasname, true
	}
	a.t.Refs[rv] = ref
	return ref
}

// relationItem makes the item of a relation. alias may rename columns.
func (a *analyzer) relationItem(ref *pgtree.Ref, alias *pg.Alias) *item {
	it := &item{name: ref.Alias, ref: ref, base: a.touch(ref.Relation).base, relVisible: true, colsVisible: true, lateralOK: true}
	it.aliases = text(alias.GetColnames())
	a.checkAliases(it.name, len(ref.Relation.Columns), it.aliases)
	return it
}

func (a *analyzer) checkAliases(name string, have int, aliases []string) {
	if len(aliases) > have {
		a.fail(-1, "42P10", "table %q has %d columns available but %d columns specified", name, have, len(aliases))
	}
}

// resultItem makes the item of a query's result under an alias.
func (a *analyzer) resultItem(name string, aliases []string, res result) *item {
	it := &item{name: name, open: res.open, rest: res.rest, decides: res.decides,
		relVisible: name != "", colsVisible: true, lateralOK: true}
	if !res.open {
		a.checkAliases(name, len(res.cols), aliases)
	}
	it.cols = make([]column, len(res.cols))
	copy(it.cols, res.cols)
	for i, alias := range aliases {
		if i < len(it.cols) {
			it.cols[i].name = alias
		} else {
			it.cols = append(it.cols, column{name: alias, value: value{src: res.rest.src}})
		}
	}
	return it
}

func (a *analyzer) rangeSubselect(sc *scope, r *pg.RangeSubselect) *item {
	was := sc.lateral
	sc.lateral = r.Lateral
	res := a.query(newScope(sc), r.Subquery, 0)
	sc.lateral = was
	return a.resultItem(r.Alias.GetAliasname(), text(r.Alias.GetColnames()), res)
}

// join follows transformFromClauseItem for JoinExpr.
func (a *analyzer) join(sc *scope, j *pg.JoinExpr) (*item, []*item) {
	l, lspace := a.fromItem(sc, j.Larg)
	// The left side can be seen by LATERAL items of the right side.
	lateral(lspace, true, j.Jointype == pg.JoinType_JOIN_INNER || j.Jointype == pg.JoinType_JOIN_LEFT)
	n := len(sc.items)
	sc.items = append(sc.items, lspace...)
	r, rspace := a.fromItem(sc, j.Rarg)
	sc.items = sc.items[:n:n]
	a.checkConflicts(lspace, rspace)
	space := append(append([]*item{}, lspace...), rspace...)
	lateral(space, false, true)

	using := text(j.UsingClause)
	if j.IsNatural {
		using = a.common(l, r)
	}
	it := &item{open: l.open || r.open, rest: join(l.rest, r.rest), colsVisible: true, lateralOK: true}
	it.cols = a.joinColumns(sc, j, l, r, using)
	if j.Quals != nil {
		// ON sees the two sides and the outer levels, not the other items of this FROM.
		saved := sc.items
		sc.items = space
		a.where(sc, j.Quals)
		sc.items = saved
	}
	if j.Alias != nil {
		sc.hides = true
		it.name, it.relVisible = j.Alias.Aliasname, true
		aliases := text(j.Alias.Colnames)
		a.checkAliases(it.name, len(it.cols), aliases)
		for i, alias := range aliases {
			it.cols[i].name = alias
		}
		for _, s := range space {
			it.decides = union(it.decides, s.decides)
		}
		return it, []*item{it}
	}
	for _, s := range space {
		s.colsVisible = false
	}
	if u := j.JoinUsingAlias; u != nil {
		ui := &item{name: u.Aliasname, relVisible: true, lateralOK: true, cols: it.cols[:len(using)]}
		a.checkConflicts(space, []*item{ui})
		space = append(space, ui)
	}
	return it, append(space, it)
}

// common lists the column names that both sides have, in the left side's order, for NATURAL.
func (a *analyzer) common(l, r *item) []string {
	if l.open || r.open {
		a.refuse(-1, "use JOIN ... USING or ON", "NATURAL JOIN with a function whose columns are not known is not supported")
	}
	have := map[string]bool{}
	for _, c := range r.columns(a) {
		have[c.name] = true
	}
	var out []string
	for _, c := range l.columns(a) {
		if have[c.name] {
			out = append(out, c.name)
		}
	}
	return out
}

// joinColumns gives the columns of a join: those merged by USING or NATURAL, then the left side's
// others, then the right's.
func (a *analyzer) joinColumns(sc *scope, j *pg.JoinExpr, l, r *item, using []string) []column {
	out := make([]column, 0, l.width()+r.width())
	a.spend(l.width() + r.width())
	merged := map[string]bool{}
	for _, name := range using {
		if merged[name] {
			a.fail(-1, "42701", "column name %q appears more than once in USING clause", name)
		}
		merged[name] = true
		a.operatorNamed("", "=", -1)
		lc, rc := a.side(l, name, "left"), a.side(r, name, "right")
		both := join(lc.value, rc.value)
		both.typ = common(lc.typ, rc.typ)
		a.mark(sc, both, access.UsePredicate)
		// Equal under the join, but not the same bytes of one column: the value may be either.
		out = append(out, column{name: name, value: both})
	}
	for _, it := range []*item{l, r} {
		for _, c := range it.columns(a) {
			if !merged[c.name] {
				out = append(out, c)
			}
		}
	}
	return out
}

func (a *analyzer) side(it *item, name, side string) column {
	if c, ok := it.find(a, name, -1); ok && !(c.ref != nil && c.src == nil) {
		return c
	}
	if it.open {
		return column{name: name, value: value{src: it.rest.src}}
	}
	a.fail(-1, "42703", "column %q specified in USING clause does not exist in %s table", name, side)
	return column{}
}

// locking walks FOR UPDATE and its kin. Names after OF are names of items.
func (a *analyzer) locking(sc *scope, ns []*pg.Node) {
	for _, n := range ns {
		lc := n.GetLockingClause()
		if lc == nil {
			a.unknown("a locking clause", n.GetNode())
		}
		a.facts.Locks = true
		a.locksAll = a.locksAll || len(lc.LockedRels) == 0
		for _, r := range lc.LockedRels {
			rv := r.GetRangeVar()
			if rv == nil {
				a.unknown("FOR UPDATE OF", r.GetNode())
			}
			a.visit(rv)
			if rv.Schemaname != "" || rv.Catalogname != "" {
				a.fail(rv.Location, "42601", "FOR UPDATE must specify unqualified relation names")
			}
			it := a.lockItem(sc, rv.Relname)
			if it == nil {
				a.fail(rv.Location, "42P01", "relation %q in FOR UPDATE clause not found in FROM clause", rv.Relname)
			}
			a.locked(sc, rv.Relname)
			if it.ref != nil {
				a.t.Refs[rv] = it.ref
			} else {
				a.t.CTEs[rv] = true
			}
		}
	}
}

// locked notes whose rows FOR UPDATE OF name locks. The server takes the first item of that name, and a member of
// an aliased join may be it (transformLockingClause); behind what is no relation there are others.
func (a *analyzer) locked(sc *scope, name string) {
	a.locksAll = a.locksAll || sc.hides
	for _, it := range sc.items {
		switch {
		case it.name != name:
		case it.ref != nil:
			a.touch(it.ref.Relation).locks = true
		default:
			a.locksAll = true
		}
	}
}

// lockItem finds the item that FOR UPDATE OF names, at this level only.
func (a *analyzer) lockItem(sc *scope, name string) *item {
	for _, it := range sc.items {
		if it.relVisible && it.name == name {
			return it
		}
	}
	return nil
}
