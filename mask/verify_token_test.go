package mask_test

import (
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/mask"
)

// TestVerifierKnowsResolutions: the subquery that finds a token's value is accepted where that is stored in the column that
// it is for, as it has to be, and nowhere else.
func TestVerifierKnowsResolutions(t *testing.T) {
	name := func(table string) access.Name { return access.Name{Schema: "s", Name: table} }
	cols := []access.Column{{Num: 1, Name: "id", Type: "integer", TypeOID: 23}, {Num: 2, Name: "email", Type: "text", TypeOID: 25}, {Num: 3, Name: "note", Type: "text", TypeOID: 25},
		{Num: 4, Name: "phone", Type: "text", TypeOID: 25}}
	cat := &access.Catalog{Relations: map[access.Name]*access.Relation{}}
	for _, table := range []string{"t", "u"} {
		cat.Relations[name(table)] = &access.Relation{Name: name(table), Kind: access.Table, Columns: cols}
	}
	labels, _ := mask.Resolve(cat, "c", []access.LabelRule{{Label: "pii.email", Columns: []string{"s.*.email"}}, {Label: "pii.phone", Columns: []string{"s.*.phone"}}}, nil, nil)
	masks, err := mask.NewMasks([]access.Mask{{Label: "pii.email", Transform: "token"}, {Label: "pii.phone", Transform: "token"}})
	if err != nil {
		t.Fatal(err)
	}
	id := func(table, column string) access.ColumnID {
		return access.ColumnID{Relation: name(table), Column: column}
	}
	all := []access.ColumnID{id("t", "email"), id("t", "phone"), id("u", "email"), id("u", "phone")}
	d := access.Decision{Effect: access.Allow, Masked: all, Lookup: all, Resolve: []access.TokenSource{{Target: id("t", "email"), Source: id("u", "email")},
		{Target: id("t", "email"), Source: id("t", "email")}, {Target: id("t", "phone"), Source: id("u", "phone")}}}
	email, phone := mask.Resolution(cat, labels, masks, d, id("t", "email"), "tok_g"), mask.Resolution(cat, labels, masks, d, id("t", "phone"), "tok_g")
	for _, sql := range []string{
		"UPDATE s.t SET email = " + email + " WHERE id = 1", "UPDATE s.t SET phone = " + phone + ", note = 'x'",
		"INSERT INTO s.t (id, phone, email) VALUES (1, 'x', " + email + "), (2, " + phone + ", NULL)", "INSERT INTO s.t VALUES (1, " + email + ")",
		"INSERT INTO s.t (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET email = " + email,
		"MERGE INTO s.t x USING (SELECT 1) y ON x.id = 1 WHEN MATCHED THEN UPDATE SET email = " + email + " WHEN NOT MATCHED THEN INSERT (id, phone) VALUES (1, " + phone + ")",
		"INSERT INTO s.t (id, email) SELECT 1, " + email + " WHERE $1 = 1", "INSERT INTO s.t SELECT 1, " + email,
		"UPDATE s.t SET email = CASE WHEN $1 = 'x' THEN " + strings.ReplaceAll(email, "'tok_g'", "$1") + " ELSE $1 END",
	} {
		if why := mask.VerifyDecision(cat, labels, masks, d, sql); why != "" {
			t.Errorf("%s: %s", sql, why)
		}
	}
	for _, sql := range []string{
		"SELECT " + email, "UPDATE s.t SET note = " + email, "UPDATE s.t SET phone = " + email, "UPDATE s.t SET email = " + phone, "UPDATE s.u SET email = " + email,
		"UPDATE s.t SET note = 'x' WHERE note = " + email, "UPDATE s.t SET email = 'x' RETURNING " + email, "UPDATE s.t SET email = upper(" + email + ")",
		"INSERT INTO s.t (id, email, note) VALUES (1, NULL, " + email + ")", "INSERT INTO s.t (note) SELECT " + email, "INSERT INTO s.u (email) VALUES (" + email + ")",
		"INSERT INTO s.t (id, email) SELECT x.*, " + email + " FROM (SELECT 1) x", "INSERT INTO s.t (email) SELECT " + email + " UNION SELECT 'a'",
		"INSERT INTO s.t (email) SELECT v FROM (SELECT " + email + " AS v) x",
		"INSERT INTO s.t (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET note = " + email,
		"UPDATE s.t SET email = " + strings.Replace(email, "WHERE", "WHERE email LIKE 'a%' AND", 1),
		"UPDATE s.t SET email = " + strings.ReplaceAll(email, "'tok_g'", "note"), "UPDATE s.t SET email = " + strings.Replace(email, "pg_catalog.max", "pg_catalog.min", 1),
		"UPDATE s.t SET email = " + strings.Replace(email, "s.u", "s.t", 1), "UPDATE s.t SET email = " + strings.Replace(email, "'tok_g'", "'tok_h'", 1),
	} {
		if mask.VerifyDecision(cat, labels, masks, d, sql) == "" {
			t.Errorf("accepted: %s", sql)
		}
	}
}
