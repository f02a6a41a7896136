package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/login"
	"sallyport/internal/testdb"
)

// Each line of docs/clients.md that is marked as tested is run as it stands there, with the example's names replaced.
func TestRecipes(t *testing.T) {
	text, err := os.ReadFile("../../docs/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	gate := openRealGate(t, t.TempDir(), "", true)
	host, port, _ := net.SplitHostPort(gate.pg)
	bin, home := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "sallyport"), []byte("#!/bin/sh\nSALLYPORT_TEST_MAIN=1 exec "+testBinary(t)+" \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	psql, err := testdb.LookPath("psql")
	if err != nil {
		t.Fatal(err)
	}
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "PG") || strings.HasPrefix(kv, "XDG_") })
	env = append(env, "HOME="+home, "PATH="+bin+":"+filepath.Dir(psql)+":"+os.Getenv("PATH"), "DISPLAY=", "WAYLAND_DISPLAY=")
	names := strings.NewReplacer("https://sallyport.example.com", gate.url, "host=sallyport.example.com port=6543", "host="+host+" port="+port, "sallyport.example.com", "127.0.0.1")
	blocks := regexp.MustCompile("(?s)<!-- tested: ([^\n]*) -->\n+```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 5 {
		t.Fatalf("%d recipes are marked as tested", len(blocks))
	}
	for _, b := range blocks {
		t.Run(b[1], func(t *testing.T) {
			cmd := exec.Command("sh", "-euc", names.Replace(b[2]))
			cmd.Dir, cmd.Env = home, env
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			// Nobody but ada is let in, and whoever is has no row unmasked.
			if strings.Contains(b[2], "FROM customers") && (!strings.Contains(string(out), "1") || strings.Contains(string(out), "ada@example.com")) {
				t.Errorf("it is not ada who comes in:\n%s", out)
			}
		})
	}
}

// testBinary is this program, which runs main where SALLYPORT_TEST_MAIN is set.
func testBinary(t *testing.T) string {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestClientSettings(t *testing.T) {
	p, err := login.Open(filepath.Join(t.TempDir(), "s"), "https://gate.example.com:8443")
	if err != nil {
		t.Fatal(err)
	}
	c := &login.Credential{Gateway: p.Gateway, Principal: `a:d\a`, Secret: "s:1", Certified: true, Authority: true, PGWire: login.PGWire{Address: "0.0.0.0:6543", TLS: true}}
	s, err := clientSettings(p, c, "shop")
	if err != nil {
		t.Fatal(err)
	}
	env := environment([]string{"PGSERVICE=x", "PGHOSTADDR=1.2.3.4", "PGSSLMODE=disable", "PGPASSWORD=old", "PGAPPNAME=mine", "PGOPTIONS=-c a=b", "HOME=/h"}, s)
	want := []string{"PGAPPNAME=mine", "PGOPTIONS=-c a=b", "HOME=/h", "PGHOST=gate.example.com", "PGPORT=6543", `PGUSER=a:d\a`, "PGDATABASE=shop", "PGGSSENCMODE=disable",
		"PGSSLMODE=verify-full", "PGSSLROOTCERT=" + p.Authority(), "PGSSLCERT=" + p.Cert(), "PGSSLKEY=" + p.Key()}
	if !slices.Equal(env, want) {
		t.Errorf("environment\n%q, want\n%q", env, want)
	}
	if got, want := pgpassLine(c, s), `gate.example.com:6543:shop:a\:d\\a:s\:1`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	c.Certified = false // a door that takes no certificates
	s, _ = clientSettings(p, c, "it's")
	if got := shellLines(s); strings.Contains(got, "PGSSLCERT") || !strings.Contains(got, "export PGPASSWORD='s:1'\n") || !strings.Contains(got, `export PGDATABASE='it'\''s'`) {
		t.Errorf("without certificate:\n%s", got)
	}
	for name, change := range map[string]func(*login.Credential){
		"no TLS on the way":  func(c *login.Credential) { c.PGWire.TLS = false },
		"no door":            func(c *login.Credential) { c.PGWire.Address = "" },
		"line in a name":     func(c *login.Credential) { c.Principal = "ada\nhost=evil" },
		"line in an address": func(c *login.Credential) { c.PGWire.Address = "evil\nhost=x:1" },
	} {
		bad := *c
		change(&bad)
		if s, err := clientSettings(p, &bad, "shop"); err == nil {
			t.Errorf("%s: %v", name, s)
		}
	}
	c.PGWire = login.PGWire{Address: "127.0.0.1:6543"}
	if s, err := clientSettings(p, c, "shop"); err != nil || !slices.Contains(s, setting{"PGSSLMODE", "sslmode", "disable"}) {
		t.Errorf("on this machine: %v, %v", s, err)
	}
}
