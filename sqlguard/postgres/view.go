package postgres

import (
	"slices"

	"sallyport/internal/access"
	"sallyport/internal/pgtree"
)

// Lineage says what a view's columns are made of.
type Lineage struct {
	Outputs []access.Output // one for each column of the view, in order
	// Decides has the columns that decide which rows there are, or their order: conditions, joins,
	// grouping, DISTINCT, set operations, ORDER BY, windows, arguments of set-returning functions.
	Decides []access.ColumnID
}

// ViewLineage analyses the definition of a view or materialised view. A view that it reads is a
// relation like any other: the columns named are that view's. It fails where values could come from
// somewhere that is no column: a built-in that runs SQL or tells about data, a system relation that
// holds statistics or secrets. Functions outside pg_catalog are taken to compute on their arguments;
// whether to believe that is for the caller, who knows where they come from. Row security of what the view
// reads decides on its rows like a condition.
func ViewLineage(v *access.Relation, env Env) (lin Lineage, err error) {
	trees, err := Parse(v.Definition)
	if err != nil {
		return Lineage{}, err
	}
	if len(trees) != 1 || trees[0].Stmt.GetSelectStmt() == nil {
		return Lineage{}, &access.Error{Kind: access.Unsupported, Code: "0A000", Message: "the definition of view " + v.Name.String() + " is not one query"}
	}
	// pg_get_viewdef wrote the definition under an empty search_path.
	env.Path = []string{"pg_catalog"}
	return viewLineage(v, trees[0], env)
}

func viewLineage(v *access.Relation, t *pgtree.Tree, env Env) (lin Lineage, err error) {
	a := newAnalyzer(t, env)
	var facts *access.Facts
	defer func() {
		if err != nil {
			lin = Lineage{}
		}
	}()
	defer a.stopped(&facts, &err)
	res := a.query(newScope(nil), t.Stmt, access.UseOutput)
	if res.open || len(res.cols) != len(v.Columns) {
		a.refuse(-1, "", "the columns of view %s cannot be told", v.Name)
	}
	a.outputs(res)
	a.finish()
	for i := range a.facts.Outputs {
		a.facts.Outputs[i].Name = v.Columns[i].Name
	}
	a.onlyColumns()
	a.facts.RowSecurity = nil
	a.rowSecurity(true)
	return Lineage{Outputs: a.facts.Outputs, Decides: append(a.deciding(), a.facts.RowSecurity...)}, nil
}

// onlyColumns refuses what brings values in that do not come from a column that the catalog knows.
func (a *analyzer) onlyColumns() {
	for _, f := range a.facts.Functions {
		if f.Builtin && !slices.Contains([]string{"pure", "catalog", "volatile", "setting"}, f.Class) {
			a.refuse(-1, "", "the view calls %s, which does not only compute on its arguments", f.Name)
		}
	}
	for _, r := range a.rels {
		n := r.rel.Name
		if n.Schema != "pg_catalog" && n.Schema != "information_schema" {
			continue
		}
		if class, ok := a.env.Registry.Relation(n.Schema, n.Name); !ok || class != "open" {
			a.refuse(-1, "", "the view reads %s, which holds data of others", n)
		}
	}
}

// deciding lists the columns used for more than their value.
func (a *analyzer) deciding() []access.ColumnID {
	var out []access.ColumnID
	for id, use := range a.cols.uses {
		if use&deciding != 0 && a.cols.ids[id].Column != "" {
			out = append(out, a.cols.ids[id])
		}
	}
	return out
}
