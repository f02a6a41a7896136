package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"sallyport/internal/config"
	"sallyport/internal/testdb"
	"sallyport/internal/testidp"
)

// realGate is a gateway with all doors, in this process, whose people and agents a provider knows. It has no principals of its own: who comes in
// comes in by the provider.
type realGate struct {
	*gate
	idp  *testidp.Provider
	url  string // of the web door
	pg   string // host:port
	file string // the configuration
}

const gateSchema = `CREATE TABLE customers (id int PRIMARY KEY, email text);
INSERT INTO customers VALUES (1, 'ada@example.com'), (2, 'eve@example.com');
CREATE TABLE orders AS SELECT g AS id FROM generate_series(1, 2000) g;`

const gatePolicy = `
@id("staff") permit (principal in Group::"engineers", action in [Action::"connect", Action::"read", Action::"write", Action::"write_all_rows"], resource in Connection::"shop");
@id("robots-write") @review("keepers") permit (principal in Group::"robots", action in [Action::"write", Action::"write_all_rows"], resource in Connection::"shop");
@id("robots") permit (principal in Group::"robots", action in [Action::"connect", Action::"read"], resource in Connection::"shop");
`

// gateConfig is the configuration, with a place for the address of the agents' door, more of it, the DSN and the providers.
const gateConfig = `data_dir: data
listen:
  pgwire: {address: "127.0.0.1:0", tls: {own: true}}
  mcp: {address: %q%s}
  web: {address: "127.0.0.1:0"}
connections: {shop: {driver: postgres, dsn: %q}}
policies: [policy.cedar]
labels: [{label: pii.email, columns: [public.customers.email]}]
identity:
  providers: %s
`

const gateProvider = `
    - name: work
      issuer: %s
      client_id: sallyport
      user: preferred_username
      groups: groups
      group_map: {staff: engineers, batch: robots, choir: keepers}
      attributes: {tenant: org.tenant}
      agents: [nightly]
      actors: [triage-bot, planner]
      scopes: {db.read: [read], db.write: [read, write]}
`

// ada is logged in at the provider of a gate.
func ada() *testidp.User {
	return &testidp.User{Subject: "u-ada", Claims: map[string]any{"preferred_username": "ada", "groups": []string{"staff", "choir"}, "org": map[string]any{"tenant": "7"}}}
}

// openConfigured writes a configuration of text, and its policy.cedar beside it, and opens a gate by it, whose log nobody reads.
func openConfigured(tb testdb.TB, file, text, policy string) *gate {
	tb.Helper()
	check := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatalf("%v", err)
		}
	}
	dir := filepath.Dir(file)
	check(os.MkdirAll(dir, 0o700))
	check(os.WriteFile(filepath.Join(dir, "policy.cedar"), []byte(policy), 0o600))
	check(os.WriteFile(file, []byte(text), 0o600))
	cfg, err := config.Load(file)
	check(err)
	g, err := openGate(context.Background(), cfg, slog.New(slog.DiscardHandler))
	check(err)
	return g
}

// openRealGate opens one in a folder. mcp is more of that door's configuration.
func openRealGate(tb testdb.TB, dir, mcp string, providers bool) *realGate {
	tb.Helper()
	r := &realGate{idp: testidp.New(tb), file: filepath.Join(dir, "sallyport.yaml")}
	r.idp.Login(ada())
	r.idp.Client("nightly", "s3cret")
	list := "[]"
	if providers {
		list = fmt.Sprintf(gateProvider, r.idp.Issuer)
	}
	text := fmt.Sprintf(gateConfig, "127.0.0.1:0", mcp, testdb.Shared(tb).NewDatabase(tb, gateSchema), list)
	r.gate = openConfigured(tb, r.file, text, gatePolicy)
	if mcp == "" { // so that other commands, which read the file, know the address that was found
		if err := os.WriteFile(r.file, []byte(strings.Replace(text, `mcp: {address: "127.0.0.1:0"`, fmt.Sprintf(`mcp: {address: %q`, r.mcpLn.Addr().String()), 1)), 0o600); err != nil {
			tb.Fatalf("%v", err)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.serve(ctx) }()
	tb.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			tb.Logf("the gate ended: %v", err)
		}
	})
	r.url, r.pg = "http://"+r.webLn.Addr().String(), r.pgAddr
	return r
}

// gates are those that scripts have opened, by the issuer of their provider.
var gates sync.Map

func gateOf(ts *testscript.TestScript) *realGate {
	g, ok := gates.Load(ts.Getenv("ISSUER"))
	if !ok {
		ts.Fatalf("`gateway` comes first")
	}
	return g.(*realGate)
}

// gatewayFor: gateway URLVAR [none] opens a gateway at which people can log in by a provider, whose ada they are; none: it has no provider. ISSUER is
// the provider's, CONFIG the configuration, MCP the agents' door.
func gatewayFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: gateway URLVAR [none]")
	}
	g := openRealGate(scriptTB{ts}, ts.MkAbs("gate-"+args[0]), "", len(args) == 1)
	gates.Store(g.idp.Issuer, g)
	ts.Defer(func() { gates.Delete(g.idp.Issuer) })
	ts.Setenv(args[0], g.url)
	ts.Setenv("ISSUER", g.idp.Issuer)
	ts.Setenv("CONFIG", g.file)
	ts.Setenv("MCP", g.mcpURL)
	home(ts, neg, nil)
}

// home makes the script's folder somebody's home, with psql in the path, and has SCRIPTS name those of the repository.
func home(ts *testscript.TestScript, _ bool, _ []string) {
	psql, err := testdb.LookPath("psql")
	ts.Check(err)
	scripts, err := filepath.Abs("../../scripts")
	ts.Check(err)
	ts.Setenv("PATH", ts.Getenv("PATH")+string(os.PathListSeparator)+filepath.Dir(psql))
	ts.Setenv("HOME", ts.MkAbs("."))
	ts.Setenv("SCRIPTS", scripts)
	ts.Check(os.Chmod(ts.MkAbs("."), 0o700))
}

// idpCommand: idp access FILE AUDIENCE [CLAIMS] and idp id FILE [CLAIMS] write a token of whoever is logged in at the provider; CLAIMS is a JSON object, in which null
// leaves a claim out. idp logout sends the gateway the provider's word that they have logged out there. idp bend FILE changes the signature of the token in it. idp
// reload does what SIGHUP has `serve` do.
func idpCommand(ts *testscript.TestScript, neg bool, args []string) {
	g := gateOf(ts)
	claims := func(n int) map[string]any {
		out := map[string]any{}
		if len(args) > n {
			ts.Check(json.Unmarshal([]byte(args[n]), &out))
		}
		return out
	}
	write := func(token string) { ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(token+"\n"), 0o600)) }
	switch {
	case neg || len(args) == 0:
		ts.Fatalf("usage: idp access|id|bend|logout ...")
	case args[0] == "access" && len(args) > 2:
		write(g.idp.AccessToken(args[2], map[string]any{"scope": "openid db.read"}, claims(3)))
	case args[0] == "id" && len(args) > 1:
		write(g.idp.IDToken("n", claims(2)))
	case args[0] == "bend" && len(args) > 1:
		token := []byte(strings.TrimSpace(ts.ReadFile(args[1])))
		at := strings.LastIndexByte(string(token), '.') + 10
		token[at] = map[bool]byte{true: 'B', false: 'A'}[token[at] == 'A']
		write(string(token))
	case args[0] == "reload":
		g.reload(context.Background(), g.file)
	case args[0] == "logout":
		ts.Check(g.logOutThere())
	default:
		ts.Fatalf("unknown: idp %v", args)
	}
}
