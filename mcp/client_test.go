package mcp

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	sdk "github.com/mark3labs/mcp-go/mcp"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
)

// conversation is what every client does first; it fails the test when a step does not go as it should.
func conversation(t *testing.T, c *client.Client) {
	t.Helper()
	var hello sdk.InitializeRequest
	hello.Params.ClientInfo = sdk.Implementation{Name: "lib", Version: "1"}
	if _, err := c.Initialize(t.Context(), hello); err != nil {
		t.Fatal(err)
	}
	list, err := c.ListTools(t.Context(), sdk.ListToolsRequest{})
	if err != nil || len(list.Tools) != 7 {
		t.Fatalf("%v %v", list, err)
	}
	for _, tool := range list.Tools {
		if tool.Annotations.ReadOnlyHint == nil || tool.OutputSchema.Type != "object" || tool.Description == "" {
			t.Errorf("%s: %+v", tool.Name, tool)
		}
	}
	call := func(name string, arguments map[string]any) map[string]any {
		t.Helper()
		var req sdk.CallToolRequest
		req.Params.Name, req.Params.Arguments = name, arguments
		res, err := c.CallTool(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := res.StructuredContent.(map[string]any)
		return body
	}
	task := call("start_task", map[string]any{"goal": "find out why order 17 is late"})["task_id"]
	body := call("query", map[string]any{"connection": "shop", "sql": "select 1", "task_id": task, "reason": why})
	if body["row_count"] != 3.0 || body["masked"] == nil {
		t.Errorf("%v", body)
	}
	if body := call("query", map[string]any{"sql": "select 1"}); body["refused"] == nil {
		t.Errorf("%v", body)
	}
}

// eraOptions make the library's client speak one protocol.
var eraOptions = map[string]client.ClientOption{
	//lint:ignore SA1019 2025-11-25 is what most clients speak
	legacy: client.WithLegacyProtocolOnly(),
	modern: client.WithProtocolVersion(modern),
}

func TestLibraryClientOverHTTP(t *testing.T) {
	for name, opt := range eraOptions {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(newTestServer(t, newFake(), Options{}).Handler())
			defer srv.Close()
			tr, err := transport.NewStreamableHTTP(srv.URL+"/mcp", transport.WithHTTPHeaders(map[string]string{"Authorization": "Bearer " + anna}))
			if err != nil {
				t.Fatal(err)
			}
			c := client.NewClient(tr, opt)
			defer c.Close()
			if err := c.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			conversation(t, c)
		})
	}
}

func TestLibraryClientOverStdio(t *testing.T) {
	for name, opt := range eraOptions {
		t.Run(name, func(t *testing.T) {
			s := newTestServer(t, newFake(), Options{})
			in, toServer := io.Pipe()
			fromServer, out := io.Pipe()
			served := make(chan error, 1)
			go func() { served <- s.ServeStdio(t.Context(), access.Bearer(anna), in, out); out.Close() }()
			c := client.NewClient(transport.NewIO(fromServer, toServer, io.NopCloser(strings.NewReader(""))), opt)
			if err := c.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			conversation(t, c)
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if err := <-served; err != nil {
				t.Errorf("ServeStdio: %v", err)
			}
		})
	}
}

// stdioRun gives lines to a stdio server and collects its answers by id.
func stdioRun(t *testing.T, s *Server, token string, lines ...string) (map[string]response, error) {
	t.Helper()
	var out strings.Builder
	err := s.ServeStdio(t.Context(), access.Bearer(token), strings.NewReader(strings.Join(lines, "\n")+"\n"), &out)
	got := map[string]response{}
	for sc := bufio.NewScanner(strings.NewReader(out.String())); sc.Scan(); {
		var m struct {
			ID any `json:"id"`
			response
		}
		if e := json.Unmarshal(sc.Bytes(), &m); e != nil {
			t.Fatalf("%v in %s", e, sc.Text())
		}
		got[fmt.Sprint(m.ID)] = m.response
	}
	return got, err
}

const stdioHello = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`

func TestStdioAnswersAllBeforeItEnds(t *testing.T) {
	f := newFake()
	begun(t, f)
	lines := []string{stdioHello}
	for i := range 5 {
		lines = append(lines, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"query","arguments":%s}}`, i+1, select1))
	}
	got, err := stdioRun(t, newTestServer(t, f, Options{}), anna, lines...)
	if err != nil || len(got) != 6 {
		t.Fatalf("%d answers, %v", len(got), err)
	}
	for i := range 5 {
		if r := toToolResult(t, got[fmt.Sprint(i+1)].Result); r.isError {
			t.Errorf("%d: %s", i+1, r.text)
		}
	}
}

func TestStdioSurvivesBadInput(t *testing.T) {
	s := newTestServer(t, newFake(), Options{MaxBody: 4096})
	got, err := stdioRun(t, s, anna,
		stdioHello,
		`{"jsonrpc":"2.0","id":1,`,
		`[]`, ``, `null`, `"x"`,
		`{"jsonrpc":"2.0","id":2,"method":"ping","x":"`+strings.Repeat("a", 100_000)+`"}`,
		`{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"nope"}}`,
		`{"jsonrpc":"2.0","id":4,"method":"ping"}`)
	if err != nil {
		t.Fatal(err)
	}
	if got["4"].Result == nil || got["3"].Error == nil || got["<nil>"].Error == nil || got["2"].Result != nil {
		t.Errorf("%+v", got)
	}
}

func TestStdioNeedsValidCredentials(t *testing.T) {
	f := newFake()
	s := newTestServer(t, f, Options{})
	if got, err := stdioRun(t, s, "no-token", stdioHello); access.AsError(err) == nil || len(got) != 0 {
		t.Errorf("%v %v", got, err)
	}
	// Withdrawn while the client is connected: the next message is refused.
	in, toServer := io.Pipe()
	fromServer, out := io.Pipe()
	served := make(chan error, 1)
	go func() { served <- s.ServeStdio(t.Context(), access.Bearer(anna), in, out); out.Close() }()
	sc := bufio.NewScanner(fromServer)
	say := func(line string) string {
		fmt.Fprintln(toServer, line)
		sc.Scan()
		return sc.Text()
	}
	if a := say(stdioHello); !strings.Contains(a, "protocolVersion") {
		t.Fatal(a)
	}
	f.revoke(anna)
	if a := say(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`); strings.Contains(a, "query") || !strings.Contains(a, "unknown token") {
		t.Errorf("%s", a)
	}
	toServer.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestStdioEndsWithItsContext(t *testing.T) {
	f := newFake()
	begun(t, f)
	s := newTestServer(t, f, Options{})
	f.answers(func(ctx context.Context, _ gateway.Query) (*gateway.Result, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	in, toServer := io.Pipe()
	defer toServer.Close()
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.ServeStdio(ctx, access.Bearer(anna), in, io.Discard) }()
	fmt.Fprintf(toServer, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"query","arguments":%s}}`+"\n", select1)
	cancel()
	if err := <-served; err != context.Canceled {
		t.Errorf("got %v", err)
	}
}
