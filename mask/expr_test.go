package mask

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
	"sallyport/internal/testdb"
)

// testKey is the key of the settings that tests give their sessions.
const testKey = "a key that only tests know"

func connect(t *testing.T, initSQL ...string) *pgx.Conn {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, testdb.Shared(t).NewDatabase(t, initSQL...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(ctx) })
	var ipad, opad [64]byte
	copy(ipad[:], testKey)
	copy(opad[:], testKey)
	for i := range ipad {
		ipad[i] ^= 0x36
		opad[i] ^= 0x5c
	}
	_, err = conn.Exec(ctx, "SELECT set_config($1, $2, false), set_config($3, $4, false)",
		SettingInner, hex.EncodeToString(ipad[:]), SettingOuter, hex.EncodeToString(opad[:]))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// typeCase is a column type with SQL expressions of values that are likely to break a mask.
type typeCase struct {
	typ    string
	values []string
	random func(r *rand.Rand) string
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

var alphabet = []rune("abcXYZ019@@..-+() '\"\\\t\nßéñ中文😀%_$[]{}")

func randomText(r *rand.Rand) string {
	n := r.IntN(30)
	if r.IntN(8) == 0 {
		n = r.IntN(600)
	}
	b := make([]rune, n)
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	switch r.IntN(4) {
	case 0:
		return string(b) + "@example.org"
	case 1:
		return fmt.Sprintf("+%d %s %d", r.IntN(99), string(b), r.IntN(1e9))
	}
	return string(b)
}

var textValues = []string{"''", "'@'", "'@x.io'", "'a@'", "'a@x.io'", "'a@b@c.io'", "'é@x.io'", `'\'`, `'\x00'`, "repeat('9', 300)", "repeat('a', 400) || '@x.io'", "'+49 170 1234567'", "'4111 1111 1111 1111'", "'٠١٢٣٤٥٦٧٨٩'", "repeat('x', 1100000)",
	// Where the last 254 characters end, and those of a number's 64.
	"'a@' || repeat('b', 252)", "'a@' || repeat('b', 253)", "'a@' || repeat('b', 254)", "'é@' || repeat('b', 253)", "'a@b@' || repeat('c', 253)",
	"'a@' || repeat('é', 252)", "'1' || repeat('x', 57) || '234567'", "'1' || repeat('x', 58) || '234567'", "'12345678901' || repeat('é', 52) || '2'"}

func fitted(n int) []string {
	var out []string
	for _, v := range textValues {
		out = append(out, fmt.Sprintf("left(%s, %d)", v, n))
	}
	return out
}

func textCase(typ string, width int) typeCase {
	c := typeCase{typ: typ, values: textValues, random: func(r *rand.Rand) string { return quote(randomText(r)) }}
	if width > 0 {
		c.values = fitted(width)
		c.random = func(r *rand.Rand) string { return fmt.Sprintf("left(%s, %d)", quote(randomText(r)), width) }
	}
	return c
}

func intCase(typ string, bits uint) typeCase {
	return typeCase{typ,
		[]string{"0", "-1", "9", "10", "-10", fmt.Sprint(int64(1)<<(bits-1) - 1), fmt.Sprintf("'%d'", -(int64(1) << (bits - 2) << 1))},
		func(r *rand.Rand) string { return fmt.Sprint(int64(r.Uint64()) >> (64 - bits)) }}
}

func floatCase(typ, big, small string) typeCase {
	return typeCase{typ, []string{"0", "'-0'", "'NaN'", "'Infinity'", "'-Infinity'", quote(big), quote("-" + big), quote(small), "'9.999e36'", "'-1e37'", "99.95"},
		func(r *rand.Rand) string { return fmt.Sprintf("%g", r.NormFloat64()*1e6) }}
}

func emailCase(typ string) typeCase {
	return typeCase{typ, []string{"'a@x.io'", "'bcd@y.example'", "repeat('a', 400) || '@x.io'", `'"quo\ted, {x}"@x.io'`}, func(r *rand.Rand) string { return fmt.Sprintf("'u%d@h%d.org'", r.Int(), r.IntN(9)) }}
}

// arrayOf makes arrays of a type's values: of no, one and three dimensions, from other lower bounds, with NULL in them.
func arrayOf(c typeCase) typeCase {
	out := typeCase{typ: c.typ + "[]", values: []string{"'{}'"}}
	cast := func(v string) string { return "CAST(" + v + " AS " + c.typ + ")" }
	var all []string
	for _, v := range c.values {
		if !strings.Contains(v, "1100000") { // a few of those are enough
			all = append(all, cast(v))
		}
	}
	list := strings.Join(all, ", ")
	typ := out.typ
	null := "NULL"
	if c.typ == "required_address" {
		null = all[0]
	}
	first, last := all[0], all[len(all)-1]
	out.values = append(out.values, "array["+list+"]", "array["+list+", "+null+"]", fmt.Sprintf("array[array[%s, %s], array[%s, %s]]", first, null, last, first),
		fmt.Sprintf("array[[[%s]], [[%s]], [[%s]]]", first, last, null),
		fmt.Sprintf("array_cat(array_fill(%s, array[2], array[0]), array[%s]::%s)", first, list, typ), fmt.Sprintf("array_fill(%s, array[2,3,1], array[-1,5,1])", last))
	out.random = func(r *rand.Rand) string {
		if r.IntN(2) == 0 {
			return "array[" + cast(c.random(r)) + "]"
		}
		return fmt.Sprintf("array_fill(%s, array[%d,%d], array[%d,%d])", cast(c.random(r)), 1+r.IntN(3), 1+r.IntN(3), r.IntN(5)-2, r.IntN(5)-2)
	}
	return out
}

func dateCase(typ string) typeCase {
	last := map[string]string{"date": "5874897-12-31"}[typ]
	if last == "" {
		last = "294276-12-31 23:59:59"
	}
	return typeCase{typ, []string{"'infinity'", "'-infinity'", "'4714-11-24 00:00:00+00 BC'", "'4714-12-15 00:00:00+00 BC'", "'4713-06-15 00:00:00+00 BC'", quote(last + "+00"), "'0001-01-01 BC'", "'0001-01-01'", "'1999-12-31 23:59:59.999999'", "'2000-02-29'"},
		func(r *rand.Rand) string {
			return fmt.Sprintf("'epoch'::timestamptz + interval '%d s'", r.Int64N(4e10)-2e10)
		}}
}

func numericCase(typ, big string) typeCase {
	return typeCase{typ, []string{"0", "0.04", "-0.04", big, "-" + big, "'NaN'", "9.95", "-9.95"},
		func(r *rand.Rand) string { return fmt.Sprintf("%.3f", r.Float64()*150-75) }}
}

var typeCases = []typeCase{
	textCase("text", 0), textCase("character varying", 0), textCase("character varying(3)", 3), textCase("character varying(40)", 40),
	textCase("character(1)", 1), textCase("character(30)", 30), textCase("bpchar", 0), textCase("name", 60), textCase(`"char"`, 0), textCase("citext", 0),
	textCase("nocase", 0), textCase("plain_domain", 0), textCase("checked_domain", 0), textCase("domain_of_domain", 0), textCase("outer_of_checked", 0),
	intCase("smallint", 16), intCase("integer", 32), intCase("bigint", 64), intCase("positive", 16),
	numericCase("numeric", "1e1000"), numericCase("numeric(4,2)", "99.99"), numericCase("numeric(30,1)", "99999999999999999999999999999.9"),
	floatCase("real", "3.4028234e38", "1e-45"), floatCase("double precision", "1.7976931348623157e308", "5e-324"),
	dateCase("date"), dateCase("timestamp without time zone"), dateCase("timestamp with time zone"), dateCase("timestamp(0) without time zone"),
	{"uuid", []string{"'00000000-0000-0000-0000-000000000000'"}, func(r *rand.Rand) string { return fmt.Sprintf("md5('%d')::uuid", r.Int()) }},
	{"uuid_domain", []string{"'00000000-0000-0000-0000-000000000000'"}, func(r *rand.Rand) string { return fmt.Sprintf("md5('%d')::uuid", r.Int()) }},
	textCase("required", 0), textCase("by_function", 0), textCase("failing", 0), textCase("fussy", 0), textCase("checked_width", 20), textCase("folded_check", 0),
	emailCase("address"), emailCase("citext_address"), emailCase("required_address"), emailCase("addresses_inner"),
	numericCase("percent", "99.99"), dateCase("recent"),
	arrayOf(textCase("text", 0)), arrayOf(textCase("character varying(5)", 5)), arrayOf(textCase("character(7)", 7)), arrayOf(textCase("name", 60)), arrayOf(textCase("citext", 0)), arrayOf(textCase(`"char"`, 0)),
	arrayOf(intCase("smallint", 16)), arrayOf(intCase("integer", 32)), arrayOf(intCase("bigint", 64)), arrayOf(numericCase("numeric(4,2)", "99.99")),
	arrayOf(floatCase("real", "3.4028234e38", "1e-45")), arrayOf(floatCase("double precision", "1.7976931348623157e308", "5e-324")),
	arrayOf(dateCase("date")), arrayOf(dateCase("timestamp without time zone")), arrayOf(dateCase("timestamp with time zone")),
	arrayOf(typeCase{"uuid", []string{"'00000000-0000-0000-0000-000000000000'"}, func(r *rand.Rand) string { return fmt.Sprintf("md5('%d')::uuid", r.Int()) }}),
	arrayOf(textCase("plain_domain", 0)), arrayOf(textCase("nocase", 0)), arrayOf(textCase("checked_domain", 0)), arrayOf(textCase("by_function", 0)), arrayOf(textCase("failing", 0)), arrayOf(emailCase("address")),
	arrayOf(emailCase("required_address")), arrayOf(intCase("positive", 16)), arrayOf(typeCase{"mood", []string{"'sad'"}, func(*rand.Rand) string { return "'ok'" }}),
	{"list_domain", []string{"'{}'", "array['a@x.io']", "'{{a,b},{c,d}}'"}, func(r *rand.Rand) string { return "array[" + quote(randomText(r)) + "]" }},
	{"short_list", []string{"'{}'", "array['a@x.io']", "'[0:1]={a,b}'"}, func(r *rand.Rand) string { return "array[" + quote(randomText(r)) + "]" }},
	{"addresses", []string{"'{}'", "array['a@x.io']", "array['a@x.io', 'bcd@y.io']"}, func(r *rand.Rand) string { return "array['x@' || " + fmt.Sprint(r.IntN(1e6)) + "|| '.org']" }},
	{"json", []string{`'{"a":1}'`}, func(*rand.Rand) string { return "'[1]'" }},
	{"jsonb[]", []string{`array['{"a":1}']::jsonb[]`}, func(*rand.Rand) string { return "'{1}'" }},
	{"hstore", []string{"'a=>1'"}, func(*rand.Rand) string { return "'b=>2'" }},
	{"tsvector", []string{"'some words'"}, func(*rand.Rand) string { return "'others'" }},
	{"tsquery", []string{"'some & words'"}, func(*rand.Rand) string { return "'others'" }},
	{"int4multirange", []string{"'{[1,2),[5,9)}'"}, func(*rand.Rand) string { return "'{}'" }},
	{"span", []string{"'[a,b)'"}, func(*rand.Rand) string { return "'empty'" }},
	{"int4range[]", []string{"array['[1,2)'::int4range]"}, func(*rand.Rand) string { return "'{empty}'" }},
	{"money[]", []string{"array[1::money]"}, func(*rand.Rand) string { return "'{}'" }},
	{"pair[]", []string{"array[row(1, 'x')::pair]"}, func(*rand.Rand) string { return "'{}'" }},
	{"pair_domain", []string{"row(1,'x')"}, func(*rand.Rand) string { return "row(2,'y')" }},
	{"cidr", []string{"'10.0.0.0/8'"}, func(*rand.Rand) string { return "'::/0'" }},
	{"macaddr", []string{"'08:00:2b:01:02:03'"}, func(*rand.Rand) string { return "'08:00:2b:01:02:04'" }},
	{"box[]", []string{"'{(1,2),(3,4);(5,6),(7,8)}'"}, func(*rand.Rand) string { return "'{}'" }},
	{"point", []string{"'(1,2)'"}, func(*rand.Rand) string { return "'(3,4)'" }},
	{"oid", []string{"1"}, func(*rand.Rand) string { return "2" }},
	{"pg_lsn", []string{"'0/1'"}, func(*rand.Rand) string { return "'0/2'" }},
	{"jsonpath", []string{"'$.a'"}, func(*rand.Rand) string { return "'$.b'" }},
	{"time without time zone", []string{"'10:00'"}, func(*rand.Rand) string { return "'11:00'" }},
	{"jsonb", []string{`'{"a":1}'`}, func(*rand.Rand) string { return "'[1]'" }},
	{"boolean", []string{"true"}, func(*rand.Rand) string { return "false" }},
	{"bytea", []string{`'\x00'`}, func(*rand.Rand) string { return `'\xff'` }},
	{"interval day to second(2)", []string{"'1 day'"}, func(*rand.Rand) string { return "'2 h'" }},
	{"bit(5)", []string{"B'10101'"}, func(*rand.Rand) string { return "B'00000'" }},
	{"bit varying(5)", []string{"B'101'"}, func(*rand.Rand) string { return "B'0'" }},
	{"mood", []string{"'sad'"}, func(*rand.Rand) string { return "'ok'" }},
	{"int4range", []string{"'[1,2)'"}, func(*rand.Rand) string { return "'empty'" }},
	{"pair", []string{"row(1,'x')"}, func(*rand.Rand) string { return "row(null,null)" }},
	{"inet", []string{"'::1'"}, func(*rand.Rand) string { return "'10.0.0.1/8'" }},
	{"money", []string{"1"}, func(*rand.Rand) string { return "2" }},
	{"xml", []string{"'<a/>'"}, func(*rand.Rand) string { return "'<b/>'" }},
	{"time(3) with time zone", []string{"'10:00+02'"}, func(*rand.Rand) string { return "'11:00+00'" }},
}

const typeSchema = `
	CREATE EXTENSION citext; CREATE EXTENSION hstore;
	CREATE COLLATION folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
	CREATE DOMAIN nocase AS text COLLATE folded;
	CREATE DOMAIN plain_domain AS text;
	CREATE DOMAIN checked_domain AS text CHECK (value IS NULL OR value !~ '^\*' AND value !~ '^tok');
	CREATE DOMAIN domain_of_domain AS plain_domain;
	CREATE DOMAIN outer_of_checked AS checked_domain;
	CREATE DOMAIN positive AS smallint CHECK (value <> 0 OR value = 0);
	CREATE DOMAIN list_domain AS text[];
	CREATE DOMAIN uuid_domain AS uuid;
	CREATE DOMAIN required AS text NOT NULL;
	CREATE FUNCTION agrees(text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN IF $1 ~ '^(\*\*\*|tok_)|\*\*\*$' THEN RAISE 'never %', $1; END IF; RETURN true; END $$;
	CREATE DOMAIN by_function AS text CHECK (agrees(value));
	CREATE DOMAIN failing AS text CHECK (CASE WHEN value ~ '^[*t]' THEN value::int > 0 ELSE true END);
	CREATE DOMAIN fussy AS plain_domain NOT NULL CHECK (value IS NOT NULL AND NOT (value LIKE 'tok%') AND length(value) <> 4) CHECK (value <> ALL (ARRAY['***', 'a***', '********67']));
	CREATE DOMAIN checked_width AS varchar(20) CHECK (value IN ('***', 'a***') OR value > 'a' OR value <= 'a');
	CREATE DOMAIN folded_check AS text COLLATE folded CHECK (value <> 'TOK' AND value <> 'X***');
	CREATE DOMAIN address AS text CHECK (value ~* '^[^@]+@[a-z0-9.-]+$');
	CREATE DOMAIN citext_address AS citext CHECK (value ~ '^[^@]+@[a-z0-9.-]+$' AND value <> 'A***@X.IO');
	CREATE DOMAIN required_address AS address NOT NULL;
	CREATE DOMAIN addresses_inner AS address;
	CREATE DOMAIN addresses AS addresses_inner[] CHECK (cardinality(value) < 5);
	CREATE DOMAIN short_list AS text[] NOT NULL CHECK (cardinality(value) < 5);
	CREATE DOMAIN percent AS numeric(4,2) CHECK (value >= -99.99 AND value <> 0);
	CREATE DOMAIN recent AS date CHECK (value > '2000-01-01'::date OR value IS NOT NULL);
	CREATE TYPE mood AS ENUM ('sad', 'ok');
	CREATE TYPE pair AS (a int, b text);
	CREATE DOMAIN pair_domain AS pair CHECK ((value).a IS NOT NULL);
	CREATE TYPE span AS RANGE (subtype = text);`

var transforms = []Transform{
	{}, {Kind: Null}, {Kind: Token},
	{Kind: Partial, Style: "email"}, {Kind: Partial, Style: "phone"}, {Kind: Partial, Style: "card"}, {Kind: Partial, Style: "generic"},
	{Kind: Generalise, Style: "year"}, {Kind: Generalise, Style: "month"}, {Kind: Generalise, Style: "decade"},
	{Kind: Generalise, Bucket: "10"}, {Kind: Generalise, Bucket: "0.25"}, {Kind: Generalise, Bucket: "3"}, {Kind: Generalise, Bucket: "100"},
}

// setPath changes the search_path: with an empty one the server qualifies every name that it prints.
func setPath(t *testing.T, conn *pgx.Conn, path string) {
	t.Helper()
	if _, err := conn.Exec(context.Background(), "SELECT set_config('search_path', $1, false)", path); err != nil {
		t.Fatal(err)
	}
}

// loadTypes fills a catalog with the types of the database that are not built in.
func loadTypes(t *testing.T, conn *pgx.Conn) *access.Catalog {
	t.Helper()
	setPath(t, conn, "")
	defer setPath(t, conn, "public")
	cat := &access.Catalog{TypeByOID: map[uint32]*access.Type{}, Types: map[access.Name]*access.Type{},
		Operators: map[string][]*access.Operator{}, Functions: map[access.Name][]*access.Function{}}
	loadOperators(t, conn, cat)
	rows, err := conn.Query(context.Background(), `SELECT t.oid, n.nspname, typname, typtype::text, typcategory::text, typelem, typbasetype,
		coalesce(format_type(nullif(typbasetype, 0), typtypmod), ''), typnotnull, EXISTS (SELECT FROM pg_constraint WHERE contypid = t.oid AND contype = 'c'),
		array(SELECT pg_get_expr(conbin, 0) FROM pg_constraint WHERE contypid = t.oid AND contype = 'c' AND typcollation IN (0, 100)), coalesce(rn.nspname, ''), coalesce(c.relname, '')
		FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid LEFT JOIN pg_namespace rn ON rn.oid = c.relnamespace WHERE t.oid >= 16384`)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var ty access.Type
		var kind, category string
		if err := rows.Scan(&ty.OID, &ty.Name.Schema, &ty.Name.Name, &kind, &category, &ty.Elem, &ty.Base, &ty.BaseType, &ty.NotNull, &ty.Checks, &ty.CheckSQL, &ty.Relation.Schema, &ty.Relation.Name); err != nil {
			t.Fatal(err)
		}
		ty.Kind, ty.Category = kind[0], category[0]
		cat.TypeByOID[ty.OID], cat.Types[ty.Name] = &ty, &ty
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
	return cat
}

func loadOperators(t *testing.T, conn *pgx.Conn, cat *access.Catalog) {
	t.Helper()
	rows, err := conn.Query(context.Background(), `SELECT n.nspname, oprname, fn.nspname, proname, coalesce(e.extname, '') FROM pg_operator JOIN pg_namespace n ON n.oid = oprnamespace
		JOIN pg_proc p ON p.oid = oprcode JOIN pg_namespace fn ON fn.oid = pronamespace
		LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' LEFT JOIN pg_extension e ON e.oid = d.refobjid WHERE n.nspname <> 'pg_catalog'`)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		op, f := &access.Operator{}, &access.Function{}
		if err := rows.Scan(&op.Name.Schema, &op.Name.Name, &f.Name.Schema, &f.Name.Name, &f.Extension); err != nil {
			t.Fatal(err)
		}
		op.Function = f.Name
		cat.Operators[op.Name.Name] = append(cat.Operators[op.Name.Name], op)
		cat.Functions[f.Name] = append(cat.Functions[f.Name], f)
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
}

func columnOf(t *testing.T, conn *pgx.Conn, table string) *access.Column {
	t.Helper()
	setPath(t, conn, "")
	defer setPath(t, conn, "public")
	var col access.Column
	err := conn.QueryRow(context.Background(), `SELECT attname, format_type(atttypid, atttypmod), atttypid FROM pg_attribute WHERE attrelid = ('public.' || $1)::regclass AND attname = 'c'`, table).
		Scan(&col.Name, &col.Type, &col.TypeOID)
	if err != nil {
		t.Fatal(err)
	}
	return &col
}

// TestMaskedTypes applies every transform to every type: no value may raise an error, the client must
// see the column's own type, and redact and null must be the same for all values.
func TestMaskedTypes(t *testing.T) {
	ctx := context.Background()
	conn := connect(t, typeSchema)
	cat := loadTypes(t, conn)
	r := rand.New(rand.NewPCG(1, 2))
	for i, tc := range typeCases {
		table := fmt.Sprintf("t%d", i)
		values := tc.values
		for range 60 {
			values = append(values[:len(values):len(values)], tc.random(r))
		}
		null := "NULL"
		if !strings.HasSuffix(tc.typ, "]") {
			null = "(CAST('{}' AS " + tc.typ + "[]))[1]" // NOT NULL of a domain does not hold everywhere
		}
		sql := fmt.Sprintf("CREATE TABLE %s (c %s); INSERT INTO %[1]s SELECT %[3]s; ", table, tc.typ, null)
		for _, v := range values {
			sql += fmt.Sprintf("DO $do$ BEGIN INSERT INTO %s SELECT CAST(%s AS %s); EXCEPTION WHEN check_violation THEN END $do$;\n", table, v, tc.typ)
		}
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatalf("%s: %v", tc.typ, err)
		}
		col := columnOf(t, conn, table)
		s := shapeOf(cat, col)
		for _, tr := range transforms {
			t.Run(tc.typ+"/"+tr.String(), func(t *testing.T) { checkTransform(t, conn, table, s, tr) })
		}
	}
}

// deparsed is a transform's SQL over column c as a compiled statement has it, through parser and deparser.
func deparsed(t *testing.T, tr Transform, s shape) string {
	t.Helper()
	n, err := parseSelect("SELECT " + strings.ReplaceAll(tr.expression(s), colRef, "c"))
	if err != nil {
		t.Fatal(err)
	}
	sql, err := pg.Deparse(&pg.ParseResult{Stmts: []*pg.RawStmt{{Stmt: n}}})
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(sql, "SELECT ")
}

func checkTransform(t *testing.T, conn *pgx.Conn, table string, s shape, tr Transform) {
	ctx := context.Background()
	expr := deparsed(t, tr, s)
	inner := func(e string) string {
		if !s.array {
			return "NULL::text, NULL::text[]"
		}
		return fmt.Sprintf("array_dims(%s), ARRAY(SELECT unnest(%[1]s)::text)", e)
	}
	rows, err := conn.Query(ctx, fmt.Sprintf("SELECT c, %s AS c, c::text, (%[1]s)::text, pg_typeof(c)::text, pg_typeof(%[1]s)::text, %[3]s, %[4]s FROM (SELECT c FROM %[2]s OFFSET 0) q",
		expr, table, inner("c"), inner(expr)))
	if err != nil {
		t.Fatalf("%v\n%s", err, expr)
	}
	defer rows.Close()
	seen := map[string]bool{}
	for rows.Next() {
		fields := rows.FieldDescriptions()
		if fields[0].DataTypeOID != fields[1].DataTypeOID || fields[0].TypeModifier != fields[1].TypeModifier {
			t.Fatalf("type %d/%d became %d/%d\n%s", fields[0].DataTypeOID, fields[0].TypeModifier, fields[1].DataTypeOID, fields[1].TypeModifier, expr)
		}
		var raw, masked, rawDims, maskedDims pgtype.Text
		var rawElems, maskedElems []pgtype.Text
		var rawType, maskedType string
		if err := rows.Scan(nil, nil, &raw, &masked, &rawType, &maskedType, &rawDims, &rawElems, &maskedDims, &maskedElems); err != nil {
			t.Fatal(err)
		}
		if rawType != maskedType {
			t.Fatalf("pg_typeof: %s became %s", rawType, maskedType)
		}
		seen[fmt.Sprint(masked)] = true
		if tr.Kind == Redact || tr.Kind == Null || tr.fits(s) != "" {
			continue
		}
		if !raw.Valid && masked.Valid {
			t.Fatalf("NULL became %q", masked.String)
		}
		if !s.typ.strict && !s.elem.strict && raw.Valid != masked.Valid && tr.Kind != Generalise {
			t.Fatalf("%q became NULL", raw.String)
		}
		if masked.Valid && rawDims != maskedDims {
			t.Fatalf("the shape %s became %s", rawDims.String, maskedDims.String)
		}
		if !s.array {
			rawElems, maskedElems = []pgtype.Text{raw}, []pgtype.Text{masked}
		}
		for i, e := range maskedElems {
			checkImage(t, s, tr, rawElems[i], e)
		}
	}
	if rows.Err() != nil {
		t.Fatalf("%v\n%s", rows.Err(), expr)
	}
	if (tr.Kind == Redact || tr.Kind == Null || tr.fits(s) != "") && len(seen) != 1 {
		t.Fatalf("the constant has %d values: %v", len(seen), seen)
	}
}

// checkImage compares a masked value with what may be seen of the raw one: no value comes through as it is.
func checkImage(t *testing.T, s shape, tr Transform, raw, masked pgtype.Text) {
	t.Helper()
	if !masked.Valid {
		return
	}
	if !raw.Valid {
		t.Fatalf("NULL became %q", masked.String)
	}
	switch tr.Kind {
	case Partial:
		if want := image(tr.Style, raw.String); s.width == 0 && masked.String != want {
			t.Fatalf("%.80q became %q, its image is %q", raw.String, masked.String, want)
		}
	case Token:
		if masked.String == raw.String {
			t.Fatalf("%.80q is its own token", raw.String)
		}
	}
}

// TestGeneralise pins down the buckets.
func TestGeneralise(t *testing.T) {
	conn := connect(t, "SET timezone TO 'Pacific/Kiritimati'")
	for _, c := range []struct {
		typ          string
		tr           Transform
		value, wants string
	}{
		{"integer", Transform{Kind: Generalise, Bucket: "10"}, "'-2147483648'", "-2147483640"},
		{"integer", Transform{Kind: Generalise, Bucket: "10"}, "47", "40"},
		{"smallint", Transform{Kind: Generalise, Bucket: "5"}, "-7", "-5"},
		{"numeric(4,2)", Transform{Kind: Generalise, Bucket: "0.5"}, "12.99", "12.50"},
		{"double precision", Transform{Kind: Generalise, Bucket: "1000"}, "98765.4", "98000"},
		{"date", Transform{Kind: Generalise, Style: "decade"}, "'1987-06-05'", "1980-01-01"},
		{"timestamp without time zone", Transform{Kind: Generalise, Style: "month"}, "'1987-06-05 10:11'", "1987-06-01 00:00:00"},
		{"timestamp with time zone", Transform{Kind: Generalise, Style: "year"}, "'2024-12-31 23:59:59+00'", "2024-01-01 00:00:00+00"},
		{"text", Transform{Kind: Generalise, Bucket: "2"}, "'SW1A 1AA'", "SW***"},
	} {
		col := access.Column{Type: c.typ}
		if err := conn.QueryRow(context.Background(), "SELECT $1::regtype::oid", strings.Split(c.typ, "(")[0]).Scan(&col.TypeOID); err != nil {
			t.Fatal(err)
		}
		expr := deparsed(t, c.tr, shapeOf(nil, &col))
		var same bool
		err := conn.QueryRow(context.Background(), fmt.Sprintf("SELECT %s = %s::%s FROM (SELECT %s::%s AS c) q", expr, quote(c.wants), c.typ, c.value, c.typ)).Scan(&same)
		if err != nil || !same {
			t.Errorf("%s of %s %s: is not %s (%v)", c.tr, c.typ, c.value, c.wants, err)
		}
	}
}
