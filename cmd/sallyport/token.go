package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/config"
	"sallyport/internal/identity"
)

func newToken(a *app) *cobra.Command {
	return parent("token", "Manage bearer tokens for agents", "", newTokenNew(a))
}

type tokenNewOptions struct {
	*app
	name, expires, note string
	write               bool
}

func newTokenNew(a *app) *cobra.Command {
	o := &tokenNewOptions{app: a}
	cmd := &cobra.Command{
		Use:   "new PRINCIPAL",
		Short: "Make a token for a principal; it is shown once, only its hash is kept",
		Example: `  sallyport token new support-agent --expires 90d --note "ticket triage" --write
  TOKEN=$(sallyport token new support-agent --write)`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { o.name = args[0]; return o.run() },
	}
	cmd.Flags().StringVar(&o.expires, "expires", "", "how long it is valid (90d, 12h) or until when (2027-01-31); default: for good")
	cmd.Flags().StringVar(&o.note, "note", "", "what it is for")
	cmd.Flags().BoolVar(&o.write, "write", false, "edit the configuration file")
	return cmd
}

func (o *tokenNewOptions) run() error {
	expires, err := expiry(o.expires, time.Now())
	if err != nil {
		return err
	}
	ed, err := config.Edit(o.config)
	if err != nil {
		return err
	}
	token, hash := identity.NewToken()
	entry := config.Token{SHA256: hash, Expires: expires, Note: o.note}
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
