package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"sallyport/internal/access"
	"sallyport/internal/login"
)

type psqlOptions struct {
	loginOptions
	service, env, pgpass bool
}

func newPsql(a *app) *cobra.Command {
	o := &psqlOptions{loginOptions: loginOptions{app: a}}
	cmd := &cobra.Command{
		Use:   "psql [flags] CONNECTION [psql's own arguments]",
		Short: "Run psql at a connection of the gateway, logging in first where needed",
		Long: `Psql becomes the psql of this machine, told by its environment where to connect and with what: nothing secret is in
its arguments. All that follows CONNECTION is psql's own, and so is the exit status. What would lead psql elsewhere (PGSERVICE,
PGHOSTADDR ...) is taken out of its environment.

The flags that print give other tools the same, as lines for their files.`,
		Example: "  sallyport psql shop\n  sallyport psql shop -c 'SELECT count(*) FROM orders'\n  sallyport psql --print-service shop >> ~/.pg_service.conf",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), args[0], args[1:])
		},
	}
	o.bind(cmd)
	f := cmd.Flags()
	f.SetInterspersed(false)
	f.BoolVar(&o.service, "print-service", false, "print a section for ~/.pg_service.conf instead of running psql")
	f.BoolVar(&o.env, "print-env", false, "print lines for a shell's eval instead")
	f.BoolVar(&o.pgpass, "print-pgpass", false, "print a line for ~/.pgpass instead; it holds as long as this log-in")
	cmd.MarkFlagsMutuallyExclusive("print-service", "print-env", "print-pgpass")
	return cmd
}

func (o *psqlOptions) run(ctx context.Context, connection string, args []string) error {
	if (o.service || o.env || o.pgpass) && len(args) > 0 {
		return usagef("what is printed takes no arguments of psql")
	}
	p, err := o.profile()
	if err != nil {
		return err
	}
	path := ""
	if !o.service && !o.env && !o.pgpass {
		if path, err = exec.LookPath("psql"); err != nil { // before somebody logs in for nothing
			return &access.Error{Kind: access.Unavailable, Message: "there is no psql on this machine", Hint: "install the PostgreSQL client (postgresql-client), or use another program by `sallyport connect`"}
		}
	}
	c, err := o.enter(ctx, p)
	if err != nil {
		return err
	}
	settings, err := clientSettings(p, c, connection)
	if err != nil {
		return err
	}
	switch {
	case o.service:
		_, err = fmt.Fprint(o.out, serviceSection(connection, settings))
	case o.env:
		_, err = fmt.Fprint(o.out, shellLines(settings))
	case o.pgpass:
		_, err = fmt.Fprintln(o.out, pgpassLine(c, settings))
	default:
		err = fmt.Errorf("run %s: %w", path, syscall.Exec(path, append([]string{"psql"}, args...), environment(os.Environ(), settings)))
	}
	return err
}

// setting is one of libpq's: as the environment has it, as a service file has it, and its value.
type setting struct{ env, key, value string }

// clientSettings are what any program that uses libpq needs to come in at a connection.
func clientSettings(p *login.Profile, c *login.Credential, connection string) ([]setting, error) {
	for _, v := range []string{connection, c.Principal, c.PGWire.Address, c.Secret, c.CAFile} {
		if strings.ContainsAny(v, "\x00\r\n") {
			return nil, usagef("%s cannot be a name or an address", printable(v))
		}
	}
	host, port, err := net.SplitHostPort(c.PGWire.Address)
	if err != nil {
		return nil, &access.Error{Kind: access.Unavailable, Message: "the gateway at " + c.Gateway + " has no door for PostgreSQL clients", Hint: "its operator opens one with listen.pgwire"}
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		if u, err := url.Parse(c.Gateway); err == nil { // it listens everywhere: where we have reached it is one of its addresses
			host = u.Hostname()
		}
	}
	s := []setting{{"PGHOST", "host", host}, {"PGPORT", "port", port}, {"PGUSER", "user", c.Principal}, {"PGDATABASE", "dbname", connection}, {"PGGSSENCMODE", "gssencmode", "disable"}}
	if c.PGWire.TLS {
		s = append(s, setting{"PGSSLMODE", "sslmode", "verify-full"}, setting{"PGSSLROOTCERT", "sslrootcert", authorities(p, c)})
	} else {
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return nil, &access.Error{Kind: access.Denied, Message: "the door for PostgreSQL clients at " + c.PGWire.Address + " has no TLS: what you read there could be read on the way", Hint: "its operator sets listen.pgwire.tls"}
		}
		s = append(s, setting{"PGSSLMODE", "sslmode", "disable"})
	}
	if c.PGWire.TLS && c.Certified {
		return append(s, setting{"PGSSLCERT", "sslcert", p.Cert()}, setting{"PGSSLKEY", "sslkey", p.Key()}), nil
	}
	return append(s, setting{"PGPASSWORD", "password", c.Secret}), nil
}

// authorities is the file of the certificates by which the door is known. libpq has a word for the system's from version 16 on only, so
// that their file is named where it is found.
func authorities(p *login.Profile, c *login.Credential) string {
	switch {
	case c.Authority:
		return p.Authority()
	case c.CAFile != "":
		return c.CAFile
	}
	for _, path := range []string{os.Getenv("SSL_CERT_FILE"), "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"} {
		if _, err := os.Stat(path); path != "" && err == nil {
			return path
		}
	}
	return "system"
}

// leading are libpq's variables that say where to connect, as whom, or how well to look: none of them but ours may reach psql.
var leading = []string{"PGHOST", "PGHOSTADDR", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSWORD", "PGPASSFILE", "PGSERVICE", "PGSERVICEFILE", "PGREQUIREAUTH", "PGCHANNELBINDING", "PGREQUIREPEER", "PGREQUIRESSL",
	"PGGSSENCMODE", "PGSSLMODE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY", "PGSSLCERTMODE", "PGSSLCRL", "PGSSLCRLDIR", "PGSSLNEGOTIATION", "PGSSLSNI", "PGTARGETSESSIONATTRS", "PGLOADBALANCEHOSTS"}

// environment is ours with the settings in the place of what would lead elsewhere.
func environment(env []string, settings []setting) []string {
	env = slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains(leading, name)
	})
	for _, s := range settings {
		env = append(env, s.env+"="+s.value)
	}
	return env
}

// serviceSection is a section of a service file (PostgreSQL, "The Connection Service File"), which knows no quotes.
func serviceSection(name string, settings []setting) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[%s]\n", name)
	for _, s := range settings {
		fmt.Fprintf(&b, "%s=%s\n", s.key, s.value)
	}
	return b.String()
}

// shellLines are for `eval` in a POSIX shell.
func shellLines(settings []setting) string {
	var b strings.Builder
	for _, s := range settings {
		fmt.Fprintf(&b, "export %s='%s'\n", s.env, strings.ReplaceAll(s.value, "'", `'\''`))
	}
	return b.String()
}

// pgpassLine is a line of a password file (PostgreSQL, "The Password File").
func pgpassLine(c *login.Credential, settings []setting) string {
	var fields []string
	for _, key := range []string{"host", "port", "dbname", "user"} {
		for _, s := range settings {
			if s.key == key {
				fields = append(fields, s.value)
			}
		}
	}
	escape := strings.NewReplacer(`\`, `\\`, ":", `\:`)
	fields = append(fields, c.Secret)
	for i := range fields {
		fields[i] = escape.Replace(fields[i])
	}
	return strings.Join(fields, ":")
}
