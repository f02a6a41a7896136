package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Export is one place that records are sent to, beside the record itself.
type Export struct {
	// Name is what the state of the exporter is kept under, and what the log calls it.
	Name string `yaml:"name"`
	// To is file, webhook, syslog, otlp or s3.
	To string `yaml:"to"`
	// From says where an exporter begins that is new: now, or start for all that there is. Default now.
	From string `yaml:"from"`
	// Format is json (the record as it is) or ocsf (OCSF 1.9.0, Datastore Activity). Default json; otlp has a form of its own.
	Format string `yaml:"format"`
	// Without leaves fields out: sql, params, result, reason, review, goal, client, proof, error. What has been sent cannot be erased.
	Without []string `yaml:"without"`

	// Path is the file that lines are appended to.
	Path string `yaml:"path"`
	// URL is where a webhook listens, the base of an OTLP collector (without /v1/logs), or a bucket with its host
	// (https://s3.example.com/evidence). https, or http on this machine.
	URL string `yaml:"url"`
	// Address is host:port of a syslog server that speaks TLS.
	Address string `yaml:"address"`
	// Secret signs the requests: to a webhook, at least 24 bytes or whsec_ and base64; to s3, the secret key. Prefer one of
	// the next two.
	Secret     string `yaml:"secret"`
	SecretEnv  string `yaml:"secret_env"`
	SecretFile string `yaml:"secret_file"`
	// SecretCommand prints it, and TokenCommand the token; see Connection.
	SecretCommand []string `yaml:"secret_command"`
	// Token is the bearer token of an OTLP collector.
	Token        string   `yaml:"token"`
	TokenEnv     string   `yaml:"token_env"`
	TokenFile    string   `yaml:"token_file"`
	TokenCommand []string `yaml:"token_command"`
	// TLS says whom to trust and what to show.
	TLS *ClientTLS `yaml:"tls"`
	// Timeout is how long a batch may take. Default 30s.
	Timeout Duration `yaml:"timeout"`
	// Enterprise is your private enterprise number, for the structured data of syslog. Default 32473, which is for examples.
	Enterprise int `yaml:"enterprise"`
	// Signals are logs, traces or both. Default both.
	Signals []string `yaml:"signals"`

	// Prefix stands in front of the names of objects in s3.
	Prefix string `yaml:"prefix"`
	// Region is the store's. Default us-east-1.
	Region string `yaml:"region"`
	// AccessKey goes with Secret.
	AccessKey string `yaml:"access_key"`
	// Lock keeps objects from everybody for RetainDays: governance (whoever has the permission can lift it) or compliance
	// (nobody can).
	Lock       string `yaml:"lock"`
	RetainDays int    `yaml:"retain_days"`
}

// ClientTLS are PEM files of a client.
type ClientTLS struct {
	// CA has the authorities to trust, in the place of the system's.
	CA string `yaml:"ca"`
	// Cert and Key are shown to a server that asks who is there.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// ExportFields are what `without` may name.
var ExportFields = []string{"client", "error", "goal", "params", "proof", "reason", "result", "review", "sql"}

// exportKeys are the keys that each receiver takes, beside its name.
var exportKeys = map[string][]string{
	"file":    {"from", "without", "format", "path"},
	"webhook": {"from", "without", "format", "url", "secret", "tls", "timeout"},
	"syslog":  {"from", "without", "format", "address", "tls", "timeout", "enterprise"},
	"otlp":    {"from", "without", "url", "token", "tls", "timeout", "signals"},
	"s3":      {"url", "prefix", "region", "access_key", "secret", "lock", "retain_days", "tls", "timeout"},
}

// receiver is what entries of a list are called, each of which is a place that something is sent to.
type receiver struct{ noun, of, to string }

// check looks at what they have in common: a name of its own, and no key of another kind. given has the keys with a value, keys those
// that are taken.
func (r receiver) check(d *document, at func(...string) int, name string, given map[string]bool, keys []string, seen map[string]bool) {
	if !nameForm.MatchString(name) {
		d.add(at("name"), fmt.Sprintf("`%s` cannot be %s name", name, r.of), nameHint)
	} else if seen[name] {
		d.add(at("name"), fmt.Sprintf("two %ss are called `%s`", r.noun, name), "each keeps its place under its name: give each its own")
	}
	seen[name] = true
	for _, key := range sortedKeys(given) {
		if given[key] && !slices.Contains(keys, key) {
			d.add(at(key), fmt.Sprintf("`%s` is nothing that %s takes", key, r.to), "it takes "+quoteList(keys))
		}
	}
}

// clientTLS gives files of a client with whole paths.
func (c *Config) clientTLS(d *document, t *ClientTLS, at func(...string) int) *ClientTLS {
	if t == nil {
		return nil
	}
	if (t.Cert == "") != (t.Key == "") {
		d.add(at("tls"), "`tls` needs both `cert` and `key`, or neither", "")
	}
	return &ClientTLS{CA: c.abs(t.CA), Cert: c.abs(t.Cert), Key: c.abs(t.Key)}
}

const (
	shortestSecret = 24
	mostRetain     = 100 * 366
)

func (c *Config) exports(d *document) {
	seen := map[string]bool{}
	for i, e := range c.File.Export {
		at := func(keys ...string) int { return d.line(append([]string{"export", strconv.Itoa(i)}, keys...)...) }
		keys, known := exportKeys[e.To]
		if !known {
			d.add(at("to"), fmt.Sprintf("`%s` is nowhere to export to", e.To), "one of "+quoteList(sortedKeys(exportKeys)))
			continue
		}
		receiver{"exporter", "an exporter's", "an export to " + e.To}.check(d, at, e.Name, e.given(), keys, seen)
		oneOf := func(key, v string, of ...string) {
			if v != "" && !slices.Contains(of, v) {
				d.add(at(key), fmt.Sprintf("`%s` is not a value of `%s`", v, key), "one of "+quoteList(of))
			}
		}
		oneOf("from", e.From, "now", "start")
		oneOf("format", e.Format, "json", "ocsf")
		oneOf("lock", e.Lock, "governance", "compliance")
		for _, s := range e.Signals {
			oneOf("signals", s, "logs", "traces")
		}
		for _, f := range e.Without {
			oneOf("without", f, ExportFields...)
		}
		c.exportReceiver(d, i, &e, at)
		c.Exports = append(c.Exports, e)
	}
}

// exportReceiver looks at what the receiver needs, and puts secrets and whole paths in the place of what the file has.
func (c *Config) exportReceiver(d *document, i int, e *Export, at func(...string) int) {
	path := []string{"export", strconv.Itoa(i)}
	switch e.To {
	case "file":
		if e.Path == "" {
			d.add(at(), fmt.Sprintf("exporter `%s` has no `path`", e.Name), "name the file that lines are appended to")
		}
		e.Path = c.abs(e.Path)
	case "syslog":
		if _, port, err := net.SplitHostPort(e.Address); err != nil || port == "" {
			d.add(at("address"), fmt.Sprintf("`address` must be host:port, not `%s`", e.Address), "6514 is the port of syslog over TLS")
		}
		if e.Enterprise < 0 {
			d.add(at("enterprise"), "`enterprise` is a private enterprise number, which IANA gives out", "leave it out, or use your organisation's")
		}
	case "webhook":
		c.exportURL(d, e, at)
		secret, ok := c.secret(d, path, "secret", e.Secret, e.SecretEnv, e.SecretFile, e.SecretCommand...)
		if !ok && e.Secret+e.SecretEnv+e.SecretFile == "" && len(e.SecretCommand) == 0 || ok && len(secret) < shortestSecret {
			d.add(at(), fmt.Sprintf("exporter `%s` needs a secret of at least %d bytes", e.Name, shortestSecret), "`openssl rand -hex 32` makes one: give it by `secret_env`, `secret_file` or `secret_command`")
		}
		c.setSecret(e, at, secret)
	case "s3":
		c.exportURL(d, e, at)
		secret, ok := c.secret(d, path, "secret", e.Secret, e.SecretEnv, e.SecretFile, e.SecretCommand...)
		if e.AccessKey == "" || !ok && e.Secret+e.SecretEnv+e.SecretFile == "" && len(e.SecretCommand) == 0 {
			d.add(at(), fmt.Sprintf("exporter `%s` needs `access_key` and its secret key", e.Name), "give the secret key by `secret_env`, `secret_file` or `secret_command`")
		}
		if (e.Lock != "") != (e.RetainDays > 0) || e.RetainDays < 0 || e.RetainDays > mostRetain {
			d.add(at("lock"), fmt.Sprintf("exporter `%s`: `lock` and `retain_days` go together", e.Name), "for example `lock: compliance` and `retain_days: 365`")
		}
		c.setSecret(e, at, secret)
	case "otlp":
		c.exportURL(d, e, at)
		if e.Token != "" {
			c.warn(at("token"), fmt.Sprintf("the token of exporter `%s` is in the configuration file", e.Name), "move it to `token_env` or `token_file`")
		}
		e.Token, _ = c.secret(d, path, "token", e.Token, e.TokenEnv, e.TokenFile, e.TokenCommand...)
	}
	e.TLS = c.clientTLS(d, e.TLS, at)
}

// setSecret puts the secret in its place, and warns of one that stands in the file.
func (c *Config) setSecret(e *Export, at func(...string) int, secret string) {
	if e.Secret != "" {
		c.warn(at("secret"), fmt.Sprintf("the secret of exporter `%s` is in the configuration file", e.Name), "move it to `secret_env` or `secret_file`")
	}
	e.Secret = secret
}

func (c *Config) exportURL(d *document, e *Export, at func(...string) int) {
	u, err := url.Parse(e.URL)
	switch {
	case err != nil || !httpURL(e.URL) || u.User != nil || u.RawQuery != "" && e.To != "webhook":
		d.add(at("url"), fmt.Sprintf("exporter `%s` needs an https URL", e.Name), "for example https://siem.example.com/sallyport; secrets have keys of their own")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		d.add(at("url"), fmt.Sprintf("exporter `%s` would send records in the clear to another machine", e.Name), "use https")
	case e.To == "s3" && strings.Trim(u.Path, "/") == "":
		d.add(at("url"), fmt.Sprintf("the URL of exporter `%s` names no bucket", e.Name), "write https://HOST/BUCKET")
	case e.To == "otlp" && strings.Contains(u.Path, "/v1/"):
		d.add(at("url"), fmt.Sprintf("the URL of exporter `%s` names a signal", e.Name), "give the collector's base: /v1/logs and /v1/traces are added")
	}
}

// given tells which of the keys of exportKeys have a value.
func (e *Export) given() map[string]bool {
	return map[string]bool{
		"from": e.From != "", "without": len(e.Without) > 0, "prefix": e.Prefix != "", "region": e.Region != "",
		"access_key": e.AccessKey != "", "lock": e.Lock != "", "retain_days": e.RetainDays != 0,
		"format": e.Format != "", "path": e.Path != "", "url": e.URL != "", "address": e.Address != "",
		"secret": e.Secret+e.SecretEnv+e.SecretFile != "" || len(e.SecretCommand) > 0, "token": e.Token+e.TokenEnv+e.TokenFile != "" || len(e.TokenCommand) > 0,
		"tls": e.TLS != nil, "timeout": e.Timeout != 0, "enterprise": e.Enterprise != 0, "signals": len(e.Signals) > 0,
	}
}
