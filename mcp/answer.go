package mcp

import (
	"fmt"
	"strings"

	sdk "github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"sallyport/internal/access"
)

// answer is what a tool gives: structured content, and the same in compact text for clients that show
// their model only that.
type answer struct {
	structured any
	text       string

	open  *sdk.ElicitationParams // a page that the client is to show its person first, instead of the above
	state string                 // what it brings with the person's answer (2026-07-28)
}

func (a *answer) result() *sdk.CallToolResult {
	if a.open != nil {
		return server.NewInputRequestBuilder(a.state).Elicit(reviewPage, *a.open).ToolResult()
	}
	return &sdk.CallToolResult{
		Content:           []sdk.Content{sdk.NewTextContent(a.text)},
		StructuredContent: a.structured,
	}
}

// refusedBody is the structured content of a refusal.
type refusedBody struct {
	Refused refused `json:"refused"`
}

type refused struct {
	Kind     string `json:"kind"`
	Code     string `json:"code"` // SQLSTATE
	Message  string `json:"message"`
	Hint     string `json:"hint,omitempty"`
	Position int    `json:"position,omitempty"` // character in the statement, from 1
}

// messageMost is how many characters of an error a model is given.
const messageMost = 2000

// refusal turns an error into a tool result. Err, the operator's part, stays here.
func refusal(e *access.Error) *sdk.CallToolResult {
	r := refused{
		Kind:     e.Kind.String(),
		Code:     e.Code,
		Message:  clip(harmless(e.Message), messageMost), // a failed cast prints the whole value
		Hint:     clip(harmless(e.Hint), messageMost),
		Position: e.Position,
	}
	if r.Code == "" {
		r.Code = "XX000"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "refused (%s, %s): %s", r.Kind, r.Code, r.Message)
	if r.Position > 0 {
		fmt.Fprintf(&b, " (at character %d)", r.Position)
	}
	if r.Hint != "" {
		fmt.Fprintf(&b, "\nhint: %s", r.Hint)
	}
	return &sdk.CallToolResult{
		Content:           []sdk.Content{sdk.NewTextContent(b.String())},
		StructuredContent: refusedBody{r},
		IsError:           true,
	}
}
