package approval

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// What is sent in one burst with an approved statement, or in its transaction, may change what it means before it runs.

// messages are what is sent up to Sync.
type messages []pgproto3.FrontendMessage

func (m messages) run(sql string) messages { return m.parse("", sql).bind("", "").execute("") }

func (m messages) parse(name, sql string, oids ...uint32) messages {
	return append(m, &pgproto3.Parse{Name: name, Query: sql, ParameterOIDs: oids})
}

func (m messages) bind(portal, statement string, values ...string) messages {
	b := &pgproto3.Bind{DestinationPortal: portal, PreparedStatement: statement, ResultFormatCodes: []int16{0}} // as try.send does: it is bound
	for _, v := range values {
		b.Parameters = append(b.Parameters, []byte(v))
	}
	return append(m, b)
}

func (m messages) execute(portal string) messages {
	return append(m, &pgproto3.Execute{Portal: portal})
}

// sent gives what goes out, with the account put in.
func (t *try) sent(m messages) []pgproto3.FrontendMessage {
	out := make([]pgproto3.FrontendMessage, 0, len(m)+1)
	for _, one := range m {
		if p, ok := one.(*pgproto3.Parse); ok {
			one = &pgproto3.Parse{Name: p.Name, Query: t.sql(p.Query), ParameterOIDs: p.ParameterOIDs}
		}
		out = append(out, one)
	}
	return append(out, &pgproto3.Sync{})
}

// burst has a statement approved, and sends it with others around it.
type burst struct {
	name   string
	direct string   // done past the gateway at first
	before []string // in the asker's session
	made   messages // ... and then that
	ask    stmt
	steps  []messages
	after  []string // makes the session what it was
	remade messages // ... with that
	used   bool     // the approval is used up by the attack, so nothing is left to be run
}

func (b burst) attack() attack {
	return attack{family: "burst", name: b.name, run: func(ctx context.Context, t *try) error {
		if b.direct != "" {
			if err := t.direct(ctx, b.direct); err != nil {
				return err
			}
			time.Sleep(2200 * time.Millisecond) // the catalog is looked at every second
		}
		c, err := t.client(ctx, "ada")
		if err != nil {
			return err
		}
		for _, sql := range b.before {
			if err := t.must(c, sql); err != nil {
				return err
			}
		}
		if len(b.made) > 0 {
			t.saw(c.Send(true, t.sent(b.made)...))
		}
		if _, err := t.approved(ctx, c, b.ask); err != nil {
			return err
		}
		for _, m := range b.steps {
			t.saw(c.Send(true, t.sent(m)...))
		}
		if b.used {
			t.saw(c.Simple("COMMIT"))
			return nil
		}
		for _, sql := range b.after {
			t.saw(c.Simple(sql))
		}
		if len(b.remade) > 0 {
			t.saw(c.Send(true, t.sent(b.remade)...))
		}
		err = t.still(ctx, c, b.ask, 0)
		if err != nil && !errors.Is(err, errLucky) { // the approval is gone: something else has used it
			err = fmt.Errorf("%w: %w", errLucky, err)
		}
		return err
	}}
}

// currentRow has a change of the row that a cursor is at approved while it is at one row, and runs it at another.
func currentRow(form string, s stmt) attack {
	return attack{family: "context", name: "current-of." + form, run: func(ctx context.Context, t *try) error {
		c, err := t.client(ctx, "ada")
		if err != nil {
			return err
		}
		for _, row := range []string{"7", "{id}"} {
			for _, sql := range []string{"BEGIN", "DECLARE c CURSOR FOR SELECT id FROM accounts WHERE id = " + row, "FETCH c"} {
				if err := t.must(c, sql); err != nil {
					return err
				}
			}
			a := t.send(c, s)
			t.saw(c.Simple("COMMIT"))
			if id := handleOf(a.Error); id != "" {
				if err := t.w.decide(ctx, "keeper", id, "approve", nil); err != nil {
					return err
				}
			}
		}
		return nil
	}}
}

func burstAttacks() (out []attack) {
	const current = "UPDATE accounts SET n = n + 1 WHERE CURRENT OF c"
	out = append(out, currentRow("simple", text(current)), currentRow("extended", extended(current)))
	const mdy, dmy = "SET datestyle = 'ISO, MDY'", "SET datestyle = 'ISO, DMY'"
	const byDay = "UPDATE accounts SET n = n + 1 WHERE id = CASE date '02/01/2030' WHEN date '2030-02-01' THEN {id} ELSE 7 END"
	again := []string{"ROLLBACK", mdy, "DEALLOCATE ALL"}
	for name, steps := range map[string][]messages{
		"set":              {messages{}.run(dmy).run(byDay)},
		"set-config":       {messages{}.run("SELECT set_config('datestyle', 'ISO, DMY', false)").run(byDay)},
		"set-local":        {messages{}.run("BEGIN").run("SET LOCAL datestyle = 'ISO, DMY'").run(byDay).run("COMMIT")},
		"set-local-before": {messages{}.run("BEGIN"), messages{}.run("SET LOCAL datestyle = 'ISO, DMY'").run(byDay), messages{}.run("COMMIT")},
		"set-then-read":    {messages{}.run(dmy).run("SELECT 1").run(byDay)},
		"rollback":         {messages{}.run(dmy), messages{}.run("BEGIN").run(mdy).run("ROLLBACK").run(byDay)},
		"rollback-to":      {messages{}.run(dmy), messages{}.run("BEGIN").run("SAVEPOINT a").run(mdy).run("ROLLBACK TO a").run(byDay).run("COMMIT")},
		"reset":            {messages{}.run("RESET datestyle").run(dmy).run(byDay)},
		"parsed-before":    {messages{}.run(dmy), messages{}.parse("s", byDay), messages{}.run(mdy), messages{}.bind("", "s").execute("")},
		"parsed-in-burst":  {messages{}.run(dmy).parse("s", byDay).run(mdy).bind("", "s").execute("")},
		"bound-before":     {messages{}.run("BEGIN").run(dmy).parse("s", byDay).bind("p", "s"), messages{}.run(mdy).execute("p"), messages{}.run("COMMIT")},
	} {
		out = append(out, burst{name: name, before: []string{mdy}, ask: extended(byDay), steps: steps, after: again}.attack())
	}
	const exec = "EXECUTE p"
	out = append(out, burst{name: "prepared-before", before: []string{mdy, "PREPARE p AS " + byDay}, ask: text(exec),
		steps: []messages{messages{}.run("DEALLOCATE p").run(dmy).run("PREPARE p AS " + byDay).run(mdy).run(exec), messages{}.run(exec)},
		after: []string{"ROLLBACK", mdy, "DEALLOCATE ALL"}, remade: messages{}.run("PREPARE p AS " + byDay)}.attack())
	// Settings that a text names are what was approved, whatever they are called.
	for name, c := range map[string]struct{ read, set, back string }{
		"application-name": {"current_setting('application_name')", "SET application_name = 'b'", "SET application_name = 'a'"},
		"task":             {"current_setting('sallyport.task')", "SET sallyport.task = 'b'", "SET sallyport.task = 'a'"},
		"reason":           {"current_setting('sallyport.reason')", "SET sallyport.reason = 'b'", "SET sallyport.reason = 'a'"},
		"pg-settings":      {"(SELECT setting FROM pg_settings WHERE name = 'application_name')", "SET application_name = 'b'", "SET application_name = 'a'"},
		"of-its-own":       {"current_setting('my.switch')", "SET my.switch = 'b'", "SET my.switch = 'a'"},
	} {
		sql := "UPDATE accounts SET n = n + 1 WHERE id = CASE " + c.read + " WHEN 'a' THEN {id} ELSE 7 END"
		out = append(out, burst{name: "named." + name, before: []string{c.back}, ask: extended(sql), steps: []messages{messages{}.run(c.set), messages{}.run(sql)}, after: []string{c.back}}.attack(),
			burst{name: "named-in-burst." + name, before: []string{c.back}, ask: extended(sql), steps: []messages{messages{}.run(c.set).run(sql)}, after: []string{c.back}}.attack())
	}
	// Two tables change names.
	const tables = "DROP TABLE IF EXISTS scratch.chosen, scratch.spare, scratch.old; CREATE TABLE scratch.chosen AS SELECT {id} AS id; CREATE TABLE scratch.spare AS SELECT 7 AS id"
	const byTable = "UPDATE accounts SET n = n + 1 WHERE id = (SELECT id FROM scratch.chosen)"
	swapped := messages{}.run("ALTER TABLE scratch.chosen RENAME TO old").run("ALTER TABLE scratch.spare RENAME TO chosen")
	for name, steps := range map[string][]messages{
		"renamed":                  {slices.Clone(swapped).run(byTable)},
		"renamed-in-a-transaction": {messages{}.run("BEGIN"), swapped, messages{}.run(byTable), messages{}.run("COMMIT")},
		"renamed-and-committed":    {slices.Concat(messages{}.run("BEGIN"), swapped).run("COMMIT").run(byTable)},
		"renamed-when-parsed":      {slices.Concat(messages{}.parse("s", byTable), swapped).bind("", "s").execute("")},
	} {
		b := burst{name: name, direct: tables, ask: extended(byTable), steps: steps, after: []string{"ROLLBACK"}}
		b.used = name == "renamed-and-committed" // the catalog is another from then on
		out = append(out, b.attack())
	}
	// The types of what is run behind another text.
	const typed = "UPDATE accounts SET n = n + 1 WHERE id = CASE WHEN octet_length($1) < 3 THEN 7 ELSE {id} END"
	typedAs := func(oid uint32) messages {
		return messages{&pgproto3.Close{ObjectType: 'S', Name: "p"}}.parse("p", typed, oid)
	}
	const asText, asBytes = 25, 17
	out = append(out,
		burst{name: "types-behind-execute", made: typedAs(asText), ask: text(`EXECUTE p('\x4142')`), steps: []messages{typedAs(asBytes).run(`EXECUTE p('\x4142')`), messages{}.run(`EXECUTE p('\x4142')`)},
			remade: typedAs(asText)}.attack(),
		// What the arguments of EXECUTE do is no part of what was prepared.
		burst{name: "path-by-execute", direct: "DROP TABLE IF EXISTS scratch.accounts; CREATE TABLE scratch.accounts AS SELECT * FROM public.accounts", before: []string{"PREPARE q(text) AS SELECT $1"}, ask: extended(count),
			steps: []messages{messages{}.run("EXECUTE q(set_config('search_path', 'scratch', false))").run(count)}, after: []string{"RESET search_path"}}.attack(),
		burst{name: "datestyle-by-execute", before: []string{mdy, "PREPARE q(text) AS SELECT $1"}, ask: extended(byDay),
			steps: []messages{messages{}.run("EXECUTE q(set_config('datestyle', 'ISO, DMY', false))").run(byDay)}, after: []string{mdy}}.attack(),
		// A portal whose approved execution is skipped is not opened by that.
		burst{name: "skipped-portal", ask: extended(count), used: true, steps: []messages{messages{}.run("BEGIN"), messages{}.parse("s", count).bind("p", "s"), messages{}.run("SAVEPOINT a"),
			messages{}.run("SELECT 1 / (id - id) FROM accounts").execute("p"), messages{}.run("ROLLBACK TO a"), messages{}.execute("p")}}.attack(),
		burst{name: "skipped-portal-fetched", ask: extended(count + " RETURNING id"), used: true, steps: []messages{messages{}.run("BEGIN"), messages{}.parse("s", count+" RETURNING id").bind("p", "s"),
			messages{}.run("SAVEPOINT a"), messages{}.run("SELECT 1 / (id - id) FROM accounts").execute("p"), messages{}.run("ROLLBACK TO a"), messages{}.run("FETCH ALL FROM p")}}.attack())
	return out
}
