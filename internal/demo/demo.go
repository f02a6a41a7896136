package demo

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sallyport/internal/config"
	"sallyport/internal/testdb"
)

// Options say where the demo lives.
type Options struct {
	Dir    string    // for configuration and record; empty: a temporary folder, deleted at the end
	PGWire string    // addresses wanted; a free port takes the place of one in use
	MCP    string    //
	Web    string    //
	Self   string    // how this program is called, for lines to copy
	Out    io.Writer // progress
}

// Demo is a database with a configuration for a gateway before it.
type Demo struct {
	Config *config.Config
	Dir    string
	Logins []Login

	self   string
	server *testdb.Server
	folk   []person
	tidy   []func()
}

// Prepare brings everything up but the gateway.
func Prepare(ctx context.Context, opt Options) (_ *Demo, err error) {
	say := func(format string, args ...any) { fmt.Fprintf(opt.Out, "· "+format+"\n", args...) }
	d := &Demo{self: opt.Self, Dir: opt.Dir, Logins: logins(), folk: people(customers)}
	defer func() {
		if err != nil {
			d.Close()
		}
	}()
	if d.Dir == "" {
		if d.Dir, err = d.tempDir("sallyport-demo-", 0o700); err != nil {
			return nil, err
		}
	} else if err = os.MkdirAll(d.Dir, 0o700); err != nil {
		return nil, err
	}
	// The server's user has to be able to read what npm brings: not below Dir, which is private.
	fetched, err := d.tempDir("sallyport-postgres-", 0o755)
	if err != nil {
		return nil, err
	}
	bin, err := findPostgres(ctx, fetched, say)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	say("starting a throw-away PostgreSQL")
	if d.server, err = testdb.Start(testdb.Options{BinDir: bin, Password: password()}); err != nil {
		return nil, err
	}
	dsn, err := d.seed(ctx)
	if err != nil {
		return nil, fmt.Errorf("fill the shop: %w", err)
	}
	say("a shop with %d customers is ready (%.1f s)", customers, time.Since(began).Seconds())
	path, err := writeFiles(d.Dir, dsn, Doors{PGWire: freeAddress(opt.PGWire), MCP: freeAddress(opt.MCP), Web: fixedAddress(opt.Web)}, d.Logins)
	if err != nil {
		return nil, err
	}
	if d.Config, err = config.Load(path); err != nil {
		return nil, err
	}
	return d, nil
}

// Close stops the server and deletes what was temporary.
func (d *Demo) Close() {
	if d.server != nil {
		d.server.Stop()
	}
	for _, f := range d.tidy {
		f()
	}
}

// seed makes the database and its owner, and fills it. It gives the owner's DSN: the gateway needs no
// superuser.
func (d *Demo) seed(ctx context.Context) (dsn string, err error) {
	pw := password()
	if err := d.server.Exec(ctx, "postgres", "CREATE ROLE sallyport LOGIN PASSWORD "+literal(pw)); err != nil {
		return "", err
	}
	if err := d.server.Exec(ctx, "postgres", "CREATE DATABASE shop OWNER sallyport"); err != nil {
		return "", err
	}
	sql := "SET ROLE sallyport;\n" + shopSQL + seedSQL(d.folk)
	if err := d.server.Exec(ctx, "shop", "ALTER SCHEMA public OWNER TO sallyport;"+sql); err != nil {
		return "", err
	}
	u, err := url.Parse(d.server.DSN("shop"))
	if err != nil {
		return "", err
	}
	u.User = url.UserPassword("sallyport", pw)
	return u.String(), nil
}

func (d *Demo) tempDir(prefix string, mode os.FileMode) (string, error) {
	dir, err := os.MkdirTemp("", prefix)
	if err != nil {
		return "", err
	}
	d.tidy = append(d.tidy, func() { os.RemoveAll(dir) })
	return dir, os.Chmod(dir, mode)
}

// Doors are the addresses of the gateway that serves the demo's configuration: host:port, and of MCP and Web the URL.
type Doors struct{ PGWire, MCP, Web string }

// local names doors that listen on every address by the one to use on this machine.
func (d Doors) local() Doors {
	for _, all := range []string{"0.0.0.0:", "[::]:"} {
		d.PGWire = strings.Replace(d.PGWire, all, "127.0.0.1:", 1)
		d.MCP = strings.Replace(d.MCP, all, "127.0.0.1:", 1)
		d.Web = strings.Replace(d.Web, all, "127.0.0.1:", 1)
	}
	return d
}

// Banner says how to use the demo, with lines to copy.
func (d *Demo) Banner(w io.Writer, doors Doors) {
	doors = doors.local()
	host, port, _ := net.SplitHostPort(doors.PGWire)
	fmt.Fprintf(w, "\nSallyport is up. Behind it: a shop with %d customers, none of whom exists.\n\nPEOPLE use psql, or any PostgreSQL client:\n\n", customers)
	for _, l := range d.Logins {
		if l.Password != "" && l.Name != reviewer {
			fmt.Fprintf(w, "  # %s\n  PGPASSWORD=%s psql -h %s -p %s -U %s shop\n", l.Is, l.Password, host, port, l.Name)
		}
	}
	fmt.Fprint(w, "\n  Try:  SELECT name, email, phone, card, born FROM customers LIMIT 5;\n"+
		"        SELECT id FROM customers WHERE email LIKE 'ada%';       -- finds nothing: it sees tokens\n"+
		"        SELECT query_to_xml('SELECT * FROM customers', true, true, '');\n"+
		"        SET sallyport.reason = 'monthly access review, ticket 4711';   -- audrey must\n")
	fmt.Fprintf(w, "\nREVIEWERS decide about what waits, in a browser: %s  (%s, password %s)\nor at a terminal: %s review list --user %s -c %s\n\n"+
		"  Try, as ada:  UPDATE customers SET points = points + 10 WHERE id = 1;   -- psql waits until %s has approved it\n"+
		"                SET sallyport.reveal = 'customers.phone';                  -- asks to see a column as it is\n", doors.Web, reviewer, d.login(reviewer).Password, d.self, reviewer, filepath.Join(d.Dir, config.DefaultName), reviewer)
	fmt.Fprint(w, "\nAGENTS use MCP over HTTP:\n\n")
	for _, l := range d.Logins {
		if l.Token != "" {
			fmt.Fprintln(w, "  "+strings.ReplaceAll(MCPConfig(doors.MCP, l.Token), "\n", "\n  "))
		}
	}
	fmt.Fprintf(w, "\nWHAT HAPPENED, step by step, with every reason given:\n\n  %s trace --data %s\n", d.self, filepath.Join(d.Dir, "data"))
}

// MCPConfig is the configuration that most MCP clients understand.
func MCPConfig(mcpURL, token string) string {
	type server struct {
		Type    string            `json:"type"`
		URL     string            `json:"url"`
		Headers map[string]string `json:"headers"`
	}
	text, err := json.MarshalIndent(map[string]any{"mcpServers": map[string]any{
		"sallyport": server{"http", mcpURL, map[string]string{"Authorization": "Bearer " + token}},
	}}, "", "  ")
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

// fixedAddress is freeAddress with the port that is free: links in notices name it.
func fixedAddress(address string) string {
	ln, err := net.Listen("tcp", freeAddress(address))
	if err != nil {
		return address
	}
	defer ln.Close()
	return ln.Addr().String()
}

// freeAddress is address where it can be had, else a free port on the same host.
func freeAddress(address string) string {
	ln, err := net.Listen("tcp", address)
	if err == nil {
		ln.Close()
		return address
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address // the configuration says what is wrong with it
	}
	return net.JoinHostPort(host, "0")
}

func password() string { return strings.ToLower(rand.Text()[:16]) }
