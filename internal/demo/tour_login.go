package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sallyport/internal/testdb"
)

const triageReason = "sum up what is open for this customer, for whom I work"

// logins is the chapter about those who come in by the provider. They are at a machine of their own: a home with nothing in it.
func (t *tour) logins(ctx context.Context) error {
	psql, err := testdb.LookPath("psql")
	if err != nil {
		return nil // the chapter before has said it
	}
	home, err := os.MkdirTemp("", "sallyport-tour-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(home)
	s := &visitor{tour: t, env: visitorEnv(home, filepath.Dir(psql))}
	if s.program, err = os.Executable(); err != nil {
		return err
	}

	t.loggedIn = true

	t.step("From nothing to rows: log-in and psql in one command")
	began := time.Now()
	out := s.run(ctx, "psql", "shop", "-X", "-c", "SELECT id, name, email FROM customers ORDER BY id LIMIT 2")
	t.notice(fmt.Sprintf("No password, and %.1f s. The demo's provider approves everybody; a real one asks in the browser. What psql shows is a certificate for an hour, and it checks the door's own.", time.Since(began).Seconds()),
		has(out, "(2 rows)", "tok_", "grace", providerName), t.leaks(out))

	t.step("Who am I?")
	out = s.run(ctx, "whoami")
	t.notice("Groups are what the provider says; what they may do is the policies' business.", has(out, "grace", "engineers", providerName))

	if err := t.onBehalf(ctx); err != nil {
		return err
	}

	t.step("Who logs out is out, at once")
	return s.loggedOut(ctx)
}

// visitorEnv is the environment of somebody who has a home, psql, and nothing else.
func visitorEnv(home, bin string) []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return strings.HasPrefix(name, "PG") || slices.Contains([]string{"HOME", "XDG_CONFIG_HOME", "DISPLAY", "WAYLAND_DISPLAY", "SALLYPORT_GATEWAY", "PATH"}, name)
	})
	return append(env, "HOME="+home, "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "PAGER=", "PSQL_PAGER=", "LC_ALL=C.UTF-8", "PGCONNECT_TIMEOUT=20", "SSH_TTY=none")
}

// visitor is somebody with this program.
type visitor struct {
	tour    *tour
	program string
	env     []string
}

func (v *visitor) command(ctx context.Context, args ...string) *exec.Cmd {
	shown := []string{}
	for _, a := range args {
		if strings.Contains(a, " ") {
			a = "'" + a + "'"
		}
		shown = append(shown, a)
	}
	v.tour.sayf("  $ %s %s\n", v.tour.demo.self, strings.Join(shown, " "))
	cmd := exec.CommandContext(ctx, v.program, slices.Insert(slices.Clone(args), 1, "--gateway", v.tour.doors.Web)...)
	cmd.Args[0] = "sallyport"
	cmd.Env = v.env
	return cmd
}

// run runs a command of this program, shows it and what it printed, and gives that.
func (v *visitor) run(ctx context.Context, args ...string) string {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	out, err := v.command(ctx, args...).CombinedOutput()
	if err != nil && len(out) == 0 {
		out = []byte(err.Error())
	}
	v.tour.shown(string(out))
	return string(out)
}

// loggedOut has psql open when its user logs out.
func (v *visitor) loggedOut(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	cmd := v.command(ctx, "psql", "shop", "-XAt")
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	first, out := &firstOutput{there: make(chan struct{})}, new(bytes.Buffer)
	first.to = out
	cmd.Stdout, cmd.Stderr = first, first
	if err := cmd.Start(); err != nil {
		return err
	}
	fmt.Fprintln(in, "SELECT count(*) FROM orders;")
	select {
	case <-first.there:
	case <-ctx.Done():
	}
	said := v.run(ctx, "logout")
	time.Sleep(time.Second) // the promise
	fmt.Fprintln(in, "SELECT count(*) FROM orders;")
	in.Close()
	_ = cmd.Wait() // psql gives up, with a status of its own
	v.tour.sayf("  … and in the psql that was open:\n")
	v.tour.shown(out.String())
	v.tour.notice("The session that rested on the log-in has ended, within a second, and says why.", has(said, "grace is logged out"), has(out.String(), "logged out"))
	return nil
}

// firstOutput says when something was written.
type firstOutput struct {
	to    io.Writer
	there chan struct{}
	done  bool
}

func (f *firstOutput) Write(p []byte) (int, error) {
	if !f.done {
		f.done = true
		close(f.there)
	}
	return f.to.Write(p)
}

// onBehalf is an agent that acts for a person, by token exchange (RFC 8693).
func (t *tour) onBehalf(ctx context.Context) error {
	t.step("An agent acts for her, by the provider's word")
	var secret string
	for _, c := range t.demo.Clients {
		if c.ID == triage {
			secret = c.Secret
		}
	}
	t.sayf("  (%s exchanges grace's token for one of its own that says whom it acts for; then it is an MCP client as before)\n\n", triage)
	hers, err := t.tokenOf(ctx)
	if err != nil {
		return err
	}
	got, err := t.ask(ctx, "/token", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "client_id": {triage}, "client_secret": {secret},
		"subject_token": {hers}, "subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"}})
	if err != nil {
		return err
	}
	token, _ := got["access_token"].(string)
	a, err := t.connect(ctx, token)
	if err != nil {
		return fmt.Errorf("the MCP client of %s cannot connect: %w", triage, err)
	}
	defer a.client.Close()
	if err := a.begin(ctx, "Sum up open tickets", "SUP-2305"); err != nil {
		return err
	}
	out := a.with(ctx, triageReason, "query", map[string]any{"connection": "shop", "sql": "SELECT id, subject, notes FROM support_tickets ORDER BY id", "max_rows": 2})
	t.notice("It may what she may, and no more. The record names both: grace, through "+triage+". What she has to approve, it cannot approve for her.", refusal(out, false), t.leaksOfContacts(out.text))
	return nil
}

// tokenOf gets an access token of the person who logs in without a browser.
func (t *tour) tokenOf(ctx context.Context) (string, error) {
	began, err := t.ask(ctx, "/device_authorization", url.Values{"client_id": {"sallyport"}, "scope": {"openid"}})
	if err != nil {
		return "", err
	}
	code, _ := began["device_code"].(string)
	got, err := t.ask(ctx, "/token", url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {"sallyport"}, "device_code": {code}})
	if err != nil {
		return "", err
	}
	token, _ := got["access_token"].(string)
	return token, nil
}

// ask asks the provider for something.
func (t *tour) ask(ctx context.Context, path string, form url.Values) (out map[string]any, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.demo.Issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the provider answers %s: %v", resp.Status, out["error"])
	}
	return out, nil
}
