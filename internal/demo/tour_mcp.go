package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	sdk "github.com/mark3labs/mcp-go/mcp"
)

const (
	agentGoal   = "Help a customer who was charged twice"
	agentReason = "find the customer's recent orders to see a double charge"
)

// agent is the chapter about an AI agent on the MCP door.
func (t *tour) agent(ctx context.Context) error {
	someone := t.demo.folk[41]

	t.step("An agent comes in through MCP and says what it is about")
	t.sayf("  (a real MCP client over streamable HTTP, with the token of support-agent)\n\n")
	a, err := t.connect(ctx, t.demo.login("support-agent").Token)
	if err != nil {
		return fmt.Errorf("the MCP client cannot connect: %w", err)
	}
	defer a.client.Close()
	if err := a.begin(ctx, agentGoal, "SUP-2291"); err != nil {
		return err
	}
	t.notice("Every later call has to name this task and give a reason. Both are claims for the record; neither grants anything.", has(a.task, "task"))

	t.step("The agent looks around")
	out := a.data(ctx, "search_schema", map[string]any{"connection": "shop", "pattern": "email"})
	t.notice("It learns what is there and what it will see masked, before it asks.", has(out.text, "customers", "pii.email"), refusal(out, false))

	t.step("A masked read")
	out = a.data(ctx, "query", map[string]any{"connection": "shop", "sql": "SELECT c.name, c.email, o.placed, o.total FROM customers c JOIN orders o ON o.customer_id = c.id ORDER BY o.placed DESC", "max_rows": 3})
	t.notice("Typed rows, marked as untrusted data, with the masks and their labels named, and an honest `truncated`.",
		has(string(out.structured), `"untrusted":true`, `"truncated":true`, "pii.email", "tok_"), t.leaks(string(out.structured)+out.text), refusal(out, false))

	t.step("It finds one customer by the address it was given")
	out = a.data(ctx, "query", map[string]any{"connection": "shop", "sql": "SELECT id, name, city FROM customers WHERE email = $1", "params": []string{someone.email}})
	t.notice("`lookup` again: one row, still masked.", has(string(out.structured), fmt.Sprintf(`"row_count":%d`, 1), someone.city), refusal(out, false))

	t.step("It tries to delete")
	out = a.data(ctx, "query", map[string]any{"connection": "shop", "sql": "DELETE FROM orders WHERE customer_id = 42"})
	t.notice("Refused. The model is told why, and what it could do instead.", refusal(out, true), has(out.text, "hint"))

	t.step("It tries somebody's salary")
	out = a.data(ctx, "query", map[string]any{"connection": "shop", "sql": "SELECT salary FROM payroll.salaries WHERE employee = 'ada'"})
	t.notice("A `forbid` stands above every permit, now and later.", refusal(out, true), lacks(out.text, "71000"))

	t.step("A reason is not optional")
	out = a.call(ctx, "query", map[string]any{"connection": "shop", "sql": "SELECT 1", "task_id": a.task})
	t.notice("No reason, no answer.", refusal(out, true), has(out.text, "reason"))
	return ctx.Err()
}

// agentClient is an MCP client with its task.
type agentClient struct {
	tour   *tour
	client *client.Client
	task   string
}

// result is a tool's answer, both forms.
type result struct {
	structured json.RawMessage
	text       string
	isError    bool
}

// connect makes an MCP client with a bearer token.
func (t *tour) connect(ctx context.Context, token string) (*agentClient, error) {
	c, err := client.NewStreamableHttpClient(t.doors.MCP, transport.WithHTTPHeaders(map[string]string{"Authorization": "Bearer " + token}))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := c.Start(ctx); err != nil {
		return nil, err
	}
	_, err = c.Initialize(ctx, sdk.InitializeRequest{Params: sdk.InitializeParams{
		ProtocolVersion: "2025-11-25",
		ClientInfo:      sdk.Implementation{Name: "sallyport-tour", Version: "1"},
	}})
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &agentClient{tour: t, client: c}, nil
}

// begin starts the task of all that follows.
func (a *agentClient) begin(ctx context.Context, goal, ticket string) error {
	out := a.call(ctx, "start_task", map[string]any{"goal": goal, "ticket": ticket})
	var task struct {
		ID string `json:"task_id"`
	}
	err := json.Unmarshal(out.structured, &task)
	a.task = task.ID
	return err
}

// data calls a tool with task and reason.
func (a *agentClient) data(ctx context.Context, tool string, args map[string]any) result {
	return a.with(ctx, agentReason, tool, args)
}

// with is data for another reason.
func (a *agentClient) with(ctx context.Context, reason, tool string, args map[string]any) result {
	args["task_id"], args["reason"] = a.task, reason
	return a.call(ctx, tool, args)
}

// call calls a tool, shows the call and its answer.
func (a *agentClient) call(ctx context.Context, tool string, args map[string]any) result {
	shown := map[string]any{}
	for k, v := range args {
		if k != "task_id" && k != "reason" {
			shown[k] = v
		}
	}
	text, err := json.Marshal(shown)
	if err != nil {
		return result{isError: true, text: err.Error()}
	}
	a.tour.sayf("  → %s %s\n", tool, text)
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	res, err := a.client.CallTool(ctx, sdk.CallToolRequest{Params: sdk.CallToolParams{Name: tool, Arguments: args}})
	if err != nil {
		a.tour.shown("protocol error: " + err.Error())
		return result{text: "protocol error: " + err.Error()}
	}
	out := result{isError: res.IsError}
	var parts []string
	for _, c := range res.Content {
		if tc, ok := c.(sdk.TextContent); ok {
			parts = append(parts, tc.Text)
		}
	}
	out.text = strings.Join(parts, "\n")
	if out.structured, err = json.Marshal(res.StructuredContent); err != nil {
		out.structured = nil
	}
	a.tour.shown(out.text)
	return out
}

// refusal is the expectation that an answer is one, or is none.
func refusal(r result, want bool) string {
	if r.isError != want {
		if want {
			return "this was expected to be refused"
		}
		return "this was not expected to be refused"
	}
	return ""
}
