package config

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSecretsByCommand(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("SHOP_HINT", "from the environment")
	if err := os.WriteFile(filepath.Join(dir, "give"), []byte("#!/bin/sh\nprintf '%s|%s' \"$1\" \"$SHOP_HINT\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		command []string
		value   string
		problem string // a part
	}{
		{[]string{"printf", "a b\\n"}, "a b", ""},
		{[]string{"printf", "  kept \\r\\n"}, "  kept ", ""},
		{[]string{"./give", "$HOME; `x`"}, "$HOME; `x`|from the environment", ""},
		{[]string{"sh", "-c", "echo topsecret; echo no such path >&2; exit 2"}, "", "exit status 2: \"no such path\""},
		{[]string{"sh", "-c", "echo; echo denied >&2"}, "", "it printed nothing: \"denied\""},
		{[]string{"printf", "topsecret\\nagain\\n"}, "", "several lines"},
		{[]string{"head", "-c", "70000", "/dev/zero"}, "", "more than 65536 bytes"},
		{[]string{"sh", "-c", "head -c 9000 /dev/zero | tr '\\0' x >&2; exit 1"}, "", "exit status 1"},
		{[]string{"no-such-program-here"}, "", "executable file not found"},
	} {
		value, err := runCommand(context.Background(), dir, c.command)
		if value != c.value || (err == nil) != (c.problem == "") || err != nil && !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%q: %q, %v", c.command, value, err)
		}
		if err != nil && (strings.Contains(err.Error(), "topsecret") || len(err.Error()) > 700) {
			t.Errorf("%q: the problem tells too much: %v", c.command, err)
		}
	}
}

// A command that hangs is ended with all that it started.
func TestCommandsThatHangAreEnded(t *testing.T) {
	ctx, stop := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer stop()
	began := time.Now()
	_, err := runCommand(ctx, t.TempDir(), []string{"sh", "-c", "sleep 300 & sleep 300"})
	if err == nil || !strings.Contains(err.Error(), "it had not ended") || time.Since(began) > 30*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

const withCommand = `data_dir: data
listen: {pgwire: {address: 127.0.0.1:6543}}
connections: {shop: {driver: postgres, dsn_command: [cat, dsn]}}
principals: {}
policies: [p.cedar]
`

func TestDSNsAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sallyport.yaml")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("sallyport.yaml", withCommand)
	write("p.cedar", "permit (principal, action, resource);")
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "`cat` gives no secret: exit status 1") {
		t.Errorf("without the file: %v", err)
	}
	if c, err := LoadOffline(path); err != nil || len(c.Absent) != 1 || !strings.Contains(c.Absent[0].Message, "was not run") {
		t.Errorf("offline: %v", err)
	}
	write("dsn", "host=/tmp user=one\n")
	c, err := Load(path)
	if err != nil || c.Connections[0].DSN != "host=/tmp user=one" {
		t.Fatalf("%v", err)
	}
	write("dsn", "host=/tmp user=two\n")
	if dsn, err := c.DSN(context.Background(), "shop"); err != nil || dsn != "host=/tmp user=two" {
		t.Errorf("%q, %v", dsn, err)
	}
	if err := os.Remove(filepath.Join(dir, "dsn")); err != nil {
		t.Fatal(err)
	}
	if dsn, err := c.DSN(context.Background(), "shop"); err == nil || dsn != "" {
		t.Errorf("%q, %v", dsn, err)
	}
	write("sallyport.yaml", strings.Replace(withCommand, "dsn_command:", "dsn: host=/tmp, dsn_command:", 1))
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "more than one of") {
		t.Errorf("two ways: %v", err)
	}
}

func TestClientSecretsAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"p.cedar": "permit (principal, action, resource);", "secret": "one"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, how := range []string{"client_secret_command: [cat, secret]", "client_secret_file: secret"} {
		if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("one\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Parse("x.yaml", dir, []byte(withCommandless+"identity: {providers: [{name: corp, issuer: https://id.example, client_id: gate, "+how+"}]}\n"))
		if err != nil || c.Providers[0].ClientSecret != "one" {
			t.Fatalf("%s: %v", how, err)
		}
		if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("two\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Providers[0].ReadSecret(context.Background()); err != nil || got != "two" {
			t.Errorf("%s: %q, %v", how, got, err)
		}
	}
	c, err := Parse("x.yaml", dir, []byte(withCommandless+"identity: {providers: [{name: corp, issuer: https://id.example, client_id: gate, client_secret: here}]}\n"))
	if err != nil || c.Providers[0].ReadSecret != nil {
		t.Errorf("what stands in the file: %v", err)
	}
}

const withCommandless = "data_dir: data\nlisten: {pgwire: {address: 127.0.0.1:6543}}\nconnections: {shop: {driver: postgres, dsn: host=/tmp}}\nprincipals: {}\npolicies: [p.cedar]\n"
