package front

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	sdk "github.com/mark3labs/mcp-go/server"

	"sallyport/internal/access"
)

// rig is a front before a server with three tools: whoami, wait (until cancelled or let go) and panic.
type rig struct {
	front *Front
	url   string
	let   chan struct{} // closed: wait returns
	in    chan struct{} // one for each wait that has begun

	mu     sync.Mutex
	tokens map[string]string
	idp    map[string]bool // who is of a provider
	ended  chan string     // what Watch gives of everybody
}

func newRig(t *testing.T, edit func(*Options)) *rig {
	t.Helper()
	r := &rig{ended: make(chan string, 1), let: make(chan struct{}), in: make(chan struct{}, 16), tokens: map[string]string{"ta": "anna", "tb": "bert"}}
	server := sdk.NewMCPServer("rig", "1", sdk.WithToolCapabilities(false))
	server.AddTool(mcp.NewTool("whoami"), func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return mcp.NewToolResultText(CallerFrom(ctx).Principal.Name), nil
	})
	server.AddTool(mcp.NewTool("wait"), func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		r.in <- struct{}{}
		select {
		case <-ctx.Done():
			return mcp.NewToolResultText("cancelled"), nil
		case <-r.let:
			return mcp.NewToolResultText("finished"), nil
		}
	})
	server.AddTool(mcp.NewTool("lacks"), func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		CallerFrom(ctx).Lacks([]string{"db:read", "db:write\"\r\nX: y", "db:write"})
		return mcp.NewToolResultError("it takes db:write"), nil
	})
	server.AddTool(mcp.NewTool("panic"), func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		panic("a secret in a panic")
	})
	opt := Options{
		Verify: func(_ context.Context, c access.Credentials, _ string) (access.Principal, error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			token, _ := c.(access.Bearer)
			switch name := r.tokens[string(token)]; name {
			case "":
				return access.Principal{}, &access.Error{Kind: access.Denied, Message: "unknown token"}
			case "down":
				return access.Principal{}, &access.Error{Kind: access.Unavailable, Message: "identity is down"}
			default:
				p := access.Principal{Name: name, Kind: access.Agent}
				if r.idp[name] {
					p.Proof.Issuer = "https://idp.example"
				}
				return p, nil
			}
		},
		Watch:   func(access.Principal) (<-chan string, func()) { return r.ended, func() {} },
		Log:     slog.New(slog.DiscardHandler),
		MaxBody: 4096, MaxSessions: 3, SessionIdle: time.Minute,
		ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second,
	}
	if edit != nil {
		edit(&opt)
	}
	r.front = New(server, opt)
	srv := httptest.NewServer(r.front)
	r.url = srv.URL + Path
	t.Cleanup(func() { srv.Close(); r.front.Close() })
	return r
}

const (
	legacy = "2025-11-25"
	modern = "2026-07-28"
)

type reply struct {
	status int
	body   string
	header http.Header
}

// send posts body with token, after edit.
func (r *rig) send(t *testing.T, token, body string, edit func(*http.Request)) reply {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, r.url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if edit != nil {
		edit(req)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{res.StatusCode, string(out), res.Header}
}

const hello = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`

func (r *rig) initialize(t *testing.T, token string) string {
	t.Helper()
	res := r.send(t, token, hello, nil)
	id := res.header.Get("Mcp-Session-Id")
	if res.status != http.StatusOK || id == "" {
		t.Fatalf("initialize: %d %s", res.status, res.body)
	}
	return id
}

func legacyCall(tool string) string {
	return `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"` + tool + `","arguments":{}}}`
}

func inSession(id string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Mcp-Session-Id", id)
		r.Header.Set("Mcp-Protocol-Version", legacy)
	}
}

func modernMessage(id, method, params string) (string, func(*http.Request)) {
	if id != "" {
		id = `"id":` + id + `,`
	}
	body := `{"jsonrpc":"2.0",` + id + `"method":"` + method + `","params":{` + params +
		`"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},` +
		`"io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"}}}}`
	return body, func(r *http.Request) {
		r.Header.Set("Mcp-Protocol-Version", modern)
		r.Header.Set("Mcp-Method", method)
		if _, name, ok := strings.Cut(params, `"name":"`); ok {
			name, _, _ = strings.Cut(name, `"`)
			r.Header.Set("Mcp-Name", name)
		}
	}
}

func TestBearer(t *testing.T) {
	r := newRig(t, func(o *Options) {})
	r.tokens["broken"] = "down"
	whoami, head := modernMessage("1", "tools/call", `"name":"whoami","arguments":{},`)
	with := func(name, value string) func(*http.Request) {
		return func(req *http.Request) { head(req); req.Header.Set(name, value) }
	}
	for name, c := range map[string]struct {
		token  string
		edit   func(*http.Request)
		status int
		header string // of WWW-Authenticate
	}{
		"valid":           {"ta", head, 200, ""},
		"none":            {"", head, 401, `Bearer realm="sallyport"`},
		"unknown":         {"tx", head, 401, `Bearer realm="sallyport", error="invalid_token", error_description="` + invalidToken.description + `"`},
		"basic":           {"", with("Authorization", "Basic dGE6dGE="), 401, `Bearer realm="sallyport"`},
		"bare":            {"", with("Authorization", "ta"), 401, `Bearer realm="sallyport"`},
		"empty":           {"", with("Authorization", "Bearer "), 401, `Bearer realm="sallyport"`},
		"lower_case":      {"", with("Authorization", "bearer ta"), 200, ""},
		"huge":            {strings.Repeat("a", maxToken+1), head, 401, `Bearer realm="sallyport"`},
		"in_query":        {"", func(req *http.Request) { head(req); req.URL.RawQuery = "access_token=ta&token=ta" }, 401, `Bearer realm="sallyport"`},
		"in_cookie":       {"", with("Cookie", "access_token=ta"), 401, `Bearer realm="sallyport"`},
		"two_headers":     {"ta", func(req *http.Request) { head(req); req.Header.Add("Authorization", "Bearer tb") }, 401, `Bearer realm="sallyport"`},
		"identity_down":   {"broken", head, 503, ""},
		"before_the_path": {"", func(req *http.Request) { head(req); req.URL.Path = "/elsewhere" }, 401, `Bearer realm="sallyport"`},
	} {
		t.Run(name, func(t *testing.T) {
			got := r.send(t, c.token, whoami, c.edit)
			if got.status != c.status || got.header.Get("WWW-Authenticate") != c.header {
				t.Errorf("got %d %q %s", got.status, got.header.Get("WWW-Authenticate"), got.body)
			}
			if later := got.header.Get("Retry-After"); (later != "") != (c.status == 503) {
				t.Errorf("Retry-After is %q", later)
			}
			if c.status == 200 && !strings.Contains(got.body, "anna") {
				t.Errorf("not anna: %s", got.body)
			}
			if got.header.Get("X-Content-Type-Options") != "nosniff" || got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("headers: %v", got.header)
			}
		})
	}
}

func TestWithdrawnTokenStopsAtOnce(t *testing.T) {
	r := newRig(t, nil)
	id := r.initialize(t, "ta")
	if got := r.send(t, "ta", legacyCall("whoami"), inSession(id)); got.status != 200 {
		t.Fatal(got)
	}
	r.mu.Lock()
	delete(r.tokens, "ta")
	r.mu.Unlock()
	if got := r.send(t, "ta", legacyCall("whoami"), inSession(id)); got.status != 401 {
		t.Errorf("a withdrawn token is answered %d", got.status)
	}
}

func TestHostAndOrigin(t *testing.T) {
	r := newRig(t, func(o *Options) {
		o.Hosts = []string{"gate.example"}
		o.Origins = []string{"https://ui.example"}
		o.LoopbackOrigins = true
	})
	strict := newRig(t, nil)
	whoami, head := modernMessage("1", "tools/call", `"name":"whoami","arguments":{},`)
	host := func(h string) func(*http.Request) { return func(r *http.Request) { head(r); r.Host = h } }
	origin := func(o ...string) func(*http.Request) {
		return func(r *http.Request) { head(r); r.Header["Origin"] = o }
	}
	for name, c := range map[string]struct {
		rig    *rig
		edit   func(*http.Request)
		status int
	}{
		"host_listed":               {r, host("gate.example:8443"), 200},
		"host_listed_other_case":    {r, host("Gate.Example"), 200},
		"host_localhost":            {strict, host("localhost:7777"), 200},
		"host_address":              {strict, host("192.0.2.7:80"), 200},
		"host_address_6":            {strict, host("[::1]:80"), 200},
		"host_rebound":              {strict, host("evil.example"), 403},
		"host_rebound_subdomain":    {r, host("evil.gate.example"), 403},
		"host_localhost_prefix":     {strict, host("localhost.evil.example"), 403},
		"host_address_prefix":       {strict, host("127.0.0.1.evil.example"), 403},
		"origin_listed":             {r, origin("https://ui.example"), 200},
		"origin_loopback":           {r, origin("http://127.0.0.1:6274"), 200},
		"origin_localhost":          {r, origin("http://localhost:6274"), 200},
		"origin_loopback_strict":    {strict, origin("http://localhost:6274"), 403},
		"origin_other":              {r, origin("https://evil.example"), 403},
		"origin_null":               {r, origin("null"), 403},
		"origin_two":                {r, origin("https://ui.example", "https://evil.example"), 403},
		"origin_localhost_userinfo": {r, origin("http://localhost@evil.example"), 403},
		"origin_userinfo_loopback":  {r, origin("http://evil.example@localhost"), 403},
		"origin_localhost_prefix":   {r, origin("http://localhost.evil.example"), 403},
		"origin_file":               {r, origin("file://localhost"), 403},
		"origin_empty":              {r, origin(""), 403},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.rig.send(t, "ta", whoami, c.edit); got.status != c.status {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
}

func TestMethodsPathsAndBodies(t *testing.T) {
	r := newRig(t, nil)
	id := r.initialize(t, "ta")
	method := func(m string) func(*http.Request) {
		return func(r *http.Request) { inSession(id)(r); r.Method = m }
	}
	for name, c := range map[string]struct {
		body   string
		edit   func(*http.Request)
		status int
	}{
		"get":        {"", method("GET"), 405},
		"head":       {"", method("HEAD"), 405},
		"put":        {"{}", method("PUT"), 405},
		"options":    {"", method("OPTIONS"), 405},
		"trace":      {"", method("PATCH"), 405},
		"other_path": {legacyCall("whoami"), func(r *http.Request) { inSession(id)(r); r.URL.Path = "/mcp/x" }, 404},
		"oversize":   {`{"jsonrpc":"2.0","id":1,"method":"ping","x":"` + strings.Repeat("a", 5000) + `"}`, inSession(id), 413},
		"oversize_chunked": {"", func(r *http.Request) {
			inSession(id)(r)
			r.Body = io.NopCloser(io.LimitReader(endless{}, 1<<20))
			r.ContentLength = -1
		}, 413},
		"gzip":         {legacyCall("whoami"), func(r *http.Request) { inSession(id)(r); r.Header.Set("Content-Encoding", "gzip") }, 415},
		"no_json_type": {legacyCall("whoami"), func(r *http.Request) { inSession(id)(r); r.Header.Set("Content-Type", "text/plain") }, 400},
		"malformed":    {`{"jsonrpc":"2.0","id":1,`, inSession(id), 400},
		"batch":        {"[" + legacyCall("whoami") + "]", inSession(id), 400},
		"nested_deep":  {strings.Repeat("[", 4000), inSession(id), 400},
		"empty":        {"", inSession(id), 400},
		"ordinary":     {legacyCall("whoami"), inSession(id), 200},
	} {
		t.Run(name, func(t *testing.T) {
			got := r.send(t, "ta", c.body, c.edit)
			if got.status != c.status {
				t.Errorf("got %d %s", got.status, got.body)
			}
			if c.status == 405 && got.header.Get("Allow") != "POST, DELETE" {
				t.Errorf("Allow: %q", got.header.Get("Allow"))
			}
		})
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte("x"), len(p))), nil }

// The server watches the connection while a call runs: the deadline for the body must not end the call.
func TestCallMayTakeLongerThanReadingIt(t *testing.T) {
	const within = 2 * time.Second // a machine that stops for a while reads it in that time
	r := newRig(t, func(o *Options) { o.ReadTimeout = within })
	call, head := modernMessage("1", "tools/call", `"name":"wait","arguments":{},`)
	go func() {
		<-r.in
		time.Sleep(within + 200*time.Millisecond)
		close(r.let)
	}()
	if got := r.send(t, "ta", call, head); !strings.Contains(got.body, "finished") {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestSlowBodyIsGivenUp(t *testing.T) {
	r := newRig(t, func(o *Options) { o.ReadTimeout = 50 * time.Millisecond })
	body, tail := io.Pipe()
	defer tail.Close()
	go func() { _, _ = io.WriteString(tail, `{"jsonrpc":`) }() // and no more
	done := make(chan int, 1)
	go func() {
		done <- r.send(t, "ta", "", func(r *http.Request) { r.Body, r.ContentLength = body, -1 }).status
	}()
	select {
	case status := <-done:
		if status != http.StatusBadRequest {
			t.Errorf("got %d", status)
		}
	case <-time.After(30 * time.Second):
		t.Error("the server waits for ever")
	}
}

func TestPanicIsNotShown(t *testing.T) {
	r := newRig(t, nil)
	body, head := modernMessage("1", "tools/call", `"name":"panic","arguments":{},`)
	got := r.send(t, "ta", body, head)
	if got.status != 500 || strings.Contains(got.body, "secret") {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestUnknownToolAndMethod(t *testing.T) {
	r := newRig(t, nil)
	for _, c := range []struct{ method, params string }{
		{"tools/call", `"name":"no_such_tool","arguments":{},`},
		{"resources/read", `"uri":"file:///etc/passwd",`},
		{"no/such", ``},
	} {
		body, head := modernMessage("1", c.method, c.params)
		got := r.send(t, "ta", body, func(r *http.Request) {
			head(r)
			if c.method == "resources/read" {
				r.Header.Set("Mcp-Name", "file:///etc/passwd")
			}
		})
		var m struct {
			Error *struct{ Code int } `json:"error"`
		}
		if json.Unmarshal([]byte(got.body), &m) != nil || m.Error == nil {
			t.Errorf("%s: %d %s", c.method, got.status, got.body)
		}
	}
}
