package mask

import (
	"fmt"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
)

// statement gives statements around a query a shape that masks fit into, and refuses those that the
// compiler does not know. Statements that read no rows pass: their relations are only qualified.
func (c *compiler) statement() error { return c.shape(c.in.Tree.Stmt) }

func (c *compiler) shape(n *pg.Node) error {
	switch s := n.GetNode().(type) {
	case *pg.Node_SelectStmt:
		if s.SelectStmt.IntoClause != nil {
			return c.creates("SELECT INTO")
		}
		return c.returningLists(n)
	case *pg.Node_InsertStmt, *pg.Node_UpdateStmt, *pg.Node_DeleteStmt, *pg.Node_MergeStmt:
		return c.returningLists(n)
	case *pg.Node_DeclareCursorStmt:
		return c.shape(s.DeclareCursorStmt.Query)
	case *pg.Node_PrepareStmt:
		return c.shape(s.PrepareStmt.Query)
	case *pg.Node_ExplainStmt:
		return c.explain(s.ExplainStmt)
	case *pg.Node_CopyStmt:
		return c.copy(s.CopyStmt)
	case *pg.Node_CreateTableAsStmt:
		return c.creates("CREATE TABLE AS")
	case *pg.Node_ExecuteStmt, *pg.Node_TruncateStmt, *pg.Node_LockStmt:
		return nil
	case *pg.Node_CreateStmt, *pg.Node_AlterTableStmt, *pg.Node_RenameStmt, *pg.Node_IndexStmt, *pg.Node_CreateSeqStmt, *pg.Node_AlterSeqStmt:
		return c.untouched()
	case *pg.Node_DropStmt:
		return c.drop(s.DropStmt)
	default:
		return unsupported(fmt.Sprintf("this kind of statement (%s) is not available where columns are masked", orDefault(c.in.Facts.Tag, "unknown")), "")
	}
}

// creates refuses what would fill a new relation from a query that looks at masked columns: the new
// relation would carry no labels. A query that looks at none keeps the statement as it is.
func (c *compiler) creates(what string) error {
	for _, r := range c.in.Facts.Relations {
		m := c.masks[r.Name]
		if m == nil || r.Action != access.ActRead {
			continue
		}
		for _, col := range r.Columns {
			if _, ok := m.cols[col.Name]; ok {
				return denied(fmt.Sprintf("%s would store what was computed from masked values of %s.%s", what, r.Name, col.Name),
					"leave the column out, or ask for `reveal` on its label")
			}
		}
	}
	return nil
}

// untouched refuses to change the definition of a relation with masked columns: renaming a column or
// changing its type could take it away from its label.
func (c *compiler) untouched() error {
	for _, ref := range c.in.Tree.Refs {
		if c.masked(ref) != nil {
			return denied(fmt.Sprintf("the definition of %s cannot be changed by somebody who sees it masked", ref.Relation.Name), "ask somebody who may see it raw")
		}
	}
	return nil
}

// drop names the objects as they were resolved: DROP has plain name lists, not relation nodes.
func (c *compiler) drop(s *pg.DropStmt) error {
	if err := c.untouched(); err != nil {
		return err
	}
	if len(c.in.Facts.Objects) != len(s.Objects) {
		return unsupported("DROP with names that were not resolved is not available where columns are masked", "")
	}
	for i, o := range c.in.Facts.Objects {
		list := s.Objects[i].GetList()
		if list == nil || c.masks[o.Name] != nil {
			return denied(fmt.Sprintf("%s cannot be dropped by somebody who sees it masked", o.Name), "ask somebody who may see it raw")
		}
		last := list.Items[len(list.Items)-1].GetString_()
		if last == nil || last.Sval != o.Name.Name || o.Name.Schema == "" {
			return unsupported("DROP with names that were not resolved is not available where columns are masked", "")
		}
		list.Items = []*pg.Node{pg.MakeStrNode(o.Name.Schema), pg.MakeStrNode(o.Name.Name)}
	}
	return nil
}

// copy turns COPY of a masked table into COPY of a query over it.
func (c *compiler) copy(s *pg.CopyStmt) error {
	if err := copyOptions(s.Options); err != nil {
		return err
	}
	if s.IsProgram || s.Filename != "" {
		return denied("COPY with a file or program of the server is not available where columns are masked", "use COPY ... TO STDOUT or FROM STDIN")
	}
	if s.Query != nil {
		return c.shape(s.Query)
	}
	ref := c.in.Tree.Refs[s.Relation]
	if ref != nil && s.IsFrom {
		return c.copyFrom(s, ref)
	}
	if ref == nil || c.masked(ref) == nil {
		return nil
	}
	cols := make([]string, 0, len(ref.Relation.Columns))
	for _, n := range s.Attlist {
		name := n.GetString_().GetSval()
		if ref.Relation.Column(name) == nil {
			return &access.Error{Kind: access.Invalid, Code: "42703", Message: fmt.Sprintf("column %q of relation %q does not exist", name, ref.Relation.Name.Name)}
		}
		cols = append(cols, ident(name))
	}
	if len(s.Attlist) == 0 {
		for _, col := range ref.Relation.Columns {
			if !col.Generated { // COPY leaves them out
				cols = append(cols, ident(col.Name))
			}
		}
	}
	only := clone(s.Relation)
	only.Inh = ref.Relation.Kind == access.Partitioned // COPY reads this table alone, not its children
	c.uses.all = true
	inner, err := c.subquery(ref, only)
	if err != nil {
		return err
	}
	q, err := parseSelect("SELECT " + strings.Join(cols, ", "))
	if err != nil {
		return err
	}
	q.GetSelectStmt().FromClause = []*pg.Node{inner}
	s.Query, s.Relation, s.Attlist = q, nil, nil
	return nil
}
