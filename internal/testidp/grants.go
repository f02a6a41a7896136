package testidp

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	deviceGrant   = "urn:ietf:params:oauth:grant-type:device_code"
	exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange"
)

// grant is what tokens are given for.
type grant struct {
	client, redirect, nonce, challenge, scope string
	audience                                  []string
	user                                      User
}

// device is a log-in without a browser (RFC 8628).
type device struct {
	denied  bool
	grant   grant
	expires time.Time
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || r.Method != http.MethodPost {
		fail(w, "invalid_request", "")
		return
	}
	client, ok := p.authenticate(r)
	if !ok {
		w.Header().Set("WWW-Authenticate", "Basic")
		answer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	switch f := r.PostForm; f.Get("grant_type") {
	case "authorization_code":
		p.byCode(w, client, f)
	case deviceGrant:
		p.byDevice(w, client, f)
	case "refresh_token":
		p.mu.Lock()
		g := p.refresh[f.Get("refresh_token")]
		delete(p.refresh, f.Get("refresh_token"))
		p.mu.Unlock()
		if g == nil || g.client != client {
			fail(w, "invalid_grant", "")
			return
		}
		p.give(w, *g)
	case "client_credentials":
		if p.secret(client) == "" {
			fail(w, "unauthorized_client", "a public client has no tokens of its own")
			return
		}
		audience := p.audienceOf(f["resource"], client)
		token := p.AccessToken("", map[string]any{"sub": client, "client_id": client, "aud": audience, "scope": f.Get("scope"), "auth_time": nil, "acr": nil, "amr": nil,
			"preferred_username": nil, "email": nil, "email_verified": nil, "groups": nil}, p.claimsOf(client))
		answer(w, http.StatusOK, map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": p.expiresIn(), "scope": f.Get("scope")})
	case exchangeGrant:
		p.byExchange(w, client, f)
	default:
		fail(w, "unsupported_grant_type", "")
	}
}

func (p *Provider) byCode(w http.ResponseWriter, client string, f url.Values) {
	p.mu.Lock()
	g := p.codes[f.Get("code")]
	delete(p.codes, f.Get("code")) // once
	p.mu.Unlock()
	switch {
	case g == nil || g.client != client || g.redirect != f.Get("redirect_uri"):
		fail(w, "invalid_grant", "")
	case g.challenge != "" && g.challenge != challenge(f.Get("code_verifier")):
		fail(w, "invalid_grant", "code_verifier is not that of the code_challenge")
	default:
		if len(f["resource"]) > 0 {
			g.audience = f["resource"]
		}
		p.give(w, *g)
	}
}

func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (p *Provider) byDevice(w http.ResponseWriter, client string, f url.Values) {
	p.mu.Lock()
	d := p.devices[f.Get("device_code")]
	code := ""
	switch {
	case d == nil || d.grant.client != client:
		code = "invalid_grant"
	case p.now().After(d.expires):
		code = "expired_token"
	case d.denied:
		code = "access_denied"
	default:
		delete(p.devices, f.Get("device_code"))
	}
	p.mu.Unlock()
	if code != "" {
		fail(w, code, "")
		return
	}
	p.give(w, d.grant)
}

// byExchange gives the client a token of the subject, with the client, or whom actor_token is of, before the actors that it had (RFC 8693 4.1).
func (p *Provider) byExchange(w http.ResponseWriter, client string, f url.Values) {
	claims, ok := Claims(f.Get("subject_token"))
	if !ok || claims["iss"] != p.Issuer {
		fail(w, "invalid_request", "no subject_token of this provider")
		return
	}
	act := map[string]any{"sub": client, "client_id": client}
	if actor, ok := Claims(f.Get("actor_token")); ok {
		act = map[string]any{"sub": actor["sub"], "client_id": actor["client_id"]}
	}
	if behind, ok := claims["act"]; ok {
		act["act"] = behind
	}
	_, now, lifetime := p.state()
	resources := f["resource"]
	if len(f["audience"]) > 0 {
		resources = append(slices.Clone(resources), f["audience"]...)
	}
	token := p.mint("at+jwt", with(claims, map[string]any{"act": act, "client_id": client, "aud": p.audienceOf(resources, client), "jti": random(12), "nonce": nil, "azp": nil,
		"iat": now.Unix(), "exp": now.Add(lifetime).Unix()}))
	answer(w, http.StatusOK, map[string]any{"access_token": token, "issued_token_type": "urn:ietf:params:oauth:token-type:access_token", "token_type": "Bearer", "expires_in": p.expiresIn()})
}

// give answers with an access token, an ID token and, for offline_access, a refresh token.
func (p *Provider) give(w http.ResponseWriter, g grant) {
	p.mu.Lock()
	now, lifetime := p.now(), p.lifetime
	p.mu.Unlock()
	common := with(map[string]any{"iss": p.Issuer, "sub": g.user.Subject, "iat": now.Unix(), "exp": now.Add(lifetime).Unix(),
		"auth_time": g.user.authTime(now).Unix(), "sid": "s-" + g.user.Subject}, g.user.authContext(), g.user.Claims)
	access := p.mint("at+jwt", with(common, map[string]any{"aud": p.audienceOf(g.audience, g.client), "client_id": g.client, "scope": g.scope, "jti": random(12)}))
	id := with(common, map[string]any{"aud": g.client, "azp": g.client, "at_hash": halfHash(access)})
	if g.nonce != "" {
		id["nonce"] = g.nonce
	}
	if alg := p.Key().Alg; !strings.HasSuffix(alg, "256") {
		delete(id, "at_hash") // halfHash is of SHA-256
	}
	body := map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": int(lifetime.Seconds()), "scope": g.scope}
	if slices.Contains(strings.Fields(g.scope), "openid") {
		body["id_token"] = p.mint("JWT", id)
	}
	if slices.Contains(strings.Fields(g.scope), "offline_access") {
		again := random(16)
		g.nonce = ""
		p.set(func() { p.refresh[again] = &g })
		body["refresh_token"] = again
	}
	answer(w, http.StatusOK, body)
}

func (p *Provider) deviceAuthorization(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || r.Method != http.MethodPost {
		fail(w, "invalid_request", "")
		return
	}
	client, ok := p.authenticate(r)
	if !ok {
		answer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	code, user := random(16), strings.ToUpper(random(6))
	d := &device{denied: p.user == nil, expires: p.now().Add(5 * time.Minute),
		grant: grant{client: client, scope: r.PostForm.Get("scope"), audience: r.PostForm["resource"]}}
	if p.user != nil {
		d.grant.user = *p.user
	}
	p.devices[code] = d
	answer(w, http.StatusOK, map[string]any{"device_code": code, "user_code": user, "verification_uri": p.Issuer + "/activate",
		"verification_uri_complete": p.Issuer + "/activate?user_code=" + url.QueryEscape(user), "expires_in": 300, "interval": 1})
}

// authenticate takes a client's id and secret by Basic or from the form.
func (p *Provider) authenticate(r *http.Request) (id string, ok bool) {
	id, secret := r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	if u, s, basic := r.BasicAuth(); basic { // form-encoded first: RFC 6749 2.3.1
		id, _ = url.QueryUnescape(u)
		secret, _ = url.QueryUnescape(s)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	want, known := p.clients[id]
	return id, known && subtle.ConstantTimeCompare([]byte(want), []byte(secret)) == 1
}

func (p *Provider) secret(client string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.clients[client]
}

func (p *Provider) claimsOf(client string) map[string]any {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.own[client]
}

// audienceOf is the resources that were asked for, else what Audience says, else the client.
func (p *Provider) audienceOf(resources []string, client string) any {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case len(resources) > 1:
		return resources
	case len(resources) == 1:
		return resources[0]
	case p.audience != "":
		return p.audience
	}
	return client
}

func (p *Provider) expiresIn() int {
	_, _, lifetime := p.state()
	return int(lifetime.Seconds())
}

func fail(w http.ResponseWriter, code, description string) {
	body := map[string]any{"error": code}
	if description != "" {
		body["error_description"] = description
	}
	answer(w, http.StatusBadRequest, body)
}
