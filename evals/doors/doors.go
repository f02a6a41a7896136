// Package doors puts statements to a gateway, or to a server directly, in every way that a client has:
// the simple and the extended protocol, text and binary, portals read in parts, COPY, cursors, PREPARE,
// EXPLAIN, and the agents' tools.
//
// It trusts nothing and decides nothing: an Answer is what came back. Start with All and Client.
package doors

import (
	"context"
	"regexp"
	"strings"

	"sallyport/evals/agent"
	"sallyport/evals/wire"
)

// Statement is one statement, or a few in a row on one connection.
type Statement struct {
	Steps []string // run one after the other; the door's protocol applies to the last
	NoTx  bool     // must not run inside a transaction
}

// SQL is the statement's text for listings.
func (s Statement) SQL() string { return strings.Join(s.Steps, " ;; ") }

// Door is one way to put a statement to a side: an entrance with a protocol.
type Door struct {
	Name    string
	Applies func(Statement) bool
	// last runs the shape's last step; nil stands for the MCP door.
	last func(c *wire.Conn, sql string) wire.Answer
	mcp  func(ctx context.Context, c *agent.Client, sql string) wire.Answer
}

var selectLike = regexp.MustCompile(`(?is)^\s*(\(|select\b|values\b|table\b|with\b)`)

func always(Statement) bool { return true }

// Reads applies to statements whose last step can stand inside another one.
func Reads(s Statement) bool {
	last := s.Steps[len(s.Steps)-1]
	return selectLike.MatchString(last) && !strings.Contains(strings.TrimRight(last, "; \n"), ";") && !strings.Contains(last, "--")
}

func readsInTx(s Statement) bool { return Reads(s) && !s.NoTx }

// MCP says whether it is a door of the agents', which keeps nothing between calls.
func (d Door) MCP() bool { return d.mcp != nil }

// All are all ways. The first is the one that tells whether a statement is answered at the wire door.
var All = []Door{
	{Name: "simple", Applies: always, last: (*wire.Conn).Simple},
	{Name: "extended-text", Applies: always, last: func(c *wire.Conn, sql string) wire.Answer { return c.Extended(sql, 0, 0) }},
	{Name: "extended-binary", Applies: always, last: func(c *wire.Conn, sql string) wire.Answer { return c.Extended(sql, 1, 0) }},
	{Name: "portal", Applies: readsInTx, last: func(c *wire.Conn, sql string) wire.Answer { return c.Extended(sql, 0, 7) }},
	{Name: "copy", Applies: Reads, last: func(c *wire.Conn, sql string) wire.Answer { return c.Simple("COPY (" + table(sql) + ") TO STDOUT") }},
	{Name: "copy-binary", Applies: Reads, last: func(c *wire.Conn, sql string) wire.Answer {
		return c.Simple("COPY (" + table(sql) + ") TO STDOUT (FORMAT binary)")
	}},
	{Name: "cursor", Applies: readsInTx, last: func(c *wire.Conn, sql string) wire.Answer {
		a := c.Simple("DECLARE evals_c CURSOR FOR " + sql)
		if a.Failed() {
			return a
		}
		for _, next := range []string{"FETCH 3 FROM evals_c", "MOVE 1 IN evals_c", "FETCH ALL FROM evals_c", "CLOSE evals_c"} {
			a = join(a, c.Simple(next))
		}
		return a
	}},
	{Name: "explain", Applies: Reads, last: func(c *wire.Conn, sql string) wire.Answer { return c.Simple("EXPLAIN (VERBOSE) " + sql) }},
	{Name: "prepare", Applies: Reads, last: func(c *wire.Conn, sql string) wire.Answer {
		a := c.Simple("PREPARE evals_p AS " + sql)
		if a.Failed() {
			return a
		}
		return join(join(a, c.Simple("EXECUTE evals_p")), c.Simple("DEALLOCATE evals_p"))
	}},
	{Name: "mcp-query", Applies: always, mcp: func(ctx context.Context, c *agent.Client, sql string) wire.Answer { return c.Query(ctx, sql) }},
	{Name: "mcp-explain", Applies: Reads, mcp: func(ctx context.Context, c *agent.Client, sql string) wire.Answer { return c.Explain(ctx, sql) }},
}

// Direct is how statements go around the gateway.
var Direct = Door{Name: "direct", Applies: always, last: (*wire.Conn).Simple}

// table spells TABLE x so that it can stand in parentheses everywhere.
func table(sql string) string { return strings.TrimRight(sql, "; \n") }

func join(a, b wire.Answer) wire.Answer {
	a.Lines = append(a.Lines, b.Lines...)
	a.Values = append(a.Values, b.Values...)
	a.Rows += b.Rows
	if a.Code == "" {
		a.Code, a.Error, a.Hint = b.Code, b.Error, b.Hint
	}
	return a
}

// Target is what can be asked.
type Target struct {
	DSN                       string // of the PostgreSQL door, or of a server
	MCPURL, Token, Connection string // of the agents' door; "" where there is none
}

// Sessions are what a client holds open: a connection to the PostgreSQL door, a task at the agents', or neither.
type Sessions struct {
	Conn  *wire.Conn
	Agent *agent.Client
}

// Close ends them; the next use opens new ones.
func (s *Sessions) Close() {
	if s.Conn != nil {
		s.Conn.Close()
	}
	if s.Agent != nil {
		s.Agent.Close()
	}
	*s = Sessions{}
}

// Client asks one target, in sessions that it keeps while they are clean. Not for use by several at once.
type Client struct {
	Target
	Sessions
	Keep bool // also after errors and outside of transactions: the statements are known to leave nothing behind
}

// Run asks, and leaves no trace of it where the statement can run in a transaction.
func (c *Client) Run(ctx context.Context, d Door, s Statement) wire.Answer {
	if d.mcp != nil {
		return c.runMCP(ctx, d, s)
	}
	if c.Conn == nil || c.Conn.Dead {
		conn, err := wire.Dial(ctx, c.DSN)
		if err != nil {
			return wire.Answer{Code: "CLOSED", Error: err.Error(), Lines: []string{"connect: " + err.Error()}}
		}
		c.Conn = conn
	}
	var a wire.Answer
	if !s.NoTx {
		a = c.Conn.Simple("BEGIN")
	}
	for i, step := range s.Steps {
		if i == len(s.Steps)-1 {
			a = join(a, d.last(c.Conn, step))
		} else {
			a = join(a, c.Conn.Simple(step))
		}
	}
	if !s.NoTx {
		a = join(a, c.Conn.Simple("ROLLBACK"))
	}
	if !c.Keep && (s.NoTx || len(s.Steps) > 1 || a.Failed()) { // settings and prepared statements outlive a rollback
		c.Conn.Close()
		c.Conn = nil
	}
	return a
}

func (c *Client) runMCP(ctx context.Context, d Door, s Statement) wire.Answer {
	if c.Agent == nil {
		ag, err := agent.Dial(ctx, c.MCPURL, c.Token, c.Connection)
		if err != nil {
			return wire.Answer{Code: "CLOSED", Error: err.Error(), Lines: []string{"connect: " + err.Error()}}
		}
		c.Agent = ag
	}
	var a wire.Answer
	for i, step := range s.Steps {
		if i == len(s.Steps)-1 {
			a = join(a, d.mcp(ctx, c.Agent, step))
		} else {
			a = join(a, c.Agent.Query(ctx, step))
		}
	}
	return a
}

// serverErrors are SQLSTATE classes that a statement runs into while it computes with the values that
// it sees: an answer, as a masked database would give it. Everything else is a refusal.
var serverErrors = []string{"21", "22", "23", "P0"}

// Refused says whether an answer with this SQLSTATE was refused: not answered, and not an error of computing.
func Refused(code string) bool {
	for _, class := range serverErrors {
		if strings.HasPrefix(code, class) {
			return false
		}
	}
	return code != ""
}
