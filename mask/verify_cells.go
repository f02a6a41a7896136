package mask

import (
	"slices"
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/proto"
)

// second tells whether a name is one of those that the compiler gives second forms of columns.
func second(name string) bool {
	return strings.HasPrefix(name, cellPrefix) || strings.HasPrefix(name, rawPrefix)
}

// cellItems tells whether what follows the columns of a masked subquery are second forms of columns, letter by letter.
func (v *verifier) cellItems(m *maskedRelation, items []*pg.Node) bool {
	for _, n := range items {
		if name := rawColumn(m, n.GetResTarget().GetName()); name != "" {
			want := m.rawItem(name)
			strip(want.ProtoReflect())
			if !proto.Equal(want, n) {
				return false
			}
			continue
		}
		name := cellColumn(m, n.GetResTarget().GetName())
		if name == "" {
			return false
		}
		want, err := m.cellItem(v.trees, name)
		if err != nil {
			return false
		}
		strip(want.ProtoReflect())
		if !proto.Equal(want, n) {
			return false
		}
	}
	return true
}

// cellColumn is the column that a name of such a form stands for, or "".
func cellColumn(m *maskedRelation, name string) string {
	num, ok := strings.CutPrefix(name, cellPrefix)
	n, err := strconv.Atoi(num)
	if !ok || err != nil {
		return ""
	}
	for _, c := range m.rel.Columns {
		if _, ok := m.cells[c.Name]; ok && int(c.Num) == n {
			return c.Name
		}
	}
	return ""
}

// cells notes the references of a query to forms for whole cells that stand where they may: as the one argument of an
// aggregate of its own, over rows that are whole cells.
func (v *verifier) cells(s *pg.SelectStmt) {
	granted, raw := false, false
	for _, m := range v.masks {
		granted, raw = granted || len(m.cells) > 0, raw || len(m.order) > 0 || len(m.group) > 0
	}
	if raw {
		v.rawUses(s)
	}
	if !granted || len(s.FromClause) != 1 || len(s.LockingClause) > 0 || len(s.WindowClause) > 0 {
		return
	}
	sub := s.FromClause[0].GetRangeSubselect()
	if sub == nil || sub.Lateral || len(sub.GetAlias().GetColnames()) > 0 || !v.isMask(sub) {
		return
	}
	q := sub.Subquery.GetSelectStmt()
	m := v.source(q.FromClause[0])
	if m == nil || m.view || len(m.cells) == 0 {
		return
	}
	if q.WhereClause != nil && len(conjuncts(q.WhereClause)) != v.filterCount(m) {
		return // a look-up or a sample would divide cells
	}
	var by []string
	for _, a := range m.cells {
		by = append(by, a.By...)
	}
	for _, a := range m.cells {
		by = slices.DeleteFunc(by, func(c string) bool { return !slices.Contains(a.By, c) })
	}
	divides := func(n *pg.Node) bool {
		p := n.GetColumnRef()
		if p == nil {
			return false
		}
		names := parts(p)
		return slices.Contains(by, names[len(names)-1]) && (len(names) == 1 || len(names) == 2 && names[0] == sub.Alias.Aliasname)
	}
	if !cellCondition(s.WhereClause, divides, false) {
		return
	}
	for _, n := range s.GroupClause {
		if i := n.GetAConst().GetIval(); i != nil && i.Ival >= 1 && int(i.Ival) <= len(s.TargetList) {
			n = s.TargetList[i.Ival-1].GetResTarget().GetVal()
		}
		if !divides(n) {
			return
		}
	}
	eachAggregate(s, func(f *pg.FuncCall) {
		if cr := cellCall(f); cr != nil && len(f.Funcname) == 2 && len(cr.Fields) == 2 {
			if p := parts(cr); p[0] == sub.Alias.Aliasname && cellColumn(m, p[1]) != "" {
				v.celled[cr] = true
			}
		}
	})
}

// filterCount is the number of conditions that the row filters of a relation have.
func (v *verifier) filterCount(m *maskedRelation) int {
	filters, err := m.conditions(v.trees)
	if err != nil {
		return -1
	}
	return len(filters)
}

// hidden tells whether a reference, or a selection of a field, names a form for whole cells where it may not stand.
func (v *verifier) hidden(cr *pg.ColumnRef) bool {
	return !v.celled[cr] && slices.ContainsFunc(parts(cr), second)
}
