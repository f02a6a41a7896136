package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The key that wraps the keys of records comes into force, is replaced, and is taken away again.
func TestRewrap(t *testing.T) {
	data := aRecord(t)
	conf := withOfficers(t, data)
	dir := filepath.Dir(conf)
	for name, digit := range map[string]string{"one.key": "1", "two.key": "2"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Repeat(digit, 64)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	wrapped := func(name string) {
		t.Helper()
		with := string(text)
		if name != "" {
			with = strings.Replace(with, "audit: {", "audit: {key_encryption: {file: "+name+"}, ", 1)
		}
		if err := os.WriteFile(conf, []byte(with), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sound := func() {
		t.Helper()
		contains(t, cli(t, exitOK, "trace", "-c", conf), "jane@example.com")
		contains(t, cli(t, exitOK, "trace", "--check", "-c", conf), "sound")
		cli(t, exitOK, "evidence", "-c", conf, "--session", "s_0", "--out", filepath.Join(t.TempDir(), "e.zip"))
	}
	wrapped("one.key")
	sound() // not wrapped yet
	contains(t, cli(t, exitOK, "audit", "rewrap", "-c", conf), "2 files of keys were wrapped anew")
	sound()
	wrapped("two.key")
	contains(t, cli(t, exitFailed, "trace", "-c", conf), "wrapped by the key")
	contains(t, cli(t, exitFailed, "audit", "rewrap", "-c", conf), "cannot be wrapped anew")
	contains(t, cli(t, exitOK, "audit", "rewrap", "-c", conf, "--old", filepath.Join(dir, "one.key")), "2 files")
	sound()
	contains(t, typed(t, exitOK, "ada-password", "erase", "-c", conf, "--person", "jane@example.com", "--by", "ada", "--why", "x", "--propose"), "1 records")
	wrapped("")
	contains(t, cli(t, exitOK, "verify", data), "The evidence is good.") // which takes no key of a record
}
