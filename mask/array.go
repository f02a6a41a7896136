package mask

import (
	"strconv"
	"strings"
)

// elemRef names the element of an array inside an expression, its place in line with it. No column of
// an array that is masked may be in their way, so the names are not ones that somebody would give.
const (
	elemTable = "sallyport_element"
	elemRef   = elemTable + ".sallyport_v"
	elemPlace = elemTable + ".sallyport_i"
	elemShape = elemTable + ".sallyport_s"
)

// eachElement masks an array element by element. Dimensions and lower bounds stay, and so does which
// elements are NULL.
//
// ARRAY(SELECT ...) makes arrays of one dimension that begin at 1, which nearly all are. Any other is
// written as text and read again.
func (t Transform) eachElement(s shape) string {
	return "CASE WHEN " + colRef + " IS NULL THEN NULL WHEN pg_catalog.array_ndims(" + colRef + ") OPERATOR(pg_catalog.>) 1" +
		" OR pg_catalog.array_lower(" + colRef + ", 1) OPERATOR(pg_catalog.<>) 1 THEN " + t.shaped(s) +
		" ELSE ARRAY(SELECT " + s.elem.value(t.element(s)) + " FROM pg_catalog.unnest(" + colRef + ") AS " + elemTable + "(sallyport_v)) END"
}

// element is the masked element, in no particular type.
func (t Transform) element(s shape) string {
	return "CASE WHEN " + elemRef + " IS NULL THEN NULL ELSE " + t.value(s, elemRef) + " END"
}

// shaped writes the masked elements into the text of an array of the same shape, [0:1][1:2]={{x,x},{x,x}}: what
// is between the x's, one piece after the other, each with the element that follows it.
//
// array_out puts quotes where they are needed: an element is the text of an array of one, without its braces.
func (t Transform) shaped(s shape) string {
	const inside = elemPlace + " OPERATOR(pg_catalog.<=) pg_catalog.cardinality(" + colRef + ")"
	bounds := func(f string) string { // six is MAXDIM
		var all []string
		for d := range 6 {
			all = append(all, "pg_catalog."+f+"("+colRef+", "+strconv.Itoa(d+1)+")")
		}
		return "pg_catalog.array_remove(ARRAY[" + strings.Join(all, ", ") + "], NULL)"
	}
	outline := "CAST(pg_catalog.array_fill(CAST('x' AS pg_catalog.text), " + bounds("array_length") + ", " + bounds("array_lower") + ") AS pg_catalog.text)"
	quoted := `pg_catalog."right"(pg_catalog."left"(CAST(ARRAY[CASE WHEN ` + elemRef + " IS NULL THEN NULL ELSE " + t.text(s) + ` END] AS pg_catalog.text), -1), -1)`
	array := "CAST(pg_catalog.string_agg(pg_catalog.concat(" + elemShape + ", CASE WHEN " + inside + " THEN " + quoted + " ELSE '' END), '' ORDER BY " + elemPlace + ") AS " + s.elem.name + "[])"
	switch {
	case s.elem.unknown:
		return "CAST(NULL AS " + s.elem.name + "[])"
	case s.elem.strict: // reading its text would put NULL to the constraint: all elements pass, or the array is NULL
		array = "CASE WHEN pg_catalog.bool_and(CASE WHEN " + inside + " THEN " + s.elem.accepts("CAST("+t.element(s)+" AS "+s.elem.base+")") + " ELSE true END) THEN " + array + " END"
	}
	return "(SELECT " + array + " FROM ROWS FROM (pg_catalog.unnest(pg_catalog.string_to_array(" + outline + ", 'x')), pg_catalog.unnest(" + colRef + "))" +
		" WITH ORDINALITY AS " + elemTable + "(sallyport_s, sallyport_v, sallyport_i))"
}

// text is the masked element as text that its type reads the same under any settings: no date in the style
// of the session, no float cut to its digits.
func (t Transform) text(s shape) string {
	value := t.value(s, elemRef)
	switch s.family {
	case dateFamily, timestampFamily:
		return "pg_catalog.to_char(" + value + ", 'YYYY-MM-DD BC')"
	case timestamptzFamily:
		return "pg_catalog.to_char(pg_catalog.timezone('UTC', " + value + "), 'YYYY-MM-DD \"00:00:00+00\" BC')"
	case floatFamily: // bucket gives a numeric
		return "CAST(" + value + " AS pg_catalog.text)"
	default:
		return "CAST(CAST(" + value + " AS " + s.elem.base + ") AS pg_catalog.text)"
	}
}
