package oidc

import (
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/testidp"
	"sallyport/internal/testidp/forge"
)

func writeFile(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestClockSkew(t *testing.T) {
	b := newBench(t, func(p *access.Provider) { p.Skew = time.Minute })
	now := b.now().Unix()
	for _, c := range []claims{{"exp": now - 59}, {"nbf": now + 60}, {"iat": now + 60}, {"auth_time": now + 60}} {
		b.good(b.idp.AccessToken(door, c))
	}
	for _, c := range []claims{{"exp": now - 60}, {"nbf": now + 61}, {"iat": now + 61}, {"auth_time": now + 61}} {
		_, err := b.ps.Access(ctx, b.idp.AccessToken(door, c))
		failed(t, err, Time)
	}
}

func TestGroups(t *testing.T) {
	url := `https://example.com/groups`
	for name, c := range map[string]struct {
		path   string
		mapped map[string]string
		claims claims
		want   string
	}{
		"array":             {"groups", nil, claims{"groups": []string{"b", "a", "b"}}, "a|b"},
		"string":            {"groups", nil, claims{"groups": "b a  c"}, "a|b|c"},
		"comma_is_no_space": {"groups", nil, claims{"groups": "b,a"}, "b,a"},
		"space_in_array":    {"groups", nil, claims{"groups": []string{"Domain Admins"}}, "Domain Admins"},
		"empty_string":      {"groups", nil, claims{"groups": ""}, ""},
		"empty":             {"groups", nil, claims{"groups": []string{}}, ""},
		"absent":            {"groups", nil, claims{"groups": nil}, ""},
		"nested":            {"realm_access.roles", nil, claims{"realm_access": claims{"roles": []string{"x"}}}, "x"},
		"nested_absent":     {"realm_access.roles", nil, nil, ""},
		"url":               {`"` + url + `"`, nil, claims{url: []string{"x"}}, "x"},
		"quoted_within":     {`resource_access."my.client".roles`, nil, claims{"resource_access": claims{"my.client": claims{"roles": []string{"x"}}}}, "x"},
		"dot_is_no_name":    {"a.b", nil, claims{"a.b": []string{"x"}}, ""},
		"mapped":            {"groups", map[string]string{"/Eng": "engineers", "0f-1": "dba"}, claims{"groups": []string{"/Eng", "other", "0f-1"}}, "dba|engineers"},
		"mapped_to_nothing": {"groups", map[string]string{}, claims{"groups": []string{"dba"}}, ""},
		"none_configured":   {"", nil, claims{"groups": []string{"dba"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, func(p *access.Provider) { p.GroupsClaim, p.Groups = c.path, c.mapped })
			said := b.good(b.idp.AccessToken(door, c.claims))
			if got := strings.Join(said.Principal.Groups, "|"); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestUserIsAVerifiedAddress(t *testing.T) {
	b := newBench(t, func(p *access.Provider) { p.UserClaim, p.Prefix = "email", "corp." })
	if p := b.good(b.idp.AccessToken(door)).Principal; p.Name != "corp.ada@example.com" {
		t.Errorf("%+v", p)
	}
	for _, v := range []any{nil, false, "true", 1} {
		_, err := b.ps.Access(ctx, b.idp.AccessToken(door, claims{"email_verified": v}))
		failed(t, err, Subject)
	}
}

func TestTwoProvidersWithTheSameUsers(t *testing.T) {
	b := newBench(t)
	second := testidp.New(t)
	second.Clock(b.now)
	one, two := conf(b.idp), conf(second)
	two.Name, two.Prefix = "partner", "partner."
	b.open(one, two)
	ada := b.good(b.idp.AccessToken(door))
	theirs := b.good(second.AccessToken(door))
	if ada.Principal.Name != "ada" || theirs.Principal.Name != "partner.ada" || ada.Principal.Proof.Issuer == theirs.Principal.Proof.Issuer {
		t.Errorf("%+v and %+v", ada.Principal, theirs.Principal)
	}
	// The keys of the one do not verify for the other, not even under the other's key id.
	k := second.Key()
	k.ID = b.idp.Key().ID
	_, err := b.ps.Access(ctx, forge.Mint(b.idp, b.idp.AccessClaims(door), forge.Shape{Key: k, Header: claims{"typ": "at+jwt"}}))
	failed(t, err, Signature)
	_, err = b.ps.ID(ctx, access.IDToken{Provider: "partner", Token: b.idp.IDToken("n"), Nonce: "n"})
	failed(t, err, Issuer)
}

// A user who may choose a name chooses one that another provider gives.
func TestNamesUnderThePrefixOfAnother(t *testing.T) {
	for name, c := range map[string]struct {
		own, other, user string
		taken            bool
	}{
		"of another":      {"", "partner.", "partner.ada", false},
		"in another case": {"", "partner.", "Partner.ada", false},
		"just the prefix": {"", "partner.", "partner.", false},
		"a longer one":    {"p", "partner.", "artner.ada", false},
		"of nobody":       {"", "partner.", "partner", true},
		"apart":           {"corp.", "partner.", "partner.ada", true},
		"the shorter one": {"partner.", "", "ada", true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			one, two := conf(b.idp), conf(testidp.New(t))
			two.Name, one.Prefix, two.Prefix = "partner", c.own, c.other
			b.open(one, two)
			said, err := b.ps.Access(ctx, b.idp.AccessToken(door, claims{"preferred_username": c.user}))
			if c.taken {
				if err != nil || said.Principal.Name != c.own+c.user {
					t.Errorf("%+v, %v", said.Principal, err)
				}
				return
			}
			failed(t, err, Subject)
			_, err = b.ps.ID(ctx, access.IDToken{Provider: "corp", Token: b.idp.IDToken("n", claims{"preferred_username": c.user}), Nonce: "n"})
			failed(t, err, Subject)
		})
	}
	b := newBench(t)
	one, two := conf(b.idp), conf(testidp.New(t))
	one.Agents, two.Name, two.Prefix = []string{"partner.bot"}, "partner", "partner."
	b.open(one, two)
	_, err := b.ps.Access(ctx, b.idp.AccessToken(door, claims{"sub": "partner.bot", "client_id": "partner.bot", "preferred_username": nil}))
	failed(t, err, Subject)
}

func TestAgentsAndActors(t *testing.T) {
	for name, c := range map[string]struct {
		claims claims
		kind   access.PrincipalKind
		who    string
		actor  string
		behind []string
	}{
		"a_person":              {nil, access.Human, "x.ada", "", nil},
		"an_agent":              {claims{"sub": "bot", "client_id": "bot", "preferred_username": nil}, access.Agent, "x.bot", "", nil},
		"an_agent_of_auth0":     {claims{"sub": "bot@clients", "client_id": nil, "azp": "bot", "preferred_username": nil}, access.Agent, "x.bot", "", nil},
		"an_agent_of_keycloak":  {claims{"sub": "0b2c", "client_id": nil, "azp": "bot", "preferred_username": "service-account-bot", "auth_time": nil}, access.Agent, "x.bot", "", nil},
		"an_actor":              {claims{"act": claims{"sub": "triage-bot"}}, access.Human, "x.ada", "x.triage-bot", nil},
		"an_actor_by_client":    {claims{"act": claims{"client_id": "triage-bot", "sub": "0b2c"}}, access.Human, "x.ada", "x.triage-bot", nil},
		"a_chain":               {claims{"act": claims{"sub": "router", "act": claims{"sub": "triage-bot"}}}, access.Human, "x.ada", "x.router", []string{"x.triage-bot"}},
		"a_client_that_acts":    {claims{"client_id": "triage-bot"}, access.Human, "x.ada", "x.triage-bot", nil},
		"azp_that_acts":         {claims{"client_id": nil, "azp": "triage-bot"}, access.Human, "x.ada", "x.triage-bot", nil},
		"client_behind_the_act": {claims{"client_id": "router", "act": claims{"sub": "triage-bot"}}, access.Human, "x.ada", "x.triage-bot", []string{"x.router"}},
		"client_is_the_act":     {claims{"client_id": "triage-bot", "act": claims{"sub": "triage-bot"}}, access.Human, "x.ada", "x.triage-bot", nil},
		"an_agent_with_actor":   {claims{"sub": "bot", "client_id": "bot", "act": claims{"sub": "router"}}, access.Agent, "x.bot", "x.router", nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, func(p *access.Provider) { p.Prefix = "x." })
			p := b.good(b.idp.AccessToken(door, c.claims)).Principal
			if p.Kind != c.kind || p.Name != c.who || p.Actor != c.actor || strings.Join(p.Behind, " ") != strings.Join(c.behind, " ") {
				t.Errorf("%+v", p)
			}
		})
	}
}

// TestClientsThatTheConfigurationDoesNotName holds that a person's token in the hands of just any program is not the person's own.
func TestClientsThatTheConfigurationDoesNotName(t *testing.T) {
	for name, c := range map[string]struct {
		claims  claims
		clients []string
		taken   bool
	}{
		"of_the_gateway":               {nil, nil, true},
		"of_the_command":               {claims{"client_id": "command"}, nil, true},
		"unknown":                      {claims{"client_id": "editor"}, nil, false},
		"unknown_by_azp":               {claims{"client_id": nil, "azp": "editor"}, nil, false},
		"of_another_case":              {claims{"client_id": "Editor"}, []string{"editor"}, false},
		"a_tool":                       {claims{"client_id": "editor"}, []string{"editor"}, true},
		"any":                          {claims{"client_id": "editor"}, []string{AnyClient}, true},
		"an_agent_with_a_person's":     {claims{"client_id": "bot"}, nil, false},
		"unknown_behind_an_actor":      {claims{"client_id": "editor", "act": claims{"sub": "router"}}, nil, false},
		"named_like_a_service_account": {claims{"client_id": nil, "azp": "bot", "preferred_username": "service-account-bot"}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, func(p *access.Provider) { p.Clients, p.LoginClientID, p.AnyTokenType = c.clients, "command", true })
			said, err := b.ps.Access(ctx, b.idp.AccessToken(door, c.claims))
			if !c.taken {
				failed(t, err, Actor)
				return
			}
			if err != nil || said.Principal.Kind != access.Human || said.Principal.Actor != "" {
				t.Errorf("%+v, %v", said.Principal, err)
			}
		})
	}
}

func TestTokensOfProvidersWithTypJWT(t *testing.T) {
	b := newBench(t, func(p *access.Provider) {
		p.Clients = []string{"okta-client"}
		p.AnyTokenType, p.Scopes, p.Audiences = true, map[string][]access.Action{"read": {access.ActRead}}, []string{"api://sallyport"}
	})
	c := b.idp.AccessClaims("api://sallyport")
	delete(c, "client_id")
	c["cid"], c["scp"] = "okta-client", []string{"read", "openid"}
	for _, typ := range []any{nil, "JWT", "at+jwt", "application/at+jwt", "AT+JWT"} {
		said := b.good(forge.Mint(b.idp, c, forge.Shape{Header: claims{"typ": typ}}))
		if q := said.Principal.Proof; q.Client != "okta-client" || !reflect.DeepEqual(q.Scopes, []string{"openid", "read"}) || !q.Scoped || len(q.Grants["read"]) != 1 {
			t.Errorf("%+v", q)
		}
	}
	_, err := b.ps.Access(ctx, b.idp.IDToken("n"))
	failed(t, err, Audience)
	_, err = b.ps.Access(ctx, b.idp.LogoutToken())
	failed(t, err, Header)
	c["nonce"] = "n"
	_, err = b.ps.Access(ctx, forge.Mint(b.idp, c))
	failed(t, err, Audience)
}

func TestClaimsThatStandElsewhere(t *testing.T) {
	b := newBench(t)
	elsewhere := func(source claims) string {
		return b.idp.AccessToken(door, claims{"groups": nil, "_claim_names": claims{"groups": "src", "ignored": "none-needed"}, "_claim_sources": claims{"src": source, "none-needed": claims{"JWT": "x"}}})
	}
	inner := func(c claims, s ...forge.Shape) string {
		m := claims{"iss": b.idp.Issuer, "sub": "u-1", "groups": []string{"far"}, "iat": b.now().Unix(), "exp": b.now().Unix() + 60}
		for k, v := range c {
			m[k] = v
		}
		return forge.Mint(b.idp, m, s...)
	}
	asked, bearer := 0, ""
	serve := func(kind, body string) {
		b.idp.Handle("/claims", func(w http.ResponseWriter, r *http.Request) {
			asked++
			bearer = r.Header.Get("Authorization")
			w.Header().Set("Content-Type", kind)
			w.Write([]byte(body))
		})
	}
	outside := testidp.New(t) // another host: nothing is ever sent there

	n := 0
	endpoint := func() string { n++; return b.idp.Issuer + "/claims?" + strings.Repeat("x", n) } // answers are kept
	for name, c := range map[string]struct {
		kind, body string
		source     claims
		want       Check // "": taken
	}{
		"aggregated":              {"", "", claims{"JWT": inner(nil)}, ""},
		"aggregated_unsigned":     {"", "", claims{"JWT": inner(nil, forge.Shape{Alg: "none"})}, Signature},
		"aggregated_of_another":   {"", "", claims{"JWT": inner(claims{"iss": outside.Issuer})}, Claims},
		"aggregated_somebody":     {"", "", claims{"JWT": inner(claims{"sub": "u-2"})}, Claims},
		"aggregated_expired":      {"", "", claims{"JWT": inner(claims{"exp": 1})}, Time},
		"distributed_token":       {"application/jwt", inner(nil), claims{"access_token": "secret"}, ""},
		"distributed_json":        {"application/json", `{"groups":["far"]}`, claims{"access_token": "secret"}, ""},
		"distributed_forged":      {"application/jwt", inner(nil, forge.Shape{Key: newKey(t, "ES256")}), claims{}, Signature},
		"distributed_twice":       {"application/json", `{"groups":["far"],"groups":["x"]}`, claims{}, Form},
		"distributed_somebody":    {"application/json", `{"sub":"u-2","groups":["far"]}`, claims{}, Claims},
		"distributed_endless":     {"application/json", strings.Repeat(" ", maxBody+10) + "{}", claims{}, Claims},
		"elsewhere":               {"", "", claims{"endpoint": outside.Issuer + "/claims"}, Claims},
		"metadata":                {"", "", claims{"endpoint": "http://169.254.169.254/"}, Claims},
		"by_user_info_in_the_url": {"", "", claims{"endpoint": strings.Replace(b.idp.Issuer, "http://", "http://"+strings.TrimPrefix(b.idp.Issuer, "http://")+"@", 1)}, Claims},
		"a_file":                  {"", "", claims{"endpoint": "file:///etc/passwd"}, Claims},
		"nowhere":                 {"", "", claims{}, Claims},
	} {
		t.Run(name, func(t *testing.T) {
			if c.kind != "" {
				serve(c.kind, c.body)
				c.source["endpoint"] = endpoint()
			}
			said, err := b.ps.Access(ctx, elsewhere(c.source))
			if c.want != "" {
				failed(t, err, c.want)
				return
			}
			if err != nil || strings.Join(said.Principal.Groups, " ") != "far" {
				t.Fatalf("%v, %v", said.Principal.Groups, err)
			}
			if c.kind != "" && bearer != "Bearer secret" {
				t.Errorf("asked with %q", bearer)
			}
		})
	}
	if got := outside.Requests(); len(got) > 0 {
		t.Errorf("a token sent the gateway elsewhere: %v", got)
	}
	serve("application/json", `{"groups":["far"]}`)
	asked = 0
	raw := elsewhere(claims{"endpoint": endpoint()})
	for range 5 {
		b.good(raw)
	}
	if asked != 1 {
		t.Errorf("asked %d times for one token", asked)
	}
	b.idp.Handle("/claims", http.RedirectHandler(outside.Issuer+"/claims", http.StatusFound).ServeHTTP)
	_, err := b.ps.Access(ctx, elsewhere(claims{"endpoint": endpoint()}))
	failed(t, err, Claims)
	if got := outside.Requests(); len(got) > 0 {
		t.Errorf("a redirect sent the gateway elsewhere: %v", got)
	}

	// One origin more, by the configuration.
	p := conf(b.idp)
	p.ClaimSources = []string{outside.Issuer}
	b.open(p)
	outside.Handle("/claims", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"groups":["far"]}`))
	})
	if said := b.good(elsewhere(claims{"endpoint": outside.Issuer + "/claims"})); strings.Join(said.Principal.Groups, " ") != "far" {
		t.Errorf("%+v", said)
	}
}
