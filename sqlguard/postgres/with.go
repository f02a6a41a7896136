package postgres

import (
	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
)

// cte is a common table expression.
type cte struct {
	def   *pg.CommonTableExpr
	state cteState
	res   result
	// While a recursive query is analysed, refs to itself give its virtual columns.
	self []int32
	dml  bool
}

type cteState uint8

const (
	cteWaiting cteState = iota // of a WITH RECURSIVE, not analysed yet
	cteRunning                 // being analysed; its columns are not known yet
	cteLooping                 // its recursive arm is being analysed
	cteDone
)

// with brings the common table expressions of w into level sc. Without RECURSIVE each sees only those
// before it; with RECURSIVE all see all, and they are analysed as they are needed, as the server sorts
// them by dependency.
func (a *analyzer) with(sc *scope, w *pg.WithClause) {
	if w == nil {
		return
	}
	list := make([]*cte, len(w.Ctes))
	names := map[string]bool{}
	for i, n := range w.Ctes {
		def := n.GetCommonTableExpr()
		if def == nil {
			a.unknown("WITH", n.GetNode())
		}
		if names[def.Ctename] {
			a.fail(def.Location, "42712", "WITH query name %q specified more than once", def.Ctename)
		}
		names[def.Ctename] = true
		list[i] = &cte{def: def}
	}
	if w.Recursive {
		sc.ctes = append(sc.ctes, list...)
		for _, c := range list {
			if c.state == cteWaiting {
				a.recursive(sc, c)
			}
		}
		return
	}
	for _, c := range list {
		c.state = cteRunning
		c.res = a.cteColumns(c, a.query(newScope(sc), a.cteQuery(sc, c), 0))
		c.state = cteDone
		sc.ctes = append(sc.ctes, c)
	}
}

// cteQuery gives c's query. A data-modifying one is allowed at the top level only, as at the server;
// deeper it would never be reached here, but it must not be run either.
func (a *analyzer) cteQuery(sc *scope, c *cte) *pg.Node {
	if _, ok := c.def.Ctequery.GetNode().(*pg.Node_SelectStmt); !ok {
		if sc.parent != nil {
			a.fail(c.def.Location, "0A000", "WITH clause containing a data-modifying statement must be at the top level")
		}
		c.dml = true
		a.facts.Uncounted = true
		a.facts.Class = access.ClassWrite
		a.impure = true
	}
	return c.def.Ctequery
}

// recursive analyses a query of a WITH RECURSIVE. Where it is a UNION its second arm may refer to it,
// and then sees virtual columns that are fed with what both arms give.
func (a *analyzer) recursive(sc *scope, c *cte) {
	c.state = cteRunning
	q := a.cteQuery(sc, c)
	s := q.GetSelectStmt()
	if s == nil || s.Op != pg.SetOperation_SETOP_UNION {
		c.res = a.cteColumns(c, a.query(newScope(sc), q, 0))
		c.state = cteDone
		return
	}
	level := newScope(sc)
	a.with(level, s.WithClause)
	first := a.selectStmt(newScope(level), s.Larg, 0)
	if first.open {
		a.refuse(c.def.Location, "name the columns", "recursive query %q has columns that are not known", c.def.Ctename)
	}
	c.res = a.loop(c, first)
	c.state = cteLooping
	second := a.selectStmt(newScope(level), s.Rarg, 0)
	if !second.open && len(second.cols) != len(first.cols) {
		a.fail(c.def.Location, "42601", "each UNION query must have the same number of columns")
	}
	decides := union(first.decides, second.decides)
	for i, id := range c.self {
		a.cols.feed(id, first.cols[i].src)
		if second.open {
			a.cols.feed(id, second.rest.src)
		} else {
			a.cols.feed(id, second.cols[i].src)
		}
		if !s.All {
			a.cols.mark(a.cols.one(id), access.UseGroup)
			decides = union(decides, a.cols.one(id))
		}
	}
	for _, n := range s.SortClause {
		order := newScope(sc)
		order.items = []*item{{cols: c.res.cols, colsVisible: true}}
		a.sortKey(order, n.GetSortBy().GetNode(), &c.res, access.UseOrder, false)
		decides = union(decides, order.decides)
	}
	a.where(newScope(sc), s.LimitCount)
	a.where(newScope(sc), s.LimitOffset)
	if len(s.LockingClause) > 0 {
		a.refuse(c.def.Location, "", "FOR UPDATE in a recursive query is not supported")
	}
	c.res.decides = union(c.res.decides, decides)
	c.res = a.searchCycle(c, c.res)
	c.state = cteDone
}

// loop makes the virtual columns of a recursive query from its first arm's names.
func (a *analyzer) loop(c *cte, first result) result {
	res := result{decides: first.decides}
	names := text(c.def.Aliascolnames)
	a.checkAliases(c.def.Ctename, len(first.cols), names)
	for i, col := range first.cols {
		id := a.cols.virtual()
		c.self = append(c.self, id)
		name := col.name
		if i < len(names) {
			name = names[i]
		}
		res.cols = append(res.cols, column{name: name, value: value{src: a.cols.one(id)}})
	}
	return res
}

// cteColumns applies the column names of WITH x (a, b).
func (a *analyzer) cteColumns(c *cte, res result) result {
	names := text(c.def.Aliascolnames)
	if !res.open {
		a.checkAliases(c.def.Ctename, len(res.cols), names)
	}
	it := a.resultItem(c.def.Ctename, names, res)
	res.cols = it.cols
	return a.searchCycle(c, res)
}

// searchCycle adds the columns that SEARCH and CYCLE make. They depend on every column.
func (a *analyzer) searchCycle(c *cte, res result) result {
	if s := c.def.SearchClause; s != nil {
		res.cols = append(res.cols, column{name: s.SearchSeqColumn, value: value{src: res.all().src}})
	}
	if y := c.def.CycleClause; y != nil {
		none := &scope{}
		a.expr(none, y.CycleMarkValue, 0)
		a.expr(none, y.CycleMarkDefault, 0)
		src := res.all().src
		res.decides = union(res.decides, src)
		a.cols.mark(src, access.UsePredicate)
		res.cols = append(res.cols, column{name: y.CycleMarkColumn, value: value{src: src}},
			column{name: y.CyclePathColumn, value: value{src: src}})
	}
	return res
}

// findCTE finds a common table expression by name, from the innermost level outwards.
func findCTE(sc *scope, name string) (*cte, *scope) {
	for s := sc; s != nil; s = s.parent {
		for _, c := range s.ctes {
			if c.def.Ctename == name {
				return c, s
			}
		}
	}
	return nil, nil
}

// cteItem makes the item for a reference to c, which belongs to level.
func (a *analyzer) cteItem(c *cte, level *scope, rv *pg.RangeVar) *item {
	switch c.state {
	case cteWaiting:
		a.recursive(level, c)
	case cteRunning:
		a.refuse(rv.Location, "the server takes a UNION whose second part refers to the WITH query", "recursive reference to query %q is not of the form that can be analysed", rv.Relname)
	}
	a.t.CTEs[rv] = true
	name := rv.Relname
	if rv.Alias != nil {
		name = rv.Alias.Aliasname
	}
	if c.dml && len(c.res.cols) == 0 && !c.res.open {
		a.fail(rv.Location, "0A000", "WITH query %q does not have a RETURNING clause", c.def.Ctename)
	}
	return a.resultItem(name, text(rv.Alias.GetColnames()), c.res)
}
