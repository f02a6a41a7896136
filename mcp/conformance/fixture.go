package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// The smallest image and sound that are what they say: a PNG of one pixel, a WAV of one sample.
const (
	pixel  = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
	sample = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
)

type (
	call   = mcp.CallToolRequest
	result = *mcp.CallToolResult
	object = map[string]any
)

func text(s string) mcp.TextContent { return mcp.NewTextContent(s) }

// fixture is an MCP server with what the suite's scenarios ask for by name.
func fixture() *server.MCPServer {
	s := server.NewMCPServer("sallyport-conformance", "1",
		server.WithToolCapabilities(true),
		server.WithResourceCapabilities(true, true),
		server.WithPromptCapabilities(true),
		server.WithCompletions(), server.WithLogging(), server.WithElicitation())
	s.EnableSampling()
	addContent(s)
	addNotifying(s)
	addServerRequests(s)
	addInputRequired(s)
	addResources(s)
	addPrompts(s)
	return s
}

// add registers a tool without arguments that gives content, or fails.
func add(s *server.MCPServer, name string, f func(context.Context, call) (result, error)) {
	s.AddTool(mcp.NewTool(name, mcp.WithDescription("fixture "+name)), f)
}

func fixed(content ...mcp.Content) func(context.Context, call) (result, error) {
	return func(context.Context, call) (result, error) { return &mcp.CallToolResult{Content: content}, nil }
}

func addContent(s *server.MCPServer) {
	embedded := mcp.NewEmbeddedResource(mcp.TextResourceContents{
		URI: "test://embedded-resource", MIMEType: "text/plain", Text: "This is an embedded resource content.",
	})
	mixed := mcp.NewEmbeddedResource(mcp.TextResourceContents{
		URI: "test://mixed-content-resource", MIMEType: "application/json", Text: `{"test":"data","value":123}`,
	})
	image := mcp.NewImageContent(pixel, "image/png")
	add(s, "test_simple_text", fixed(text("This is a simple text response for testing.")))
	add(s, "test_image_content", fixed(image))
	add(s, "test_audio_content", fixed(mcp.NewAudioContent(sample, "audio/wav")))
	add(s, "test_embedded_resource", fixed(embedded))
	add(s, "test_multiple_content_types", fixed(text("Multiple content types test:"), image, mixed))
	add(s, "test_error_handling", func(context.Context, call) (result, error) {
		return mcp.NewToolResultError("This tool intentionally returns an error for testing"), nil
	})

	s.AddTool(mcp.Tool{
		Name: "json_schema_2020_12_tool", Description: "Tool with JSON Schema 2020-12 features",
		RawInputSchema: json.RawMessage(schema202012),
	}, fixed(text("ok")))
	s.AddTool(mcp.Tool{
		Name: "test_custom_headers", Description: "fixture test_custom_headers",
		RawInputSchema: json.RawMessage(`{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}},"required":["region"]}`),
	}, fixed(text("ok")))
}

const schema202012 = `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object",` +
	`"$defs":{"address":{"$anchor":"addressDef","type":"object","properties":{"street":{"type":"string"},"city":{"type":"string"}}}},` +
	`"properties":{"name":{"type":"string"},"address":{"$ref":"#/$defs/address"},"contactMethod":{"type":"string","enum":["phone","email"]},` +
	`"phone":{"type":"string"},"email":{"type":"string"}},"allOf":[{"anyOf":[{"required":["phone"]},{"required":["email"]}]}],` +
	`"if":{"properties":{"contactMethod":{"const":"phone"}},"required":["contactMethod"]},"then":{"required":["phone"]},"else":{"required":["email"]},` +
	`"additionalProperties":false}`

// pause is what the library needs between a notification and the result, or it may lose the former.
const pause = 50 * time.Millisecond

func addNotifying(s *server.MCPServer) {
	logging := func(ctx context.Context, _ call) (result, error) {
		if info := server.RequestProtocolInfoFromContext(ctx); info != nil && info.Modern && info.LogLevel == "" {
			return mcp.NewToolResultText("nobody asked for the log"), nil // 2026-07-28: logging is opted in to, per request
		}
		for _, line := range []string{"Tool execution started", "Tool processing data", "Tool execution completed"} {
			err := s.SendNotificationToClient(ctx, string(mcp.MethodNotificationMessage), object{"level": "info", "logger": "fixture", "data": line})
			if err != nil {
				return nil, err
			}
			time.Sleep(pause)
		}
		return mcp.NewToolResultText("Tool with logging executed successfully"), nil
	}
	add(s, "test_tool_with_logging", logging)
	add(s, "test_logging_tool", logging)
	// Whoever subscribed is told of the change by the library.
	add(s, "test_trigger_tool_change", func(ctx context.Context, c call) (result, error) {
		add(s, "test_extra_tool", fixed(text("extra")))
		s.DeleteTools("test_extra_tool")
		return fixed(text("the list of tools has changed"))(ctx, c)
	})
	add(s, "test_trigger_prompt_change", func(ctx context.Context, c call) (result, error) {
		s.AddPrompt(mcp.NewPrompt("test_extra_prompt"), func(context.Context, mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			return &mcp.GetPromptResult{}, nil
		})
		s.DeletePrompts("test_extra_prompt")
		return fixed(text("the list of prompts has changed"))(ctx, c)
	})
	add(s, "test_tool_with_progress", func(ctx context.Context, r call) (result, error) {
		if r.Params.Meta == nil || r.Params.Meta.ProgressToken == nil {
			return mcp.NewToolResultText("no progress token"), nil
		}
		for _, done := range []int{0, 50, 100} {
			err := s.SendNotificationToClient(ctx, string(mcp.MethodNotificationProgress),
				object{"progressToken": r.Params.Meta.ProgressToken, "progress": done, "total": 100})
			if err != nil {
				return nil, err
			}
			time.Sleep(pause)
		}
		return mcp.NewToolResultText("progress reported"), nil
	})
}

func ask(message string, properties object, required ...string) mcp.ElicitationParams {
	schema := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		schema["required"] = required
	}
	return mcp.ElicitationParams{Mode: mcp.ElicitationModeForm, Message: message, RequestedSchema: schema}
}

// addServerRequests has the tools that ask the client something while they run (2025-11-25).
func addServerRequests(s *server.MCPServer) {
	s.AddTool(mcp.NewTool("test_sampling", mcp.WithDescription("fixture test_sampling"), mcp.WithString("prompt", mcp.Required())),
		func(ctx context.Context, r call) (result, error) {
			//lint:ignore SA1019 deprecated in the protocol, but a scenario of 2025-11-25 is about it
			res, err := s.RequestSampling(ctx, mcp.CreateMessageRequest{
				Request: mcp.Request{Method: string(mcp.MethodSamplingCreateMessage)},
				CreateMessageParams: mcp.CreateMessageParams{
					Messages:  []mcp.SamplingMessage{{Role: mcp.RoleUser, Content: text(r.GetString("prompt", ""))}},
					MaxTokens: 100,
				},
			})
			if err != nil {
				return mcp.NewToolResultError(err.Error()), nil
			}
			return mcp.NewToolResultText(fmt.Sprintf("LLM response: %v", res.Content)), nil
		})
	elicit := func(name, intro string, params func(call) mcp.ElicitationParams) {
		s.AddTool(mcp.NewTool(name, mcp.WithDescription("fixture "+name), mcp.WithString("message")),
			func(ctx context.Context, r call) (result, error) {
				if server.IsModernRequest(ctx) { // this protocol asks by an input-required result instead
					return server.NewInputRequestBuilder("").Elicit("answer", params(r)).ToolResult(), nil
				}
				res, err := s.RequestElicitation(ctx, mcp.ElicitationRequest{
					Request: mcp.Request{Method: string(mcp.MethodElicitationCreate)}, Params: params(r),
				})
				if err != nil {
					return mcp.NewToolResultError(err.Error()), nil
				}
				return mcp.NewToolResultText(fmt.Sprintf("%s: action=%s, content=%v", intro, res.Action, res.Content)), nil
			})
	}
	person := func(r call) mcp.ElicitationParams {
		return ask(r.GetString("message", "who are you?"), object{
			"username": object{"type": "string", "description": "User's response"},
			"email":    object{"type": "string", "description": "User's email address"},
		}, "username", "email")
	}
	elicit("test_elicitation", "User response", person)
	elicit("test_streaming_elicitation", "User response", person)
	elicit("test_elicitation_sep1034_defaults", "Elicitation completed", func(call) mcp.ElicitationParams {
		return ask("Provide your information", object{
			"name":     object{"type": "string", "default": "John Doe"},
			"age":      object{"type": "integer", "default": 30},
			"score":    object{"type": "number", "default": 95.5},
			"status":   object{"type": "string", "enum": []string{"active", "inactive", "pending"}, "default": "active"},
			"verified": object{"type": "boolean", "default": true},
		})
	})
	elicit("test_elicitation_sep1330_enums", "Elicitation completed", func(call) mcp.ElicitationParams {
		options := []string{"option1", "option2", "option3"}
		titled := []object{{"const": "value1", "title": "First Option"}, {"const": "value2", "title": "Second Option"}, {"const": "value3", "title": "Third Option"}}
		return ask("Select options", object{
			"untitledSingle": object{"type": "string", "enum": options},
			"titledSingle":   object{"type": "string", "oneOf": titled},
			"legacyEnum":     object{"type": "string", "enum": []string{"opt1", "opt2", "opt3"}, "enumNames": []string{"Option One", "Option Two", "Option Three"}},
			"untitledMulti":  object{"type": "array", "items": object{"type": "string", "enum": options}},
			"titledMulti":    object{"type": "array", "items": object{"anyOf": titled}},
		})
	})
}

func addResources(s *server.MCPServer) {
	s.AddResource(mcp.NewResource("test://static-text", "static-text", mcp.WithMIMEType("text/plain")),
		func(context.Context, mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
			return []mcp.ResourceContents{mcp.TextResourceContents{URI: "test://static-text", MIMEType: "text/plain", Text: "This is the content of the static text resource."}}, nil
		})
	s.AddResource(mcp.NewResource("test://static-binary", "static-binary", mcp.WithMIMEType("image/png")),
		func(context.Context, mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
			return []mcp.ResourceContents{mcp.BlobResourceContents{URI: "test://static-binary", MIMEType: "image/png", Blob: pixel}}, nil
		})
	s.AddResource(mcp.NewResource("test://watched-resource", "watched-resource", mcp.WithMIMEType("text/plain")),
		func(context.Context, mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
			return []mcp.ResourceContents{mcp.TextResourceContents{URI: "test://watched-resource", MIMEType: "text/plain", Text: "watched"}}, nil
		})
	s.AddResourceTemplate(mcp.NewResourceTemplate("test://template/{id}/data", "template", mcp.WithTemplateMIMEType("application/json")),
		func(_ context.Context, r mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
			id := strings.TrimSuffix(strings.TrimPrefix(r.Params.URI, "test://template/"), "/data")
			return []mcp.ResourceContents{mcp.TextResourceContents{
				URI: r.Params.URI, MIMEType: "application/json",
				Text: fmt.Sprintf(`{"id":%q,"templateTest":true,"data":%q}`, id, "Data for ID: "+id),
			}}, nil
		})
}

func addPrompts(s *server.MCPServer) {
	say := func(content ...mcp.Content) *mcp.GetPromptResult {
		var r mcp.GetPromptResult
		for _, c := range content {
			r.Messages = append(r.Messages, mcp.PromptMessage{Role: mcp.RoleUser, Content: c})
		}
		return &r
	}
	prompt := func(name string, f func(map[string]string) *mcp.GetPromptResult, arguments ...string) {
		opts := []mcp.PromptOption{mcp.WithPromptDescription("fixture " + name)}
		for _, a := range arguments {
			opts = append(opts, mcp.WithArgument(a, mcp.RequiredArgument()))
		}
		s.AddPrompt(mcp.NewPrompt(name, opts...), func(_ context.Context, r mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			return f(r.Params.Arguments), nil
		})
	}
	prompt("test_simple_prompt", func(map[string]string) *mcp.GetPromptResult {
		return say(text("This is a simple prompt for testing."))
	})
	prompt("test_prompt_with_arguments", func(a map[string]string) *mcp.GetPromptResult {
		return say(text(fmt.Sprintf("Prompt with arguments: arg1='%s', arg2='%s'", a["arg1"], a["arg2"])))
	}, "arg1", "arg2")
	prompt("test_prompt_with_embedded_resource", func(a map[string]string) *mcp.GetPromptResult {
		return say(mcp.NewEmbeddedResource(mcp.TextResourceContents{URI: a["resourceUri"], MIMEType: "text/plain", Text: "Embedded resource content for testing."}),
			text("Please process the embedded resource above."))
	}, "resourceUri")
	prompt("test_prompt_with_image", func(map[string]string) *mcp.GetPromptResult {
		return say(mcp.NewImageContent(pixel, "image/png"), text("Please analyze the image above."))
	})
	s.AddPrompt(mcp.NewPrompt("test_input_required_result_prompt", mcp.WithPromptDescription("fixture")),
		func(_ context.Context, r mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			answer := server.ElicitationResponse(r.Params.InputResponses, "user_context")
			if answer == nil {
				return server.NewInputRequestBuilder("").
					Elicit("user_context", ask("What context should the prompt use?", object{"context": object{"type": "string"}}, "context")).
					PromptResult(), nil
			}
			return say(text(fmt.Sprintf("Context: %v", answer.Content))), nil
		})
}

var errState = errors.New("the request state was tampered with")
