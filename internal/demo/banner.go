package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
)

// Ways are what differs between machines in the lines to copy.
type Ways struct {
	Doors
	// Gateway is what `sallyport psql` has to be told of where the gateway is: "" where it finds out by itself, else "--gateway URL ".
	Gateway string
}

// Banner says how to use the demo, with lines to copy.
func (d *Demo) Banner(w io.Writer, ways Ways) {
	doors := ways.local()
	host, port, _ := net.SplitHostPort(doors.PGWire)
	say := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	say("\nSallyport is up. Behind it: a shop with %d customers, none of whom exists.", customers)

	say("\nPEOPLE log in by the demo's own identity provider, which approves everybody, and are in psql with one command:\n")
	say("  %s psql %sshop", d.self, ways.Gateway)
	say("\nor have a password, for psql and any PostgreSQL client:\n")
	say("  PGPASSWORD=%s psql -h %s -p %s -U ada shop", d.login("ada").Password, host, port)
	say("\n  Try:  SELECT name, email, phone, card, born FROM customers LIMIT 5;\n" +
		"        SELECT id FROM customers WHERE email LIKE 'ada%%';       -- finds nothing: it sees tokens\n" +
		"        SELECT query_to_xml('SELECT * FROM customers', true, true, '');\n" +
		"        SET sallyport.reason = 'monthly access review, ticket 4711';   -- auditors must")
	say("\n  By the provider (choose at %s/ or in the browser):", d.Issuer)
	d.who(w, func(l Login) bool { return l.Provided }, func(Login) string { return "" })
	say("  By password:")
	d.who(w, func(l Login) bool { return l.Password != "" }, func(l Login) string { return l.Password })

	say("\nREVIEWERS decide about what waits, in a browser, %s, or at a terminal:\n", doors.Web)
	say("  SALLYPORT_PASSWORD=%s %s review list --url %s --user %s", d.login(reviewer).Password, d.self, doors.Web, reviewer)
	say("\n  Try, as an engineer:  UPDATE customers SET points = points + 10 WHERE id = 1;   -- psql waits until a steward has approved it\n" +
		"                        SET sallyport.reveal = 'customers.phone';                  -- asks to see a column as it is")

	say("\nAGENTS use MCP over HTTP, with a token of the configuration:\n")
	say("  %s", MCPConfig(doors.MCP, d.login("support-agent").Token))
	say("\nor find the provider by themselves (OAuth 2.1). A token for one of its agents:\n")
	for _, c := range d.Clients {
		if c.ID == nightly {
			say("  curl -s -u %s:%s -d grant_type=client_credentials %s/token", c.ID, c.Secret, d.Issuer)
		}
	}
	data := filepath.Join(d.Dir, "data")
	say("\nWHAT HAPPENED, step by step, with every reason given, and who is connected now:\n\n  %s trace --data %s\n  %s sessions --data %s", d.self, data, d.self, data)
}

// who lists logins, a line each.
func (d *Demo) who(w io.Writer, which func(Login) bool, with func(Login) string) {
	for _, l := range d.Logins {
		if which(l) {
			fmt.Fprintf(w, "    %s\n", strings.TrimRight(fmt.Sprintf("%-8s %-16s %s", l.Name, with(l), l.Is), " "))
		}
	}
}

// MCPConfig is the configuration that most MCP clients understand, on one line.
func MCPConfig(mcpURL, token string) string {
	type server struct {
		Type    string            `json:"type"`
		URL     string            `json:"url"`
		Headers map[string]string `json:"headers"`
	}
	text, err := json.Marshal(map[string]any{"mcpServers": map[string]any{
		"sallyport": server{"http", mcpURL, map[string]string{"Authorization": "Bearer " + token}},
	}})
	if err != nil { // strings only: cannot happen
		return err.Error()
	}
	return string(text)
}

// login finds a login by name.
func (d *Demo) login(name string) Login {
	for _, l := range d.Logins {
		if l.Name == name {
			return l
		}
	}
	return Login{}
}

// reviewer is the login that uses the web door.
const reviewer = "stella"
