package sqlguard_test

import (
	"slices"
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/sqlguard"
)

const scoped = `
@id("read") permit (principal, action in [Action::"connect", Action::"read"], resource in Connection::"shop");
@id("write") permit (principal, action == Action::"write", resource in Connection::"shop");
@id("reveal") permit (principal, action == Action::"reveal", resource in Label::"pii.email");
@id("raw") permit (principal, action == Action::"unrestricted", resource in Connection::"shop");`

// A token's scopes hold wherever policies are asked, and a denial says what it takes only where policies would allow it.
func TestScopesOfATokenHold(t *testing.T) {
	grants := map[string][]access.Action{"db:read": {access.ActConnect, access.ActRead}, "db:write": {access.ActRead, access.ActWrite}, "db:see": {access.ActReveal}, "openid": nil}
	set := load(t, scoped)
	write := &access.Facts{Class: access.ClassWrite, Tag: "UPDATE", Relations: []access.RelationUse{{Name: public("orders"), Action: access.ActWrite, Verb: "update",
		Columns: []access.ColumnUse{{Name: "id", Use: access.UseWrite | access.UsePredicate}}}}}
	for name, c := range map[string]struct {
		scopes []string
		facts  *access.Facts
		want   access.Effect
		needs  []string
		masked int
	}{
		"reading":              {[]string{"db:read", "openid"}, reading("id", "email"), access.Allow, nil, 1},
		"reading_and_seeing":   {[]string{"db:read", "db:see"}, reading("id", "email"), access.Allow, nil, 0},
		"writing_to_read":      {[]string{"db:read", "openid"}, write, access.Deny, []string{"db:read", "db:write"}, -1},
		"writing":              {[]string{"db:write"}, write, access.Allow, nil, -1},
		"seeing_alone_to_read": {[]string{"db:see"}, reading("id"), access.Deny, []string{"db:see", "db:read"}, -1},
		"nothing":              {[]string{"openid"}, reading("id"), access.Deny, []string{"db:read"}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			in := input(c.facts, set)
			in.Principal.Proof = access.Proof{Scoped: true, Scopes: c.scopes, Grants: grants}
			d := sqlguard.Decide(in)
			if d.Effect != c.want || !slices.Equal(d.Scopes, c.needs) || d.Effect == access.Deny && !strings.Contains(d.Message, "scopes") {
				t.Errorf("%+v", d)
			}
			if c.masked >= 0 && len(slices.DeleteFunc(d.Masked, func(id access.ColumnID) bool { return id.Column != "email" })) != c.masked {
				t.Errorf("masked %v", d.Masked)
			}
			if u := sqlguard.Unrestricted(in.Principal, "shop", access.DoorMCP, set); u.Effect != access.Deny || u.Scopes != nil {
				t.Errorf("unrestricted: %+v", u) // no scope of the provider covers it
			}
		})
	}
	in := input(write, load(t, `permit (principal, action in [Action::"connect", Action::"read"], resource in Connection::"shop");`))
	in.Principal.Proof = access.Proof{Scoped: true, Scopes: []string{"db:read"}, Grants: grants}
	if d := sqlguard.Decide(in); d.Effect != access.Deny || d.Scopes != nil {
		t.Errorf("asks for a scope that would not help: %+v", d)
	}
}

// A token that is good for less shows no row more: a condition of a permit that its scopes leave out still holds.
func TestFewerScopesShowNoMoreRows(t *testing.T) {
	set := load(t, `
permit (principal, action in [Action::"connect", Action::"read"], resource in Connection::"shop");
@where("id = 1") permit (principal, action == Action::"write", resource in Connection::"shop");`)
	for _, scopes := range [][]string{nil, {"read"}, {"read", "write"}} {
		in := input(reading("id"), set)
		in.Principal.Proof = access.Proof{Scoped: scopes != nil, Scopes: scopes}
		if d := sqlguard.Decide(in); d.Effect != access.Allow || len(d.Filters) != 1 {
			t.Errorf("%v: %+v", scopes, d)
		}
	}
}
