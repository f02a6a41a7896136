package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"sallyport/internal/access"
)

// Identity says who else proves who somebody is.
type Identity struct {
	// Providers are OpenID Connect providers.
	Providers []Provider `yaml:"providers"`
	// CredentialLifetime is how long a certificate or secret holds that is issued at a log-in, at most 12h. Default 1h.
	CredentialLifetime Duration `yaml:"credential_lifetime"`
}

// Provider is an OpenID Connect provider. What is not given has the default that docs/identity.md states.
type Provider struct {
	Name string `yaml:"name"`
	// Issuer is its URL, exactly as its tokens have it.
	Issuer string `yaml:"issuer"`
	// ClientID and its secret are of the web door; LoginClientID is the client without a secret that `sallyport login` is. Without it,
	// ClientID is, where that has no secret.
	ClientID         string `yaml:"client_id"`
	ClientSecret     string `yaml:"client_secret"`
	ClientSecretEnv  string `yaml:"client_secret_env"`
	ClientSecretFile string `yaml:"client_secret_file"`
	// ClientSecretCommand prints it; see Connection. It and ClientSecretFile are read again on SIGHUP and every SecretsRefresh.
	ClientSecretCommand []string `yaml:"client_secret_command"`
	LoginClientID       string   `yaml:"login_client_id"`
	// Audiences are what access tokens for this gateway have in "aud". Default: the URL of the agents' door.
	Audiences   []string `yaml:"audiences"`
	LoginScopes []string `yaml:"login_scopes"`
	// User and Groups are paths into the claims: sub, preferred_username, realm_access.roles, "\"https://example.com/groups\"". Default of User: sub.
	User   string `yaml:"user"`
	Groups string `yaml:"groups"`
	// Prefix stands before the names of users and agents.
	Prefix string `yaml:"prefix"`
	// GroupMap gives the provider's groups the names that policies have. With it, others do not count.
	GroupMap   map[string]string `yaml:"group_map"`
	Attributes map[string]string `yaml:"attributes"`
	// ClaimSources are origins that distributed claims may be fetched from, beside the issuer's.
	ClaimSources []string `yaml:"claim_sources"`
	// Agents are clients that may come in by themselves, and Actors those that may act for people.
	Agents []string `yaml:"agents"`
	Actors []string `yaml:"actors"`
	// Clients are programs in people's own hands, whose tokens count as theirs; "*" is all that are not in actors.
	Clients []string `yaml:"clients"`
	// Scopes are what each scope of an access token lets be done (read, write, ddl, ...). Without it, scopes limit nothing.
	Scopes     map[string][]string `yaml:"scopes"`
	ACR        []string            `yaml:"acr"`
	Algorithms []string            `yaml:"algorithms"`
	Skew       Duration            `yaml:"skew"`
	Refresh    Duration            `yaml:"refresh"`
	// CAFile has the certificates (PEM) that its TLS is checked by, where those of the system do not do.
	CAFile string `yaml:"ca_file"`
	// AccessTokenTyp is at+jwt (RFC 9068), or any, for providers that do not set it. Default at+jwt.
	AccessTokenTyp string `yaml:"access_token_typ"`
}

var (
	signatures = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
	actions    = []string{string(access.ActRead), string(access.ActWrite), string(access.ActDDL), string(access.ActCall), string(access.ActSession), string(access.ActConnect)}
)

const mostCredentialLife = 12 * time.Hour

// Audience is the URL of the agents' door, which access tokens are for where a provider says nothing else.
func (c *Config) Audience() string {
	m := c.File.Listen.MCP
	if m == nil {
		return ""
	}
	if m.PublicURL != "" {
		return strings.TrimSuffix(strings.TrimSuffix(m.PublicURL, "/"), "/mcp") + "/mcp"
	}
	scheme := "http"
	if m.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + m.Address + "/mcp"
}

func (c *Config) identity(d *document) {
	id := &c.File.Identity
	if t := time.Duration(id.CredentialLifetime); t < 0 || t > mostCredentialLife {
		d.add(d.line("identity", "credential_lifetime"), fmt.Sprintf("`%s` is no time for `identity.credential_lifetime`", t), "at most "+mostCredentialLife.String())
	}
	names, issuers, prefixes := map[string]string{}, map[string]string{}, map[string]string{}
	for i := range id.Providers {
		p, path := &id.Providers[i], []string{"identity", "providers", fmt.Sprint(i)}
		at := func(keys ...string) int { return d.line(append(path[:3:3], keys...)...) }
		c.provider(d, p, path)
		for _, u := range []struct {
			seen             map[string]string
			key, value, hint string
		}{
			{names, "name", p.Name, "each provider has a name of its own"},
			{issuers, "issuer", p.Issuer, "one entry speaks for an issuer"},
			{prefixes, "prefix", strings.ToLower(p.Prefix), "two providers could name the same person: give each a `prefix` of its own"},
		} {
			if first, taken := u.seen[u.value]; taken {
				d.add(at(u.key), fmt.Sprintf("`%s` has the %s of `%s`", p.Name, u.key, first), u.hint)
			}
			u.seen[u.value] = p.Name
		}
	}
}

func (c *Config) provider(d *document, p *Provider, path []string) {
	at := func(keys ...string) int { return d.line(append(path[:3:3], keys...)...) }
	bad := func(key, hint, format string, args ...any) { d.add(at(key), fmt.Sprintf(format, args...), hint) }
	if !nameForm.MatchString(p.Name) {
		bad("name", nameHint, "`%s` cannot be a provider's name", p.Name)
	}
	if !issuerURL(p.Issuer) {
		bad("issuer", "for example https://id.example.com/realms/staff; http is for this machine (127.0.0.1) alone", "the issuer `%s` of `%s` is not an https URL", p.Issuer, p.Name)
	}
	if p.ClientID == "" {
		bad("client_id", "register the gateway with the provider; the client's id is not secret", "`%s` has no `client_id`", p.Name)
	}
	secret, _ := c.secret(d, path, "client_secret", p.ClientSecret, p.ClientSecretEnv, p.ClientSecretFile, p.ClientSecretCommand...)
	if p.ClientSecret != "" {
		c.warn(at("client_secret"), fmt.Sprintf("the client secret of `%s` is in the configuration file", p.Name), "move it to `client_secret_env` or `client_secret_file`")
	}
	for i, a := range p.Audiences {
		if a == "" || a == p.ClientID || a == p.LoginClientID {
			d.add(at("audiences", fmt.Sprint(i)), fmt.Sprintf("`%s` cannot be the audience of access tokens", a), "ID tokens have the client's id there: have the provider issue access tokens for an audience of their own")
		}
	}
	for i, client := range p.Clients {
		if client == "" || slices.Contains(p.Actors, client) || slices.Contains(p.Agents, client) {
			d.add(at("clients", fmt.Sprint(i)), fmt.Sprintf("`%s` cannot be in `clients`", client), "a program is a tool in people's own hands, or it is one of `actors` or `agents`")
		}
	}
	if len(p.Audiences) == 0 && c.Audience() == "" && (len(p.Agents) > 0 || len(p.Actors) > 0) {
		c.warn(at(), fmt.Sprintf("no access token of `%s` will be taken: no door for agents is open, and no `audiences` are given", p.Name), "")
	}
	paths := map[string]string{"user": p.User, "groups": p.Groups}
	for _, key := range []string{"user", "groups"} {
		if paths[key] == "" {
			continue
		}
		if _, err := access.ParseClaimPath(paths[key]); err != nil {
			bad(key, `for example realm_access.roles, or '"https://example.com/groups"'`, "`%s` is not a path into the claims: %v", paths[key], err)
		}
	}
	if p.Prefix != "" && !nameForm.MatchString(p.Prefix) {
		bad("prefix", nameHint, "`%s` cannot stand before names", p.Prefix)
	}
	for _, g := range sortedKeys(p.GroupMap) {
		if !nameForm.MatchString(p.GroupMap[g]) {
			d.add(at("group_map", g), fmt.Sprintf("`%s` cannot be a group's name", p.GroupMap[g]), nameHint)
		}
	}
	for _, a := range sortedKeys(p.Attributes) {
		if !attributeForm.MatchString(a) || a == "name" {
			d.add(at("attributes", a), fmt.Sprintf("`%s` cannot be an attribute", a), "small letters, digits and _; principal.name is the principal's own name")
		}
		if _, err := access.ParseClaimPath(p.Attributes[a]); err != nil {
			d.add(at("attributes", a), fmt.Sprintf("`%s` is not a path into the claims: %v", p.Attributes[a], err), "for example org.tenant")
		}
	}
	for i, o := range p.ClaimSources {
		if u, err := url.Parse(o); err != nil || !issuerURL(o) || strings.Trim(u.Path, "/") != "" {
			d.add(at("claim_sources", fmt.Sprint(i)), fmt.Sprintf("`%s` is not an origin that claims may be fetched from", o), "scheme and host only: https://claims.example.com")
		}
	}
	for i, a := range p.Agents {
		if !nameForm.MatchString(p.Prefix + a) {
			d.add(at("agents", fmt.Sprint(i)), fmt.Sprintf("`%s` cannot be an agent's name", p.Prefix+a), nameHint)
		}
	}
	scopes := c.scopes(d, p, at)
	for i, a := range p.Algorithms {
		if !slices.Contains(signatures, a) {
			d.add(at("algorithms", fmt.Sprint(i)), fmt.Sprintf("signatures by `%s` are not taken", a), "one of "+quoteList(signatures))
		}
	}
	if t := time.Duration(p.Skew); t < 0 || t > 5*time.Minute {
		bad("skew", "at most 5m", "`%s` is no time for `skew`", t)
	}
	if t := time.Duration(p.Refresh); t != 0 && (t < time.Minute || t > 24*time.Hour) {
		bad("refresh", "1m to 24h", "`%s` is no time for `refresh`", t)
	}
	if !slices.Contains([]string{"", "at+jwt", "any"}, p.AccessTokenTyp) {
		bad("access_token_typ", "`at+jwt` or `any`", "`%s` is not what `access_token_typ` can be", p.AccessTokenTyp)
	}
	c.Providers = append(c.Providers, access.Provider{Name: p.Name, Issuer: p.Issuer, ClientID: p.ClientID, ClientSecret: secret, ReadSecret: c.rereads(p.ClientSecretFile, p.ClientSecretCommand), LoginClientID: p.LoginClientID,
		Audiences: p.Audiences, LoginScopes: p.LoginScopes, AnyTokenType: p.AccessTokenTyp == "any", UserClaim: p.User, GroupsClaim: p.Groups, Prefix: p.Prefix,
		Groups: p.GroupMap, Attributes: p.Attributes, ClaimSources: p.ClaimSources, Agents: p.Agents, Actors: p.Actors, Clients: p.Clients, Scopes: scopes, ACR: p.ACR,
		Algorithms: p.Algorithms, Skew: time.Duration(p.Skew), Refresh: time.Duration(p.Refresh), CAFile: c.abs(p.CAFile)})
}

func (c *Config) scopes(d *document, p *Provider, at func(...string) int) map[string][]access.Action {
	if p.Scopes == nil {
		return nil
	}
	out := map[string][]access.Action{}
	for _, s := range sortedKeys(p.Scopes) {
		out[s] = []access.Action{}
		for _, a := range p.Scopes[s] {
			if !slices.Contains(actions, a) {
				d.add(at("scopes", s), fmt.Sprintf("`%s` is no action", a), "one of "+quoteList(actions))
			}
			out[s] = append(out[s], access.Action(a))
		}
	}
	return out
}

// issuerURL reports whether s is https, or on this machine, and nothing but scheme, host and path.
func issuerURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == "" && (u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()))
}
