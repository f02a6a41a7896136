package postgres

import (
	"bufio"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/access"
)

// testCatalog is the catalog of most cases: a shop with what makes names hard. A line is
//
//	table schema.name column:type ...      (also view, matview, sequence, composite, foreign, partitioned)
//	function schema.name setof|scalar|row(a,b)
//	operator schema.op schema.function
//	type schema.name kind
const testCatalog = `
table public.customers id:int4 email:text region:text ssn:text tags:text[] address:public.address
table public.orders id:int4 customer_id:int4 total:numeric note:text
table public.salaries id:int4 email:text amount:numeric
table private.customers id:int4 secret:text
table public.one x:int4
table public.a a:int4 b:int4 c:int4
table public.b a:int4 b:int4 d:int4
view public.people id:int4 email:text
matview public.totals id:int4 total:numeric
foreign public.remote id:int4 email:text
partitioned public.events id:int4 at:date
composite public.address street:text city:text
sequence public.seq last_value:int8 log_cnt:int8 is_called:bool
table pg_catalog.pg_class oid:oid relname:name relnamespace:oid
function public.reveal scalar
function public.pick setof
function public.pair row(l,r)
function public.lower scalar
operator public.=== public.same
operator public.|| public.glue
type public.hstore b
type public.mood e
type public.posint d
type public.address c
`

func parseCatalog(t testing.TB, spec string) *access.Catalog {
	t.Helper()
	cat := &access.Catalog{
		Database: "shop", ServerVersion: 150018,
		Schemas:   map[string]bool{"public": true, "private": true, "pg_catalog": true},
		Relations: map[access.Name]*access.Relation{}, Functions: map[access.Name][]*access.Function{},
		Operators: map[string][]*access.Operator{}, Types: map[access.Name]*access.Type{}, TypeByOID: map[uint32]*access.Type{},
	}
	next := uint32(20000)
	oids := map[string]uint32{}
	oid := func(name string) uint32 {
		if !strings.Contains(name, ".") {
			return 25
		}
		if oids[name] == 0 {
			next++
			oids[name] = next
		}
		return oids[name]
	}
	kinds := map[string]access.RelationKind{"table": access.Table, "view": access.View, "matview": access.MatView,
		"sequence": access.Sequence, "partitioned": access.Partitioned, "composite": access.CompositeRel, "foreign": access.ForeignTable}
	for sc := bufio.NewScanner(strings.NewReader(spec)); sc.Scan(); {
		w := strings.Fields(sc.Text())
		if len(w) == 0 {
			continue
		}
		schema, base, ok := strings.Cut(w[1], ".")
		if !ok {
			t.Fatalf("catalog line %q", sc.Text())
		}
		name := access.Name{Schema: schema, Name: base}
		switch w[0] {
		case "function":
			f := &access.Function{Name: name, Kind: 'f', Volatility: 'i', ReturnType: 25}
			if len(w) > 2 && w[2] == "setof" {
				f.ReturnsSet = true
			}
			if len(w) > 2 && strings.HasPrefix(w[2], "row(") {
				f.OutNames = strings.Split(strings.Trim(w[2][3:], "()"), ",")
			}
			cat.Functions[name] = append(cat.Functions[name], f)
		case "operator":
			fs, fb, _ := strings.Cut(w[2], ".")
			cat.Operators[base] = append(cat.Operators[base], &access.Operator{Name: name, Function: access.Name{Schema: fs, Name: fb}})
		case "type":
			ty := &access.Type{OID: oid(w[1]), Name: name, Kind: w[2][0]}
			if ty.Kind == 'c' {
				ty.Relation = name
			}
			cat.Types[name], cat.TypeByOID[ty.OID] = ty, ty
		default:
			kind, ok := kinds[w[0]]
			if !ok {
				t.Fatalf("catalog line %q", sc.Text())
			}
			rel := &access.Relation{OID: oid("rel." + w[1]), Name: name, Kind: kind}
			for i, c := range w[2:] {
				n, ty, _ := strings.Cut(c, ":")
				rel.Columns = append(rel.Columns, access.Column{Num: int16(i + 1), Name: n, Type: ty, TypeOID: oid(ty)})
			}
			cat.Relations[name] = rel
		}
	}
	return cat
}

func testEnv(t testing.TB) Env {
	return Env{Catalog: parseCatalog(t, testCatalog), Path: []string{"pg_catalog", "public"}, Registry: testRegistry{}}
}

// testRegistry knows the few built-ins that the cases use.
type testRegistry struct{}

func (testRegistry) Function(name string) (string, bool) {
	switch name {
	case "count", "sum", "max", "min", "lower", "upper", "length", "coalesce", "generate_series", "row_number", "rank", "unnest",
		"array_agg", "row_to_json", "json_each", "like_escape", "jsonb_populate_record", "string_agg", "abs", "json_to_record",
		"xmlexists", "bernoulli", "extract", "now", "timezone", "btrim", "json_array_elements", "similar_to_escape":
		return "pure", true
	case "pg_get_viewdef", "current_setting":
		return "catalog", true
	case "query_to_xml":
		return "runs_sql", true
	case "nextval":
		return "writes", true
	case "set_config", "pg_read_file":
		return "admin", true
	case "random":
		return "volatile", true
	}
	return "", false
}

func (testRegistry) Relation(schema, name string) (string, bool) { return "open", name == "pg_class" }

func (testRegistry) Operator(name string) bool {
	return strings.Contains(" = <> < > <= >= + - * / % || ~ ~~ !~~ ~~* !~~* ~* -> ->> @> && ", " "+name+" ")
}

func (testRegistry) Type(name string) bool {
	return strings.Contains(" int4 int8 text name bool numeric json jsonb xml oid date timestamp timestamptz interval varchar bpchar regclass record float8 money ", " "+name+" ")
}

// render writes facts and notes in a fixed form for golden files.
func render(f *access.Facts, err error) string {
	var b strings.Builder
	if err != nil {
		e := access.AsError(err)
		fmt.Fprintf(&b, "error %s %s at %d\n", e.Code, e.Message, e.Position)
		if e.Kind == access.Internal {
			fmt.Fprintf(&b, "internal %v\n", e.Err)
		}
		return b.String()
	}
	fmt.Fprintf(&b, "%s %s", f.Class, f.Tag)
	for _, flag := range []struct {
		on   bool
		name string
	}{{f.Pure, "pure"}, {f.Locks, "locks"}, {f.Uncounted, "uncounted"}, {f.Stores, "stores"}, {f.Cascade, "cascade"}, {f.Explain, "explain"}, {f.PathChange, "path"}, {f.CopyIn, "copyin"}, {f.CurrentRow, "current"},
		{f.CopyOut, "copyout"}} {
		if flag.on {
			b.WriteString(" " + flag.name)
		}
	}
	b.WriteString("\n")
	for _, kv := range [][2]string{{"prepares", f.Prepares}, {"executes", f.Executes}, {"declares", f.Declares}, {"fetches", f.Fetches},
		{"transaction", f.Transaction}, {"settings", strings.Join(f.Settings, " ")}, {"shows", strings.Join(f.Shows, " ")},
		{"channels", strings.Join(f.Channels, " ")}} {
		if kv[1] != "" {
			fmt.Fprintf(&b, "%s %s\n", kv[0], kv[1])
		}
	}
	if f.Params > 0 {
		fmt.Fprintf(&b, "params %d\n", f.Params)
	}
	for _, r := range f.Relations {
		fmt.Fprintf(&b, "%s %s %s", r.Action, r.Verb, r.Name)
		if r.Whole {
			b.WriteString(" whole")
		}
		if r.Unlocked {
			b.WriteString(" unlocked")
		}
		if r.Every {
			b.WriteString(" every row")
		}
		for _, c := range r.Columns {
			fmt.Fprintf(&b, " %s:%s", c.Name, useString(c.Use))
		}
		b.WriteString("\n")
	}
	for _, fn := range f.Functions {
		fmt.Fprintf(&b, "calls %s %s\n", fn.Name, fn.Class)
	}
	for _, o := range f.Objects {
		fmt.Fprintf(&b, "object %s %s\n", o.Kind, o.Name)
	}
	for _, o := range f.Outputs {
		fmt.Fprintf(&b, "out %s", o.Name)
		if o.Plain {
			b.WriteString(" =")
		}
		for _, s := range o.Sources {
			fmt.Fprintf(&b, " %s.%s", s.Relation, s.Column)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func useString(u access.Use) string {
	var s string
	for _, f := range []struct {
		use  access.Use
		char string
	}{{access.UseOutput, "o"}, {access.UsePredicate, "p"}, {access.UseOrder, "s"}, {access.UseGroup, "g"}, {access.UseWrite, "w"}, {access.UseStore, "t"}} {
		if u&f.use != 0 {
			s += f.char
		}
	}
	return s
}

func sortStrings(s []string) { slices.Sort(s) }

func TestCastBetweenBuiltInTypesIsNotPure(t *testing.T) {
	env := testEnv(t)
	for _, target := range []uint32{23, 20001} {
		env.Catalog.Casts = []access.Cast{{Source: 25, Target: target, Function: access.Name{Schema: "public", Name: "f"}}}
		trees, err := Parse("SELECT length(email) FROM customers")
		if err != nil {
			t.Fatal(err)
		}
		facts, err := Analyze(trees[0], env)
		if err != nil || facts.Pure != (target > firstUserOID) {
			t.Errorf("cast to %d: pure %v, %v", target, facts.Pure, err)
		}
	}
}
