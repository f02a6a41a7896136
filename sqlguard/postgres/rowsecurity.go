package postgres

import (
	"strings"

	"sallyport/internal/access"
)

// rowSecurity adds what the row-security policies of the relations in a statement look at and call: the
// server puts their expressions into it. all takes them for every role, as a view's owner may be any.
func (a *analyzer) rowSecurity(all bool) {
	done := map[*access.Relation]bool{}
	for _, r := range a.rels {
		a.policies(r.rel, all, done)
	}
}

// policies analyses the policies of rel, and those of the relations that they read in turn.
func (a *analyzer) policies(rel *access.Relation, all bool, done map[*access.Relation]bool) {
	if done[rel] || !rel.RowSecurity || !all && !rel.Secured {
		return
	}
	done[rel] = true
	for _, text := range rel.Policies {
		trees, err := Parse("SELECT FROM ONLY " + quoted(rel.Name.Schema) + "." + quoted(rel.Name.Name) + " WHERE " + text)
		if err != nil || len(trees) != 1 {
			a.refuse(-1, "ask for \"unrestricted\"", "a row-security policy of %s cannot be analysed", rel.Name)
		}
		// pg_get_expr wrote the expression under an empty search_path.
		p := newAnalyzer(trees[0], Env{Catalog: a.env.Catalog, Path: []string{"pg_catalog"}, Registry: a.env.Registry})
		p.query(newScope(nil), trees[0].Stmt, access.UsePredicate)
		p.cols.settle()
		p.implicit()
		for _, f := range p.facts.Functions {
			if !f.Builtin {
				f.By = "row security of " + rel.Name.String()
				a.use(f)
			}
		}
		for _, r := range p.rels {
			for i := range r.rel.Columns {
				if r.whole || p.cols.uses[r.base+int32(i)] != 0 {
					a.facts.RowSecurity = append(a.facts.RowSecurity, access.ColumnID{Relation: r.rel.Name, Column: r.rel.Columns[i].Name})
				}
			}
			a.policies(r.rel, all, done)
		}
	}
}

func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
