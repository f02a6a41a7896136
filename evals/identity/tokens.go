package identity

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"strings"
	"time"

	"sallyport/internal/testidp"
	"sallyport/internal/testidp/forge"
)

// token is a good token of ada that a fault makes something else of.
type token struct {
	w      *world
	p      *testidp.Provider // who mints it
	claims map[string]any
	typ    string
	aud    string // the right one
}

// fault is one thing that is wrong with a token of any kind.
type fault struct {
	name string
	make func(t token) string
}

// mint signs the claims, changed; nil leaves one out.
func (t token) mint(change map[string]any, shapes ...forge.Shape) string {
	c := maps.Clone(t.claims)
	for k, v := range change {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	return forge.Mint(t.p, c, append([]forge.Shape{{Header: map[string]any{"typ": t.typ}}}, shapes...)...)
}

// with is a fault of the claims alone.
func with(name, claim string, value any) fault {
	return fault{name, func(t token) string { return t.mint(map[string]any{claim: value}) }}
}

// header is a fault of the header alone.
func headed(name, member string, value any) fault {
	return fault{name, func(t token) string {
		return t.mint(nil, forge.Shape{Header: map[string]any{member: value}})
	}}
}

// timed is a fault of a time, as long before the token is made.
func timed(name, claim string, before time.Duration) fault {
	return fault{name, func(t token) string { return t.mint(map[string]any{claim: ago(before)}) }}
}

func ago(d time.Duration) int64 { return time.Now().Add(-d).Unix() }

// attackers are keys that the house's provider does not have.
func foreign(p *testidp.Provider, id string) *testidp.Key {
	k := mustKey("ES256")
	if id != "" {
		k.ID = id
	}
	return k
}

func mustKey(alg string) *testidp.Key {
	k, err := testidp.NewKey(alg)
	if err != nil {
		panic(err)
	}
	return k
}

// by signs with another key, and says something else in the header.
func by(name string, key func(t token) *testidp.Key, head func(t token, k *testidp.Key) map[string]any) fault {
	return fault{name, func(t token) string {
		k := key(t)
		s := forge.Shape{Key: k}
		if head != nil {
			s.Header = head(t, k)
		}
		return t.mint(nil, s)
	}}
}

func jwkOf(k *testidp.Key) map[string]any {
	pub := k.Signer.Public().(*ecdsa.PublicKey)
	b, err := pub.Bytes()
	if err != nil {
		panic(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	return map[string]any{"kty": "EC", "crv": "P-256", "x": b64(b[1:33]), "y": b64(b[33:]), "kid": k.ID, "alg": "ES256", "use": "sig"}
}

func anyKey(t token) *testidp.Key   { return foreign(t.p, "") }
func sameName(t token) *testidp.Key { return foreign(t.p, t.p.Key().ID) }

// hmac signs with a secret that everybody knows.
func hmac(name, alg string, secret func(t token) []byte) fault {
	return fault{name, func(t token) string { return t.mint(nil, forge.Shape{Alg: alg, Secret: secret(t)}) }}
}

func der(t token) []byte {
	b, err := x509.MarshalPKIXPublicKey(t.p.Key().Signer.Public())
	if err != nil {
		panic(err)
	}
	return b
}

func jwkText(t token) []byte {
	b, _ := json.Marshal(jwkOf(t.p.Key()))
	return b
}

// payload signs bytes as they are.
func payload(name string, text func(good string, t token) string) fault {
	return fault{name, func(t token) string {
		good, err := json.Marshal(t.claims)
		if err != nil {
			panic(err)
		}
		return t.mint(nil, forge.Shape{Payload: []byte(text(string(good), t))})
	}}
}

// twice has a member in the claims twice, the wrong one where a lax reader looks last, or first.
func twice(claim string, value any, last bool) fault {
	name := "duplicate " + claim + ", the wrong one first"
	if last {
		name = "duplicate " + claim + ", the wrong one last"
	}
	return payload(name, func(good string, t token) string {
		v, _ := json.Marshal(value)
		member := `"` + claim + `":` + string(v)
		if last {
			return good[:len(good)-1] + "," + member + "}"
		}
		return "{" + member + "," + good[1:]
	})
}

// cut changes the three parts of a good token.
func cut(name string, change func(parts []string, t token) string) fault {
	return fault{name, func(t token) string { return change(strings.Split(t.mint(nil), "."), t) }}
}

func reheaded(parts []string, head string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(head)) + "." + parts[1] + "."
}

func merged(base, more map[string]any) map[string]any {
	c := maps.Clone(base)
	maps.Copy(c, more)
	return c
}

// anyFault are those that tokens of every kind must not have.
var anyFault = []fault{
	// whose they are
	with("audience of somebody else", "aud", "https://elsewhere.example/mcp"),
	with("audiences of others", "aud", []string{"https://a.example", "https://b.example"}),
	with("no audience", "aud", nil),
	with("empty audience", "aud", ""),
	with("empty list of audiences", "aud", []string{}),
	with("audience is a number", "aud", 1),
	with("audience is an object", "aud", map[string]any{"a": 1}),
	with("audience is true", "aud", true),
	{"audience in a list in a list", func(t token) string { return t.mint(map[string]any{"aud": []any{[]any{t.aud}}}) }},
	{"audience with a slash at its end", func(t token) string { return t.mint(map[string]any{"aud": t.aud + "/"}) }},
	{"audience in capitals", func(t token) string { return t.mint(map[string]any{"aud": strings.ToUpper(t.aud)}) }},
	{"audience of which ours is the beginning", func(t token) string { return t.mint(map[string]any{"aud": t.aud + ".evil.example"}) }},
	{"audience that is the beginning of ours", func(t token) string { return t.mint(map[string]any{"aud": t.aud[:len(t.aud)-1]}) }},
	{"audiences joined by a blank", func(t token) string { return t.mint(map[string]any{"aud": t.aud + " https://b.example"}) }},
	// who made them
	{"issuer with a slash at its end", func(t token) string { return t.mint(map[string]any{"iss": t.p.Issuer + "/"}) }},
	{"issuer in capitals", func(t token) string { return t.mint(map[string]any{"iss": strings.ToUpper(t.p.Issuer)}) }},
	{"issuer with a path", func(t token) string { return t.mint(map[string]any{"iss": t.p.Issuer + "/x"}) }},
	{"issuer by another name of the host", func(t token) string {
		return t.mint(map[string]any{"iss": strings.Replace(t.p.Issuer, "127.0.0.1", "localhost", 1)})
	}},
	{"issuer in a list", func(t token) string { return t.mint(map[string]any{"iss": []string{t.p.Issuer}}) }},
	with("issuer that nobody knows", "iss", "https://unknown.example"),
	with("no issuer", "iss", nil),
	with("empty issuer", "iss", ""),
	{"signed by another provider as the house's", func(t token) string { return t.mint(nil, forge.Shape{Key: t.w.evil.Key()}) }},
	{"signed by another provider under the house's key id", func(t token) string {
		return t.mint(nil, forge.Shape{Key: t.w.evil.Key(), Header: map[string]any{"kid": t.p.Key().ID}})
	}},
	{"signed by the house as another provider", func(t token) string { return t.mint(map[string]any{"iss": t.w.evil.Issuer}) }},
	// when
	timed("expired an hour ago", "exp", time.Hour),
	timed("expired a little more than the skew ago", "exp", 45*time.Second),
	with("expired in 1970", "exp", 0),
	with("expiry below zero", "exp", -1),
	with("no expiry", "exp", nil),
	with("expiry as text", "exp", "4102444800"),
	with("expiry is null, written", "exp", json.RawMessage("null")),
	with("expiry beyond numbers", "exp", json.RawMessage("1e400")),
	with("expiry beyond years", "exp", json.RawMessage("9223372036854775808")),
	timed("not valid for an hour", "nbf", -time.Hour),
	timed("not valid for a little more than the skew", "nbf", -time.Minute),
	timed("issued in the future", "iat", -time.Hour),
	// of whom
	with("no subject", "sub", nil),
	with("empty subject", "sub", ""),
	with("subject is a number", "sub", 7),
	with("subject is a list", "sub", []string{"sub-ada"}),
	with("no user name", "preferred_username", nil),
	with("empty user name", "preferred_username", ""),
	with("user name in a list", "preferred_username", []string{"ada"}),
	with("user name with NUL", "preferred_username", "ada\x00"),
	with("user name with a line feed", "preferred_username", "ada\nada"),
	with("user name of 5000 letters", "preferred_username", strings.Repeat("a", 5000)),
	with("user name of somebody in the configuration", "preferred_username", "local"),
	// with which signature
	{"alg none", func(t token) string { return t.mint(nil, forge.Shape{Alg: "none"}) }},
	cut("alg None", func(p []string, t token) string { return reheaded(p, `{"alg":"None","typ":"`+t.typ+`"}`) }),
	cut("alg NONE with the good signature", func(p []string, t token) string { return reheaded(p, `{"alg":"NONE","typ":"`+t.typ+`"}`) + p[2] }),
	cut("empty alg", func(p []string, t token) string { return reheaded(p, `{"alg":"","typ":"`+t.typ+`"}`) }),
	cut("no alg", func(p []string, t token) string { return reheaded(p, `{"typ":"`+t.typ+`"}`) + p[2] }),
	cut("alg twice", func(p []string, t token) string {
		return reheaded(p, `{"alg":"ES256","alg":"none","typ":"`+t.typ+`","kid":"`+t.p.Key().ID+`"}`)
	}),
	cut("no signature", func(p []string, t token) string { return p[0] + "." + p[1] + "." }),
	cut("signature of zeros", func(p []string, t token) string {
		return p[0] + "." + p[1] + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64))
	}),
	cut("signature of the order of the curve", func(p []string, t token) string {
		n := t.p.Key().Signer.Public().(*ecdsa.PublicKey).Params().N.Bytes()
		return p[0] + "." + p[1] + "." + base64.RawURLEncoding.EncodeToString(append(append([]byte{}, n...), n...))
	}),
	cut("signature in DER", func(p []string, t token) string {
		raw, _ := base64.RawURLEncoding.DecodeString(p[2])
		b, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])})
		if err != nil {
			panic(err)
		}
		return p[0] + "." + p[1] + "." + base64.RawURLEncoding.EncodeToString(b)
	}),
	cut("signature of another token", func(p []string, t token) string {
		return p[0] + "." + p[1] + "." + strings.Split(t.mint(map[string]any{"jti": "other"}), ".")[2]
	}),
	cut("claims changed after signing", func(p []string, t token) string {
		b, _ := json.Marshal(merged(t.claims, map[string]any{"groups": []string{"staff", "support", "ops"}}))
		return p[0] + "." + base64.RawURLEncoding.EncodeToString(b) + "." + p[2]
	}),
	hmac("HS256 by the public key in PEM", "HS256", func(t token) []byte { return forge.PublicPEM(t.p.Key()) }),
	hmac("HS256 by the public key in PEM without its last line feed", "HS256", func(t token) []byte { return []byte(strings.TrimSpace(string(forge.PublicPEM(t.p.Key())))) }),
	hmac("HS256 by the public key in DER", "HS256", der),
	hmac("HS256 by the public key as JWK", "HS256", jwkText),
	hmac("HS384 by the public key in PEM", "HS384", func(t token) []byte { return forge.PublicPEM(t.p.Key()) }),
	hmac("HS256 by the web client's secret", "HS256", func(token) []byte { return []byte(webSecret) }),
	hmac("HS256 by an empty secret", "HS256", func(token) []byte { return []byte{} }),
	headed("RS256 said of an elliptic key", "alg", "RS256"),
	headed("ES384 said of a P-256 key", "alg", "ES384"),
	headed("alg in small letters", "alg", "es256"),
	by("RSA key of the attacker under the house's key id", func(t token) *testidp.Key { k := mustKey("RS256"); k.ID = t.p.Key().ID; return k }, nil),
	// with which key
	by("unknown key id", anyKey, nil),
	by("key of somebody else under the house's key id", sameName, nil),
	by("no key id, key of somebody else", anyKey, func(token, *testidp.Key) map[string]any { return map[string]any{"kid": nil} }),
	by("empty key id, key of somebody else", anyKey, func(token, *testidp.Key) map[string]any { return map[string]any{"kid": ""} }),
	by("key id that is a path", anyKey, func(token, *testidp.Key) map[string]any { return map[string]any{"kid": "../../../../../../dev/null"} }),
	by("key id that is a path in the data directory", anyKey, func(t token, _ *testidp.Key) map[string]any {
		return map[string]any{"kid": t.w.g.Dir + "/sallyport.yaml"}
	}),
	by("key id that is SQL", anyKey, func(t token, _ *testidp.Key) map[string]any {
		return map[string]any{"kid": "x' or '1'='1"}
	}),
	by("key id that is a command", anyKey, func(token, *testidp.Key) map[string]any { return map[string]any{"kid": "$(id)|id;id"} }),
	by("key id with NUL", anyKey, func(t token, _ *testidp.Key) map[string]any { return map[string]any{"kid": t.p.Key().ID + "\x00"} }),
	by("key id in a list", sameName, func(t token, _ *testidp.Key) map[string]any { return map[string]any{"kid": []string{t.p.Key().ID}} }),
	by("key id of 100,000 letters", anyKey, func(token, *testidp.Key) map[string]any { return map[string]any{"kid": strings.Repeat("k", 100000)} }),
	by("own key in the header (jwk)", anyKey, func(_ token, k *testidp.Key) map[string]any { return map[string]any{"jwk": jwkOf(k)} }),
	by("own key in the header under the house's key id", sameName, func(_ token, k *testidp.Key) map[string]any { return map[string]any{"jwk": jwkOf(k)} }),
	by("address of own keys (jku)", func(t token) *testidp.Key { return t.w.evil.Key() }, func(t token, _ *testidp.Key) map[string]any {
		return map[string]any{"jku": t.w.evil.Issuer + "/jwks"}
	}),
	by("address of own keys under the house's key id (jku)", func(t token) *testidp.Key { return t.w.evil.Key() }, func(t token, _ *testidp.Key) map[string]any {
		return map[string]any{"jku": t.w.evil.Issuer + "/jwks", "kid": t.p.Key().ID}
	}),
	by("address of an own certificate (x5u)", anyKey, func(t token, _ *testidp.Key) map[string]any {
		return map[string]any{"x5u": t.w.evil.Issuer + "/cert.pem"}
	}),
	by("own certificate in the header (x5c)", anyKey, func(_ token, k *testidp.Key) map[string]any {
		return map[string]any{"x5c": []string{selfSigned(k)}}
	}),
	{"key that was withdrawn", func(t token) string { return t.mint(nil, forge.Shape{Key: t.w.old}) }},
	// in which form
	headed("critical extension that nobody knows", "crit", []string{"exp-of-ours"}),
	cut("payload that is not encoded (b64)", func(p []string, t token) string {
		return t.mint(nil, forge.Shape{Header: map[string]any{"b64": false, "crit": []string{"b64"}}})
	}),
	headed("typ of a log-out token", "typ", "logout+jwt"),
	headed("typ of a security event", "typ", "secevent+jwt"),
	headed("typ that nobody knows", "typ", "x+jwt"),
	headed("typ in a list", "typ", []string{"at+jwt", "JWT"}),
	twice("aud", "https://elsewhere.example", true),
	twice("iss", "https://unknown.example", true),
	twice("exp", 1, true),
	twice("sub", "sub-somebody", true),
	twice("preferred_username", "boss", true),
	payload("claims are a list", func(good string, _ token) string { return "[" + good + "]" }),
	payload("claims are text", func(good string, _ token) string { b, _ := json.Marshal(good); return string(b) }),
	payload("something after the claims", func(good string, _ token) string { return good + good }),
	payload("claims that are no UTF-8", func(good string, _ token) string { return strings.Replace(good, `"ada"`, "\"ada\xff\"", 1) }),
	payload("claims 100,000 levels deep", func(good string, _ token) string {
		return good[:len(good)-1] + `,"deep":` + strings.Repeat("[", 100000) + strings.Repeat("]", 100000) + "}"
	}),
	{"token of 2 MiB", func(t token) string { return t.mint(map[string]any{"padding": strings.Repeat("x", 2<<20)}) }},
	cut("five parts", func(p []string, _ token) string { return strings.Join(append(p, "a", "b"), ".") }),
	cut("two parts", func(p []string, _ token) string { return p[0] + "." + p[1] }),
	cut("a fourth part", func(p []string, _ token) string { return strings.Join(p, ".") + "." }),
	cut("padded", func(p []string, _ token) string { return p[0] + "=." + p[1] + "==." + p[2] + "==" }),
	cut("as JSON", func(p []string, _ token) string {
		b, _ := json.Marshal(map[string]string{"protected": p[0], "payload": p[1], "signature": p[2]})
		return string(b)
	}),
	cut("two tokens", func(p []string, _ token) string { s := strings.Join(p, "."); return s + "," + s }),
	cut("a line feed within", func(p []string, _ token) string { return p[0] + ".\n" + p[1] + "." + p[2] }),
}
