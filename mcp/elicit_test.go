package mcp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	sdk "github.com/mark3labs/mcp-go/mcp"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
	"sallyport/mcp/internal/front"
)

var opensPages = map[string]any{"elicitation": map[string]any{"url": map[string]any{}}}

// asker is an agent whose client shows pages, at the raw wire.
type asker struct {
	*wire
	t    *testing.T
	gw   *gateway.Gateway
	task string
}

func newAsker(t *testing.T, url, token, protocol string, gw *gateway.Gateway) *asker {
	t.Helper()
	w := dialAs(t, url, token, protocol, opensPages)
	return &asker{w, t, gw, w.task()}
}

// update gives the arguments of a query that is held; notes tells it from others.
func (a *asker) update(notes string) map[string]any {
	return map[string]any{"connection": "shop", "sql": "update customers set notes = notes || $1 where id = 7 returning notes", "params": []any{notes}, "task_id": a.task, "reason": why}
}

// asked sends a query that is held, and gives the state for the retry and the request's handle.
func (a *asker) asked(arguments map[string]any) (state, handle string) {
	a.t.Helper()
	res := a.must("tools/call", map[string]any{"name": "query", "arguments": arguments})
	requests, _ := res["inputRequests"].(map[string]any)
	review, _ := requests["review"].(map[string]any)
	params, _ := review["params"].(map[string]any)
	state, _ = res["requestState"].(string)
	handle, _ = params["elicitationId"].(string)
	message, _ := params["message"].(string)
	if res["resultType"] != "input_required" || review["method"] != "elicitation/create" || params["mode"] != "url" || params["url"] != reviewsAt+"/reviews/"+handle ||
		state == "" || handle == "" || !strings.Contains(message, "whoever asks cannot decide") || res["structuredContent"] != nil {
		a.t.Fatalf("%v", res)
	}
	a.wantState(handle, "pending")
	return state, handle
}

// answer makes the call again, with an answer to the question.
func (a *asker) answer(arguments map[string]any, state, action string) toolResult {
	a.t.Helper()
	params := map[string]any{"name": "query", "arguments": arguments, "requestState": state}
	if action != "" {
		params["inputResponses"] = map[string]any{"review": map[string]any{"action": action, "content": map[string]any{"approve": true, "approved": true}}}
	}
	return toToolResult(a.t, a.must("tools/call", params))
}

func (a *asker) wantState(handle, state string) {
	a.t.Helper()
	if r, err := a.gw.Review(handle); err != nil || string(r.State) != state {
		a.t.Errorf("request %s: %+v %v, not %s", handle, r, err, state)
	}
}

func pendingOf(r toolResult) map[string]any {
	p, _ := r.body["pending_approval"].(map[string]any)
	return p
}

func TestURLElicitation(t *testing.T) {
	s, gw, tokens := reviewedShop(t)
	s.patience = 0
	srv := httptest.NewServer(s.Handler())
	defer srv.Close()
	a := newAsker(t, srv.URL, tokens["anna"], modern, gw)
	refused := func(t *testing.T, r toolResult, says, handle string) {
		t.Helper()
		if !r.isError || r.code() != "22023" || !strings.Contains(r.text, says) || strings.Contains(r.text, handle) != (says != "not given to you") {
			t.Errorf("%s", r.text)
		}
	}

	t.Run("accepted_before_it_is_approved", func(t *testing.T) {
		q := a.update(" one")
		state, handle := a.asked(q)
		r := a.answer(q, state, "accept") // what an agent does that answers by itself
		if p := pendingOf(r); r.isError || p["handle"] != handle || p["url"] != reviewsAt+"/reviews/"+handle || p["approved"] != 0.0 {
			t.Fatalf("%+v", r)
		}
		a.wantState(handle, "pending")
		// Neither asking again nor check_approval shows the page another time.
		if r := a.call("query", q); pendingOf(r)["handle"] != handle {
			t.Errorf("%+v", r)
		}
		check := map[string]any{"handle": handle, "task_id": a.task, "reason": why}
		if r := a.call("check_approval", check); pendingOf(r)["handle"] != handle {
			t.Errorf("%+v", r)
		}
		decide(t, gw, handle, "approve")
		if r := a.call("check_approval", check); r.isError || !strings.Contains(r.text, "ok one") {
			t.Errorf("%+v", r)
		}
		a.wantState(handle, "executed")
	})
	t.Run("accepted_after_it_was_approved_and_used_once", func(t *testing.T) {
		q := a.update(" two")
		state, handle := a.asked(q)
		decide(t, gw, handle, "approve")
		if r := a.answer(q, state, "accept"); r.isError || r.body["row_count"] != 1.0 || !strings.Contains(r.text, "ok one two") {
			t.Fatalf("%+v", r)
		}
		a.wantState(handle, "executed")
		refused(t, a.answer(q, state, "accept"), "used before", handle)
		if r := a.query(a.task, "select notes from customers where id = 7"); !strings.Contains(r.text, "ok one two\n") {
			t.Errorf("%s", r.text)
		}
	})
	t.Run("approved_while_the_answer_waits", func(t *testing.T) {
		s.patience = waitDefault
		defer func() { s.patience = 0 }()
		q := a.update(" three")
		state, handle := a.asked(q)
		time.AfterFunc(100*time.Millisecond, func() { decide(t, gw, handle, "approve") })
		if r := a.answer(q, state, "accept"); r.isError || !strings.Contains(r.text, "two three") {
			t.Errorf("%+v", r)
		}
	})
	t.Run("denied", func(t *testing.T) {
		q := a.update(" no")
		state, handle := a.asked(q)
		decide(t, gw, handle, "deny")
		if r := a.answer(q, state, "accept"); !r.isError || !strings.Contains(r.text, "keeper denied this") {
			t.Errorf("%s", r.text)
		}
	})
	t.Run("decline_withdraws", func(t *testing.T) {
		q := a.update(" declined")
		state, handle := a.asked(q)
		decide(t, gw, handle, "approve") // even then
		if r := a.answer(q, state, "decline"); r.isError || r.body["withdrawn"] != handle {
			t.Errorf("%+v", r)
		}
		a.wantState(handle, "cancelled")
		refused(t, a.answer(q, state, "accept"), "used before", handle)
	})
	for name, action := range map[string]string{"cancel": "cancel", "no_answer": "", "another_word": "approve"} {
		t.Run(name+"_leaves_it", func(t *testing.T) {
			q := a.update(" " + name)
			state, handle := a.asked(q)
			if r := a.answer(q, state, action); r.isError || pendingOf(r)["handle"] != handle {
				t.Errorf("%+v", r)
			}
			a.wantState(handle, "pending")
		})
	}
	t.Run("state_of_others", func(t *testing.T) {
		q := a.update(" mine")
		state, handle := a.asked(q)
		decide(t, gw, handle, "approve")
		b := newAsker(t, srv.URL, tokens["bert"], modern, gw)
		for _, action := range []string{"accept", "decline"} {
			refused(t, b.answer(q, state, action), "not given to you", handle)
			own := b.update(" mine")
			refused(t, b.answer(own, state, action), "not given to you", handle)
			other := a.update(" mine") // another task of hers
			other["task_id"] = a.wire.task()
			refused(t, a.answer(other, state, action), "other arguments", handle)
			refused(t, a.answer(a.update(" more"), state, action), "other arguments", handle)
		}
		params := map[string]any{"name": "check_approval", "arguments": map[string]any{"handle": handle, "task_id": a.task, "reason": why}, "requestState": state}
		refused(t, toToolResult(t, a.must("tools/call", params)), "other arguments", handle)
		a.wantState(handle, "approved")
		if r := a.answer(q, state, "accept"); r.isError { // nobody has spent it
			t.Errorf("%s", r.text)
		}
	})
	t.Run("forged", func(t *testing.T) {
		q := a.update(" forged")
		state, handle := a.asked(q)
		decide(t, gw, handle, "approve")
		bad := []string{"x", "e30", strings.Repeat("A", len(state)), state[:len(state)-4], state + "AAAA", state + "=", handle, `{"request":"` + handle + `"}`}
		for _, i := range []int{0, 12, 20, len(state) / 2, len(state) - 5} {
			c := byte('A')
			if state[i] == c {
				c = 'B'
			}
			bad = append(bad, state[:i]+string(c)+state[i+1:])
		}
		for _, forged := range bad {
			refused(t, a.answer(q, forged, "accept"), "not given to you", handle)
			refused(t, a.answer(q, forged, "decline"), "not given to you", handle)
		}
		// An answer that belongs to no state.
		params := map[string]any{"name": "query", "arguments": q, "inputResponses": map[string]any{"review": map[string]any{"action": "accept"}}}
		refused(t, toToolResult(t, a.must("tools/call", params)), "not given to you", handle)
		old := s.seals
		s.seals = newSeals() // another run of the gateway
		refused(t, a.answer(q, state, "accept"), "not given to you", handle)
		s.seals = old
		a.wantState(handle, "approved")
	})
	t.Run("expired", func(t *testing.T) {
		q := a.update(" late")
		state, handle := a.asked(q)
		s.seals.now = func() time.Time { return time.Now().Add(stateLife) }
		defer func() { s.seals.now = time.Now }()
		refused(t, a.answer(q, state, "accept"), "time for this requestState is over", handle)
		refused(t, a.answer(q, state, "decline"), "time for this requestState is over", handle)
		a.wantState(handle, "pending")
		s.seals.sweep()
		if len(s.seals.used) != 0 {
			t.Errorf("%d states are kept past their end", len(s.seals.used))
		}
	})
	t.Run("changed_request", func(t *testing.T) {
		q := a.update(" changed")
		_, handle := a.asked(q)
		params, err := parse([]byte(fmt.Sprintf(`{"connection":"shop","sql":%q,"params":[" changed"],"task_id":%q,"reason":%q}`, q["sql"], a.task, why)), tools[3].params)
		if err != nil {
			t.Fatal(err)
		}
		c, err := gw.Verify(t.Context(), access.Bearer(tokens["anna"]))
		if err != nil {
			t.Fatal(err)
		}
		state := s.seals.seal(ticket{Caller: (&front.Caller{Principal: c}).Key(), Call: params.digestFor("query"), Request: handle, Digest: "another"}, time.Now().Add(time.Hour))
		refused(t, a.answer(q, state, "accept"), "not what this requestState was given for", handle)
		a.wantState(handle, "pending")
	})
}

func TestURLElicitationBefore2026(t *testing.T) {
	s, gw, tokens := reviewedShop(t)
	s.patience = 0
	srv := httptest.NewServer(s.Handler())
	defer srv.Close()
	a := newAsker(t, srv.URL, tokens["anna"], legacy, gw)
	q := a.update(" legacy")
	status, r := a.do("tools/call", map[string]any{"name": "query", "arguments": q})
	if status != http.StatusOK || r.Error == nil || r.Error.Code != -32042 || len(r.Error.Data.Elicitations) != 1 {
		t.Fatalf("%d %+v", status, r)
	}
	e := r.Error.Data.Elicitations[0]
	handle, _ := e["elicitationId"].(string)
	if e["mode"] != "url" || e["url"] != reviewsAt+"/reviews/"+handle {
		t.Errorf("%v", e)
	}
	a.wantState(handle, "pending")
	again := a.call("query", q) // the client makes the call again, whatever its person did
	if pendingOf(again)["handle"] != handle || pendingOf(again)["url"] != e["url"] {
		t.Errorf("%+v", again)
	}
	a.wantState(handle, "pending")
	decide(t, gw, handle, "approve")
	if r := a.call("query", q); r.isError || !strings.Contains(r.text, "ok legacy") {
		t.Errorf("%+v", r)
	}
	a.wantState(handle, "executed")
	// A state is of no use here either.
	if r := a.answer(q, "e30", "accept"); !r.isError {
		t.Errorf("%+v", r)
	}
}

// TestClientsWithoutPagesFailClosed has clients that show none, and a gateway that has none.
func TestClientsWithoutPagesFailClosed(t *testing.T) {
	_, noPage, noPageTokens := reviewedShop(t, func(c *gateway.Config) { c.Approvals.URL = "" })
	bare, err := New(noPage, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer bare.Close()
	s, gw, tokens := reviewedShop(t)
	eras(t, func(t *testing.T, protocol string) {
		for name, can := range map[string]map[string]any{"none": {}, "elicitation": {"elicitation": map[string]any{}}, "forms": {"elicitation": map[string]any{"form": map[string]any{}}}} {
			srv := httptest.NewServer(s.Handler())
			defer srv.Close()
			w := dialAs(t, srv.URL, tokens["anna"], protocol, can)
			r := w.query(w.task(), "update customers set notes = 'x' where id = 1")
			handle, _ := pendingOf(r)["handle"].(string)
			if r.isError || handle == "" || pendingOf(r)["url"] != reviewsAt+"/reviews/"+handle || !strings.Contains(r.text, "Nothing has run") {
				t.Errorf("%s: %+v", name, r)
			}
			if now, err := gw.Review(handle); err != nil || now.State != "pending" {
				t.Errorf("%s: %+v %v", name, now, err)
			}
		}
		srv := httptest.NewServer(bare.Handler())
		defer srv.Close()
		w := dialAs(t, srv.URL, noPageTokens["anna"], protocol, opensPages)
		r := w.query(w.task(), "update customers set notes = 'x' where id = 1")
		if _, has := pendingOf(r)["url"]; r.isError || pendingOf(r)["handle"] == nil || has {
			t.Errorf("without a page: %+v", r)
		}
	})
}

// person answers what the library's client is asked.
type person func(sdk.ElicitationParams) sdk.ElicitationResponseAction

func (p person) Elicit(_ context.Context, r sdk.ElicitationRequest) (*sdk.ElicitationResult, error) {
	return &sdk.ElicitationResult{ElicitationResponse: sdk.ElicitationResponse{Action: p(r.Params)}}, nil
}

func TestLibraryClientShowsThePage(t *testing.T) {
	s, gw, tokens := reviewedShop(t)
	s.patience = 0
	srv := httptest.NewServer(s.Handler())
	defer srv.Close()
	for name, opt := range eraOptions {
		t.Run(name, func(t *testing.T) {
			tr, err := transport.NewStreamableHTTP(srv.URL+"/mcp", transport.WithHTTPHeaders(map[string]string{"Authorization": "Bearer " + tokens["anna"]}))
			if err != nil {
				t.Fatal(err)
			}
			var approve bool
			var shown []string
			answers := person(func(p sdk.ElicitationParams) sdk.ElicitationResponseAction {
				shown = append(shown, p.URL)
				if approve { // somebody else does, on that page
					decide(t, gw, strings.TrimPrefix(p.URL, reviewsAt+"/reviews/"), "approve")
				}
				return sdk.ElicitationResponseActionAccept
			})
			c := client.NewClient(tr, opt, client.WithElicitationHandler(answers),
				client.WithClientCapabilities(sdk.ClientCapabilities{Elicitation: &sdk.ElicitationCapability{URL: &struct{}{}}}))
			defer c.Close()
			if err := c.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			var hello sdk.InitializeRequest
			hello.Params.ClientInfo = sdk.Implementation{Name: "lib", Version: "1"}
			if _, err := c.Initialize(t.Context(), hello); err != nil {
				t.Fatal(err)
			}
			// call does what a client does after -32042: it shows the page and calls again.
			call := func(tool string, arguments map[string]any) map[string]any {
				t.Helper()
				var req sdk.CallToolRequest
				req.Params.Name, req.Params.Arguments = tool, arguments
				res, err := c.CallTool(t.Context(), req)
				var page sdk.URLElicitationRequiredError
				if name == legacy && errors.As(err, &page) {
					answers(page.Elicitations[0])
					res, err = c.CallTool(t.Context(), req)
				}
				if err != nil {
					t.Fatal(err)
				}
				body, _ := res.StructuredContent.(map[string]any)
				return body
			}
			task := call("start_task", map[string]any{"goal": "find out why order 17 is late"})["task_id"]
			q := func(id int) map[string]any {
				return map[string]any{"connection": "shop", "sql": "update customers set notes = $1 where id = $2", "params": []any{name, id}, "task_id": task, "reason": why}
			}
			if body := call("query", q(1)); body["pending_approval"] == nil || len(shown) != 1 {
				t.Errorf("accepted by the client alone: %v, shown %v", body, shown)
			}
			approve = true
			if body := call("query", q(2)); body["command"] != "UPDATE 1" || len(shown) != 2 {
				t.Errorf("%v, shown %v", body, shown)
			}
		})
	}
}

func TestWithdraw(t *testing.T) {
	s, gw, tokens := reviewedShop(t)
	eras(t, func(t *testing.T, protocol string) {
		w := dial(t, s, tokens["anna"], protocol)
		task := w.task()
		r := w.query(task, "update customers set notes = 'w' where id = 9")
		handle, _ := pendingOf(r)["handle"].(string)
		withdraw := func(w *wire, task string) toolResult {
			return w.call("check_approval", map[string]any{"handle": handle, "withdraw": true, "task_id": task, "reason": why})
		}
		b := dial(t, s, tokens["bert"], protocol)
		for _, r := range []toolResult{withdraw(b, b.task()), withdraw(w, w.task())} {
			if !r.isError {
				t.Errorf("somebody else's, or another task's: %+v", r)
			}
		}
		if now, err := gw.Review(handle); err != nil || now.State != "pending" {
			t.Fatalf("%+v %v", now, err)
		}
		if r := withdraw(w, task); r.isError || r.body["withdrawn"] != handle {
			t.Errorf("%+v", r)
		}
		if now, err := gw.Review(handle); err != nil || now.State != "cancelled" {
			t.Errorf("%+v %v", now, err)
		}
		if r := withdraw(w, task); r.code() != "55000" || !strings.Contains(r.text, "cannot be withdrawn any more: it is cancelled") {
			t.Errorf("%s", r.text)
		}
	})
}

func TestRequestReveal(t *testing.T) {
	s, gw, tokens := reviewedShop(t)
	eras(t, func(t *testing.T, protocol string) {
		w := dial(t, s, tokens["anna"], protocol)
		task := w.task()
		sees := func(w *wire, task string) bool {
			t.Helper()
			r := w.query(task, "select email from customers where id = 7")
			if r.isError {
				t.Fatal(r.text)
			}
			return strings.Contains(r.text, "canary7@")
		}
		ask := func(columns ...any) toolResult {
			return w.call("request_reveal", map[string]any{"connection": "shop", "columns": columns, "task_id": task, "reason": why})
		}
		for name, columns := range map[string][]any{"none": {}, "no_label": {"customers.name"}, "unknown": {"customers.nothing"}, "one_of_two": {"customers.email", "customers.name"}, "quoted": {"customers.email'; select 1"}} {
			if r := ask(columns...); !r.isError || len(gw.LiveReviews()) != 0 {
				t.Errorf("%s: %+v", name, r)
			}
		}
		r := ask("customers.email")
		handle, _ := pendingOf(r)["handle"].(string)
		if r.isError || handle == "" || sees(w, task) {
			t.Fatalf("%+v", r)
		}
		check := map[string]any{"handle": handle, "wait_seconds": 0, "task_id": task, "reason": why}
		if r := w.call("check_approval", check); pendingOf(r)["handle"] != handle {
			t.Errorf("%+v", r)
		}
		decide(t, gw, handle, "approve", gateway.ReviewGrant{Mode: "reveal", Columns: []string{"public.customers.email"}, Until: time.Now().Add(time.Minute)})
		r = w.call("check_approval", check)
		shown, _ := r.body["revealed"].(map[string]any)
		if r.isError || fmt.Sprint(shown["columns"]) != "[public.customers.email]" || shown["until"] == "" || !strings.Contains(r.text, " approved request "+handle+": ") || !sees(w, task) {
			t.Errorf("%+v", r)
		}
		if b := dial(t, s, tokens["bert"], protocol); sees(b, b.task()) {
			t.Error("another principal sees it")
		}
		check["withdraw"] = true
		if r := w.call("check_approval", check); r.isError || sees(w, task) {
			t.Errorf("seen after it was withdrawn: %+v", r)
		}
	})
}
