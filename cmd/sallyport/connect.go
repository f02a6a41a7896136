package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"

	"github.com/spf13/cobra"

	"sallyport/internal/access"
	"sallyport/internal/connect"
	"sallyport/internal/login"
)

type connectOptions struct {
	loginOptions
	listen string
}

func newConnect(a *app) *cobra.Command {
	o := &connectOptions{loginOptions: loginOptions{app: a}}
	cmd := &cobra.Command{
		Use:   "connect [flags] CONNECTION",
		Short: "Let a GUI of this machine in at a connection of the gateway",
		Long: `Connect listens on this machine for programs that know neither certificates nor passwords that change, and takes
them to a connection of the gateway as you. They give a password that is made for this run and shown once, so that nobody else
on this machine comes in; user and database may be anything. When your log-in ends, the next new session makes you log in anew;
with --stay it is renewed without asking. Ctrl-C ends it, with the sessions that go through it.`,
		Example: "  sallyport connect shop --listen 127.0.0.1:5433",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0]) },
	}
	o.bind(cmd)
	cmd.Flags().StringVar(&o.listen, "listen", "127.0.0.1:0", "address of this machine; port 0 is a free one")
	return cmd
}

func (o *connectOptions) run(ctx context.Context, connection string) error {
	p, err := o.profile()
	if err != nil {
		return err
	}
	ln, err := connect.Listen(o.listen) // before somebody logs in for nothing
	if err != nil {
		return err
	}
	defer ln.Close()
	if _, err := o.way(ctx, p, connection); err != nil {
		return err
	}
	s := &connect.Server{Connection: connection, Password: connect.NewPassword(),
		Way:    func(ctx context.Context) (connect.Way, error) { return o.way(ctx, p, connection) },
		Report: func(err error) { fmt.Fprintln(o.err, "sallyport: "+printable(err.Error())) }}
	host, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		return err
	}
	fmt.Fprintf(o.out, "host      %s\nport      %s\ndatabase  %s\nuser      anything\npassword  %s\nTLS       none (it does not leave this machine)\n", host, port, printable(connection), s.Password)
	fmt.Fprintln(o.err, "ready; Ctrl-C ends it")
	return s.Serve(ctx, ln)
}

// way is how to come in with what holds now.
func (o *connectOptions) way(ctx context.Context, p *login.Profile, connection string) (connect.Way, error) {
	c, err := o.enter(ctx, p)
	if err != nil {
		return connect.Way{}, err
	}
	settings, err := clientSettings(p, c, connection)
	if err != nil {
		return connect.Way{}, err
	}
	v := map[string]string{}
	for _, s := range settings {
		v[s.key] = s.value
	}
	w := connect.Way{Address: net.JoinHostPort(v["host"], v["port"]), User: c.Principal, Secret: c.Secret}
	if !c.PGWire.TLS {
		return w, nil
	}
	w.TLS = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: v["host"], NextProtos: []string{"postgresql"}}
	if root := v["sslrootcert"]; root != "system" {
		text, err := os.ReadFile(root)
		if err != nil {
			return w, err
		}
		w.TLS.RootCAs = x509.NewCertPool()
		if !w.TLS.RootCAs.AppendCertsFromPEM(text) {
			return w, &access.Error{Kind: access.Invalid, Message: root + " holds no certificate", Hint: "`sallyport login --fresh`"}
		}
	}
	if v["sslcert"] != "" {
		pair, err := tls.LoadX509KeyPair(v["sslcert"], v["sslkey"])
		if err != nil {
			return w, &access.Error{Kind: access.Invalid, Message: "the certificate of this log-in cannot be used", Hint: "`sallyport login --fresh`", Err: err}
		}
		w.TLS.Certificates = []tls.Certificate{pair}
	}
	return w, nil
}
