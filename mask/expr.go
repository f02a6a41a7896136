package mask

import (
	"strconv"
	"strings"
)

// colRef stands for the masked column in an expression's text; splice replaces it in the tree.
const colRef = "sallyport_value"

// The settings that hold the two padded key blocks of HMAC-SHA256 (RFC 2104) as hex. The gateway
// sets them for each upstream session and keeps clients from reading them.
const (
	SettingInner = "sallyport.ipad"
	SettingOuter = "sallyport.opad"
)

// expression gives the SQL text of t over colRef for a column of shape s. Three rules hold for all:
//
//   - It is error-free on every value of the type. Whatever could fail (a regular expression on a
//     gigabyte, a truncated date before the calendar's start, an overflowing product) is cut off
//     by a condition first, for whether an error comes back tells something about the value.
//   - Redact and Null do not mention the column. Every other transform keeps NULL.
//   - Names are qualified, operators too, so no search_path can redirect them; nothing volatile, so
//     that PostgreSQL flattens the subquery.
func (t Transform) expression(s shape) string {
	if t.fits(s) != "" {
		t = Transform{}
	}
	if t.Kind == Redact || t.Kind == Null {
		return t.constant(s)
	}
	if s.array {
		return s.typ.value(t.eachElement(s))
	}
	return s.typ.value("CASE WHEN " + colRef + " IS NULL THEN NULL ELSE " + t.value(s, colRef) + " END")
}

// constant is one value of the type for every value of the column, and for NULL: not even the shape of an
// array stays.
func (t Transform) constant(s shape) string {
	switch {
	case t.Kind == Redact && s.family == textFamily && s.array:
		return s.typ.value("ARRAY[" + s.elem.value("'***'") + "]")
	case t.Kind == Redact && !s.array && (s.family == textFamily || s.family == charFamily):
		return s.typ.value("'***'")
	}
	return s.typ.null()
}

// value masks one value v that is not NULL.
func (t Transform) value(s shape, v string) string {
	switch t.Kind {
	case Partial:
		return partial(t.Style, "CAST("+v+" AS pg_catalog.text)")
	case Token:
		return token(s, v)
	default:
		return t.generalise(s, v)
	}
}

// partialStyles are the SQL expressions of the partial masks over a text T. Image says the same in
// Go; the two are tested against each other.
//
// COLLATE "C" stands only where the result is no text: a nondeterministic collation would make
// strpos and regular expressions fail, and a "C" that reached the result would clash with the
// collation of what it is compared to. The digits pass through integer for the same reason.
//
// A read of a million rows pays for every step here a million times. Counted repetition of more than a
// few ({0,252}) costs ten times the rest of a mask: right() bounds the domain as well.
var partialStyles = map[string]string{
	"email": `CASE WHEN pg_catalog.strpos($T COLLATE pg_catalog."C", '@') OPERATOR(pg_catalog.>) 1
		AND pg_catalog.right($T, 254) COLLATE pg_catalog."C" OPERATOR(pg_catalog.~) '@[A-Za-z0-9][A-Za-z0-9.-]*$'
		THEN pg_catalog.concat(pg_catalog.left($T, 1), '***@', pg_catalog.right($T, pg_catalog.length(
			pg_catalog.split_part(pg_catalog.right($T, 254) COLLATE pg_catalog."C", '@', -1))))
		ELSE '***' END`,
	"phone":   lastDigits(2, 7),
	"card":    lastDigits(4, 12),
	"generic": `pg_catalog.concat(pg_catalog.left($T, 1), '***')`,
}

// lastDigits keeps the last n of at least min ASCII digits among the last 64 characters.
func lastDigits(n, min int) string {
	r := strings.NewReplacer("#N", strconv.Itoa(n), "#MORE", strconv.Itoa(min-1))
	return r.Replace(`CASE WHEN pg_catalog.right($T, 64) COLLATE pg_catalog."C" OPERATOR(pg_catalog.~) '[0-9](?:[^0-9]*[0-9]){#MORE}'
		THEN pg_catalog.concat('********', pg_catalog.lpad(CAST(CAST(pg_catalog.right(pg_catalog.regexp_replace(
			pg_catalog.right($T, 64) COLLATE pg_catalog."C", '[^0-9]+', '', 'g'), #N) AS pg_catalog.int4) AS pg_catalog.text), #N, '0'))
		ELSE '***' END`)
}

func partial(style, text string) string {
	return strings.ReplaceAll(partialStyles[style], "$T", text)
}

// generalise puts a value into its bucket. Truncation is towards zero, so a result never needs more
// digits than the value had; the bucket around zero is twice as wide.
func (t Transform) generalise(s shape, v string) string {
	bucket := func(num string) string {
		return "pg_catalog.div(" + num + ", " + t.Bucket + "::pg_catalog.numeric) OPERATOR(pg_catalog.*) " + t.Bucket + "::pg_catalog.numeric"
	}
	switch s.family {
	case intFamily:
		return bucket("CAST(" + v + " AS pg_catalog.numeric)")
	case numericFamily:
		return bucket(v)
	case floatFamily:
		// Nearer to the type's limit, rounding to 15 digits could overflow on the way back.
		limit := "1e300"
		if s.oid == oidFloat4 {
			limit = "1e37"
		}
		f := "CAST(" + v + " AS pg_catalog.float8)"
		return "CASE WHEN pg_catalog.abs(" + f + ") OPERATOR(pg_catalog.<) '" + limit + "'::pg_catalog.float8 THEN " + bucket("CAST("+f+" AS pg_catalog.numeric)") + " END"
	case dateFamily:
		return inCalendar("date", v, "pg_catalog.date_trunc('"+t.Style+"', CAST("+v+" AS pg_catalog.timestamp))")
	case timestampFamily:
		return inCalendar("timestamp", v, "pg_catalog.date_trunc('"+t.Style+"', "+v+")")
	case timestamptzFamily:
		// In UTC always: the session's TimeZone would shift the bucket's borders at the asker's wish.
		return inCalendar("timestamptz", v, "pg_catalog.timezone('UTC', pg_catalog.date_trunc('"+t.Style+"', pg_catalog.timezone('UTC', "+v+")))")
	default:
		return "pg_catalog.concat(pg_catalog.left(CAST(" + v + " AS pg_catalog.text), " + t.Bucket + "), '***')"
	}
}

// inCalendar gives NULL for values (infinity too) whose truncation could leave the type's range.
func inCalendar(typ, v, then string) string {
	zone := ""
	if typ == "timestamptz" {
		zone = " 00:00:00+00"
	}
	return "CASE WHEN " + v + " OPERATOR(pg_catalog.>) '4700-01-01" + zone + " BC'::pg_catalog." + typ +
		" AND " + v + " OPERATOR(pg_catalog.<) '290000-01-01" + zone + "'::pg_catalog." + typ + " THEN " + then + " END"
}
