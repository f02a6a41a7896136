package testop

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// commandCallback is what the command's client is registered with: any port of loopback, and a path that is the provider's own.
func commandCallback(issuer string) string {
	_, rest, _ := strings.Cut(issuer, "://")
	return "http://127.0.0.1/callback/" + rest
}

// appCallback is where nobody listens.
const appCallback = "http://127.0.0.1:1/app"

// Browser is a person with a browser, who says who they are wherever a form asks for it, and agrees to everything.
type Browser struct {
	User   string
	Client *http.Client // with cookies; follows no redirects
}

// NewBrowser opens one without cookies.
func NewBrowser(user string) *Browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err)
	}
	return &Browser{User: user, Client: &http.Client{Jar: jar, Timeout: 20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

var (
	formTag  = regexp.MustCompile(`(?is)<form\b([^>]*)>(.*?)</form>`)
	fieldTag = regexp.MustCompile(`(?is)<(?:input|button)\b([^>]*)>`)
	attrs    = regexp.MustCompile(`(?is)([a-z_-]+)\s*=\s*"([^"]*)"`)
	click    = regexp.MustCompile(`location\.href='([^']*\ballowed\b[^']*)'`)
)

func attributes(tag string) map[string]string {
	m := map[string]string{}
	for _, a := range attrs.FindAllStringSubmatch(tag, -1) {
		m[strings.ToLower(a[1])] = html.UnescapeString(a[2])
	}
	return m
}

// Visit opens an address and goes wherever redirects and forms lead, until a page has neither, or until (unless it is nil) says of
// the next address that it is the end; that one is not opened.
func (b *Browser) Visit(ctx context.Context, address string, until func(*url.URL) bool) (at *url.URL, page string, err error) {
	method, form := http.MethodGet, url.Values(nil)
	for range 25 {
		if at, err = url.Parse(address); err != nil {
			return at, "", err
		}
		if until != nil && until(at) {
			return at, "", nil
		}
		var body io.Reader
		if form != nil {
			body = strings.NewReader(form.Encode())
		}
		req, err := http.NewRequestWithContext(ctx, method, address, body)
		if err != nil {
			return at, "", err
		}
		if form != nil {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.Header.Set("Origin", at.Scheme+"://"+at.Host)
		}
		resp, err := b.Client.Do(req)
		if err != nil {
			return at, "", err
		}
		all, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return at, "", err
		}
		page = string(all)
		method, form = http.MethodGet, nil
		if to := resp.Header.Get("Location"); to != "" {
			next, err := at.Parse(to)
			if err != nil {
				return at, page, err
			}
			address = next.String()
			continue
		}
		if resp.StatusCode >= 400 {
			return at, page, fmt.Errorf("%s: %d %.300s", at, resp.StatusCode, page)
		}
		var next *url.URL
		if next, form, err = b.fill(at, page); err != nil {
			return at, page, err
		}
		if next == nil {
			return at, page, nil
		}
		if form != nil {
			method = http.MethodPost
		}
		address = next.String()
	}
	return at, page, errors.New("a page leads to a page without an end")
}

// fill answers the first form that is about logging in or agreeing.
func (b *Browser) fill(at *url.URL, page string) (next *url.URL, form url.Values, err error) {
	if m := click.FindStringSubmatch(page); m != nil {
		next, err = at.Parse(html.UnescapeString(m[1]))
		return next, nil, err
	}
	for _, f := range formTag.FindAllStringSubmatch(page, -1) {
		tag, form, ours := attributes(f[1]), url.Values{}, false
		if !strings.EqualFold(tag["method"], "post") {
			continue
		}
		for _, field := range fieldTag.FindAllStringSubmatch(f[2], -1) {
			a := attributes(field[1])
			switch name := a["name"]; name {
			case "":
			case "username", "login":
				form.Set(name, b.User)
				ours = true
			case "password":
				form.Set(name, Password)
			case "abort":
			default:
				if form.Get(name) == "" { // of two buttons of one name the first says yes
					form.Set(name, a["value"])
				}
				ours = ours || name == "xsrf" || name == "approval" || name == "user_code"
			}
		}
		if form.Has("xsrf") && strings.Contains(f[1], "device") || strings.Contains(f[1], "deviceConfirm") {
			form.Set("confirm", "yes")
		}
		if form.Has("xsrf") && strings.Contains(tag["action"], "session/end") {
			form.Set("logout", "yes")
		}
		if !ours {
			continue
		}
		next, err := at.Parse(tag["action"])
		return next, form, err
	}
	return nil, nil, nil
}

// Tokens are what a token endpoint answers.
type Tokens struct {
	Access  string `json:"access_token"`
	ID      string `json:"id_token"`
	Refresh string `json:"refresh_token"`
	Type    string `json:"token_type"`
	Error   string `json:"error"`
	About   string `json:"error_description"`
}

// Token asks a provider's token endpoint as a client.
func (p *Provider) Token(ctx context.Context, client, secret string, form url.Values) (Tokens, error) {
	var t Tokens
	where, err := p.endpoint(ctx, "token_endpoint")
	if err != nil {
		return t, err
	}
	if secret == "" {
		form.Set("client_id", client)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, where, strings.NewReader(form.Encode()))
	if err != nil {
		return t, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if secret != "" {
		req.SetBasicAuth(url.QueryEscape(client), url.QueryEscape(secret))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return t, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return t, err
	}
	if err := json.Unmarshal(body, &t); err != nil || t.Error != "" || resp.StatusCode != http.StatusOK {
		return t, fmt.Errorf("token endpoint: %d %.400s", resp.StatusCode, body)
	}
	return t, nil
}

// TokensOf logs somebody in at App, and gives App's tokens of them. resource is an RFC 8707 resource, "" for none.
func (p *Provider) TokensOf(ctx context.Context, user, resource string) (Tokens, error) {
	return p.logIn(ctx, user, App, AppSecret, appCallback, strings.TrimSpace("openid "+p.Scope), resource)
}

// LogIn logs somebody in as the command does, and gives its tokens of them. The nonce is "n".
func (p *Provider) LogIn(ctx context.Context, user string) (Tokens, error) {
	return p.logIn(ctx, user, Command, "", commandCallback(p.Issuer), strings.TrimSpace("openid profile email "+p.LoginScope), "")
}

func (p *Provider) logIn(ctx context.Context, user, client, secret, callback, scope, resource string) (Tokens, error) {
	where, err := p.endpoint(ctx, "authorization_endpoint")
	if err != nil {
		return Tokens{}, err
	}
	const verifier = "a-verifier-of-at-least-forty-three-characters-0123456789"
	q := url.Values{"client_id": {client}, "response_type": {"code"}, "redirect_uri": {callback}, "scope": {scope}, "state": {"s"}, "nonce": {"n"},
		"code_challenge": {challenge(verifier)}, "code_challenge_method": {"S256"}, "prompt": {"consent"}}
	if resource != "" {
		q.Set("resource", resource)
	}
	at, page, err := NewBrowser(user).Visit(ctx, where+"?"+q.Encode(), func(u *url.URL) bool { return strings.HasPrefix(u.String(), callback) })
	if err != nil {
		return Tokens{}, err
	}
	code := at.Query().Get("code")
	if code == "" {
		return Tokens{}, fmt.Errorf("no code: ended at %s: %.500s", at, page)
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}
	if resource != "" {
		form.Set("resource", resource)
	}
	return p.Token(ctx, client, secret, form)
}

func (p *Provider) endpoint(ctx context.Context, name string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.Issuer+"/.well-known/openid-configuration", nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var doc map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil {
		return "", err
	}
	s, _ := doc[name].(string)
	if s == "" {
		return "", fmt.Errorf("%s: no %s in its discovery document", p.Name, name)
	}
	return s, nil
}

// challenge is PKCE's S256.
func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Exchange has App exchange a person's access token for one for the gateway, on their behalf (RFC 8693).
func (p *Provider) Exchange(ctx context.Context, subject string) (Tokens, error) {
	const access = "urn:ietf:params:oauth:token-type:access_token"
	return p.Token(ctx, App, AppSecret, url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {subject}, "subject_token_type": {access},
		"requested_token_type": {access}, "audience": {p.Audience}, "scope": {"openid"}})
}

// Asked is a device log-in that was begun.
type Asked struct {
	Code    string `json:"device_code"`
	User    string `json:"user_code"`
	Address string `json:"verification_uri_complete"`
}

// AskDevice begins a device log-in as Command.
func (p *Provider) AskDevice(ctx context.Context) (Asked, error) {
	var a Asked
	where, err := p.endpoint(ctx, "device_authorization_endpoint")
	if err != nil {
		return a, err
	}
	form := url.Values{"client_id": {Command}, "scope": {"openid profile email"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, where, strings.NewReader(form.Encode()))
	if err != nil {
		return a, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(body, &a)
	}
	if err == nil && a.Code == "" {
		err = fmt.Errorf("device log-in: %d %.300s", resp.StatusCode, body)
	}
	return a, err
}
