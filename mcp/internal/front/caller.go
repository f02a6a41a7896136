package front

import (
	"context"
	"strings"

	"sallyport/internal/access"
)

// Caller is who sent a message. The MCP library hands nothing but a context to tool handlers, so a
// Caller travels in one; it is put there after the credentials have been verified for this very
// message, and read only by package mcp.
type Caller struct {
	Credentials access.Credentials
	Principal   access.Principal
	Session     string // MCP session; "" in protocol 2026-07-28, which has none
	Client      string // remote address, or "stdio"
	Traceparent string // that the message claims in its _meta; anything
	OpensURLs   bool   // its client says that it shows its person a page where one is asked for (elicitation.url)
}

// Key stands for the principal with everything that decides what it may do: a principal whose groups
// have changed has another key, so nothing kept under the old one is found again.
func (c *Caller) Key() string {
	p := c.Principal
	return strings.Join(append([]string{p.Name, p.Actor, string(p.Kind)}, p.Groups...), "\x00")
}

type callerKey struct{}

// WithCaller gives a context that carries c.
func WithCaller(ctx context.Context, c *Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerFrom gives the caller of ctx, or nil: nobody.
func CallerFrom(ctx context.Context) *Caller {
	c, _ := ctx.Value(callerKey{}).(*Caller)
	return c
}
