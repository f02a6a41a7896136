package mcp

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sallyport/audit"
	"sallyport/internal/access"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/testdb"
	"sallyport/mcp/internal/front"
)

var idp = access.Provider{Name: "idp", Issuer: "https://idp.example", Scopes: map[string][]access.Action{
	"db:read": {access.ActConnect, access.ActRead}, "db:write": {access.ActRead, access.ActWrite}, "openid": nil}}

// TestToolThatTakesAnotherScope: the status of the answer says which, so that a client can ask for a token that has it.
func TestToolThatTakesAnotherScope(t *testing.T) {
	f := newFake()
	f.providers = []access.Provider{idp}
	f.tokens[anna] = access.Principal{Name: "ada", Kind: access.Human, Actor: "bot", Proof: access.Proof{Issuer: idp.Issuer, Scopes: []string{"db:read"}, Scoped: true, Grants: idp.Scopes}}
	f.answer = func(context.Context, gateway.Query) (*gateway.Result, error) {
		return nil, &access.Error{Kind: access.Denied, Code: "42501", Message: "the token's scopes do not cover writing public.orders (\"write\")", Scopes: []string{"db:read", "db:write"}}
	}
	s := newTestServer(t, f, Options{Resource: "https://gw.example/mcp"})
	eras(t, func(t *testing.T, protocol string) {
		w := dial(t, s, anna, protocol)
		task := w.task()
		status, body, header := w.post(w.request("tools/call", map[string]any{"name": "query", "arguments": map[string]any{"connection": "shop", "sql": "delete from orders where id = 1", "task_id": task, "reason": why}}))
		want := `Bearer realm="sallyport", error="insufficient_scope", error_description="the token lacks a scope that this takes", scope="db:read db:write", resource_metadata="https://gw.example/.well-known/oauth-protected-resource/mcp"`
		if status != http.StatusForbidden || header.Get("WWW-Authenticate") != want || !strings.Contains(string(body), "do not cover writing") {
			t.Errorf("%d %q %s", status, header.Get("WWW-Authenticate"), body)
		}
	})
	srv := httptest.NewServer(s.Handler())
	defer srv.Close()
	res, err := http.Get(srv.URL + "/.well-known/oauth-protected-resource/mcp")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var doc struct {
		Resource string   `json:"resource"`
		Servers  []string `json:"authorization_servers"`
		Scopes   []string `json:"scopes_supported"`
	}
	if err := json.NewDecoder(res.Body).Decode(&doc); err != nil || doc.Resource != "https://gw.example/mcp" || len(doc.Servers) != 1 || doc.Servers[0] != idp.Issuer || strings.Join(doc.Scopes, " ") != "db:read db:write" {
		t.Errorf("%+v %v", doc, err)
	}
}

// TestSessionsAreOfOneToken: what was opened, or fetched, with a token that is good for more is not to be had with one that is
// good for less, nor by somebody who acts otherwise for the same person.
func TestSessionsAreOfOneToken(t *testing.T) {
	person := access.Principal{Name: "ada", Kind: access.Human, Groups: []string{"support"}, Actor: "bot", Proof: access.Proof{Issuer: idp.Issuer, Scopes: []string{"db:read", "db:write"}, Scoped: true, Grants: idp.Scopes}}
	for name, edit := range map[string]func(*access.Principal){
		"fewer_scopes":     func(p *access.Principal) { p.Proof.Scopes = []string{"db:read"} },
		"by_themself":      func(p *access.Principal) { p.Actor = "" },
		"another_actor":    func(p *access.Principal) { p.Actor = "mail" },
		"longer_chain":     func(p *access.Principal) { p.Behind = []string{"planner"} },
		"another_provider": func(p *access.Principal) { p.Proof.Issuer = "https://other.example" },
		"weaker_log_in":    func(p *access.Principal) { p.Proof.ACR = "0" },
		"another_tenant":   func(p *access.Principal) { p.Attributes = map[string]string{"tenant": "8"} },
		"other_groups":     func(p *access.Principal) { p.Groups = []string{"sales"} },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			other := person
			edit(&other)
			f.tokens[anna], f.tokens[bert] = person, other
			f.answer = func(context.Context, gateway.Query) (*gateway.Result, error) { return rows(300, "SELECT 300"), nil }
			s := newTestServer(t, f, Options{})
			mine, theirs := dial(t, s, anna, modern), dial(t, s, bert, modern)
			task := mine.task()
			r := mine.query(task, "select 1")
			cursor := r.body["cursor"]
			if cursor == nil {
				t.Fatal(r.text)
			}
			if r := theirs.call("query", map[string]any{"cursor": cursor, "task_id": task, "reason": why}); !r.isError {
				t.Errorf("a cursor of another grant: %s", r.text)
			}
			theirs.query(task, "select 1")
			if connects, _, _ := f.count(); connects != 2 {
				t.Errorf("%d sessions were opened, for two tokens", connects)
			}
			mine.query(task, "select 1")
			if connects, _, _ := f.count(); connects != 2 {
				t.Errorf("%d sessions, and one was idle", connects)
			}
			if r := mine.call("query", map[string]any{"cursor": cursor, "task_id": task, "reason": why}); r.isError {
				t.Errorf("its owner's turn: %s", r.text)
			}
		})
	}
}

// TestMCPSessionIsOfOneCaller: the id of a session in the hands of whoever is not its caller is one that was made up. A token with
// more scopes, for which a client was sent away, goes on in it.
func TestMCPSessionIsOfOneCaller(t *testing.T) {
	person := access.Principal{Name: "ada", Kind: access.Human, Actor: "bot", Proof: access.Proof{Issuer: idp.Issuer, Scopes: []string{"db:read"}, Scoped: true}}
	f := newFake()
	f.tokens[anna] = person
	s := newTestServer(t, f, Options{})
	w := dial(t, s, anna, legacy)
	for name, c := range map[string]struct {
		edit func(*access.Principal)
		want int
	}{
		"more_scopes":        {func(p *access.Principal) { p.Proof.Scopes = []string{"db:read", "db:write"} }, http.StatusOK},
		"by_themself":        {func(p *access.Principal) { p.Actor = "" }, http.StatusNotFound},
		"another_actor":      {func(p *access.Principal) { p.Actor = "mail" }, http.StatusNotFound},
		"chain":              {func(p *access.Principal) { p.Behind = []string{"planner"} }, http.StatusNotFound},
		"another_provider":   {func(p *access.Principal) { p.Proof.Issuer = "https://other.example" }, http.StatusNotFound},
		"local":              {func(p *access.Principal) { p.Proof.Issuer = "" }, http.StatusNotFound},
		"agent_of_a_name":    {func(p *access.Principal) { p.Kind = access.Agent }, http.StatusNotFound},
		"names_run_together": {func(p *access.Principal) { p.Name, p.Actor = "ada\x00bot", "" }, http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			other := person
			c.edit(&other)
			f.mu.Lock()
			f.tokens[bert] = other
			f.mu.Unlock()
			stolen := *w
			stolen.token = bert
			if status, body, _ := stolen.post(stolen.request("tools/list", nil)); status != c.want {
				t.Errorf("%d %s", status, body)
			}
		})
	}
}

// TestWithdrawnTokenIsAnswered401 while its call runs, and from then on.
func TestWithdrawnTokenIsAnswered401(t *testing.T) {
	f := newFake()
	f.providers = []access.Provider{idp}
	running := make(chan struct{}, 1)
	f.answer = func(ctx context.Context, _ gateway.Query) (*gateway.Result, error) {
		running <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	s := newTestServer(t, f, Options{Resource: "https://gw.example/mcp"})
	eras(t, func(t *testing.T, protocol string) {
		f.mu.Lock()
		f.tokens[anna], f.watched = access.Principal{Name: "anna", Kind: access.Agent}, nil
		f.mu.Unlock()
		w := dial(t, s, anna, protocol)
		task := w.task()
		go func() {
			<-running
			f.withdraw(anna)
		}()
		start := time.Now()
		for i := range 2 {
			status, body, header := w.post(w.request("tools/call", map[string]any{"name": "query", "arguments": map[string]any{"connection": "shop", "sql": "select 1", "task_id": task, "reason": why}}))
			if status != http.StatusUnauthorized || !strings.Contains(header.Get("WWW-Authenticate"), `error="invalid_token"`) || !strings.Contains(header.Get("WWW-Authenticate"), "resource_metadata=") {
				t.Errorf("call %d: %d %q %s", i, status, header.Get("WWW-Authenticate"), body)
			}
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// TestScopedStaticToken: what policies let a principal do, a token of theirs that is good for less does not, with the real core.
func TestScopedStaticToken(t *testing.T) {
	all, allSum := identity.NewToken()
	reads, readSum := identity.NewToken()
	writes, writeSum := identity.NewToken()
	dir := t.TempDir()
	gw, err := gateway.Open(t.Context(), gateway.Config{DataDir: dir,
		Connections: []access.Connection{{Name: "shop", Driver: "postgres", DSN: testdb.Shared(t).NewDatabase(t, shopSchema)}},
		Principals: []access.LocalPrincipal{{Name: "wilma", Kind: access.Agent, Groups: []string{"writers"}, Tokens: []access.LocalToken{
			{SHA256: allSum}, {SHA256: readSum, Scopes: []string{"read"}}, {SHA256: writeSum, Scopes: []string{"session"}}}}},
		Labels: []access.LabelRule{{Label: "pii.email", Columns: []string{"*.*.email"}}}, Masks: []access.Mask{{Label: "pii.email", Transform: "redact"}},
		Policies: []gateway.PolicyFile{{Name: "shop.cedar", Text: shopPolicy + `
@id("see") permit (principal in Group::"writers", action == Action::"reveal", resource);
@id("raw") permit (principal in Group::"writers", action == Action::"unrestricted", resource);`}}})
	if err != nil {
		t.Fatal(err)
	}
	defer gw.Close()
	s, err := New(gw, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	eras(t, func(t *testing.T, protocol string) {
		w, r, x := dial(t, s, all, protocol), dial(t, s, reads, protocol), dial(t, s, writes, protocol)
		task, readTask, lessTask := w.task(), r.task(), x.task()
		const see, change = "select email from customers where id = 1", "update customers set name = name where id = 1"
		if got := w.query(task, see); got.isError || !strings.Contains(got.text, "canary1@") {
			t.Errorf("all: %s", got.text)
		}
		if got := w.query(task, change); got.isError {
			t.Errorf("all: %s", got.text)
		}
		if got := r.query(readTask, see); got.isError || strings.Contains(got.text, "canary1@") {
			t.Errorf("a token that is good for reading sees it raw: %s", got.text)
		}
		if got := r.query(readTask, change); got.code() != "42501" || !strings.Contains(got.text, `"write"`) || !strings.Contains(got.text, "scope") {
			t.Errorf("a token that is good for reading writes: %s", got.text)
		}
		if got := x.query(lessTask, "select id from customers"); got.code() != "42501" || !strings.Contains(got.text, `scope "read"`) {
			t.Errorf("a token that is good for settings reads: %s", got.text)
		}
	})
	var refused int
	if err := audit.Read(dir+"/log", func(rec *access.Record) error {
		if rec.Kind == access.RecordRefused && strings.Contains(rec.Error, "scopes do not cover") {
			refused++
		}
		return nil
	}); err != nil || refused != 4 {
		t.Errorf("%d refusals on record, want 4 (%v)", refused, err)
	}
}

// TestTokenThatEndsEndsItsCalls: whatever ends a token ends what runs by it, at the database too, within a second; the client is told.
func TestTokenThatEndsEndsItsCalls(t *testing.T) {
	operator := access.Principal{Name: "root", Kind: access.Human}
	for name, end := range map[string]func(gw *gateway.Gateway, sum string, people []access.LocalPrincipal) error{
		"revoked": func(gw *gateway.Gateway, sum string, _ []access.LocalPrincipal) error {
			_, err := gw.Revoke(context.Background(), operator, access.Revocation{Token: sum, Cause: "stolen"})
			return err
		},
		"taken_out_of_the_configuration": func(gw *gateway.Gateway, _ string, people []access.LocalPrincipal) error {
			people[0].Tokens = nil
			_, err := gw.LoadPrincipals(people, nil)
			return err
		},
		"good_for_less": func(gw *gateway.Gateway, _ string, people []access.LocalPrincipal) error {
			people[0].Tokens[0].Scopes = []string{"session"}
			_, err := gw.LoadPrincipals(people, nil)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			token, sum := identity.NewToken()
			people := []access.LocalPrincipal{{Name: "anna", Kind: access.Agent, Groups: []string{"agents"}, Tokens: []access.LocalToken{{SHA256: sum}}}}
			gw, err := gateway.Open(t.Context(), gateway.Config{DataDir: t.TempDir(),
				Connections: []access.Connection{{Name: "shop", Driver: "postgres", DSN: testdb.Shared(t).NewDatabase(t, shopSchema)}},
				Principals:  people, Policies: []gateway.PolicyFile{{Name: "shop.cedar", Text: shopPolicy}}})
			if err != nil {
				t.Fatal(err)
			}
			defer gw.Close()
			s, err := New(gw, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			eras(t, func(t *testing.T, protocol string) {
				people[0].Tokens = []access.LocalToken{{SHA256: sum}}
				if name == "revoked" { // for good: another one each time
					token, sum = identity.NewToken()
					people[0].Tokens[0].SHA256 = sum
				}
				if _, err := gw.LoadPrincipals(people, nil); err != nil {
					t.Fatal(err)
				}
				w := dial(t, s, token, protocol)
				task := w.task()
				failed := make(chan error, 1)
				var at time.Time
				time.AfterFunc(400*time.Millisecond, func() {
					at = time.Now()
					failed <- end(gw, sum, people)
				})
				status, body, header := w.post(w.request("tools/call", map[string]any{"name": "query", "arguments": map[string]any{"connection": "shop",
					"sql": "select count(*) from customers a, customers b, customers c, customers d, customers e", "task_id": task, "reason": why}}))
				if err := <-failed; err != nil {
					t.Fatal(err)
				}
				if took := time.Since(at); status != http.StatusUnauthorized || !strings.Contains(header.Get("WWW-Authenticate"), `error="invalid_token"`) || took > 20*time.Second {
					t.Errorf("%d %q %s after %v", status, header.Get("WWW-Authenticate"), body, took)
				}
				for end := time.Now().Add(20 * time.Second); len(gw.LiveSessions()) > 0; time.Sleep(10 * time.Millisecond) {
					if time.Now().After(end) {
						t.Fatalf("sessions live on: %+v", gw.LiveSessions())
					}
				}
				if name == "good_for_less" {
					return // it still says who comes
				}
				if status, body, _ := w.post(w.request("tools/list", nil)); status != http.StatusUnauthorized {
					t.Errorf("the next request: %d %s", status, body)
				}
			})
		})
	}
}

// TestSealsAreOfOneCaller: the state that a client brings back is of use to who it was given to.
func TestSealsAreOfOneCaller(t *testing.T) {
	p := access.Principal{Name: "ada", Kind: access.Human, Actor: "bot", Proof: access.Proof{Issuer: idp.Issuer}}
	key := func(p access.Principal) string { return (&front.Caller{Principal: p}).Key() }
	s := newSeals()
	state := s.seal(ticket{Caller: key(p), Call: "c"}, time.Now().Add(time.Hour))
	for _, edit := range []func(*access.Principal){
		func(p *access.Principal) { p.Actor = "" }, func(p *access.Principal) { p.Actor = "mail" }, func(p *access.Principal) { p.Behind = []string{"x"} },
		func(p *access.Principal) { p.Proof.Issuer = "" },
	} {
		other := p
		edit(&other)
		if _, err := s.take(state, key(other), "c"); err == nil {
			t.Errorf("taken by %+v", other)
		}
	}
	if _, err := s.take(state, key(p), "c"); err != nil {
		t.Error(err)
	}
}

// What a scope lets be done is changed: what was had by it is not to be had any more.
func TestGrantsOfOneScope(t *testing.T) {
	grant := func(actions ...access.Action) string {
		return (&front.Caller{Principal: access.Principal{Name: "ada", Proof: access.Proof{Issuer: "https://idp", Scoped: true, Scopes: []string{"a", "b"}, Grants: map[string][]access.Action{"a": actions}}}}).Grant()
	}
	if grant(access.ActRead, access.ActWrite) == grant(access.ActRead) || grant() == grant(access.ActRead) {
		t.Error("two meanings of a scope are one grant")
	}
}
