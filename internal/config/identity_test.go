package config

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
)

const aProvider = "{name: corp, issuer: 'https://id.example.com', client_id: sallyport%s}"

func withProviders(list ...string) string {
	return sound + "identity:\n  credential_lifetime: 2h\n  providers:\n    - " + strings.Join(list, "\n    - ") + "\n"
}

func TestProviders(t *testing.T) {
	more := func(s string) string { return strings.Replace(aProvider, "%s", s, 1) }
	other := "{name: b, issuer: 'https://b.example.com', client_id: x"
	for _, c := range []struct{ text, want string }{
		{withProviders(more("")), ""},
		{withProviders(more(", prefix: corp.") + "\n    - " + other + ", prefix: b.}"), ""},
		{withProviders(more("") + "\n    - " + other + "}"), ":30: `b` has the prefix of `corp`"},
		{withProviders(more(", prefix: corp.") + "\n    - " + other + ", prefix: Corp.}"), "`b` has the prefix of `corp`"},
		{withProviders(more("") + "\n    - {name: corp, issuer: 'https://b.example.com', client_id: x, prefix: b.}"), "has the name of"},
		{withProviders(more("") + "\n    - {name: b, issuer: 'https://id.example.com', client_id: x, prefix: b.}"), "has the issuer of"},
		{withProviders("{name: corp, issuer: 'http://id.example.com', client_id: x}"), "is not an https URL"},
		{withProviders("{name: corp, issuer: 'http://127.0.0.1:5556/dex', client_id: x}"), ""},
		{withProviders("{name: corp, issuer: 'https://id.example.com'}"), "has no `client_id`"},
		{withProviders("{name: a b, issuer: 'https://id.example.com', client_id: x}"), "cannot be a provider's name"},
		{withProviders(more(", user: a..b")), "is not a path into the claims"},
		{withProviders(more(", groups: 'https://x/groups'")), "is not a path into the claims"},
		{withProviders(more(`, groups: '"https://x/groups"'`)), ""},
		{withProviders(more(", attributes: {Tenant: org}")), "cannot be an attribute"},
		{withProviders(more(", attributes: {tenant: 'a b'}")), "is not a path into the claims"},
		{withProviders(more(", audiences: [sallyport]")), "cannot be the audience"},
		{withProviders(more(", group_map: {x: 'a b'}")), "cannot be a group's name"},
		{withProviders(more(", agents: ['https://a']")), "cannot be an agent's name"},
		{withProviders(more(", claim_sources: ['https://a/b']")), "is not an origin"},
		{withProviders(more(", scopes: {r: [reed]}")), "`reed` is no action"},
		{withProviders(more(", algorithms: [HS256]")), "are not taken"},
		{withProviders(more(", skew: 6m")), "is no time for `skew`"},
		{withProviders(more(", refresh: 5s")), "is no time for `refresh`"},
		{withProviders(more(", access_token_typ: jwt")), "is not what `access_token_typ` can be"},
		{withProviders(more(", client_secret_env: NOT_THERE_AT_ALL")), "is not set"},
		{withProviders(more(", usr: sub")), "usr"},
		{strings.Replace(withProviders(more("")), "2h", "13h", 1), "is no time for `identity.credential_lifetime`"},
	} {
		_, err := load(t, c.text)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if c.want == "" && err != nil || !strings.Contains(got, c.want) {
			t.Errorf("%q, want %q\n%s", got, c.want, c.text[len(sound):])
		}
	}
}

func TestAProvidersSecretByCommand(t *testing.T) {
	c, err := load(t, withProviders(strings.Replace(aProvider, "%s", ", client_secret_command: [echo, s3cret]", 1)))
	if err != nil || c.Providers[0].ClientSecret != "s3cret" {
		t.Errorf("%v", err)
	}
	if _, err = load(t, withProviders(strings.Replace(aProvider, "%s", `, client_secret_command: ["false"]`, 1))); err == nil || !strings.Contains(err.Error(), "gives no secret") {
		t.Errorf("%v", err)
	}
}

func TestProviderInTheWordsOfTheCore(t *testing.T) {
	t.Setenv("OIDC_SECRET", "s3cret")
	c, err := load(t, strings.Replace(withProviders(strings.Replace(aProvider, "%s", `, client_secret_env: OIDC_SECRET, login_client_id: cli, scopes: {r: [read]}, access_token_typ: any, group_map: {G: dba}, skew: 1m`, 1)),
		"  pgwire:", "  mcp: {address: 127.0.0.1:6544, public_url: 'https://s.example.com/'}\n  pgwire:", 1))
	if err != nil {
		t.Fatal(err)
	}
	p := c.Providers[0]
	if p.ClientSecret != "s3cret" || p.LoginClientID != "cli" || !p.AnyTokenType || p.Groups["G"] != "dba" || p.Skew != time.Minute || p.Scopes["r"][0] != access.ActRead || c.Audience() != "https://s.example.com/mcp" {
		t.Errorf("%+v, %s", p, c.Audience())
	}
}

// A group that a provider's people may be in has people, as far as the configuration knows.
func TestGroupsOfAProviderDecide(t *testing.T) {
	for _, c := range []struct {
		more string
		warn bool
	}{
		{", groups: groups, group_map: {stewards: dpo}", false},
		{", groups: groups", false},
		{", groups: groups, group_map: {stewards: keepers}", true},
		{", groups: groups, group_map: {}", true},
		{"", true},
	} {
		got, err := load(t, withProviders(strings.Replace(aProvider, "%s", c.more, 1))+"approvals: {groups: {dpo: {quorum: 1}}}\n")
		if err != nil {
			t.Fatal(err)
		}
		warned := slices.ContainsFunc(got.Warnings, func(p Problem) bool { return strings.Contains(p.String(), "no person is in the group `dpo`") })
		if warned != c.warn {
			t.Errorf("%q: warned is %v: %v", c.more, warned, got.Warnings)
		}
	}
}
