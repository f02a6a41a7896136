package config

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWrappingKeys(t *testing.T) {
	dir := t.TempDir()
	digits := strings.Repeat("0a", 32)
	file := filepath.Join(dir, "key")
	if err := os.WriteFile(file, []byte(digits+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	loose := filepath.Join(dir, "loose")
	if err := os.WriteFile(loose, []byte(digits), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("WRAP", base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\n", 32))))
	t.Setenv("SHORT", "0a0b-secret")
	for name, k := range map[string]KeyEncryption{
		"file":    {File: file},
		"env":     {Env: "WRAP"},
		"command": {Command: []string{"cat", file}},
	} {
		if key, err := k.Key(); err != nil || string(key[:]) != strings.Repeat("\n", 32) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, k := range map[string]KeyEncryption{
		"missing": {File: filepath.Join(dir, "none")},
		"loose":   {File: loose},
		"unset":   {Env: "NOT_SET_ANYWHERE"},
		"short":   {Env: "SHORT"},
		"fails":   {Command: []string{"false"}},
		"silent":  {Command: []string{"true"}},
	} {
		if _, err := k.Key(); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{"{}", "{file: a, env: B}"} {
		if _, err := load(t, sound+"audit: {key_encryption: "+text+"}\n"); err == nil || !strings.Contains(err.Error(), "needs one of") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if c, err := load(t, sound+"audit: {key_encryption: {file: wrap.key}}\n"); err != nil || c.File.Audit.KeyEncryption.File != filepath.Join(c.Dir, "wrap.key") {
		t.Error(err)
	}
}
