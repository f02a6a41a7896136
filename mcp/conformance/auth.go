package main

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"sallyport/internal/access"
	"sallyport/mcp/internal/front"
)

// The suite's scenarios about authorization try clients, and authorization servers; none tries a server. So they are listed with
// whom they are for, and what a server does in them is tried by an OAuth client that others have written: that of the TypeScript
// SDK, which the suite brings along.

// audience says whom a section of the suite's list is about.
var audience = map[string]string{"Server scenarios": "servers", "Client scenarios": "clients", "Authorization server scenarios": "authorization servers"}

// authScenarios gives the scenarios about authorization in what `conformance list` prints, by whom they are for.
func authScenarios(list string) map[string][]string {
	out := map[string][]string{}
	whom := ""
	for sc := bufio.NewScanner(strings.NewReader(list)); sc.Scan(); {
		name, ok := strings.CutPrefix(sc.Text(), "  - ")
		if !ok {
			if head, _, ok := strings.Cut(sc.Text(), " ("); ok {
				whom = audience[head]
			}
			continue
		}
		if name, _, _ = strings.Cut(name, " ["); strings.HasPrefix(name, "auth/") || strings.HasPrefix(name, "authorization-") {
			out[whom] = append(out[whom], name)
		}
	}
	return out
}

// auth lists the scenarios about authorization, and tries what concerns a server in them.
func (s *suite) auth(ctx context.Context) ([]entry, error) {
	text, err := exec.CommandContext(ctx, s.node, s.script, "list").Output()
	if err != nil {
		return nil, fmt.Errorf("conformance list: %w", err)
	}
	lists := authScenarios(string(text))
	if len(lists["clients"]) == 0 {
		return nil, errors.New("the suite lists no scenario about authorization: its list has another form")
	}
	var all []entry
	for _, whom := range []string{"servers", "clients", "authorization servers"} {
		e := s.entry("mcp.conformance.auth.for_" + strings.ReplaceAll(whom, " ", "_"))
		e.Value, e.Unit, e.N = float64(len(lists[whom])), "scenarios", len(lists[whom])
		e.Note = "about authorization, of the suite's list: " + strings.Join(lists[whom], ", ")
		all = append(all, e)
		for _, name := range lists[whom] {
			e := s.entry("mcp.conformance.auth." + strings.TrimPrefix(name, "auth/"))
			e.Unit, e.Note = "not applicable", "tries "+whom
			if whom == "servers" {
				e.Note = "run with the other scenarios of its era, see there"
			}
			all = append(all, e)
		}
	}
	tried, err := s.clientTries(ctx)
	return append(all, tried...), err
}

//go:embed authclient.mjs
var authClient string

// clientTries has the SDK's client find its way to the provider.
func (s *suite) clientTries(ctx context.Context) ([]entry, error) {
	p, err := startProtected()
	if err != nil {
		return nil, err
	}
	defer p.down()
	script := filepath.Join(s.dir, "authclient.mjs")
	if err := os.WriteFile(script, []byte(authClient), 0o644); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, s.node, script, p.url, p.token, filepath.Join(s.dir, "node_modules", "@modelcontextprotocol", "sdk"))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("the SDK's client: %w", err)
	}
	var found map[string]string
	if err := json.Unmarshal(out, &found); err != nil || len(found) == 0 {
		return nil, fmt.Errorf("the SDK's client found out nothing: %v in %s", err, out)
	}
	return s.tried(found), nil
}

// tried makes entries of what was found: "" of what is as it should be.
func (s *suite) tried(found map[string]string) []entry {
	var names []string
	for name := range found {
		names = append(names, name)
	}
	slices.Sort(names)
	sum := s.entry("mcp.conformance.auth.sdk_client")
	sum.Corpus, sum.Unit, sum.N, sum.Note = "the OAuth client of @modelcontextprotocol/sdk", "checks", len(names), "passed; what a server does in the scenarios for clients, as that client speaks (2025-11-25)"
	var all []entry
	for _, name := range names {
		e := s.entry("mcp.conformance.auth.sdk_client." + name)
		e.Corpus, e.Unit, e.N, e.Note = sum.Corpus, "passed", 1, found[name]
		if found[name] == "" {
			e.Value = 1
			sum.Value++
		}
		all = append(all, e)
	}
	return append(all, sum)
}

// protected is a front that says it is a protected resource, with an authorization server that has nothing but its metadata.
type protected struct {
	url, token string
	down       func()
}

func startProtected() (*protected, error) {
	door, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	as, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, door.Close())
	}
	issuer := "http://" + as.Addr().String()
	p := &protected{url: "http://" + door.Addr().String() + front.Path, token: "reader"}
	tools := server.NewMCPServer("sallyport-conformance", "1", server.WithToolCapabilities(false))
	tools.AddTool(mcp.NewTool("lacks_scope"), func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		front.CallerFrom(ctx).Lacks([]string{"db:read", "db:write"})
		return mcp.NewToolResultError("it takes db:write"), nil
	})
	f := front.New(tools, front.Options{
		Verify: func(_ context.Context, c access.Credentials, _ string) (access.Principal, error) {
			if c != access.Bearer(p.token) {
				return access.Principal{}, &access.Error{Kind: access.Denied, Code: "28000", Message: "unknown token"}
			}
			return access.Principal{Name: "suite", Kind: access.Agent, Proof: access.Proof{Issuer: issuer}}, nil
		},
		Resource: func() front.Resource {
			return front.Resource{URL: p.url, Servers: []string{issuer}, Scopes: []string{"db:read", "db:write"}, Basic: []string{"db:read"}}
		},
		Log:     slog.New(slog.DiscardHandler),
		MaxBody: 1 << 20, MaxSessions: 16, SessionIdle: time.Hour, ReadTimeout: 15 * time.Second, WriteTimeout: time.Minute,
	})
	metadata := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/.well-known/oauth-authorization-server" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"issuer":%q,"authorization_endpoint":%q,"token_endpoint":%q,"response_types_supported":["code"],"code_challenge_methods_supported":["S256"],"client_id_metadata_document_supported":true}`,
			issuer, issuer+"/authorize", issuer+"/token")
	})
	done := make(chan error, 2)
	var servers []*http.Server
	for l, h := range map[net.Listener]http.Handler{door: f, as: metadata} {
		srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
		servers = append(servers, srv)
		go func() { done <- srv.Serve(l) }()
	}
	p.down = func() {
		f.Close()
		for _, srv := range servers {
			_ = srv.Close()
		}
		for range servers {
			<-done
		}
	}
	return p, nil
}
