package mask_test

import (
	"sallyport/internal/access"
	"sallyport/sqlguard/postgres"
)

func viewLineage(r *access.Relation, env postgres.Env) ([]access.Output, []access.ColumnID, error) {
	trees, err := postgres.Parse(r.Definition)
	if err != nil {
		return nil, nil, err
	}
	env.Path = []string{"pg_catalog"}
	f, err := postgres.Analyze(trees[0], env)
	if err != nil {
		return nil, nil, err
	}
	var decides []access.ColumnID
	for _, r := range f.Relations {
		for _, c := range r.Columns {
			if c.Use&(access.UsePredicate|access.UseGroup) != 0 {
				decides = append(decides, access.ColumnID{Relation: r.Name, Column: c.Name})
			}
		}
	}
	return f.Outputs, decides, nil
}
