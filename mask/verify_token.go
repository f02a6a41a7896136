package mask

import (
	pg "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/proto"

	"sallyport/internal/access"
)

// storing notes the subqueries that may find the value of a token: those that are stored in a column with a finder, as
// they are or as what is stored instead of a parameter.
func (v *verifier) storing(target *pg.RangeVar, column string, val *pg.Node) {
	if c := val.GetCaseExpr(); c != nil && len(c.Args) == 1 {
		val = c.Args[0].GetCaseWhen().GetResult()
	}
	m := v.masks[access.Name{Schema: target.GetSchemaname(), Name: target.GetRelname()}]
	if m == nil || m.finders[column] == nil || val.GetSubLink() == nil {
		return
	}
	if v.finds == nil {
		v.finds = map[*pg.SubLink]*valueFinder{}
	}
	v.finds[val.GetSubLink()] = m.finders[column]
}

// storingAll notes those of a list of assignments.
func (v *verifier) storingAll(target *pg.RangeVar, list []*pg.Node) {
	for _, n := range list {
		if t := n.GetResTarget(); len(t.GetIndirection()) == 0 {
			v.storing(target, t.GetName(), t.GetVal())
		}
	}
}

// storingRow notes those of a row that is inserted into some columns, or the first ones.
func (v *verifier) storingRow(target *pg.RangeVar, columns, row []*pg.Node) {
	m := v.masks[access.Name{Schema: target.GetSchemaname(), Name: target.GetRelname()}]
	for i, n := range row {
		switch {
		case i < len(columns) && len(columns[i].GetResTarget().GetIndirection()) == 0:
			v.storing(target, columns[i].GetResTarget().GetName(), n)
		case columns == nil && m != nil && i < len(m.rel.Columns):
			v.storing(target, m.rel.Columns[i].Name, n)
		}
	}
}

func (v *verifier) storingInsert(s *pg.InsertStmt) {
	q, row := s.SelectStmt.GetSelectStmt(), []*pg.Node(nil)
	if !ordersValues(q) {
		for _, row := range q.GetValuesLists() {
			v.storingRow(s.Relation, s.Cols, row.GetList().GetItems())
		}
	}
	for i := range q.GetTargetList() {
		row = append(row, selected(q, i)) // nil behind a star
	}
	v.storingRow(s.Relation, s.Cols, row)
	v.storingAll(s.Relation, s.OnConflictClause.GetTargetList())
}

func (v *verifier) storingMerge(s *pg.MergeStmt) {
	for _, n := range s.MergeWhenClauses {
		w := n.GetMergeWhenClause()
		v.storingRow(s.Relation, w.GetTargetList(), w.GetValues())
		v.storingAll(s.Relation, w.GetTargetList())
	}
}

// isResolution tells whether a subquery finds the value of a token for the column that it is stored in, letter by letter
// as it has to.
func (v *verifier) isResolution(n *pg.SubLink) bool {
	f := v.finds[n]
	from := n.Subselect.GetSelectStmt().GetFromClause()
	if f == nil || len(from) != 1 {
		return false
	}
	arm := from[0].GetRangeSubselect().GetSubquery().GetSelectStmt()
	for arm.GetLarg() != nil {
		arm = arm.Larg
	}
	token := arm.GetWhereClause().GetAExpr().GetRexpr()
	if token == nil || !constant(token) {
		return false
	}
	want, err := f.build(v.trees, token)
	if err != nil {
		return false
	}
	strip(want.ProtoReflect())
	return proto.Equal(want.GetSubLink(), n)
}

// isEither tells whether a condition is a granted lookup of a value or a token, letter by letter as it has to be.
func (v *verifier) isEither(m *maskedRelation, n *pg.Node) bool {
	cond := n.GetCaseExpr().GetDefresult()
	if b := n.GetBoolExpr(); b.GetBoolop() == pg.BoolExprType_OR_EXPR && len(b.Args) == 2 {
		cond = b.Args[0]
	}
	p := equality(cond.GetAExpr())
	if len(p) != 1 || !m.lookup[p[0]] || m.rel.Column(p[0]) == nil {
		return false
	}
	want, err := m.either(v.trees, p[0], columnRef(p[0]).GetColumnRef(), clone(cond))
	if err != nil || want == nil {
		return false
	}
	strip(want.ProtoReflect())
	return proto.Equal(want, n)
}
