package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/config"
	"sallyport/internal/login"
)

// loginOptions are those of all commands that come in at a gateway as a person whom a provider knows.
type loginOptions struct {
	*app
	gateway, provider, ca string
	device, stay          bool
}

// bindGateway binds the flag that says which gateway is meant.
func (o *loginOptions) bindGateway(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.gateway, "gateway", os.Getenv("SALLYPORT_GATEWAY"), "URL of the gateway's web door (or SALLYPORT_GATEWAY; default: that of the last log-in, of the configuration, or of your demo)")
}

func (o *loginOptions) bind(cmd *cobra.Command) {
	o.bindGateway(cmd)
	f := cmd.Flags()
	f.StringVar(&o.provider, "provider", "", "identity provider, where the gateway has several")
	f.BoolVar(&o.device, "device", false, "log in with a code to be typed in elsewhere, even where there is a browser")
	f.BoolVar(&o.stay, "stay", false, "ask the provider for a refresh token, keep it, and renew by it without asking you")
	f.StringVar(&o.ca, "ca-file", "", "PEM file of authorities to trust beside the system's, for gateway and provider")
}

// profile finds the gateway that is meant, and its folder.
func (o *loginOptions) profile() (*login.Profile, error) {
	root, err := login.Root()
	if err != nil {
		return nil, err
	}
	gateway, err := o.meant(root)
	if err != nil {
		return nil, err
	}
	return login.Open(root, gateway)
}

// meant is the URL of the gateway: as it was said, else that of the last log-in, of the configuration, or of a demo that runs.
func (o *loginOptions) meant(root string) (string, error) {
	if o.gateway != "" {
		return o.gateway, nil
	}
	if last, err := login.Current(root); last != "" || err != nil {
		return last, err
	}
	cfg, err := o.loadOffline()
	switch {
	case err == nil:
		return reviewURL(cfg)
	case !errors.Is(err, config.ErrNone):
		return "", err
	}
	running, err := login.Announced(root)
	if running == "" && err == nil {
		err = usagef("say which gateway with --gateway https://HOST, or SALLYPORT_GATEWAY: it is the URL of its web door")
	}
	return running, err
}

// ensure gives what holds, logging in where nothing does. What a person has to do is printed to standard error.
func (o *loginOptions) ensure(ctx context.Context, p *login.Profile, fresh bool) (*login.Credential, error) {
	ca := o.ca
	if ca != "" {
		var err error
		if ca, err = filepath.Abs(ca); err != nil {
			return nil, err
		}
	}
	return login.Ensure(ctx, p, login.Options{Provider: o.provider, Device: o.device, Fresh: fresh, Stay: o.stay, CAFile: ca, Out: o.err})
}

// enter is ensure for what goes on to do something else: it says as whom, where somebody had to log in.
func (o *loginOptions) enter(ctx context.Context, p *login.Profile) (*login.Credential, error) {
	began := time.Now()
	c, err := o.ensure(ctx, p, false)
	if err == nil && !c.Issued.Before(began) {
		fmt.Fprintf(o.err, "logged in as %s until %s, by %s\n", printable(c.Principal), c.Expires.Local().Format("15:04:05 MST"), printable(c.Provider))
	}
	return c, err
}

func newLogin(a *app) *cobra.Command {
	o := &loginOptions{app: a}
	var fresh bool
	cmd := &cobra.Command{
		Use:   "login",
		Short: "Log in at a gateway by its identity provider",
		Long: `Login opens your browser at the identity provider of a gateway, or, where there is none, shows a code to type in
elsewhere, and gets what lets you in at the gateway for a while: a certificate, and a secret for tools that know no
certificates. They are kept in ~/.config/sallyport, for you alone; ` + "`sallyport psql` and `sallyport connect`" + ` use them.
Where one is there that holds, as the gateway says, nothing is done.`,
		Example: "  sallyport login --gateway https://sallyport.example.com\n  sallyport login --device",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := o.profile()
			if err != nil {
				return err
			}
			c, err := o.ensure(cmd.Context(), p, fresh)
			if err != nil {
				return err
			}
			describeLogin(o.out, p, c)
			return nil
		},
	}
	o.bind(cmd)
	cmd.Flags().BoolVar(&fresh, "fresh", false, "even where a log-in is there that holds; it is withdrawn")
	return cmd
}

// describeLogin says who somebody is at a gateway, and until when.
func describeLogin(w io.Writer, p *login.Profile, c *login.Credential) {
	fmt.Fprintf(w, "%s at %s until %s, by %s\n", printable(c.Principal), c.Gateway, c.Expires.Local().Format("2006-01-02 15:04:05 MST"), printable(c.Provider))
	list := func(name string, values []string) {
		if len(values) > 0 {
			fmt.Fprintf(w, "%-12s %s\n", name, printable(strings.Join(values, ", ")))
		}
	}
	list("groups", c.Groups)
	list("connections", c.Connections)
	if c.PGWire.Address != "" {
		list("pgwire", []string{c.PGWire.Address})
	}
	list("kept in", []string{p.Dir})
}

func newLogout(a *app) *cobra.Command {
	o := &loginOptions{app: a}
	var all bool
	cmd := &cobra.Command{
		Use:   "logout",
		Short: "Withdraw what a log-in gave, and delete it here",
		Long: `Logout tells the gateway to withdraw your certificate and secret, and those that were renewed on this machine before
them, which ends the sessions that rest on them, and deletes them here. Status 1 means that the gateway could not be told: they are deleted here, but hold there until they end.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var profiles []*login.Profile
			if all {
				root, err := login.Root()
				if err != nil {
					return err
				}
				if profiles, err = login.All(root); err != nil {
					return err
				}
			} else {
				p, err := o.profile()
				if err != nil {
					return err
				}
				profiles = append(profiles, p)
			}
			var failed []error
			for _, p := range profiles {
				was, err := login.Logout(cmd.Context(), p, time.Now)
				if err != nil {
					failed = append(failed, err)
					continue
				}
				if was != nil {
					fmt.Fprintf(o.out, "%s is logged out at %s\n", printable(was.Principal), p.Gateway)
				} else {
					fmt.Fprintf(o.err, "nobody is logged in at %s\n", p.Gateway)
				}
			}
			if all && len(profiles) == 0 {
				fmt.Fprintln(o.err, "nobody is logged in anywhere")
			}
			for _, err := range failed[:max(0, len(failed)-1)] {
				fmt.Fprintln(o.err, "sallyport: "+describe(err))
			}
			if len(failed) > 0 {
				return failed[len(failed)-1]
			}
			return nil
		},
	}
	o.bindGateway(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "at every gateway")
	return cmd
}
