package demo

import (
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"sallyport/internal/config"
	"sallyport/internal/identity"
)

//go:embed policy.cedar
var policyText string

// marker is the first line of files that the demo may write over.
const marker = "# Written by `sallyport demo`; the next run writes it again."

const configText = marker + `
data_dir: data

listen:
  pgwire: {address: %[1]s, tls: {own: true, names: [localhost]}} # its root: data/tls/authority.crt
  mcp: {address: %[2]s}
  web: {address: %[4]s, auditors: [auditors], operators: [dba]}

connections:
  shop:
    driver: postgres
    dsn_file: shop.dsn

# The provider is the demo's own: it asks nobody for a password. A real one is named in the same way.
identity:
  credential_lifetime: 1h
  providers:
    - name: %[6]s
      issuer: %[5]s
      client_id: sallyport
      user: preferred_username
      groups: groups
      agents: [%[7]s]
      actors: [%[8]s]

principals:
%[3]s
labels:
  - label: pii.name
    columns: [public.customers.name]
  - label: pii.email
    columns: ["*.*.email"]
  - label: pii.phone
    columns: [public.customers.phone]
  - label: pii.card
    columns: [public.customers.card]
  - label: pii.address
    columns: [public.customers.street, public.customers.postcode]
  - label: pii.birth
    columns: [public.customers.born]

masks:
  pii.name: {transform: partial, style: generic}
  pii.email: {transform: token}   # the same address, the same token: joins work
  pii.phone: {transform: partial, style: phone}
  pii.card: {transform: partial, style: card}
  pii.address: {transform: redact}
  pii.birth: {transform: generalise, style: year}

policies: [policy.cedar]
`

// Login is somebody who can use the demo.
type Login struct {
	Name, Group, Is string
	Password, Token string
	// Provided is who logs in by the demo's identity provider.
	Provided bool
}

// logins are made new each time: they are shown once and stored as hashes.
func logins() []Login {
	return []Login{
		{Name: "grace", Group: "engineers", Is: "engineer: reads the shop masked, works on tickets and orders", Provided: true},
		{Name: "simon", Group: "stewards", Is: "data steward: decides, in the browser, about what engineers ask for", Provided: true},
		{Name: "alma", Group: "auditors", Is: "auditor: reads in the clear, but has to say why", Provided: true},
		{Name: "ada", Group: "engineers", Is: "engineer: reads the shop masked, works on tickets and orders"},
		{Name: "stella", Group: "stewards", Is: "data steward: decides, in the browser, about what engineers ask for"},
		{Name: "audrey", Group: "auditors", Is: "auditor: reads in the clear, but has to say why"},
		{Name: "dora", Group: "dba", Is: "database administrator: anything, recorded"},
		{Name: "support-agent", Group: "agents", Is: "AI agent: reads the shop masked, 200 rows at a time, with task and reason"},
	}
}

// writeFiles makes a configuration in dir and fills in the secrets of its logins.
func writeFiles(dir, dsn string, doors Doors, who []Login) (path string, err error) {
	path = filepath.Join(dir, config.DefaultName)
	old, err := os.ReadFile(path)
	if err == nil && !strings.HasPrefix(string(old), marker) {
		return "", fmt.Errorf("%s is not the demo's: name another folder with --data", path)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	var principals strings.Builder
	for i := range who {
		l := &who[i]
		if l.Provided {
			continue // the provider says who they are, and in which group
		}
		fmt.Fprintf(&principals, "  %s:\n", l.Name)
		if l.Group == "agents" {
			var hash string
			l.Token, hash = identity.NewToken()
			fmt.Fprintf(&principals, "    kind: agent\n    groups: [%s]\n    tokens:\n      - sha256: %s\n", l.Group, hash)
			continue
		}
		l.Password = password()
		fmt.Fprintf(&principals, "    kind: human\n    groups: [%s]\n    secret: %s\n", l.Group, identity.HashPassword(l.Password))
	}
	for name, text := range map[string]string{
		config.DefaultName: fmt.Sprintf(configText, strconv.Quote(doors.PGWire), listen(doors.MCP, doors.urls().MCP), principals.String(),
			listen(doors.Web, doors.urls().Web), doors.Provider, providerName, nightly, triage),
		"policy.cedar": policyText,
		"shop.dsn":     dsn + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	return path, nil
}

// listen is an address as the configuration has it, of a door that is reached at a URL. These doors speak without TLS, so the address
// of a container, which others can reach, has to be wanted.
func listen(address, reached string) string {
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err == nil && (host == "localhost" || ip != nil && ip.IsLoopback()) {
		return strconv.Quote(address)
	}
	return fmt.Sprintf("%q, insecure: true, public_url: %q", address, reached)
}
