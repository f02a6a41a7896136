package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Keys that `sallyport witness key` has printed.
const (
	key1 = "w1.example+d3c78831+BOShXY5/hd5++PuNDM6/jSeqC5xz1LM2bOgcW80lf9HN"
	key2 = "w2.example+c37c0aff+BNF5cgvnmKaKNv9LKcXaiio6vpbOhbdNEmuTy0StJhhu"
)

const someCert = `-----BEGIN CERTIFICATE-----
MIIBfzCCASWgAwIBAgIUB+vAfpEsmEQ20eVW6R/kRefpcIIwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJVGVzdCBSb290MCAXDTI2MTEyNjA4MTkxM1oYDzIxMjYxMTAy
MDgxOTEzWjAUMRIwEAYDVQQDDAlUZXN0IFJvb3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARLY+P7+KgujQkqsnTG8A+LIQbs87GdyL/VVwGJpXc3hpSjmGbb0Jjh
Lrdivv7IwjWvh510/wc1rjr1hZvGf7g3o1MwUTAdBgNVHQ4EFgQUyZCJmLJ5IDrJ
rZB+3wYavdOzVuowHwYDVR0jBBgwFoAUyZCJmLJ5IDrJrZB+3wYavdOzVuowDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEAiDgnW7mKXFwO3HPoVNwf
rGz/F2cX0yf/PZ4GxrCdlbECID28+Z9ijAH78R2P7ywgR1Yo79QS+jF1VwLzqCb+
ya8r
-----END CERTIFICATE-----
`

func TestAudit(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "tsa.pem")
	if err := os.WriteFile(ca, []byte(someCert), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := load(t, sound+`audit:
  witnesses:
    - {name: w1, url: "https://w1.example", key: "`+key1+`", tls: {ca: w.pem}}
    - {name: w2, url: "http://127.0.0.1:7643", key: "`+key2+`"}
  timestamping: {urls: ["http://tsa.example/tsr"], ca: `+ca+`}
`)
	if err != nil {
		t.Fatal(err)
	}
	a := c.File.Audit
	if a.Quorum != 2 || a.Witnesses[0].TLS.CA != filepath.Join(c.Dir, "w.pem") || a.Timestamping.CA != ca || time.Duration(a.Timestamping.Every) != time.Hour {
		t.Errorf("%+v", a)
	}
}

func TestAuditProblems(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "tsa.pem")
	if err := os.WriteFile(ca, []byte(someCert), 0o600); err != nil {
		t.Fatal(err)
	}
	one := `{name: w1, url: "https://w1.example", key: "` + key1 + `"}`
	witness := func(from, to string) string { return "witnesses: [" + strings.Replace(one, from, to, 1) + "]" }
	stamp := `timestamping: {urls: ["https://tsa.example"], ca: ` + ca + `}`
	for name, tc := range map[string]struct{ text, want string }{
		"unknown_key":       {"witness: []", "unknown key `witness` in `audit`"},
		"no_name":           {witness("name: w1, ", ""), "sallyport.yaml:27: `` cannot be a witness's name"},
		"name_twice":        {"witnesses: [" + one + ", " + strings.Replace(one, key1, key2, 1) + "]", "two witnesses are called `w1`"},
		"key_twice":         {"witnesses: [" + one + ", " + strings.Replace(one, "w1", "w2", 1) + "]", "the witnesses `w1` and `w2` have one key"},
		"no_key":            {witness(key1, ""), "no witness's public key"},
		"wrong_hash":        {witness("+", "x+"), "no witness's public key"},
		"in_the_clear":      {witness("https", "http"), "asked in the clear"},
		"whole_address":     {witness(".example", ".example/add-checkpoint"), "leave that out"},
		"no_scheme":         {witness("https://", ""), "needs an https URL"},
		"password_in_url":   {witness("https://", "https://u:p@"), "needs an https URL"},
		"half_certificate":  {witness(`"}`, `", tls: {cert: x}}`), "needs both `cert` and `key`"},
		"quorum_too_high":   {"{quorum: 2, witnesses: [" + one + "]}", "a quorum of 2 cannot be reached with 1 witnesses"},
		"quorum_of_nobody":  {"quorum: 1", "a quorum of 1 cannot be reached with 0 witnesses"},
		"no_authority":      {"timestamping: {ca: x.pem}", "names no authority"},
		"authority_no_url":  {strings.Replace(stamp, "https://", "", 1), "is not an http(s) URL"},
		"no_roots":          {`timestamping: {urls: ["https://tsa.example"]}`, "has no `ca`"},
		"roots_not_there":   {strings.Replace(stamp, "tsa.pem", "other.pem", 1), "no such file"},
		"roots_of_nothing":  {strings.Replace(stamp, ca, "policy.cedar", 1), "has no certificate"},
		"every_second":      {strings.Replace(stamp, "}", ", every: 1s}", 1), "at least 1m"},
		"reserved_for_none": {witness("w1", "none"), "cannot be a witness's name"},
	} {
		t.Run(name, func(t *testing.T) {
			text := "audit:\n  " + tc.text + "\n"
			if strings.HasPrefix(tc.text, "{") {
				text = "audit: " + tc.text + "\n"
			}
			if _, err := load(t, sound+text); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got:\n%v\nwant in it:\n%s", err, tc.want)
			}
		})
	}
}
