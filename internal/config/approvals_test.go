package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const approvalsBase = `data_dir: data
listen: {pgwire: {address: 127.0.0.1:6543}%s}
connections: {shop: {driver: postgres, dsn: "host=db"}}
principals:
  dana: {kind: human, groups: [dba, leads], secret: "SCRAM-SHA-256$4096:AAAA$AAAA:AAAA"}
policies: [policy.cedar]
`

func TestApprovals(t *testing.T) {
	for _, c := range []struct{ web, text, want string }{
		{"", "approvals: {pending: 2h, claim: 5m, wait: 0s, groups: {dba: {quorum: 2, escalate: [leads], escalate_after: 30m}}, guesses: [dba], break_glass: [leads]}", ""},
		{"", "approvals: {pending: 200h}", "is no time for `approvals.pending`"},
		{"", "approvals: {claim: 25h}", "is no time for `approvals.claim`"},
		{"", "approvals: {heartbeat: 11m}", "is no time for `approvals.heartbeat`"},
		{"", "approvals: {groups: {dba: {quorum: 10}}}", "a quorum of 10 is not possible"},
		{"", "approvals: {groups: {dba: {escalate: [leads]}}}", "come together"},
		{"", "approvals: {groups: {dba: {escalate: [dba], escalate_after: 1m}}}", "cannot stand in for itself"},
		{"", "approvals: {purpose_required: true}", "a purpose is required"},
		{", web: {address: 127.0.0.1:6545, public_url: ftp://x}", "", "is not an http(s) URL"},
		{", web: {address: 127.0.0.1:6543}", "", "two doors have the same address"},
		{", web: {address: 0.0.0.0:6545}", "", "without TLS"},
		{", web: {address: 127.0.0.1:6545, auditors: [dba], step_up: 0s}", "", ""},
		{", web: {address: 127.0.0.1:6545, step_up: 2h}", "", "is no time for `listen.web.step_up`"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "policy.cedar"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Parse("sallyport.yaml", dir, []byte(strings.Replace(approvalsBase, "%s", c.web, 1)+c.text))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if c.want == "" && strings.Contains(got, "approvals") || c.want != "" && !strings.Contains(got, c.want) {
			t.Errorf("%s %s: %q, want %q", c.web, c.text, got, c.want)
		}
	}
}

// TestNobodyWouldEverStandIn: what can never come about is no mistake that stops a gateway, and is said.
func TestNobodyWouldEverStandIn(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "policy.cedar"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for text, warned := range map[string]bool{
		"approvals: {groups: {dba: {escalate: [leads], escalate_after: 59m}}}":              false,
		"approvals: {groups: {dba: {escalate: [leads], escalate_after: 1h}}}":               true,
		"approvals: {pending: 2h, groups: {dba: {escalate: [leads], escalate_after: 90m}}}": false,
		"approvals: {pending: 5m, groups: {dba: {escalate: [leads], escalate_after: 30m}}}": true,
	} {
		c, err := Parse("sallyport.yaml", dir, []byte(strings.Replace(approvalsBase, "%s", "", 1)+text))
		if err != nil {
			t.Fatal(err)
		}
		said := false
		for _, w := range c.Warnings {
			said = said || strings.Contains(w.String(), "before anybody stands in for `dba`")
		}
		if said != warned {
			t.Errorf("%s: %v, want %v", text, c.Warnings, warned)
		}
	}
}

// TestWhatNobodyCouldDo: a quorum that a group has not the people for, a glass that nobody may break, one person under two names.
func TestWhatNobodyCouldDo(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "policy.cedar"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const verifier = `"SCRAM-SHA-256$4096:AAAA$AAAA:AAAA"`
	two := strings.Replace(approvalsBase, "policies:", "  erin: {kind: human, groups: [leads], secret: "+verifier+"}\npolicies:", 1)
	cased := strings.Replace(approvalsBase, "policies:", "  DANA: {kind: human, groups: [dba], secret: "+verifier+"}\npolicies:", 1)
	const provider = "\nidentity: {providers: [{name: corp, issuer: \"https://id.example\", client_id: sallyport, user: sub, groups: groups}]}"
	for _, c := range []struct{ base, text, want string }{
		{approvalsBase, "approvals: {groups: {dba: {quorum: 2}}}", "2 of `dba` have to approve, and 1 could"},
		{two, "approvals: {groups: {dba: {quorum: 2, escalate: [leads], escalate_after: 1m}}}", ""},
		{approvalsBase, "approvals: {groups: {dba: {quorum: 2, escalate: [leads], escalate_after: 1m}}}", "and 1 could"}, // the same one
		{strings.Replace(approvalsBase, "%s", ", web: {address: 127.0.0.1:6545, public_url: https://gw.example}", 1), "approvals: {groups: {dba: {quorum: 2}}}" + provider, ""},
		{approvalsBase, "approvals: {break_glass: [strangers]}", "so nobody can break the glass by it"},
		{approvalsBase, "approvals: {break_glass: [dba]}", ""},
		{cased, "", "`DANA` and `dana` differ in nothing but case"},
	} {
		got, err := Parse("sallyport.yaml", dir, []byte(strings.Replace(c.base, "%s", "", 1)+c.text))
		if got == nil {
			t.Fatalf("%s: %v", c.text, err)
		}
		warned := ""
		for _, w := range got.Warnings {
			warned += w.String() + "\n"
		}
		if c.want == "" && (strings.Contains(warned, "could") || strings.Contains(warned, "glass") || strings.Contains(warned, "differ")) || !strings.Contains(warned, c.want) {
			t.Errorf("%s: warned of %q, want %q", c.text, warned, c.want)
		}
	}
}
