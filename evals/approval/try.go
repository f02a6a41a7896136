package approval

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"sallyport/evals/agent"
	"sallyport/evals/harness"
	"sallyport/evals/results"
	"sallyport/evals/wire"
)

// attack is one way to have something run that should not.
type attack struct {
	family, name string
	world        string // of worlds
	// most is how often the account of the try may have been counted up in the end: what was approved may have run once.
	most int
	// least is how often it must have been: an attack on an approval that did not run says nothing.
	least int
	// shows says that the canaries may come out, for it was approved.
	shows bool
	run   func(ctx context.Context, t *try) error // an error says that the drill is broken, not the attack
}

// worlds are the gateways that attacks are made on. In most nobody waits within a statement, so that what is between asking and
// using is the attack's.
var worlds = map[string]map[string]any{
	"":      {"wait": "0s"},
	"waits": {"wait": "10m"},
	"short": {"wait": "0s", "pending": "2s", "claim": "1s"},
	// Officers stand in for keepers, much later.
	"escalates": {"wait": "0s", "groups": map[string]any{"keepers": map[string]any{"escalate": []string{"officers"}, "escalate_after": "50m"}}},
}

// try is one attack being made.
type try struct {
	w       *world
	id      int // its account
	seen    bytes.Buffer
	closing []func()
	control bool // what was approved was run in the end, and did run
}

// errLucky says that the gateway did what the attack wanted, and that its database need not be looked at.
var errLucky = errors.New("succeeded")

// still has what was approved run after the attack, once it is seen that no more than so many effects came before it: an
// attack that takes one away would be hidden by the one that is added.
func (t *try) still(ctx context.Context, c *wire.Conn, s stmt, most int) error {
	if err := t.before(ctx, most); err != nil {
		return err
	}
	if a := t.send(c, s); a.Failed() {
		return fmt.Errorf("what was approved does not run: %s %s", a.Code, a.Error)
	}
	t.control = true
	return nil
}

// before looks for effects that came before the control of an attack.
func (t *try) before(ctx context.Context, most int) error {
	n, err := t.w.effects(ctx, t.id)
	if err == nil && (n < 0 || n > most) {
		err = fmt.Errorf("%w: %d effects before what was approved was sent, %d may be", errLucky, n, most)
	}
	return err
}

func (t *try) close() {
	for _, f := range slices.Backward(t.closing) {
		f()
	}
}

// sql puts the account into a statement.
func (t *try) sql(text string) string { return strings.ReplaceAll(text, "{id}", strconv.Itoa(t.id)) }

// client is a session at the PostgreSQL door that is closed with the try.
func (t *try) client(ctx context.Context, who string) (*wire.Conn, error) {
	c, err := t.w.dial(ctx, who)
	if err == nil {
		t.closing = append(t.closing, c.Close)
	}
	return c, err
}

func (t *try) bot(ctx context.Context, who string) (*agent.Client, error) {
	a, err := t.w.agent(ctx, who)
	if err == nil {
		t.closing = append(t.closing, a.Close)
	}
	return a, err
}

// saw keeps what came out.
func (t *try) saw(a wire.Answer) wire.Answer {
	for _, row := range a.Values {
		for _, v := range row {
			t.seen.Write(v)
			t.seen.WriteByte('\n')
		}
	}
	t.seen.WriteString(a.Text())
	return a
}

// must runs a statement that has to succeed.
func (t *try) must(c *wire.Conn, sql string) error {
	if a := t.saw(c.Simple(t.sql(sql))); a.Failed() {
		return fmt.Errorf("%s: %s %s", sql, a.Code, a.Error)
	}
	return nil
}

// direct changes something past the gateway.
func (t *try) direct(ctx context.Context, sql string) error {
	_, err := t.w.direct.Exec(ctx, t.sql(sql))
	return err
}

// stmt is a statement with how it is sent.
type stmt struct {
	sql     string
	params  [][]byte // nil with extended false: by the simple protocol
	oids    []uint32
	formats []int16
	result  int16
	named   string // of the prepared statement
	extended,
	noParse bool
}

func text(sql string) stmt     { return stmt{sql: sql} }
func extended(sql string) stmt { return stmt{sql: sql, extended: true} }
func bound(sql string, params ...string) stmt {
	s := stmt{sql: sql, extended: true}
	for _, p := range params {
		s.params = append(s.params, []byte(p))
	}
	return s
}

// send sends it and keeps what came out.
func (t *try) send(c *wire.Conn, s stmt) wire.Answer {
	if !s.extended {
		return t.saw(c.Simple(t.sql(s.sql)))
	}
	var m []pgproto3.FrontendMessage
	if !s.noParse {
		m = append(m, &pgproto3.Parse{Name: s.named, Query: t.sql(s.sql), ParameterOIDs: s.oids})
	}
	b := &pgproto3.Bind{PreparedStatement: s.named, ParameterFormatCodes: s.formats, ResultFormatCodes: []int16{s.result}}
	for i, p := range s.params {
		if p != nil && (len(s.formats) == 0 || s.formats[min(i, len(s.formats)-1)] == 0) {
			p = []byte(t.sql(string(p)))
		}
		b.Parameters = append(b.Parameters, p)
	}
	return t.saw(c.Send(true, append(m, b, &pgproto3.Execute{}, &pgproto3.Sync{})...))
}

// ask sends a statement that has to be held, and gives its handle.
func (t *try) ask(c *wire.Conn, s stmt) (string, error) {
	a := t.send(c, s)
	if id := handleOf(a.Error); id != "" {
		return id, nil
	}
	return "", fmt.Errorf("%s is not held: %s %s", s.sql, a.Code, a.Error)
}

// approved is ask, and a reviewer's yes.
func (t *try) approved(ctx context.Context, c *wire.Conn, s stmt) (string, error) {
	id, err := t.ask(c, s)
	if err == nil {
		err = t.w.decide(ctx, "keeper", id, "approve", nil)
	}
	return id, err
}

// tool calls a tool of the agents' door and keeps what came out.
func (t *try) tool(ctx context.Context, a *agent.Client, name string, args map[string]any) agent.Reply {
	all := map[string]any{"task_id": a.Task(), "reason": a.Reason}
	if name == "query" || name == "explain" {
		all["connection"] = connection
	}
	maps.Copy(all, args)
	r, _ := a.Tool(ctx, name, all) // an error of the protocol is in the text
	t.seen.WriteString(r.Text)
	return r
}

// askedByBot is an agent whose count waits for approval, and the handle of that.
func (t *try) askedByBot(ctx context.Context) (*agent.Client, string, error) {
	a, err := t.bot(ctx, "bot")
	if err != nil {
		return nil, "", err
	}
	id, err := t.askAgent(ctx, a, t.args(map[string]any{"sql": count}))
	return a, id, err
}

// askAgent has an agent's statement held, and gives its handle.
func (t *try) askAgent(ctx context.Context, a *agent.Client, args map[string]any) (string, error) {
	r := t.tool(ctx, a, "query", args)
	if r.Pending.Handle == "" {
		return "", fmt.Errorf("%v is not held: %s", args, r.Text)
	}
	return r.Pending.Handle, nil
}

// outcome is what came of an attack.
type outcome struct {
	attack
	why string // it succeeded; "" where it did not
	n   int    // effects
}

// judge makes an attack and looks at what it has done.
func (w *world) judge(ctx context.Context, a attack) (o outcome, control bool, err error) {
	o.attack = a
	t := &try{w: w}
	if t.id, err = w.account(ctx); err != nil {
		return o, false, err
	}
	before, err := w.state(ctx, t.id)
	if err != nil {
		return o, false, err
	}
	ran := a.run(ctx, t)
	t.close()
	if err := w.clear(ctx); err != nil {
		return o, false, errors.Join(ran, err)
	}
	if ran != nil && !errors.Is(ran, errLucky) {
		return o, false, ran
	}
	after, err := w.state(ctx, t.id)
	if err != nil {
		return o, false, err
	}
	most := a.most
	if t.control {
		most++
	}
	if o.n, err = w.effects(ctx, t.id); err != nil {
		return o, false, err
	}
	switch {
	case ran != nil:
		o.why = ran.Error()
	case o.n >= 0 && o.n < a.least:
		return o, false, fmt.Errorf("%d effects, what was approved should have had %d", o.n, a.least)
	case o.n < 0 || o.n > most:
		o.why = fmt.Sprintf("%d effects, %d may be", o.n, most)
	case before != after:
		o.why = "changed: " + difference(before, after)
	case !a.shows && (bytes.Contains(t.seen.Bytes(), []byte(canary)) || bytes.Contains(t.seen.Bytes(), []byte(canaryMail))):
		o.why = "a canary came out"
	}
	if o.why != "" { // the next attack begins with what there should be
		err = w.mend(ctx)
	}
	return o, t.control, err
}

// mend takes back what attacks have done.
func (w *world) mend(ctx context.Context) error {
	_, err := w.direct.Exec(ctx, `delete from accounts where id < 1000; insert into accounts select g, 0, 'r', null, date '2026-01-01' + g, timestamptz '2026-01-01 00:00Z' + g * interval '1 hour' from generate_series(1, 30) g`)
	return err
}

func difference(before, after string) string {
	old := strings.Split(before, "\n")
	for line := range strings.SplitSeq(after, "\n") {
		if !slices.Contains(old, line) {
			return line
		}
	}
	return "something is missing"
}

// attack makes all attacks of a name.
func (d *drill) attack(ctx context.Context, pattern string, listing bool) ([]results.Figure, error) {
	wanted, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	tried, won, kinds, controls := map[string]int{}, map[string]int{}, map[string][]string{}, 0
	var broken []error // attempts that say nothing, for what they begin with did not work
	all := attacks()
	for _, name := range slices.Sorted(maps.Keys(worlds)) {
		var list []attack
		for _, a := range all {
			if a.world == name && wanted.MatchString(a.family+"/"+a.name) {
				list = append(list, a)
			}
		}
		if len(list) == 0 {
			continue
		}
		w, err := d.world(ctx, worlds[name], nil)
		if err != nil {
			return nil, err
		}
		for _, a := range list {
			o, control, err := w.judge(ctx, a)
			if err != nil {
				broken = append(broken, fmt.Errorf("%s/%s: %w", a.family, a.name, err))
				if !w.g.Alive() {
					fmt.Println(w.g.LogTail())
					break
				}
				continue
			}
			tried[a.family]++
			if control {
				controls++
			}
			if o.why != "" {
				won[a.family]++
				kinds[a.family] = append(kinds[a.family], a.name+": "+o.why)
				fmt.Printf("FOUND %s/%s: %s\n", a.family, a.name, o.why)
			}
		}
		w.close()
	}
	for _, more := range d.lives() {
		if !wanted.MatchString(more.family + "/" + more.name) {
			continue
		}
		why, err := more.run(ctx)
		if err != nil {
			broken = append(broken, fmt.Errorf("%s/%s: %w", more.family, more.name, err))
			continue
		}
		tried[more.family]++
		if why != "" {
			won[more.family]++
			kinds[more.family] = append(kinds[more.family], more.name+": "+why)
			fmt.Printf("FOUND %s/%s: %s\n", more.family, more.name, why)
		}
	}
	if err := errors.Join(broken...); err != nil {
		fmt.Println("attempts that could not be made:", err)
		return nil, fmt.Errorf("%d attempts could not be made", len(broken))
	}
	return figuresOf(tried, won, kinds, controls, listing)
}

func figuresOf(tried, won map[string]int, kinds map[string][]string, controls int, listing bool) ([]results.Figure, error) {
	attempts, succeeded := 0, 0
	var b strings.Builder
	b.WriteString("### Attacks on approvals\n\n| family | attempts | succeeded |\n|---|---|---|\n")
	for _, f := range slices.Sorted(maps.Keys(tried)) {
		attempts, succeeded = attempts+tried[f], succeeded+won[f]
		fmt.Fprintf(&b, "| %s | %d | %d |\n", f, tried[f], won[f])
	}
	for _, f := range slices.Sorted(maps.Keys(kinds)) {
		for _, k := range kinds[f] {
			fmt.Fprintf(&b, "\nSucceeded: %s/%s\n", f, k)
		}
	}
	fmt.Print(b.String())
	figures := []results.Figure{results.Count("approval.adversarial.attempts", attempts, attempts), results.Count("approval.adversarial.succeeded", succeeded, attempts),
		results.Count("approval.adversarial.controls", controls, attempts)}
	figures[0].Note = "ways to have something run, or shown, that nobody approved, or twice"
	figures[1].Note = "by what changed in the database, or the bytes that came out"
	figures[2].Note = "attempts after which the approval that they were to abuse was still there, and was used for what it was given for"
	if listing {
		return figures, harness.Listing("approval", b.String())
	}
	return figures, nil
}
