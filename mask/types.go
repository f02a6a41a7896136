package mask

import (
	"strings"

	"sallyport/internal/access"
)

// family groups the types that transforms treat alike.
type family uint8

const (
	otherFamily family = iota // only redact and null apply
	textFamily                // text, varchar, bpchar, name, citext
	charFamily                // "char", one byte
	intFamily
	numericFamily
	floatFamily
	dateFamily
	timestampFamily
	timestamptzFamily
	uuidFamily
)

// Object identifiers of built-in types (pg_type.dat). They never change.
const (
	oidChar        = 18
	oidName        = 19
	oidInt8        = 20
	oidInt2        = 21
	oidInt4        = 23
	oidText        = 25
	oidFloat4      = 700
	oidFloat8      = 701
	oidBpchar      = 1042
	oidVarchar     = 1043
	oidDate        = 1082
	oidTimestamp   = 1114
	oidTimestamptz = 1184
	oidNumeric     = 1700
	oidUUID        = 2950

	firstUserOID = 16384 // FirstNormalObjectId
)

var families = map[uint32]family{
	oidChar: charFamily, oidName: textFamily, oidText: textFamily, oidBpchar: textFamily, oidVarchar: textFamily,
	oidInt2: intFamily, oidInt4: intFamily, oidInt8: intFamily,
	oidNumeric: numericFamily, oidFloat4: floatFamily, oidFloat8: floatFamily,
	oidDate: dateFamily, oidTimestamp: timestampFamily, oidTimestamptz: timestamptzFamily, oidUUID: uuidFamily,
}

// elements maps built-in array types to their element type.
var elements = map[uint32]uint32{
	1002: oidChar, 1003: oidName, 1009: oidText, 1014: oidBpchar, 1015: oidVarchar,
	1005: oidInt2, 1007: oidInt4, 1016: oidInt8, 1231: oidNumeric, 1021: oidFloat4, 1022: oidFloat8,
	1182: oidDate, 1115: oidTimestamp, 1185: oidTimestamptz, 2951: oidUUID,
}

// shape is what a mask has to know about a column's type.
type shape struct {
	family family
	array  bool
	oid    uint32 // of the base type, of the element for arrays
	// cast is the type that the masked expression is cast to. It is the column's own type, except
	// that a domain which could reject a value is replaced by its base type; clients see no
	// difference because RowDescription speaks of base types only.
	cast string
	elem string // arrays: the element's type
	// width is the most characters that the type holds, or 0 when unlimited.
	width  int
	citext bool
}

// shapeOf resolves a column's type down to a base type. An unknown type becomes otherFamily with its
// own name, for which NULL is the only mask: no input function of a foreign type is ever called.
func shapeOf(cat *access.Catalog, col *access.Column) shape {
	oid, name, cast := col.TypeOID, col.Type, col.Type
	for range maxDomains {
		t := userType(cat, oid)
		if t == nil || t.Kind != 'd' {
			break
		}
		oid, name = t.Base, t.BaseType
	}
	if !castable(cat, col.TypeOID) {
		cast = name
	}
	s := shape{oid: oid, cast: cast, width: typeWidth(name)}
	if e, ok := elements[oid]; ok {
		s.array, s.oid, s.elem, s.family = true, e, strings.TrimSuffix(name, "[]"), families[e]
		return s
	}
	if t := userType(cat, oid); t != nil {
		if t.Name.Name == "citext" && t.Category == 'S' && t.Kind == 'b' {
			s.family, s.citext = textFamily, true
		}
		return s
	}
	s.family = families[oid]
	return s
}

// maxDomains bounds the walk down a chain of domains. A catalog has no cycle; a wrong snapshot might.
const maxDomains = 32

// castable tells whether every domain from oid down accepts any value of its base type.
func castable(cat *access.Catalog, oid uint32) bool {
	for range maxDomains {
		t := userType(cat, oid)
		if t == nil || t.Kind != 'd' {
			return true
		}
		if t.Checks || t.NotNull {
			return false
		}
		oid = t.Base
	}
	return false
}

func userType(cat *access.Catalog, oid uint32) *access.Type {
	if cat == nil || oid < firstUserOID {
		return nil
	}
	return cat.TypeByOID[oid]
}

// typeWidth reads n out of "character varying(n)" and "character(n)", with or without "[]".
func typeWidth(name string) int {
	if !strings.HasPrefix(name, "character") {
		if strings.TrimSuffix(name, "[]") == "name" {
			return 63 // NAMEDATALEN - 1
		}
		return 0
	}
	open, end := strings.IndexByte(name, '('), strings.IndexByte(name, ')')
	if open < 0 || end < open {
		return 0
	}
	n := 0
	for _, c := range name[open+1 : end] {
		if c < '0' || c > '9' || n > 1<<24 {
			return 0
		}
		n = n*10 + int(c-'0')
	}
	return n
}
