// Package agent is an MCP client as an agent's runtime would be one: it starts a task, gives a reason
// with each call, and writes down what came back for comparing. Start with Dial.
package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	sdk "github.com/mark3labs/mcp-go/mcp"

	"sallyport/evals/wire"
)

// Reason is what a client gives unless it has one of its own.
const Reason = "evaluation run: comparing answers between two databases"

// Client is one agent with a task.
type Client struct {
	mcp        *client.Client
	connection string
	task       string
	Timeout    time.Duration // for one call
	Reason     string        // goes with every call
}

// Dial connects with a bearer token and starts a task.
func Dial(ctx context.Context, url, token, connection string) (*Client, error) {
	return DialFor(ctx, url, token, connection, "Find out whether masked values can be told apart")
}

// DialFor is Dial with a goal of the task.
func DialFor(ctx context.Context, url, token, connection, goal string) (*Client, error) {
	m, err := client.NewStreamableHttpClient(url, transport.WithHTTPHeaders(map[string]string{"Authorization": "Bearer " + token}))
	if err != nil {
		return nil, err
	}
	if err := m.Start(ctx); err != nil {
		return nil, err
	}
	var init sdk.InitializeRequest
	init.Params.ProtocolVersion = sdk.LATEST_PROTOCOL_VERSION
	init.Params.ClientInfo = sdk.Implementation{Name: "evals", Version: "1"}
	if _, err := m.Initialize(ctx, init); err != nil {
		return nil, fmt.Errorf("initialize: %w", err)
	}
	c := &Client{mcp: m, connection: connection, Timeout: 20 * time.Second, Reason: Reason}
	res, err := c.call(ctx, "start_task", map[string]any{"goal": goal})
	if err != nil {
		return nil, err
	}
	body, _ := json.Marshal(res.StructuredContent)
	var started struct {
		TaskID string `json:"task_id"`
	}
	if err := json.Unmarshal(body, &started); err != nil || started.TaskID == "" {
		return nil, fmt.Errorf("start_task gave no task_id: %s", body)
	}
	c.task = started.TaskID
	return c, nil
}

// Close ends the client.
func (c *Client) Close() { c.mcp.Close() }

// ToolsListBytes is the size of the tools/list result as JSON.
func (c *Client) ToolsListBytes(ctx context.Context) (int, error) {
	res, err := c.mcp.ListTools(ctx, sdk.ListToolsRequest{})
	if err != nil {
		return 0, err
	}
	b, err := json.Marshal(res)
	return len(b), err
}

// Query runs one statement with the query tool.
func (c *Client) Query(ctx context.Context, sql string) wire.Answer {
	return c.run(ctx, "query", map[string]any{"sql": sql, "max_rows": 1000})
}

// Explain asks for the plan of one statement.
func (c *Client) Explain(ctx context.Context, sql string) wire.Answer {
	return c.run(ctx, "explain", map[string]any{"sql": sql})
}

func (c *Client) run(ctx context.Context, tool string, args map[string]any) wire.Answer {
	args["connection"], args["task_id"], args["reason"] = c.connection, c.task, c.Reason
	res, err := c.call(ctx, tool, args)
	if err != nil {
		return wire.Answer{Lines: []string{err.Error()}, Code: "CLOSED", Error: err.Error()}
	}
	return answer(res)
}

// Reply is what a tool answered, for those who look at more than rows.
type Reply struct {
	Text    string // all of it as JSON: content and structured content
	IsError bool
	Pending struct {
		Handle string `json:"handle"`
	}
	Result
}

// Tool calls any tool with the arguments as they are.
func (c *Client) Tool(ctx context.Context, tool string, args map[string]any) (Reply, error) {
	res, err := c.call(ctx, tool, args)
	if err != nil {
		return Reply{Text: err.Error(), IsError: true}, err
	}
	all, err := json.Marshal(res)
	if err != nil {
		return Reply{}, err
	}
	r := Reply{Text: string(all), IsError: res.IsError}
	body, err := json.Marshal(res.StructuredContent)
	if err != nil {
		return r, err
	}
	var pending struct {
		Pending *struct {
			Handle string `json:"handle"`
		} `json:"pending_approval"`
	}
	if json.Unmarshal(body, &pending) == nil && pending.Pending != nil {
		r.Pending.Handle = pending.Pending.Handle
	}
	_ = json.Unmarshal(body, &r.Result) // an error of the protocol has no such body
	return r, nil
}

// Task is the id of the client's task.
func (c *Client) Task() string { return c.task }

func (c *Client) call(ctx context.Context, tool string, args map[string]any) (*sdk.CallToolResult, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	var req sdk.CallToolRequest
	req.Params.Name, req.Params.Arguments = tool, args
	return c.mcp.CallTool(ctx, req)
}

// Result is the part of the query tool's structured content that is compared.
type Result struct {
	Columns json.RawMessage   `json:"columns"`
	Rows    []json.RawMessage `json:"rows"`
	Refused *struct {
		Kind, Code, Message, Hint string
	} `json:"refused"`
}

// fleeting is what differs between two calls by its nature: the fence's nonce, the record's position,
// the handle of the next page.
var fleeting = []*regexp.Regexp{
	regexp.MustCompile(`\b[A-Z2-7]{26}\b`),
	regexp.MustCompile(`"record":\s*\d+`),
	regexp.MustCompile(`\brecord[ #:=]*\d+`),
	regexp.MustCompile(`"cursor":\s*"[^"]*"`),
	regexp.MustCompile(`\bcursor[ :=]+"?[A-Za-z0-9_-]{16,}`),
}

func answer(res *sdk.CallToolResult) wire.Answer {
	var a wire.Answer
	body, err := json.Marshal(res.StructuredContent)
	if err != nil {
		return wire.Answer{Code: "CLOSED", Error: err.Error()}
	}
	var r Result
	if err := json.Unmarshal(body, &r); err != nil {
		return wire.Answer{Code: "CLOSED", Error: err.Error(), Lines: []string{string(body)}}
	}
	a.Rows = len(r.Rows)
	if r.Refused != nil {
		a.Code, a.Error, a.Hint = r.Refused.Code, r.Refused.Message, r.Refused.Hint
	} else if res.IsError {
		a.Code, a.Error = "ERROR", string(body)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(body, &all); err == nil {
		delete(all, "rows")
		if rest, err := json.Marshal(all); err == nil {
			a.Lines = append(a.Lines, clean(string(rest)))
		}
	}
	for _, row := range r.Rows {
		a.Lines = append(a.Lines, "D "+string(row))
	}
	for _, content := range res.Content {
		if t, ok := content.(sdk.TextContent); ok {
			for line := range strings.Lines(t.Text) {
				a.Lines = append(a.Lines, "text "+clean(strings.TrimRight(line, "\n")))
			}
		}
	}
	return a
}

func clean(s string) string {
	for _, re := range fleeting {
		s = re.ReplaceAllString(s, "…")
	}
	return s
}
