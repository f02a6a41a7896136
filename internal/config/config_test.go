package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sallyport/internal/access"
)

const verifier = "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

const sound = `# a comment
data_dir: data
listen:
  pgwire: {address: 127.0.0.1:6543}
connections:
  shop:
    driver: postgres
    dsn_env: SHOP_DSN
principals:
  ada:   # an engineer
    kind: human
    groups: [engineers, staff, engineers]
    secret: ` + verifier + `
  bot:
    kind: agent
    tokens:
      - sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
        expires: 2099-01-31T00:00:00Z
labels:
  - label: pii.email
    columns: [public.customers.email, "*.*.e_mail"]
masks:
  pii.email: {transform: partial, style: email}
policies: [policy.cedar]
catalog_refresh: 30s
`

func load(t *testing.T, text string) (*Config, error) {
	t.Helper()
	t.Setenv("SHOP_DSN", "postgres://app:hunter2@db/shop")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "policy.cedar"), []byte("permit(principal, action, resource);"), 0o600); err != nil {
		t.Fatal(err)
	}
	return Parse("sallyport.yaml", dir, []byte(text))
}

func TestSoundFile(t *testing.T) {
	c, err := load(t, sound)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) != 0 {
		t.Errorf("warnings: %v", c.Warnings)
	}
	if c.DataDir != filepath.Join(c.Dir, "data") {
		t.Errorf("data_dir is not relative to the file: %s", c.DataDir)
	}
	want := &Config{
		Connections: []access.Connection{{Name: "shop", Driver: "postgres", DSN: "postgres://app:hunter2@db/shop"}},
		Principals: []access.LocalPrincipal{
			{Name: "ada", Kind: access.Human, Groups: []string{"engineers", "staff"}, Secret: verifier},
			{Name: "bot", Kind: access.Agent, Tokens: []access.LocalToken{{SHA256: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", Expires: "2099-01-31T00:00:00Z"}}},
		},
		Labels:   []access.LabelRule{{Label: "pii.email", Columns: []string{"public.customers.email", "*.*.e_mail"}, Source: "sallyport.yaml:20"}},
		Masks:    []access.Mask{{Label: "pii.email", Transform: "partial", Style: "email", Source: "sallyport.yaml:23"}},
		Policies: []Policy{{Name: "policy.cedar", Text: "permit(principal, action, resource);"}},
	}
	got := &Config{Connections: c.Connections, Principals: c.Principals, Labels: c.Labels, Masks: c.Masks, Policies: c.Policies}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Config{})); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if time.Duration(c.File.CatalogRefresh) != 30*time.Second {
		t.Errorf("catalog_refresh = %v", c.File.CatalogRefresh)
	}
}

// Each case changes one thing in the sound file and says which line and words must come back.
func TestProblemsNameLineAndCure(t *testing.T) {
	for _, tc := range []struct{ name, old, new, want string }{
		{"unknown_key_at_the_top", "catalog_refresh", "catalogue_refresh", "sallyport.yaml:25: unknown key `catalogue_refresh`\n  hint: did you mean `catalog_refresh`?"},
		{"unknown_key_inside", "    dsn_env: SHOP_DSN", "    dsn_evn: SHOP_DSN", "sallyport.yaml:8: unknown key `dsn_evn` in `connections.shop`\n  hint: did you mean `dsn_env`?"},
		{"unknown_key_far_from_all", "catalog_refresh", "zzz", "hint: known here: data_dir, listen"},
		{"repeated_key", "catalog_refresh: 30s", "data_dir: again", "sallyport.yaml:25: `data_dir` is given twice\n  hint: it is first given in line 2"},
		{"two_principals_of_one_name", "  bot:\n", "  ada:\n", "`principals.ada` is given twice"},
		{"list_where_a_mapping_belongs", "  pgwire: {address: 127.0.0.1:6543}", "  - pgwire", "`listen` must be a mapping (key: value), not a list"},
		{"text_where_a_list_belongs", "[policy.cedar]", "policy.cedar", "`policies` must be a list, not `policy.cedar`"},
		{"broken_yaml", "data_dir: data", "data_dir: [data", "sallyport.yaml:"},
		{"tab_as_indentation", "  pgwire: {", "\tpgwire: {", "hint: the line begins with a tab: YAML indents by spaces"},
		{"second_document", "catalog_refresh: 30s", "---\ncatalog_refresh: 30s", "a second document begins here"},
		{"broken_second_document", "catalog_refresh: 30s", "---\n[", "sallyport.yaml:"},
		{"bad_duration", "30s", "30", "sallyport.yaml:25: `30` is not a duration like 500ms, 30s or 5m"},
		{"bad_bool", "127.0.0.1:6543}", "127.0.0.1:6543, require_tls: maybe}", "sallyport.yaml:4: `maybe` is not true or false"},
		{"alias", "[policy.cedar]", "[&p policy.cedar, *p]", "sallyport.yaml:24: YAML aliases (*p) are not used here"},
		{"missing_data_dir", "data_dir: data\n", "\n", "`data_dir` is missing"},
		{"no_door", "  pgwire: {address: 127.0.0.1:6543}", "  # none", "no door is open"},
		{"address_without_port", "127.0.0.1:6543", "127.0.0.1", "must be host:port"},
		{"public_address_without_tls", "127.0.0.1:6543", "0.0.0.0:6543", "sallyport.yaml:4: the pgwire door would serve other machines (0.0.0.0:6543) without TLS"},
		{"require_tls_without_certificate", "127.0.0.1:6543", "127.0.0.1:6543, require_tls: true", "`require_tls` without a certificate"},
		{"half_a_certificate", "127.0.0.1:6543", "127.0.0.1:6543, tls: {cert: a.pem}", "`tls` needs both `cert` and `key`"},
		{"origin_with_path", "listen:\n", "listen:\n  mcp: {address: 127.0.0.1:1, origins: [https://a.example/x]}\n", "`https://a.example/x` is not a web origin"},
		{"both_doors_at_one_address", "listen:\n", "listen:\n  mcp: {address: 127.0.0.1:6543}\n", "two doors have the same address"},
		{"token_good_for_nothing", "        expires: 2099-01-31T00:00:00Z\n", "        scopes: []\n", "sallyport.yaml:18: a token of `bot` is good for nothing"},
		{"token_with_a_scope_that_is_no_action", "        expires: 2099-01-31T00:00:00Z\n", "        scopes: [read, reed]\n", "sallyport.yaml:18: a token of `bot` has the scope `reed`, which is no action"},
		{"unknown_driver", "driver: postgres", "driver: postgresql", "driver `postgresql` of `shop` is not supported"},
		{"unset_variable", "SHOP_DSN", "NO_SUCH_DSN", "sallyport.yaml:8: the environment variable `NO_SUCH_DSN` is not set"},
		{"dsn_given_twice", "dsn_env: SHOP_DSN", "dsn_env: SHOP_DSN\n    dsn: postgres://x", "more than one of `dsn`"},
		{"no_dsn", "    dsn_env: SHOP_DSN\n", "", "connection `shop` has no DSN"},
		{"missing_secret_file", "dsn_env: SHOP_DSN", "dsn_file: nowhere", "cannot read `"},
		{"unknown_kind", "kind: agent", "kind: robot", "`bot` needs `kind: human` or `kind: agent`, not `robot`"},
		{"password_in_the_clear", verifier, "hunter2", "the secret of `ada` is not a SCRAM-SHA-256 verifier\n  hint: never write the password itself"},
		{"short_token_hash", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "0123", "no valid `sha256`"},
		{"token_expiry_not_a_time", "2099-01-31T00:00:00Z", "soon", "`soon` is not a time"},
		{"same_token_twice", "    groups: [engineers, staff, engineers]", "    tokens: [{sha256: 0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef}]", "`bot` has the same token as `ada`"},
		{"pattern_without_schema", "public.customers.email", "customers.email", "sallyport.yaml:21: `customers.email` is not a column pattern\n  hint: name the schema too: public.customers.email"},
		{"pattern_as_regexp", "public.customers.email", "public.customers.(a|b)", "patterns are not regular expressions"},
		{"label_for_an_unknown_connection", "    columns:", "    connections: [shpo]\n    columns:", "there is no connection `shpo`\n  hint: did you mean `shop`?"},
		{"bad_label", "label: pii.email", "label: PII Email", "cannot be a label"},
		{"unknown_phone_region", "catalog_refresh: 30s", "detectors: {phone_regions: [DE, Germany]}", "sallyport.yaml:25: `Germany` is not the code of a country\n  hint: two capitals of ISO 3166: DE, GB, US"},
		{"model_without_url", "catalog_refresh: 30s", "detectors: {model: {language: en}}", "sallyport.yaml:25: `detectors.model` has no `url`"},
		{"model_with_unknown_key", "catalog_refresh: 30s", "detectors: {model: {url: 'http://127.0.0.1:5002/analyze', retries: 3}}", "`retries`"},
		{"model_elsewhere_in_the_clear", "catalog_refresh: 30s", "detectors: {model: {url: 'http://presidio:3000/analyze'}}", "texts would go to `presidio:3000` in the clear\n  hint: use https"},
		{"model_with_password", "catalog_refresh: 30s", "detectors: {model: {url: 'https://me:pw@presidio/analyze'}}", "holds a user name or a password"},
		{"model_without_path", "catalog_refresh: 30s", "detectors: {model: {url: 'http://[::1]:5002'}}", "has no path"},
		{"model_at_no_url", "catalog_refresh: 30s", "detectors: {model: {url: 'localhost:5002/analyze'}}", "the `url` of the model is not one"},
		{"model_that_takes_forever", "catalog_refresh: 30s", "detectors: {model: {url: 'https://presidio/analyze', timeout: 5m}}", "`5m0s` is no time to wait for a model\n  hint: at most 30s"},
		{"model_in_no_language", "catalog_refresh: 30s", "detectors: {model: {url: 'https://presidio/analyze', language: English}}", "`English` is not the code of a language"},
		{"model_with_no_score", "catalog_refresh: 30s", "detectors: {model: {url: 'https://presidio/analyze', min_score: 85}}", "`85` is not a score"},
		{"model_score_not_a_number", "catalog_refresh: 30s", "detectors: {model: {url: 'https://presidio/analyze', min_score: .nan}}", "`NaN` is not a score"},
		{"model_with_no_entity", "catalog_refresh: 30s", "detectors: {model: {url: 'https://presidio/analyze', entities: [PERSON, people]}}", "`people` is not the name of an entity"},
		{"unknown_transform", "transform: partial", "transform: hash", "sallyport.yaml:23: `hash` is not a transform\n  hint: one of `generalise`, `null`, `partial`, `redact` or `token`"},
		{"style_of_another_transform", "style: email", "style: year", "`year` is not a style of `partial`"},
		{"bucket_of_zero", "{transform: partial, style: email}", "{transform: generalise, bucket: 0}", "`0` is not a bucket width"},
		{"missing_policy_file", "policy.cedar", "nowhere/*.cedar", "sallyport.yaml:24: no policy file at `nowhere/*.cedar`"},
		{"no_policy", "policies: [policy.cedar]", "policies: []", "no policy file is named"},
		{"negative_limit", "catalog_refresh: 30s", "limits: {clients: -1}", "limits cannot be negative"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if !strings.Contains(sound, tc.old) {
				t.Fatalf("the sound file has no %q", tc.old)
			}
			_, err := load(t, strings.Replace(sound, tc.old, tc.new, 1))
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got:\n%v\nwant in it:\n%s", err, tc.want)
			}
			if strings.Contains(err.Error(), "hunter2@") {
				t.Errorf("a secret in the message: %v", err)
			}
		})
	}
}

func TestAllProblemsAtOnceInOrder(t *testing.T) {
	text := strings.Replace(sound, "kind: human", "kind: person", 1)
	text = strings.Replace(text, "transform: partial", "transform: hash", 1)
	text = strings.Replace(text, "driver: postgres", "driver: oracle", 1)
	_, err := load(t, text)
	ps, ok := err.(Problems)
	if !ok || len(ps) != 3 {
		t.Fatalf("got %v", err)
	}
	if ps[0].Line != 7 || ps[1].Line != 11 || ps[2].Line != 23 {
		t.Errorf("lines %d %d %d", ps[0].Line, ps[1].Line, ps[2].Line)
	}
}

func TestWarnings(t *testing.T) {
	for _, tc := range []struct{ name, old, new, want string }{
		{"password_in_the_file", "dsn_env: SHOP_DSN", "dsn: postgres://app:hunter2@db/shop", "has a password in the configuration file"},
		{"keyword_password_in_the_file", "dsn_env: SHOP_DSN", "dsn: host=db password=hunter2", "has a password in the configuration file"},
		{"nothing_to_log_in_with", "    secret: " + verifier + "\n", "", "`ada` has neither a secret nor a token"},
		{"expired_token", "2099-01-31", "2001-01-31", "a token of `bot` has expired"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := load(t, strings.Replace(sound, tc.old, tc.new, 1))
			if err != nil {
				t.Fatal(err)
			}
			if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0].String(), tc.want) {
				t.Fatalf("got %v, want %q", c.Warnings, tc.want)
			}
			if strings.Contains(c.Warnings.Error(), "hunter2") {
				t.Errorf("a secret in the warning")
			}
		})
	}
}

func TestSecretsByFile(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"dsn": "postgres://db/shop\n", "ada.secret": verifier + "\n", "policy.cedar": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := strings.Replace(sound, "dsn_env: SHOP_DSN", "dsn_file: dsn", 1)
	text = strings.Replace(text, "secret: "+verifier, "secret_file: ada.secret", 1)
	c, err := Parse("sallyport.yaml", dir, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if c.Connections[0].DSN != "postgres://db/shop" || c.Principals[0].Secret != verifier {
		t.Errorf("got %q and %q", c.Connections[0].DSN, c.Principals[0].Secret)
	}
}

func TestMissingFileSaysInit(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), DefaultName))
	if err == nil || !strings.Contains(err.Error(), "sallyport init") {
		t.Errorf("got %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sound)
	f.Add("a: &x [*x]")
	f.Add("listen: {pgwire: {address: [::1]:1}}")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse("f.yaml", "/nonexistent", []byte(text))
		if err == nil && len(c.Policies) == 0 {
			t.Error("accepted a file without a policy")
		}
		if ps, ok := err.(Problems); err != nil && (!ok || len(ps) == 0) {
			t.Errorf("not Problems: %v", err)
		}
	})
}

// TestOfflineWantsNoSecrets: what connects to nothing does without them, and with nothing else.
func TestOfflineWantsNoSecrets(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sallyport.yaml")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "p.cedar"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const text = "data_dir: data\nlisten: {mcp: {address: 127.0.0.1:0}}\nconnections: {a: {driver: postgres, dsn_env: NOT_SET_ANYWHERE}, b: {driver: postgres, dsn_file: nowhere}}\npolicies: [p.cedar]\n"
	write(text)
	if c, err := LoadOffline(path); err != nil || len(c.Absent) != 2 || len(c.Connections) != 2 {
		t.Errorf("offline: %+v, %v", c, err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "`NOT_SET_ANYWHERE` is not set") || !strings.Contains(err.Error(), "cannot read") {
		t.Errorf("else: %v", err)
	}
	write(text + "data_dirr: x\n")
	if _, err := LoadOffline(path); err == nil {
		t.Error("an unknown key is taken")
	}
}

func TestPurposes(t *testing.T) {
	c, err := load(t, sound+"purposes:\n  - {id: support.orders, text: answering customers, lawful_basis: contract, relations: [public.orders, \"crm.*\"]}\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []access.Purpose{{ID: "support.orders", Text: "answering customers", LawfulBasis: "contract", Relations: []string{"public.orders", "crm.*"}}}
	if diff := cmp.Diff(want, c.Purposes); diff != "" {
		t.Error(diff)
	}
	for entry, want := range map[string]string{
		"{id: Support, text: t, lawful_basis: contract}":                                       "`Support` cannot be the id of a purpose",
		"{id: a, lawful_basis: contract}":                                                      "the purpose `a` has no text",
		"{id: a, text: t, lawful_basis: because}":                                              "`because` is not a lawful basis",
		"{id: a, text: t}":                                                                     "`` is not a lawful basis",
		"{id: a, text: t, lawful_basis: consent, relations: [orders]}":                         "`orders` is not a pattern of relations",
		"{id: a, text: t, lawful_basis: consent, basis: x}":                                    "unknown key `basis`",
		"{id: a, text: t, lawful_basis: consent}\n  - {id: a, text: t, lawful_basis: consent}": "the purpose `a` is given twice",
	} {
		if _, err := load(t, sound+"purposes:\n  - "+entry+"\n"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", entry, err, want)
		}
	}
}

func TestBreakGlass(t *testing.T) {
	at := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
	for _, c := range []struct{ keys, warning, problem string }{
		{"", "", ""},
		{", expires: " + at(time.Hour), "", ""},
		{", break_glass: true, expires: " + at(60*24*time.Hour), "", ""},
		{", break_glass: true", "never expires", ""},
		{", break_glass: true, expires: " + at(24*time.Hour), "expires on", ""},
		{", expires: " + at(-time.Hour), "has expired", ""},
		{", expires: tomorrow", "", "`tomorrow` is not a time"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "p.cedar"), []byte("permit (principal, action, resource);"), 0o600); err != nil {
			t.Fatal(err)
		}
		text := "data_dir: data\nlisten: {pgwire: {address: 127.0.0.1:6543}}\nconnections: {shop: {driver: postgres, dsn: host=/tmp}}\npolicies: [p.cedar]\nprincipals:\n" +
			"  x: {kind: human, tokens: [{sha256: " + strings.Repeat("ab", 32) + "}]" + c.keys + "}\n"
		conf, err := Parse("x.yaml", dir, []byte(text))
		switch {
		case c.problem != "":
			if err == nil || !strings.Contains(err.Error(), c.problem) || !strings.Contains(err.Error(), "x.yaml:6") {
				t.Errorf("%s: %v", c.keys, err)
			}
		case err != nil:
			t.Errorf("%s: %v", c.keys, err)
		case c.warning == "" && len(conf.Warnings) > 0, c.warning != "" && !strings.Contains(conf.Warnings.Error(), c.warning):
			t.Errorf("%s: warned %v", c.keys, conf.Warnings)
		case conf.Principals[0].BreakGlass != strings.Contains(c.keys, "break_glass") || conf.Principals[0].Expires == "" && strings.Contains(c.keys, "expires"):
			t.Errorf("%s: %+v", c.keys, conf.Principals[0])
		}
	}
}
