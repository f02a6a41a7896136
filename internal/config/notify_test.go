package config

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const openWeb = "  web: {address: 127.0.0.1:6545}\n"

// withWeb is the sound configuration with the web door open.
var withWeb = strings.Replace(sound, "connections:\n", openWeb+"connections:\n", 1)

func TestNotify(t *testing.T) {
	t.Setenv("HOOK_SECRET", hookSecret)
	t.Setenv("SLACK_URL", "https://hooks.slack.com/services/T/B/x")
	c, err := load(t, withWeb+`notify:
  - {name: pager, to: webhook, url: "https://pager.example.com/in", secret_env: HOOK_SECRET, events: [glass, unknown], tls: {ca: pager.pem}}
  - {name: slack, to: slack, url_env: SLACK_URL, secret_env: HOOK_SECRET, groups: [engineers], sql: true}
  - {name: bot, to: slack, token_env: HOOK_SECRET, channel: "#reviews"}
  - {name: teams, to: teams, url_env: SLACK_URL, timeout: 10s}
  - {name: mail, to: email, address: "mail.example.com:587", user: gate, password_env: HOOK_SECRET, from: Gate <gate@example.com>, recipients: [leads@example.com]}
  - {name: local, to: email, address: "127.0.0.1:25", security: none, from: gate@example.com, recipients: [leads@example.com]}
`)
	if err != nil {
		t.Fatal(err)
	}
	want := []Notify{
		{Name: "pager", To: "webhook", URL: "https://pager.example.com/in", Secret: hookSecret, SecretEnv: "HOOK_SECRET", Events: []string{"glass", "unknown"}, TLS: &ClientTLS{CA: filepath.Join(c.Dir, "pager.pem")}},
		{Name: "slack", To: "slack", URL: "https://hooks.slack.com/services/T/B/x", URLEnv: "SLACK_URL", Secret: hookSecret, SecretEnv: "HOOK_SECRET", Groups: []string{"engineers"}, SQL: true},
		{Name: "bot", To: "slack", Token: hookSecret, TokenEnv: "HOOK_SECRET", Channel: "#reviews"},
		{Name: "teams", To: "teams", URL: "https://hooks.slack.com/services/T/B/x", URLEnv: "SLACK_URL", Timeout: Duration(10 * time.Second)},
		{Name: "mail", To: "email", Address: "mail.example.com:587", User: "gate", Password: hookSecret, PasswordEnv: "HOOK_SECRET", From: "Gate <gate@example.com>", Recipients: []string{"leads@example.com"}},
		{Name: "local", To: "email", Address: "127.0.0.1:25", Security: "none", From: "gate@example.com", Recipients: []string{"leads@example.com"}},
	}
	if diff := cmp.Diff(want, c.Channels); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if len(c.Warnings) != 0 {
		t.Error(c.Warnings)
	}
}

func TestNotifyProblems(t *testing.T) {
	t.Setenv("HOOK_SECRET", hookSecret)
	t.Setenv("SHORT", "hunter2@")
	t.Setenv("CLEAR", "http://hooks.example.com/hunter2@")
	hook := `name: a, to: webhook, url: "https://x.example/in", secret_env: HOOK_SECRET`
	mail := `name: a, to: email, address: "m.example:587", from: g@example.com, recipients: [l@example.com]`
	for _, tc := range []struct{ name, entry, want string }{
		{"nowhere", "name: a, to: pigeon", "sallyport.yaml:28: `pigeon` is no way to tell people\n  hint: one of `email`, `slack`, `teams` or `webhook`"},
		{"unknown_key", "name: a, to: slack, chanel: x", "did you mean `channel`?"},
		{"name_as_path", strings.Replace(hook, "name: a", "name: ../a", 1), "`../a` cannot be a channel's name"},
		{"twice", hook + "}\n  - {" + hook, "two channels are called `a`"},
		{"key_of_another", hook + ", channel: x", "`channel` is nothing that a channel to webhook takes"},
		{"unknown_event", hook + ", events: [escalation]", "`escalation` is not a value of `events`"},
		{"no_secret", `name: a, to: webhook, url: "https://x.example/in"`, "needs a secret of at least 24 bytes"},
		{"short_secret", strings.Replace(hook, "HOOK_SECRET", "SHORT", 1), "needs a secret of at least 24 bytes"},
		{"unset_secret", strings.Replace(hook, "HOOK_SECRET", "NOWHERE", 1), "the environment variable `NOWHERE` is not set"},
		{"no_url", "name: a, to: teams", "channel `a` has no `url`"},
		{"in_the_clear", "name: a, to: teams, url_env: CLEAR", "would tell people in the clear"},
		{"no_url_at_all", "name: a, to: teams, url_env: SHORT", "is no https URL"},
		{"slack_with_both", `name: a, to: slack, url_env: CLEAR, token_env: SHORT, channel: c`, "needs the `url` of an incoming webhook, or `token` and `channel`"},
		{"slack_without_channel", `name: a, to: slack, token_env: SHORT`, "needs the `url` of an incoming webhook, or `token` and `channel`"},
		{"no_port", strings.Replace(mail, ":587", "", 1), "`address` must be host:port"},
		{"no_from", strings.Replace(mail, "g@example.com", "gate", 1), "`gate` is no mail address to send from"},
		{"no_recipients", strings.Replace(mail, "[l@example.com]", "[]", 1), "has no `recipients`"},
		{"bad_recipient", strings.Replace(mail, "[l@example.com]", `["l@example.com\r\nBcc: x@example.com"]`, 1), "is no mail address"},
		{"mail_in_the_clear", mail + ", security: none", "would send mail in the clear"},
		{"unknown_security", mail + ", security: perhaps", "`perhaps` is not a value of `security`"},
		{"user_without_password", mail + ", user: gate", "`user` and its password go together"},
		{"half_a_certificate", hook + ", tls: {cert: x}", "`tls` needs both `cert` and `key`"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := load(t, withWeb+"notify:\n  - {"+tc.entry+"}\n")
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got:\n%v\nwant in it:\n%s", err, tc.want)
			}
			if strings.Contains(err.Error(), "hunter2@") {
				t.Errorf("a secret in the message: %v", err)
			}
		})
	}
	for _, tc := range []struct{ text, want string }{
		{withWeb + "notify:\n  - {name: a, to: teams, url: \"https://x.example/1\"}\n", "the url of channel `a` is in the configuration file"},
		{withWeb + "notify:\n  - {" + hook + ", groups: [strangers]}\n", "no person is in the group `strangers`"},
		{sound + "notify:\n  - {" + hook + "}\n", "messages have no link"},
	} {
		c, err := load(t, tc.text)
		if err != nil || len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0].String(), tc.want) {
			t.Errorf("%v %v, want %s", c, err, tc.want)
		}
	}
}

// A command counts as a value: what a channel or an exporter does not take is told of however it is given.
func TestCommandsThatNobodyTakes(t *testing.T) {
	for _, text := range []string{
		"notify: [{name: x, to: teams, url_env: SHOP_DSN, secret_command: ['true']}]", "notify: [{name: x, to: teams, url_env: SHOP_DSN, token_command: ['true']}]",
		"notify: [{name: x, to: teams, url_env: SHOP_DSN, password_command: ['true']}]", "notify: [{name: x, to: email, url_command: ['true']}]",
		"export: [{name: x, to: file, path: p, secret_command: ['true']}]", "export: [{name: x, to: file, path: p, token_command: ['true']}]",
	} {
		if _, err := load(t, sound+text+"\n"); err == nil || !strings.Contains(err.Error(), "is nothing that") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
