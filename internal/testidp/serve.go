package testidp

import (
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (p *Provider) discover(w http.ResponseWriter, r *http.Request) {
	doc := map[string]any{
		"issuer": p.Issuer, "authorization_endpoint": p.Issuer + "/authorize", "token_endpoint": p.Issuer + "/token", "jwks_uri": p.Issuer + "/jwks",
		"device_authorization_endpoint": p.Issuer + "/device_authorization", "end_session_endpoint": p.Issuer + "/end_session", "userinfo_endpoint": p.Issuer + "/userinfo",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256", "ES256", "EdDSA"}, "code_challenge_methods_supported": []string{"S256"},
		"scopes_supported":                               []string{"openid", "profile", "email", "offline_access"},
		"grant_types_supported":                          []string{"authorization_code", "refresh_token", "client_credentials", deviceGrant, exchangeGrant},
		"backchannel_logout_supported":                   true,
		"backchannel_logout_session_supported":           true,
		"authorization_response_iss_parameter_supported": true,
	}
	p.mu.Lock()
	doc = with(doc, p.discovery)
	p.mu.Unlock()
	answer(w, http.StatusOK, doc)
}

func (p *Provider) jwks(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	keys := p.keys
	if p.published != nil {
		keys = p.published
	}
	set := make([]map[string]any, 0, len(keys))
	for _, k := range keys {
		set = append(set, k.jwk())
	}
	p.mu.Unlock()
	answer(w, http.StatusOK, map[string]any{"keys": set})
}

// Authorize approves at once as the logged-in user: an HTTP client that follows redirects, or a browser, ends at the redirect URI.
func (p *Provider) Authorize(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	q := r.Form
	redirect, err := url.Parse(q.Get("redirect_uri"))
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.clients[q.Get("client_id")]; !known || err != nil || redirect.Host == "" {
		http.Error(w, "unknown client, or no redirect_uri", http.StatusBadRequest)
		return
	}
	if p.redirects != nil && !slices.Contains(p.redirects, redirect.String()) && !slices.Contains(p.redirects, anyPort(*redirect)) {
		http.Error(w, "redirect_uri is none of this client's", http.StatusBadRequest)
		return
	}
	back := redirect.Query()
	for _, name := range []string{"state"} {
		if v := q.Get(name); v != "" {
			back.Set(name, v)
		}
	}
	if says, changed := p.discovery["authorization_response_iss_parameter_supported"]; !changed || says == true {
		back.Set("iss", p.Issuer)
	}
	prompt := strings.Fields(q.Get("prompt"))
	user := p.user
	if u, known := p.people[q.Get("login_hint")]; known {
		user = &u
	}
	switch {
	case q.Get("response_type") != "code":
		back.Set("error", "unsupported_response_type")
	case !slices.Contains(strings.Fields(q.Get("scope")), "openid"):
		back.Set("error", "invalid_scope")
	case q.Get("code_challenge") != "" && q.Get("code_challenge_method") != "S256":
		back.Set("error", "invalid_request")
	case user == nil && slices.Contains(prompt, "none"):
		back.Set("error", "login_required")
	case user == nil:
		back.Set("error", "access_denied")
	default:
		u := *user
		age, aged := maxAge(q.Get("max_age"))
		u.Authenticated = u.authTime(p.now())
		if slices.Contains(prompt, "login") || aged && p.now().Sub(u.Authenticated) > age {
			u.Authenticated = p.now() // proves who they are once more
		}
		if u.ACR == "" {
			u.ACR, _, _ = strings.Cut(q.Get("acr_values"), " ")
		}
		code := random(16)
		p.codes[code] = &grant{client: q.Get("client_id"), redirect: q.Get("redirect_uri"), nonce: q.Get("nonce"), challenge: q.Get("code_challenge"),
			scope: q.Get("scope"), audience: q["resource"], user: u}
		back.Set("code", code)
	}
	redirect.RawQuery = back.Encode()
	http.Redirect(w, r, redirect.String(), http.StatusFound)
}

func anyPort(u url.URL) string {
	if ip := net.ParseIP(u.Hostname()); ip != nil && ip.IsLoopback() {
		u.Host = u.Hostname()
	}
	return u.String()
}

func maxAge(s string) (time.Duration, bool) {
	n, err := strconv.Atoi(s)
	return time.Duration(n) * time.Second, err == nil
}

// endSession logs the user out and goes where the client says.
func (p *Provider) endSession(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p.Login(nil)
	to, err := url.Parse(r.Form.Get("post_logout_redirect_uri"))
	if err != nil || to.Host == "" {
		w.Write([]byte("logged out"))
		return
	}
	if s := r.Form.Get("state"); s != "" {
		q := to.Query()
		q.Set("state", s)
		to.RawQuery = q.Encode()
	}
	http.Redirect(w, r, to.String(), http.StatusFound)
}

func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) {
	user, _, _ := p.state()
	answer(w, http.StatusOK, with(map[string]any{"sub": user.Subject}, user.Claims))
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}
