package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"sallyport/internal/testidp"
	"sallyport/internal/testidp/forge"
)

// logOutThere sends the gateway the provider's word that whoever is logged in there has logged out.
func (g *realGate) logOutThere() error {
	res, err := http.PostForm(g.url+"/auth/backchannel-logout", url.Values{"logout_token": {g.idp.LogoutToken()}})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the provider's log-out: %s", res.Status)
	}
	return nil
}

// agentAt is a client of the agents' door, of the protocol 2025-11-25, that speaks plain HTTP.
type agentAt struct {
	t              *testing.T
	url, host      string // host: of the header, where it is not the URL's
	token, session string
}

// post sends one message, and gives status, challenge and body.
func (a *agentAt) post(message map[string]any) (status int, challenge, body string) {
	a.t.Helper()
	message["jsonrpc"] = "2.0"
	text, err := json.Marshal(message)
	if err != nil {
		a.t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, a.url, bytes.NewReader(text))
	if err != nil {
		a.t.Fatal(err)
	}
	req.Host = a.host
	for k, v := range map[string]string{"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Mcp-Protocol-Version": "2025-11-25", "Mcp-Session-Id": a.session} {
		if v != "" {
			req.Header.Set(k, v)
		}
	}
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	if id := res.Header.Get("Mcp-Session-Id"); id != "" {
		a.session = id
	}
	return res.StatusCode, res.Header.Get("WWW-Authenticate"), string(out)
}

// hello begins a session, and gives the status.
func (a *agentAt) hello() (int, string) {
	a.t.Helper()
	status, challenge, _ := a.post(map[string]any{"id": 1, "method": "initialize", "params": map[string]any{"protocolVersion": "2025-11-25", "capabilities": map[string]any{}, "clientInfo": map[string]any{"name": "test", "version": "1"}}})
	if status == http.StatusOK {
		a.post(map[string]any{"method": "notifications/initialized"})
	}
	return status, challenge
}

func (a *agentAt) tool(name string, arguments map[string]any) (int, string, string) {
	a.t.Helper()
	return a.post(map[string]any{"id": 2, "method": "tools/call", "params": map[string]any{"name": name, "arguments": arguments}})
}

var taskID = regexp.MustCompile(`"task_id":"([^"]+)"`)

// query runs a statement in a task of its own.
func (a *agentAt) query(sql string) (int, string, string) {
	a.t.Helper()
	_, _, body := a.tool("start_task", map[string]any{"goal": "find out why order 17 is late"})
	id := ""
	if m := taskID.FindStringSubmatch(body); m != nil {
		id = m[1]
	}
	return a.tool("query", map[string]any{"connection": "shop", "sql": sql, "task_id": id, "reason": "the customer of order 17 has asked twice"})
}

func TestAgentsComeInByAccessTokens(t *testing.T) {
	g := openRealGate(t, t.TempDir(), "", true)
	mint := func(claims map[string]any) string {
		return g.idp.AccessToken(g.mcpURL, map[string]any{"scope": "openid db.read"}, claims)
	}
	act := func(who ...string) map[string]any {
		var chain map[string]any
		for i := len(who) - 1; i >= 0; i-- {
			next := map[string]any{"sub": who[i], "client_id": who[i]}
			if chain != nil {
				next["act"] = chain
			}
			chain = next
		}
		return map[string]any{"act": chain, "client_id": who[0]}
	}
	other, err := testidp.NewKey("ES256")
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"another audience":          g.idp.AccessToken("https://elsewhere.example/mcp"),
		"the client as audience":    g.idp.AccessToken(testidp.ClientID),
		"the door's other URL":      g.idp.AccessToken(strings.TrimSuffix(g.mcpURL, "/mcp")),
		"an ID token":               g.idp.IDToken("n", map[string]any{"aud": g.mcpURL}),
		"expired":                   mint(map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}),
		"unsigned":                  forge.Mint(g.idp, g.idp.AccessClaims(g.mcpURL), forge.Shape{Alg: "none", Header: map[string]any{"typ": "at+jwt"}}),
		"by another key":            forge.Mint(g.idp, g.idp.AccessClaims(g.mcpURL), forge.Shape{Key: other, Header: map[string]any{"typ": "at+jwt"}}),
		"an actor nobody knows":     mint(act("intruder")),
		"one behind a known actor":  mint(act("triage-bot", "intruder")),
		"an agent nobody knows":     mint(map[string]any{"sub": "stranger", "client_id": "stranger"}),
		"an unknown program's":      mint(map[string]any{"client_id": "stranger"}),
		"nothing that is a token":   "a.b.c",
		"a secret that none has":    "sps_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"a token with a bent claim": strings.Replace(mint(nil), ".", ".e", 1),
	} {
		a := &agentAt{t: t, url: g.mcpURL, token: token}
		status, challenge := a.hello()
		if status != http.StatusUnauthorized || !strings.Contains(challenge, `error="invalid_token"`) || !strings.Contains(challenge, "/.well-known/oauth-protected-resource/mcp") || a.session != "" {
			t.Errorf("%s: %d %s", name, status, challenge)
		}
	}
	for name, claims := range map[string]map[string]any{
		"a person":                   nil,
		"an agent in their name":     act("triage-bot"),
		"one with another behind it": act("triage-bot", "planner"),
		"an agent of its own":        {"sub": "nightly", "client_id": "nightly", "preferred_username": nil, "groups": []string{"batch"}, "auth_time": nil},
	} {
		a := &agentAt{t: t, url: g.mcpURL, token: mint(claims)}
		if status, challenge := a.hello(); status != http.StatusOK {
			t.Errorf("%s: %d %s", name, status, challenge)
			continue
		}
		if status, _, body := a.query("SELECT id, email FROM customers ORDER BY id"); status != http.StatusOK || strings.Contains(body, "ada@example.com") || !strings.Contains(body, `"row_count":2`) {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}

	// A scope that the token lacks is asked for, of who could have it.
	a := &agentAt{t: t, url: g.mcpURL, token: mint(act("triage-bot"))}
	a.hello()
	const change = "UPDATE orders SET id = 2001 WHERE id = 17"
	status, challenge, body := a.query(change)
	if status != http.StatusForbidden || !strings.Contains(challenge, `error="insufficient_scope"`) || !strings.Contains(challenge, "db.write") {
		t.Errorf("%d %q %s", status, challenge, body)
	}
	a = &agentAt{t: t, url: g.mcpURL, token: mint(map[string]any{"act": act("triage-bot")["act"], "client_id": "triage-bot", "scope": "db.read db.write"})}
	a.hello()
	if status, challenge, body := a.query(change); status != http.StatusOK || strings.Contains(body, `"refused"`) {
		t.Errorf("%d %q %s", status, challenge, body)
	}

	// A provider's log-out ends what rests on the person's tokens, whoever acts.
	if err := g.logOutThere(); err != nil {
		t.Fatal(err)
	}
	if status, challenge, _ := a.query("SELECT 1"); status != http.StatusUnauthorized || !strings.Contains(challenge, "invalid_token") {
		t.Errorf("after the log-out: %d %s", status, challenge)
	}
}

// What the door says that it is, tokens are for: whatever port it got, and by the name that is given to the world.
func TestTokensAreForTheResourceThatTheDoorSays(t *testing.T) {
	for name, c := range map[string]struct{ more, host, want string }{
		"its address":     {"", "", ""},
		"its public name": {`, public_url: "https://agents.example.com/"`, "agents.example.com", "https://agents.example.com/mcp"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			g := openRealGate(t, t.TempDir(), c.more, true)
			address := "http://" + g.mcpLn.Addr().String()
			req, _ := http.NewRequest(http.MethodGet, address+"/.well-known/oauth-protected-resource/mcp", nil)
			req.Host = c.host
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			var doc struct {
				Resource string   `json:"resource"`
				Servers  []string `json:"authorization_servers"`
				Scopes   []string `json:"scopes_supported"`
			}
			if err := json.NewDecoder(res.Body).Decode(&doc); err != nil || !slices.Equal(doc.Servers, []string{g.idp.Issuer}) || !slices.Equal(doc.Scopes, []string{"db.read", "db.write"}) {
				t.Fatalf("%+v, %v", doc, err)
			}
			if want := c.want; want != "" && doc.Resource != want || want == "" && doc.Resource != address+"/mcp" {
				t.Errorf("the resource is %s", doc.Resource)
			}
			for audience, want := range map[string]int{doc.Resource: http.StatusOK, doc.Resource + "/": http.StatusUnauthorized, "http://127.0.0.1:0/mcp": http.StatusUnauthorized} {
				a := &agentAt{t: t, url: address + "/mcp", host: c.host, token: g.idp.AccessToken(audience, map[string]any{"scope": "db.read"})}
				if status, challenge := a.hello(); status != want {
					t.Errorf("aud %s: %d %s", audience, status, challenge)
				}
			}
			// Who logs in by the command is told the same.
			res, err = http.Get(g.url + "/api/v1/login")
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if body, _ := io.ReadAll(res.Body); !strings.Contains(string(body), `"mcp":{"url":"`+doc.Resource+`"}`) || !strings.Contains(string(body), `"address":"`+g.pg+`","tls":true`) {
				t.Errorf("%s", body)
			}
		})
	}
}

// bearerSession opens a session at the PostgreSQL door by OAUTHBEARER (RFC 7628), byte by byte.
func bearerSession(t *testing.T, g *realGate, user, token string) (*pgproto3.Frontend, error) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", g.pg, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	answer := make([]byte, 1)
	conn.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47}) // SSLRequest
	if _, err := io.ReadFull(conn, answer); err != nil || answer[0] != 'S' {
		t.Fatalf("no TLS: %q, %v", answer, err)
	}
	secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"postgresql"}})
	front := pgproto3.NewFrontend(secure, secure)
	front.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: map[string]string{"user": user, "database": "shop", "application_name": "bytes"}})
	for {
		if err := front.Flush(); err != nil {
			return nil, err
		}
		m, err := front.Receive()
		if err != nil {
			return nil, err
		}
		switch m := m.(type) {
		case *pgproto3.AuthenticationSASL:
			front.Send(&pgproto3.SASLInitialResponse{AuthMechanism: "OAUTHBEARER", Data: []byte("n,,\x01auth=Bearer " + token + "\x01\x01")})
		case *pgproto3.AuthenticationSASLContinue:
			front.Send(&pgproto3.SASLResponse{Data: []byte{1}})
		case *pgproto3.ErrorResponse:
			return nil, fmt.Errorf("%s %s", m.Code, m.Message)
		case *pgproto3.ReadyForQuery:
			return front, nil
		}
	}
}

func TestAccessTokensAtThePostgreSQLDoor(t *testing.T) {
	g := openRealGate(t, t.TempDir(), "", true)
	token := g.idp.AccessToken(g.mcpURL, map[string]any{"scope": "db.read"})
	for name, c := range map[string]struct{ user, token string }{
		"as somebody else": {"eve", token}, "another audience": {"ada", g.idp.AccessToken("https://elsewhere.example")}, "an ID token": {"ada", g.idp.IDToken("n")},
		"expired": {"ada", g.idp.AccessToken(g.mcpURL, map[string]any{"exp": time.Now().Add(-time.Minute).Unix()})},
	} {
		if _, err := bearerSession(t, g, c.user, c.token); err == nil || !strings.HasPrefix(err.Error(), "28") {
			t.Errorf("%s: %v", name, err)
		}
	}
	front, err := bearerSession(t, g, "ada", token)
	if err != nil {
		t.Fatal(err)
	}
	front.Send(&pgproto3.Query{String: "SELECT email FROM customers WHERE id = 1"})
	if err := front.Flush(); err != nil {
		t.Fatal(err)
	}
	rows := 0
	for done := false; !done; {
		m, err := front.Receive()
		if err != nil {
			t.Fatal(err)
		}
		switch m := m.(type) {
		case *pgproto3.DataRow:
			if rows++; string(m.Values[0]) == "ada@example.com" {
				t.Error("unmasked")
			}
		case *pgproto3.ErrorResponse:
			t.Fatalf("%s %s", m.Code, m.Message)
		case *pgproto3.ReadyForQuery:
			done = true
		}
	}
	if rows != 1 {
		t.Errorf("%d rows", rows)
	}

	// Both doors' sessions are listed by what proves them, and the provider's log-out ends both.
	a := &agentAt{t: t, url: g.mcpURL, token: g.idp.AccessToken(g.mcpURL, map[string]any{"scope": "db.read", "act": map[string]any{"sub": "triage-bot"}, "client_id": "triage-bot"})}
	a.hello()
	a.query("SELECT count(*) FROM orders")
	cmd := exec.Command(testBinary(t), "sessions", "-c", g.file)
	cmd.Env = append(os.Environ(), "SALLYPORT_TEST_MAIN=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v %s", err, out)
	}
	for _, want := range []string{`ada +pgwire +shop +127\.0\.0\.1:\d+ bytes .* access token of ` + regexp.QuoteMeta(g.idp.Issuer), `ada by triage-bot +mcp +shop .* access token of ` + regexp.QuoteMeta(g.idp.Issuer)} {
		if !regexp.MustCompile(want).Match(out) {
			t.Errorf("%s is not in\n%s", want, out)
		}
	}
	began := time.Now()
	if err := g.logOutThere(); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := front.Receive()
		if err != nil {
			t.Fatalf("the session ended without a word: %v", err)
		}
		if e, ok := m.(*pgproto3.ErrorResponse); ok {
			if e.Severity != "FATAL" || e.Code != "57P01" || !strings.Contains(e.Message, "logged out at the identity provider") {
				t.Errorf("%+v", e)
			}
			break
		}
	}
	if d := time.Since(began); d > 20*time.Second {
		t.Errorf("the end took %s", d)
	}
	if _, err := bearerSession(t, g, "ada", token); err == nil {
		t.Error("the token is taken after the log-out")
	}
}

// A reviewer at a terminal is whoever `sallyport login` says, and proves anew who they are before approving.
func TestReviewersComeInByTheirLogIn(t *testing.T) {
	g := openRealGate(t, t.TempDir(), "", true)
	agent := &agentAt{t: t, url: g.mcpURL, token: g.idp.AccessToken(g.mcpURL, map[string]any{"sub": "nightly", "client_id": "nightly", "preferred_username": nil, "groups": []string{"batch"}, "scope": "db.write"})}
	agent.hello()
	waited := make(chan string, 1)
	go func() {
		_, _, body := agent.query("UPDATE orders SET id = 2001 WHERE id = 17")
		waited <- body
	}()
	home := t.TempDir()
	run := func(args ...string) (string, error) {
		cmd := exec.Command(testBinary(t), args...)
		cmd.Dir = home
		cmd.Env = append(slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "XDG_") || strings.HasPrefix(kv, "SALLYPORT_") }),
			"SALLYPORT_TEST_MAIN=1", "HOME="+home, "DISPLAY=", "WAYLAND_DISPLAY=")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	hourAgo := ada()
	hourAgo.Authenticated = time.Now().Add(-time.Hour)
	g.idp.Login(hourAgo)
	if out, err := run("login", "--gateway", g.url); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	var id string
	for end := time.Now().Add(20 * time.Second); id == "" && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		out, err := run("review", "list", "--json")
		if err != nil {
			t.Fatalf("%v %s", err, out)
		}
		var list struct{ Reviews []struct{ ID string } }
		if err := json.Unmarshal([]byte(out), &list); err != nil {
			t.Fatalf("%v %s", err, out)
		}
		if len(list.Reviews) > 0 {
			id = list.Reviews[0].ID
		}
	}
	approve := []string{"review", "approve", id, "--yes", "--justification", "looked at ticket 4711"}
	if out, err := run(approve...); err == nil || !strings.Contains(out, "sallyport login --fresh") {
		t.Errorf("approved by a log-in of an hour ago: %v %s", err, out)
	}
	g.idp.Login(ada())
	if out, err := run("login", "--fresh"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if out, err := run(approve...); err != nil {
		t.Errorf("%v %s", err, out)
	}
	r, err := g.core.Review(id)
	if err != nil || len(r.Votes) != 1 || r.Votes[0].Reviewer != "ada" || time.Since(r.Votes[0].Authenticated) > time.Minute {
		t.Errorf("%+v, %v", r, err)
	}
	<-waited
	if out, err := run("review", "list", "--user", "somebody"); err == nil {
		t.Errorf("a log-in is used for somebody else: %s", out)
	}
}
