package approval

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// attacks are all of them.
func attacks() []attack {
	var out []attack
	for _, more := range []func() []attack{textAttacks, paramAttacks, contextAttacks, forgedAttacks, reviewerAttacks, toolAttacks, grantAttacks, endedAttacks, lapsedAttacks, raceAttacks, changedAttacks,
		revealAttacks, glassAttacks, previewAttacks, burstAttacks, shownAttacks} {
		out = append(out, more()...)
	}
	return out
}

// deciding asks as somebody, has some calls made about the request, and sends the statement again. Nothing may run, until
// somebody approves it who may.
func deciding(family, name, asker string, calls func(ctx context.Context, t *try, id string) error) attack {
	return attack{family: family, name: name, run: func(ctx context.Context, t *try) error {
		c, err := t.client(ctx, asker)
		if err != nil {
			return err
		}
		id, err := t.ask(c, text(count))
		if err != nil {
			return err
		}
		if err := calls(ctx, t, id); err != nil {
			return err
		}
		if id, err = t.ask(c, text(count)); err != nil {
			return errors.Join(t.before(ctx, 0), err)
		}
		if err := t.w.decide(ctx, "keeper", id, "approve", nil); err != nil {
			return err
		}
		return t.still(ctx, c, text(count), 0)
	}}
}

// one makes one call of the web door, whatever it answers.
func one(make func(t *try, id string) call) func(context.Context, *try, string) error {
	return func(ctx context.Context, t *try, id string) error {
		c := make(t, id)
		if c.client == nil {
			c.client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		}
		_, body, err := t.w.call(ctx, c)
		t.seen.Write(body)
		return err
	}
}

func path(id, verb string) string { return "/api/v1/reviews/" + id + "/" + verb }

// forgedAttacks are about states, ids and bodies that were made up or edited on the way.
func forgedAttacks() (out []attack) {
	yes := verdict(1, nil)
	with := func(more map[string]any) map[string]any {
		for k, v := range yes {
			if _, ok := more[k]; !ok {
				more[k] = v
			}
		}
		return more
	}
	for name, body := range map[string]any{
		"no-revision": map[string]any{"justification": "looked at the ticket"}, "revision-0": with(map[string]any{"revision": 0}), "revision-2": with(map[string]any{"revision": 2}),
		"revision-negative": with(map[string]any{"revision": -1}), "revision-huge": `{"revision":18446744073709551616,"justification":"looked at the ticket"}`,
		"revision-text": with(map[string]any{"revision": "1"}), "revision-fraction": `{"revision":1.5,"justification":"looked at the ticket"}`,
		"no-justification": map[string]any{"revision": 1}, "justification-of-spaces": with(map[string]any{"justification": strings.Repeat(" ", 40)}),
		"reviewer-in-body": with(map[string]any{"reviewer": "keeper2"}), "state-in-body": with(map[string]any{"state": "approved"}),
		"sql-in-body": with(map[string]any{"sql": count}), "digest-in-body": with(map[string]any{"digest": strings.Repeat("0", 64)}),
		"no-body": nil, "two-bodies": `{"revision":1,"justification":"looked at the ticket"}{}`, "a-list": `[{"revision":1,"justification":"looked at the ticket"}]`, "null": `null`,
		"mode-unknown": with(map[string]any{"grant": map[string]any{"mode": "always"}}), "mode-reveal": with(map[string]any{"grant": map[string]any{"mode": "reveal", "columns": []string{"public.mails.email"}, "until": soon()}}),
		"window-without-end": with(map[string]any{"grant": map[string]any{"mode": "window", "classes": []string{"WRITE"}, "relations": []string{"update public.accounts"}}}),
		"window-too-long":    with(map[string]any{"grant": map[string]any{"mode": "window", "classes": []string{"WRITE"}, "relations": []string{"update public.accounts"}, "until": "2999-01-01T00:00:00Z"}}),
		"window-wider":       with(map[string]any{"grant": map[string]any{"mode": "window", "classes": []string{"WRITE", "DDL"}, "relations": []string{"update public.accounts", "delete public.accounts"}, "until": soon()}}),
		"form-without-uses":  with(map[string]any{"grant": map[string]any{"mode": "form", "until": soon()}}), "form-too-many-uses": with(map[string]any{"grant": map[string]any{"mode": "form", "uses": 100000, "until": soon()}}),
		"once-with-uses": with(map[string]any{"grant": map[string]any{"mode": "once", "uses": 50}}),
	} {
		out = append(out, deciding("forged", "body."+name, "ada", one(func(_ *try, id string) call {
			return call{method: "POST", path: path(id, "approve"), user: "keeper", password: secretOf("keeper"), body: body}
		})))
	}
	for name, change := range map[string]func(id string) string{
		"made-up":   func(string) string { return "20260101000000" + strings.Repeat("ab", 16) },
		"cut":       func(id string) string { return id[:len(id)-1] },
		"longer":    func(id string) string { return id + "0" },
		"upper":     strings.ToUpper,
		"escaped":   func(id string) string { return "..%2freviews%2f" + id + "%00" },
		"wildcard":  func(string) string { return "*" },
		"the-first": func(string) string { return "1" },
	} {
		out = append(out, deciding("forged", "id."+name, "ada", one(func(_ *try, id string) call {
			return call{method: "POST", path: path(url.PathEscape(change(id)), "approve"), user: "keeper", password: secretOf("keeper"), body: yes}
		})))
	}
	for name, c := range map[string]call{
		"get": {method: "GET"}, "put": {method: "PUT", body: yes}, "patch": {method: "PATCH", body: yes}, "override": {method: "GET", header: map[string]string{"X-HTTP-Method-Override": "POST"}},
		"form-body":      {method: "POST", body: "revision=1&justification=looked+at+the+ticket", header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}},
		"text-body":      {method: "POST", body: yes, header: map[string]string{"Content-Type": "text/plain"}},
		"from-a-browser": {method: "POST", body: yes, header: map[string]string{"Origin": "https://evil.example"}},
		"same-origin":    {method: "POST", body: yes, header: map[string]string{"Sec-Fetch-Site": "same-origin"}},
	} {
		out = append(out, deciding("forged", "request."+name, "ada", one(func(_ *try, id string) call {
			c.path, c.user, c.password = path(id, "approve"), "keeper", secretOf("keeper")
			return c
		})))
	}
	// The page of a request, with a cookie and without what only the page knows.
	for name, c := range map[string]struct {
		form   url.Values
		header map[string]string
	}{
		"no-token":      {url.Values{"revision": {"1"}, "justification": {"looked at the ticket"}, "mode": {"once"}}, map[string]string{"Sec-Fetch-Site": "same-origin"}},
		"wrong-token":   {url.Values{"csrf": {"x"}, "revision": {"1"}, "justification": {"looked at the ticket"}}, map[string]string{"Sec-Fetch-Site": "same-origin"}},
		"other-site":    {url.Values{"revision": {"1"}, "justification": {"looked at the ticket"}}, map[string]string{"Sec-Fetch-Site": "cross-site"}},
		"other-origin":  {url.Values{"revision": {"1"}, "justification": {"looked at the ticket"}}, map[string]string{"Origin": "https://evil.example"}},
		"no-origin":     {url.Values{"revision": {"1"}, "justification": {"looked at the ticket"}}, nil},
		"rebound-host":  {url.Values{"revision": {"1"}, "justification": {"looked at the ticket"}}, map[string]string{"Origin": "null"}},
		"empty-token":   {url.Values{"csrf": {""}, "revision": {"1"}, "justification": {"looked at the ticket"}}, map[string]string{"Sec-Fetch-Site": "same-origin"}},
		"same-site-sub": {url.Values{"revision": {"1"}, "justification": {"looked at the ticket"}}, map[string]string{"Sec-Fetch-Site": "same-site"}},
	} {
		out = append(out, deciding("forged", "page."+name, "ada", func(ctx context.Context, t *try, id string) error {
			b, err := t.w.browser(ctx, "keeper")
			if err != nil {
				return err
			}
			header := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
			for k, v := range c.header {
				header[k] = v
			}
			_, _, err = t.w.call(ctx, call{method: "POST", path: "/reviews/" + id + "/approve", body: c.form.Encode(), header: header, client: b})
			return err
		}))
	}
	// Another's request approved instead, and another's handle used.
	out = append(out, attack{family: "forged", name: "approval-of-anothers", run: func(ctx context.Context, t *try) error {
		ada, err := t.client(ctx, "ada")
		if err != nil {
			return err
		}
		eve, err := t.client(ctx, "eve")
		if err != nil {
			return err
		}
		if _, err := t.ask(eve, text(count)); err != nil {
			return err
		}
		if _, err := t.approved(ctx, ada, text(count)); err != nil {
			return err
		}
		t.send(eve, text(count))
		return t.still(ctx, ada, text(count), 0)
	}})
	for name, who := range map[string]string{"another-session": "ada", "another-person": "eve", "a-reviewer": "self", "the-glass": "hero"} {
		s := swap{name: "claimed-by-" + name, ask: text(count), control: true, others: func(ctx context.Context, t *try) error {
			c, err := t.client(ctx, who)
			if err == nil {
				t.send(c, text(count))
				t.send(c, extended(count))
			}
			return err
		}}
		out = append(out, s.attack("forged"))
	}
	return out
}

// reviewerAttacks have somebody decide whose word does not count.
func reviewerAttacks() (out []attack) {
	// By whom, with which password: "" is their own. self asks, and is in the group; hero only asks.
	for name, c := range map[string]struct{ asker, user, password string }{
		"oneself":               {"self", "self", ""},
		"oneself-without-group": {"ada", "ada", ""},
		"another-asker":         {"ada", "eve", ""},
		"another-group":         {"ada", "officer", ""},
		"no-group":              {"ada", "guest", ""},
		"dba":                   {"ada", "dba", ""},
		"agent-password":        {"ada", "botkeeper", ""},
		"agent-token":           {"ada", "botkeeper", tokenOf("botkeeper")},
		"agent-asker-token":     {"ada", "bot", tokenOf("bot")},
		"token-of-reviewer":     {"ada", "keeper", tokenOf("keeper")},
		"wrong-password":        {"ada", "keeper", "pw-keeperx"},
		"no-password":           {"ada", "keeper", ":"},
		"password-of-another":   {"ada", "keeper", secretOf("ada")},
		"name-in-capitals":      {"ada", "KEEPER", secretOf("ada")},
		"name-of-nobody":        {"ada", "root", "root"},
		"self-in-capitals":      {"self", "SELF", secretOf("self")},
		"self-with-space":       {"self", "self ", secretOf("self")},
		"self-fullwidth":        {"self", "ｓｅｌｆ", secretOf("self")},
	} {
		for _, verb := range []string{"approve", "page"} {
			out = append(out, deciding("reviewer", name+"."+verb, c.asker, func(ctx context.Context, t *try, id string) error {
				password := c.password
				if password == "" {
					password = secretOf(c.user)
				}
				if verb == "approve" {
					return one(func(_ *try, id string) call {
						return call{method: "POST", path: path(id, "approve"), user: c.user, password: password, body: verdict(1, nil)}
					})(ctx, t, id)
				}
				// By the form of the page, with all that the page gives, where they are let in: with that password, or by their own into
				// a session that stands open.
				b, err := t.w.login(ctx, c.user, password)
				if errors.Is(err, errNotLetIn) {
					b, err = t.w.browser(ctx, c.user)
				}
				if errors.Is(err, errNotLetIn) {
					return nil
				}
				if err != nil {
					return err
				}
				_, body, err := t.w.call(ctx, call{method: "GET", path: "/reviews", client: b})
				if err != nil {
					return err
				}
				csrf := csrfOf(string(body))
				if csrf == "" {
					return fmt.Errorf("the page gives %s no token: %.300s", c.user, body)
				}
				form := url.Values{"csrf": {csrf}, "revision": {"1"}, "justification": {"looked at the ticket"}, "mode": {"once"}, "password": {password}}
				_, _, err = t.w.call(ctx, call{method: "POST", path: "/reviews/" + id + "/approve", body: form.Encode(), client: b,
					header: map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}})
				return err
			}))
		}
	}
	for name, header := range map[string]map[string]string{
		"bearer-of-agent": {"Authorization": "Bearer " + tokenOf("botkeeper")}, "bearer-of-reviewer": {"Authorization": "Bearer " + tokenOf("keeper")},
		"forwarded-user": {"X-Forwarded-User": "keeper", "Remote-User": "keeper"}, "no-credentials": {}, "digest": {"Authorization": `Digest username="keeper"`},
		"basic-without-colon": {"Authorization": "Basic a2VlcGVy"}, "made-up-cookie": {"Cookie": "sallyport=" + strings.Repeat("A", 43)},
	} {
		out = append(out, deciding("reviewer", name, "ada", one(func(_ *try, id string) call {
			return call{method: "POST", path: path(id, "approve"), body: verdict(1, nil), header: header}
		})))
	}
	// Officers stand in for keepers where those have not decided in time, which they have.
	standIn := verdict(1, nil)
	standIn["instead"], standIn["needs"], standIn["escalated"] = []string{"keepers"}, []any{map[string]any{"group": "officers"}}, "2026-01-01T00:00:00Z"
	for name, body := range map[string]any{"stand-in-too-early": verdict(1, nil), "stand-in-by-own-word": standIn} {
		for _, verb := range []string{"approve", "deny"} {
			a := deciding("reviewer", name+"."+verb, "ada", one(func(_ *try, id string) call {
				return call{method: "POST", path: path(id, verb), user: "officer", password: secretOf("officer"), body: body}
			}))
			a.world = "escalates"
			out = append(out, a)
		}
	}
	return out
}

// csrfOf is the token of a page.
func csrfOf(page string) string {
	_, rest, ok := strings.Cut(page, `name="csrf" value="`)
	if !ok {
		return ""
	}
	token, _, _ := strings.Cut(rest, `"`)
	return token
}

// toolAttacks try to decide by the agents' door, with every tool and with names of tools that there might be.
func toolAttacks() (out []attack) {
	for _, who := range []string{"bot", "botkeeper", "keeper", "self"} {
		for _, tool := range []string{"query", "explain", "check_approval", "start_task", "search_schema", "list_connections", "approve", "decide", "review_approve", "approve_request", "check_approval/approve", "set_approval"} {
			out = append(out, attack{family: "tool", name: tool + "." + who, run: func(ctx context.Context, t *try) error {
				a, id, err := t.askedByBot(ctx)
				if err != nil {
					return err
				}
				by := a
				if who != "bot" {
					if by, err = t.bot(ctx, who); err != nil {
						return err
					}
				}
				for _, args := range []map[string]any{
					{"handle": id, "wait_seconds": 0},
					{"handle": id, "verdict": "approve", "revision": 1, "justification": "looked at the ticket", "approve": true},
					{"request_id": id, "decision": "approve", "task_id": a.Task()},
					{"handle": id, "task_id": a.Task(), "wait_seconds": 0, "sql": t.sql(count)},
					{"goal": "approve request " + id, "reason": "approve request " + id + ": looked at the ticket"},
				} {
					t.tool(ctx, by, tool, args)
				}
				t.tool(ctx, a, "check_approval", map[string]any{"handle": id, "wait_seconds": 0})
				return nil
			}})
		}
	}
	for name, by := range map[string]struct{ who, task string }{"another-agent": {"bot2", ""}, "another-agent-of-that-task": {"bot2", "same"}, "another-task": {"bot", ""}} {
		out = append(out, attack{family: "tool", name: "claim-by-" + name, run: func(ctx context.Context, t *try) error {
			a, id, err := t.askedByBot(ctx)
			if err != nil {
				return err
			}
			if err := t.w.decide(ctx, "keeper", id, "approve", nil); err != nil {
				return err
			}
			b, err := t.bot(ctx, by.who)
			if err != nil {
				return err
			}
			args := map[string]any{"handle": id, "wait_seconds": 0}
			if by.task != "" {
				args["task_id"] = a.Task()
			}
			t.tool(ctx, b, "check_approval", args)
			delete(args, "handle")
			delete(args, "wait_seconds")
			args["sql"] = t.sql(count)
			t.tool(ctx, b, "query", args)
			if err := t.before(ctx, 0); err != nil {
				return err
			}
			if r := t.tool(ctx, a, "check_approval", map[string]any{"handle": id, "wait_seconds": 0}); r.IsError {
				return fmt.Errorf("what was approved does not run: %s", r.Text)
			}
			t.control = true
			return nil
		}})
	}
	return out
}
