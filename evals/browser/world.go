package browser

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/chromedp/chromedp"

	"sallyport/evals/agent"
	"sallyport/evals/harness"
	"sallyport/internal/testdb"
)

const (
	connection = "shop"
	robotToken = "browser-token-0123456789abcdef0123456789abcdef"
)

const schema = `
create table customers (id int primary key, name text not null, email text not null, region text not null);
insert into customers select g, 'customer ' || g, 'c' || g || '@example.com', 'south' from generate_series(1, 40) g;
create table orders (id int primary key, customer_id int not null references customers, total numeric(10, 2) not null);
insert into orders select g, 1 + g % 40, g * 1.25 from generate_series(1, 120) g;
analyze;
`

const policy = `
@id("everyday") permit (principal in Group::"askers", action in [Action::"connect", Action::"read"], resource in Connection::"shop");
@id("writes") @review("keepers") permit (principal in Group::"askers", action in [Action::"write", Action::"write_all_rows"], resource in Connection::"shop");
@id("emails") @review("keepers") permit (principal in Group::"askers", action == Action::"reveal", resource in Label::"pii.email");
`

// people are the principals, by name.
var people = map[string][]string{
	"asker": {"askers"}, "keeper": {"keepers"}, "both": {"askers", "keepers"}, "auditor": {"auditors"}, "operator": {"operators"},
	"stranger": nil, "hero": {"askers", "oncall"},
}

// roles are who looks at every page. The last is of a provider, and may decide.
var roles = []string{"keeper", "asker", "auditor", "operator", "stranger", prefix + "ada"}

func password(name string) string { return "browser-" + name }

// world is a gateway with its database, and a browser.
type world struct {
	g       *harness.Gateway
	pg      *testdb.Server
	idp     *provider
	psqlBin string
	browser context.Context
	found   findings
	routes  []string // pages of the door, {id} for what differs
	close   []func()
	clients []*client // that may still wait
	ran     int       // flows
}

// spec is the gateway that is looked at.
func spec(dsn string) harness.Spec {
	s := harness.Spec{
		Connections: map[string]string{connection: dsn}, Policy: policy,
		Labels:    []harness.Label{{Name: "pii.email", Columns: []string{"*.*.email"}}},
		Masks:     map[string]harness.Mask{"pii.email": {Transform: "token"}},
		Web:       &harness.Web{Auditors: []string{"auditors"}, Operators: []string{"operators"}, StepUp: "0s"},
		Purposes:  []harness.Purpose{{ID: "support", Text: "answering customers", LawfulBasis: "contract"}},
		Approvals: map[string]any{"wait": "10m", "break_glass": []string{"oncall"}},
	}
	for name, groups := range people {
		s.Principals = append(s.Principals, harness.Principal{Name: name, Groups: groups, Password: password(name)})
	}
	s.Principals = append(s.Principals, harness.Principal{Name: "robot", Agent: true, Groups: []string{"askers"}, Token: robotToken})
	return s
}

// begin starts the database, the gateway that change wants, and the browser. The caller ends it.
func begin(ctx context.Context, change func(*harness.Spec)) (w *world, err error) {
	w = &world{}
	defer func() {
		if err != nil {
			w.end()
		}
	}()
	binary, err := chromium()
	if err != nil {
		return w, err
	}
	if w.routes, err = routes(); err != nil {
		return w, err
	}
	if w.psqlBin, err = testdb.LookPath("psql"); err != nil {
		return w, err
	}
	if w.pg, err = testdb.Start(testdb.Options{}); err != nil {
		return w, err
	}
	w.close = append(w.close, w.pg.Stop)
	if err = w.pg.Exec(ctx, "postgres", "create database shop"); err == nil {
		err = w.pg.Exec(ctx, "shop", schema)
	}
	if err != nil {
		return w, err
	}
	if err = w.openProvider(); err != nil {
		return w, err
	}
	s := spec(w.pg.DSN("shop"))
	s.Identity = w.idp.identity
	if change != nil {
		change(&s)
	}
	if w.g, err = harness.Start(ctx, s); err != nil {
		return w, err
	}
	w.close = append(w.close, w.g.Stop, w.withdraw)
	alloc, stop := chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(binary), chromedp.NoSandbox, // which containers and root cannot have; all that it loads is ours
		chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("no-proxy-server", true), chromedp.Flag("disable-dev-shm-usage", false))...)
	w.close = append(w.close, stop)
	var shut context.CancelFunc
	w.browser, shut = chromedp.NewContext(alloc)
	w.close = append(w.close, shut)
	if err = chromedp.Do(w.browser); err != nil {
		err = fmt.Errorf("%s does not start: %w", binary, err)
	}
	return w, err
}

func (w *world) end() {
	for i := len(w.close) - 1; i >= 0; i-- {
		w.close[i]()
	}
	w.close = nil
}

// ErrNoBrowser says that there is nothing to look with.
var ErrNoBrowser = errors.New("no Chromium found (chromium, chromium-browser, google-chrome, or the path in CHROMIUM): run scripts/deps.sh browser")

func chromium() (string, error) {
	if path := os.Getenv("CHROMIUM"); path != "" {
		return path, nil
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", ErrNoBrowser
}

// tab opens a tab with cookies of its own.
func (w *world) tab() (*tab, error) { return openTab(w.browser, w.g.WebURL, true) }

// as opens a tab in which somebody has logged in: by the provider, who is its.
func (w *world) as(name string) (*tab, error) {
	t, err := w.tab()
	if err != nil {
		return nil, err
	}
	if own, of := strings.CutPrefix(name, prefix); of {
		err = t.provide(w, own)
	} else {
		err = t.login(name)
	}
	if err != nil {
		t.cancel()
		return nil, err
	}
	return t, nil
}

// client is a psql process.
type client struct {
	cmd    *exec.Cmd
	out    bytes.Buffer // to be read once done is closed, like err
	err    fmt.Stringer
	done   chan struct{}
	status error
}

// psql starts psql as somebody, who says what application it is, with a command an argument.
func (w *world) psql(name, application string, commands ...string) (*client, error) {
	args := []string{"-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", w.g.DSN(name, password(name), connection)}
	for _, command := range commands {
		args = append(args, "-c", command)
	}
	cmd := exec.Command(w.psqlBin, args...)
	cmd.Env = append(os.Environ(), "PGAPPNAME="+application)
	return w.starts(cmd, &bytes.Buffer{})
}

// sayings takes what a program says, and tells it.
type sayings interface {
	io.Writer
	fmt.Stringer
}

// starts starts a client, whose errors go where said.
func (w *world) starts(cmd *exec.Cmd, said sayings) (*client, error) {
	c := &client{cmd: cmd, err: said, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &c.out, said
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() { c.status = c.cmd.Wait(); close(c.done) }()
	w.clients = append(w.clients, c)
	return c, nil
}

// asks has somebody ask with psql for something that waits, with a reason.
func (w *world) asks(name, reason, sql string) (*client, error) {
	return w.psql(name, "psql", "SET sallyport.reason = '"+strings.ReplaceAll(reason, "'", "''")+"'", sql)
}

// ended waits for psql to end, and gives what it wrote.
func (c *client) ended() (out, errors string, err error) {
	select {
	case <-c.done:
		return strings.TrimSpace(c.out.String()), c.err.String(), nil
	case <-time.After(patience):
		return "", "", fmt.Errorf("psql still waits")
	}
}

// waits fails where psql has ended already.
func (c *client) waits() error {
	select {
	case <-c.done:
		return fmt.Errorf("psql does not wait: %s %s", c.out.String(), c.err.String())
	default:
		return nil
	}
}

// withdraw ends what still waits.
func (w *world) withdraw() {
	for _, c := range w.clients {
		c.cmd.Process.Kill()
		<-c.done
	}
	w.clients = nil
}

// robotAsks has an agent with a goal ask for something that waits.
func (w *world) robotAsks(ctx context.Context, goal, reason, sql string) error {
	c, err := agent.DialFor(ctx, w.g.MCPURL, robotToken, connection, goal)
	if err != nil {
		return err
	}
	defer c.Close()
	c.Reason = reason
	if a := c.Query(ctx, sql); !strings.Contains(strings.Join(a.Lines, "\n"), "pending_approval") {
		return fmt.Errorf("the agent's statement does not wait: %v %s", a.Lines, a.Error)
	}
	return nil
}
