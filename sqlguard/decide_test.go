package sqlguard_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sallyport/internal/access"
	"sallyport/sqlguard"
	"sallyport/sqlguard/policy"
)

var bot = actors[0]

const mayRead = `@id("all") permit (principal, action in [Action::"connect", Action::"read", Action::"write", Action::"ddl", Action::"call", Action::"session", Action::"notify"], resource);` + "\n"

func load(t testing.TB, text string) *policy.Set {
	t.Helper()
	s, err := policy.Load([]policy.File{{Name: "test.cedar", Text: text}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// reading gives the facts of a SELECT of some columns of customers.
func reading(columns ...string) *access.Facts {
	use := access.RelationUse{Name: public("customers"), Action: access.ActRead, Verb: "select"}
	for _, c := range columns {
		use.Columns = append(use.Columns, access.ColumnUse{Name: c, Use: access.UseOutput})
	}
	return &access.Facts{Class: access.ClassRead, Tag: "SELECT", Relations: []access.RelationUse{use}}
}

func input(f *access.Facts, set *policy.Set) sqlguard.Input {
	return sqlguard.Input{Principal: bot, Door: access.DoorMCP, Connection: "shop", Facts: f, Catalog: shop(), Labels: labels, Refused: refused, Policies: set}
}

func ids(columns ...string) []access.ColumnID {
	var out []access.ColumnID
	for _, c := range columns {
		rel, col, _ := strings.Cut(c, ".")
		out = append(out, access.ColumnID{Relation: public(rel), Column: col})
	}
	return out
}

func TestZeroValuesDeny(t *testing.T) {
	good := input(reading("id"), load(t, mayRead))
	if d := sqlguard.Decide(good); d.Effect != access.Allow {
		t.Fatalf("the good input: %+v", d)
	}
	for name, spoil := range map[string]func(*sqlguard.Input){
		"everything":     func(in *sqlguard.Input) { *in = sqlguard.Input{} },
		"facts":          func(in *sqlguard.Input) { in.Facts = nil },
		"empty facts":    func(in *sqlguard.Input) { in.Facts = &access.Facts{} },
		"policies":       func(in *sqlguard.Input) { in.Policies = nil },
		"empty policies": func(in *sqlguard.Input) { in.Policies = &policy.Set{} },
		"catalog":        func(in *sqlguard.Input) { in.Catalog = nil },
		"labels":         func(in *sqlguard.Input) { in.Labels = nil },
		"refused":        func(in *sqlguard.Input) { in.Refused = nil },
		"principal":      func(in *sqlguard.Input) { in.Principal = access.Principal{} },
		"kind":           func(in *sqlguard.Input) { in.Principal.Kind = "" },
		"unknown relation": func(in *sqlguard.Input) {
			in.Facts.Relations = []access.RelationUse{{Name: public("nope"), Action: access.ActRead}}
		},
		"unknown action": func(in *sqlguard.Input) {
			in.Facts.Relations = []access.RelationUse{{Name: public("orders"), Action: "fly"}}
		},
		"unknown class of function": func(in *sqlguard.Input) {
			in.Facts.Functions = []access.FunctionUse{{Name: access.Name{Schema: "pg_catalog", Name: "f"}, Builtin: true, Class: "new"}}
		},
		"built-in without class": func(in *sqlguard.Input) { in.Facts.Functions = []access.FunctionUse{{Builtin: true}} },
		"setting function without a setting": func(in *sqlguard.Input) {
			in.Facts.Functions = []access.FunctionUse{{Name: access.Name{Schema: "pg_catalog", Name: "set_config"}, Builtin: true, Class: "setting"}}
		},
		"unknown statement class": func(in *sqlguard.Input) { in.Facts.Class = "NEW" },
		"privileges":              func(in *sqlguard.Input) { in.Facts.Class = access.ClassRole },
		"DDL on nothing":          func(in *sqlguard.Input) { in.Facts = &access.Facts{Class: access.ClassDDL, Tag: "DDL"} },
		"no permit to connect": func(in *sqlguard.Input) {
			in.Policies = load(t, `permit (principal, action == Action::"read", resource);`)
		},
		"view whose reads are unknown": func(in *sqlguard.Input) {
			in.Policies = load(t, mayRead+`@where("id = 1") permit (principal, action == Action::"read", resource == Table::"shop.public.orders");`)
			in.Facts.Relations = []access.RelationUse{{Name: public("people"), Action: access.ActRead}}
		},
		"server-side COPY": func(in *sqlguard.Input) { in.Facts.Tag = "COPY" },
		"two-phase commit": func(in *sqlguard.Input) {
			in.Facts = &access.Facts{Class: access.ClassTransaction, Transaction: "prepare"}
		},
		"transaction of no kind": func(in *sqlguard.Input) { in.Facts = &access.Facts{Class: access.ClassTransaction} },
		"toast": func(in *sqlguard.Input) {
			in.Facts.Relations = []access.RelationUse{{Name: access.Name{Schema: "pg_toast", Name: "pg_toast_1"}, Action: access.ActRead}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := input(reading("id"), good.Policies)
			spoil(&in)
			if d := sqlguard.Decide(in); d.Effect != access.Deny || d.Message == "" || d.Code == "" {
				t.Errorf("got %+v", d)
			}
		})
	}
	for name, d := range map[string]access.Decision{
		"MayConnect":   sqlguard.MayConnect(access.Principal{}, "shop", access.DoorMCP, good.Policies),
		"no policies":  sqlguard.MayConnect(bot, "shop", access.DoorMCP, nil),
		"Unrestricted": sqlguard.Unrestricted(bot, "shop", access.DoorMCP, good.Policies),
		"MaySet":       sqlguard.MaySet(bot, "shop", access.DoorMCP, "work_mem", nil),
	} {
		if d.Effect != access.Deny || d.Message == "" {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

func TestRevealMustCoverEveryLabel(t *testing.T) {
	both := func(access.Name) map[string][]access.Label {
		return map[string][]access.Label{"email": {"pii.email", "secret"}}
	}
	for policies, want := range map[string][]access.ColumnID{
		``: ids("customers.email"),
		`permit (principal, action == Action::"reveal", resource in Label::"pii.email");`: ids("customers.email"),
		`permit (principal, action == Action::"reveal", resource in Label::"secret");`:    ids("customers.email"),
		`permit (principal, action == Action::"reveal", resource in Label::"pii");
		 permit (principal, action == Action::"reveal", resource in Label::"secret");`: nil,
		`permit (principal, action == Action::"reveal", resource);`: nil,
		`permit (principal, action == Action::"reveal", resource);
		 forbid (principal, action == Action::"reveal", resource) when { resource in Label::"pii" && resource in Label::"secret" };`: ids("customers.email"),
	} {
		set := load(t, mayRead+policies)
		in := input(reading("id"), set)
		in.Labels = both
		if d := sqlguard.Decide(in); d.Effect != access.Allow || !slices.Equal(d.Masked, want) {
			t.Errorf("%s: masked %v", policies, d.Masked)
		}
		all := sqlguard.MaskedColumns(bot, "shop", access.DoorMCP, shop(), both, set)
		if (len(all) > 0) != (len(want) > 0) {
			t.Errorf("%s: MaskedColumns %v", policies, all)
		}
	}
}

func TestRevealThatWaitsForSomethingStaysMasked(t *testing.T) {
	for annotation, reasonHelps := range map[string]bool{`@reason("required")`: true, `@review("dba")`: false} {
		set := load(t, mayRead+annotation+` permit (principal, action == Action::"reveal", resource);`)
		in := input(reading("email"), set)
		if d := sqlguard.Decide(in); d.Effect != access.Allow || len(d.Masked) != 2 {
			t.Errorf("%s without a reason: %+v", annotation, d)
		}
		in.HasReason = true
		if d := sqlguard.Decide(in); d.Effect != access.Allow || (len(d.Masked) == 0) != reasonHelps {
			t.Errorf("%s with a reason: %+v", annotation, d)
		}
		if got := sqlguard.MaskedColumns(bot, "shop", access.DoorMCP, in.Catalog, labels, set); !slices.Equal(got, ids("computed.secret", "customers.email", "customers.phone", "people.email")) {
			t.Errorf("%s: the principal's masked columns are %v", annotation, got)
		}
	}
}

// TestReasonCannotHideThatSomebodyIsMasked: giving a reason must not turn a principal with masked
// columns into one without, whose statements would run as they were sent.
func TestReasonCannotHideThatSomebodyIsMasked(t *testing.T) {
	for _, policies := range []string{
		`permit (principal, action == Action::"reveal", resource) when { context.has_reason };`,
		`permit (principal, action == Action::"reveal", resource) unless { context.has_reason };`,
	} {
		set := load(t, mayRead+policies)
		if got := sqlguard.MaskedColumns(bot, "shop", access.DoorMCP, shop(), labels, set); len(got) != 4 {
			t.Errorf("%s: %v", policies, got)
		}
		for _, reason := range []bool{false, true} {
			in := input(&access.Facts{Class: access.ClassMiscSet, Tag: "SHOW", Shows: []string{""}}, set)
			in.HasReason = reason
			if d := sqlguard.Decide(in); d.Effect != access.Deny {
				t.Errorf("%s: an unknown setting was shown", policies)
			}
		}
	}
}

func TestObligations(t *testing.T) {
	set := load(t, `@timeout("1m") @reason("required") permit (principal, action == Action::"connect", resource);
		@rows("10") @timeout("5s") permit (principal, action == Action::"read", resource);
		@rows("3") permit (principal, action == Action::"read", resource in Label::"pii.email");
		@review("dba") permit (principal, action == Action::"write", resource);`)
	in := input(reading("id"), set)
	in.HasReason = true
	want := access.Obligations{Rows: 10, Timeout: 5 * time.Second, Reason: true}
	if d := sqlguard.Decide(in); d.Effect != access.Allow || !cmp.Equal(d.Obligations, want) {
		t.Errorf("id: %+v", d)
	}
	in.Facts, want.Rows = reading("id", "email"), 3
	if d := sqlguard.Decide(in); !cmp.Equal(d.Obligations, want) {
		t.Errorf("email: %+v", d)
	}
	in.HasReason = false
	d := sqlguard.Decide(in)
	if d.Effect != access.Deny || !strings.Contains(d.Message, "a reason") || !strings.Contains(d.Hint, "reason argument") {
		t.Errorf("without a reason: %+v", d)
	}
	in.Door = access.DoorPGWire
	if d := sqlguard.Decide(in); !strings.Contains(d.Hint, "SET sallyport.reason = '...'") {
		t.Errorf("without a reason at the wire: %+v", d)
	}
	in.Facts = &access.Facts{Class: access.ClassMiscSet, Tag: "SET", Settings: []string{"sallyport.reason"}}
	if d := sqlguard.Decide(in); d.Effect != access.Allow || d.Obligations.Timeout != time.Minute {
		t.Errorf("stating a reason needs none: %+v", d)
	}
	in.Facts = &access.Facts{Class: access.ClassWrite, Tag: "DELETE", Relations: []access.RelationUse{{Name: public("orders"), Action: access.ActWrite, Verb: "delete"}}}
	in.HasReason = true
	if d := sqlguard.Decide(in); d.Effect != access.Review || !slices.Equal(d.Obligations.Review, []string{"dba"}) {
		t.Errorf("a reviewed write: %+v", d)
	}
	if d := sqlguard.MayConnect(bot, "shop", access.DoorPGWire, set); d.Effect != access.Allow || !d.Obligations.Reason {
		t.Errorf("connecting asks for the reason later: %+v", d)
	}
}

func TestUnrestricted(t *testing.T) {
	set := load(t, `permit (principal, action == Action::"connect", resource == Connection::"shop");
		@id("u") @reason("required") permit (principal, action == Action::"unrestricted", resource in Connection::"shop");
		permit (principal, action == Action::"unrestricted", resource == Connection::"other");`)
	d := sqlguard.Unrestricted(bot, "shop", access.DoorPGWire, set)
	if d.Effect != access.Allow || !d.Obligations.Reason || !slices.Contains(d.Policies, "u") {
		t.Errorf("%+v", d)
	}
	if r := sqlguard.WithReason(d, access.DoorPGWire, false); r.Effect != access.Deny || r.Hint == "" {
		t.Errorf("without a reason: %+v", r)
	}
	if r := sqlguard.WithReason(d, access.DoorPGWire, true); !cmp.Equal(r, d) {
		t.Errorf("with a reason: %+v", r)
	}
	if d := sqlguard.Unrestricted(bot, "other", access.DoorPGWire, set); d.Effect != access.Deny {
		t.Errorf("unrestricted where one may not connect: %+v", d)
	}
}

// TestCostIsNeverLost: whom @cost limits may run nothing that is not analysed, and may not set what costs are made of.
func TestCostIsNeverLost(t *testing.T) {
	set := load(t, `@cost("1000") permit (principal, action in [Action::"connect", Action::"read", Action::"unrestricted"], resource);`)
	if d := sqlguard.Unrestricted(bot, "shop", access.DoorMCP, set); d.Effect != access.Deny || !strings.Contains(d.Message, "@cost") {
		t.Errorf("unrestricted: %+v", d)
	}
	if d := sqlguard.MaySet(bot, "shop", access.DoorMCP, "random_page_cost", set); d.Effect != access.Deny {
		t.Errorf("a setting that costs are made of: %+v", d)
	}
	if d := sqlguard.MaySet(bot, "shop", access.DoorMCP, "random_page_cost", load(t, `permit (principal, action == Action::"connect", resource);`)); d.Effect != access.Allow {
		t.Errorf("the same where nothing has a limit: %+v", d)
	}
}

func TestMaySet(t *testing.T) {
	set := load(t, `permit (principal, action == Action::"session", resource == Setting::"work_mem");`)
	for name, want := range map[string]access.Effect{"application_name": access.Allow, "work_mem": access.Allow, "maintenance_work_mem": access.Deny,
		"role": access.Deny, "sallyport.ipad": access.Deny, "standard_conforming_strings": access.Deny, "session_preload_libraries": access.Deny} {
		if d := sqlguard.MaySet(bot, "shop", access.DoorPGWire, name, set); d.Effect != want {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

func TestSomeColumnsRefused(t *testing.T) {
	set := load(t, `permit (principal, action == Action::"connect", resource);
		permit (principal, action == Action::"read", resource == Column::"shop.public.customers.id");`)
	d := sqlguard.Decide(input(reading("id", "email", "region"), set))
	if d.Message != "reading the columns email, region of public.customers is not permitted for bot" ||
		d.Hint != `ask for "read" on Column::"shop.public.customers.email", or leave these columns out` {
		t.Errorf("%+v", d)
	}
	if d := sqlguard.Decide(input(reading("id"), set)); d.Effect != access.Allow {
		t.Errorf("%+v", d)
	}
	if d := sqlguard.Decide(input(reading(), set)); d.Effect != access.Deny {
		t.Errorf("count(*) needs the table: %+v", d)
	}
	whole := reading("id")
	whole.Relations[0].Whole = true
	if d := sqlguard.Decide(input(whole, set)); d.Effect != access.Deny {
		t.Errorf("a whole row needs every column: %+v", d)
	}
}

func TestFailingPolicyIsNamed(t *testing.T) {
	set := load(t, mayRead+`@id("broken") forbid (principal, action == Action::"read", resource) when { 9223372036854775807 + 1 > 0 };`)
	d := sqlguard.Decide(input(reading("id"), set))
	if d.Effect != access.Deny || !strings.Contains(d.Hint, "policy broken could not be evaluated") || !slices.Equal(d.Policies, []string{"broken"}) {
		t.Errorf("%+v", d)
	}
	set = load(t, mayRead+`permit (principal, action == Action::"reveal", resource);
		forbid (principal, action == Action::"reveal", resource) when { 9223372036854775807 + 1 > 0 };`)
	if d := sqlguard.Decide(input(reading("id"), set)); len(d.Masked) != 2 {
		t.Errorf("a reveal that fails reveals: %+v", d)
	}
}

func TestCastsToJSONAreCalls(t *testing.T) {
	set := load(t, strings.Replace(mayRead, `Action::"call", `, "", 1))
	f := reading("id")
	f.Functions = []access.FunctionUse{{Name: access.Name{Schema: "pg_catalog", Name: "to_json"}, Builtin: true, Class: "pure"}}
	in := input(f, set)
	if d := sqlguard.Decide(in); d.Effect != access.Allow {
		t.Errorf("without such casts: %+v", d)
	}
	in.Catalog.Casts = []access.Cast{{Source: 99999, Target: 114, Function: public("leak")}}
	if d := sqlguard.Decide(in); d.Effect != access.Deny || !strings.Contains(d.Hint, "public.leak") {
		t.Errorf("with one: %+v", d)
	}
}

func TestWordingOfReasonsMustBeKnownWhereItCounts(t *testing.T) {
	in := input(reading("id"), load(t, mayRead+`forbid (principal, action == Action::"read", resource) when { context.reason like "*curious*" };`))
	for reason, want := range map[string]access.Effect{"": access.Deny, "I am just curious about them": access.Deny, "looking into ticket 4711": access.Allow} {
		in.HasReason, in.Reason = true, reason
		if d := sqlguard.Decide(in); d.Effect != want {
			t.Errorf("%q: %+v", reason, d)
		}
	}
	in.HasReason, in.Reason = false, ""
	if d := sqlguard.Decide(in); d.Effect != access.Allow {
		t.Errorf("without a reason: %+v", d)
	}
}

// TestForbidNeverShowsMore adds a forbid to random policies: no statement that was denied may become
// allowed, and no column may be seen better than before.
func TestForbidNeverShowsMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(effect string) string {
			pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
			return fmt.Sprintf("%s (%s, %s, %s);\n", effect, pick("principal", "principal", `principal in Group::"agents"`, "principal is User"),
				pick("action", `action == Action::"read"`, `action == Action::"write"`, `action == Action::"reveal"`, `action == Action::"lookup"`, `action == Action::"call"`),
				pick("resource", "resource", `resource in Connection::"shop"`, `resource in Schema::"shop.public"`))
		}
		text := `permit (principal, action == Action::"connect", resource);`
		for range rapid.IntRange(1, 5).Draw(t, "permits") {
			text += draw("permit")
		}
		before, err := policy.Load([]policy.File{{Name: "a", Text: text}})
		after, err2 := policy.Load([]policy.File{{Name: "a", Text: text + draw("forbid")}})
		if err != nil || err2 != nil {
			t.Skip()
		}
		f := reading("id", rapid.SampledFrom([]string{"email", "phone"}).Draw(t, "column"))
		if rapid.Bool().Draw(t, "write") {
			f.Relations = append(f.Relations, access.RelationUse{Name: public("customers"), Action: access.ActWrite, Verb: "update",
				Columns: []access.ColumnUse{{Name: rapid.SampledFrom([]string{"email", "region"}).Draw(t, "written"), Use: access.UseWrite}}})
		}
		x, y := sqlguard.Decide(input(f, before)), sqlguard.Decide(input(f, after))
		if y.Effect == access.Deny {
			return
		}
		if x.Effect == access.Deny {
			t.Fatalf("denied became allowed: %+v", y)
		}
		for _, c := range ids("customers.email", "customers.phone") {
			if sight(y, c) > sight(x, c) {
				t.Fatalf("%v is seen better: %+v, then %+v", c, x, y)
			}
		}
	})
}

// sight is how well a column is seen: masked, by look-up, raw.
func sight(d access.Decision, c access.ColumnID) int {
	switch {
	case !slices.Contains(d.Masked, c):
		return 2
	case slices.Contains(d.Lookup, c):
		return 1
	}
	return 0
}

func BenchmarkDecide(b *testing.B) {
	in := input(reading("id", "email", "phone", "region"), load(b, policy.Starter))
	in.HasReason = true
	b.ReportAllocs()
	for b.Loop() {
		if sqlguard.Decide(in).Effect != access.Allow {
			b.Fatal("denied")
		}
	}
}

// TestAffectedIsNeverLost: where a statement's rows cannot be counted, @affected refuses it.
func TestAffectedIsNeverLost(t *testing.T) {
	set := load(t, `@affected("<=10") permit (principal, action, resource);`)
	if d := sqlguard.Unrestricted(bot, "shop", access.DoorMCP, set); d.Effect != access.Deny || !strings.Contains(d.Message, "@affected") {
		t.Errorf("unrestricted: %+v", d)
	}
	in := input(reading("id"), set)
	if d := sqlguard.Decide(in); d.Effect != access.Allow || d.Obligations.Affected != 10 {
		t.Errorf("a read: %+v", d)
	}
	in.Facts.Uncounted = true
	if d := sqlguard.Decide(in); d.Effect != access.Allow {
		t.Errorf("EXPLAIN ANALYZE of a read: %+v", d)
	}
	in.Facts.Relations = append(in.Facts.Relations, access.RelationUse{Name: in.Facts.Relations[0].Name, Action: access.ActWrite, Verb: "delete"})
	if d := sqlguard.Decide(in); d.Effect != access.Deny || d.Code != "0A000" {
		t.Errorf("an uncounted write: %+v", d)
	}
	in.Facts.Uncounted = false
	if d := sqlguard.Decide(in); d.Effect != access.Allow {
		t.Errorf("a plain write: %+v", d)
	}
	in.Facts.Relations[len(in.Facts.Relations)-1].By = "orders_customer_fkey"
	if d := sqlguard.Decide(in); d.Effect != access.Deny || d.Code != "0A000" {
		t.Errorf("a write that a foreign key carries on: %+v", d)
	}
}
