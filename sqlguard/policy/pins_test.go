package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/access"
)

func TestPinsOfAPrincipal(t *testing.T) {
	set := mustLoad(t, `
		@role("tenant_reader") @setting("app.tenant = principal.tenant, App.Region = 'e''u', work_mem = 1024, jit = false")
		permit (principal, action == Action::"connect", resource);
		@setting("app.who = principal.name, app.tenant = 'acme'") permit (principal, action == Action::"connect", resource);`)
	p := access.Principal{Name: "ada", Kind: access.Human, Attributes: map[string]string{"tenant": "acme"}}
	v := set.Is(Request{Principal: p, Action: access.ActConnect, Resource: Connection("shop")})
	got, err := Pins(p, v.Obligations)
	want := access.Pins{Role: "tenant_reader", Settings: map[string]string{"app.tenant": "acme", "app.region": "e'u", "work_mem": "1024", "jit": "false", "app.who": "ada"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if words := ObligationWords(v.Obligations); !strings.Contains(words, `@role("tenant_reader") @setting("app.tenant = principal.tenant`) {
		t.Errorf("in words: %s", words)
	}
	if !set.Pins() || mustLoad(t, `permit (principal, action, resource);`).Pins() {
		t.Error("which policies pin is not known")
	}
	if diff := cmp.Diff([]string{"name", "tenant"}, set.Asked()); diff != "" {
		t.Error(diff)
	}
	for who, attributes := range map[string]map[string]string{"without": nil, "empty": {"tenant": ""}, "another": {"tenant": "other"}, "nul": {"tenant": "a\x00"}} {
		if pins, err := Pins(access.Principal{Name: who, Attributes: attributes}, v.Obligations); err == nil {
			t.Errorf("%s has %v", who, pins)
		}
	}
	for _, role := range []string{"", "none", "NONE", "default", " x"} {
		if pins, err := Pins(access.Principal{Name: "x", Attributes: map[string]string{"r": role}}, access.Obligations{Role: []string{"principal.r"}}); err == nil {
			t.Errorf("role %q gives %v", role, pins)
		}
	}
}

func TestPinsThatAreNoneAreErrors(t *testing.T) {
	for annotation, want := range map[string]string{
		`@role("")`: "is not the name of a role", `@role("none")`: "is not the name of a role", `@setting("")`: "not a list of settings",
		`@setting("app.tenant")`: "not a list of settings", `@setting("app.tenant = tenant")`: "neither a constant nor principal.NAME",
		`@setting("app.tenant = principal.a.b")`: "neither a constant", `@setting("app.tenant = (select 1)")`: "neither a constant", `@setting("app.tenant = 'a' || 'b'")`: "neither a constant",
		`@setting("app.tenant = null")`: "is given no value", `@setting("app.tenant = default")`: "neither a constant", `@setting("app.tenant = 'a' where true")`: "more than a list",
		`@setting("app.tenant = 'a'; delete from t")`: "more than a list", `@setting("app.tenant = 'a' returning 1")`: "more than a list", `@setting("app.tenant = 'a', APP.tenant = 'b'")`: "given two values",
		`@setting("role = 'x'")`: "cannot be pinned", `@setting("session_authorization = 'x'")`: "cannot be pinned", `@setting("client_encoding = 'SJIS'")`: "cannot be pinned",
		`@setting("sallyport.ipad = '0'")`: "belongs to the gateway", `@setting("standard_conforming_strings = 'off'")`: "cannot be pinned", `@setting("options = '-c x=y'")`: "cannot be pinned",
		`@setting("\"a b\" = 'x'")`: "is not the name of a setting", `@setting("_pq_.x = 'x'")`: "is not the name of a setting", `@setting("a[1] = 'x'")`: "is not the name of a setting",
	} {
		_, err := Load([]File{{"p.cedar", annotation + ` permit (principal, action == Action::"connect", resource);`}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", annotation, err, want)
		}
	}
	for _, head := range []string{`permit (principal, action, resource)`, `permit (principal, action in [Action::"connect", Action::"read"], resource)`, `permit (principal, action == Action::"read", resource)`, `forbid (principal, action == Action::"connect", resource)`} {
		for _, annotation := range []string{`@role("r")`, `@setting("a.b = 'c'")`} {
			if _, err := Load([]File{{"p.cedar", annotation + " " + head + ";"}}); err == nil {
				t.Errorf("%s %s is taken", annotation, head)
			}
		}
	}
}
