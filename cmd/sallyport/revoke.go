package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/access"
	"sallyport/internal/desk"
)

func newRevoke(a *app) *cobra.Command {
	o := &sessionsOptions{app: a}
	var r access.Revocation
	var forGood, force bool
	cmd := &cobra.Command{
		Use:   "revoke",
		Short: "Withdraw what proves somebody, and end the sessions that rest on it",
		Long: `Revoke withdraws the proofs that have all that is given, over restarts too: certificates and secrets that the gateway issued,
tokens of providers, and static tokens. Unless --for-good is given, only those from before now, and what renews these by a refresh
token of "login --stay": who logs in anew, or is given a new token, comes in again. Passwords are proven anew each time, so to lock out a principal of the configuration, take
them out of it, or revoke for good.

A name means whoever has it: in whatever case it is written, and with it the accounts at providers that had it last, whatever they come to be
called. What somebody had asked for and is waiting or approved ends, and approvals that they gave and that have not been used count no longer.

A principal, actor, credential or issuer that the gateway does not know is refused: a slip would look like success. --force withdraws it
all the same. Whether somebody has a subject, a session or a token is not looked at: the gateway has not seen all that a provider gives.

"sallyport revoke list" shows what is withdrawn, and "sallyport revoke undo" takes a revocation back.

` + sessionsWhere,
		Example: `  sallyport revoke --principal ada --because "her laptop was stolen"
  sallyport revoke --actor triage-bot --for-good --because "it is no longer trusted"`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := revocable(&r); err != nil {
				return err
			}
			if !forGood && r.Credential == "" {
				r.Before = time.Now().UTC()
			}
			answer, err := o.give(desk.SessionOrder{Do: desk.RevokeProofs, Revoke: &r, Force: force})
			if err != nil {
				return err
			}
			if !forGood {
				fmt.Fprintf(o.err, "withdrawn; %s\n", plural(answer.Ended, "session ends", "sessions end"))
				return nil
			}
			fmt.Fprintf(o.err, "withdrawn for good; %s\ntake it back with: sallyport revoke undo%s --because ...\n", plural(answer.Ended, "session ends", "sessions end"), flagsOf(r))
			return nil
		},
	}
	o.flags(cmd)
	revocationFlags(cmd, &r)
	cmd.Flags().BoolVar(&force, "force", false, "also of a principal, actor, credential or issuer that the gateway does not know, who may come yet")
	cmd.Flags().BoolVar(&forGood, "for-good", false, "those to come as well, until it is taken back")
	cmd.AddCommand(newRevokeList(a), newRevokeUndo(a))
	return cmd
}

// revocationFlags are those that say what is withdrawn.
func revocationFlags(cmd *cobra.Command, r *access.Revocation) {
	f := cmd.Flags()
	f.StringVar(&r.Principal, "principal", "", "proofs of this principal")
	f.StringVar(&r.Actor, "actor", "", "proofs in whose chain this agent acts, and its own")
	f.StringVar(&r.Token, "token", "", "this token (its SHA-256 in hex), and what was issued for it")
	f.StringVar(&r.Credential, "credential", "", "what the gateway issued at one log-in: its id, which is the certificate's serial number in hex")
	f.StringVar(&r.Issuer, "issuer", "", "proofs by this provider (URL)")
	f.StringVar(&r.Subject, "subject", "", "... of this subject of it")
	f.StringVar(&r.Session, "session", "", "... of this session (sid) of it")
}

// flagsOf are the flags, to be typed, that name what r does.
func flagsOf(r access.Revocation) string {
	var b strings.Builder
	for _, f := range [][2]string{{"principal", r.Principal}, {"actor", r.Actor}, {"token", r.Token}, {"credential", r.Credential}, {"issuer", r.Issuer}, {"subject", r.Subject}, {"session", r.Session}} {
		if f[1] != "" {
			b.WriteString(" --" + f[0] + " '" + strings.ReplaceAll(printable(f[1]), "'", `'\''`) + "'")
		}
	}
	return b.String()
}

// revocable refuses what names nothing, or only half of it.
func revocable(r *access.Revocation) error {
	if flagsOf(*r) == "" {
		return usagef("name what to withdraw: --principal, --actor, --token, --credential, --issuer, --subject or --session")
	}
	if (r.Subject != "" || r.Session != "") && r.Issuer == "" {
		return usagef("--subject and --session are a provider's: name it with --issuer")
	}
	if err := hashForm("--token", r.Token); err != nil {
		return err
	}
	if b, err := hex.DecodeString(r.Credential); err != nil || r.Credential != "" && len(b) != 16 {
		return usagef("--credential takes the id of a credential, 32 hexadecimal digits: `sallyport sessions` and the record have it")
	}
	r.Token, r.Credential = strings.ToLower(r.Token), strings.ToLower(r.Credential)
	return nil
}

func newRevokeList(a *app) *cobra.Command {
	o := &sessionsOptions{app: a}
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the revocations in force",
		Long: `List shows what is withdrawn, what for good first: from before when, why, which accounts at providers it has come to withdraw by their name,
and the flags by which "sallyport revoke undo" finds it. Log-outs that providers tell of are among them, and what changed groups withdrew.

` + sessionsWhere,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			answer, err := o.give(desk.SessionOrder{Do: desk.ListRevocations})
			if err != nil {
				return err
			}
			if len(answer.Revocations) == 0 && !asJSON {
				fmt.Fprintln(o.err, "nothing is withdrawn")
				return nil
			}
			w := tabwriter.NewWriter(o.out, 0, 8, 2, ' ', 0)
			if !asJSON {
				fmt.Fprintln(w, "WITHDRAWN\tACCOUNTS\tOF\tBECAUSE")
			}
			for _, r := range answer.Revocations {
				if asJSON {
					b, err := json.Marshal(r)
					if err != nil {
						return err
					}
					fmt.Fprintln(o.out, string(b))
					continue
				}
				when := "for good"
				if r.Credential != "" {
					when = "it alone"
				} else if !r.Before.IsZero() {
					when = "before " + r.Before.Local().Format(time.DateTime)
				}
				fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", when, len(r.Accounts), strings.TrimSpace(flagsOf(r)), printable(r.Cause))
			}
			return w.Flush()
		},
	}
	cmd.Flags().StringVar(&o.data, "data", "", "data directory (default: the configuration's)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one revocation a line, with the accounts")
	return cmd
}

func newRevokeUndo(a *app) *cobra.Command {
	o := &sessionsOptions{app: a}
	var r access.Revocation
	cmd := &cobra.Command{
		Use:   "undo",
		Short: "Take a revocation back",
		Long: `Undo takes back the revocation that names just what is given, as "sallyport revoke list" shows it, whenever and for whatever cause it was made.
There is one of each such name: a log-out at the provider, changed groups and an order by hand that name the same are one, and all of it is
taken back. What it withdrew and has not ended by itself holds again: passwords, static tokens and tokens of providers. What the gateway had issued does not: who had it logs in anew. Sessions, requests and
approvals that it ended stay ended.

Where tokens may be in foreign hands, revoke again without --for-good: who logs in anew comes in, and what is older does not.

` + sessionsWhere,
		Example: `  sallyport revoke undo --principal ada --because "it was another ada"`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := revocable(&r); err != nil {
				return err
			}
			if _, err := o.give(desk.SessionOrder{Do: desk.RestoreProofs, Revoke: &r}); err != nil {
				return err
			}
			fmt.Fprintln(o.err, "taken back")
			return nil
		},
	}
	o.flags(cmd)
	revocationFlags(cmd, &r)
	return cmd
}
