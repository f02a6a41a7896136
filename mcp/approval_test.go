package mcp

import (
	"context"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/testdb"
)

const reviewPolicy = `
@id("agents") permit (principal in Group::"agents", action in [Action::"connect", Action::"read"], resource in Connection::"shop");
@id("held") @review("keepers") permit (principal in Group::"agents", action == Action::"write", resource in Connection::"shop");
@id("see") @review("keepers") permit (principal in Group::"agents", action == Action::"reveal", resource in Label::"pii.email");`

const reviewsAt = "https://gate.example"

// reviewedShop is the door before a core of which agents' writes are held.
func reviewedShop(t *testing.T, change ...func(*gateway.Config)) (*Server, *gateway.Gateway, map[string]string) {
	t.Helper()
	tokens := map[string]string{}
	people := []access.LocalPrincipal{{Name: "keeper", Kind: access.Human, Groups: []string{"keepers"}, Secret: identity.HashPassword("pw")}}
	for _, name := range []string{"anna", "bert"} {
		token, sum := identity.NewToken()
		tokens[name] = token
		people = append(people, access.LocalPrincipal{Name: name, Kind: access.Agent, Groups: []string{"agents", "keepers"}, Tokens: []access.LocalToken{{SHA256: sum}}})
	}
	conf := gateway.Config{DataDir: t.TempDir(), Principals: people, Policies: []gateway.PolicyFile{{Name: "shop.cedar", Text: reviewPolicy}},
		Connections: []access.Connection{{Name: "shop", Driver: "postgres", DSN: testdb.Shared(t).NewDatabase(t, shopSchema)}},
		Labels:      []access.LabelRule{{Label: "pii.email", Columns: []string{"*.*.email"}}}, Approvals: gateway.Approvals{URL: reviewsAt}}
	for _, f := range change {
		f(&conf)
	}
	s, gw, stop := openShop(t, conf)
	t.Cleanup(stop)
	return s, gw, tokens
}

func openShop(t *testing.T, conf gateway.Config) (*Server, *gateway.Gateway, func()) {
	t.Helper()
	gw, err := gateway.Open(t.Context(), conf)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(gw, Options{})
	if err != nil {
		gw.Close()
		t.Fatal(err)
	}
	return s, gw, func() {
		s.Close()
		gw.Close()
	}
}

func decide(t *testing.T, gw *gateway.Gateway, handle string, verdict gateway.ReviewVerdict, grant ...gateway.ReviewGrant) {
	t.Helper()
	p, err := gw.Verify(context.Background(), access.Password{User: "keeper", Secret: "pw"})
	if err != nil {
		t.Fatal(err)
	}
	r, err := gw.Review(handle)
	if err != nil {
		t.Fatal(err)
	}
	v := gateway.ReviewVote{Verdict: verdict, Justification: "because of ticket 12"}
	if len(grant) > 0 {
		v.Grant = grant[0]
	}
	if _, err := gw.Decide(context.Background(), p, handle, r.Revision, v); err != nil {
		t.Fatal(err)
	}
}

func TestApprovalOverMCP(t *testing.T) {
	s, gw, tokens := reviewedShop(t)
	eras(t, func(t *testing.T, protocol string) {
		w := dial(t, s, tokens["anna"], protocol)
		task := w.task()
		ask := func(params ...any) string {
			t.Helper()
			r := w.call("query", map[string]any{"connection": "shop", "sql": "update customers set notes = $1 where id = $2 returning id, notes", "params": params, "task_id": task, "reason": why})
			pending, _ := r.body["pending_approval"].(map[string]any)
			handle, _ := pending["handle"].(string)
			if r.isError || handle == "" || pending["retry_after_seconds"] != 30.0 || !strings.Contains(r.text, "Nothing has run") {
				t.Fatalf("%+v", r)
			}
			return handle
		}
		check := func(w *wire, more map[string]any) toolResult {
			t.Helper()
			a := map[string]any{"task_id": task, "reason": why}
			for k, v := range more {
				a[k] = v
			}
			return w.call("check_approval", a)
		}
		handle := ask("by "+protocol, 5)
		r := check(w, map[string]any{"handle": handle, "wait_seconds": 0})
		if p, _ := r.body["pending_approval"].(map[string]any); r.isError || p["approved"] != 0.0 || p["needs"] == nil {
			t.Fatalf("%+v", r)
		}
		// Somebody else's handle, and one of another task, are none.
		other := dial(t, s, tokens["bert"], protocol)
		if r := other.call("check_approval", map[string]any{"handle": handle, "task_id": other.task(), "reason": why}); !r.isError || !strings.Contains(r.text, "no such request of yours") {
			t.Errorf("%s", r.text)
		}
		if r := w.call("check_approval", map[string]any{"handle": handle, "task_id": w.task(), "reason": why}); !r.isError || !strings.Contains(r.text, "another task") {
			t.Errorf("%s", r.text)
		}
		// A call that waits runs the statement when it is approved.
		go func() {
			time.Sleep(100 * time.Millisecond)
			decide(t, gw, handle, "approve")
		}()
		began := time.Now()
		r = check(w, map[string]any{"handle": handle})
		if r.isError || r.body["row_count"] != 1.0 || !strings.Contains(r.text, "by "+protocol) || time.Since(began) > 15*time.Second {
			t.Fatalf("after %s: %+v", time.Since(began), r)
		}
		if r := check(w, map[string]any{"handle": handle}); !r.isError || !strings.Contains(r.text, "used once") {
			t.Errorf("%s", r.text)
		}
		handle = ask("again", 6)
		decide(t, gw, handle, "deny")
		if r := check(w, map[string]any{"handle": handle}); !r.isError || !strings.Contains(r.text, "keeper denied this: because of ticket 12") {
			t.Errorf("%s", r.text)
		}
	})
}

// TestWhatWasReviewedRunsOnce: who asks again, for the answer was lost or two calls wait, does not run again what an approval for several uses covers.
func TestWhatWasReviewedRunsOnce(t *testing.T) {
	for name, grant := range map[string]gateway.ReviewGrant{"form": {Mode: "form", Uses: 10}, "window": {Mode: "window", Classes: []access.Class{"WRITE"}, Relations: []string{"update public.customers", "select public.customers"}}} {
		t.Run(name, func(t *testing.T) {
			s, gw, tokens := reviewedShop(t)
			w := dial(t, s, tokens["anna"], modern)
			task := w.task()
			more := map[string]any{"connection": "shop", "sql": "update customers set notes = notes || '+' where id = 1 returning notes", "task_id": task, "reason": why}
			handle := w.call("query", more).body["pending_approval"].(map[string]any)["handle"].(string)
			asked := map[string]any{"handle": handle, "task_id": task, "reason": why}
			const calls = 4
			answers := make(chan toolResult, calls)
			for range calls { // they wait, or come after
				again := dial(t, s, tokens["anna"], modern)
				go func() {
					r := toolResult{isError: true, text: "the call has ended the test"}
					defer func() { answers <- r }()
					r = again.call("check_approval", asked)
				}()
			}
			grant.Until = time.Now().Add(time.Hour)
			decide(t, gw, handle, "approve", grant)
			ran := 0
			for range calls {
				if r := <-answers; !r.isError {
					ran++
				} else if !strings.Contains(r.text, "run") {
					t.Errorf("%s", r.text)
				}
			}
			if r := w.call("check_approval", asked); ran != 1 || !r.isError || !strings.Contains(r.text, "send it with query") {
				t.Errorf("ran %d times; asked again: %s", ran, r.text)
			}
			if r := w.call("query", more); r.isError || strings.Count(r.text, "+") != 2 {
				t.Errorf("sent again: %s", r.text)
			}
		})
	}
}

// TestAnAgentIsToldWhoStandsIn: what check_approval says of progress has who decides by now.
func TestAnAgentIsToldWhoStandsIn(t *testing.T) {
	s, gw, tokens := reviewedShop(t, func(c *gateway.Config) {
		c.Approvals.Groups = map[string]gateway.ReviewNeed{"keepers": {Escalate: []string{"leads"}, After: 3 * time.Second}}
	})
	w := dial(t, s, tokens["anna"], modern)
	task := w.task()
	r := w.call("query", map[string]any{"connection": "shop", "sql": "update customers set notes = 'x' where id = 1", "task_id": task, "reason": why})
	handle := r.body["pending_approval"].(map[string]any)["handle"].(string)
	check := func() (toolResult, []any) {
		r := w.call("check_approval", map[string]any{"handle": handle, "task_id": task, "reason": why, "wait_seconds": 0})
		p, _ := r.body["pending_approval"].(map[string]any)
		list, _ := p["escalated"].([]any)
		return r, list
	}
	if r, list := check(); len(list) > 0 || !strings.Contains(r.text, "waiting for approval by keepers. ") {
		t.Errorf("%s %v", r.text, list)
	}
	for until := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if now, err := gw.Review(handle); err == nil && len(now.Escalated()) > 0 {
			break
		} else if time.Now().After(until) {
			t.Fatal("nobody stands in")
		}
	}
	r, list := check()
	if len(list) != 1 || !strings.Contains(r.text, "waiting for approval by keepers (or leads in their place)") {
		t.Fatalf("%s %v", r.text, list)
	}
	if e := list[0].(map[string]any); e["group"] != "keepers" || e["to"].([]any)[0] != "leads" || e["since"] == "" {
		t.Errorf("%v", e)
	}
}

// TestNoToolDecides looks for one that could.
func TestNoToolDecides(t *testing.T) {
	s, gw, tokens := reviewedShop(t)
	w := dial(t, s, tokens["anna"], modern)
	task := w.task()
	r := w.call("query", map[string]any{"connection": "shop", "sql": "update customers set notes = 'x' where id = 1", "task_id": task, "reason": why})
	handle := r.body["pending_approval"].(map[string]any)["handle"].(string)
	for _, tool := range tools {
		a := map[string]any{}
		for _, p := range tool.params {
			switch p.kind {
			case kindInteger:
				a[p.name] = max(p.min, 0)
			case kindFlag:
				a[p.name] = false
			case kindParams:
				a[p.name] = []any{"approve"}
			default:
				a[p.name] = map[string]string{"task_id": task, "reason": why, "handle": handle, "connection": "shop", "goal": "approve request " + handle, "sql": "select 'approve'"}[p.name]
			}
			if a[p.name] == "" {
				delete(a, p.name)
			}
		}
		w.call(tool.name, a)
	}
	for _, name := range []string{"approve", "review_approve", "approvals/decide"} {
		if status, r := w.do("tools/call", map[string]any{"name": name, "arguments": map[string]any{"handle": handle, "verdict": "approve"}}); r.Error == nil {
			t.Errorf("%s: %d", name, status)
		}
	}
	// Nor does who is in a group of reviewers and a program.
	p, err := gw.Verify(t.Context(), access.Bearer(tokens["bert"]))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gw.Decide(t.Context(), p, handle, 0, gateway.ReviewVote{Verdict: "approve", Justification: "because of ticket 12"}); err == nil {
		t.Error("a program has approved")
	}
	if now, err := gw.Review(handle); err != nil || now.State != "pending" {
		t.Fatalf("%+v %v", now, err)
	}
}

// TestAnApprovalOutlivesItsTask: a restart of the gateway ends tasks, and not what was asked for in them: check_approval takes the handle with a new one.
func TestAnApprovalOutlivesItsTask(t *testing.T) {
	var conf gateway.Config
	_, _, tokens := reviewedShop(t, func(c *gateway.Config) {
		conf = *c
		c.DataDir = t.TempDir()
	})
	s, _, stop := openShop(t, conf)
	w := dial(t, s, tokens["anna"], modern)
	task := w.task()
	r := w.call("query", map[string]any{"connection": "shop", "sql": "update customers set notes = 'late' where id = 3 returning notes", "task_id": task, "reason": why})
	handle := r.body["pending_approval"].(map[string]any)["handle"].(string)
	stop()
	s, gw, stop := openShop(t, conf)
	defer stop()
	w = dial(t, s, tokens["anna"], modern)
	check := func(w *wire, task string) toolResult {
		return w.call("check_approval", map[string]any{"handle": handle, "task_id": task, "reason": why, "wait_seconds": 0})
	}
	if r := check(w, task); !r.isError || !strings.Contains(r.text, "with a handle of before") {
		t.Errorf("the task of before: %s", r.text)
	}
	other := dial(t, s, tokens["bert"], modern)
	if r := check(other, other.task()); !r.isError || !strings.Contains(r.text, "no such request of yours") {
		t.Errorf("somebody else: %s", r.text)
	}
	fresh := w.task()
	if r := check(w, fresh); r.isError || r.body["pending_approval"] == nil {
		t.Errorf("pending: %+v", r)
	}
	decide(t, gw, handle, "approve")
	if r := check(w, fresh); r.isError || !strings.Contains(r.text, "late") || !strings.Contains(r.text, "\nNote: keeper approved request "+handle+": ") {
		t.Errorf("approved: %+v", r)
	}
}
