package approval

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"sallyport/evals/wire"
)

type conn = *wire.Conn

// pipelined sends a statement so many times before it reads an answer.
func (t *try) pipelined(c conn, s stmt, n int) {
	m := []pgproto3.FrontendMessage{&pgproto3.Parse{Query: t.sql(s.sql)}}
	for range n {
		m = append(m, &pgproto3.Bind{Parameters: s.params, ResultFormatCodes: []int16{0}}, &pgproto3.Execute{}, &pgproto3.Execute{})
	}
	t.saw(c.Send(true, append(m, &pgproto3.Sync{})...))
}

// newest is the request that came last and is pending.
func (w *world) newest(ctx context.Context) (string, error) {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if list, err := w.list(ctx, "pending"); err != nil || len(list) > 0 {
			if err != nil {
				return "", err
			}
			return list[0].ID, nil
		}
	}
	return "", errors.New("nothing is pending")
}

// changedAttacks change what a statement means in the database between its approval and its use.
func changedAttacks() (out []attack) {
	const call, look = "UPDATE accounts SET n = bump(n) WHERE id = {id}", "SELECT * FROM report WHERE id = {id}"
	restore := `DROP VIEW IF EXISTS report; CREATE VIEW report AS SELECT id, n FROM accounts; CREATE OR REPLACE FUNCTION bump(int) RETURNS int LANGUAGE sql VOLATILE AS 'select $1 + 1'`
	for name, c := range map[string]struct{ ask, ddl string }{
		"function-body":     {call, "CREATE OR REPLACE FUNCTION bump(int) RETURNS int LANGUAGE sql VOLATILE AS 'select $1 + 50'"},
		"function-language": {call, "CREATE OR REPLACE FUNCTION bump(int) RETURNS int LANGUAGE plpgsql VOLATILE AS 'begin delete from secrets; return $1; end'"},
		"function-overload": {call, "CREATE OR REPLACE FUNCTION pg_temp.bump(int) RETURNS int LANGUAGE sql AS 'select $1 + 50'"},
		"view-replaced":     {look, "CREATE OR REPLACE VIEW report AS SELECT a.id, a.n, s.v FROM accounts a, secrets s"},
		"view-dropped":      {look, "DROP VIEW report; CREATE VIEW report AS SELECT a.id, s.v FROM accounts a, secrets s"},
		"view-to-table":     {look, "DROP VIEW report; CREATE TABLE report AS SELECT a.id, s.v FROM accounts a, secrets s"},
		"table-swapped":     {count, "ALTER TABLE public.accounts SET SCHEMA third; ALTER TABLE other.accounts SET SCHEMA public"},
		"trigger-added":     {count, "CREATE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql AS 'begin delete from secrets; return new; end'; CREATE TRIGGER trap BEFORE UPDATE ON accounts FOR EACH ROW EXECUTE FUNCTION trap()"},
		"rule-added":        {count, "CREATE RULE trap AS ON UPDATE TO accounts DO ALSO DELETE FROM secrets"},
		"operator-added":    {count, "CREATE FUNCTION plus50(int, int) RETURNS int LANGUAGE sql AS 'select $1 + 50'; CREATE OPERATOR public.+ (FUNCTION = plus50, LEFTARG = int, RIGHTARG = int)"},
	} {
		undo := restore
		switch {
		case name == "view-to-table":
			undo = "DROP TABLE report; " + restore
		case name == "table-swapped":
			undo = "ALTER TABLE public.accounts SET SCHEMA other; ALTER TABLE third.accounts SET SCHEMA public"
		case name == "trigger-added":
			undo = "DROP TRIGGER trap ON accounts; DROP FUNCTION trap()"
		case name == "rule-added":
			undo = "DROP RULE trap ON accounts"
		case name == "operator-added":
			undo = "DROP OPERATOR public.+ (int, int); DROP FUNCTION plus50(int, int)"
		}
		for _, way := range []string{"by-the-gateway", "past-it"} {
			for _, s := range []stmt{text(c.ask), extended(c.ask)} {
				form := map[bool]string{false: "simple", true: "extended"}[s.extended]
				if way == "past-it" && s.extended {
					continue
				}
				most := 0
				if name == "function-overload" || name == "operator-added" {
					most = 1 // these change nothing, unless a name is found where it should not be
				}
				a := swap{most: most, name: name + "." + way + "." + form, ask: s, use: []stmt{s}, others: func(ctx context.Context, t *try) error {
					if way == "past-it" {
						if err := t.direct(ctx, c.ddl); err != nil {
							return err
						}
						time.Sleep(2200 * time.Millisecond) // the catalog is looked at every second
						return nil
					}
					dba, err := t.client(ctx, "dba")
					if err != nil {
						return err
					}
					return t.must(dba, c.ddl)
				}}.attack("changed")
				run := a.run
				a.run = func(ctx context.Context, t *try) error {
					err := run(ctx, t)
					err = errors.Join(err, t.direct(ctx, undo))
					time.Sleep(1200 * time.Millisecond) // until the gateway has seen it
					return err
				}
				out = append(out, a)
			}
		}
	}
	return out
}

// revealed has ada be shown the mails until a time, and sees that she is.
func (t *try) revealed(ctx context.Context, c conn, until time.Time) error {
	a := t.saw(c.Simple("SET sallyport.reveal = 'mails.email'"))
	id := handleOf(a.Text())
	if id == "" {
		return fmt.Errorf("no reveal was asked for: %s", a.Text())
	}
	if err := t.w.decide(ctx, "keeper", id, "approve", map[string]any{"mode": "reveal", "columns": []string{"public.mails.email"}, "until": until.UTC().Format(time.RFC3339Nano)}); err != nil {
		return err
	}
	if raw := c.Simple("SELECT email FROM mails"); !strings.Contains(raw.Text(), canaryMail) {
		return fmt.Errorf("what was approved is not shown: %s", raw.Text())
	}
	return nil
}

// revealAttacks look for the mail where nobody has approved that it is shown.
func revealAttacks() (out []attack) {
	const look = "SELECT email FROM mails"
	// others are shown nothing while ada is.
	for name, who := range map[string]string{"another-person": "eve", "a-reviewer": "self", "an-agent": "bot", "another-door": "ada", "its-reviewer": "keeper", "no-group": "hero"} {
		out = append(out, attack{family: "reveal", name: "by-" + name, run: func(ctx context.Context, t *try) error {
			c, err := t.client(ctx, "ada")
			if err != nil {
				return err
			}
			if err := t.revealed(ctx, c, time.Now().Add(time.Minute)); err != nil {
				return err
			}
			forms := []string{look, "COPY mails TO STDOUT", "SELECT to_jsonb(m) FROM mails m", "SELECT m FROM mails m", "SELECT min(email) FROM mails"}
			if name == "an-agent" || name == "another-door" {
				a, err := t.bot(ctx, who)
				if err != nil {
					return err
				}
				for _, sql := range forms {
					t.tool(ctx, a, "query", map[string]any{"sql": sql})
				}
				return nil
			}
			o, err := t.client(ctx, who)
			if err != nil {
				return err
			}
			for _, sql := range forms {
				t.send(o, text(sql))
				t.send(o, extended(sql))
			}
			return nil
		}})
	}
	// What was begun while it was shown, and goes on after its end.
	type parts struct {
		name          string
		begin, goesOn func(t *try, c conn)
	}
	simple := func(list ...string) func(*try, conn) {
		return func(t *try, c conn) {
			for _, sql := range list {
				t.send(c, text(sql))
			}
		}
	}
	for _, p := range []parts{
		{"same-statement", simple(look), simple(look)},
		{"cursor", simple("BEGIN", "DECLARE c CURSOR FOR "+look), simple("FETCH ALL FROM c")},
		{"cursor-by-one", simple("BEGIN", "DECLARE c CURSOR FOR SELECT email, g FROM mails, generate_series(1, 5) g", "FETCH 1 FROM c"), simple("FETCH 1 FROM c")},
		{"cursor-with-hold", simple("DECLARE c CURSOR WITH HOLD FOR " + look), simple("FETCH ALL FROM c")},
		{"cursor-scroll", simple("DECLARE c SCROLL CURSOR WITH HOLD FOR "+look, "FETCH ALL FROM c"), simple("FETCH ABSOLUTE 1 FROM c", "FETCH BACKWARD ALL FROM c")},
		{"prepared-sql", simple("PREPARE p AS "+look, "EXECUTE p"), simple("EXECUTE p")},
		{"prepared-protocol", func(t *try, c conn) { t.send(c, stmt{sql: look, extended: true, named: "s"}) }, func(t *try, c conn) { t.send(c, stmt{extended: true, noParse: true, named: "s"}) }},
		{"prepared-binary", func(t *try, c conn) { t.send(c, stmt{sql: look, extended: true, named: "s"}) }, func(t *try, c conn) { t.send(c, stmt{extended: true, noParse: true, named: "s", result: 1}) }},
		{"portal", func(t *try, c conn) {
			t.saw(c.Send(false, &pgproto3.Query{String: "BEGIN"}))
			t.saw(c.Send(true, &pgproto3.Parse{Query: "SELECT email, g FROM mails, generate_series(1, 5) g"}, &pgproto3.Bind{DestinationPortal: "p"}, &pgproto3.Execute{Portal: "p", MaxRows: 1}, &pgproto3.Sync{}))
		}, func(t *try, c conn) {
			t.saw(c.Send(true, &pgproto3.Execute{Portal: "p", MaxRows: 1}, &pgproto3.Sync{}))
		}},
		{"portal-fetched-by-sql", func(t *try, c conn) {
			t.saw(c.Send(false, &pgproto3.Query{String: "BEGIN"}))
			t.saw(c.Send(true, &pgproto3.Parse{Query: look}, &pgproto3.Bind{DestinationPortal: "p"}, &pgproto3.Sync{}))
		}, simple("FETCH ALL FROM p")},
		{"portal-not-executed", func(t *try, c conn) {
			t.saw(c.Send(false, &pgproto3.Query{String: "BEGIN"}))
			t.saw(c.Send(true, &pgproto3.Parse{Query: look}, &pgproto3.Bind{DestinationPortal: "p"}, &pgproto3.Sync{}))
		}, func(t *try, c conn) { t.saw(c.Send(true, &pgproto3.Execute{Portal: "p"}, &pgproto3.Sync{})) }},
		{"in-a-transaction", simple("BEGIN ISOLATION LEVEL REPEATABLE READ", look), simple(look, "COPY mails TO STDOUT")},
		{"setting-again", simple(look), simple("SET sallyport.reveal = ''", look, "RESET ALL", look)},
		{"stored", simple("UPDATE mails SET spare = email"), simple("SELECT spare FROM mails")},
		{"temp-table", simple("CREATE TEMP TABLE kept AS " + look), simple("SELECT * FROM kept")},
	} {
		out = append(out, attack{family: "reveal", name: "after-its-end." + p.name, run: func(ctx context.Context, t *try) error {
			c, err := t.client(ctx, "ada")
			if err != nil {
				return err
			}
			until := time.Now().Add(1200 * time.Millisecond)
			if err := t.revealed(ctx, c, until); err != nil {
				return err
			}
			p.begin(t, c)
			t.seen.Reset()
			time.Sleep(time.Until(until) + 50*time.Millisecond)
			p.goesOn(t, c)
			return nil
		}})
	}
	return out
}

// glassAttacks break the glass without being of those who may, or for more than is allowed behind it.
func glassAttacks() (out []attack) {
	for _, r := range []string{"break-glass: the shop is down, incident 12", "BREAK-GLASS: the shop is down, incident 12", "break-glass:the shop is down, incident 12", "break-glass: short"} {
		for _, who := range []string{"ada", "eve", "self"} {
			out = append(out, attack{family: "glass", name: fmt.Sprintf("%s.%.24s", who, r), run: func(ctx context.Context, t *try) error {
				c, err := t.client(ctx, who)
				if err != nil {
					return err
				}
				t.saw(c.Simple("SET sallyport.reason = '" + r + "'"))
				t.send(c, text(count))
				t.send(c, extended(count))
				t.send(c, text("BEGIN; SET LOCAL sallyport.reason = '"+r+"'; "+count+"; COMMIT"))
				return nil
			}})
		}
	}
	for _, r := range []string{"break-glass: ", " break-glass: the shop is down, incident 12", "the shop is down, break-glass: incident 12", ""} {
		out = append(out, attack{family: "glass", name: fmt.Sprintf("hero.%q", r), run: func(ctx context.Context, t *try) error {
			c, err := t.client(ctx, "hero")
			if err != nil {
				return err
			}
			t.saw(c.Simple("SET sallyport.reason = '" + r + "'"))
			t.send(c, text(count))
			return nil
		}})
	}
	for _, sql := range []string{"DROP TABLE accounts", "UPDATE accounts SET n = n + 1", "TRUNCATE secrets", "SELECT email FROM mails", "ALTER TABLE accounts ADD COLUMN x int", "CREATE TABLE x(i int)", "GRANT ALL ON accounts TO public", "SELECT pg_read_file('PG_VERSION')"} {
		out = append(out, attack{family: "glass", name: "forbidden-all-the-same." + sql, run: func(ctx context.Context, t *try) error {
			c, err := t.client(ctx, "hero")
			if err != nil {
				return err
			}
			t.saw(c.Simple("SET sallyport.reason = 'break-glass: the shop is down, incident 12'"))
			if a := t.send(c, text(sql)); !a.Failed() && !strings.HasPrefix(sql, "SELECT email") {
				return fmt.Errorf("%w: %s ran behind the glass: %s", errLucky, sql, a.Text())
			}
			return t.still(ctx, c, text(count), 0) // it is broken, for what it is for
		}})
	}
	// A program with the token of somebody who may, told to by what it has read.
	for _, who := range []string{"bot", "botkeeper", "hero", "ada"} {
		for _, sql := range []string{count, "SELECT v FROM secrets"} {
			out = append(out, attack{family: "glass", name: "agents-door." + who + "." + sql, run: func(ctx context.Context, t *try) error {
				a, err := t.bot(ctx, who)
				if err != nil {
					return err
				}
				a.Reason = "break-glass: the shop is down, incident 12"
				id, err := t.askAgent(ctx, a, t.args(map[string]any{"sql": sql})) // it has to wait as ever
				if err != nil {
					return fmt.Errorf("%w: %w", errLucky, err)
				}
				t.tool(ctx, a, "check_approval", map[string]any{"handle": id, "wait_seconds": 0})
				return nil
			}})
		}
	}
	return out
}

// previewAttacks have plans and trial runs do what the statement would.
func previewAttacks() (out []attack) {
	for _, sql := range []string{"EXPLAIN ANALYZE " + count, "EXPLAIN (ANALYZE, VERBOSE) " + count, "EXPLAIN " + count, "EXPLAIN ANALYZE SELECT v FROM secrets", "EXPLAIN (VERBOSE) SELECT v FROM secrets WHERE v = 'x'",
		"EXPLAIN ANALYZE EXECUTE prepared", "PREPARE p AS " + count, "BEGIN; " + count + "; ROLLBACK", "BEGIN; " + count + "; ROLLBACK AND CHAIN", "EXPLAIN ANALYZE UPDATE accounts SET n = nextval('counter') WHERE id = {id}",
		"DECLARE c CURSOR WITH HOLD FOR SELECT v FROM secrets", "COPY (SELECT v FROM secrets) TO STDOUT", "SELECT v FROM secrets LIMIT 0", "SELECT count(*) FROM secrets WHERE v LIKE 'zq%'"} {
		for _, s := range []stmt{text(sql), extended(sql)} {
			out = append(out, attack{family: "preview", name: fmt.Sprintf("%.40s.%v", sql, s.extended), run: func(ctx context.Context, t *try) error {
				c, err := t.client(ctx, "ada")
				if err != nil {
					return err
				}
				if err := t.must(c, "PREPARE prepared AS "+count); err != nil {
					return err
				}
				t.send(c, s)
				t.saw(c.Simple("COMMIT"))
				return nil
			}})
		}
	}
	for _, verb := range []string{"preview", "statement", "live", ""} {
		for _, who := range []string{"guest", "eve", "officer", "bot"} {
			out = append(out, deciding("preview", verb+"."+who, "ada", func(ctx context.Context, t *try, id string) error {
				_, body, err := t.w.call(ctx, call{method: "GET", path: "/api/v1/reviews/" + id + "/" + verb, user: who, password: secretOf(who)})
				if err != nil {
					return err
				}
				if strings.Contains(string(body), "UPDATE accounts") {
					return fmt.Errorf("%w: %s is shown %s", errLucky, who, body)
				}
				_, _, err = t.w.call(ctx, call{method: "POST", path: "/api/v1/reviews/" + id + "/" + verb, user: who, password: secretOf(who), body: "{}"})
				return err
			}))
		}
	}
	return out
}
