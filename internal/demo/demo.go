package demo

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"sallyport/internal/config"
	"sallyport/internal/testdb"
)

// Options say where the demo lives.
type Options struct {
	Dir    string // for configuration and record; empty: a temporary folder, deleted at the end
	PGWire string // addresses wanted; a free port takes the place of one in use
	MCP    string //
	Web    string //
	// Provider is the address of the demo's identity provider.
	Provider string
	Self     string    // how this program is called, for lines to copy
	Out      io.Writer // progress
}

// Demo is a database with a configuration for a gateway before it.
type Demo struct {
	Config *config.Config
	Dir    string
	Logins []Login
	// Clients are the agents of its identity provider, and Issuer is the provider's URL.
	Clients []Client
	Issuer  string

	self   string
	server *testdb.Server
	folk   []person
	tidy   []func()
}

// Prepare brings everything up but the gateway.
func Prepare(ctx context.Context, opt Options) (_ *Demo, err error) {
	say := func(format string, args ...any) { fmt.Fprintf(opt.Out, "· "+format+"\n", args...) }
	d := &Demo{self: opt.Self, Dir: opt.Dir, Logins: logins(), Clients: clients(), folk: people(customers)}
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
	addresses := Doors{PGWire: opt.PGWire, MCP: opt.MCP, Web: opt.Web}
	fixAddresses(&addresses.PGWire, &addresses.MCP, &addresses.Web)
	p, err := d.openProvider(opt.Provider, addresses.urls())
	if err != nil {
		return nil, err
	}
	d.Issuer = p.Issuer
	say("an identity provider that approves everybody is at %s", d.Issuer)
	addresses.Provider = d.Issuer
	path, err := writeFiles(d.Dir, dsn, addresses, d.Logins)
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

// Doors are the addresses of the gateway that serves the demo's configuration: host:port, and of MCP, Web and Provider the URL.
type Doors struct{ PGWire, MCP, Web, Provider string }

// local names doors that listen on every address by the one to use on this machine.
func (d Doors) local() Doors {
	for _, all := range []string{"0.0.0.0:", "[::]:"} {
		for _, at := range []*string{&d.PGWire, &d.MCP, &d.Web, &d.Provider} {
			*at = strings.Replace(*at, all, "127.0.0.1:", 1)
		}
	}
	return d
}

// urls makes addresses of doors what clients of this machine write.
func (d Doors) urls() Doors {
	d.MCP, d.Web = "http://"+d.MCP+"/mcp", "http://"+d.Web
	return d.local()
}

// fixAddresses puts free ports in the place of those that are taken or 0: what clients are told of the doors, and what tokens are for,
// names them.
func fixAddresses(addresses ...*string) {
	for _, a := range addresses {
		ln, err := net.Listen("tcp", freeAddress(*a))
		if err != nil {
			continue // the configuration says what is wrong with it
		}
		defer ln.Close() // held until all are found, so that they differ
		*a = ln.Addr().String()
	}
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
