package sqlguard

import (
	"fmt"
	"regexp"

	"sallyport/internal/access"
	"sallyport/sqlguard/rowfilter"
)

// Sessions may set how dates, zones, intervals, sums of money, arrays and names of relations are read. A row filter has to
// mean the same under all of that, or whoever is held by it could move it.

// steadyTypes are the types (pg_type.dat) whose input no setting changes.
var steadyTypes = map[uint32]bool{
	16: true, 17: true, 18: true, 19: true, 20: true, 21: true, 23: true, 25: true, 26: true, // bool, bytea, "char", name, int8, int2, int4, text, oid
	650: true, 700: true, 701: true, 774: true, 829: true, 869: true, // cidr, float4, float8, macaddr8, macaddr, inet
	1042: true, 1043: true, 1560: true, 1562: true, 1700: true, 2950: true, 3802: true, // bpchar, varchar, bit, varbit, numeric, uuid, jsonb
}

const (
	day     = `\d{4}-\d\d-\d\d`
	daytime = `\d\d:\d\d(:\d\d(\.\d+)?)?`
)

// steadyForms are the types of which only some forms of input mean the same under every setting.
var steadyForms = map[uint32]*regexp.Regexp{
	1082: regexp.MustCompile(`^` + day + `$`),                                                  // date
	1083: regexp.MustCompile(`^` + daytime + `$`),                                              // time
	1114: regexp.MustCompile(`^` + day + `([ T]` + daytime + `)?$`),                            // timestamp
	1184: regexp.MustCompile(`^` + day + `[ T]` + daytime + `(Z|[+-]\d\d(:?\d\d(:?\d\d)?)?)$`), // timestamptz
}

// steady says why a comparison would not mean the same whatever is set, or "".
func steady(cat *access.Catalog, rel *access.Relation, c rowfilter.Comparison) string {
	column := rel.Column(c.Column)
	left := under(cat, column.TypeOID)
	if c.Other != "" {
		right := under(cat, rel.Column(c.Other).TypeOID)
		if left == right || plain(cat, left) && plain(cat, right) {
			return ""
		}
		return fmt.Sprintf("how %s compares with %s depends on what a session sets", c.Column, c.Other)
	}
	form := steadyForms[left]
	switch {
	case plain(cat, left), form != nil && form.MatchString(c.Text):
		return ""
	case form != nil:
		return fmt.Sprintf("what a constant means as %s depends on what a session sets: write it as 2026-01-31, a timestamp with time zone as 2026-01-31 12:00:00+00", column.Type)
	}
	return fmt.Sprintf("what a constant means as %s depends on what a session sets", column.Type)
}

// firstUserOID is FirstNormalObjectId: types below it are the server's own.
const firstUserOID = 16384

// plain tells whether no setting changes how values of a type are read. Base types of users are taken at that: only a
// superuser can have made them.
func plain(cat *access.Catalog, oid uint32) bool {
	if steadyTypes[oid] {
		return true
	}
	t := cat.TypeByOID[oid]
	return t != nil && oid >= firstUserOID && (t.Kind == 'e' || t.Kind == 'b' && t.Elem == 0)
}

// under is the type that a domain is made of.
func under(cat *access.Catalog, oid uint32) uint32 {
	for range 32 {
		t := cat.TypeByOID[oid]
		if t == nil || t.Kind != 'd' {
			return oid
		}
		oid = t.Base
	}
	return 0
}
