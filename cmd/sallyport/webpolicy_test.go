package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// policyInTheBrowser edits the files of TestWebDoor's gateway, looks at what the page makes of it, and has cases judged there.
func policyInTheBrowser(t *testing.T, dir string, do func(method, path string, form url.Values) (int, string, http.Header)) {
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
	shows("on disk", url.Values{"cases": {cases}, "against": {"disk"}}, "1 passed, 0 failed, 2 left out</strong>", "by the policies in force only")
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
