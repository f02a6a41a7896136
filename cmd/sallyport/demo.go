package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/demo"
	"sallyport/internal/login"
)

type demoOptions struct {
	*app
	tour   bool
	data   string
	pgwire string
	mcp    string
	web    string
	// provider is the address of the identity provider.
	provider string
}

func newDemo(a *app) *cobra.Command {
	o := &demoOptions{app: a}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Bring up a seeded database behind the gateway, ready to try",
		Long: `Demo starts a throw-away PostgreSQL with a shop full of synthetic people, puts a gateway before it, and
prints lines to copy for psql and for an MCP client. PostgreSQL comes from this machine, else from apt,
else from npm. Ctrl-C ends it and deletes everything; --data keeps configuration and record.

People can log in by an identity provider of the demo's own, which approves everybody. While it runs, ~/.config/sallyport/demo
has ` + "`sallyport psql shop`" + ` find it without --gateway; log-ins at it are deleted there when it ends.

With --tour it shows itself around: psql and an MCP client at work, what they see, what they are refused,
and the trace they leave. Status 1 means that something was not as told.`,
		Example: "  sallyport demo\n  sallyport demo --tour",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	cmd.Flags().BoolVar(&o.tour, "tour", false, "a guided tour, then exit")
	cmd.Flags().StringVar(&o.data, "data", "", "keep configuration and record in this folder")
	cmd.Flags().StringVar(&o.pgwire, "pgwire", "127.0.0.1:6543", "address for PostgreSQL clients (a free port if taken)")
	cmd.Flags().StringVar(&o.mcp, "mcp", "127.0.0.1:6544", "address for agents (a free port if taken)")
	cmd.Flags().StringVar(&o.web, "web", "127.0.0.1:6545", "address for reviewers (a free port if taken)")
	cmd.Flags().StringVar(&o.provider, "provider", "127.0.0.1:6546", "address of the demo's identity provider (a free port if taken)")
	return cmd
}

func (o *demoOptions) run(ctx context.Context) (err error) {
	d, err := demo.Prepare(ctx, demo.Options{Dir: o.data, PGWire: o.pgwire, MCP: o.mcp, Web: o.web, Provider: o.provider, Self: os.Args[0], Out: o.err})
	if err != nil {
		if ctx.Err() != nil {
			return nil // Ctrl-C while it was coming up
		}
		return err
	}
	defer d.Close()
	logFile, err := os.OpenFile(filepath.Join(d.Dir, "gateway.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer logFile.Close()

	g, err := openGate(ctx, d.Config, slog.New(slog.NewTextHandler(logFile, nil)))
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan error, 1)
	go func() { served <- g.serve(serving) }()
	defer func() {
		fmt.Fprintln(o.err, "· tidying up")
		stop()
		err = errors.Join(err, <-served)
	}()

	doors := demo.Doors{PGWire: g.pgAddr, MCP: g.mcpURL, Web: webURL(d.Config.File.Listen.Web), Provider: d.Issuer}
	if o.tour {
		err := d.Tour(ctx, o.out, doors, func(w io.Writer) error { return o.trace(w, d.Config.DataDir) })
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	found, withdraw := o.announce(doors.Web)
	defer withdraw()
	d.Banner(o.out, demo.Ways{Doors: doors, Gateway: found})
	fmt.Fprintln(o.out, "\nCtrl-C ends it and deletes the database.")
	select {
	case <-ctx.Done():
		return nil
	case err := <-served:
		served <- nil // for the deferred tidying
		return fmt.Errorf("the gateway stopped: %w; its log is in %s", err, logFile.Name())
	}
}

// announce has the commands of this user find the gateway by themselves. It gives the flag that they need where they do not.
func (o *demoOptions) announce(gateway string) (flag string, withdraw func()) {
	flag, withdraw = "--gateway "+gateway+" ", func() {}
	root, err := login.Root()
	if err != nil {
		return flag, withdraw
	}
	end, err := login.Announce(root, gateway)
	if err != nil {
		fmt.Fprintf(o.err, "· log-ins at this demo need %s(%v)\n", flag, err)
		return flag, withdraw
	}
	l := &loginOptions{app: &app{err: io.Discard, config: o.config}, gateway: os.Getenv("SALLYPORT_GATEWAY")}
	if found, err := l.meant(root); err == nil && found == gateway {
		flag = ""
	}
	return flag, func() {
		if err := end(); err != nil {
			fmt.Fprintf(o.err, "· what log-ins left is not deleted: %v\n", err)
		}
	}
}

// trace is `sallyport trace --data DIR`.
func (o *demoOptions) trace(w io.Writer, data string) error {
	t := &traceOptions{app: &app{in: o.in, out: w, err: o.err, config: o.config}, data: data, rows: 3, color: "never"}
	return t.run(context.Background(), time.Now())
}
