package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os/user"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/access"
	"sallyport/internal/desk"
	"sallyport/internal/gateway"
)

// deskSessions has the core carry out what the desk is told.
type deskSessions struct{ core *gateway.Gateway }

func (d deskSessions) List() ([]desk.Session, []access.Revocation) {
	var out []desk.Session
	for _, s := range d.core.LiveSessions() {
		state := "idle"
		switch {
		case s.Waiting:
			state = "waits"
		case s.Running:
			state = "runs"
		}
		out = append(out, desk.Session{ID: s.ID, Principal: s.Principal, Actor: s.Actor, Behind: s.Behind, Groups: s.Groups, Door: s.Door, Connection: s.Connection, Client: s.Client,
			Since: s.Since, Idle: s.Idle, State: state, Proof: s.Proof})
	}
	return out, d.core.Revocations()
}

// owner is who gives an order at the socket. The words show that nobody asked them to prove who they are.
func owner(o desk.SessionOrder) access.Principal {
	return access.Principal{Name: o.By + " at the gateway's machine", Kind: access.Human}
}

func (d deskSessions) End(ctx context.Context, o desk.SessionOrder) int {
	return d.core.EndSessions(ctx, owner(o), gateway.SessionPick{ID: o.ID, Principal: o.Principal, Token: o.Token}, o.Because)
}

func (d deskSessions) Revoke(ctx context.Context, o desk.SessionOrder) (int, error) {
	r := *o.Revoke
	r.Cause = o.Because
	if o.Do == desk.RestoreProofs {
		return 0, d.core.Restore(owner(o), r)
	}
	if what := d.core.Unknown(r); what != "" && !o.Force {
		return 0, &access.Error{Kind: access.Invalid, Code: "22023", Message: "nothing was withdrawn: nobody is known by " + printable(what) + ", neither in the configuration nor by a log-in, a credential or a session",
			Hint: "is it written as it should be? --force withdraws it all the same"}
	}
	return d.core.Revoke(ctx, owner(o), r)
}

func (d deskSessions) Look(p access.Principal) desk.Standing {
	cause, withdrawn, known := d.core.Withdrawn(p)
	return desk.Standing{Holds: known && !withdrawn, Unread: !known, Because: cause}
}

// sessionsOptions are what commands need that speak to the gateway about its sessions.
type sessionsOptions struct {
	*app
	data, by, because string
}

func (o *sessionsOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.data, "data", "", "data directory (default: the configuration's)")
	f.StringVar(&o.by, "by", "", "who ends it; it stays in the record (default: the user of this machine)")
	f.StringVar(&o.because, "because", "", "why; it stays in the record, and clients are told")
}

// give has the gateway that runs on the data directory carry out an order.
func (o *sessionsOptions) give(in desk.SessionOrder) (*desk.SessionAnswer, error) {
	dir, err := o.recordDir(o.data)
	if err != nil {
		return nil, err
	}
	if in.Do != desk.ListSessions && in.Do != desk.ListRevocations {
		if in.By, in.Because = o.by, strings.TrimSpace(o.because); in.Because == "" {
			return nil, usagef("--because is needed: why it ends goes into the record")
		}
		if in.By == "" {
			u, err := user.Current()
			if err != nil {
				return nil, usagef("--by is needed: who ends it goes into the record")
			}
			in.By = u.Username
		}
	}
	a, err := desk.AskSessions(dir, in)
	if errors.Is(err, desk.ErrNobody) {
		return nil, &access.Error{Kind: access.Unavailable, Message: "no gateway runs on " + dir, Hint: "there are no sessions then; start it to withdraw what may come back"}
	}
	return a, err
}

const sessionsWhere = `The order goes through the gateway that runs on the data directory, over a socket that only the owner of
that directory can open. No log-in is asked for: it works where no provider does.`

func newSessions(a *app) *cobra.Command {
	o := &sessionsOptions{app: a}
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "List the sessions that have not ended, and end them",
		Long: `Sessions lists who is connected to what through which door, since when, for how long idle, when the proof of who
they are ends, and what that is.

` + sessionsWhere,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			answer, err := o.give(desk.SessionOrder{Do: desk.ListSessions})
			if err != nil {
				return err
			}
			return o.show(answer.Sessions, asJSON)
		},
	}
	cmd.Flags().StringVar(&o.data, "data", "", "data directory (default: the configuration's)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one session a line")
	cmd.AddCommand(newSessionsEnd(a))
	return cmd
}

func newSessionsEnd(a *app) *cobra.Command {
	o := &sessionsOptions{app: a}
	var principal, token string
	cmd := &cobra.Command{
		Use:   "end [SESSION...]",
		Short: "End sessions: what runs is cancelled, and open transactions are rolled back",
		Long: `End ends sessions within a second, whatever they do. Of an id its beginning is enough, where it is of one session alone. Who has a proof that holds can connect again: "sallyport revoke"
withdraws that.

` + sessionsWhere,
		Example: `  sallyport sessions end s_3f1c09ab5d2e8c7714a0b9e2 --because "runs since yesterday"
  sallyport sessions end --principal ada --because "her laptop was stolen"`,
		RunE: func(_ *cobra.Command, ids []string) error {
			if len(ids) > 0 == (principal != "" || token != "") {
				return usagef("name sessions, or --principal or --token")
			}
			if err := hashForm("--token", token); err != nil {
				return err
			}
			order := desk.SessionOrder{Do: desk.EndSessions, Principal: principal, Token: strings.ToLower(token)}
			if len(ids) == 0 {
				ids = []string{""}
			}
			n := 0
			for _, begin := range ids {
				id, err := o.whole(begin)
				if err != nil {
					return err
				}
				order.ID = id
				answer, err := o.give(order)
				if err != nil {
					return err
				}
				if n += answer.Ended; answer.Ended == 0 && id != "" {
					fmt.Fprintf(o.err, "there is no session %s: it may have ended already\n", printable(id))
				}
			}
			fmt.Fprintf(o.err, "ended %s\n", plural(n, "session", "sessions"))
			if n == 0 {
				return errReported
			}
			return nil
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&principal, "principal", "", "all sessions of this principal")
	cmd.Flags().StringVar(&token, "token", "", "all sessions that rest on this token (its SHA-256 in hex)")
	return cmd
}

// shortest is how much of an id has to be given, so that a slip ends nothing.
const shortest = len("s_3f1c")

// whole gives the id of the live session that begins as was said. One that is whole stands for itself, and so does one that nothing begins with: it may
// have ended already.
func (o *sessionsOptions) whole(begin string) (string, error) {
	if begin == "" {
		return "", nil
	}
	answer, err := o.give(desk.SessionOrder{Do: desk.ListSessions})
	if err != nil {
		return "", err
	}
	found := map[string]bool{}
	for _, s := range answer.Sessions {
		if strings.HasPrefix(s.ID, begin) {
			found[s.ID] = true
		}
	}
	switch {
	case len(found) == 0 || found[begin]:
		return begin, nil
	case len(begin) < shortest:
		return "", usagef("%s is too little of an id: give %d characters, or all", printable(begin), shortest)
	}
	return only("session", begin, found)
}

// hashForm refuses what cannot be a SHA-256: a token itself must not come to be on a command line.
func hashForm(flag, s string) error {
	if s == "" {
		return nil
	}
	if b, err := hex.DecodeString(s); err != nil || len(b) != 32 {
		return usagef("%s takes the SHA-256 of a token, 64 hexadecimal digits, never the token", flag)
	}
	return nil
}

func (o *sessionsOptions) show(list []desk.Session, asJSON bool) error {
	if asJSON {
		for _, s := range list {
			b, err := json.Marshal(s)
			if err != nil {
				return err
			}
			fmt.Fprintln(o.out, string(b))
		}
		return nil
	}
	if len(list) == 0 {
		fmt.Fprintln(o.err, "nobody is connected")
		return nil
	}
	w := tabwriter.NewWriter(o.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "SESSION\tWHO\tDOOR\tCONNECTION\tCLIENT\tSINCE\tSTATE\tEXPIRES\tPROOF")
	now := time.Now()
	for _, s := range list {
		who := printable(s.Principal)
		for _, a := range append([]string{s.Actor}, s.Behind...) {
			if a != "" {
				who += " by " + printable(a)
			}
		}
		state := s.State
		if state == "idle" {
			state += " " + s.Idle.Round(time.Second).String()
		}
		expires := "never"
		if !s.Proof.Expires.IsZero() {
			expires = "in " + s.Proof.Expires.Sub(now).Round(time.Second).String()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", printable(s.ID), who, s.Door, printable(s.Connection), printable(cmp.Or(s.Client, "-")),
			s.Since.Format(time.DateTime), state, expires, proofText(s.Proof))
	}
	return w.Flush()
}

// proofText says in short what somebody was proven by.
func proofText(p access.Proof) string {
	text := cmp.Or(string(p.Method), "none")
	if p.Issuer != "" {
		text += " of " + printable(p.Issuer)
	}
	switch {
	case p.Credential != "":
		text += " " + printable(p.Credential)
	case p.Token != "":
		text += " " + printable(p.Token[:min(12, len(p.Token))])
	}
	return text
}
