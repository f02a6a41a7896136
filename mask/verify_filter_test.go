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
	labels, problems := mask.Resolve(cat, "c", nil, nil)
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
