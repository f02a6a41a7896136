package web

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
)

// shownFor fails where a page lacks something that it should have, or has something of what it should not, markup of others above all.
func shownFor(t *testing.T, body string, want []string, not ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(body, w) {
			t.Errorf("the page lacks %s", w)
		}
	}
	for _, n := range append(not, "<script>alert", "<img src=x", "\u202e", "\u200b", "\x1b", "ZgotmplZ") {
		if strings.Contains(body, n) {
			t.Errorf("the page has %q", n)
		}
	}
	if t.Failed() {
		t.Log(body)
	}
}

func TestPolicyPageComparesWithTheFilesOnDisk(t *testing.T) {
	var disk []gateway.PolicyFile
	var unsound error
	w := newWorld(t, func(_ *gateway.Config, o *Options) {
		o.Archive = &Archive{OnDisk: func(context.Context) ([]gateway.PolicyFile, error) { return disk, unsound }}
	})
	b := w.login("operator")
	same := []gateway.PolicyFile{{Name: "test.cedar", Text: testPolicy}}
	differ := `Lines that begin with`
	page := func() string {
		res, body := b.get("/policy")
		if res.StatusCode != 200 {
			t.Fatal(res.Status)
		}
		return body
	}

	disk = same
	shownFor(t, page(), []string{"The files on disk are what is in force."}, differ, `role="alert"`, "<textarea")

	disk = []gateway.PolicyFile{{Name: "test.cedar", Text: strings.Replace(testPolicy, `@id("held")`, "// "+canary+"\n@id(\"kept\")", 1)}, {Name: "new " + canary, Text: "// only here\n"}}
	shownFor(t, page(), []string{differ, "<ins>+@id(&#34;kept&#34;)", "<del>-@id(&#34;held&#34;)", `<ins>+// &#34;&gt;&lt;script&gt;`, `<span class="dim">@@ -`, " @id(&#34;read&#34;)", "none of this file is in force", "<ins>+// only here</ins>", "kill -HUP"},
		"are what is in force", "--- force", "diff force")

	disk, unsound = nil, nil
	shownFor(t, page(), []string{"the file is not there any more", "<del>-@id(&#34;read&#34;)"})

	disk, unsound = same, &access.Error{Kind: access.Invalid, Message: "test.cedar:3:7: expected semicolon " + canary, Hint: "hint of it"}
	shownFor(t, page(), []string{"does not load", "test.cedar:3:7: expected semicolon &#34;", "hint of it"}, "are what is in force", differ, "kill -HUP")

	unsound = context.DeadlineExceeded // the gateway's own
	shownFor(t, page(), []string{"internal error in the gateway"}, "deadline")
}

func TestPolicyCasesInTheBrowser(t *testing.T) {
	asked := 0
	var got struct {
		text string
		by   Judging
	}
	results := []CaseResult{{Name: "holds", Line: 1}, {Name: "fails " + canary, Line: 4, Differs: []string{"effect: expected allow, got deny", "rows: " + canary}}, {Name: "sql", Line: 9, Left: "no core " + canary}}
	var refused error
	w := newWorld(t, func(_ *gateway.Config, o *Options) {
		o.Archive = &Archive{Judge: func(_ context.Context, text string, by Judging) ([]CaseResult, error) {
			asked++
			got.text, got.by = text, by
			return results, refused
		}}
	})
	for _, name := range []string{"asker", "keeper", "stranger"} {
		if res, _ := w.login(name).post("/policy", url.Values{"cases": {"- name: x"}}); res.StatusCode != 404 {
			t.Errorf("%s tests policies: %s", name, res.Status)
		}
	}
	b := w.login("auditor")
	if res, _ := b.post("/policy", url.Values{"cases": {"- name: x"}, "csrf": {w.login("operator").csrf}}); res.StatusCode != 403 {
		t.Errorf("a token of somebody else: %s", res.Status)
	}
	req := b.request("/policy", url.Values{"cases": {"- name: x"}, "csrf": {b.csrf}})
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	if res, _ := b.do(req); res.StatusCode != 403 {
		t.Errorf("another site's form: %s", res.Status)
	}
	if asked > 0 {
		t.Fatal("who may not ask was answered")
	}

	_, body := b.get("/policy")
	shownFor(t, body, []string{`<label for="cases">`, `<option value="disk">`}, `role="status"`, "What the files say now")
	_, body = b.post("/policy", url.Values{"cases": {"- name: x # " + canary + "\r\n  expect: allow\r\n"}, "against": {"disk"}})
	shownFor(t, body, []string{"1 passed, 1 failed, 1 left out", "by the policies on disk", ">ok</span>", ">FAIL</span>", "effect: expected allow, got deny<br>rows: &#34;", ">left out</span>", "no core &#34;",
		`<option value="disk" selected>`, "\n  expect: allow\n</textarea>"})
	if got.text != "- name: x # "+canary+"\n  expect: allow\n" || got.by != (Judging{OnDisk: true}) {
		t.Errorf("judged: %+v", got)
	}
	shownFor(t, body, []string{"left out unless an operator asks"}, "opened beside the gateway")
	o := w.login("operator")
	for against, want := range map[string]Judging{"disk": {OnDisk: true, Scratch: true}, "force": {}, "": {}} {
		_, body := o.post("/policy", url.Values{"cases": {"- name: x"}, "against": {against}, "scratch": {"true"}})
		if got.by != want {
			t.Errorf("an operator asks for %q: %+v, want %+v", against, got.by, want)
		}
		shownFor(t, body, []string{"opened beside the gateway"}, "unless an operator asks")
	}
	results = results[:1]
	_, body = b.post("/policy", url.Values{"cases": {"- name: x"}, "against": {"force"}})
	shownFor(t, body, []string{"1 passed, 0 failed</strong>, by the policies in force"}, "left out</strong>")

	results, refused = nil, &access.Error{Kind: access.Invalid, Message: "cases:2:3: unknown " + canary, Hint: "do this"}
	_, body = b.post("/policy", url.Values{"cases": {"- nme: x"}})
	shownFor(t, body, []string{"No case was judged", "cases:2:3: unknown &#34;", "do this", "- nme: x</textarea>"}, `role="status"`)
	asked = 0
	for _, cases := range []string{" \n", strings.Repeat("x", 64<<10+1)} {
		_, body := b.post("/policy", url.Values{"cases": {cases}})
		shownFor(t, body, []string{"No case was judged"}, "xxxx")
	}
	if asked > 0 {
		t.Error("too much, or nothing, was judged")
	}
}

func TestStatementsKeepTheirLinesInForms(t *testing.T) {
	w := newWorld(t, nil)
	b := w.login("asker")
	_, body := b.post("/people/asker", url.Values{"connection": {"shop"}, "door": {"pgwire"}, "sql": {"select id\nfrom customers"}})
	shownFor(t, body, []string{"select id\nfrom customers</textarea>"})
	if res, _ := w.login("auditor").post("/policy", url.Values{"cases": {"- name: x"}}); res.StatusCode != 404 {
		t.Errorf("cases without anybody to judge them: %s", res.Status)
	}
}
