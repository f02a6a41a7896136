package mask

import (
	"fmt"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/pgtree"
)

// rewrite goes over the whole tree: relations with masked columns become subqueries, references to
// masked columns of targets become masks, and every name is qualified as it was resolved, so that a
// search_path changed meanwhile cannot lead it elsewhere. An unresolved name ends it.
func (c *compiler) rewrite() error {
	c.noteUses()
	var err error
	fail := func(e error) bool {
		if err == nil {
			err = e
		}
		return false
	}
	walkNode(c.in.Tree.Stmt, func(n any) bool {
		if err != nil {
			return false
		}
		switch n := n.(type) {
		case *pg.Node:
			down, e := c.node(n)
			if e != nil {
				return fail(e)
			}
			return down
		case *pg.InferClause:
			c.keepRefs(n)
		case *pg.SelectStmt:
			lockAll(n)
		case *pg.RangeVar:
			if e := c.relationName(n); e != nil {
				return fail(e)
			}
		case *pg.ColumnRef:
			if c.in.Tree.Cols[n] == nil && !inner(n) {
				return fail(internal("a column reference that was not resolved"))
			}
		case *pg.FuncCall:
			c.functionName(n)
		}
		return true
	})
	return err
}

// inner tells the compiler's own references apart; no statement has been resolved to them.
func inner(cr *pg.ColumnRef) bool { return cr.Location == ownLocation }

// ownLocation marks nodes that the compiler made. The parser's locations are never below -1.
const ownLocation = -77

// node rewrites what hangs in a node of any kind, and tells whether to go on below it.
func (c *compiler) node(n *pg.Node) (bool, error) {
	switch x := n.Node.(type) {
	case *pg.Node_RangeVar:
		ref := c.in.Tree.Refs[x.RangeVar]
		if ref == nil || ref.Target || ref.Var != x.RangeVar || c.masked(ref) == nil {
			return true, nil
		}
		sub, err := c.subquery(ref, x.RangeVar)
		if err != nil {
			return false, err
		}
		n.Node = sub.Node
	case *pg.Node_RangeTableSample:
		ref := c.in.Tree.Refs[x.RangeTableSample.Relation.GetRangeVar()]
		if ref == nil || c.masked(ref) == nil {
			return true, nil
		}
		cond, err := sample(x.RangeTableSample, ref.Relation.Name)
		if err != nil {
			return false, err
		}
		c.pushed[ref] = append(c.pushed[ref], cond)
		n.Node = x.RangeTableSample.Relation.Node
		return c.node(n)
	case *pg.Node_ColumnRef:
		if c.cell[x.ColumnRef] {
			return false, nil
		}
		col := c.in.Tree.Cols[x.ColumnRef]
		if col == nil || inner(x.ColumnRef) {
			return true, nil
		}
		return c.columnRef(n, x.ColumnRef, col)
	case *pg.Node_FuncCall:
		if col := c.in.Tree.FuncCols[x.FuncCall]; col != nil && c.masked(col.Ref) != nil {
			name := c.name(col.Ref)
			ref := columnRef(name, col.Name)
			n.Node = ref.Node
			_, err := c.columnRef(n, ref.GetColumnRef(), &pgtree.Col{Ref: col.Ref, Name: col.Name, Use: col.Use})
			return false, err
		}
	}
	return true, nil
}

// columnRef re-points a reference or, for a masked column of a target, puts the mask in its place.
func (c *compiler) columnRef(n *pg.Node, cr *pg.ColumnRef, col *pgtree.Col) (bool, error) {
	ref := col.Ref
	m := c.masked(ref)
	if ref == nil {
		if col.Item != "" && !col.Excluded && !col.Star && !col.WholeRow && len(cr.Fields) == 1 && c.targetHas(lastName(cr.Fields)) {
			cr.Fields = []*pg.Node{pg.MakeStrNode(col.Item), cr.Fields[0]} // as in repoint
		}
		return false, c.plainStar(cr, col)
	}
	if c.raw[cr] && !ref.Target { // it stands below the mask, where its name is the column's alone
		return false, nil
	}
	if m == nil {
		if !ref.Target && !col.Excluded && !col.Star && !col.WholeRow && len(cr.Fields) == 1 && c.targetHas(lastName(cr.Fields)) {
			c.repoint(cr, ref, col)
		}
		return false, c.plainStar(cr, col)
	}
	if !ref.Target {
		if !col.Star && !col.WholeRow && ref.Relation.Column(col.Name) == nil {
			return false, unsupported(fmt.Sprintf("the system column %s of %s is not available where columns of it are masked", col.Name, ref.Relation.Name), "use the primary key")
		}
		c.repoint(cr, ref, col)
		return false, nil
	}
	switch {
	case col.Excluded || c.raw[cr] || c.keep[cr]:
		return false, nil
	case col.Star || col.WholeRow:
		return false, unsupported(fmt.Sprintf("the whole row of %s cannot be used here, because columns of it are masked", ref.Relation.Name), "name the columns that you need")
	}
	expr, ok := m.exprs[col.Name]
	if !ok {
		return false, nil
	}
	masked, err := c.in.Masks.splice(expr, cr)
	if err != nil {
		return false, err
	}
	n.Node = masked.Node
	return true, nil
}

// plainStar lets `*` pass where it does not expand over a masked target; returningLists has replaced
// it where it may stand.
func (c *compiler) plainStar(cr *pg.ColumnRef, col *pgtree.Col) error {
	for _, ref := range col.Stars {
		if ref != nil && ref.Target && !col.Excluded && c.masked(ref) != nil {
			return unsupported(fmt.Sprintf("* over %s cannot be used here, because columns of it are masked", ref.Relation.Name), "name the columns that you need")
		}
	}
	return nil
}

// repoint makes a reference go to the subquery: its alias has neither schema nor database, and may
// be another name than the relation's.
func (c *compiler) repoint(cr *pg.ColumnRef, ref *pgtree.Ref, col *pgtree.Col) {
	alias, renamed := c.alias[ref]
	last := cr.Fields[len(cr.Fields)-1]
	row := col.WholeRow && !col.Star // the last field is the relation, not a column
	switch {
	case row && (len(cr.Fields) > 1 || renamed):
		cr.Fields = []*pg.Node{pg.MakeStrNode(c.name(ref))}
	case row:
	case len(cr.Fields) == 1 && !col.Star && c.targetHas(last.GetString_().GetSval()):
		// Unqualified it could be taken for a column of the target, by the verifier for one.
		cr.Fields = []*pg.Node{pg.MakeStrNode(c.name(ref)), last}
	case len(cr.Fields) > 2:
		cr.Fields = []*pg.Node{pg.MakeStrNode(c.name(ref)), last}
	case len(cr.Fields) == 2 && renamed && cr.Fields[0].GetString_().GetSval() == ref.Alias:
		cr.Fields = []*pg.Node{pg.MakeStrNode(alias), last}
	}
}

// targetHas tells whether a target has a masked column of that name.
func (c *compiler) targetHas(name string) bool {
	if !c.writes {
		return false
	}
	for _, m := range c.masks {
		if _, ok := m.cols[name]; ok {
			return true
		}
	}
	return false
}

// name is what the compiled statement knows a reference by.
func (c *compiler) name(ref *pgtree.Ref) string {
	if alias, ok := c.alias[ref]; ok {
		return alias
	}
	return ref.Alias
}

// keepRefs notes the references of an ON CONFLICT inference: they are compared with index
// definitions, never with rows.
func (c *compiler) keepRefs(inf *pg.InferClause) {
	walk(inf.ProtoReflect(), func(n any) bool {
		if cr, ok := n.(*pg.ColumnRef); ok {
			c.keep[cr] = true
		}
		return true
	})
}

// relationName qualifies a relation name that stays one.
func (c *compiler) relationName(rv *pg.RangeVar) error {
	ref := c.in.Tree.Refs[rv]
	switch {
	case rv.Location == ownLocation || c.in.Tree.CTEs[rv]:
		return nil
	case ref == nil:
		return c.newName(rv)
	case ref.Var != rv: // FOR UPDATE OF names an item of FROM
		rv.Relname = c.name(ref)
		return nil
	case c.masked(ref) != nil && !ref.Target:
		return unsupported(fmt.Sprintf("%s cannot be used here, because columns of it are masked", ref.Relation.Name), "")
	}
	rv.Catalogname, rv.Schemaname, rv.Relname = "", ref.Relation.Name.Schema, ref.Relation.Name.Name
	return nil
}

// newName lets the name of something that the statement creates pass, as it was resolved.
func (c *compiler) newName(rv *pg.RangeVar) error {
	for _, o := range c.in.Facts.Objects {
		if o.Name.Name == rv.Relname && (rv.Schemaname == "" || rv.Schemaname == o.Name.Schema) {
			rv.Catalogname = ""
			if rv.Relpersistence != "t" && o.Name.Schema != "" {
				rv.Schemaname = o.Name.Schema
			}
			return nil
		}
	}
	return internal("a relation name that was not resolved")
}

// functionName qualifies a call with the schema of the function, unless it could be several: which
// of those it is depends on types, and policy has allowed them all.
func (c *compiler) functionName(f *pg.FuncCall) {
	use, ok := c.in.Tree.Funcs[f]
	if !ok || use.Name.Schema == "" || len(f.Funcname) == 0 {
		return
	}
	last := f.Funcname[len(f.Funcname)-1].GetString_().GetSval()
	if last == use.Name.Name && !keywordCall(f) {
		f.Funcname = []*pg.Node{pg.MakeStrNode(use.Name.Schema), pg.MakeStrNode(last)}
	}
}

// keywordCall tells whether qualifying the name would make the deparser use keyword syntax, which
// parses back as another tree: OVERLAY(a, b, c, d). Keywords lead to pg_catalog anyway.
func keywordCall(f *pg.FuncCall) bool {
	return len(f.Funcname) == 1 && len(f.Args) == 4 && f.Funcname[0].GetString_().GetSval() == "overlay"
}

func columnRef(parts ...string) *pg.Node {
	var fields []*pg.Node
	for _, p := range parts {
		fields = append(fields, pg.MakeStrNode(p))
	}
	return pg.MakeColumnRefNode(fields, ownLocation)
}
