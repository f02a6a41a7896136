package config

import (
	"strings"
	"testing"
	"time"
)

func TestErasureAndRetention(t *testing.T) {
	c, err := load(t, sound+"audit:\n  erasure: {groups: [engineers]}\n  retention: {content: 90d, trace: 5y}\n")
	if err != nil {
		t.Fatal(err)
	}
	if r := c.File.Audit.Retention; time.Duration(r.Content) != 90*24*time.Hour || time.Duration(r.Trace) != 5*365*24*time.Hour || len(c.Warnings) != 0 {
		t.Errorf("%+v, %v", r, c.Warnings)
	}
	for name, tc := range map[string]struct{ audit, want string }{
		"not_a_span":     {"retention: {content: soon}", "is not a span of time like 90d"},
		"no_unit":        {"retention: {content: 90}", "is not a span of time like 90d"},
		"nothing":        {"retention: {content: 0d}", "is not a span of time like 90d"},
		"too_long":       {"retention: {trace: 101y}", "at most 100 years"},
		"minus":          {"retention: {trace: -1d}", "is not a span"},
		"trace_first":    {"retention: {content: 2y, trace: 90d}", "who asked is to go before what was asked"},
		"two_of_nobody":  {"erasure: {dual_control: true}", "`dual_control` without `groups`"},
		"unknown_key":    {"erasure: {dual: true}", "unknown key `dual`"},
		"name_of_groups": {"erasure: {groups: ['a b']}", "cannot be a group's name"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := load(t, sound+"audit:\n  "+tc.audit+"\n"); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
	for audit, want := range map[string]string{
		"erasure: {groups: [engineers], dual_control: true}": "the configuration has 1",
		"erasure: {groups: [dpo]}":                           "nobody is in",
	} {
		if c, err := load(t, sound+"audit:\n  "+audit+"\n"); err != nil || len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0].String(), want) {
			t.Errorf("%s: %v, %v", audit, c.Warnings, err)
		}
	}
}
