package identity

import (
	"strings"

	"sallyport/internal/testidp"
)

// access is a good access token of ada; mint(nil) is honest.
func (w *world) access(p *testidp.Provider) token {
	return token{w: w, p: p, claims: p.AccessClaims(w.g.MCPURL), typ: "at+jwt", aud: w.g.MCPURL}
}

// id is a good ID token of ada for a client.
func (w *world) id(p *testidp.Provider, client, nonce string) token {
	c := p.IDClaims(nonce)
	c["aud"], c["azp"] = client, client
	return token{w: w, p: p, claims: c, typ: "JWT", aud: client}
}

// givenTo is a token of ada that is not in her own hands.
func givenTo(name string, change map[string]any) fault {
	return fault{name, func(t token) string { return t.mint(change) }}
}

// accessFaults are those of access tokens.
func (w *world) accessFaults() []fault {
	act := func(v any) func(t token) string {
		return func(t token) string { return t.mint(map[string]any{"act": v, "client_id": actor}) }
	}
	chain := any(map[string]any{"sub": actor})
	for range 40 {
		chain = map[string]any{"sub": actor, "act": chain}
	}
	return []fault{
		{"ID token of the command", func(t token) string { return w.id(t.p, testidp.ClientID, "n").mint(nil) }},
		{"ID token of the web door", func(t token) string { return w.id(t.p, webClient, "n").mint(nil) }},
		{"ID token without a nonce", func(t token) string { return w.id(t.p, webClient, "").mint(nil) }},
		{"ID token for this door, by its typ", func(t token) string { x := w.id(t.p, w.g.MCPURL, "n"); return x.mint(nil) }},
		headed("no typ", "typ", nil),
		headed("typ JWT", "typ", "JWT"),
		headed("typ with more behind it", "typ", "at+jwt; charset=utf-8"),
		{"audience is the command's client", func(t token) string { return t.mint(map[string]any{"aud": testidp.ClientID}) }},
		{"audience is the web door", func(t token) string { return t.mint(map[string]any{"aud": w.g.WebURL}) }},
		{"audience is another path of this door", func(t token) string {
			return t.mint(map[string]any{"aud": strings.TrimSuffix(w.g.MCPURL, "/mcp") + "/other"})
		}},
		{"log-out token", func(t token) string { return t.p.LogoutToken(map[string]any{"aud": w.g.MCPURL}) }},
		{"azp is not client_id", func(t token) string { return t.mint(map[string]any{"azp": "rogue"}) }},
		// A person's token in the hands of a program that the configuration says nothing of is not the person's own.
		givenTo("given to a client that is not listed", map[string]any{"client_id": "rogue"}),
		givenTo("given to a client that is not listed (azp)", map[string]any{"client_id": nil, "azp": "rogue"}),
		givenTo("given to a client that is not listed, which names a known actor", map[string]any{"client_id": "rogue", "act": map[string]any{"sub": actor}}),
		givenTo("given to no client", map[string]any{"client_id": nil, "azp": nil}),
		givenTo("given to a client in a list", map[string]any{"client_id": []string{testidp.ClientID}}),
		givenTo("given to the command's client in capitals", map[string]any{"client_id": strings.ToUpper(testidp.ClientID)}),
		givenTo("given to an agent of its own", map[string]any{"client_id": ownAgent}),
		{"actor that nobody knows", act(map[string]any{"sub": "rogue"})},
		{"actor behind a known one that nobody knows", act(map[string]any{"sub": actor, "act": map[string]any{"sub": "rogue"}})},
		{"actor of another issuer", act(map[string]any{"sub": actor, "iss": "https://evil.example"})},
		{"chain of 41 actors", act(chain)},
		{"actor is a name", act(actor)},
		{"actors in a list", act([]any{map[string]any{"sub": actor}})},
		{"actor without a name", act(map[string]any{})},
		{"actor with an empty name", act(map[string]any{"sub": ""})},
		{"actor is a number", act(map[string]any{"sub": 1})},
		{"actor in look-alike letters", act(map[string]any{"sub": "tri\u0430ge-bot"})},
		{"agent's own token by a client that is none of its own", func(t token) string {
			return t.mint(map[string]any{"sub": ownAgent, "client_id": "rogue", "preferred_username": nil, "groups": nil})
		}},
		{"client credentials of a client that nobody knows", func(t token) string {
			return t.mint(map[string]any{"sub": "rogue", "client_id": "rogue", "preferred_username": nil, "groups": nil})
		}},
		{"person whose subject is the name of an agent", func(t token) string {
			return t.mint(map[string]any{"sub": ownAgent, "preferred_username": ownAgent, "client_id": testidp.ClientID, "groups": []string{"staff"}})
		}},
		{"same subject at another provider", func(t token) string {
			return w.evil.AccessToken(w.g.MCPURL, map[string]any{"groups": []string{"guests", "support", "ops"}})
		}},
		{"another provider's user by the house's prefix", func(t token) string {
			return w.evil.AccessToken(w.g.MCPURL, map[string]any{"preferred_username": "corp-ada", "groups": []string{"guests"}})
		}},
		{"another provider's user that climbs out of its prefix", func(t token) string {
			return w.evil.AccessToken(w.g.MCPURL, map[string]any{"preferred_username": "/../corp-ada", "groups": []string{"guests"}})
		}},
		{"address that was not verified", func(t token) string {
			return w.mail.AccessToken(w.g.MCPURL, map[string]any{"email_verified": false})
		}},
		{"address of which nothing says that it was verified", func(t token) string {
			return w.mail.AccessToken(w.g.MCPURL, map[string]any{"email_verified": nil})
		}},
		{"address that was verified in words", func(t token) string {
			return w.mail.AccessToken(w.g.MCPURL, map[string]any{"email_verified": "no"})
		}},
	}
}

// asBob is a fault by which somebody who is not in support wants to be taken for somebody who is.
func asBob(name string, change map[string]any) fault {
	return fault{name, func(t token) string {
		bob := map[string]any{"sub": "sub-bob", "preferred_username": "bob", "email": "bob@example.com", "groups": []string{"staff"}}
		return t.mint(merged(bob, change))
	}}
}

// climbs are tokens that a provider did sign, for somebody who wants more than is theirs.
var climbs = []fault{
	asBob("groups as an object", map[string]any{"groups": map[string]any{"support": true}}),
	asBob("groups as an object by number", map[string]any{"groups": map[string]any{"0": "support"}}),
	asBob("groups within a list in a list", map[string]any{"groups": []any{"staff", []any{"support"}}}),
	asBob("groups with an object in them", map[string]any{"groups": []any{"staff", map[string]any{"name": "support"}}}),
	asBob("groups joined by a comma", map[string]any{"groups": []any{"staff,support"}}),
	asBob("groups joined by a blank", map[string]any{"groups": []any{"staff support"}}),
	asBob("groups joined by a line feed", map[string]any{"groups": []any{"staff\nsupport"}}),
	asBob("group in capitals", map[string]any{"groups": []any{"staff", "SUPPORT"}}),
	asBob("group in look-alike letters", map[string]any{"groups": []any{"staff", "supp\u043ert"}}),
	asBob("group with a letter of no width", map[string]any{"groups": []any{"staff", "support\u200b"}}),
	asBob("group with NUL", map[string]any{"groups": []any{"staff", "support\x00"}}),
	asBob("group with blanks around it", map[string]any{"groups": []any{"staff", " support "}}),
	asBob("group that ends Cedar's text", map[string]any{"groups": []any{"staff", `x", Group::"support`}}),
	asBob("groups under another claim", map[string]any{"roles": []any{"support"}, "Groups": []any{"support"}, "group": "support"}),
	asBob("group with a path", map[string]any{"groups": []any{"staff", "/support", "x/support"}}),
	asBob("name in capitals", map[string]any{"preferred_username": "Ada"}),
	asBob("name in look-alike letters", map[string]any{"preferred_username": "\u0430da"}),
	asBob("name with blanks around it", map[string]any{"preferred_username": " ada "}),
	asBob("name with a letter of no width", map[string]any{"preferred_username": "ada\u200b"}),
	asBob("name in full-width letters", map[string]any{"preferred_username": "\uff41\uff44\uff41"}),
	asBob("name with the prefix once more", map[string]any{"preferred_username": "corp-ada"}),
	asBob("name under another case of the claim", map[string]any{"Preferred_Username": "ada"}),
	asBob("name that ends Cedar's text", map[string]any{"preferred_username": `bob" || "ada`}),
	asBob("name of an agent", map[string]any{"preferred_username": ownAgent}),
	asBob("name by subject", map[string]any{"name": "ada", "nickname": "ada", "email": "ada@example.com", "upn": "ada"}),
}

// idFaults are those of ID tokens. Tokens that are handed over have to be for one of the gateway's clients and bound by a nonce.
func (w *world) idFaults() []fault {
	return []fault{
		with("no nonce", "nonce", nil),
		with("empty nonce", "nonce", ""),
		with("nonce of another log-in", "nonce", "n-"+random()),
		with("nonce in a list", "nonce", []string{"x"}),
		{"nonce with more behind it", func(t token) string {
			n, _ := t.claims["nonce"].(string)
			return t.mint(map[string]any{"nonce": n + "x"})
		}},
		{"nonce in capitals", func(t token) string {
			n, _ := t.claims["nonce"].(string)
			return t.mint(map[string]any{"nonce": strings.ToUpper(n) + "!"})
		}},
		twice("nonce", "x", true),
		with("azp is somebody else", "azp", "rogue"),
		{"audiences of others too, no azp", func(t token) string {
			return t.mint(map[string]any{"aud": []string{t.aud, "rogue"}, "azp": nil})
		}},
		{"audiences of others too, azp is one of them", func(t token) string {
			return t.mint(map[string]any{"aud": []string{t.aud, "rogue"}, "azp": "rogue"})
		}},
		{"for another client", func(t token) string {
			return t.mint(map[string]any{"aud": "app-of-somebody", "azp": "app-of-somebody"})
		}},
		{"access token for the agents' door", func(t token) string { return w.access(t.p).mint(nil) }},
		{"access token for this client", func(t token) string {
			x := w.access(t.p)
			return x.mint(map[string]any{"aud": t.aud, "nonce": t.claims["nonce"]})
		}},
		headed("typ at+jwt", "typ", "at+jwt"),
		headed("typ application/at+jwt", "typ", "application/at+jwt"),
		{"log-out token", func(t token) string { return t.p.LogoutToken(map[string]any{"aud": t.aud, "nonce": t.claims["nonce"]}) }},
		{"events of a log-out token", func(t token) string {
			return t.mint(map[string]any{"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}})
		}},
		{"same subject at another provider", func(t token) string {
			x := w.id(w.evil, t.aud, "")
			return x.mint(map[string]any{"nonce": t.claims["nonce"], "groups": []string{"guests", "support", "ops"}})
		}},
		with("no time of issue", "iat", nil),
	}
}
