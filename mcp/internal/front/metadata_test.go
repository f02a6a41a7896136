package front

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
)

func gatewayResource() Resource {
	return Resource{URL: "https://gw.example/agents/mcp", Servers: []string{"https://idp.example", "https://other.example/realms/a"},
		Scopes: []string{"db:read", "db:write"}, Basic: []string{"db:read"}, Documentation: "https://gw.example/docs"}
}

const metadataOfIt = "https://gw.example/.well-known/oauth-protected-resource/agents/mcp"

func protected(o *Options) { o.Resource, o.Hosts = gatewayResource, []string{"gw.example"} }

// at asks for a path of the front.
func (r *rig) at(t *testing.T, method, path string, edit func(*http.Request)) reply {
	t.Helper()
	req, err := http.NewRequest(method, strings.TrimSuffix(r.url, Path)+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(req)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{res.StatusCode, string(b), res.Header}
}

func TestMetadataIsThatOfTheConfiguration(t *testing.T) {
	r := newRig(t, protected)
	for _, path := range []string{wellKnown, wellKnown + "/mcp", wellKnown + "/agents/mcp"} {
		for name, edit := range map[string]func(*http.Request){
			"plainly":             nil,
			"from_a_page":         func(q *http.Request) { q.Header.Set("Origin", "https://anywhere.example") },
			"host_of_the_gateway": func(q *http.Request) { q.Host = "gw.example" },
			// Each would have its own host in the document, were a request believed.
			"poisoned_by_headers": func(q *http.Request) {
				q.Host = "127.0.0.1:81"
				q.Header.Set("X-Forwarded-Host", "evil.example")
				q.Header.Set("Forwarded", "host=evil.example;proto=http")
				q.Header.Set("X-Forwarded-Proto", "http")
			},
		} {
			t.Run(strings.Trim(path, "/")+"/"+name, func(t *testing.T) {
				got := r.at(t, http.MethodGet, path, edit)
				var doc map[string]any
				if err := json.Unmarshal([]byte(got.body), &doc); err != nil || got.status != http.StatusOK || got.header.Get("Content-Type") != "application/json" {
					t.Fatalf("%d %s: %v", got.status, got.body, err)
				}
				want := `{"authorization_servers":["https://idp.example","https://other.example/realms/a"],"bearer_methods_supported":["header"],"resource":"https://gw.example/agents/mcp",` +
					`"resource_documentation":"https://gw.example/docs","resource_name":"Sallyport","scopes_supported":["db:read","db:write"]}`
				if got.body != want {
					t.Errorf("%s", got.body)
				}
				if got.header.Get("Access-Control-Allow-Origin") != "*" || got.header.Get("Access-Control-Allow-Credentials") != "" {
					t.Errorf("%v", got.header)
				}
			})
		}
	}
	if got := r.at(t, http.MethodHead, wellKnown, nil); got.status != http.StatusOK || got.body != "" {
		t.Errorf("HEAD: %d %q", got.status, got.body)
	}
	if got := r.at(t, http.MethodOptions, wellKnown, nil); got.status != http.StatusNoContent || !strings.Contains(got.header.Get("Access-Control-Allow-Headers"), "MCP-Protocol-Version") {
		t.Errorf("OPTIONS: %d %v", got.status, got.header)
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		if got := r.at(t, method, wellKnown, nil); got.status != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", method, got.status)
		}
	}
	if got := r.at(t, http.MethodGet, wellKnown, func(q *http.Request) { q.Host = "evil.example" }); got.status != http.StatusForbidden {
		t.Errorf("a rebound name: %d %s", got.status, got.body)
	}
	if got := r.at(t, http.MethodGet, wellKnown+"/other", nil); got.status != http.StatusUnauthorized {
		t.Errorf("another path: %d", got.status)
	}
}

func TestWithoutProvidersThereIsNoMetadata(t *testing.T) {
	for name, edit := range map[string]func(*Options){
		"nothing_known": nil,
		"no_provider":   func(o *Options) { o.Resource = func() Resource { return Resource{URL: "https://gw.example/mcp"} } },
		"no_url": func(o *Options) {
			o.Resource = func() Resource { return Resource{Servers: []string{"https://idp.example"}} }
		},
	} {
		r := newRig(t, edit)
		for _, path := range []string{wellKnown, wellKnown + "/mcp"} {
			if got := r.at(t, http.MethodGet, path, nil); got.status != http.StatusNotFound {
				t.Errorf("%s: %s: %d", name, path, got.status)
			}
		}
		if got := r.send(t, "", hello, nil).header.Get("WWW-Authenticate"); got != `Bearer realm="sallyport"` {
			t.Errorf("%s: %s", name, got)
		}
		if got := r.send(t, "made-up", hello, nil).header.Get("WWW-Authenticate"); strings.Contains(got, "resource_metadata") || !strings.Contains(got, `error="invalid_token"`) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// Every way to come without a token that holds is answered with where to get one, and with nothing about the token.
func TestChallenges(t *testing.T) {
	r := newRig(t, protected)
	const where = `scope="db:read", resource_metadata="` + metadataOfIt + `"`
	nobody := `Bearer realm="sallyport", ` + where
	bad := `Bearer realm="sallyport", error="invalid_token", error_description="the token is unknown, has expired, was withdrawn, or is for another resource", ` + where
	for name, c := range map[string]struct {
		token string
		edit  func(*http.Request)
		want  string
	}{
		"no_token":              {"", nil, nobody},
		"bad_token":             {"made-up", nil, bad},
		"token_with_a_quote":    {`x"y`, nil, bad},
		"in_the_query":          {"", func(q *http.Request) { q.URL.RawQuery = "access_token=ta&token=ta" }, nobody},
		"two_headers":           {"ta", func(q *http.Request) { q.Header.Add("Authorization", "Bearer tb") }, nobody},
		"two_alike":             {"ta", func(q *http.Request) { q.Header.Add("Authorization", "Bearer ta") }, nobody},
		"basic":                 {"", func(q *http.Request) { q.SetBasicAuth("anna", "ta") }, nobody},
		"cookie":                {"", func(q *http.Request) { q.AddCookie(&http.Cookie{Name: "access_token", Value: "ta"}) }, nobody},
		"too_long":              {strings.Repeat("x", maxToken+1), nil, nobody},
		"host_of_somebody_else": {"", func(q *http.Request) { q.Host = "127.0.0.2"; q.Header.Set("X-Forwarded-Host", "evil.example") }, nobody},
	} {
		t.Run(name, func(t *testing.T) {
			got := r.send(t, c.token, hello, c.edit)
			if got.status != http.StatusUnauthorized || got.header.Get("WWW-Authenticate") != c.want || len(got.header.Values("WWW-Authenticate")) != 1 {
				t.Errorf("%d %q", got.status, got.header.Values("WWW-Authenticate"))
			}
		})
	}
}

func TestHeadersCannotBeInjected(t *testing.T) {
	r := Resource{URL: "https://gw.example/mcp\r\nX-Evil: 1", Servers: []string{"https://idp.example"}}
	for _, c := range []challenge{
		{code: "insufficient_scope", scopes: []string{"ok", "bad\"scope", "bad scope", "x\r\nX-Evil: 1", "é", `back\slash`}},
		{code: "invalid_token", description: "a\"b\r\nX-Evil: 1"},
	} {
		h := c.header(r)
		if strings.ContainsAny(h, "\r\n\\") || strings.Count(h, `"`)%2 != 0 || strings.Contains(h, "evil: 1\"") {
			t.Errorf("%q", h)
		}
		if len(c.scopes) > 0 && !strings.Contains(h, `scope="ok"`) {
			t.Errorf("%q", h)
		}
	}
	h := challenge{}.header(Resource{URL: `https://gw.example/m"cp`, Servers: []string{"https://idp.example"}})
	if strings.Count(h, `"`) != 4 {
		t.Errorf("%q", h)
	}
}

const callLacks = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"lacks","arguments":{}}}`

// A call that takes another scope is answered 403 with the scopes to ask for, in both protocols, and the tool's own words stay in
// the body. Who has no provider to ask gets the tool's words alone.
func TestInsufficientScope(t *testing.T) {
	r := newRig(t, protected)
	r.idp = map[string]bool{"anna": true}
	want := `Bearer realm="sallyport", error="insufficient_scope", error_description="the token lacks a scope that this takes", scope="db:read db:write", resource_metadata="` + metadataOfIt + `"`
	eachEra(t, r, func(t *testing.T, send func(token, tool string) reply) {
		got := send("ta", "lacks")
		if got.status != http.StatusForbidden || got.header.Get("WWW-Authenticate") != want || !strings.Contains(got.body, "it takes db:write") || !strings.Contains(got.body, `"isError":true`) {
			t.Errorf("%d %q %s", got.status, got.header.Get("WWW-Authenticate"), got.body)
		}
		if got := send("ta", "whoami"); got.status != http.StatusOK || got.header.Get("WWW-Authenticate") != "" {
			t.Errorf("the next call: %d %s", got.status, got.body)
		}
		if got := send("tb", "lacks"); got.status != http.StatusOK || got.header.Get("WWW-Authenticate") != "" || !strings.Contains(got.body, "it takes db:write") {
			t.Errorf("static: %d %q %s", got.status, got.header.Get("WWW-Authenticate"), got.body)
		}
	})
}

// eachEra gives a way to call a tool in both protocols.
func eachEra(t *testing.T, r *rig, f func(t *testing.T, send func(token, tool string) reply)) {
	t.Helper()
	for _, era := range []string{legacy, modern} {
		t.Run(era, func(t *testing.T) {
			sessions := map[string]string{}
			f(t, func(token, tool string) reply {
				body := strings.ReplaceAll(callLacks, "lacks", tool)
				if era == modern {
					body = strings.Replace(body, `"arguments":{}`, `"arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}`, 1)
				} else if sessions[token] == "" {
					sessions[token] = r.initialize(t, token)
				}
				return r.send(t, token, body, func(q *http.Request) {
					q.Header.Set("Mcp-Protocol-Version", era)
					if era == modern {
						q.Header.Set("Mcp-Method", "tools/call")
						q.Header.Set("Mcp-Name", tool)
					} else {
						q.Header.Set("Mcp-Session-Id", sessions[token])
					}
				})
			})
		})
	}
}

// A call that runs when its caller's token is withdrawn is cancelled, and answered 401.
func TestWithdrawnTokenEndsWhatRuns(t *testing.T) {
	r := newRig(t, protected)
	eachEra(t, r, func(t *testing.T, send func(token, tool string) reply) {
		ended := make(chan string, 1)
		r.front.opt.Watch = watchOf(ended)
		answer := make(chan reply, 1)
		go func() { answer <- send("ta", "wait") }()
		<-r.in
		ended <- "logged out"
		close(ended)
		select {
		case got := <-answer:
			if got.status != http.StatusUnauthorized || !strings.Contains(got.header.Get("WWW-Authenticate"), `error="invalid_token"`) || strings.Contains(got.body, "cancelled") {
				t.Errorf("%d %v %s", got.status, got.header, got.body)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("it runs on")
		}
	})
}

// Pages of allowed origins may read challenges; others get nothing at all.
func TestPagesOfAllowedOrigins(t *testing.T) {
	r := newRig(t, func(o *Options) { protected(o); o.Origins = []string{"https://inspector.example"} })
	ask := func(origin string) reply {
		return r.at(t, http.MethodOptions, Path, func(q *http.Request) {
			q.Header.Set("Origin", origin)
			q.Header.Set("Access-Control-Request-Method", "POST")
		})
	}
	if got := ask("https://inspector.example"); got.status != http.StatusNoContent || got.header.Get("Access-Control-Allow-Origin") != "https://inspector.example" ||
		!strings.Contains(got.header.Get("Access-Control-Allow-Headers"), "Authorization") || got.header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("%d %v", got.status, got.header)
	}
	if got := ask("https://evil.example"); got.status != http.StatusForbidden || got.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%d %v", got.status, got.header)
	}
	got := r.send(t, "", hello, func(q *http.Request) { q.Header.Set("Origin", "https://inspector.example") })
	if got.status != http.StatusUnauthorized || !strings.Contains(got.header.Get("Access-Control-Expose-Headers"), "WWW-Authenticate") {
		t.Errorf("%d %v", got.status, got.header)
	}
	if got := r.at(t, http.MethodOptions, Path, nil); got.status != http.StatusUnauthorized {
		t.Errorf("OPTIONS of no page: %d", got.status)
	}
}

func watchOf(ended <-chan string) func(access.Principal) (<-chan string, func()) {
	return func(access.Principal) (<-chan string, func()) { return ended, func() {} }
}
