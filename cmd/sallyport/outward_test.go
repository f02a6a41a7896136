package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/audit"
	"sallyport/internal/access"
	"sallyport/internal/config"
)

// abroad is a log whose exporters and channels send to a server that tells by which secret a request was signed.
type abroad struct {
	t    *testing.T
	dir  string
	log  *audit.Log
	said *lockedBuffer
	url  string

	mu  sync.Mutex
	got []string // "PATH SECRET" of each request
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func longSecret(name string) string { return name + strings.Repeat(".", 30) }

func openAbroad(t *testing.T) *abroad {
	a := &abroad{t: t, dir: t.TempDir(), said: &lockedBuffer{}}
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		by := "nobody"
		for _, name := range []string{"one", "two", "three"} {
			mac := hmac.New(sha256.New, []byte(longSecret(name)))
			fmt.Fprintf(mac, "%s.%s.%s", r.Header.Get("Webhook-Id"), r.Header.Get("Webhook-Timestamp"), body)
			if "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) == r.Header.Get("Webhook-Signature") {
				by = name
			}
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.got = append(a.got, strings.TrimPrefix(r.URL.Path, "/")+" "+by)
	}))
	t.Cleanup(srv.Close)
	a.url = srv.URL
	if err := os.MkdirAll(filepath.Join(a.dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	var err error
	if a.log, err = audit.Open(filepath.Join(a.dir, "data", "log"), audit.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.log.Close() })
	a.write("p.cedar", "permit (principal, action, resource);")
	a.write("secret", longSecret("one"))
	a.write("hook", a.url+"/told")
	return a
}

func (a *abroad) write(name, text string) {
	a.t.Helper()
	if err := os.WriteFile(filepath.Join(a.dir, name), []byte(text), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// config has exporters and channels to the server; more is more of them.
func (a *abroad) config(more string) *config.Config {
	a.t.Helper()
	text := "data_dir: data\nlisten: {pgwire: {address: 127.0.0.1:6543}}\nconnections: {shop: {driver: postgres, dsn: host=/tmp}}\nprincipals: {}\npolicies: [p.cedar]\n" +
		"export:\n  - {name: siem, to: webhook, url: '" + a.url + "/sent', secret_file: secret}\n  - {name: disk, to: file, path: out.jsonl}\n" + more +
		"notify:\n  - {name: people, to: webhook, url_file: hook, secret_file: secret}\n"
	c, err := config.Parse("sallyport.yaml", a.dir, []byte(text))
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

func (a *abroad) open(c *config.Config, refresh time.Duration) *outward {
	a.t.Helper()
	o, err := openOutward(c, slog.New(slog.NewTextHandler(a.said, nil)))
	if err != nil {
		a.t.Fatal(err)
	}
	o.start(refresh)
	a.begun("export/siem", "export/disk", "notify/people")
	return o
}

// begun waits for exporters to have their place: those that are new begin with what is recorded from then on.
func (a *abroad) begun(cursors ...string) {
	a.t.Helper()
	for _, c := range cursors {
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			if _, err := os.Stat(filepath.Join(a.dir, "data", c+".cursor")); err == nil {
				break
			}
			if time.Now().After(end) {
				a.t.Fatalf("%s has not begun\n%s", c, a.said)
			}
		}
	}
}

// record has something on record that exporters send and channels tell.
func (a *abroad) record() {
	a.t.Helper()
	if _, err := a.log.Append(&access.Record{Kind: access.RecordLogin, Principal: "envelope", Proof: &access.Proof{BreakGlass: true}}); err != nil {
		a.t.Fatal(err)
	}
}

// awaits waits for requests that are all of them, in whatever order, and forgets them.
func (a *abroad) awaits(want ...string) {
	a.t.Helper()
	slices.Sort(want)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		a.mu.Lock()
		got := slices.Sorted(slices.Values(a.got))
		if slices.Equal(got, want) {
			a.got = nil
			a.mu.Unlock()
			return
		}
		a.mu.Unlock()
		if time.Now().After(end) {
			a.t.Fatalf("got %v, want %v\n%s", got, want, a.said)
		}
	}
}

// A secret that was changed where it lies signs from the next refresh on. One that is no good leaves the one of before, and nothing is sent twice
// or left out.
func TestSecretsOfReceiversAreReadAgain(t *testing.T) {
	a := openAbroad(t)
	o := a.open(a.config(""), 0)
	a.record()
	a.awaits("sent one", "told one")
	a.write("secret", longSecret("two"))
	a.record()
	a.awaits("sent one", "told one")
	o.refresh(context.Background())
	a.record()
	a.awaits("sent two", "told two")
	for _, bad := range []func(){
		func() { a.write("secret", "short") },
		func() { os.Remove(filepath.Join(a.dir, "secret")) },
		func() { a.write("secret", longSecret("three")); a.write("hook", "http://there.example/told") },
	} {
		bad()
		o.refresh(context.Background())
		a.record()
		a.awaits("sent two", "told two")
	}
	a.write("hook", a.url+"/elsewhere")
	o.refresh(context.Background())
	a.record()
	a.awaits("sent three", "elsewhere three")
	if err := o.close(context.Background()); err != nil {
		t.Error(err)
	}
	if n := strings.Count(a.said.String(), "were not read again"); n != 3 || strings.Contains(a.said.String(), "...") || strings.Contains(a.said.String(), "there.example") {
		t.Errorf("%d complaints, or one that tells a secret:\n%s", n, a.said)
	}
	if text, err := os.ReadFile(filepath.Join(a.dir, "out.jsonl")); err != nil || strings.Count(string(text), "\n") != 7 {
		t.Errorf("the file has\n%s%v", text, err)
	}
}

func TestSecretsOfReceiversAreReadEverySoOften(t *testing.T) {
	a := openAbroad(t)
	o := a.open(a.config(""), 20*time.Millisecond)
	a.record()
	a.awaits("sent one", "told one")
	a.write("secret", longSecret("two"))
	for end := time.Now().Add(30 * time.Second); strings.Count(a.said.String(), "made anew") < 2 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	a.record()
	a.awaits("sent two", "told two")
	if err := o.close(context.Background()); err != nil {
		t.Error(err)
	}
	if n := strings.Count(a.said.String(), "made anew"); n != 2 { // once each, however often they were read
		t.Errorf("%d times made anew\n%s", n, a.said)
	}
}

// Who ends the gateway does not wait for a command that a secret is to come from.
func TestCommandsOfARefreshEndWithIt(t *testing.T) {
	a := openAbroad(t)
	begun := filepath.Join(a.dir, "begun")
	a.write("prints", "#!/bin/sh\n[ -e now ] && touch begun && exec sleep 300\necho "+longSecret("one")+"\n")
	if err := os.Chmod(filepath.Join(a.dir, "prints"), 0o700); err != nil {
		t.Fatal(err)
	}
	o := a.open(a.config("  - {name: slow, to: webhook, url: '"+a.url+"/slow', secret_command: [./prints]}\n"), 20*time.Millisecond)
	a.write("now", "")
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(begun); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the command does not run\n%s", a.said)
		}
	}
	since := time.Now()
	if err := o.close(context.Background()); err != nil || time.Since(since) > 30*time.Second {
		t.Errorf("closed after %v: %v", time.Since(since), err)
	}
	if strings.Contains(a.said.String(), "were not read again") {
		t.Errorf("the log has\n%s", a.said)
	}
}

// A reload takes exporters away, adds others and leaves alone what is as it was; one that cannot be opened changes nothing.
func TestReceiversAreReloaded(t *testing.T) {
	a := openAbroad(t)
	o := a.open(a.config(""), 0)
	reload := func(c *config.Config, want ...string) {
		t.Helper()
		if got := o.reload(c); !slices.Equal(got, want) {
			t.Errorf("in force is another %q, want %q", got, want)
		}
	}
	a.record()
	a.awaits("sent one", "told one")
	another := "  - {name: lake, to: webhook, url: '" + a.url + "/lake', secret_file: secret}\n"
	reload(a.config(another), "export")
	a.begun("export/lake")
	a.record()
	a.awaits("sent one", "lake one", "told one")
	reload(a.config("  - {name: bad, to: webhook, url: '" + a.url + "/bad', secret_file: secret, tls: {ca: missing.pem}}\n"))
	a.record()
	a.awaits("sent one", "lake one", "told one")
	reload(a.config(""), "export")
	a.record()
	a.awaits("sent one", "told one")
	if text := a.said.String(); strings.Contains(text, "channels made anew") || !strings.Contains(text, "exporters not made anew") || !strings.Contains(text, "missing.pem") {
		t.Errorf("the log has\n%s", text)
	}
	if err := o.close(context.Background()); err != nil {
		t.Error(err)
	}
	reload(a.config(another)) // comes to nothing
	a.record()
	time.Sleep(300 * time.Millisecond)
	a.awaits()
}

func TestButtonsOfSlackHaveTheSecretOfNow(t *testing.T) {
	a := openAbroad(t)
	c := a.config("")
	o := a.open(c, 0)
	defer o.close(context.Background())
	h := besideSlack(o.slack, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	press := func(secret string) int {
		at := fmt.Sprint(time.Now().Unix())
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte("v0:" + at + ":" + secret))
		r := httptest.NewRequest(http.MethodPost, "/slack", strings.NewReader(secret))
		r.Header.Set("X-Slack-Request-Timestamp", at)
		r.Header.Set("X-Slack-Signature", fmt.Sprintf("v0=%x", mac.Sum(nil)))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	if code := press("old"); code != http.StatusTeapot {
		t.Errorf("without a secret it answers %d", code)
	}
	for _, secret := range []string{"old", "new"} {
		next := *c
		next.Channels = append(slices.Clone(c.Channels), config.Notify{Name: "slack", To: "slack", URL: "https://hooks.slack.com/x", Secret: secret})
		o.reload(&next)
		if code := press(secret); code != http.StatusOK {
			t.Errorf("%s: %d", secret, code)
		}
	}
	if code := press("old"); code != http.StatusUnauthorized {
		t.Errorf("the old one: %d", code)
	}
}
