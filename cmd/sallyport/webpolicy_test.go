package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/config"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/web"
)

// policyInTheBrowser edits the files of TestWebDoor's gateway, looks at what the page makes of it, and has cases judged there, as an auditor
// or as an operator.
func policyInTheBrowser(t *testing.T, dir string, do func(method, path string, form url.Values) (int, string, http.Header), operator bool) {
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var csrf string
	shows := func(what string, form url.Values, want ...string) string {
		t.Helper()
		method := "GET"
		if form != nil {
			method = "POST"
			form.Set("csrf", csrf)
		}
		code, body, _ := do(method, "/policy", form)
		if code != 200 {
			t.Fatalf("%s: %d %.500s", what, code, body)
		}
		for _, w := range want {
			if !strings.Contains(body, w) {
				t.Errorf("%s: the page lacks %q:\n%s", what, w, body)
			}
		}
		csrf = regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(body)[1]
		return body
	}
	policy, err := os.ReadFile(filepath.Join(dir, "policy.cedar"))
	if err != nil {
		t.Fatal(err)
	}
	shows("unchanged", nil, "The files on disk are what is in force.")

	edited := string(policy) + "\n" + `@id("write") permit (principal in Group::"staff", action == Action::"write", resource);` + "\n"
	write("policy.cedar", edited)
	shows("edited", nil, "<ins>+@id(&#34;write&#34;)", "policy.cedar</h3>")

	cases := `- name: staff write
  principal: ada
  action: write
  resource: Table::"shop.public.t"
  expect: allow
- name: staff read
  principal: ada
  sql: select a from t
  policies: [all]
  expect: allow
- name: others do not
  principal: eve
  kind: human
  sql: select a from t
  expect: allow
`
	shows("in force", url.Values{"cases": {cases}, "against": {"force"}}, "1 passed, 2 failed</strong>", "effect: expected allow, got deny", ">ok</span>", ">FAIL</span>")
	if operator {
		// What the file permits and what is in force differ for statements too; the third case has no group that anything is permitted to.
		statements := cases + "- {name: staff insert, principal: ada, sql: insert into t values (1), policies: [all, write], expect: allow}\n"
		shows("in force, a statement", url.Values{"cases": {statements}, "against": {"force"}}, "1 passed, 3 failed</strong>")
		shows("on disk", url.Values{"cases": {statements}, "against": {"disk"}}, "3 passed, 1 failed</strong>", "effect: expected allow, got deny")
		shows("on disk, without a database", url.Values{"cases": {"- {name: n, principal: ada, connection: none, sql: select 1, expect: allow}"}, "against": {"disk"}}, "1 left out", "there is no connection")
	} else {
		shows("on disk", url.Values{"cases": {cases}, "against": {"disk"}}, "1 passed, 0 failed, 2 left out</strong>", "for operators only")
	}
	shows("a key that is none", url.Values{"cases": {"- nam: x"}, "against": {"disk"}}, "cases:1:", "nam")
	shows("no list", url.Values{"cases": {"x"}}, "a file of cases is a YAML list")
	one := "- {name: n, principal: ada, action: read, resource: 'Table::\"shop.public.t\"', expect: allow}\n"
	shows("as many as there may be", url.Values{"cases": {strings.Repeat(one, 200)}}, "200 passed, 0 failed")
	shows("more", url.Values{"cases": {strings.Repeat(one, 201)}}, "there are 201 cases: at most 200")
	shows("a connection that is not there", url.Values{"cases": {"- {name: n, principal: ada, connection: none, sql: select 1, expect: allow}"}}, "1 left out", "there is no connection")

	write("policy.cedar", edited+"permit (principal, action, resource)\n")
	shows("broken", nil, "does not load", "policy.cedar:4:1: not a policy", "<ins>+@id(&#34;write&#34;)")
	shows("broken, cases on disk", url.Values{"cases": {one}, "against": {"disk"}}, "No case was judged", "policy.cedar:4:1: not a policy")
	shows("broken, cases in force", url.Values{"cases": {one}, "against": {"force"}}, "1 passed, 0 failed")
	write("policy.cedar", string(policy))

	file := filepath.Join(dir, "sallyport.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write("sallyport.yaml", string(text)+"hunter2: x\n")
	body := shows("a configuration that is not sound", nil, fmt.Sprintf("sallyport.yaml:%d:", strings.Count(string(text), "\n")+1), "sallyport check")
	if strings.Contains(body, "hunter2") {
		t.Error("the page quotes the configuration")
	}
	write("sallyport.yaml", strings.Replace(string(text), "policies: [policy.cedar]", "policies: ['*.cedar']", 1))
	write("other.cedar", "")
	if err := os.Remove(filepath.Join(dir, "policy.cedar")); err != nil {
		t.Fatal(err)
	}
	shows("a file that vanished", nil, "policy.cedar: no longer there", "<del>-@id(&#34;all&#34;)")
	write("sallyport.yaml", string(text))
	write("policy.cedar", string(policy))
	os.Remove(filepath.Join(dir, "other.cedar"))
}

// Cases about what is in force are about the principals in force, not those that the gateway started with.
func TestCasesInForceKnowReloadedPrincipals(t *testing.T) {
	core, a := archiveCore(t, func(*gateway.Config) {})
	holds := func(want string) bool {
		t.Helper()
		list, err := a.Judge(t.Context(), "- {name: n, principal: ada, action: read, resource: 'Table::\"shop.public.t\"', expect: "+want+"}\n", web.Judging{})
		if err != nil || len(list) != 1 || list[0].Left != "" {
			t.Fatalf("%+v, %v", list, err)
		}
		return len(list[0].Differs) == 0
	}
	if !holds("allow") {
		t.Error("ada does not read as one of staff")
	}
	if _, err := core.LoadPrincipals([]access.LocalPrincipal{{Name: "ada", Kind: access.Human, Groups: []string{"others"}, Secret: identity.HashPassword("pw")}}, nil); err != nil {
		t.Fatal(err)
	}
	if !holds("deny") {
		t.Error("ada is judged as the one of before the reload")
	}
}

// A database that does not answer keeps nobody longer than their time, and nobody else has cases judged until it has been given up.
func TestCasesOnDiskHaveATime(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	var mu sync.Mutex
	var taken []net.Conn
	go func() {
		for {
			c, err := silent.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			taken = append(taken, c)
			mu.Unlock()
		}
	}()
	dir := t.TempDir()
	file := filepath.Join(dir, "sallyport.yaml")
	text := fmt.Sprintf("data_dir: data\nlisten: {pgwire: {address: 127.0.0.1:0}}\nconnections: {slow: {driver: postgres, dsn: 'postgres://u:hunter2@%s/x?sslmode=disable'}, other: {driver: postgres, dsn: 'postgres://u@127.0.0.1:1/x'}}\npolicies: [policy.cedar]\nprincipals: {ada: {kind: human, secret: %q}}\n", silent.Addr(), identity.HashPassword("pw"))
	for name, text := range map[string]string{"sallyport.yaml": text, "policy.cedar": `@id("all") permit (principal, action, resource);`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	p := &webPolicies{cfg: cfg, judges: make(turns, 1), log: slog.New(slog.DiscardHandler)}
	ask := func(within time.Duration, connection string) ([]web.CaseResult, error) {
		ctx, stop := context.WithTimeout(context.Background(), within)
		defer stop()
		return p.judge(ctx, fmt.Sprintf("- {name: n, principal: ada, connection: %s, sql: select 1, expect: allow}\n", connection), web.Judging{OnDisk: true, Scratch: true})
	}
	begun := time.Now()
	got, err := ask(time.Second, "slow")
	if err != nil || len(got) != 1 || !strings.Contains(got[0].Left, "did not answer in time") || time.Since(begun) > 30*time.Second {
		t.Errorf("a database that does not answer: %+v %v after %v", got, err, time.Since(begun))
	}
	if got, err := ask(time.Second, "other"); err == nil || !strings.Contains(err.Error(), "others have cases judged") {
		t.Errorf("a second core is opened beside the first: %+v %v", got, err)
	}
	silent.Close()
	mu.Lock()
	for _, c := range taken {
		c.Close()
	}
	mu.Unlock()
	// Of the two databases the one that the case is about is asked alone.
	got, err = ask(20*time.Second, "other")
	if err != nil || len(got) != 1 || !strings.Contains(got[0].Left, "the database behind other cannot be reached") {
		t.Errorf("after it: %+v %v", got, err)
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	// A configuration that does not load says no more than where.
	if err := os.WriteFile(file, []byte(strings.Replace(text, "@", "@bad host ", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err = ask(20*time.Second, "slow")
	if said := fmt.Sprint(got, err); strings.Contains(said, "hunter2") || !strings.Contains(said, "sallyport.yaml:3") {
		t.Errorf("a DSN that is none: %s", said)
	}
}
