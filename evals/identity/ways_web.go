package identity

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"sallyport/internal/testidp"
)

// browser keeps cookies and follows no redirect.
func browser() *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err)
	}
	return &http.Client{Jar: jar, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// begun is a log-in at the web door, as far as the provider.
type begun struct {
	browser                *http.Client
	state, nonce, callback string
}

// begin starts a log-in of the web door by a provider.
func (w *world) begin(ctx context.Context, provider string) (begun, error) {
	b := begun{browser: browser()}
	status, page, err := w.httpBy(ctx, b.browser, http.MethodGet, startPath(provider), nil, nil)
	if err != nil {
		return b, err
	}
	_, to, _ := strings.Cut(string(page), "\nLocation: ")
	u, err := url.Parse(to)
	if err != nil || u.Query().Get("state") == "" {
		return b, fmt.Errorf("%w: %s leads nowhere: %d %.300s", errBroken, startPath(provider), status, page)
	}
	b.state, b.nonce, b.callback = u.Query().Get("state"), u.Query().Get("nonce"), u.Query().Get("redirect_uri")
	return b, nil
}

// answers has a provider's token endpoint give chosen ID tokens for codes.
func answers(p *testidp.Provider, give func(code string) map[string]any) {
	p.Handle("/token", func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		body := give(r.FormValue("code"))
		if body == nil {
			rw.WriteHeader(http.StatusBadRequest)
			body = map[string]any{"error": "invalid_grant"}
		}
		json.NewEncoder(rw).Encode(body)
	})
}

// finish brings an answer of the provider back, and looks at what the browser may see then.
func (w *world) finish(ctx context.Context, b begun, q url.Values) *seen {
	s := &seen{}
	status, page, err := w.httpBy(ctx, b.browser, http.MethodGet, b.callback+"?"+q.Encode(), nil, nil)
	if err != nil {
		s.say("%v", err)
		return s
	}
	s.say("%d %s", status, textOf(page))
	for _, path := range []string{"/reviews", "/"} {
		_, page, err := w.httpBy(ctx, b.browser, http.MethodGet, path, nil, nil)
		if err != nil {
			s.say("%v", err)
			return s
		}
		s.all.Write(page)
	}
	return s
}

// byWeb logs in at the web door with an ID token that the provider is made to give.
func (w *world) byWeb(ctx context.Context, provider string, p *testidp.Provider, mint func(nonce string) string) *seen {
	b, err := w.begin(ctx, provider)
	if err != nil {
		s := &seen{}
		s.say("%v", err)
		return s
	}
	token := mint(b.nonce)
	answers(p, func(string) map[string]any {
		return map[string]any{"access_token": "opaque", "token_type": "Bearer", "expires_in": 3600, "id_token": token}
	})
	return w.finish(ctx, b, url.Values{"code": {"c"}, "state": {b.state}, "iss": {p.Issuer}})
}

// textOf is the beginning of what a page says.
func textOf(page []byte) string {
	text := string(page)
	if _, main, ok := strings.Cut(text, "<main"); ok {
		_, text, _ = strings.Cut(main, ">")
	}
	var b strings.Builder
	in := false
	for _, r := range text {
		switch {
		case r == '<':
			in = true
		case r == '>':
			in = false
			b.WriteByte(' ')
		case !in:
			b.WriteRune(r)
		}
	}
	words := strings.Join(strings.Fields(b.String()), " ")
	return words[:min(len(words), 120)]
}

// startPath is where a browser begins to log in by a provider.
func startPath(provider string) string {
	return "/auth/start?" + url.Values{"provider": {provider}, "next": {"/reviews"}}.Encode()
}
