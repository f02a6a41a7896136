package mask

import (
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
)

// view labels a view's columns by lineage, after the views that it reads. A view whose rows are
// chosen by labelled values, that reads such a view, or that cannot be analysed is refused to
// masked principals: what it shows depends on raw values however its columns are masked.
func (r *resolver) view(name access.Name) {
	rel := r.cat.Relations[name]
	if rel == nil || r.done[name] || (rel.Kind != access.View && rel.Kind != access.MatView) {
		return
	}
	r.done[name] = true // before its sources: a view cannot really read itself
	refuse := func(why, hint string) {
		if l := r.labels.relation(name); l.refused == "" {
			l.refused = why
			r.problem("", fmt.Sprintf("masked principals may not use view %s: %s", name, why), hint)
		}
	}
	def, err := readDefinition(rel.Definition)
	if err != nil {
		refuse("its definition cannot be parsed", "")
		return
	}
	r.labels.reads[name] = def.relations
	for _, src := range def.relations {
		r.view(src)
		if r.labels.Refused(src) != "" {
			refuse("it reads "+src.String()+", which masked principals may not use", "")
		}
	}
	for _, f := range def.functions {
		if !r.computes(f) {
			refuse("it calls "+f.String()+", whose body is not analysed", "functions of an extension that are immutable are fine")
		}
	}
	for _, op := range def.operators {
		if !r.computesOperator(op) {
			refuse("it uses the operator "+op.String()+", whose function is not analysed", "")
		}
	}
	outputs, decides, err := r.lineage(rel)
	if err == nil && len(outputs) != len(rel.Columns) {
		err = fmt.Errorf("%d outputs for %d columns", len(outputs), len(rel.Columns))
	}
	if err != nil {
		refuse("its definition cannot be analysed", err.Error())
		return
	}
	for _, id := range decides {
		if r.labels.column(id.Relation, id.Column) != nil {
			refuse(fmt.Sprintf("which rows it has depends on the labelled column %s.%s", id.Relation, id.Column), "grant reveal, or let them query what it reads")
		}
	}
	for _, out := range outputs {
		decides = append(decides, out.Sources...)
	}
	if slices.ContainsFunc(decides, isWithheld) {
		refuse("it shows row or page counts, partition bounds or values out of the catalog", "")
	}
	for i, out := range outputs {
		r.output(name, rel.Columns[i].Name, out)
	}
}

func (r *resolver) output(name access.Name, col string, out access.Output) {
	for _, id := range out.Sources {
		src := r.labels.column(id.Relation, id.Column)
		if src == nil {
			continue
		}
		derived := src.derived || !out.Plain
		why := "from " + id.Relation.String() + "." + id.Column
		if derived {
			why = "derived " + why
		}
		for _, l := range src.labels {
			r.labels.add(name, col, l, why, derived)
		}
	}
}

// computes tells whether a function outside pg_catalog can only compute on its arguments. That is
// believed of immutable functions that came with an extension, installed by whoever runs the
// database; anything else could read a table.
func (r *resolver) computes(name access.Name) bool {
	fs := r.cat.Functions[name]
	for _, f := range fs {
		if f.Extension == "" || f.Volatility != 'i' {
			return false
		}
	}
	return len(fs) > 0
}

func (r *resolver) computesOperator(name access.Name) bool {
	known := false
	for _, op := range r.cat.Operators[name.Name] {
		if op.Name != name {
			continue
		}
		if known = true; op.Function.Schema != "pg_catalog" && !r.computes(op.Function) {
			return false
		}
	}
	return known
}

// definition is what a view's text names. pg_get_viewdef under an empty search_path qualifies
// everything outside pg_catalog, so that names need no resolution here.
type definition struct {
	relations []access.Name
	functions []access.Name
	operators []access.Name
}

func readDefinition(sql string) (definition, error) {
	var d definition
	tree, err := pg.Parse(sql)
	if err != nil {
		return d, err
	}
	if len(tree.Stmts) != 1 || tree.Stmts[0].Stmt.GetSelectStmt() == nil {
		return d, fmt.Errorf("not one SELECT")
	}
	walk(tree.Stmts[0].Stmt.ProtoReflect(), func(n any) bool {
		switch n := n.(type) {
		case *pg.RangeVar:
			if n.Schemaname != "" {
				d.relations = append(d.relations, access.Name{Schema: n.Schemaname, Name: n.Relname})
			}
		case *pg.FuncCall:
			if name, ok := qualified(n.Funcname); ok {
				d.functions = append(d.functions, name)
			}
		case *pg.A_Expr:
			if name, ok := qualified(n.Name); ok {
				d.operators = append(d.operators, name)
			}
		case *pg.SubLink:
			if name, ok := qualified(n.OperName); ok {
				d.operators = append(d.operators, name)
			}
		}
		return true
	})
	return d, nil
}

// qualified reads a name of two parts that is not in pg_catalog.
func qualified(parts []*pg.Node) (access.Name, bool) {
	if len(parts) != 2 || parts[0].GetString_().GetSval() == "pg_catalog" {
		return access.Name{}, false
	}
	return access.Name{Schema: parts[0].GetString_().GetSval(), Name: parts[1].GetString_().GetSval()}, true
}

// generated labels generated columns whose expression names a labelled column of the same row.
func (r *resolver) generated() bool {
	changed := false
	for _, name := range r.names {
		labelled := r.labels.rels[name]
		if labelled == nil {
			continue
		}
		for _, col := range r.cat.Relations[name].Columns {
			if !col.Generated || col.Default == "" {
				continue
			}
			refs, all := columnNames(col.Default)
			for other, c := range labelled.cols {
				if other == col.Name || !(all || refs[other]) {
					continue
				}
				for _, l := range c.labels {
					changed = r.labels.add(name, col.Name, l, "generated from "+other, true) || changed
				}
			}
		}
	}
	return changed
}

// columnNames lists the columns that an expression names; all is true when it cannot tell.
func columnNames(expr string) (refs map[string]bool, all bool) {
	tree, err := pg.Parse("SELECT " + strings.TrimSpace(expr))
	if err != nil {
		return nil, true
	}
	refs = make(map[string]bool)
	for _, s := range tree.Stmts {
		walk(s.ProtoReflect(), func(n any) bool {
			if c, ok := n.(*pg.ColumnRef); ok {
				last := c.Fields[len(c.Fields)-1].GetString_()
				if last == nil {
					all = true
				} else {
					refs[last.Sval] = true
				}
			}
			return true
		})
	}
	return refs, all
}
