package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// stateKey seals request states, which pass through the client. The fixtures' have no secret and are of use to everybody; the
// door's own (seals.go of package mcp) are another matter.
var stateKey = []byte(rand.Text())

func seal(s string) string {
	m := hmac.New(sha256.New, stateKey)
	m.Write([]byte(s))
	return s + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

func unseal(sealed string) (string, bool) {
	s, _, _ := strings.Cut(sealed, ".")
	return s, hmac.Equal([]byte(seal(s)), []byte(sealed))
}

// addInputRequired has the tools that ask the client by an input-required result (2026-07-28).
func addInputRequired(s *server.MCPServer) {
	name := ask("What is your name?", object{"name": object{"type": "string"}}, "name")
	confirm := ask("Please confirm", object{"ok": object{"type": "boolean"}}, "ok")
	sampling := func(prompt string, tokens int) mcp.CreateMessageParams {
		return mcp.CreateMessageParams{
			Messages: []mcp.SamplingMessage{{Role: mcp.RoleUser, Content: text(prompt)}}, MaxTokens: tokens,
		}
	}
	has := func(r call, ids ...string) bool {
		for _, id := range ids {
			if _, ok := r.Params.InputResponses[id]; !ok {
				return false
			}
		}
		return true
	}
	done := func(format string, a ...any) (result, error) {
		return mcp.NewToolResultText(fmt.Sprintf(format, a...)), nil
	}

	add(s, "test_input_required_result_elicitation", func(_ context.Context, r call) (result, error) {
		answer := server.ElicitationResponse(r.Params.InputResponses, "user_name")
		if answer == nil {
			return server.NewInputRequestBuilder("").Elicit("user_name", name).ToolResult(), nil
		}
		content, _ := answer.Content.(map[string]any)
		given, ok := content["name"].(string)
		if !ok && answer.Action == mcp.ElicitationResponseActionAccept {
			return server.NewInputRequestBuilder("").Elicit("user_name", name).ToolResult(), nil
		}
		return done("Hello, %s!", given)
	})
	add(s, "test_input_required_result_sampling", func(_ context.Context, r call) (result, error) {
		answer := server.SamplingResponse(r.Params.InputResponses, "capital_question")
		if answer == nil {
			return server.NewInputRequestBuilder("").Sample("capital_question", sampling("What is the capital of France?", 100)).ToolResult(), nil
		}
		return done("LLM response: %v", answer.Content)
	})
	add(s, "test_input_required_result_list_roots", func(_ context.Context, r call) (result, error) {
		answer := server.RootsResponse(r.Params.InputResponses, "client_roots")
		if answer == nil {
			return server.NewInputRequestBuilder("").Roots("client_roots").ToolResult(), nil
		}
		return done("Roots: %v", answer.Roots)
	})
	add(s, "test_input_required_result_request_state", func(_ context.Context, r call) (result, error) {
		if !has(r, "confirm") {
			return server.NewInputRequestBuilder(seal("confirming")).Elicit("confirm", confirm).ToolResult(), nil
		}
		if _, ok := unseal(r.Params.RequestState); !ok {
			return nil, errState
		}
		return done("state-ok")
	})
	add(s, "test_input_required_result_tampered_state", func(_ context.Context, r call) (result, error) {
		if r.Params.RequestState == "" {
			return server.NewInputRequestBuilder(seal("confirming")).Elicit("confirm", confirm).ToolResult(), nil
		}
		if _, ok := unseal(r.Params.RequestState); !ok {
			return nil, errState
		}
		return done("state-ok")
	})
	add(s, "test_input_required_result_multiple_inputs", func(_ context.Context, r call) (result, error) {
		if !has(r, "user_name", "greeting", "client_roots") {
			return server.NewInputRequestBuilder(seal("many")).Elicit("user_name", name).
				Sample("greeting", sampling("Generate a greeting", 50)).Roots("client_roots").ToolResult(), nil
		}
		if _, ok := unseal(r.Params.RequestState); !ok {
			return nil, errState
		}
		return done("all three given")
	})
	add(s, "test_input_required_result_multi_round", func(_ context.Context, r call) (result, error) {
		state, ok := unseal(r.Params.RequestState)
		switch {
		case r.Params.RequestState == "":
			return server.NewInputRequestBuilder(seal("round-1")).
				Elicit("step1", ask("Step 1: What is your name?", object{"name": object{"type": "string"}}, "name")).ToolResult(), nil
		case !ok:
			return nil, errState
		case state == "round-1" && has(r, "step1"):
			return server.NewInputRequestBuilder(seal("round-2")).
				Elicit("step2", ask("Step 2: What is your favorite color?", object{"color": object{"type": "string"}}, "color")).ToolResult(), nil
		case state == "round-2" && has(r, "step2"):
			return done("both steps done")
		}
		return nil, errState
	})
	add(s, "test_input_required_result_capabilities", func(ctx context.Context, r call) (result, error) {
		info := server.RequestProtocolInfoFromContext(ctx)
		if info == nil || info.ClientCapabilities == nil || len(r.Params.InputResponses) > 0 {
			return done("nothing to ask")
		}
		b := server.NewInputRequestBuilder("")
		if info.ClientCapabilities.Elicitation != nil {
			b.Elicit("user_name", name)
		}
		if info.ClientCapabilities.Sampling != nil {
			b.Sample("greeting", sampling("Generate a greeting", 50))
		}
		return b.ToolResult(), nil
	})
	add(s, "test_missing_capability", func(ctx context.Context, _ call) (result, error) {
		if info := server.RequestProtocolInfoFromContext(ctx); info == nil || info.ClientCapabilities == nil || info.ClientCapabilities.Sampling == nil {
			// The library turns every error of a handler into -32603; this scenario's -32021 is beyond it.
			return nil, mcp.MissingRequiredClientCapabilityError{Capability: "sampling"}
		}
		return done("sampling was declared")
	})
}
