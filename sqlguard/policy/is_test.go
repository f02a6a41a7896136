package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"sallyport/internal/access"
)

var (
	agent    = access.Principal{Name: "bot", Kind: access.Agent, Groups: []string{"agents"}}
	engineer = access.Principal{Name: "ada", Kind: access.Human, Groups: []string{"engineers"}}
	dba      = access.Principal{Name: "root", Kind: access.Human, Groups: []string{"dba"}}
	auditor  = access.Principal{Name: "aud", Kind: access.Human, Groups: []string{"auditors"}}

	orders    = access.Name{Schema: "public", Name: "orders"}
	customers = access.Name{Schema: "public", Name: "customers"}
	email     = Column("shop", customers, "email", []access.Label{"pii.email"})
)

func TestStarter(t *testing.T) {
	s := mustLoad(t, Starter)
	shop := Connection("shop")
	for _, c := range []struct {
		who    access.Principal
		action access.Action
		on     Resource
		want   bool
	}{
		{agent, access.ActConnect, shop, true},
		{agent, access.ActRead, Table("shop", orders), true},
		{agent, access.ActRead, email, true},
		{agent, access.ActReveal, email, false},
		{agent, access.ActLookup, email, false},
		{agent, access.ActWrite, Table("shop", orders), false},
		{agent, access.ActDDL, Table("shop", orders), false},
		{agent, access.ActCall, Function("shop", orders), false},
		{agent, access.ActUnrestricted, shop, false},
		{agent, access.ActConnect, Connection("other"), false},
		{agent, access.ActRead, Table("other", orders), false},
		{agent, access.ActRead, Table("shop", access.Name{Schema: "hr", Name: "salaries"}), false},
		{engineer, access.ActRead, email, true},
		{engineer, access.ActReveal, email, false},
		{engineer, access.ActLookup, email, true},
		{engineer, access.ActLookup, Column("shop", customers, "phone", []access.Label{"pii.phone"}), false},
		{engineer, access.ActWrite, Column("shop", orders, "status", nil), true},
		{engineer, access.ActWrite, Table("shop", customers), false},
		{dba, access.ActUnrestricted, shop, true},
		{auditor, access.ActConnect, shop, true},
		{auditor, access.ActRead, Table("shop", orders), false},
	} {
		if v := s.Is(Request{Principal: c.who, Action: c.action, Resource: c.on}); v.Allowed != c.want || v.Err != nil {
			t.Errorf("%s %s %s: %+v", c.who.Name, c.action, c.on, v)
		}
	}
	v := s.Is(Request{Principal: agent, Action: access.ActRead, Resource: email})
	want := Verdict{Allowed: true, Policies: []string{"agents-read"}, Obligations: access.Obligations{Rows: 1000, Timeout: 10 * time.Second, Reason: true}}
	if diff := cmp.Diff(want, v); diff != "" {
		t.Error(diff)
	}
	v = s.Is(Request{Principal: agent, Action: access.ActWrite, Resource: Table("shop", orders)})
	if !slices.Equal(v.Policies, []string{"agents-never-write"}) {
		t.Errorf("a forbidden request names %q", v.Policies)
	}
}

func TestStrictestObligationsWin(t *testing.T) {
	s := mustLoad(t, `
		@rows("100") @review("b") permit (principal, action == Action::"read", resource);
		@timeout("1m") @review("a,b") permit (principal, action == Action::"read", resource);
		@rows("7") @timeout("5s") permit (principal in Group::"agents", action, resource);
		@rows("1") permit (principal in Group::"nobody", action, resource);`)
	v := s.Is(Request{Principal: agent, Action: access.ActRead, Resource: email})
	want := access.Obligations{Rows: 7, Timeout: 5 * time.Second, Review: []string{"a", "b"}}
	if diff := cmp.Diff(want, v.Obligations); diff != "" || !v.Allowed {
		t.Error(diff)
	}
	again := s.Is(Request{Principal: agent, Action: access.ActRead, Resource: email})
	if diff := cmp.Diff(want, again.Obligations); diff != "" {
		t.Errorf("judging changed the policies: %s", diff)
	}
}

// overflow is a condition that passes the schema and fails when it is evaluated.
const overflow = `9223372036854775807 + 1 > 0`

func TestFailingPolicyDenies(t *testing.T) {
	for _, effect := range []string{"permit", "forbid"} {
		s := mustLoad(t, `permit (principal, action, resource); @id("broken") `+effect+` (principal, action == Action::"read", resource) when { `+overflow+` };`)
		v := s.Is(Request{Principal: agent, Action: access.ActRead, Resource: email})
		if v.Allowed || v.Err == nil || !strings.Contains(v.Err.Error(), "broken") || !slices.Equal(v.Policies, []string{"broken"}) {
			t.Errorf("failing %s: %+v", effect, v)
		}
		if v := s.Is(Request{Principal: agent, Action: access.ActWrite, Resource: email}); !v.Allowed {
			t.Errorf("failing %s of another action: %+v", effect, v)
		}
	}
}

func TestZeroValuesDeny(t *testing.T) {
	all := mustLoad(t, `permit (principal, action, resource);`)
	good := Request{Principal: agent, Action: access.ActRead, Resource: email}
	if !all.Is(good).Allowed {
		t.Fatal("the good request is denied")
	}
	for name, v := range map[string]Verdict{
		"nil set":           (*Set)(nil).Is(good),
		"zero set":          (&Set{}).Is(good),
		"empty set":         mustLoad(t, "").Is(good),
		"zero principal":    all.Is(Request{Action: good.Action, Resource: good.Resource}),
		"no kind":           all.Is(Request{Principal: access.Principal{Name: "x"}, Action: good.Action, Resource: good.Resource}),
		"no name":           all.Is(Request{Principal: access.Principal{Kind: access.Human}, Action: good.Action, Resource: good.Resource}),
		"no action":         all.Is(Request{Principal: agent, Resource: good.Resource}),
		"unknown action":    all.Is(Request{Principal: agent, Action: "fly", Resource: good.Resource}),
		"no resource":       all.Is(Request{Principal: agent, Action: good.Action}),
		"the zero Verdict":  {},
		"zero set by Asker": (*Set)(nil).For(agent, Context{}).Is(good.Action, good.Resource),
	} {
		if v.Allowed {
			t.Errorf("%s: allowed", name)
		}
	}
}

func TestNamesWithDotsDoNotCollide(t *testing.T) {
	a := Table("shop", access.Name{Schema: "public", Name: "orders.status"})
	b := Table("shop", access.Name{Schema: "public.orders", Name: "status"})
	c := Column("shop", orders, "status", nil)
	if a.String() == b.String() {
		t.Error("two tables share an id")
	}
	s := mustLoad(t, `permit (principal, action, resource) when { resource in Table::"shop.public.orders" || resource in Schema::"shop.public.orders" };`)
	for r, want := range map[*Resource]bool{&a: false, &b: false, &c: true} {
		if v := s.Is(Request{Principal: agent, Action: access.ActRead, Resource: *r}); v.Allowed != want {
			t.Errorf("%s: %+v", r, v)
		}
	}
	for _, r := range []Resource{a, b, c} {
		back, err := ParseResource(r.String(), "", nil)
		if err != nil || back.String() != r.String() {
			t.Errorf("%s became %s, %v", r, back, err)
		}
	}
}

func TestLabelsAreHierarchical(t *testing.T) {
	s := mustLoad(t, `permit (principal, action == Action::"reveal", resource in Label::"pii");`)
	for label, want := range map[access.Label]bool{"pii": true, "pii.email": true, "pii.card.number": true, "piix": false, "secret.pii": false} {
		r := Column("shop", customers, "c", []access.Label{label})
		if v := s.Is(Request{Principal: agent, Action: access.ActReveal, Resource: r}); v.Allowed != want {
			t.Errorf("%s: %+v", label, v)
		}
	}
}

func TestContext(t *testing.T) {
	s := mustLoad(t, `
		permit (principal, action == Action::"read", resource) when { context.door == "mcp" && context.has_reason && context.class == "READ" };
		permit (principal, action == Action::"connect", resource) when { context.actor == "" };`)
	c := Context{Door: access.DoorMCP, Class: access.ClassRead, HasReason: true}
	if !s.Is(Request{agent, access.ActRead, email, c}).Allowed {
		t.Error("all as asked, denied")
	}
	c.HasReason = false
	if s.Is(Request{agent, access.ActRead, email, c}).Allowed {
		t.Error("no reason, allowed")
	}
	behind := agent
	behind.Actor = "somebody"
	if !s.Is(Request{agent, access.ActConnect, Connection("shop"), c}).Allowed || s.Is(Request{behind, access.ActConnect, Connection("shop"), c}).Allowed {
		t.Error("actor")
	}
}

// drawPolicy makes a policy that the schema accepts.
func drawPolicy(t *rapid.T, effect string) string {
	pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	annotation := ""
	if effect == "permit" {
		annotation = pick("annotation", "", `@rows("10") `, `@rows("5") `, `@timeout("1s") `, `@reason("required") `, `@review("dba") `)
	}
	return fmt.Sprintf("%s%s (%s, %s, %s)%s;\n", annotation, effect,
		pick("principal", "principal", `principal in Group::"agents"`, `principal == Agent::"bot"`, `principal is User`),
		pick("action", "action", `action == Action::"read"`, `action in [Action::"read", Action::"write"]`),
		pick("resource", "resource", `resource in Schema::"shop.public"`, `resource == Table::"shop.public.orders"`, `resource in Table::"shop.public.customers"`),
		pick("condition", "", ` when { principal in Group::"agents" }`, ` unless { principal is Agent }`, ` when { `+overflow+` }`))
}

func drawRequest(t *rapid.T) Request {
	return Request{
		Principal: rapid.SampledFrom([]access.Principal{agent, engineer, dba}).Draw(t, "who"),
		Action:    rapid.SampledFrom([]access.Action{access.ActRead, access.ActWrite}).Draw(t, "does"),
		Resource:  rapid.SampledFrom([]Resource{email, Table("shop", orders), Column("shop", orders, "id", nil), Connection("shop")}).Draw(t, "to"),
	}
}

func TestForbidNeverWidens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
			return drawPolicy(t, rapid.SampledFrom([]string{"permit", "permit", "forbid"}).Draw(t, "effect"))
		}), 0, 6).Draw(t, "policies"), "")
		more := text + drawPolicy(t, "forbid")
		before, err := Load([]File{{"a", text}})
		if err != nil {
			t.Skip() // a combination that can never match
		}
		after, err := Load([]File{{"a", more}})
		if err != nil {
			t.Skip()
		}
		req := drawRequest(t)
		x, y := before.Is(req), after.Is(req)
		if y.Allowed && !x.Allowed {
			t.Fatalf("denied became allowed: %s", more)
		}
		if y.Allowed && !cmp.Equal(x.Obligations, y.Obligations) {
			t.Fatalf("obligations changed: %+v %+v", x.Obligations, y.Obligations)
		}
		if y.Err != nil && y.Allowed {
			t.Fatal("an error allows")
		}
	})
}

func TestPermitNeverLoosensObligations(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := drawPolicy(t, "permit") + drawPolicy(t, "permit")
		before, err1 := Load([]File{{"a", text}})
		after, err2 := Load([]File{{"a", text + drawPolicy(t, "permit")}})
		if err1 != nil || err2 != nil {
			t.Skip()
		}
		req := drawRequest(t)
		x, y := before.Is(req), after.Is(req)
		if x.Allowed && y.Allowed && !cmp.Equal(Strictest(x.Obligations, y.Obligations), y.Obligations) {
			t.Fatalf("looser: %+v, then %+v", x.Obligations, y.Obligations)
		}
	})
}

// TestOrderDoesNotMatter also covers that filing rules by action changes nothing.
func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
			return drawPolicy(t, rapid.SampledFrom([]string{"permit", "forbid"}).Draw(t, "effect"))
		}), 1, 5).Draw(t, "policies")
		for i := range list {
			list[i] = fmt.Sprintf("@id(\"p%d\") %s", i, list[i])
		}
		a, err := Load([]File{{"a", strings.Join(list, "")}})
		if err != nil {
			t.Skip()
		}
		slices.Reverse(list)
		b, _ := Load([]File{{"a", strings.Join(list, "")}})
		req := drawRequest(t)
		x, y := a.Is(req), b.Is(req)
		if x.Allowed != y.Allowed || !slices.Equal(x.Policies, y.Policies) || !cmp.Equal(x.Obligations, y.Obligations) {
			t.Fatalf("%+v, reversed %+v", x, y)
		}
	})
}

func BenchmarkIs(b *testing.B) {
	var text strings.Builder
	text.WriteString(Starter)
	for i := range 12 { // 20 policies in all
		fmt.Fprintf(&text, "permit (principal in Group::\"g%d\", action == Action::\"read\", resource in Schema::\"shop.s%d\") when { context.door == \"mcp\" };\n", i, i)
	}
	s := mustLoad(b, text.String())
	b.Logf("%d policies", s.Len())
	b.Run("single", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !s.Is(Request{Principal: agent, Action: access.ActRead, Resource: email}).Allowed {
				b.Fatal("denied")
			}
		}
	})
	b.Run("asker", func(b *testing.B) {
		b.ReportAllocs()
		a := s.For(agent, Context{})
		for b.Loop() {
			if !a.Is(access.ActRead, email).Allowed {
				b.Fatal("denied")
			}
		}
	})
	b.Run("asker_new_column", func(b *testing.B) {
		b.ReportAllocs()
		a := s.For(agent, Context{})
		for b.Loop() {
			if !a.Is(access.ActRead, Column("shop", customers, "email", []access.Label{"pii.email"})).Allowed {
				b.Fatal("denied")
			}
		}
	})
}
