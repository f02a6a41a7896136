package mask

import (
	"strings"

	"sallyport/internal/access"
)

// domain is a type by its own name, with what its constraints ask of a value. A type that is no domain is
// one without constraints.
type domain struct {
	name   string // the type itself
	base   string // the type below all domains, with its modifier
	family family // of the base type
	strict bool   // a value of the base type, or NULL, could be rejected
	// checks are conditions over checkRef that decide alike; with unknown there is one that the masks
	// cannot decide, so no value is believed to pass.
	checks  []string
	unknown bool
}

// maxDomains bounds the walk down a chain of domains. A catalog has no cycle; a wrong snapshot might.
const maxDomains = 32

// domainOf reads a type down to its base type, whose object identifier it gives too.
func domainOf(cat *access.Catalog, oid uint32, name string) (domain, uint32) {
	d := domain{name: name, base: name}
	for range maxDomains {
		t := userType(cat, oid)
		if t == nil || t.Kind != 'd' {
			break
		}
		oid, d.base = t.Base, t.BaseType
		if !t.Checks && !t.NotNull {
			continue
		}
		d.strict = true
		d.unknown = d.unknown || t.Checks && len(t.CheckSQL) == 0
		for _, sql := range t.CheckSQL {
			check, ok := readCheck(cat, sql)
			d.unknown = d.unknown || !ok
			d.checks = append(d.checks, check)
		}
	}
	if oid == oidName { // its collation is its own: a check would be decided by another one
		d.unknown = d.unknown || len(d.checks) > 0
	}
	return d, oid
}

// null is NULL of this very type. A cast of NULL would be put to the constraints, which may reject it, so
// for a strict domain it is taken out of an empty array: the server itself lets a domain be NULL there, as
// in the outer part of a join.
func (d domain) null() string {
	if d.strict {
		return "(CAST('{}' AS " + d.name + "[]))[1]"
	}
	return "CAST(NULL AS " + d.name + ")"
}

// value casts an expression to this type, or gives NULL where a constraint would reject it. The server
// tests the constraints again, on the masked value; it finds none broken, so the read cannot fail by one.
func (d domain) value(expr string) string {
	switch {
	case !d.strict:
		return "CAST(" + expr + " AS " + d.name + ")"
	case d.unknown:
		return d.null()
	}
	expr = "CAST(" + expr + " AS " + d.base + ")"
	return "CAST(CASE WHEN " + d.accepts(expr) + " THEN CAST(" + expr + " AS " + d.name + ") ELSE " + d.null() + " END AS " + d.name + ")"
}

// accepts is the condition that a value of the base type is not NULL and breaks no constraint. (NULL may be
// accepted too; domain.null needs nobody's consent.)
func (d domain) accepts(expr string) string {
	subject := "(" + expr + ")"
	if d.family == textFamily {
		subject = "(" + expr + ` COLLATE pg_catalog."default")` // as in the constraint, whatever the column's is
	}
	cond := "(" + expr + ") IS NOT NULL"
	for _, c := range d.checks {
		cond += " AND (" + strings.ReplaceAll(c, checkRef, subject) + ") IS NOT FALSE"
	}
	return cond
}
