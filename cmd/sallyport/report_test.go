package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestReportsOfARecordWithoutAConfiguration(t *testing.T) {
	data := recorded(t)
	for kind, want := range map[string]string{"principles": "GDPR article 5", "lawfulness": "GDPR article 6", "erasure": "GDPR article 17", "design": "GDPR article 25", "security": "GDPR article 32"} {
		code, out, errs := sallyport("report", kind, "--data", data)
		if code != exitOK || !strings.Contains(out, want) || !strings.Contains(out, "Made from 5 records") {
			t.Errorf("%s: %d %s %s", kind, code, out, errs)
		}
		if code, out, _ = sallyport("report", kind, "--data", data, "--html"); code != exitOK || !strings.HasPrefix(out, "<!DOCTYPE html>") || strings.Contains(out, "<script") {
			t.Errorf("%s as a page: %d %.200s", kind, code, out)
		}
		if code, out, _ = sallyport("report", kind, "--data", data, "--json"); code != exitOK || !json.Valid([]byte(out)) {
			t.Errorf("%s as JSON: %d %.200s", kind, code, out)
		}
	}
	_, out, _ := sallyport("report", "security", "--data", data)
	for _, s := range []string{"now, as a whole: 5 records of 2 sessions, sound", "NO: by nobody", "records 1 to 5 of 5"} {
		if !strings.Contains(out, s) {
			t.Errorf("measures do not say %q:\n%s", s, out)
		}
	}
	if code, _, errs := sallyport("report", "design", "--data", data, "--html", "--json"); code != exitUsage {
		t.Errorf("--html with --json: %d %s", code, errs)
	}
}
