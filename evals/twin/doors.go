package twin

import (
	"context"
	"regexp"
	"strings"

	"sallyport/evals/agent"
	"sallyport/evals/wire"
)

// door is one way to put a statement to a side: an entrance with a protocol.
type door struct {
	name    string
	applies func(Shape) bool
	// last runs the shape's last step; nil stands for the MCP door.
	last func(c *wire.Conn, sql string) wire.Answer
	mcp  func(ctx context.Context, c *agent.Client, sql string) wire.Answer
}

var selectLike = regexp.MustCompile(`(?is)^\s*(\(|select\b|values\b|table\b|with\b)`)

func always(Shape) bool { return true }

// reads applies to shapes whose last step can stand inside another statement.
func reads(s Shape) bool {
	last := s.Steps[len(s.Steps)-1]
	return selectLike.MatchString(last) && !strings.Contains(strings.TrimRight(last, "; \n"), ";") && !strings.Contains(last, "--")
}

func readsInTx(s Shape) bool { return reads(s) && !s.NoTx }

// doors are all ways. The first is the one that tells whether a shape is answered at the wire door.
var doors = []door{
	{name: "simple", applies: always, last: (*wire.Conn).Simple},
	{name: "extended-text", applies: always, last: func(c *wire.Conn, sql string) wire.Answer { return c.Extended(sql, 0, 0) }},
	{name: "extended-binary", applies: always, last: func(c *wire.Conn, sql string) wire.Answer { return c.Extended(sql, 1, 0) }},
	{name: "portal", applies: readsInTx, last: func(c *wire.Conn, sql string) wire.Answer { return c.Extended(sql, 0, 7) }},
	{name: "copy", applies: reads, last: func(c *wire.Conn, sql string) wire.Answer { return c.Simple("COPY (" + table(sql) + ") TO STDOUT") }},
	{name: "copy-binary", applies: reads, last: func(c *wire.Conn, sql string) wire.Answer {
		return c.Simple("COPY (" + table(sql) + ") TO STDOUT (FORMAT binary)")
	}},
	{name: "cursor", applies: readsInTx, last: func(c *wire.Conn, sql string) wire.Answer {
		a := c.Simple("DECLARE evals_c CURSOR FOR " + sql)
		if a.Failed() {
			return a
		}
		for _, next := range []string{"FETCH 3 FROM evals_c", "MOVE 1 IN evals_c", "FETCH ALL FROM evals_c", "CLOSE evals_c"} {
			a = join(a, c.Simple(next))
		}
		return a
	}},
	{name: "explain", applies: reads, last: func(c *wire.Conn, sql string) wire.Answer { return c.Simple("EXPLAIN (VERBOSE) " + sql) }},
	{name: "prepare", applies: reads, last: func(c *wire.Conn, sql string) wire.Answer {
		a := c.Simple("PREPARE evals_p AS " + sql)
		if a.Failed() {
			return a
		}
		return join(join(a, c.Simple("EXECUTE evals_p")), c.Simple("DEALLOCATE evals_p"))
	}},
	{name: "mcp-query", applies: always, mcp: func(ctx context.Context, c *agent.Client, sql string) wire.Answer { return c.Query(ctx, sql) }},
	{name: "mcp-explain", applies: reads, mcp: func(ctx context.Context, c *agent.Client, sql string) wire.Answer { return c.Explain(ctx, sql) }},
}

// plainly is how statements go around the gateway.
var plainly = door{name: "direct", applies: always, last: (*wire.Conn).Simple}

// table spells TABLE x so that it can stand in parentheses everywhere.
func table(sql string) string { return strings.TrimRight(sql, "; \n") }

func join(a, b wire.Answer) wire.Answer {
	a.Lines = append(a.Lines, b.Lines...)
	a.Rows += b.Rows
	if a.Code == "" {
		a.Code, a.Error, a.Hint = b.Code, b.Error, b.Hint
	}
	return a
}

// client asks one side through one door, with a connection that it keeps while it is clean.
type client struct {
	dsn   string
	side  *Side
	conn  *wire.Conn
	agent *agent.Client
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
	if c.agent != nil {
		c.agent.Close()
		c.agent = nil
	}
}

// run puts a shape to the side and leaves no trace of it, where it can run in a transaction.
func (c *client) run(ctx context.Context, d door, s Shape) wire.Answer {
	if d.mcp != nil {
		return c.runMCP(ctx, d, s)
	}
	if c.conn == nil || c.conn.Dead {
		conn, err := wire.Dial(ctx, c.dsn)
		if err != nil {
			return wire.Answer{Code: "CLOSED", Error: err.Error(), Lines: []string{"connect: " + err.Error()}}
		}
		c.conn = conn
	}
	var a wire.Answer
	if !s.NoTx {
		a = c.conn.Simple("BEGIN")
	}
	for i, step := range s.Steps {
		if i == len(s.Steps)-1 {
			a = join(a, d.last(c.conn, step))
		} else {
			a = join(a, c.conn.Simple(step))
		}
	}
	if !s.NoTx {
		a = join(a, c.conn.Simple("ROLLBACK"))
	}
	if s.NoTx || len(s.Steps) > 1 || a.Failed() { // settings and prepared statements outlive a rollback
		c.conn.Close()
		c.conn = nil
	}
	return a
}

func (c *client) runMCP(ctx context.Context, d door, s Shape) wire.Answer {
	if c.agent == nil {
		ag, err := agent.Dial(ctx, c.side.Gateway.MCPURL, Secret+"-token-0123456789", Database)
		if err != nil {
			return wire.Answer{Code: "CLOSED", Error: err.Error(), Lines: []string{"connect: " + err.Error()}}
		}
		c.agent = ag
	}
	var a wire.Answer
	for i, step := range s.Steps {
		if i == len(s.Steps)-1 {
			a = join(a, d.mcp(ctx, c.agent, step))
		} else {
			a = join(a, c.agent.Query(ctx, step))
		}
	}
	return a
}
