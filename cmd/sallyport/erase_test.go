package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sallyport/internal/identity"
)

// withOfficers writes a configuration in which ada and bob have to agree, over a data directory.
func withOfficers(t *testing.T, data string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"policy.cedar": `permit (principal, action == Action::"connect", resource);`,
		"sallyport.yaml": "data_dir: " + data + "\nconnections: {c: {driver: postgres, dsn: 'postgres:///'}}\nlisten: {mcp: {address: 127.0.0.1:0}}\npolicies: [policy.cedar]\n" +
			"audit: {erasure: {groups: [dpo], dual_control: true}, retention: {content: 90d}}\nprincipals:\n" +
			"  ada: {kind: human, groups: [dpo], secret: " + identity.HashPassword("ada-password") + "}\n" +
			"  bob: {kind: human, groups: [dpo], secret: " + identity.HashPassword("bob-password") + "}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "sallyport.yaml")
}

// typed runs a command with a line on standard input.
func typed(t *testing.T, want int, line string, args ...string) string {
	t.Helper()
	var out, errw strings.Builder
	if code := run(args, strings.NewReader(line+"\n"), &out, &errw); code != want {
		t.Fatalf("%q: exit code %d, want %d\n%s%s", args, code, want, out.String(), errw.String())
	}
	return out.String() + errw.String()
}

func contains(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("%q is not in\n%s", w, text)
		}
	}
}

func TestTwoPeopleErase(t *testing.T) {
	data := aRecord(t)
	conf := withOfficers(t, data)
	erase := func(more ...string) []string { return append([]string{"erase", "-c", conf}, more...) }
	jane := []string{"--person", "jane@example.com", "--why", "request 7", "--by", "ada"}
	cert := filepath.Join(t.TempDir(), "erasure.json")

	contains(t, typed(t, exitFailed, "ada-password", erase(jane...)...), "proposed by one and confirmed by another")
	contains(t, typed(t, exitFailed, "wrong", erase(append(jane, "--propose")...)...), "password authentication failed")
	text := typed(t, exitOK, "ada-password", erase(append(jane, "--propose")...)...)
	contains(t, text, "1 records of 1 sessions would be erased")
	id := regexp.MustCompile(`e_[0-9a-f]{16}`).FindString(text)
	contains(t, cli(t, exitOK, erase("--pending")...), id, "person jane@example.com", "request 7", "ada")
	contains(t, cli(t, exitOK, erase("--confirm", id, "--dry-run")...), "proposed by ada", "2 records of 1 sessions would be erased")
	contains(t, typed(t, exitFailed, "ada-password", erase("--confirm", id, "--by", "ada")...), "cannot confirm it")
	contains(t, typed(t, exitOK, "bob-password", erase("--confirm", id, "--by", "bob", "--certificate", cert)...), "2 records of 1 sessions erased", "out of reach were")
	contains(t, typed(t, exitFailed, "bob-password", erase("--confirm", id, "--by", "bob")...), "was carried out by record")
	contains(t, cli(t, exitOK, erase("--pending")...), "no proposals")
	contains(t, cli(t, exitOK, "verify", cert, "--key", filepath.Join(data, "log", "signing", "checkpoint.pub")),
		"bob, proposed by ada, had the keys of what was asked and answered in 2 records destroyed", "The evidence is good.")
	contains(t, cli(t, exitOK, "verify", data), "The evidence is good.")
	contains(t, cli(t, exitFailed, erase("--confirm", id, "--by", "bob", "--certificate", cert)...), "is there already")
	if text := cli(t, exitOK, "trace", "--data", data); strings.Contains(text, "jane") {
		t.Error(text)
	}
	contains(t, cli(t, exitOK, "trace", "--data", data), "proposed to erase 1 record", "erased the content of 2 records")
}

func TestHold(t *testing.T) {
	data := aRecord(t)
	hold := func(more ...string) []string { return append([]string{"hold"}, append(more, "--data", data)...) }
	contains(t, cli(t, exitOK, hold("list")...), "no holds")
	id := strings.TrimSpace(regexp.MustCompile(`h_[0-9a-f]{16}`).FindString(cli(t, exitOK, hold("add", "--session", "s_0", "--by", "counsel", "--why", "case\x1b[2J 4")...)))
	text := cli(t, exitOK, hold("list")...)
	if contains(t, text, id, "session s_0", "counsel"); strings.Contains(text, "\x1b") {
		t.Errorf("%q", text)
	}
	contains(t, cli(t, exitOK, hold("list", "--json")...), `"session":"s_0"`)
	by := []string{"--by", "dpo", "--why", "request"}
	contains(t, cli(t, exitOK, append([]string{"erase", "--data", data, "--person", "jane@example.com"}, by...)...), "0 records", "1 records that match stay, under hold "+id)
	cli(t, exitFailed, append(hold("release", "h_none"), by...)...)
	cli(t, exitOK, append(hold("release", id), by...)...)
	contains(t, cli(t, exitOK, append([]string{"erase", "--data", data, "--person", "jane@example.com"}, by...)...), "1 records of 1 sessions erased")
	contains(t, cli(t, exitOK, "trace", "--check", "--data", data), "sound")
}

// What is due is erased by whoever looks after the machine: the configuration has ordered it.
func TestDue(t *testing.T) {
	data := aRecord(t)
	conf := withOfficers(t, data)
	contains(t, cli(t, exitOK, "erase", "-c", conf, "--due"), "8 records of 3 sessions erased")
	contains(t, cli(t, exitOK, "erase", "-c", conf, "--due"), "nothing is due")
	contains(t, cli(t, exitOK, "verify", data), "The evidence is good.")
	contains(t, cli(t, exitFailed, "erase", "--data", data, "--due"), "nothing is ever due")
	cli(t, exitUsage, "erase", "-c", conf, "--due", "--propose")
	cli(t, exitUsage, "erase", "-c", conf, "--due", "--certificate", "x")
}
