package mask

import (
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
)

// A view over relations with hidden rows is read by its body, in which these relations stand behind their filters:
// a filter over the view's own rows would not do, for what it counts, ranks or joins, it does with hidden rows too.
// The columns of the body are raw, as the server's own are; the masks of the view's columns stand over them.

// inlined prepares what stands in the place of the views that the decision wants to be read by their body.
func (c *compiler) inlined() error {
	for _, name := range c.in.Decision.Inlined {
		rel := c.in.Catalog.Relations[name]
		if rel == nil {
			return internal("a view that is not in the catalog")
		}
		c.relation(rel).view = true
	}
	for _, name := range c.in.Decision.Inlined {
		if err := c.inlineView(c.masks[name]); err != nil {
			return err
		}
	}
	return nil
}

// inlineView makes the FROM item of a view, after those of the views that it reads. A view cannot read itself.
func (c *compiler) inlineView(m *maskedRelation) error {
	if m.body != nil {
		return nil
	}
	q, err := parseSelect(strings.TrimSuffix(strings.TrimSpace(m.rel.Definition), ";"))
	if err != nil {
		return err
	}
	b := body{c: c, view: m.rel.Name}
	b.check(q)
	b.rewrite(q)
	if b.err != nil {
		return b.err
	}
	alias := &pg.Alias{Aliasname: m.rel.Name.Name}
	for _, col := range m.rel.Columns {
		alias.Colnames = append(alias.Colnames, pg.MakeStrNode(col.Name))
	}
	m.body = &pg.Node{Node: &pg.Node_RangeSubselect{RangeSubselect: &pg.RangeSubselect{Subquery: q, Alias: alias}}}
	return nil
}

// source is what the subquery of a relation reads: the relation, or the body of a view.
func (m *maskedRelation) source(inh bool) *pg.Node {
	if m.body != nil {
		return clone(m.body)
	}
	return &pg.Node{Node: &pg.Node_RangeVar{RangeVar: &pg.RangeVar{
		Schemaname: m.rel.Name.Schema, Relname: m.rel.Name.Name, Inh: inh, Relpersistence: "p", Location: ownLocation,
	}}}
}

// behindFilters is a relation in the body of a view: all of its columns as they are, of the rows that may be seen.
func (m *maskedRelation) behindFilters(masks *Masks, rv *pg.RangeVar) (*pg.Node, error) {
	q := &pg.SelectStmt{LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE, FromClause: []*pg.Node{m.source(rv.Inh)}}
	for _, col := range m.rel.Columns {
		q.TargetList = append(q.TargetList, pg.MakeResTargetNodeWithVal(columnRef(col.Name), -1))
	}
	filters, err := m.conditions(masks)
	if err != nil {
		return nil, err
	}
	q.WhereClause = all(filters)
	fence(q)
	alias := &pg.Alias{Aliasname: rv.Relname}
	if rv.Alias != nil {
		alias = rv.Alias
	}
	return &pg.Node{Node: &pg.Node_RangeSubselect{RangeSubselect: &pg.RangeSubselect{
		Subquery: &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: q}}, Alias: alias,
	}}}, nil
}

// body is the definition of one view on its way into a statement. It was written under an empty search_path, where a
// name without schema is one of pg_catalog; in the statement the client's path would count.
type body struct {
	c    *compiler
	view access.Name
	err  error
}

func (b *body) refuse(what string) bool {
	if b.err == nil {
		b.err = unsupported(fmt.Sprintf("the view %s, of which some rows are hidden, cannot be used: its definition has %s", b.view, what), "query the tables that it is made from")
	}
	return false
}

// comparisons are the operators that SQL's keywords stand for (IN, IS DISTINCT FROM, CASE, USING, LIKE, BETWEEN): the
// server finds them by search_path, and a tree has no place for their schema.
var comparisons = []string{"=", "<>", "<", "<=", ">", ">=", "~~", "!~~", "~~*", "!~~*", "~", "!~"}

// check refuses what would not mean the same in a statement as it does in the view, and qualifies what it finds.
func (b *body) check(q *pg.Node) {
	keywords := !slices.ContainsFunc(comparisons, func(op string) bool { return len(b.c.in.Catalog.Operators[op]) > 0 })
	keyword := func() bool {
		return keywords || b.refuse("a comparison that could be with an operator of the database's users")
	}
	walkNode(q, func(n any) bool {
		if b.err != nil {
			return false
		}
		switch n := n.(type) {
		case *pg.LockingClause:
			return b.refuse("FOR UPDATE")
		case *pg.RangeTableSample:
			return b.refuse("TABLESAMPLE")
		case *pg.SortBy:
			if len(n.UseOp) > 0 {
				return b.refuse("ORDER BY USING")
			}
		case *pg.FuncCall:
			if len(n.Funcname) == 1 && !keywordCall(n) {
				n.Funcname = inCatalog(n.Funcname)
			}
		case *pg.CollateClause:
			n.Collname = inCatalog(n.Collname)
		case *pg.A_Expr:
			switch n.Kind {
			case pg.A_Expr_Kind_AEXPR_OP, pg.A_Expr_Kind_AEXPR_OP_ANY, pg.A_Expr_Kind_AEXPR_OP_ALL:
				n.Name = inCatalog(n.Name)
			default:
				return keyword()
			}
		case *pg.SubLink:
			if len(n.OperName) > 0 {
				n.OperName = inCatalog(n.OperName)
			} else if n.Testexpr != nil {
				return keyword()
			}
		case *pg.CaseExpr:
			return n.Arg == nil || keyword()
		case *pg.JoinExpr:
			return len(n.UsingClause) == 0 && !n.IsNatural || keyword()
		case *pg.TypeCast:
			b.named(n)
		}
		return true
	})
}

// named qualifies the text of a constant that names an object: 'english'::regconfig.
func (b *body) named(n *pg.TypeCast) {
	s := n.Arg.GetAConst().GetSval()
	if s == nil || !strings.HasPrefix(lastName(n.TypeName.GetNames()), "reg") || strings.Contains(s.Sval, ".") {
		return
	}
	if t := lastName(n.TypeName.GetNames()); t != "regrole" && t != "regnamespace" {
		s.Sval = "pg_catalog." + s.Sval
	}
}

func inCatalog(name []*pg.Node) []*pg.Node {
	if len(name) != 1 {
		return name
	}
	return []*pg.Node{pg.MakeStrNode("pg_catalog"), name[0]}
}

// rewrite puts the relations with hidden rows behind their filters.
func (b *body) rewrite(q *pg.Node) {
	ctes := map[string]bool{}
	walkNode(q, func(n any) bool {
		if cte, ok := n.(*pg.CommonTableExpr); ok {
			ctes[cte.Ctename] = true
		}
		return true
	})
	walkNode(q, func(n any) bool {
		node, ok := n.(*pg.Node)
		if !ok || b.err != nil {
			return b.err == nil
		}
		rv := node.GetRangeVar()
		if rv == nil {
			return true
		}
		if rv.Schemaname == "" {
			return ctes[rv.Relname] || b.refuse("a relation of the system")
		}
		m := b.c.masks[access.Name{Schema: rv.Schemaname, Name: rv.Relname}]
		if m == nil || len(m.filters) == 0 && !m.view {
			return true
		}
		if m.view {
			if b.err = b.c.inlineView(m); b.err != nil {
				return false
			}
		}
		hidden, err := m.behindFilters(b.c.in.Masks, rv)
		if err != nil {
			b.err = err
			return false
		}
		node.Node = hidden.Node
		return false
	})
}
