package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A DSN that checks less of another machine than verify-full is a problem with its line, wherever the DSN is, and whoever wants it says so.
func TestDSNsThatLeaveChecksOut(t *testing.T) {
	t.Setenv("PGSSLMODE", "")
	dir := t.TempDir()
	path := filepath.Join(dir, "sallyport.yaml")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("p.cedar", "permit (principal, action, resource);")
	load := func(how, more string) (*Config, error) {
		write("sallyport.yaml", "data_dir: data\nlisten: {pgwire: {address: 127.0.0.1:6543}}\nconnections:\n  shop:\n    driver: postgres\n    "+how+"\n"+more+"principals: {}\npolicies: [p.cedar]\n")
		return Load(path)
	}
	for _, mode := range []struct{ sslmode, says string }{
		{"disable", "need not be encrypted"}, {"prefer", "need not be encrypted"}, {"require", "its certificate is not checked"}, {"verify-ca", "the name in its certificate is not checked"},
	} {
		dsn := "postgres://app:topsecret@db.example/shop?sslmode=" + mode.sslmode
		write("dsn", dsn+"\n")
		t.Setenv("SHOP_DSN", dsn)
		for _, how := range []string{"dsn: " + dsn, "dsn_env: SHOP_DSN", "dsn_file: dsn", "dsn_command: [cat, dsn]"} {
			_, err := load(how, "")
			var list Problems
			if !errors.As(err, &list) {
				t.Fatalf("%s: %v", how, err)
			}
			i := slices.IndexFunc(list, func(p Problem) bool { return strings.Contains(p.Message, mode.says) })
			if i < 0 || list[i].Line != 6 || list[i].File != path || !strings.Contains(list[i].Hint, "sslmode=verify-full") || !strings.Contains(list[i].Hint, "`insecure: true`") {
				t.Errorf("%s: %+v", how, list)
			}
			if strings.Contains(err.Error(), "topsecret") {
				t.Errorf("%s: the problem tells the password", how)
			}
			if c, err := load(how, "    insecure: true\n"); err != nil || !c.Connections[0].Insecure {
				t.Errorf("%s, agreed to: %v", how, err)
			}
			if _, err := LoadOffline(path); err != nil { // for what connects to nothing
				t.Errorf("%s: %v", how, err)
			}
		}
	}
	for _, dsn := range []string{"postgres://app@db.example/shop", "postgres://app@db.example/shop?sslmode=verify-full", "postgres://app@127.0.0.1/shop?sslmode=disable", "host=/tmp"} {
		if _, err := load("dsn: "+dsn, ""); err != nil {
			t.Errorf("%s: %v", dsn, err)
		}
	}
	for _, c := range []struct{ how, says string }{
		{"dsn: host=db.example sslrootcert=" + filepath.Join(dir, "absent.pem"), "absent.pem: no such file"},
		{"dsn_env: NOT_SET_HERE", "what the DSN of `shop` leaves unchecked was not looked at"},
		{"dsn_file: absent", "what the DSN of `shop` leaves unchecked was not looked at"},
		{"dsn_command: [sh, -c, exit 3]", "what the DSN of `shop` leaves unchecked was not looked at"},
	} {
		if _, err := load(c.how, ""); err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "sallyport.yaml:6") {
			t.Errorf("%s: %v", c.how, err)
		}
	}
}

// What is sent to another machine is encrypted; on this one it need not be.
func TestNothingGoesInTheClear(t *testing.T) {
	const base = "data_dir: data\nlisten: {pgwire: {address: 127.0.0.1:6543}, web: {address: 127.0.0.1:6545}}\nconnections: {shop: {driver: postgres, dsn: host=/tmp}}\nprincipals: {}\npolicies: [p.cedar]\n"
	const secret = "secret_env: LONG_SECRET"
	witness := "witness.example+bdbdbdbd+" // its key is looked at too: what counts here is what is said of the URL
	t.Setenv("LONG_SECRET", strings.Repeat("s", 40))
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "p.cedar"), []byte("permit (principal, action, resource);"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"model":          "detectors: {model: {url: '$URL/analyze'}}",
		"webhook export": "export: [{name: x, to: webhook, url: '$URL/x', " + secret + "}]",
		"otlp export":    "export: [{name: x, to: otlp, url: '$URL'}]",
		"s3 export":      "export: [{name: x, to: s3, url: '$URL/bucket', access_key: k, " + secret + "}]",
		"webhook":        "notify: [{name: x, to: webhook, url: '$URL/x', " + secret + "}]",
		"slack":          "notify: [{name: x, to: slack, url_env: URL_X}]",
		"teams":          "notify: [{name: x, to: teams, url_env: URL_X}]",
		"witness":        "audit: {witnesses: [{name: w, url: '$URL/w', key: " + witness + "}]}",
		"issuer":         "identity: {providers: [{name: corp, issuer: '$URL', client_id: gate}]}",
		"claim source":   "identity: {providers: [{name: corp, issuer: 'https://id.example', client_id: gate, claim_sources: ['$URL']}]}",
	} {
		t.Run(name, func(t *testing.T) {
			for _, c := range []struct {
				url  string
				good bool
			}{
				{"https://there.example", true}, {"http://127.0.0.1:9", true}, {"http://[::1]:9", true}, {"http://localhost:9", true},
				{"http://there.example", false}, {"http://10.0.0.7:9", false}, {"http://127.0.0.1.example", false}, {"http://localhost.example", false},
				{"http://0.0.0.0:9", false}, {"HTTP://there.example", false}, {"ftp://there.example", false}, {"//there.example", false}, {"http://u:p@127.0.0.1", false},
			} {
				t.Setenv("URL_X", c.url+"/x")
				_, err := Parse("x.yaml", dir, []byte(base+strings.ReplaceAll(text, "$URL", c.url)+"\n"))
				var list Problems
				errors.As(err, &list)
				list = slices.DeleteFunc(list, func(p Problem) bool { return strings.Contains(p.Message, "public key") })
				if c.good != (len(list) == 0) {
					t.Errorf("%s: %v", c.url, list)
				}
				for _, p := range list {
					if p.Line != 6 {
						t.Errorf("%s: line %d", c.url, p.Line)
					}
				}
				// How to mend it is said of what is common: http to another machine.
				if strings.HasPrefix(c.url, "http://there") && !slices.ContainsFunc(list, func(p Problem) bool { return strings.Contains(p.Message+p.Hint, "https") }) {
					t.Errorf("%s: no word of https: %v", c.url, list)
				}
			}
		})
	}
}
