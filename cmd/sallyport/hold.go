package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sallyport/audit"
	"sallyport/audit/office"
	"sallyport/internal/access"
)

func newHold(a *app) *cobra.Command {
	return parent("hold", "Keep records from being erased", `A hold keeps the records that it picks, those there are and those to come, from being erased: by "sallyport erase"
and by retention, until it is released. Who began and ended it, and why, is in the record.

`+credentials, newHoldAdd(a), newHoldList(a), newHoldRelease(a))
}

func newHoldAdd(a *app) *cobra.Command {
	o := &officerOptions{app: a}
	cmd := &cobra.Command{
		Use:     "add",
		Short:   "Begin a hold on the records of a person, a session, a task or a time",
		Example: `  sallyport hold add --person jane@example.com --by counsel --why "case 4/2027"`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			answer, err := o.give(office.Order{Kind: office.Hold})
			if err == nil {
				fmt.Fprintln(o.out, answer.Hold.ID)
			}
			return err
		},
	}
	o.flags(cmd, true)
	return cmd
}

func newHoldRelease(a *app) *cobra.Command {
	o := &officerOptions{app: a}
	cmd := &cobra.Command{
		Use:     "release HOLD",
		Short:   "End a hold; what it kept is erased when its time comes, or somebody says so",
		Example: `  sallyport hold release h_1660c865fc0fdaf8 --by counsel --why "case 4/2027 is settled"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			answer, err := o.give(office.Order{Kind: office.Lift, ID: args[0]})
			if err == nil {
				fmt.Fprintf(o.err, "released %s\n", answer.Hold.ID)
			}
			return err
		},
	}
	o.flags(cmd, false)
	return cmd
}

func newHoldList(a *app) *cobra.Command {
	var data string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the holds in force",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			dir, err := a.recordDir(data)
			if err != nil {
				return err
			}
			holds, err := audit.Holds(dir)
			if err != nil {
				return err
			}
			if asJSON {
				for _, h := range holds {
					b, err := json.Marshal(h)
					if err != nil {
						return err
					}
					fmt.Fprintln(a.out, string(b))
				}
				return nil
			}
			if len(holds) == 0 {
				fmt.Fprintln(a.err, "no holds")
				return nil
			}
			w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
			fmt.Fprintln(w, "HOLD\tSINCE\tBY\tOF\tWHY")
			for _, h := range holds {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", h.ID, h.Since.Format(time.DateOnly), printable(h.By), scopeText(h.Scope), printable(h.Why))
			}
			return w.Flush()
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "data directory (default: the configuration's)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one hold a line")
	return cmd
}

// scopeText says in a line what a scope picks.
func scopeText(s access.Scope) string {
	text := ""
	for _, part := range []struct{ name, value string }{{"person", s.Person}, {"session", s.Session}, {"task", s.Task}} {
		if part.value != "" {
			text += ", " + part.name + " " + printable(part.value)
		}
	}
	if !s.Before.IsZero() {
		text += ", before " + s.Before.UTC().Format(time.RFC3339)
	}
	if text == "" {
		return "(erased)"
	}
	return text[2:]
}
