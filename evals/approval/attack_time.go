package approval

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"sallyport/evals/wire"
)

func soon() string { return time.Now().Add(time.Hour).UTC().Format(time.RFC3339) }

// grantAttacks use what was granted for more than one time for something that was not.
func grantAttacks() (out []attack) {
	window := map[string]any{"mode": "window", "classes": []string{"WRITE"}, "relations": []string{"update public.accounts", "select public.accounts"}, "until": soon()}
	form := func(ranges []map[string]any, uses int) map[string]any {
		return map[string]any{"mode": "form", "uses": uses, "ranges": ranges, "until": soon()}
	}
	granted := func(name string, grant map[string]any, ask stmt, use []stmt, most int, who string) attack {
		return attack{family: "grant", name: name, most: most, least: most, run: func(ctx context.Context, t *try) error {
			c, err := t.client(ctx, "ada")
			if err != nil {
				return err
			}
			id, err := t.ask(c, ask)
			if err != nil {
				return err
			}
			if err := t.w.decide(ctx, "keeper", id, "approve", grant); err != nil {
				return err
			}
			if who != "ada" {
				by, err := t.client(ctx, who)
				if err != nil {
					return err
				}
				for _, u := range use {
					t.send(by, u)
				}
				return t.still(ctx, c, ask, 0)
			}
			for _, u := range use {
				if a := t.send(c, u); !a.Failed() && most == 0 {
					return fmt.Errorf("%w: %s ran: %s", errLucky, u.sql, a.Text())
				}
			}
			if most == 0 { // for what was granted it is still good
				return t.still(ctx, c, ask, 0)
			}
			return nil
		}}
	}
	for name, use := range map[string]string{
		"other-relation": "UPDATE other.accounts SET n = n + 1 WHERE id = {id}", "delete": "DELETE FROM accounts WHERE id = {id}", "insert": "INSERT INTO accounts VALUES (5000)",
		"two-groups": "UPDATE accounts SET region = 'x' WHERE id = {id}", "call": "UPDATE accounts SET n = bump(n) WHERE id = {id}", "read-other": "UPDATE accounts SET note = v FROM secrets WHERE accounts.id = {id}",
		"ddl": "ALTER TABLE accounts ADD COLUMN x int", "several": "UPDATE accounts SET n = 5 WHERE id = {id}; DELETE FROM secrets", "sequence": "UPDATE accounts SET n = setval('counter', 99) WHERE id = {id}",
		"nextval": "UPDATE accounts SET n = nextval('counter') WHERE id = {id}", "cte": "WITH d AS (DELETE FROM secrets RETURNING 1) UPDATE accounts SET n = 1 WHERE id = {id}",
		"subquery": "UPDATE accounts SET n = (SELECT count(*) FROM secrets) WHERE id = {id}", "every-row": "UPDATE accounts SET n = n + 1", "returning": "UPDATE accounts SET n = n RETURNING (SELECT v FROM secrets)",
	} {
		out = append(out, granted("window."+name, window, text(count), []stmt{text(use), extended(use)}, 0, "ada"))
	}
	out = append(out, granted("window.another-person", window, text(count), []stmt{text(count)}, 0, "eve"))
	one := []map[string]any{{"least": "1", "most": "3"}, {"any": true}}
	for name, use := range map[string][]stmt{
		"beyond": {text("UPDATE accounts SET n = n + 4 WHERE id = {id}")}, "below": {text("UPDATE accounts SET n = n + 0 WHERE id = {id}"), text("UPDATE accounts SET n = n + -1 WHERE id = {id}")},
		"other-text": {text("UPDATE accounts SET n = n - 1 WHERE id = {id}"), text("UPDATE accounts SET n = n + 1 WHERE id > {id}")}, "expression": {text("UPDATE accounts SET n = n + 1 + 1 WHERE id = {id}")},
		"exponent": {text("UPDATE accounts SET n = n + 1e3 WHERE id = {id}")}, "hex": {text("UPDATE accounts SET n = n + 0x10 WHERE id = {id}")}, "underscore": {text("UPDATE accounts SET n = n + 1_0 WHERE id = {id}")},
		"string": {text("UPDATE accounts SET n = n + '9' WHERE id = {id}")}, "parameter": {bound("UPDATE accounts SET n = n + $1 WHERE id = {id}", "9")}, "cast": {text("UPDATE accounts SET n = n + 9::int WHERE id = {id}")},
		"two-groups": {text("UPDATE accounts SET region = 'x' WHERE id = {id}")}, "comment": {text("UPDATE accounts SET n = n + 3/**/0 WHERE id = {id}"), text("UPDATE accounts SET n = n + 3 WHERE id = {id} OR 1=1 --")},
	} {
		out = append(out, granted("form."+name, form(one, 5), text(count), use, 0, "ada"))
	}
	return append(out,
		granted("form.too-often", form(one, 2), text(count), []stmt{text(count), text(count), text(count), text(count)}, 2, "ada"),
		granted("form.another-person", form(one, 2), text(count), []stmt{text(count)}, 0, "eve"),
		granted("form.parameter-beyond", form([]map[string]any{{"least": "1", "most": "3"}}, 5), bound("UPDATE accounts SET n = n + $1 WHERE id = {id}", "1"),
			[]stmt{bound("UPDATE accounts SET n = n + $1 WHERE id = {id}", "4"), bound("UPDATE accounts SET n = n + $1 WHERE id = {id}", "1e1"),
				{sql: "UPDATE accounts SET n = n + $1 WHERE id = {id}", extended: true, params: [][]byte{int4(9)}, formats: []int16{1}, oids: []uint32{23}},
				{sql: "UPDATE accounts SET n = n + $1 WHERE id = {id}", extended: true, params: [][]byte{[]byte("\x00\x00\x0033")[1:]}, formats: []int16{1}}}, 0, "ada"))
}

// endings end a request, or an approval, before it is used.
var endings = map[string]func(ctx context.Context, t *try, id string) error{
	"denied": func(ctx context.Context, t *try, id string) error { return t.w.decide(ctx, "keeper", id, "deny", nil) },
	"cancelled": func(ctx context.Context, t *try, id string) error {
		return one(func(_ *try, id string) call {
			return call{method: "POST", path: path(id, "cancel"), user: "ada", password: secretOf("ada"), body: "{}"}
		})(ctx, t, id)
	},
	"approved-then-cancelled": func(ctx context.Context, t *try, id string) error {
		if err := t.w.decide(ctx, "keeper", id, "approve", nil); err != nil {
			return err
		}
		status, body, err := t.w.call(ctx, call{method: "POST", path: path(id, "cancel"), user: "ada", password: secretOf("ada"), body: "{}"})
		if err == nil && status != 200 {
			err = fmt.Errorf("cancel: %d %s", status, body)
		}
		return err
	},
}

// endedAttacks approve what has ended, and use it.
func endedAttacks() (out []attack) {
	approveAnyway := func(ctx context.Context, t *try, id string) error {
		for _, revision := range []uint64{1, 2, 3} {
			if err := one(func(_ *try, id string) call {
				return call{method: "POST", path: path(id, "approve"), user: "keeper", password: secretOf("keeper"), body: verdict(revision, nil)}
			})(ctx, t, id); err != nil {
				return err
			}
		}
		return nil
	}
	for _, s := range []stmt{text(count), extended(count), bound("UPDATE accounts SET n = n + $1 WHERE id = {id}", "1")} {
		form := map[bool]string{false: "simple", true: "extended"}[s.extended] + strings.Repeat(".parameter", len(s.params))
		ended := func(name, world string, most int, end func(context.Context, *try, string) error) {
			out = append(out, attack{family: "ended", name: name + "." + form, world: world, most: most, run: func(ctx context.Context, t *try) error {
				c, err := t.client(ctx, "ada")
				if err != nil {
					return err
				}
				id, err := t.ask(c, s)
				if err != nil {
					return err
				}
				if err := end(ctx, t, id); err != nil {
					return err
				}
				if err := approveAnyway(ctx, t, id); err != nil {
					return err
				}
				t.send(c, s)
				t.send(c, s)
				return nil
			}})
		}
		for name, end := range endings {
			ended(name, "", 0, end)
		}
		ended("expired-pending", "short", 0, func(context.Context, *try, string) error { time.Sleep(2100 * time.Millisecond); return nil })
		ended("expired-approval", "short", 0, func(ctx context.Context, t *try, id string) error {
			err := t.w.decide(ctx, "keeper", id, "approve", nil)
			time.Sleep(1050 * time.Millisecond)
			return err
		})
		ended("used", "", 1, func(ctx context.Context, t *try, id string) error {
			if err := t.w.decide(ctx, "keeper", id, "approve", nil); err != nil {
				return err
			}
			c, err := t.client(ctx, "ada") // another session of hers, which it is not for
			if err == nil {
				t.send(c, s)
			}
			return err
		})
	}
	// Replays: the statement, the call and the word of the reviewer, again.
	for n := 2; n <= 4; n++ {
		out = append(out, attack{family: "replay", name: fmt.Sprintf("statement.%d", n), most: 1, least: 1, run: func(ctx context.Context, t *try) error {
			c, err := t.client(ctx, "ada")
			if err != nil {
				return err
			}
			if _, err := t.approved(ctx, c, text(count)); err != nil {
				return err
			}
			for range n {
				t.send(c, text(count))
			}
			return nil
		}}, attack{family: "replay", name: fmt.Sprintf("check_approval.%d", n), most: 1, least: 1, run: func(ctx context.Context, t *try) error {
			a, id, err := t.askedByBot(ctx)
			if err != nil {
				return err
			}
			if err := t.w.decide(ctx, "keeper", id, "approve", nil); err != nil {
				return err
			}
			for range n {
				t.tool(ctx, a, "check_approval", map[string]any{"handle": id, "wait_seconds": 0})
				t.tool(ctx, a, "query", t.args(map[string]any{"sql": count}))
			}
			return nil
		}}, attack{family: "replay", name: fmt.Sprintf("check_approval-of-a-form.%d", n), most: 1, least: 1, run: func(ctx context.Context, t *try) error {
			a, id, err := t.askedByBot(ctx)
			if err != nil {
				return err
			}
			if err := t.w.decide(ctx, "keeper", id, "approve", map[string]any{"mode": "form", "uses": 5, "until": soon()}); err != nil {
				return err
			}
			for range n { // as who has lost the answer
				t.tool(ctx, a, "check_approval", map[string]any{"handle": id, "wait_seconds": 0})
			}
			return nil
		}}, attack{family: "replay", name: fmt.Sprintf("decision.%d", n), most: 1, least: 1, run: func(ctx context.Context, t *try) error {
			c, err := t.client(ctx, "ada")
			if err != nil {
				return err
			}
			id, err := t.approved(ctx, c, text(count))
			if err != nil {
				return err
			}
			t.send(c, text(count))
			for i := range n {
				if err := approveAnyway(ctx, t, id); err != nil {
					return err
				}
				if i == 0 { // it is asked for anew, and the old word is sent for it
					t.send(c, text(count))
				}
			}
			t.send(c, text(count))
			return nil
		}}, attack{family: "replay", name: fmt.Sprintf("pipelined.%d", n), most: 1, run: func(ctx context.Context, t *try) error {
			c, err := t.client(ctx, "ada")
			if err != nil {
				return err
			}
			s := bound("UPDATE accounts SET n = n + $1 WHERE id = {id}", "1")
			if _, err := t.approved(ctx, c, s); err != nil {
				return err
			}
			// One transaction each, which the refusal of the second time undoes.
			t.pipelined(c, s, n)
			t.pipelined(c, s, n)
			return nil
		}})
	}
	return out
}

// raceAttacks do two things at once.
func raceAttacks() (out []attack) {
	for i := range 10 {
		out = append(out, attack{family: "race", name: fmt.Sprintf("two-agents-claim.%d", i), most: 1, least: 1, run: func(ctx context.Context, t *try) error {
			a, id, err := t.askedByBot(ctx)
			if err != nil {
				return err
			}
			if i%2 == 0 { // approved before they come, or while they wait
				if err := t.w.decide(ctx, "keeper", id, "approve", nil); err != nil {
					return err
				}
			}
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					_, _ = a.Tool(ctx, "check_approval", map[string]any{"handle": id, "task_id": a.Task(), "reason": a.Reason, "wait_seconds": 1})
				})
			}
			if i%2 == 1 {
				time.Sleep(settled)
				err = t.w.decide(ctx, "keeper", id, "approve", nil)
			}
			wg.Wait()
			return err
		}}, attack{family: "race", name: fmt.Sprintf("wide-grant.%d", i), most: 2, least: 2, run: func(ctx context.Context, t *try) error {
			var sessions []*wire.Conn
			for range 4 {
				c, err := t.client(ctx, "ada")
				if err != nil {
					return err
				}
				sessions = append(sessions, c)
			}
			id, err := t.ask(sessions[0], text(count))
			if err != nil {
				return err
			}
			if err := t.w.decide(ctx, "keeper", id, "approve", map[string]any{"mode": "form", "uses": 2, "until": soon()}); err != nil {
				return err
			}
			var wg sync.WaitGroup
			for _, c := range sessions {
				wg.Go(func() { c.Simple(t.sql(count)) })
			}
			wg.Wait()
			return nil
		}}, attack{family: "race", name: fmt.Sprintf("approve-and-expire.%d", i), world: "short", most: 1, run: func(ctx context.Context, t *try) error {
			c, err := t.client(ctx, "ada")
			if err != nil {
				return err
			}
			asked := time.Now()
			id, err := t.ask(c, text(count))
			if err != nil {
				return err
			}
			time.Sleep(time.Until(asked.Add(2*time.Second + time.Duration(i-5)*10*time.Millisecond)))
			sent := time.Now()
			if err := one(func(_ *try, id string) call {
				return call{method: "POST", path: path(id, "approve"), user: "keeper", password: secretOf("keeper"), body: verdict(1, nil)}
			})(ctx, t, id); err != nil {
				return err
			}
			r, err := t.w.show(ctx, "keeper", id)
			if err != nil {
				return err
			}
			for _, v := range r.Votes { // by our clock too: it is the same machine's
				if !v.At.Before(r.Expires) || sent.After(r.Expires) {
					return fmt.Errorf("%w: approved at %s, sent at %s, and the time for it was over at %s", errLucky, v.At, sent, r.Expires)
				}
			}
			t.send(c, text(count))
			t.send(c, text(count))
			return nil
		}}, attack{family: "race", name: fmt.Sprintf("approve-and-withdraw.%d", i), world: "waits", most: 1, run: func(ctx context.Context, t *try) error {
			// The client goes away at the moment of the approval.
			c, err := t.client(ctx, "ada")
			if err != nil {
				return err
			}
			done := make(chan wire.Answer, 1)
			go func() { done <- c.Simple(t.sql(count)) }()
			id, err := t.w.newest(ctx)
			if err != nil {
				return err
			}
			time.AfterFunc(time.Duration(i)*time.Millisecond, c.Abort)
			_ = t.w.decide(ctx, "keeper", id, "approve", nil) // it may have been withdrawn
			<-done
			again, err := t.client(ctx, "ada")
			if err != nil {
				return err
			}
			again.Timeout = 300 * time.Millisecond // it would wait
			t.send(again, text(count))
			return nil
		}}, attack{family: "race", name: fmt.Sprintf("two-sessions-wait.%d", i), world: "waits", most: 1, run: func(ctx context.Context, t *try) error {
			return t.twoWait(ctx)
		}})
	}
	return out
}

// twoWait has two sessions wait for the same statement, of which one is approved.
func (t *try) twoWait(ctx context.Context) error {
	var sessions []*wire.Conn
	for range 2 {
		c, err := t.client(ctx, "ada")
		if err != nil {
			return err
		}
		c.Timeout = 500 * time.Millisecond
		sessions = append(sessions, c)
	}
	var wg sync.WaitGroup
	for _, c := range sessions {
		wg.Go(func() { c.Simple(t.sql(count)) })
	}
	time.Sleep(2 * settled)
	id, err := t.w.newest(ctx)
	if err == nil {
		_ = t.w.decide(ctx, "keeper", id, "approve", nil) // it may have been withdrawn
	}
	wg.Wait()
	return err
}
