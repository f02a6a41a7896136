package mask_test

import (
	"testing"

	"sallyport/internal/access"
	"sallyport/mask"
)

// TestVerifierHoldsRowFilters has t(id, ssn) of which one may see the rows of an owner, ssn open to lookups.
func TestVerifierHoldsRowFilters(t *testing.T) {
	name := access.Name{Schema: "s", Name: "t"}
	cat := &access.Catalog{Relations: map[access.Name]*access.Relation{name: {Name: name, Kind: access.Table, Columns: []access.Column{
		{Num: 1, Name: "id", Type: "integer", TypeOID: 23}, {Num: 2, Name: "ssn", Type: "text", TypeOID: 25}, {Num: 3, Name: "owner", Type: "text", TypeOID: 25}}}}}
	labels, problems := mask.Resolve(cat, "c", nil, nil, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	masks, err := mask.NewMasks(nil)
	if err != nil {
		t.Fatal(err)
	}
	filters := []access.RowFilter{{Relation: name, Condition: "owner OPERATOR(pg_catalog.=) 'ada' AND id OPERATOR(pg_catalog.>) 1"}, {Relation: name, Condition: "id OPERATOR(pg_catalog.<) 9"}}
	const cond = "owner OPERATOR(pg_catalog.=) 'ada' AND id OPERATOR(pg_catalog.>) 1 AND id OPERATOR(pg_catalog.<) 9"
	verify := func(sql string) string { return mask.Verify(cat, labels, masks, nil, nil, sql, filters...) }
	for _, sql := range []string{
		"SELECT * FROM (SELECT id, owner FROM s.t WHERE " + cond + " OFFSET 0) t",
		"SELECT pg_catalog.count(*) FROM (SELECT FROM s.t WHERE " + cond + " OFFSET 0) t WHERE t.id = 3",
	} {
		if why := verify(sql); why != "" {
			t.Errorf("%s: %s", sql, why)
		}
	}
	for _, sql := range []string{
		"SELECT * FROM s.t",
		"SELECT * FROM (SELECT id FROM s.t) t",
		"SELECT * FROM (SELECT id FROM s.t OFFSET 0) t",
		"SELECT * FROM (SELECT id FROM s.t WHERE " + cond + ") t",
		"SELECT * FROM (SELECT id FROM s.t WHERE " + cond + " OFFSET 1) t",
		"SELECT * FROM (SELECT id FROM s.t WHERE " + cond + " OR true OFFSET 0) t",
		"SELECT * FROM (SELECT id FROM s.t WHERE " + cond + " AND owner IS NULL OFFSET 0) t",
		"SELECT * FROM (SELECT id FROM s.t WHERE owner OPERATOR(pg_catalog.=) 'ada' AND id OPERATOR(pg_catalog.>) 1 OFFSET 0) t",
		"SELECT * FROM (SELECT id FROM s.t WHERE owner OPERATOR(pg_catalog.=) 'eve' AND id OPERATOR(pg_catalog.>) 1 AND id OPERATOR(pg_catalog.<) 9 OFFSET 0) t",
		"SELECT * FROM (SELECT id FROM s.t WHERE owner = 'ada' AND id OPERATOR(pg_catalog.>) 1 AND id OPERATOR(pg_catalog.<) 9 OFFSET 0) t",
		"SELECT * FROM (SELECT id FROM s.t WHERE " + cond + " LIMIT 1 OFFSET 0) t",
	} {
		if verify(sql) == "" {
			t.Errorf("accepted: %s", sql)
		}
	}
}

// TestVerifierHoldsTheBodiesOfViews has a view over t, of which one may see the rows of an owner.
func TestVerifierHoldsTheBodiesOfViews(t *testing.T) {
	table, view, over, calc := access.Name{Schema: "s", Name: "t"}, access.Name{Schema: "s", Name: "v"}, access.Name{Schema: "s", Name: "w"}, access.Name{Schema: "s", Name: "x"}
	columns := []access.Column{{Num: 1, Name: "id", Type: "integer", TypeOID: 23}, {Num: 2, Name: "owner", Type: "text", TypeOID: 25}}
	cat := &access.Catalog{Relations: map[access.Name]*access.Relation{
		table: {Name: table, Kind: access.Table, Columns: columns},
		view:  {Name: view, Kind: access.View, Columns: columns[:1], Definition: "SELECT t.id FROM s.t WHERE t.id > 3;"},
		over:  {Name: over, Kind: access.View, Columns: columns[:1], Definition: "SELECT v.id FROM s.v;"},
		calc:  {Name: calc, Kind: access.View, Columns: columns[:1], Definition: "SELECT t.id FROM s.t WHERE t.id > (SELECT 3);"},
	}}
	labels, problems := mask.Resolve(cat, "c", nil, nil, func(*access.Relation) ([]access.Output, []access.ColumnID, error) {
		return []access.Output{{Name: "id"}}, nil, nil
	})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	masks, err := mask.NewMasks(nil)
	if err != nil {
		t.Fatal(err)
	}
	d := access.Decision{Effect: access.Allow, Inlined: []access.Name{over, view, calc},
		Filters: []access.RowFilter{{Relation: table, Condition: "owner OPERATOR(pg_catalog.=) 'ada'"}}}
	const (
		fenced = "(SELECT id, owner FROM s.t WHERE owner OPERATOR(pg_catalog.=) 'ada' OFFSET 0)"
		body   = "(SELECT t.id FROM " + fenced + " t WHERE t.id OPERATOR(pg_catalog.>) 3)"
		inner  = "(SELECT id FROM " + body + " v(id) OFFSET 0)"
	)
	for _, sql := range []string{
		"SELECT * FROM " + inner + " v",
		"SELECT a.id FROM " + inner + " a WHERE a.id = 3",
		"SELECT * FROM (SELECT id FROM (SELECT v.id FROM " + inner + " v) w(id) OFFSET 0) w",
		"SELECT * FROM (SELECT id FROM (SELECT t.id FROM " + fenced + " t WHERE t.id OPERATOR(pg_catalog.>) (SELECT 3)) x(id) OFFSET 0) x",
	} {
		if why := mask.VerifyDecision(cat, labels, masks, d, sql); why != "" {
			t.Errorf("%s: %s", sql, why)
		}
	}
	for _, sql := range []string{
		"SELECT * FROM s.v", "SELECT * FROM s.w",
		"SELECT * FROM (SELECT id FROM s.v OFFSET 0) v",
		"SELECT * FROM (SELECT id FROM (SELECT t.id FROM s.t WHERE t.id OPERATOR(pg_catalog.>) 3) v(id) OFFSET 0) v",
		"SELECT * FROM (SELECT id FROM (SELECT t.id FROM (SELECT id, owner FROM s.t OFFSET 0) t WHERE t.id OPERATOR(pg_catalog.>) 3) v(id) OFFSET 0) v",
		"SELECT * FROM (SELECT id FROM (SELECT v.id FROM s.v) w(id) OFFSET 0) w",
	} {
		if mask.VerifyDecision(cat, labels, masks, d, sql) == "" {
			t.Errorf("accepted: %s", sql)
		}
	}
}
