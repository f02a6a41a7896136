package attack

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"sallyport/evals/agent"
	entrance "sallyport/evals/doors"
	"sallyport/evals/wire"
)

// A door is a way in.
type door struct {
	name string
	send func(c *wire.Conn, sql string) wire.Answer // nil: the agents' query tool
}

var doors = []door{
	{"simple", (*wire.Conn).Simple},
	{"extended", func(c *wire.Conn, sql string) wire.Answer { return c.Extended(sql, 0, 0) }},
	{"mcp", nil},
}

// client sends attacks through one door as one principal, in a session that it keeps while it lives.
type client struct {
	w         *world
	door      door
	principal string
	settings  string // of a fresh session
	entrance.Sessions
}

func (c *client) dial(ctx context.Context) (err error) {
	if c.door.send == nil {
		if c.Agent == nil {
			c.Agent, err = agent.Dial(ctx, c.w.gateway.MCPURL, bearer, database)
		}
		return err
	}
	if c.Conn == nil || c.Conn.Dead {
		if c.Conn, err = wire.Dial(ctx, c.w.gateway.DSN(c.principal, secret, database)); err == nil && c.settings == "" {
			c.settings = c.sessionSettings()
		}
	}
	return err
}

// outcome is what the client saw of one attack.
type outcome struct {
	answered bool // without an error
	code     string
	message  string
	seen     []string // effects that only a client can see: a canary, the time it took, the session's settings
}

// slow is what no statement takes unless it sleeps.
const slow = 1100 * time.Millisecond

// send runs the steps and looks at the answers. Inside of an open transaction, held is called before it ends.
func (c *client) send(ctx context.Context, steps []string, held func()) (o outcome, err error) {
	if err := c.dial(ctx); err != nil {
		return o, err
	}
	var a wire.Answer
	var sleeps bool
	for _, step := range steps {
		start := time.Now()
		var one wire.Answer
		if c.door.send == nil {
			one = c.Agent.Query(ctx, step)
		} else {
			one = c.door.send(c.Conn, step)
		}
		sleeps = sleeps || time.Since(start) > slow
		a.Lines = append(a.Lines, one.Lines...)
		if a.Code == "" {
			a.Code, a.Error = one.Code, one.Error
		}
	}
	o.answered, o.code, o.message = a.Code == "", a.Code, a.Error
	if sleeps {
		o.seen = append(o.seen, "time")
	}
	if showsCanary(a.Lines) {
		o.seen = append(o.seen, "canary")
	}
	if c.door.send == nil || c.Conn.Dead {
		return o, nil
	}
	switch transaction(a.Lines) {
	case 'T':
		held()
		c.Conn.Simple("COMMIT")
	case 'E':
		c.Conn.Simple("ROLLBACK")
	}
	if o.answered && !c.Conn.Dead {
		if now := c.sessionSettings(); now != c.settings {
			o.seen = append(o.seen, "setting: "+changed(c.settings, now))
			c.Close()
		}
	}
	return o, nil
}

// transaction is the status in the last ReadyForQuery.
func transaction(lines []string) byte {
	for _, l := range slices.Backward(lines) {
		if strings.HasPrefix(l, "Z ") && len(l) == 3 {
			return l[2]
		}
	}
	return 'I'
}

// free settings are a client's own, or follow from them.
var free = []string{"search_path", "default_transaction_read_only", "transaction_read_only", "transaction_isolation", "transaction_deferrable", "xmloption", "application_name"}

// sessionSettings are those of the client's session as it can read them. SHOW ALL leaves some out.
func (c *client) sessionSettings() string {
	var all []string
	for _, sql := range []string{"SHOW ALL", "SHOW role", "SHOW session_authorization", "SELECT current_user, session_user",
		"SELECT current_setting('my.setting', true), md5(current_setting('sallyport.ipad', true))"} {
		for _, l := range c.Conn.Simple(sql).Lines {
			if name, _, _ := strings.Cut(strings.TrimPrefix(l, `D "`), `"`); strings.HasPrefix(l, "D ") && !slices.Contains(free, name) && !loaded(name) {
				all = append(all, l)
			}
		}
	}
	return strings.Join(all, "\n")
}

// loaded settings turn up when their library is loaded, which a call to whatever is in it does.
func loaded(name string) bool {
	return strings.HasPrefix(name, "plpgsql.") || strings.HasPrefix(name, "postgres_fdw.")
}

func changed(before, after string) string {
	var all []string
	old := strings.Split(before, "\n")
	for l := range strings.SplitSeq(after, "\n") {
		if !slices.Contains(old, l) {
			all = append(all, l[:min(len(l), 60)])
		}
	}
	return strings.Join(all, ", ")
}

// forms of the canary in answers: as it is, in hex (also as bytea is written), in base64, reversed.
var forms = func() []string {
	all := []string{canary, hex.EncodeToString([]byte(canary)), "F7YRANAC"}
	for shift := range 3 {
		s := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + canary))
		all = append(all, s[(shift*8+5)/6+1:len(s)-4])
	}
	for i := range all {
		all[i] = strings.ToLower(all[i])
	}
	return all
}()

func showsCanary(lines []string) bool {
	for _, l := range lines {
		l = strings.ToLower(l)
		for _, f := range forms {
			if strings.Contains(l, f) {
				return true
			}
		}
	}
	return false
}

// hears sends a notification and tells whether the client's session gets it.
func (c *client) hears(ctx context.Context) bool {
	if c.Conn == nil || c.Conn.Dead {
		return false
	}
	if _, err := c.w.direct.Exec(ctx, "notify alarm"); err != nil {
		return false
	}
	c.w.notified(ctx)
	for range 3 {
		for _, l := range c.Conn.Simple("SELECT 1").Lines {
			if strings.HasPrefix(l, "A ") {
				return true
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}
