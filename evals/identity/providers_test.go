package identity

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/evals/harness"
	"sallyport/internal/testdb"
	"sallyport/internal/testop"
)

// way is one way through the whole of it, from a provider that others wrote to a row or a page.
type way struct {
	name  string
	needs []testop.Part
	run   func(t *testing.T, w *world, p *testop.Provider)
}

// TestProviders goes each way with each provider, through `sallyport serve` and the command. What a provider cannot do is logged.
func TestProviders(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a gateway for each provider")
	}
	server, err := testdb.Start(testdb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	d := &drill{server: server, dir: t.TempDir()}
	for _, one := range testop.All {
		t.Run(one.Name, func(t *testing.T) {
			w, p := d.beside(t, one.Start)
			for _, way := range ways {
				t.Run(strings.ReplaceAll(way.name, " ", "_"), func(t *testing.T) {
					for _, part := range way.needs {
						if !p.Has(part) {
							t.Skipf("%s lacks %s: %s", p.Name, part, p.Lacks[part])
						}
					}
					way.run(t, w, p)
				})
			}
		})
	}
}

// beside starts a provider and a gateway that trusts it.
func (d *drill) beside(t *testing.T, start testop.Start) (*world, *testop.Provider) {
	t.Helper()
	ctx := t.Context()
	d.made++
	db := fmt.Sprintf("providers%d", d.made)
	for _, sql := range [][2]string{{"postgres", "create database " + db}, {db, schema}} {
		if err := d.server.Exec(ctx, sql[0], sql[1]); err != nil {
			t.Fatal(err)
		}
	}
	var p *testop.Provider
	var failed error
	spec := harness.Spec{Dir: d.dir, Connections: map[string]string{connection: d.server.DSN(db)}, Policy: policy, Web: &harness.Web{}, TLS: true, Approvals: map[string]any{"wait": "0s"},
		Principals: []harness.Principal{{Name: "keeper", Groups: []string{"staff", "reviewers", "support"}, Password: localPassword}},
		Identity: func(g *harness.Gateway) map[string]any {
			p, failed = start(t, testop.Wish{Audience: g.MCPURL, Callback: g.WebURL + "/auth/callback", BackChannel: g.WebURL + logoutPath})
			if failed != nil {
				return nil
			}
			typ := "at+jwt"
			if !p.Has(testop.Typ) {
				typ = "any"
			}
			return map[string]any{"providers": []any{map[string]any{"name": "corp", "issuer": p.Issuer, "client_id": testop.Web, "client_secret": testop.WebSecret, "login_client_id": testop.Command,
				"login_scopes": strings.Fields("profile email " + p.LoginScope), "audiences": []string{p.Audience}, "user": p.UserClaim, "groups": p.GroupsClaim, "prefix": "corp-",
				"group_map": map[string]string{"staff": "staff", "support": "support", "authors": "support", "reviewers": "reviewers"},
				"agents":    []string{testop.Bot}, "actors": []string{testop.App}, "access_token_typ": typ}}}
		}}
	g, err := harness.Prepare(spec)
	if errors.Is(failed, testop.ErrNotInstalled) {
		t.Skip(failed)
	}
	if failed != nil || err != nil {
		t.Fatal(failed, err)
	}
	t.Cleanup(g.Stop)
	if err := g.Launch(nil); err != nil {
		t.Fatal(err)
	}
	if err := g.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	w := &world{g: g}
	if err := w.hold(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the gateway's log ends with:\n%s", g.LogTail())
		}
	})
	return w, p
}

// resource asks for the gateway where the provider knows resource indicators.
func resource(w *world, p *testop.Provider) string {
	if p.Has(testop.Resource) {
		return w.g.MCPURL
	}
	return ""
}

func want(t *testing.T, s *seen, canary string) {
	t.Helper()
	if !slices.Contains(saw(s.all.Bytes()), canary) {
		t.Errorf("%s is not seen: %s", canary, s.answer)
	}
}

func wantNot(t *testing.T, s *seen) {
	t.Helper()
	if got := saw(s.all.Bytes()); len(got) > 0 {
		t.Errorf("%v is seen: %s", got, s.answer)
	}
}

var ways = []way{
	{"web log-in", []testop.Part{testop.Code}, func(t *testing.T, w *world, p *testop.Provider) {
		b := testop.NewBrowser(testop.Ada)
		at, page, err := b.Visit(t.Context(), w.g.WebURL+startPath("corp"), nil)
		if err != nil {
			t.Fatal(err)
		}
		// Whoever is logged in sees who they are; reviewers are of no group that a provider has.
		_, home, err := w.httpBy(t.Context(), b.Client, http.MethodGet, "/reviews", nil, nil)
		if err != nil || !strings.Contains(string(home), "corp-"+p.Names[testop.Ada]) || !strings.Contains(string(home), "/logout") {
			t.Errorf("ended at %s: %.300s\n%v %.600s", at, textOf([]byte(page)), err, home)
		}
	}},
	{"command log-in with PKCE", []testop.Part{testop.Code, testop.Loopback}, func(t *testing.T, w *world, p *testop.Provider) {
		out, said, err := w.command(t, testop.Ada, "psql", "--gateway", w.g.WebURL, connection, "-XAtc", "select v from support_rows limit 1")
		if err != nil || strings.TrimSpace(out) != canarySupport {
			t.Errorf("%q, %v: %s", out, err, said)
		}
	}},
	{"device log-in", []testop.Part{testop.Device}, func(t *testing.T, w *world, p *testop.Provider) {
		out, said, err := w.command(t, testop.Ada, "login", "--gateway", w.g.WebURL, "--device")
		if err != nil || !strings.Contains(out+said, "corp-"+p.Names[testop.Ada]) {
			t.Errorf("%q, %v: %s", out, err, said)
		}
	}},
	{"client credentials of an agent", []testop.Part{testop.Own}, func(t *testing.T, w *world, p *testop.Provider) {
		form := url.Values{"grant_type": {"client_credentials"}}
		if r := resource(w, p); r != "" {
			form.Set("resource", r)
		}
		tokens, err := p.Token(t.Context(), testop.Bot, testop.BotSecret, form)
		if err != nil {
			t.Fatal(err)
		}
		s := w.asAgent(t.Context(), tokens.Access)
		want(t, s, canaryBot)
		if got := saw(s.all.Bytes()); len(got) != 1 {
			t.Errorf("it sees %v", got)
		}
	}},
	{"token exchange with act", []testop.Part{testop.Exchange}, func(t *testing.T, w *world, p *testop.Provider) {
		tokens, err := p.TokensOf(t.Context(), testop.Ada, resource(w, p))
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Exchange(t.Context(), tokens.Access)
		if err != nil {
			t.Fatal(err)
		}
		s := w.asAgent(t.Context(), got.Access)
		want(t, s, canarySupport)
		if slices.Contains(saw(s.all.Bytes()), canaryAda) {
			t.Error("what is hers alone is seen by her agent")
		}
	}},
	{"access token for this resource", []testop.Part{testop.Access}, func(t *testing.T, w *world, p *testop.Provider) {
		tokens, err := p.TokensOf(t.Context(), testop.Ada, resource(w, p))
		if err != nil {
			t.Fatal(err)
		}
		want(t, w.asAgent(t.Context(), tokens.Access), canarySupport)
		want(t, w.byToken(t.Context(), tokens.Access), canarySupport)
		wantNot(t, w.asAgent(t.Context(), tokens.ID))
	}},
	{"access token for another resource", []testop.Part{testop.Resource}, func(t *testing.T, w *world, p *testop.Provider) {
		tokens, err := p.TokensOf(t.Context(), testop.Ada, testop.Elsewhere)
		if err != nil {
			t.Fatal(err)
		}
		wantNot(t, w.asAgent(t.Context(), tokens.Access))
		wantNot(t, w.byToken(t.Context(), tokens.Access))
	}},
	{"refresh", []testop.Part{testop.Refresh, testop.Access}, func(t *testing.T, w *world, p *testop.Provider) {
		tokens, err := p.TokensOf(t.Context(), testop.Ada, resource(w, p))
		if err != nil {
			t.Fatal(err)
		}
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens.Refresh}}
		if r := resource(w, p); r != "" {
			form.Set("resource", r)
		}
		again, err := p.Token(t.Context(), testop.App, testop.AppSecret, form)
		if err != nil {
			t.Fatal(err)
		}
		want(t, w.asAgent(t.Context(), again.Access), canarySupport)
		wantNot(t, w.asAgent(t.Context(), again.Refresh))
	}},
	{"groups", []testop.Part{testop.Groups, testop.Access}, func(t *testing.T, w *world, p *testop.Provider) {
		if p.Names[testop.Bob] == "" {
			t.Skipf("%s knows one person", p.Name)
		}
		tokens, err := p.TokensOf(t.Context(), testop.Bob, resource(w, p))
		if err != nil {
			t.Fatal(err)
		}
		s := w.asAgent(t.Context(), tokens.Access)
		wantNot(t, s)
		if !strings.Contains(s.answer, "42501") {
			t.Errorf("bob is let in, but not to what is for support: %s", s.answer)
		}
	}},
	{"log-out by back channel", []testop.Part{testop.BackChannel}, func(t *testing.T, w *world, p *testop.Provider) {
		b := testop.NewBrowser(testop.Ada)
		if _, _, err := b.Visit(t.Context(), w.g.WebURL+startPath("corp"), nil); err != nil {
			t.Fatal(err)
		}
		in := func() bool {
			_, page, err := w.httpBy(t.Context(), b.Client, http.MethodGet, "/reviews", nil, nil)
			return err == nil && strings.Contains(string(page), "/logout")
		}
		if !in() {
			t.Fatal("not logged in")
		}
		if at, page, err := b.Visit(t.Context(), p.Issuer+"/session/end", nil); err != nil {
			t.Fatal(at, page, err)
		}
		for end := time.Now().Add(30 * time.Second); in(); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("still logged in after the log-out at the provider")
			}
		}
	}},
	{"key rotation", []testop.Part{testop.Rotation}, func(t *testing.T, w *world, p *testop.Provider) { // the last: it ends what was there
		time.Sleep(1100 * time.Millisecond) // tokens say seconds: what is of the second of a log-out went with it
		before, err := p.TokensOf(t.Context(), testop.Ada, resource(w, p))
		if err != nil {
			t.Fatal(err)
		}
		want(t, w.asAgent(t.Context(), before.Access), canarySupport)
		if err := p.Rotate(false); err != nil {
			t.Fatal(err)
		}
		after, err := p.TokensOf(t.Context(), testop.Ada, resource(w, p))
		if err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(75 * time.Second); ; time.Sleep(time.Second) {
			if s := w.asAgent(t.Context(), after.Access); slices.Contains(saw(s.all.Bytes()), canarySupport) {
				break
			} else if time.Now().After(end) {
				t.Fatalf("the new key is not taken: %s", s.answer)
			}
		}
		wantNot(t, w.asAgent(t.Context(), before.Access)) // the old one went with the same fetch
	}},
}

var shown = regexp.MustCompile(`https?://[^\s]+`)

// command runs sallyport as a person who has nothing yet, and whose browser opens the longest address that it shows.
func (w *world) command(t *testing.T, who string, args ...string) (out, said string, err error) {
	t.Helper()
	bin, err := harness.Binary()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "xdg-open"), []byte("#!/bin/sh\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.Env = append(withoutPG(os.Environ()), "HOME="+home, "XDG_CONFIG_HOME="+home, "DISPLAY=:0", "SSH_CONNECTION=", "SSH_TTY=", "PATH="+home+":"+os.Getenv("PATH"))
	var stdout strings.Builder
	cmd.Stdout = &stdout
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	var visits sync.WaitGroup
	lines := bufio.NewReader(stderr)
	for {
		line, err := lines.ReadString('\n')
		all.WriteString(line)
		if at := shown.FindString(line); strings.Contains(at, "?") && !strings.Contains(line, w.g.WebURL) {
			visits.Go(func() {
				if at, page, err := testop.NewBrowser(who).Visit(ctx, at, nil); err != nil {
					t.Logf("the browser ended at %v: %v %.300s", at, err, page)
				}
			})
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Log(err)
			}
			break
		}
	}
	err = cmd.Wait()
	visits.Wait()
	return stdout.String(), all.String(), err
}
