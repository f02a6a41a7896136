package config

import (
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"slices"
	"strconv"
)

// Notify is one way to people who are told of requests for approval.
type Notify struct {
	// Name is what its place in the record is kept under, and what the log calls it.
	Name string `yaml:"name"`
	// To is webhook, slack, teams or email.
	To string `yaml:"to"`
	// Groups are those whose requests are told: one that asks none of them is not. Default all.
	Groups []string `yaml:"groups"`
	// Events that are told: requested, vote, escalated, lapsed, approved, denied, expired, cancelled, executed, failed, unknown, glass, reviewed, glass_login.
	// Default all.
	Events []string `yaml:"events"`
	// SQL has the text of statements told too, identifiers found in literals masked. Parameters and rows are never told.
	SQL bool `yaml:"sql"`

	// URL is where a webhook listens, an incoming webhook of Slack, or the webhook of a workflow of Teams. Those of Slack and Teams
	// are secrets: prefer one of the next two. https, or http on this machine.
	URL     string `yaml:"url"`
	URLEnv  string `yaml:"url_env"`
	URLFile string `yaml:"url_file"`
	// URLCommand prints it; see Connection.
	URLCommand []string `yaml:"url_command"`
	// Secret signs what is sent to a webhook (at least 24 bytes, or whsec_ and base64); of Slack it is the signing secret of the
	// app, by which what its buttons send is known.
	Secret     string `yaml:"secret"`
	SecretEnv  string `yaml:"secret_env"`
	SecretFile string `yaml:"secret_file"`
	// SecretCommand prints it; see Connection.
	SecretCommand []string `yaml:"secret_command"`
	// Token is a bot's (xoxb-...), for a Channel of Slack, in the place of a URL.
	Token     string `yaml:"token"`
	TokenEnv  string `yaml:"token_env"`
	TokenFile string `yaml:"token_file"`
	// TokenCommand prints it; see Connection.
	TokenCommand []string `yaml:"token_command"`
	Channel      string   `yaml:"channel"`

	// Address is host:port of a mail server.
	Address string `yaml:"address"`
	// Security is starttls, tls (from the first byte), or none on this machine. Default starttls.
	Security string `yaml:"security"`
	// User and Password are for the mail server.
	User         string `yaml:"user"`
	Password     string `yaml:"password"`
	PasswordEnv  string `yaml:"password_env"`
	PasswordFile string `yaml:"password_file"`
	// PasswordCommand prints it; see Connection.
	PasswordCommand []string `yaml:"password_command"`
	// From and Recipients are mail addresses.
	From       string   `yaml:"from"`
	Recipients []string `yaml:"recipients"`

	// TLS says whom to trust and what to show.
	TLS *ClientTLS `yaml:"tls"`
	// Timeout is how long a message may take. Default 30s.
	Timeout Duration `yaml:"timeout"`
}

// notifyKeys are the keys that each way takes, beside those that all do.
var notifyKeys = map[string][]string{
	"webhook": {"url", "secret"},
	"slack":   {"url", "secret", "token", "channel"},
	"teams":   {"url"},
	"email":   {"address", "security", "user", "password", "from", "recipients"},
}

// NotifyEvents are what `events` may name.
var NotifyEvents = []string{"requested", "vote", "escalated", "lapsed", "approved", "denied", "expired", "cancelled", "executed", "failed", "unknown", "glass", "reviewed", "glass_login"}

func (c *Config) notify(d *document) {
	seen := map[string]bool{}
	for i, n := range c.File.Notify {
		at := func(keys ...string) int { return d.line(append([]string{"notify", strconv.Itoa(i)}, keys...)...) }
		keys, known := notifyKeys[n.To]
		if !known {
			d.add(at("to"), fmt.Sprintf("`%s` is no way to tell people", n.To), "one of "+quoteList(sortedKeys(notifyKeys)))
			continue
		}
		receiver{"channel", "a channel's", "a channel to " + n.To}.check(d, at, n.Name, n.given(), keys, seen)
		for _, e := range n.Events {
			if !slices.Contains(NotifyEvents, e) {
				d.add(at("events"), fmt.Sprintf("`%s` is not a value of `events`", e), "one of "+quoteList(NotifyEvents))
			}
		}
		for _, g := range n.Groups {
			c.decides(at("groups"), g)
		}
		c.notifyReceiver(d, i, &n, at)
		c.Channels = append(c.Channels, n)
	}
	if len(c.File.Notify) > 0 && c.File.Listen.Web == nil {
		c.warn(d.line("notify"), "messages have no link to where requests are decided, for `listen.web` is not there", "open the web door")
	}
}

// notifyReceiver looks at what the receiver needs, and puts secrets and whole paths in the place of what the file has.
func (c *Config) notifyReceiver(d *document, i int, n *Notify, at func(...string) int) {
	path := []string{"notify", strconv.Itoa(i)}
	take := func(key string, value *string, env, file string, command []string) (given bool) {
		given = *value+env+file != "" || len(command) > 0
		if *value != "" && (key != "url" || n.To != "webhook") {
			c.warn(at(key), fmt.Sprintf("the %s of channel `%s` is in the configuration file", key, n.Name), fmt.Sprintf("move it to `%s_env` or `%s_file`", key, key))
		}
		*value, _ = c.secret(d, path, key, *value, env, file, command...)
		return given
	}
	hasURL := take("url", &n.URL, n.URLEnv, n.URLFile, n.URLCommand)
	hasSecret := take("secret", &n.Secret, n.SecretEnv, n.SecretFile, n.SecretCommand)
	hasToken := take("token", &n.Token, n.TokenEnv, n.TokenFile, n.TokenCommand)
	hasPassword := take("password", &n.Password, n.PasswordEnv, n.PasswordFile, n.PasswordCommand)
	switch n.To {
	case "webhook":
		if !hasSecret || n.Secret != "" && len(n.Secret) < shortestSecret {
			d.add(at(), fmt.Sprintf("channel `%s` needs a secret of at least %d bytes", n.Name, shortestSecret), "`openssl rand -hex 32` makes one: give it by `secret_env` or `secret_file`")
		}
	case "slack":
		if hasURL == hasToken || hasToken != (n.Channel != "") {
			d.add(at(), fmt.Sprintf("channel `%s` needs the `url` of an incoming webhook, or `token` and `channel`", n.Name), "both come from an app in your Slack workspace")
		}
	case "email":
		c.notifyMail(d, n, hasPassword, at)
	}
	if n.To != "email" && n.To != "slack" && !hasURL {
		d.add(at(), fmt.Sprintf("channel `%s` has no `url`", n.Name), "give it by `url_env` or `url_file`")
	}
	if n.URL != "" {
		u, err := url.Parse(n.URL)
		switch { // the URL is a secret: it is not shown
		case err != nil || !httpURL(n.URL) || u.User != nil:
			d.add(at("url"), fmt.Sprintf("the URL of channel `%s` is no https URL", n.Name), "")
		case u.Scheme == "http" && !loopback(u.Hostname()):
			d.add(at("url"), fmt.Sprintf("channel `%s` would tell people in the clear", n.Name), "use https")
		}
	}
	n.TLS = c.clientTLS(d, n.TLS, at)
}

func (c *Config) notifyMail(d *document, n *Notify, hasPassword bool, at func(...string) int) {
	host, port, err := net.SplitHostPort(n.Address)
	if _, errPort := strconv.ParseUint(port, 10, 16); err != nil || errPort != nil || host == "" {
		d.add(at("address"), fmt.Sprintf("`address` must be host:port, not `%s`", n.Address), "587 is the port of STARTTLS, 465 that of TLS from the first byte")
	}
	switch n.Security {
	case "", "starttls", "tls":
	case "none":
		if !loopback(host) || n.User != "" {
			d.add(at("security"), fmt.Sprintf("channel `%s` would send mail in the clear", n.Name), "`none` is for a server on this machine, without a user")
		}
	default:
		d.add(at("security"), fmt.Sprintf("`%s` is not a value of `security`", n.Security), "one of "+quoteList([]string{"starttls", "tls", "none"}))
	}
	if (n.User != "") != hasPassword {
		d.add(at("user"), fmt.Sprintf("channel `%s`: `user` and its password go together", n.Name), "give the password by `password_env` or `password_file`")
	}
	if _, err := mail.ParseAddress(n.From); err != nil {
		d.add(at("from"), fmt.Sprintf("`%s` is no mail address to send from", n.From), "for example `Sallyport <sallyport@example.com>`")
	}
	if len(n.Recipients) == 0 {
		d.add(at(), fmt.Sprintf("channel `%s` has no `recipients`", n.Name), "name the mail addresses of who is told")
	}
	for _, r := range n.Recipients {
		if _, err := mail.ParseAddress(r); err != nil {
			d.add(at("recipients"), fmt.Sprintf("`%s` is no mail address", r), "")
		}
	}
}

// given tells which of the keys of notifyKeys have a value.
func (n *Notify) given() map[string]bool {
	return map[string]bool{
		"url": n.URL+n.URLEnv+n.URLFile != "" || len(n.URLCommand) > 0, "secret": n.Secret+n.SecretEnv+n.SecretFile != "" || len(n.SecretCommand) > 0, "token": n.Token+n.TokenEnv+n.TokenFile != "" || len(n.TokenCommand) > 0,
		"channel": n.Channel != "", "address": n.Address != "", "security": n.Security != "", "user": n.User != "",
		"password": n.Password+n.PasswordEnv+n.PasswordFile != "" || len(n.PasswordCommand) > 0, "from": n.From != "", "recipients": len(n.Recipients) > 0,
	}
}
