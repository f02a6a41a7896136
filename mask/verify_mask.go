package mask

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/proto"

	"sallyport/internal/access"
)

// isMask tells whether a subquery in FROM is the masked form of a relation. Besides the expected
// text it may have granted lookups and the drawing of a sample as its WHERE.
func (v *verifier) isMask(s *pg.RangeSubselect) bool {
	q := s.Subquery.GetSelectStmt()
	if q == nil || len(q.FromClause) != 1 {
		return false
	}
	m := v.source(q.FromClause[0])
	if m == nil || !v.filtered(m, q.WhereClause) {
		return false
	}
	next := 0 // columns keep their order
	items := q.TargetList
	for i, n := range items {
		if second(n.GetResTarget().GetName()) {
			if !v.cellItems(m, items[i:]) {
				return false
			}
			items = items[:i]
			break
		}
	}
	for _, n := range items {
		name := n.GetResTarget().GetName()
		if name == "" {
			name = lastName(n.GetResTarget().GetVal().GetColumnRef().GetFields())
		}
		for next < len(m.rel.Columns) && m.rel.Columns[next].Name != name {
			next++
		}
		if next == len(m.rel.Columns) || !proto.Equal(n, v.item(m, name)) {
			return false
		}
		next++
	}
	want := &pg.SelectStmt{
		TargetList: q.TargetList, FromClause: q.FromClause, WhereClause: q.WhereClause,
		LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE,
	}
	if m.fenced() {
		fence(want)
		strip(want.LimitOffset.ProtoReflect())
	}
	return proto.Equal(want, q)
}

// source finds the relation that the subquery of one reads: it is named, or is the body of a view, letter by letter.
func (v *verifier) source(from *pg.Node) *maskedRelation {
	if rv := from.GetRangeVar(); rv != nil {
		if m := v.masks[access.Name{Schema: rv.Schemaname, Name: rv.Relname}]; m != nil && !m.view {
			return m
		}
		return nil
	}
	for _, m := range v.masks {
		if m.view && from.GetRangeSubselect().GetAlias().GetAliasname() == m.rel.Name.Name && v.isBody(m, from) {
			return m
		}
	}
	return nil
}

// isBody tells whether an item of FROM is the body of a view, and every relation in it stands behind its filters.
func (v *verifier) isBody(m *maskedRelation, from *pg.Node) bool {
	want := m.source(true)
	strip(want.ProtoReflect())
	if !proto.Equal(want, from) {
		return false
	}
	whole := true
	walkNode(from, func(n any) bool {
		switch n := n.(type) {
		case *pg.SelectStmt:
			return !v.behindFilters(n)
		case *pg.RangeVar:
			m := v.masks[access.Name{Schema: n.Schemaname, Name: n.Relname}]
			whole = whole && (m == nil || !m.fenced())
		}
		return true
	})
	return whole
}

// behindFilters tells whether a query reads one relation with a row filter, with nothing but the filter.
func (v *verifier) behindFilters(q *pg.SelectStmt) bool {
	if len(q.FromClause) != 1 || q.FromClause[0].GetRangeVar() == nil {
		return false
	}
	m := v.source(q.FromClause[0])
	if m == nil || len(m.filters) == 0 {
		return false
	}
	want, err := m.behindFilters(v.trees, q.FromClause[0].GetRangeVar())
	if err != nil {
		return false
	}
	strip(want.ProtoReflect())
	return proto.Equal(want.GetRangeSubselect().Subquery.GetSelectStmt(), q)
}

// filtered tells whether a WHERE begins with the row filters of a relation, letter by letter, and has nothing after
// them but granted lookups and the drawing of a sample.
func (v *verifier) filtered(m *maskedRelation, where *pg.Node) bool {
	filters, err := m.conditions(v.trees)
	if err != nil {
		return false
	}
	var conds []*pg.Node
	if where != nil {
		conds = conjuncts(where)
	}
	if len(conds) < len(filters) {
		return false
	}
	for i, f := range filters {
		strip(f.ProtoReflect())
		if !proto.Equal(f, conds[i]) {
			return false
		}
	}
	for _, c := range conds[len(filters):] {
		if !v.lookupsOnly(m, c) {
			return false
		}
	}
	return true
}

// item is the column that the subquery of a relation has to have for one of the relation's.
func (v *verifier) item(m *maskedRelation, name string) *pg.Node {
	id := access.ColumnID{Relation: m.rel.Name, Column: name}
	if n := v.items[id]; n != nil {
		return n
	}
	n, err := m.item(v.trees, name)
	if err != nil {
		v.object("own SQL does not parse")
		return nil
	}
	strip(n.ProtoReflect())
	v.items[id] = n
	return n
}

func (v *verifier) lookupsOnly(m *maskedRelation, where *pg.Node) bool {
	if b := where.GetBoolExpr(); b != nil && b.Boolop == pg.BoolExprType_AND_EXPR {
		for _, arg := range b.Args {
			if !v.lookupsOnly(m, arg) {
				return false
			}
		}
		return true
	}
	if v.predicate(m, where) || samples(where) || v.isEither(m, where) {
		return true
	}
	col := equality(where.GetAExpr())
	return len(col) == 1 && m.lookup[col[0]]
}

// equality gives the parts of the column in `column = constant`, `column IN (constants)` and
// `column = ANY (constant)`, or nil.
func equality(e *pg.A_Expr) []string {
	if e == nil || lastName(e.Name) != "=" || len(e.Name) > 2 || len(e.Name) == 2 && e.Name[0].GetString_().GetSval() != "pg_catalog" {
		return nil
	}
	col, val := e.Lexpr.GetColumnRef(), e.Rexpr
	if col == nil {
		col, val = e.Rexpr.GetColumnRef(), e.Lexpr
	}
	if col == nil {
		return nil
	}
	values := []*pg.Node{val}
	switch e.Kind {
	case pg.A_Expr_Kind_AEXPR_OP:
	case pg.A_Expr_Kind_AEXPR_IN:
		values = val.GetList().GetItems()
	case pg.A_Expr_Kind_AEXPR_OP_ANY:
		if a := val.GetAArrayExpr(); a != nil {
			values = a.Elements
		}
	default:
		return nil
	}
	for _, n := range values {
		if !constant(n) {
			return nil
		}
	}
	return parts(col)
}

// parts gives the names of a reference; a star is the empty name.
func parts(cr *pg.ColumnRef) []string {
	out := make([]string, len(cr.Fields))
	for i, f := range cr.Fields {
		out[i] = f.GetString_().GetSval()
	}
	return out
}

// means tells whether a reference of these parts could be to column col of the target.
func (t verifiedTarget) means(p []string) (col string, ok bool) {
	col = p[len(p)-1]
	if len(p) == 1 {
		return col, true
	}
	if p[len(p)-2] != t.name {
		return "", false
	}
	return col, len(p) == 2 || p[len(p)-3] == t.m.rel.Name.Schema
}

// column objects to a reference that could be to a masked column, or the whole row, of a target.
func (v *verifier) column(cr *pg.ColumnRef, r reach) {
	p := parts(cr)
	for _, t := range r.targets {
		if len(p) == 2 && p[0] == "excluded" && t.name != "excluded" {
			continue // what the client itself sent, in ON CONFLICT
		}
		if len(p) == 1 && p[0] == t.name && t.m.rel.Column(t.name) == nil {
			v.object("the whole row of %s", t.name)
		}
		col, ok := t.means(p)
		if !ok || len(p) == 1 && col == "" { // a bare star is looked at where RETURNING is
			continue
		}
		if _, masked := t.m.cols[col]; masked || col == "" {
			if len(p) == 1 && v.why == "" {
				v.unclear = col
			}
			v.object("%s outside its mask", strings.Join(p, "."))
		}
	}
}

// isTargetMask tells whether a cast is the mask of a target's column, letter by letter.
func (v *verifier) isTargetMask(n *pg.TypeCast, r reach) bool {
	if len(r.targets) == 0 {
		return false
	}
	var found *pg.ColumnRef
	walk(n.ProtoReflect(), func(n any) bool {
		if cr, ok := n.(*pg.ColumnRef); ok && found == nil && parts(cr)[0] != elemTable {
			found = cr
		}
		return found == nil
	})
	if found == nil {
		return false
	}
	for _, t := range r.targets {
		col, ok := t.means(parts(found))
		if expr, masked := t.m.exprs[col]; ok && masked {
			want, err := v.trees.splice(expr, found)
			if err != nil {
				return false
			}
			strip(want.ProtoReflect())
			if proto.Equal(want.GetTypeCast(), n) {
				return true
			}
		}
	}
	return false
}

// isLookup tells whether an expression is a granted lookup on a target.
func (v *verifier) isLookup(e *pg.A_Expr, r reach) bool {
	p := equality(e)
	if len(p) == 0 {
		return false
	}
	for _, t := range r.targets {
		if col, ok := t.means(p); ok && t.m.lookup[col] {
			return true
		}
	}
	return false
}
