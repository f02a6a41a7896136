package main

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/config"
	"sallyport/internal/identity"
	"sallyport/sqlguard/policy"
)

func newToken(a *app) *cobra.Command {
	return parent("token", "Manage bearer tokens for agents", "", newTokenNew(a), newTokenList(a), newTokenRevoke(a))
}

type tokenNewOptions struct {
	*app
	name, expires, note string
	scopes              []string
	write               bool
}

func newTokenNew(a *app) *cobra.Command {
	o := &tokenNewOptions{app: a}
	cmd := &cobra.Command{
		Use:   "new PRINCIPAL",
		Short: "Make a token for a principal; it is shown once, only its hash is kept",
		Example: `  sallyport token new support-agent --expires 90d --note "ticket triage" --write
  sallyport token new support-agent --scope read --expires 30d --write
  TOKEN=$(sallyport token new support-agent --write)`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { o.name = args[0]; return o.run() },
	}
	cmd.Flags().StringVar(&o.expires, "expires", "", "how long it is valid (90d, 12h) or until when (2027-01-31); default: for good")
	cmd.Flags().StringSliceVar(&o.scopes, "scope", nil, "an action of the policies that it is good for, such as read; default: all that the principal may do")
	cmd.Flags().StringVar(&o.note, "note", "", "what it is for")
	cmd.Flags().BoolVar(&o.write, "write", false, "edit the configuration file")
	return cmd
}

func (o *tokenNewOptions) run() error {
	expires, err := expiry(o.expires, time.Now())
	if err != nil {
		return err
	}
	for _, s := range o.scopes {
		if _, err := policy.ParseAction(s); err != nil {
			return usagef("--scope %s: %v", s, err)
		}
	}
	ed, err := config.Edit(o.config)
	if err != nil {
		return err
	}
	token, hash := identity.NewToken()
	entry := config.Token{SHA256: hash, Expires: expires, Note: o.note, Scopes: o.scopes}
	if err := ed.AddToken(o.name, entry); err != nil {
		return err
	}
	if o.write {
		if err := ed.Save(); err != nil {
			return err
		}
		fmt.Fprintf(o.err, "added a token of %s to %s\n", o.name, o.config)
	} else {
		fmt.Fprintf(o.err, "# add this to the tokens of %s in %s (or use --write):\n", o.name, o.config)
		for _, line := range config.TokenSnippet(entry) {
			fmt.Fprintln(o.err, line)
		}
	}
	o.once("token", token, true)
	return nil
}

func newTokenList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list [PRINCIPAL]",
		Short: "List tokens by the beginning of their hash: whose, what for, until when",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			ed, err := config.Edit(a.config)
			if err != nil {
				return err
			}
			names := args
			if len(args) == 0 {
				names = ed.Names()
			}
			w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
			rows := 0
			for _, name := range names {
				tokens, err := ed.Tokens(name)
				if err != nil {
					return err
				}
				for _, t := range tokens {
					if rows++; rows == 1 {
						fmt.Fprintln(w, "PRINCIPAL\tHASH\tNOTE\tSCOPES\tEXPIRES")
					}
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", name, t.SHA256[:min(8, len(t.SHA256))], t.Note, cmp.Or(strings.Join(t.Scopes, ","), "all"), until(t.Expires, time.Now()))
				}
			}
			if rows == 0 {
				fmt.Fprintln(a.err, "no tokens")
			}
			return w.Flush()
		},
	}
}

// until words the end of a token's life.
func until(expires string, now time.Time) string {
	when, err := time.Parse(time.RFC3339, expires)
	switch {
	case expires == "":
		return "never"
	case err != nil:
		return "not a time: " + expires
	case now.After(when):
		return "expired " + when.Format(time.DateOnly)
	}
	return when.Format(time.DateOnly)
}

func newTokenRevoke(a *app) *cobra.Command {
	var write bool
	cmd := &cobra.Command{
		Use:     "revoke PRINCIPAL HASH",
		Short:   "Take a token out, by the beginning of its hash",
		Example: "  sallyport token list support-agent\n  sallyport token revoke support-agent 3f1c09ab --write",
		Args:    cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			ed, err := config.Edit(a.config)
			if err != nil {
				return err
			}
			gone, err := ed.RemoveToken(args[0], args[1])
			if err != nil {
				return err
			}
			return a.takeOut(ed, write, "a token of "+args[0], gone)
		},
	}
	cmd.Flags().BoolVar(&write, "write", false, "edit the configuration file")
	return cmd
}

// expiry turns 90d, 12h or 2027-01-31 into a time as the configuration has it.
func expiry(s string, now time.Time) (string, error) {
	if s == "" {
		return "", nil
	}
	if d, ok := age(s); ok && d > 0 {
		return now.Add(d).UTC().Truncate(time.Second).Format(time.RFC3339), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			if t.Before(now) {
				return "", usagef("--expires %s is in the past", s)
			}
			return t.UTC().Format(time.RFC3339), nil
		}
	}
	return "", usagef("--expires %s is neither a span (90d, 12h) nor a date (2027-01-31)", s)
}

// age reads a span of time; beyond Go's units it knows days (d) and weeks (w).
func age(s string) (time.Duration, bool) {
	for unit, span := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if n, err := strconv.Atoi(strings.TrimSuffix(s, unit)); err == nil && strings.HasSuffix(s, unit) {
			return time.Duration(n) * span, n >= 0
		}
	}
	d, err := time.ParseDuration(s)
	return d, err == nil && d >= 0
}
