package front

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strconv"
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

	verdict *verdict // of the call at hand; nil where no answer of HTTP's is written
}

// Key stands for who calls: the principal, by whose word it is they, with their groups, and everybody who acts for them. A
// principal whose groups have changed has another key, so nothing kept under the old one is found again; and so has the same
// person by themself, through another agent, or somebody of their name at another provider. A token with other scopes has the same:
// a client that was told to get one goes on in its session.
func (c *Caller) Key() string {
	p := c.Principal
	return joined(append([]string{p.Name, string(p.Kind), p.Proof.Issuer}, p.Groups...), p.Chain())
}

// Grant stands for who calls and with what their token lets them do. What was had under one is not to be had under another.
func (c *Caller) Grant() string {
	p := c.Principal
	extra := []string{p.Proof.ACR, strconv.FormatBool(p.Proof.Scoped)}
	for _, a := range slices.Sorted(maps.Keys(p.Attributes)) {
		extra = append(extra, a, p.Attributes[a])
	}
	lists := [][]string{{c.Key()}, extra, p.Proof.Scopes}
	for _, s := range p.Proof.Scopes { // what a scope lets be done may change with the configuration
		var lets []string
		for _, a := range p.Proof.Grants[s] {
			lets = append(lets, string(a))
		}
		lists = append(lists, lets)
	}
	return joined(lists...)
}

// Proven stands for the caller with the very credentials of this message: a session with a database ends with those that
// opened it.
func (c *Caller) Proven() string {
	token, _ := c.Credentials.(access.Bearer)
	sum := sha256.Sum256([]byte(token))
	return joined([]string{c.Grant(), string(sum[:])})
}

// joined writes lists so that no two of them are written alike, whatever is in them: providers choose some of the names.
func joined(lists ...[]string) string {
	var b strings.Builder
	for _, l := range lists {
		fmt.Fprintf(&b, "%d:", len(l))
		for _, s := range l {
			fmt.Fprintf(&b, "%d:%s", len(s), s)
		}
	}
	return b.String()
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
