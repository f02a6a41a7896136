package mask_test

import (
	"testing"

	"sallyport/internal/access"
	"sallyport/mask"
)

// TestVerifierHoldsCells has t(id, pay, city) with pay masked, which may be aggregated over cells by city.
func TestVerifierHoldsCells(t *testing.T) {
	name := access.Name{Schema: "s", Name: "t"}
	cat := &access.Catalog{Relations: map[access.Name]*access.Relation{name: {Name: name, Kind: access.Table, Columns: []access.Column{
		{Num: 1, Name: "id", Type: "integer", TypeOID: 23}, {Num: 2, Name: "pay", Type: "integer", TypeOID: 23}, {Num: 3, Name: "city", Type: "text", TypeOID: 25}}}}}
	labels, problems := mask.Resolve(cat, "c", []access.LabelRule{{Label: "hr.pay", Columns: []string{"*.pay"}}}, nil, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	masks, err := mask.NewMasks([]access.Mask{{Label: "hr.pay", Transform: "null"}})
	if err != nil {
		t.Fatal(err)
	}
	pay := access.ColumnID{Relation: name, Column: "pay"}
	d := access.Decision{Effect: access.Allow, Masked: []access.ColumnID{pay}, Lookup: []access.ColumnID{pay},
		Aggregate: []access.AggregateColumn{{Column: pay, MinGroup: 10, By: []string{"city"}}}}
	const cell = `CASE WHEN pg_catalog.count("pay") OVER (PARTITION BY "city") OPERATOR(pg_catalog.>=) 10 THEN "pay" END AS "sallyport cell 2"`
	const from = "(SELECT id, city, " + cell + " FROM s.t) t"
	for _, sql := range []string{
		`SELECT pg_catalog.sum(t."sallyport cell 2") FROM ` + from,
		`SELECT city, pg_catalog.avg(t."sallyport cell 2") + 1 FROM ` + from + ` WHERE city OPERATOR(pg_catalog.=) 'A' GROUP BY t.city HAVING pg_catalog.count(t."sallyport cell 2") > 3`,
		`SELECT id FROM ` + from,
		`SELECT pg_catalog.sum(t."sallyport cell 2") FROM ` + from + ` WHERE city IN ('A', $1) OR city NOT BETWEEN 'C' AND 'D' AND city IS NOT NULL`,
		`SELECT pg_catalog.sum(t."sallyport cell 2") FROM ` + from + ` WHERE city BETWEEN 'C' AND 'D'`,
	} {
		if why := mask.VerifyDecision(cat, labels, masks, d, sql); why != "" {
			t.Errorf("%s: %s", sql, why)
		}
		if mask.VerifyDecision(cat, labels, masks, access.Decision{Effect: access.Allow, Masked: d.Masked}, sql) == "" {
			t.Errorf("accepted without a permit: %s", sql)
		}
	}
	for _, sql := range []string{
		`SELECT t."sallyport cell 2" FROM ` + from,
		`SELECT * FROM ` + from + ` ORDER BY "sallyport cell 2"`,
		`SELECT pg_catalog.max(t."sallyport cell 2") FROM ` + from,
		`SELECT sum(t."sallyport cell 2") FROM ` + from,
		`SELECT s.sum(t."sallyport cell 2") FROM ` + from,
		`SELECT pg_catalog.sum(DISTINCT t."sallyport cell 2") FROM ` + from,
		`SELECT pg_catalog.sum(t."sallyport cell 2" ORDER BY id) FROM ` + from,
		`SELECT pg_catalog.sum(t."sallyport cell 2") FILTER (WHERE id <> 7) FROM ` + from,
		`SELECT pg_catalog.sum(t."sallyport cell 2") OVER () FROM ` + from,
		`SELECT pg_catalog.sum(t."sallyport cell 2" * id) FROM ` + from,
		`SELECT pg_catalog.sum(t."sallyport cell 2") FROM ` + from + ` WHERE id <> 7`,
		`SELECT pg_catalog.sum(t."sallyport cell 2") FROM ` + from + ` WHERE city || id <> 'A7'`,
		`SELECT pg_catalog.sum(t."sallyport cell 2") FROM ` + from + ` WHERE city = 'A' OR id = 7`,
		`SELECT pg_catalog.sum(t."sallyport cell 2") FROM ` + from + ` WHERE city::text = 'A'`,
		`SELECT pg_catalog.sum(t."sallyport cell 2") FROM ` + from + ` WHERE city IN ('A', id::text)`,
		`SELECT pg_catalog.sum(t."sallyport cell 2") FROM ` + from + ` WHERE city BETWEEN 'A' AND id::text`,
		`SELECT pg_catalog.sum(t."sallyport cell 2") FROM ` + from + ` WHERE id NOT BETWEEN 7 AND 7`,
		`SELECT pg_catalog.sum(t."sallyport cell 2") FROM ` + from + ` WHERE city = ANY (SELECT 'A')`,
		`SELECT pg_catalog.sum(t."sallyport cell 2") FROM ` + from + ` WHERE t."sallyport cell 2" > 1000`,
		`SELECT pg_catalog.sum(t."sallyport cell 2") FROM ` + from + ` GROUP BY id`,
		`SELECT pg_catalog.sum(t."sallyport cell 2") FROM ` + from + ` GROUP BY ROLLUP (city)`,
		`SELECT pg_catalog.sum(t."sallyport cell 2") FROM ` + from + `, s.other`,
		`SELECT (SELECT pg_catalog.sum(t."sallyport cell 2") FROM (SELECT 1) x) FROM ` + from,
		`SELECT pg_catalog.sum(t."sallyport cell 2") FROM (SELECT id, city, ` + cell + ` FROM s.t WHERE pay = 7) t`,
		`SELECT pg_catalog.sum(t."sallyport cell 2") FROM (SELECT id, city, ` + cell + ` FROM s.t WHERE id <> 7) t`,
		`SELECT pg_catalog.sum(t."sallyport cell 2") FROM (SELECT id, city, "pay" AS "sallyport cell 2" FROM s.t) t`,
		`SELECT pg_catalog.sum(t."sallyport cell 2") FROM (SELECT CASE WHEN pg_catalog.count("pay") OVER (PARTITION BY "id") OPERATOR(pg_catalog.>=) 10 THEN "pay" END AS "sallyport cell 2" FROM s.t) t`,
		`SELECT pg_catalog.sum(t."sallyport cell 2") FROM (SELECT CASE WHEN pg_catalog.count("pay") OVER (PARTITION BY "city") OPERATOR(pg_catalog.>=) 1 THEN "pay" END AS "sallyport cell 2" FROM s.t) t`,
		`SELECT (t)."sallyport cell 2" FROM ` + from,
		`SELECT id FROM (SELECT id, city, pay AS "sallyport cell 9" FROM s.t) t`,
		`SELECT id FROM (SELECT id, city, "pay" AS "sallyport raw 2", pay FROM s.t) t`,
	} {
		if mask.VerifyDecision(cat, labels, masks, d, sql) == "" {
			t.Errorf("accepted: %s", sql)
		}
	}
}

// TestVerifierHoldsRawUses has pay masked, by which rows may be ordered, and born, by which they may be grouped.
func TestVerifierHoldsRawUses(t *testing.T) {
	name := access.Name{Schema: "s", Name: "t"}
	cat := &access.Catalog{Relations: map[access.Name]*access.Relation{name: {Name: name, Kind: access.Table, Columns: []access.Column{
		{Num: 1, Name: "id", Type: "integer", TypeOID: 23}, {Num: 2, Name: "pay", Type: "integer", TypeOID: 23}, {Num: 3, Name: "born", Type: "integer", TypeOID: 23}}}}}
	labels, problems := mask.Resolve(cat, "c", []access.LabelRule{{Label: "hr", Columns: []string{"*.pay", "*.born"}}}, nil, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	masks, err := mask.NewMasks([]access.Mask{{Label: "hr", Transform: "null"}})
	if err != nil {
		t.Fatal(err)
	}
	pay, born := access.ColumnID{Relation: name, Column: "pay"}, access.ColumnID{Relation: name, Column: "born"}
	d := access.Decision{Effect: access.Allow, Masked: []access.ColumnID{pay, born}, Order: []access.ColumnID{pay}, Group: []access.ColumnID{born}, Predicate: []access.ColumnID{pay}}
	const from = `(SELECT id, pay AS "sallyport raw 2", born AS "sallyport raw 3" FROM s.t WHERE pay OPERATOR(pg_catalog.>) 5) t`
	for _, sql := range []string{
		`SELECT id FROM ` + from + ` ORDER BY t."sallyport raw 2" DESC LIMIT 3`,
		`SELECT pg_catalog.count(*) FROM ` + from + ` GROUP BY id, t."sallyport raw 3"`,
		`SELECT x.id FROM s.other x LEFT JOIN ` + from + ` ON t.id = x.id ORDER BY t."sallyport raw 2"`,
	} {
		if why := mask.VerifyDecision(cat, labels, masks, d, sql); why != "" {
			t.Errorf("%s: %s", sql, why)
		}
		if mask.VerifyDecision(cat, labels, masks, access.Decision{Effect: access.Allow, Masked: d.Masked}, sql) == "" {
			t.Errorf("accepted without a permit: %s", sql)
		}
	}
	for _, sql := range []string{
		`SELECT t."sallyport raw 2" FROM ` + from,
		`SELECT id FROM ` + from + ` ORDER BY t."sallyport raw 3"`,
		`SELECT pg_catalog.count(*) FROM ` + from + ` GROUP BY t."sallyport raw 2"`,
		`SELECT id FROM ` + from + ` ORDER BY t."sallyport raw 2" + 0`,
		`SELECT id FROM ` + from + ` ORDER BY "sallyport raw 2"`,
		`SELECT id FROM ` + from + ` ORDER BY t."sallyport raw 2" USING <`,
		`SELECT id FROM ` + from + ` ORDER BY t."sallyport raw 2" FETCH FIRST 1 ROW WITH TIES`,
		`SELECT DISTINCT ON (t."sallyport raw 2") id FROM ` + from + ` ORDER BY t."sallyport raw 2"`,
		`SELECT pg_catalog.count(*) FROM ` + from + ` GROUP BY GROUPING SETS ((t."sallyport raw 3"), ())`,
		`SELECT pg_catalog.max(t."sallyport raw 3") FROM ` + from + ` GROUP BY t."sallyport raw 3"`,
		`SELECT pg_catalog.array_agg(id ORDER BY t."sallyport raw 2") FROM ` + from,
		`SELECT pg_catalog.rank() OVER (ORDER BY t."sallyport raw 2") FROM ` + from,
		`SELECT (SELECT x.id FROM s.other x ORDER BY t."sallyport raw 2" LIMIT 1) FROM ` + from,
		`SELECT id FROM ` + from + ` WHERE t."sallyport raw 2" > 5`,
		`SELECT id FROM (SELECT id, born AS "sallyport raw 2" FROM s.t) t ORDER BY t."sallyport raw 2"`,
		`SELECT id FROM (SELECT id, pay FROM s.t) t`,
		`SELECT id FROM (SELECT id FROM s.t WHERE born OPERATOR(pg_catalog.>) 5) t`,
		`SELECT id FROM (SELECT id FROM s.t WHERE pay > 5) t`,
		`SELECT id FROM (SELECT id FROM s.t WHERE pay OPERATOR(pg_catalog.>) id) t`,
		`SELECT id FROM (SELECT id FROM s.t WHERE pay OPERATOR(pg_catalog.>) 5 OR born OPERATOR(pg_catalog.>) 5) t`,
	} {
		if mask.VerifyDecision(cat, labels, masks, d, sql) == "" {
			t.Errorf("accepted: %s", sql)
		}
	}
}
