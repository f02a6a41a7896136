package mcp

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

const (
	legacy = "2025-11-25"
	modern = "2026-07-28"
)

// wire speaks JSON-RPC over real HTTP, in one of the two protocols, without the library.
type wire struct {
	t        *testing.T
	url      string
	token    string
	protocol string
	can      map[string]any // capabilities that the client declares
	session  string
	id       int
}

func dial(t *testing.T, s *Server, token, protocol string) *wire {
	t.Helper()
	srv := httptest.NewServer(s.Handler())
	t.Cleanup(srv.Close)
	return dialURL(t, srv.URL, token, protocol)
}

func dialURL(t *testing.T, url, token, protocol string) *wire {
	t.Helper()
	return dialAs(t, url, token, protocol, map[string]any{})
}

func dialAs(t *testing.T, url, token, protocol string, can map[string]any) *wire {
	t.Helper()
	w := &wire{t: t, url: url + "/mcp", token: token, protocol: protocol, can: can}
	if protocol == legacy {
		res := w.must("initialize", map[string]any{
			"protocolVersion": legacy, "capabilities": can,
			"clientInfo": map[string]any{"name": "wire", "version": "1"},
		})
		if got := res["protocolVersion"]; got != legacy {
			t.Fatalf("negotiated %v", got)
		}
		if w.session == "" {
			t.Fatal("no session id")
		}
		if status, _, _ := w.post(map[string]any{"jsonrpc": "2.0", "method": "notifications/initialized"}); status != http.StatusAccepted {
			t.Fatalf("initialized: %d", status)
		}
	}
	return w
}

// post sends one message and gives status, body and header.
func (w *wire) post(message any) (int, []byte, http.Header) {
	w.t.Helper()
	body, ok := message.([]byte)
	if !ok {
		var err error
		if body, err = json.Marshal(message); err != nil {
			w.t.Fatal(err)
		}
	}
	return w.send(http.MethodPost, body, nil)
}

func (w *wire) send(method string, body []byte, edit func(*http.Request)) (int, []byte, http.Header) {
	w.t.Helper()
	req, err := http.NewRequest(method, w.url, bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if w.token != "" {
		req.Header.Set("Authorization", "Bearer "+w.token)
	}
	req.Header.Set("Mcp-Protocol-Version", w.protocol)
	if w.session != "" {
		req.Header.Set("Mcp-Session-Id", w.session)
	}
	if w.protocol == modern {
		var m struct {
			Method string `json:"method"`
			Params struct {
				Name string `json:"name"`
			} `json:"params"`
		}
		_ = json.Unmarshal(body, &m) // malformed bodies are sent too
		req.Header.Set("Mcp-Method", m.Method)
		if m.Params.Name != "" {
			req.Header.Set("Mcp-Name", m.Params.Name)
		}
	}
	if edit != nil {
		edit(req)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if id := res.Header.Get("Mcp-Session-Id"); id != "" && w.session == "" {
		w.session = id
	}
	return res.StatusCode, out, res.Header
}

func (w *wire) request(method string, params map[string]any) map[string]any {
	w.id++
	if params == nil {
		params = map[string]any{}
	}
	if w.protocol == modern {
		params["_meta"] = map[string]any{
			"io.modelcontextprotocol/protocolVersion":    modern,
			"io.modelcontextprotocol/clientInfo":         map[string]any{"name": "wire", "version": "1"},
			"io.modelcontextprotocol/clientCapabilities": w.can,
		}
	}
	return map[string]any{"jsonrpc": "2.0", "id": w.id, "method": method, "params": params}
}

type response struct {
	Result map[string]any `json:"result"`
	Error  *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Data    struct {
			Elicitations []map[string]any `json:"elicitations"`
		} `json:"data"`
	} `json:"error"`
}

func (w *wire) do(method string, params map[string]any) (int, response) {
	w.t.Helper()
	status, body, _ := w.post(w.request(method, params))
	var r response
	if err := json.Unmarshal(body, &r); err != nil && status == http.StatusOK {
		w.t.Fatalf("%s: %v in %s", method, err, body)
	}
	return status, r
}

func (w *wire) must(method string, params map[string]any) map[string]any {
	w.t.Helper()
	status, r := w.do(method, params)
	if status != http.StatusOK || r.Error != nil {
		w.t.Fatalf("%s: %d %+v", method, status, r.Error)
	}
	return r.Result
}

// toolResult is what tests look at.
type toolResult struct {
	text    string
	body    map[string]any
	isError bool
}

func (r toolResult) code() string {
	refused, _ := r.body["refused"].(map[string]any)
	code, _ := refused["code"].(string)
	return code
}

func (w *wire) call(tool string, arguments map[string]any) toolResult {
	w.t.Helper()
	res := w.must("tools/call", map[string]any{"name": tool, "arguments": arguments})
	return toToolResult(w.t, res)
}

func toToolResult(t *testing.T, res map[string]any) toolResult {
	t.Helper()
	var out toolResult
	out.isError, _ = res["isError"].(bool)
	out.body, _ = res["structuredContent"].(map[string]any)
	content, _ := res["content"].([]any)
	if len(content) != 1 || out.body == nil {
		t.Fatalf("content: %v", res)
	}
	out.text, _ = content[0].(map[string]any)["text"].(string)
	return out
}

func (w *wire) task() string {
	w.t.Helper()
	r := w.call("start_task", map[string]any{"goal": "find out why order 17 is late", "ticket": "SUP-1"})
	id, _ := r.body["task_id"].(string)
	if id == "" {
		w.t.Fatalf("no task: %+v", r)
	}
	return id
}

const why = "count the late orders of this customer"

func (w *wire) query(task, sql string) toolResult {
	w.t.Helper()
	return w.call("query", map[string]any{"connection": "shop", "sql": sql, "task_id": task, "reason": why})
}
