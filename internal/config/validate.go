package config

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/pgdsn"
)

// names are safe to show, to type as a database or user name, and to write in a policy.
var nameForm = access.NameForm

const nameHint = "names are letters, digits, and _ . @ - (at most 63)"

func (c *Config) doors(d *document) {
	if c.File.Listen.PGWire == nil && c.File.Listen.MCP == nil {
		d.add(d.line("listen"), "no door is open: `listen` names neither pgwire nor mcp", "for example `listen: {pgwire: {address: 127.0.0.1:6543}}`")
	}
	if p := c.File.Listen.PGWire; p != nil {
		c.door(d, "pgwire", p.Address, "", p.TLS, p.Insecure)
		p.ProxyProtocol.validate(d, "pgwire")
		if p.RequireTLS && p.TLS == nil {
			d.add(d.line("listen", "pgwire", "require_tls"), "`require_tls` without a certificate", "add `tls: {cert: ..., key: ...}`, or `tls: {own: true}`")
		}
	}
	if m := c.File.Listen.MCP; m != nil {
		c.door(d, "mcp", m.Address, m.PublicURL, m.TLS, m.Insecure)
		m.ProxyProtocol.validate(d, "mcp")
		if m.PublicURL != "" && !httpURL(m.PublicURL) {
			d.add(d.line("listen", "mcp", "public_url"), fmt.Sprintf("`%s` is not an http(s) URL", m.PublicURL), "for example https://sallyport.example.com")
		}
		for i, o := range m.Origins {
			if u, err := url.Parse(o); !httpURL(o) || err != nil || u.Path != "" {
				d.add(d.line("listen", "mcp", "origins", fmt.Sprint(i)), fmt.Sprintf("`%s` is not a web origin", o), "scheme and host only: https://app.example.com")
			}
		}
	}
	if w := c.File.Listen.Web; w != nil {
		c.door(d, "web", w.Address, w.PublicURL, w.TLS, w.Insecure)
		w.ProxyProtocol.validate(d, "web")
		if w.PublicURL != "" && !httpURL(w.PublicURL) {
			d.add(d.line("listen", "web", "public_url"), fmt.Sprintf("`%s` is not an http(s) URL", w.PublicURL), "for example https://review.example.com")
		}
		if s := w.StepUp; s != nil && (*s < 0 || time.Duration(*s) > time.Hour) {
			d.add(d.line("listen", "web", "step_up"), fmt.Sprintf("`%s` is no time for `listen.web.step_up`", time.Duration(*s)), "at most 1h; 0s asks for the password each time")
		}
	}
	taken := map[string]bool{}
	for _, door := range c.File.Listen.addresses() {
		if taken[door.address] && door.address != "" && !strings.HasSuffix(door.address, ":0") {
			d.add(d.line("listen", door.name, "address"), "two doors have the same address", "give each a port of its own")
		}
		taken[door.address] = true
	}
}

// doorAddress is where a door listens.
type doorAddress struct{ name, address string }

func (l *Listen) addresses() (out []doorAddress) {
	if l.PGWire != nil {
		out = append(out, doorAddress{"pgwire", l.PGWire.Address})
	}
	if l.MCP != nil {
		out = append(out, doorAddress{"mcp", l.MCP.Address})
	}
	if l.Web != nil {
		out = append(out, doorAddress{"web", l.Web.Address})
	}
	return out
}

func (c *Config) door(d *document, door, address, publicURL string, tls *TLS, insecure bool) {
	line := d.line("listen", door, "address")
	host, port, err := net.SplitHostPort(address)
	if n, perr := strconv.Atoi(port); err != nil || perr != nil || n < 0 || n > 65535 {
		d.add(line, fmt.Sprintf("`listen.%s.address` must be host:port, not `%s`", door, address), "for example 127.0.0.1:6543")
		return
	}
	if tls != nil {
		c.doorTLS(d, door, host, publicURL, tls)
	}
	if tls == nil && !insecure && !loopback(host) {
		d.add(line, fmt.Sprintf("the %s door would serve other machines (%s) without TLS", door, address),
			"add `tls` (`tls: {own: true}` makes a certificate), listen on 127.0.0.1, or say `insecure: true` where a proxy terminates TLS")
	}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Loopback reports whether only this machine can reach a listening address.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && loopback(host)
}

func httpURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

func (c *Config) connections(d *document) {
	if len(c.File.Connections) == 0 {
		d.add(d.line("connections"), "no connection is given", "name at least one upstream database")
	}
	for _, name := range sortedKeys(c.File.Connections) {
		conn, path := c.File.Connections[name], []string{"connections", name}
		if !nameForm.MatchString(name) {
			d.add(d.line(path...), fmt.Sprintf("`%s` cannot be a connection's name", name), nameHint)
		}
		if conn.Driver != "postgres" {
			d.add(d.line(append(path, "driver")...), fmt.Sprintf("driver `%s` of `%s` is not supported", conn.Driver, name), "`driver: postgres` is")
		}
		absent := len(c.Absent)
		dsn, ok := c.secret(d, path, "dsn", conn.DSN, conn.DSNEnv, conn.DSNFile, conn.DSNCommand...)
		for i := range c.Absent[absent:] {
			c.Absent[absent+i].Message += fmt.Sprintf(": what the DSN of `%s` leaves unchecked was not looked at", name)
		}
		if !ok && conn.DSN == "" && conn.DSNEnv == "" && conn.DSNFile == "" && len(conn.DSNCommand) == 0 {
			d.add(d.line(path...), fmt.Sprintf("connection `%s` has no DSN", name), "give `dsn_env`, `dsn_file`, `dsn_command` or `dsn`")
		}
		if conn.DSN != "" && dsnHasPassword(conn.DSN) {
			c.warn(d.line(append(path, "dsn")...), fmt.Sprintf("the DSN of `%s` has a password in the configuration file", name), "move it to `dsn_env` or `dsn_file`")
		}
		if ok && !c.offline { // who connects to nothing need not have the files that it names
			c.judgeDSN(d, append(path, conn.dsnKey()), name, dsn, conn.Insecure)
		}
		c.Connections = append(c.Connections, access.Connection{Name: name, Driver: conn.Driver, DSN: dsn, Insecure: conn.Insecure, Judged: c.judgements(d, name, conn)})
	}
}

// dsnKey is the key that says where the DSN is.
func (c Connection) dsnKey() string {
	switch {
	case c.DSNEnv != "":
		return "dsn_env"
	case c.DSNFile != "":
		return "dsn_file"
	case len(c.DSNCommand) > 0:
		return "dsn_command"
	}
	return "dsn"
}

// judgeDSN refuses what is no DSN, and one that leaves out checks of another machine that nobody has agreed to do without.
func (c *Config) judgeDSN(d *document, path []string, name, dsn string, agreed bool) {
	if err := pgdsn.Check(dsn, agreed); err != nil {
		e := access.AsError(err)
		d.add(d.line(path...), fmt.Sprintf("connection `%s`: %s", name, e.Message), e.Hint)
	}
}

var keywordPassword = regexp.MustCompile(`(?i)\bpassword\s*=\s*\S`)

func dsnHasPassword(dsn string) bool {
	if u, err := url.Parse(dsn); err == nil && u.Scheme != "" {
		_, has := u.User.Password()
		return has || u.Query().Get("password") != ""
	}
	return keywordPassword.MatchString(dsn)
}

func (c *Config) principals(d *document) {
	if len(c.File.Principals) == 0 && len(c.File.Identity.Providers) == 0 {
		c.warn(d.line("principals"), "no principal is given: nobody can log in", "`sallyport principal add` makes one")
	}
	tokenOwner, spelled := map[string]string{}, map[string]string{}
	for _, name := range sortedKeys(c.File.Principals) {
		p, path := c.File.Principals[name], []string{"principals", name}
		if other, ok := spelled[strings.ToLower(name)]; ok {
			c.warn(d.line(path...), fmt.Sprintf("`%s` and `%s` differ in nothing but case: who decides and who is revoked takes them for one", other, name), "give one of them another name")
		}
		spelled[strings.ToLower(name)] = name
		if !nameForm.MatchString(name) {
			d.add(d.line(path...), fmt.Sprintf("`%s` cannot be a principal's name", name), nameHint)
		}
		if p.Kind != string(access.Human) && p.Kind != string(access.Agent) {
			d.add(d.line(append(path, "kind")...), fmt.Sprintf("`%s` needs `kind: human` or `kind: agent`, not `%s`", name, p.Kind), "")
		}
		for i, g := range p.Groups {
			if !nameForm.MatchString(g) {
				d.add(d.line(append(path, "groups", fmt.Sprint(i))...), fmt.Sprintf("`%s` cannot be a group's name", g), nameHint)
			}
		}
		for _, a := range sortedKeys(p.Attributes) {
			if !attributeForm.MatchString(a) || a == "name" {
				d.add(d.line(append(path, "attributes", a)...), fmt.Sprintf("`%s` cannot be an attribute", a), "small letters, digits and _; principal.name is the principal's own name")
			}
		}
		secret, _ := c.secret(d, path, "secret", p.Secret, p.SecretEnv, p.SecretFile, p.SecretCommand...)
		if secret != "" && !scramForm.MatchString(secret) {
			d.add(d.line(append(path, "secret")...), fmt.Sprintf("the secret of `%s` is not a SCRAM-SHA-256 verifier", name), "never write the password itself: `sallyport principal hash` makes a verifier of it")
		}
		lp := access.LocalPrincipal{Name: name, Kind: access.PrincipalKind(p.Kind), Groups: unique(p.Groups), Attributes: p.Attributes, Secret: secret,
			Expires: p.Expires, BreakGlass: p.BreakGlass}
		c.principalEnds(d, path, name, p)
		for i, tok := range p.Tokens {
			at := append(path[:2:2], "tokens", fmt.Sprint(i))
			c.token(d, at, name, tok, tokenOwner)
			lp.Tokens = append(lp.Tokens, access.LocalToken{SHA256: strings.ToLower(tok.SHA256), Expires: tok.Expires, Note: tok.Note, Scopes: tok.Scopes})
		}
		if p.Secret == "" && p.SecretEnv == "" && p.SecretFile == "" && len(p.SecretCommand) == 0 && len(p.Tokens) == 0 {
			c.warn(d.line(path...), fmt.Sprintf("`%s` has neither a secret nor a token and cannot log in", name), fmt.Sprintf("`sallyport principal passwd %s` or `sallyport token new %s`", name, name))
		}
		c.Principals = append(c.Principals, lp)
	}
}

// principalEnds looks at until when somebody can come in.
func (c *Config) principalEnds(d *document, path []string, name string, p Principal) {
	at := d.line(append(path[:2:2], "expires")...)
	if p.Expires == "" {
		if p.BreakGlass {
			c.warn(d.line(append(path[:2:2], "break_glass")...), fmt.Sprintf("what `%s` breaks the glass with never expires", name), "give `expires`, and a new secret before then: a sealed envelope that nobody opens is forgotten")
		}
		return
	}
	when, err := time.Parse(time.RFC3339, p.Expires)
	switch {
	case err != nil:
		d.add(at, fmt.Sprintf("`%s` is not a time", p.Expires), "write it like 2027-01-31T00:00:00Z")
	case time.Now().After(when):
		c.warn(at, fmt.Sprintf("what `%s` logs in with has expired", name), fmt.Sprintf("`sallyport principal remove %s`, or give it a new secret and another `expires`", name))
	case p.BreakGlass && time.Until(when) < glassSoon:
		c.warn(at, fmt.Sprintf("what `%s` breaks the glass with expires on %s", name, when.UTC().Format(time.DateOnly)), "give it a new secret and another `expires` before then")
	}
}

// glassSoon is how long before its end a break-glass secret is warned about.
const glassSoon = 14 * 24 * time.Hour

// attributeForm is what principal.NAME can be written with unquoted.
var attributeForm = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

// scramForm is PostgreSQL's layout of a verifier: SCRAM-SHA-256$<iterations>:<salt>$<stored>:<server>.
var scramForm = regexp.MustCompile(`^SCRAM-SHA-256\$[1-9][0-9]*:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+$`)

func (c *Config) token(d *document, path []string, principal string, tok Token, owner map[string]string) {
	if b, err := hex.DecodeString(tok.SHA256); err != nil || len(b) != 32 {
		d.add(d.line(append(path, "sha256")...), fmt.Sprintf("a token of `%s` has no valid `sha256` (64 hex digits)", principal), "`sallyport token new "+principal+"` makes one")
		return
	}
	key := strings.ToLower(tok.SHA256)
	if first, dup := owner[key]; dup {
		d.add(d.line(append(path, "sha256")...), fmt.Sprintf("`%s` has the same token as `%s`", principal, first), "a token belongs to one principal")
	}
	owner[key] = principal
	if tok.Scopes != nil && len(tok.Scopes) == 0 {
		d.add(d.line(append(path, "scopes")...), fmt.Sprintf("a token of `%s` is good for nothing: its `scopes` are empty", principal), "name the actions that it is good for, or leave `scopes` out")
	}
	for i, s := range tok.Scopes {
		if !slices.Contains(access.Actions, access.Action(s)) {
			d.add(d.line(append(path, "scopes", fmt.Sprint(i))...), fmt.Sprintf("a token of `%s` has the scope `%s`, which is no action", principal, s), fmt.Sprintf("known are %v", access.Actions))
		}
	}
	if tok.Expires == "" {
		return
	}
	when, err := time.Parse(time.RFC3339, tok.Expires)
	if err != nil {
		d.add(d.line(append(path, "expires")...), fmt.Sprintf("`%s` is not a time", tok.Expires), "write it like 2027-01-31T00:00:00Z")
	} else if time.Now().After(when) {
		c.warn(d.line(append(path, "expires")...), fmt.Sprintf("a token of `%s` has expired", principal), "delete it, or make a new one")
	}
}

var labelForm = regexp.MustCompile(`^[a-z0-9_]+(\.[a-z0-9_]+)*$`)

func (c *Config) labels(d *document) {
	for i, r := range c.File.Labels {
		path := []string{"labels", fmt.Sprint(i)}
		line := d.line(path...)
		if !labelForm.MatchString(r.Label) {
			d.add(line, fmt.Sprintf("`%s` cannot be a label", r.Label), "labels are lower-case words joined by dots, e.g. pii.email")
		}
		if len(r.Columns) == 0 {
			d.add(line, fmt.Sprintf("the rule for `%s` names no columns", r.Label), "for example `columns: [public.customers.email]`")
		}
		for j, p := range r.Columns {
			if hint := badPattern(p); hint != "" {
				d.add(d.line(append(path, "columns", fmt.Sprint(j))...), fmt.Sprintf("`%s` is not a column pattern", p), hint)
			}
		}
		for j, name := range r.Connections {
			if _, ok := c.File.Connections[name]; !ok {
				d.add(d.line(append(path, "connections", fmt.Sprint(j))...), fmt.Sprintf("there is no connection `%s`", name), didYouMean(name, sortedKeys(c.File.Connections)))
			}
		}
		c.Labels = append(c.Labels, access.LabelRule{Label: access.Label(r.Label), Columns: r.Columns, Connections: r.Connections, Source: fmt.Sprintf("%s:%d", c.Path, line)})
	}
}

// badPattern gives a hint on what is wrong with a pattern, or "".
func badPattern(p string) string {
	parts := strings.Split(p, ".")
	switch {
	case slices.Contains(parts, ""):
		return "a part is empty: write schema.table.column, with * for any"
	case len(parts) == 2:
		return fmt.Sprintf("name the schema too: public.%s, or *.%s for any", p, p)
	case len(parts) != 3:
		return "write schema.table.column, with * and ? as wildcards within a part"
	case strings.ContainsAny(p, "[]{}()^$|\\+ \t"):
		return "only * and ? are wildcards; patterns are not regular expressions"
	}
	return ""
}

var styles = map[string][]string{
	"redact":     nil,
	"null":       nil,
	"token":      nil,
	"partial":    {"email", "phone", "card", "generic"},
	"generalise": {"year", "month", "decade"},
}

func (c *Config) masks(d *document) {
	for _, label := range sortedKeys(c.File.Masks) {
		m, path := c.File.Masks[label], []string{"masks", label}
		line := d.line(path...)
		if !labelForm.MatchString(label) {
			d.add(line, fmt.Sprintf("`%s` cannot be a label", label), "labels are lower-case words joined by dots, e.g. pii.email")
		}
		allowed, known := styles[m.Transform]
		switch {
		case !known:
			d.add(d.line(append(path, "transform")...), fmt.Sprintf("`%s` is not a transform", m.Transform), "one of "+quoteList(sortedKeys(styles)))
		case m.Style != "" && !slices.Contains(allowed, m.Style):
			hint := fmt.Sprintf("`%s` takes no style", m.Transform)
			if len(allowed) > 0 {
				hint = "one of " + quoteList(allowed)
			}
			d.add(d.line(append(path, "style")...), fmt.Sprintf("`%s` is not a style of `%s`", m.Style, m.Transform), hint)
		case m.Bucket != "" && m.Transform != "generalise":
			d.add(d.line(append(path, "bucket")...), fmt.Sprintf("`%s` takes no bucket", m.Transform), "only `generalise` does")
		case m.Bucket != "" && !positive(m.Bucket):
			d.add(d.line(append(path, "bucket")...), fmt.Sprintf("`%s` is not a bucket width", m.Bucket), "a number above zero, e.g. 10")
		case m.Bucket != "" && m.Style != "":
			d.add(line, "`generalise` takes a style (dates) or a bucket (numbers), not both", "")
		}
		c.Masks = append(c.Masks, access.Mask{Label: access.Label(label), Transform: m.Transform, Style: m.Style, Bucket: m.Bucket, Source: fmt.Sprintf("%s:%d", c.Path, line)})
	}
}

var numberForm = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`)

func positive(s string) bool {
	v, err := strconv.ParseFloat(s, 64)
	return err == nil && v > 0 && numberForm.MatchString(s)
}

func didYouMean(word string, known []string) string {
	if near := Nearest(word, known); near != "" {
		return "did you mean `" + near + "`?"
	}
	return "known: " + strings.Join(known, ", ")
}

func unique(s []string) []string {
	out := slices.Clone(s)
	slices.Sort(out)
	return slices.Compact(out)
}
