package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/access"
	"sallyport/internal/config"
	"sallyport/internal/identity"
)

func newPrincipal(a *app) *cobra.Command {
	return parent("principal", "Manage who may log in", `Principals live in the configuration file: people with a password, agents with a token. Only hashes are
kept. Commands that change something print what to paste; with --write they edit the file in place and
leave its comments and layout alone. A running gateway reads the change on SIGHUP.`,
		newPrincipalAdd(a), newPrincipalRemove(a), newPrincipalList(a), newPrincipalPasswd(a), newPrincipalHash(a))
}

type principalAddOptions struct {
	*app
	name, kind string
	groups     []string
	generate   bool
	token      bool
	glass      bool
	expires    string
	write      bool
}

func newPrincipalAdd(a *app) *cobra.Command {
	o := &principalAddOptions{app: a}
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a person (with a password) or an agent (with a token)",
		Example: `  sallyport principal add ada --group engineers --write
  sallyport principal add support-agent --kind agent --group agents --write
  printf '%s\n' "$PW" | sallyport principal add ada --group engineers
  sallyport principal add envelope --break-glass --expires 90d --group break-glass --generate --write`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { o.name = args[0]; return o.run() },
	}
	cmd.Flags().StringVar(&o.kind, "kind", "human", "human or agent")
	cmd.Flags().StringSliceVarP(&o.groups, "group", "g", nil, "group, for policies to speak of (repeatable)")
	cmd.Flags().BoolVar(&o.generate, "generate", false, "make a password and print it once")
	cmd.Flags().BoolVar(&o.token, "token", false, "make a token too (agents always get one)")
	cmd.Flags().BoolVar(&o.glass, "break-glass", false, "for who comes in when the identity providers do not answer: each log-in is told of (needs --expires)")
	cmd.Flags().StringVar(&o.expires, "expires", "", "how long its password and tokens are valid (90d) or until when (2027-01-31); default: for good")
	cmd.Flags().BoolVar(&o.write, "write", false, "edit the configuration file")
	return cmd
}

func (o *principalAddOptions) run() error {
	if o.glass && o.expires == "" {
		return usagef("--break-glass needs --expires: what lies in an envelope is to be replaced and tried now and then, e.g. --expires 90d")
	}
	expires, err := expiry(o.expires, time.Now())
	if err != nil {
		return err
	}
	if o.kind != string(access.Human) && o.kind != string(access.Agent) {
		return usagef("--kind is human or agent, not %q", o.kind)
	}
	var ed *config.Editor
	if o.write {
		var err error
		if ed, err = config.Edit(o.config); err != nil {
			return err
		}
		if ed.Has(o.name) { // before asking for a password
			return fmt.Errorf("%s is already in %s", o.name, o.config)
		}
	}
	p := config.Principal{Kind: o.kind, Groups: o.groups, Expires: expires, BreakGlass: o.glass}
	var password, token string
	if o.kind == string(access.Human) || o.generate {
		var err error
		if password, err = o.password(o.name, o.generate); err != nil {
			return err
		}
		p.Secret = identity.HashPassword(password)
	}
	if o.kind == string(access.Agent) || o.token {
		var hash string
		token, hash = identity.NewToken()
		p.Tokens = []config.Token{{SHA256: hash, Note: "made " + time.Now().UTC().Format(time.DateOnly)}}
	}
	if !o.write {
		if _, err := config.Edit(o.config); err != nil {
			fmt.Fprintf(o.err, "warning: %v\n", err)
		}
		fmt.Fprintf(o.err, "# paste into %s (or use --write):\n", o.config)
		fmt.Fprint(o.out, config.Snippet(o.name, p))
	} else {
		if err := ed.Add(o.name, p); err != nil {
			return err
		}
		if err := ed.Save(); err != nil {
			return err
		}
		fmt.Fprintf(o.err, "added %s to %s; a running gateway knows of it once it is sent SIGHUP\n", o.name, o.config)
	}
	o.once("password", password, o.generate)
	o.once("token", token, true)
	return nil
}

// password asks for one or makes one.
func (a *app) password(who string, generate bool) (string, error) {
	if generate {
		return newPassword(), nil
	}
	return a.readPassword(who)
}

// once shows a secret that is not kept anywhere.
func (a *app) once(what, secret string, show bool) {
	if show && secret != "" {
		fmt.Fprintf(a.err, "%s (shown once, not stored):\n", what)
		fmt.Fprintln(a.out, secret)
	}
}

func newPrincipalPasswd(a *app) *cobra.Command {
	var generate, write bool
	var expires string
	cmd := &cobra.Command{
		Use:     "passwd NAME",
		Short:   "Give a principal a new password",
		Example: "  sallyport principal passwd ada --write",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			ed, err := config.Edit(a.config)
			if err != nil {
				return err
			}
			name := args[0]
			ends, err := expiry(expires, time.Now())
			if err != nil {
				return err
			}
			if err := ed.SetSecret(name, "SCRAM-SHA-256$placeholder"); err != nil { // before asking
				return err
			}
			password, err := a.password(name, generate)
			if err != nil {
				return err
			}
			verifier := identity.HashPassword(password)
			if err := ed.SetSecret(name, verifier); err != nil {
				return err
			}
			if ends != "" {
				if err := ed.SetExpires(name, ends); err != nil {
					return err
				}
			}
			if write {
				if err := ed.Save(); err != nil {
					return err
				}
				fmt.Fprintf(a.err, "changed the password of %s in %s; a running gateway takes the one of before until it is sent SIGHUP\n", name, a.config)
			} else {
				fmt.Fprintf(a.err, "# replace the secret of %s in %s by this (or use --write):\n", name, a.config)
				fmt.Fprintln(a.out, "    secret: "+verifier)
				if ends != "" {
					fmt.Fprintln(a.out, "    expires: "+ends)
				}
			}
			a.once("password", password, generate)
			return nil
		},
	}
	cmd.Flags().BoolVar(&generate, "generate", false, "make a password and print it once")
	cmd.Flags().StringVar(&expires, "expires", "", "how long it is valid (90d) or until when (2027-01-31); default: as before")
	cmd.Flags().BoolVar(&write, "write", false, "edit the configuration file")
	return cmd
}

func newPrincipalRemove(a *app) *cobra.Command {
	var write bool
	cmd := &cobra.Command{
		Use:     "remove NAME",
		Short:   "Take a principal out, with its password and tokens",
		Example: "  sallyport principal remove ada --write",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			ed, err := config.Edit(a.config)
			if err != nil {
				return err
			}
			gone, err := ed.Remove(args[0])
			if err != nil {
				return err
			}
			return a.takeOut(ed, write, args[0], gone)
		},
	}
	cmd.Flags().BoolVar(&write, "write", false, "edit the configuration file")
	return cmd
}

// takeOut saves an edit that removed lines, or shows the lines to delete.
func (a *app) takeOut(ed *config.Editor, write bool, what string, gone []string) error {
	if !write {
		fmt.Fprintf(a.err, "# delete this from %s (or use --write):\n", a.config)
		fmt.Fprintln(a.out, strings.Join(gone, "\n"))
		return nil
	}
	if err := ed.Save(); err != nil {
		return err
	}
	fmt.Fprintf(a.err, "removed %s from %s; a running gateway lets it in until it is sent SIGHUP\n", what, a.config)
	return nil
}

func newPrincipalHash(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "hash",
		Short:   "Make a verifier of a password, for a principal's `secret`",
		Example: "  printf '%s\\n' \"$PW\" | sallyport principal hash > ada.secret",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			password, err := a.readPassword("the verifier")
			if err != nil {
				return err
			}
			fmt.Fprintln(a.out, identity.HashPassword(password))
			return nil
		},
	}
}

func newPrincipalList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List principals and how they may log in",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := a.loadOffline()
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tKIND\tGROUPS\tPASSWORD\tTOKENS\tEXPIRES\tBREAK GLASS")
			for _, p := range cfg.Principals {
				password := "no"
				if f := cfg.File.Principals[p.Name]; f.Secret+f.SecretEnv+f.SecretFile != "" || len(f.SecretCommand) > 0 {
					password = "yes"
				}
				glass := ""
				if p.BreakGlass {
					glass = "yes"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.Name, p.Kind, strings.Join(p.Groups, ","), password, tokenSummary(p.Tokens), until(p.Expires, time.Now()), glass)
			}
			return w.Flush()
		},
	}
}

func tokenSummary(tokens []access.LocalToken) string {
	var parts []string
	for _, t := range tokens {
		s := t.SHA256[:8]
		if t.Note != "" {
			s += " (" + t.Note + ")"
		}
		if when, err := time.Parse(time.RFC3339, t.Expires); err == nil {
			if time.Now().After(when) {
				s += " expired"
			} else {
				s += " until " + when.Format(time.DateOnly)
			}
		}
		parts = append(parts, s)
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}
