package config

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const hookSecret = "0123456789abcdef0123456789abcdef"

func TestExports(t *testing.T) {
	t.Setenv("HOOK_SECRET", hookSecret)
	t.Setenv("OTEL_TOKEN", "t0ken")
	c, err := load(t, sound+`export:
  - {name: disk, to: file, path: out/audit.jsonl, from: start, without: [result, params]}
  - name: siem
    to: webhook
    format: ocsf
    url: https://siem.example.com/in
    secret_env: HOOK_SECRET
    tls: {ca: siem.pem}
    timeout: 10s
  - {name: syslog, to: syslog, address: "logs.example.com:6514", enterprise: 4711, tls: {cert: c.pem, key: /k.pem}}
  - {name: vault, to: s3, url: "https://s3.example.com/evidence", prefix: node-1, access_key: AK, secret_env: HOOK_SECRET, lock: compliance, retain_days: 365}
  - {name: otel, to: otlp, url: "http://127.0.0.1:4318", token_env: OTEL_TOKEN, signals: [traces]}
`)
	if err != nil {
		t.Fatal(err)
	}
	at := func(p string) string { return filepath.Join(c.Dir, p) }
	want := []Export{
		{Name: "disk", To: "file", Path: at("out/audit.jsonl"), From: "start", Without: []string{"result", "params"}},
		{Name: "siem", To: "webhook", Format: "ocsf", URL: "https://siem.example.com/in", Secret: hookSecret, SecretEnv: "HOOK_SECRET", TLS: &ClientTLS{CA: at("siem.pem")}, Timeout: Duration(10 * time.Second)},
		{Name: "syslog", To: "syslog", Address: "logs.example.com:6514", Enterprise: 4711, TLS: &ClientTLS{Cert: at("c.pem"), Key: "/k.pem"}},
		{Name: "vault", To: "s3", URL: "https://s3.example.com/evidence", Prefix: "node-1", AccessKey: "AK", Secret: hookSecret, SecretEnv: "HOOK_SECRET", Lock: "compliance", RetainDays: 365},
		{Name: "otel", To: "otlp", URL: "http://127.0.0.1:4318", Token: "t0ken", TokenEnv: "OTEL_TOKEN", Signals: []string{"traces"}},
	}
	if diff := cmp.Diff(want, c.Exports); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if len(c.Warnings) != 0 {
		t.Error(c.Warnings)
	}
}

func TestExportProblems(t *testing.T) {
	t.Setenv("HOOK_SECRET", hookSecret)
	t.Setenv("SHORT", "hunter2@")
	hook := "name: siem, to: webhook, url: \"https://siem.example.com/in\", secret_env: HOOK_SECRET"
	for _, tc := range []struct{ name, entry, want string }{
		{"nowhere", "name: a, to: kafka", "sallyport.yaml:27: `kafka` is nowhere to export to\n  hint: one of `file`, `otlp`, `s3`, `syslog` or `webhook`"},
		{"unknown_key", "name: a, to: file, pth: x", "unknown key `pth` in `export[0]`\n  hint: did you mean `path`?"},
		{"name_as_path", "name: ../a, to: file, path: x", "`../a` cannot be an exporter's name"},
		{"no_name", "to: file, path: x", "cannot be an exporter's name"},
		{"key_of_another", hook + ", path: x", "`path` is nothing that an export to webhook takes"},
		{"format_of_otlp", "name: a, to: otlp, url: \"https://x\", format: ocsf", "`format` is nothing that an export to otlp takes"},
		{"unknown_start", "name: a, to: file, path: x, from: yesterday", "`yesterday` is not a value of `from`\n  hint: one of `now` or `start`"},
		{"unknown_format", "name: a, to: file, path: x, format: cef", "`cef` is not a value of `format`"},
		{"unknown_field", "name: a, to: file, path: x, without: [rows]", "`rows` is not a value of `without`"},
		{"unknown_signal", "name: a, to: otlp, url: \"https://x\", signals: [metrics]", "`metrics` is not a value of `signals`"},
		{"no_path", "name: a, to: file", "exporter `a` has no `path`"},
		{"no_port", "name: a, to: syslog, address: logs.example.com", "`address` must be host:port"},
		{"in_the_clear", strings.Replace(hook, "https", "http", 1), "would send records in the clear to another machine"},
		{"password_in_url", strings.Replace(hook, "siem.example.com", "u:p@siem.example.com", 1), "needs an https URL"},
		{"no_secret", strings.Replace(hook, ", secret_env: HOOK_SECRET", "", 1), "needs a secret of at least 24 bytes"},
		{"short_secret", strings.Replace(hook, "HOOK_SECRET", "SHORT", 1), "needs a secret of at least 24 bytes"},
		{"unset_secret", strings.Replace(hook, "HOOK_SECRET", "NOWHERE", 1), "the environment variable `NOWHERE` is not set"},
		{"signal_in_url", "name: a, to: otlp, url: \"https://x/v1/logs\"", "names a signal"},
		{"no_bucket", "name: a, to: s3, url: \"https://x/\", access_key: a, secret_env: HOOK_SECRET", "names no bucket"},
		{"no_access_key", "name: a, to: s3, url: \"https://x/b\", secret_env: HOOK_SECRET", "needs `access_key` and its secret key"},
		{"lock_for_no_time", "name: a, to: s3, url: \"https://x/b\", access_key: a, secret_env: HOOK_SECRET, lock: compliance", "`lock` and `retain_days` go together"},
		{"fields_of_segments", "name: a, to: s3, url: \"https://x/b\", access_key: a, secret_env: HOOK_SECRET, without: [sql]", "`without` is nothing that an export to s3 takes"},
		{"half_a_certificate", "name: a, to: syslog, address: \"a:1\", tls: {cert: x}", "`tls` needs both `cert` and `key`"},
		{"twice", "name: a, to: file, path: x}\n  - {name: a, to: file, path: y", "sallyport.yaml:28: two exporters are called `a`"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := load(t, sound+"export:\n  - {"+tc.entry+"}\n")
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got:\n%v\nwant in it:\n%s", err, tc.want)
			}
			if strings.Contains(err.Error(), "hunter2@") {
				t.Errorf("a secret in the message: %v", err)
			}
		})
	}
	c, err := load(t, sound+"export:\n  - {"+strings.Replace(hook, "secret_env: HOOK_SECRET", "secret: "+hookSecret, 1)+"}\n")
	if err != nil || len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0].String(), "the secret of exporter `siem` is in the configuration file") {
		t.Errorf("%v %v", c.Warnings, err)
	}
}
