package identity

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
)

// caller speaks MCP 2025-11-25 by hand, so that a session, a task or a cursor can be put into other hands.
type caller struct {
	w       *world
	token   string
	session string
	header  map[string]string
	query   string // appended to the URL
	all     bytes.Buffer
	status  int
}

func (w *world) caller(token string) *caller { return &caller{w: w, token: token} }

// in is a caller that has begun a session.
func (w *world) in(ctx context.Context, token string) (*caller, error) {
	c := w.caller(token)
	if err := c.begin(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *caller) begin(ctx context.Context) error {
	res, body, err := c.post(ctx, "initialize", map[string]any{"protocolVersion": "2025-11-25", "capabilities": map[string]any{}, "clientInfo": map[string]any{"name": "x", "version": "1"}})
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("initialize: %d %.200s", res.StatusCode, body)
	}
	c.session = res.Header.Get("Mcp-Session-Id")
	_, _, err = c.post(ctx, "notifications/initialized", nil)
	return err
}

func (c *caller) post(ctx context.Context, method string, params any) (*http.Response, string, error) {
	message := map[string]any{"jsonrpc": "2.0", "method": method}
	if params != nil {
		message["params"] = params
	}
	if !strings.HasPrefix(method, "notifications/") {
		message["id"] = 1
	}
	body, err := json.Marshal(message)
	if err != nil {
		return nil, "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.w.g.MCPURL+c.query, bytes.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("Mcp-Protocol-Version", "2025-11-25")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if c.session != "" {
		req.Header.Set("Mcp-Session-Id", c.session)
	}
	for k, v := range c.header {
		switch k {
		case "Host":
			req.Host = v
		case "+Authorization": // one more
			req.Header.Add("Authorization", v)
		default:
			req.Header.Set(k, v)
		}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	c.status = res.StatusCode
	c.all.Write(text)
	return res, string(text), err
}

// tool calls one.
func (c *caller) tool(ctx context.Context, name string, args map[string]any) (string, error) {
	if name != "start_task" {
		args["reason"] = "the support case of this morning needs it"
	}
	_, text, err := c.post(ctx, "tools/call", map[string]any{"name": name, "arguments": args})
	return text, err
}

var (
	taskID = regexp.MustCompile(`\\?"task_id\\?":\s*\\?"([^"\\]+)`)
	cursor = regexp.MustCompile(`\\?"cursor\\?":\s*\\?"([^"\\]+)`)
	handle = regexp.MustCompile(`\\?"handle\\?":\s*\\?"([^"\\]+)`)
)

func first(re *regexp.Regexp, text, what string) (string, error) {
	m := re.FindStringSubmatch(text)
	if m == nil {
		return "", fmt.Errorf("no %s in %.300s", what, text)
	}
	return m[1], nil
}

func (c *caller) task(ctx context.Context) (string, error) {
	text, err := c.tool(ctx, "start_task", map[string]any{"goal": "find out what the support case is about"})
	if err != nil {
		return "", err
	}
	return first(taskID, text, "task_id")
}

func (c *caller) ask(ctx context.Context, task, sql string) (string, error) {
	return c.tool(ctx, "query", map[string]any{"connection": connection, "sql": sql, "task_id": task, "max_rows": 5})
}

// tries is what an intruder does with a session: everything with tasks of ada, and with one of their own.
func (c *caller) tries(ctx context.Context, task string) *seen {
	s := &seen{}
	for _, sql := range asked {
		text, err := c.ask(ctx, task, sql)
		s.taken(c.status, text, err)
		if s.answer == "" {
			s.say("%d %s", c.status, strings.TrimSpace(text))
		}
	}
	s.all.Write(c.all.Bytes())
	return s
}

// notTaken are the answers by which somebody else's handle is nobody's.
var notTaken = regexp.MustCompile(`no such (session|task|request|cursor)`)

// taken judges the answer to a call with somebody else's handle. What the thief sees by their own right would be the same in their own hands: that
// the handle was taken shows in that they are not told that it is none of theirs.
func (s *seen) taken(status int, text string, err error) {
	if err == nil && status != http.StatusUnauthorized && status != http.StatusForbidden && status != http.StatusNotFound && !notTaken.MatchString(text) {
		s.all.WriteString(canaryTaken)
		if s.answer == "" {
			s.say("taken: %d %.300s", status, strings.TrimSpace(text))
		}
	}
}

// enters is what an intruder does with a session before all else: begins a task of their own in it.
func (c *caller) enters(ctx context.Context) *seen {
	s := &seen{}
	text, err := c.tool(ctx, "start_task", map[string]any{"goal": "find out what the support case is about"})
	s.taken(c.status, text, err)
	if s.answer == "" {
		s.say("%d %s", c.status, strings.TrimSpace(text))
	}
	return s
}

// hands are those into which something of ada's falls.
func (w *world) hands() map[string]func() string {
	bob := map[string]any{"sub": "sub-bob", "preferred_username": "bob", "email": "bob@example.com", "groups": []string{"staff"}}
	return map[string]func() string{
		"another person": func() string { return w.access(w.corp).mint(bob) },
		"another person by an agent": func() string {
			return w.access(w.corp).mint(merged(bob, map[string]any{"act": map[string]any{"sub": actor}, "client_id": actor}))
		},
		"an agent of its own":                 w.own,
		"an agent of the configuration":       func() string { return localToken },
		"the same subject elsewhere":          func() string { return w.evil.AccessToken(w.g.MCPURL, map[string]any{"groups": []string{"guests"}}) },
		"nobody":                              func() string { return "" },
		"an expired token of the same person": func() string { return w.access(w.corp).mint(map[string]any{"exp": 1}) },
	}
}

func (w *world) handleAttacks() []attack {
	var out []attack
	ada := func(ctx context.Context) (*caller, string, error) {
		c, err := w.in(ctx, w.access(w.corp).mint(nil))
		if err != nil {
			return nil, "", err
		}
		task, err := c.task(ctx)
		if err != nil {
			return nil, "", err
		}
		text, err := c.ask(ctx, task, asked[0])
		if err == nil && !strings.Contains(text, canarySupport) {
			err = fmt.Errorf("control: ada sees nothing in her own session: %.300s", text)
		}
		return c, task, err
	}
	for name, token := range w.hands() {
		// agents of the configuration and of their own see what is theirs
		var may []string
		if name == "an agent of its own" {
			may = []string{canaryBot}
		}
		out = append(out,
			attack{wayHandles, "session in the hands of " + name, may, func(ctx context.Context) (*seen, error) {
				c, task, err := ada(ctx)
				if err != nil {
					return nil, err
				}
				thief := w.caller(token())
				thief.session = c.session
				s := thief.enters(ctx)
				s.all.Write(thief.tries(ctx, task).all.Bytes())
				return s, nil
			}},
			attack{wayHandles, "task in the hands of " + name, may, func(ctx context.Context) (*seen, error) {
				_, task, err := ada(ctx)
				if err != nil {
					return nil, err
				}
				thief := w.caller(token())
				_ = thief.begin(ctx) // nobody has no session: the task is tried without one
				return thief.tries(ctx, task), nil
			}},
			attack{wayHandles, "cursor in the hands of " + name, nil, func(ctx context.Context) (*seen, error) {
				c, task, err := ada(ctx)
				if err != nil {
					return nil, err
				}
				text, err := c.ask(ctx, task, "select v from support_rows")
				if err != nil {
					return nil, err
				}
				at, err := first(cursor, text, "cursor")
				if err != nil {
					return nil, err
				}
				return w.caller(token()).takes(ctx, "query", task, map[string]any{"cursor": at}), nil
			}},
			attack{wayHandles, "approval in the hands of " + name, nil, func(ctx context.Context) (*seen, error) {
				c, task, err := ada(ctx)
				if err != nil {
					return nil, err
				}
				text, err := c.ask(ctx, task, "insert into "+canaryWeb+" values (2)")
				if err != nil {
					return nil, err
				}
				h, err := first(handle, text, "handle")
				if err != nil {
					return nil, err
				}
				return w.caller(token()).takes(ctx, "check_approval", task, map[string]any{"handle": h, "wait_seconds": 0}), nil
			}})
	}
	// The same person, but not the same chain: what ada began by herself is not her agent's. Her own rows are not for agents.
	out = append(out, attack{wayHandles, "session of a person in the hands of their agent", []string{canarySupport}, func(ctx context.Context) (*seen, error) {
		c, task, err := ada(ctx)
		if err != nil {
			return nil, err
		}
		thief := w.caller(w.byActor())
		thief.session = c.session
		s := thief.enters(ctx)
		s.all.Write(thief.tries(ctx, task).all.Bytes())
		return s, nil
	}}, attack{wayHandles, "task of a person in the hands of their agent", []string{canarySupport}, func(ctx context.Context) (*seen, error) {
		_, task, err := ada(ctx)
		if err != nil {
			return nil, err
		}
		thief, err := w.in(ctx, w.byActor())
		if err != nil {
			return nil, err
		}
		return thief.tries(ctx, task), nil
	}})
	return append(out, w.carriers()...)
}

// handleControls have the owner do with each handle what thieves do: what is theirs is taken.
func (w *world) handleControls(ctx context.Context) error {
	ada := func() (*caller, string, error) {
		c, err := w.in(ctx, w.access(w.corp).mint(nil))
		if err != nil {
			return nil, "", err
		}
		task, err := c.task(ctx)
		return c, task, err
	}
	c, task, err := ada()
	if err != nil {
		return err
	}
	again := w.caller(w.access(w.corp).mint(nil))
	again.session = c.session
	own := map[string]*seen{"session": again.enters(ctx), "task": again.tries(ctx, task)}
	for name, get := range map[string]struct {
		sql, tool, arg string
		id             *regexp.Regexp
	}{
		"cursor":   {"select v from support_rows", "query", "cursor", cursor},
		"approval": {"insert into " + canaryWeb + " values (2)", "check_approval", "handle", handle},
	} {
		text, err := c.ask(ctx, task, get.sql)
		if err != nil {
			return err
		}
		id, err := first(get.id, text, get.arg)
		if err != nil {
			return err
		}
		own[name] = w.caller(w.access(w.corp).mint(nil)).takes(ctx, get.tool, task, map[string]any{get.arg: id})
	}
	var bad []error
	for name, s := range own {
		if !bytes.Contains(s.all.Bytes(), []byte(canaryTaken)) {
			bad = append(bad, fmt.Errorf("%s of one's own: %s", name, s.answer))
		}
	}
	return errors.Join(bad...)
}

// carriers are good tokens in places where nobody may take them from, and good requests of a page that is somewhere else.
func (w *world) carriers() []attack {
	carried := func(name string, change func(c *caller, token string)) attack {
		return attack{wayAgents, name, nil, func(ctx context.Context) (*seen, error) {
			token := w.access(w.corp).mint(nil)
			c := w.caller("")
			c.header = map[string]string{}
			change(c, token)
			s := &seen{}
			if err := c.begin(ctx); err != nil {
				s.say("%v", err)
				s.all.Write(c.all.Bytes())
				return s, nil
			}
			task, err := c.task(ctx)
			if err != nil {
				s.say("%v", err)
				return s, nil
			}
			return c.tries(ctx, task), nil
		}}
	}
	return []attack{
		carried("token in the address", func(c *caller, t string) { c.query = "?access_token=" + t }),
		carried("token in a cookie", func(c *caller, t string) { c.header["Cookie"] = "access_token=" + t + "; session=" + t }),
		carried("token under another header", func(c *caller, t string) { c.header["X-Forwarded-Access-Token"] = t; c.header["X-Auth-Token"] = t }),
		carried("token as a password", func(c *caller, t string) { c.header["Authorization"] = basic("corp-ada", t) }),
		carried("token by another scheme", func(c *caller, t string) { c.header["Authorization"] = "DPoP " + t }),
		carried("token without a scheme", func(c *caller, t string) { c.header["Authorization"] = t }),
		carried("name in the headers of a proxy", func(c *caller, t string) {
			c.header["X-Forwarded-User"], c.header["X-Remote-User"], c.header["X-Forwarded-For"] = "corp-ada", "corp-ada", "127.0.0.1"
		}),
		carried("two tokens, a good one behind a bad one", func(c *caller, t string) {
			c.header["Authorization"], c.header["+Authorization"] = "Bearer x", "Bearer "+t
		}),
		carried("page of another name of this address (DNS rebinding)", func(c *caller, t string) { c.token = t; c.header["Host"] = "evil.example" }),
		carried("page of another origin", func(c *caller, t string) { c.token = t; c.header["Origin"] = "https://evil.example" }),
		carried("page without an origin (null)", func(c *caller, t string) { c.token = t; c.header["Origin"] = "null" }),
	}
}

// takes has a thief call a tool with somebody else's handle, in a task of their own, where they get one, and in that of the handle.
func (c *caller) takes(ctx context.Context, tool, task string, args map[string]any) *seen {
	_ = c.begin(ctx) // nobody has no session: the handle is tried without one
	own, err := c.task(ctx)
	if err != nil {
		own = task
	}
	s := &seen{}
	for _, t := range []string{own, task} {
		args["task_id"] = t
		text, err := c.tool(ctx, tool, args)
		s.taken(c.status, text, err)
		if err != nil {
			text = err.Error()
		}
		s.say("%d %s", c.status, text)
	}
	s.all.Write(c.all.Bytes())
	return s
}
