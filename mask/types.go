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
	typ   domain // the column's own type
	array bool
	elem  domain // arrays: the elements' type
	// What is below is of the column's base type, of the elements' for arrays.
	family family
	oid    uint32
	// width is the most characters that the type holds, or 0 when unlimited.
	width  int
	citext bool
}

// shapeOf resolves a column's type down to a base type. An unknown type becomes otherFamily with its
// own name, for which NULL is the only mask: no input function of a foreign type is ever called.
func shapeOf(cat *access.Catalog, col *access.Column) shape {
	s := shape{}
	s.typ, s.oid = domainOf(cat, col.TypeOID, col.Type)
	scalar := s.typ
	if e := elementOf(cat, s.oid); e != 0 {
		s.array = true
		s.elem, s.oid = domainOf(cat, e, strings.TrimSuffix(s.typ.base, "[]"))
		scalar = s.elem
	}
	s.width = typeWidth(scalar.base)
	if t := userType(cat, s.oid); t != nil {
		if t.Name.Name == "citext" && t.Category == 'S' && t.Kind == 'b' {
			s.family, s.citext = textFamily, true
		}
	} else {
		s.family = families[s.oid]
	}
	if !s.array {
		s.typ.family = s.family
	}
	s.elem.family = s.family
	return s
}

// elementOf gives the type of an array's elements, or 0 for what is no array that masks could fill.
func elementOf(cat *access.Catalog, oid uint32) uint32 {
	if e, ok := elements[oid]; ok {
		return e
	}
	if t := userType(cat, oid); t != nil && t.Category == 'A' && t.Kind == 'b' {
		return t.Elem
	}
	return 0
}

func userType(cat *access.Catalog, oid uint32) *access.Type {
	if cat == nil || oid < firstUserOID {
		return nil
	}
	return cat.TypeByOID[oid]
}

// typeWidth reads n out of "character varying(n)" and "character(n)".
func typeWidth(name string) int {
	if !strings.HasPrefix(name, "character") {
		if name == "name" {
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
