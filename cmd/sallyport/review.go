package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"sallyport/audit"
	"sallyport/audit/export"
	"sallyport/internal/config"
	"sallyport/internal/login"
	"sallyport/internal/web"
)

// reviewOptions are those of all commands that speak to the web door.
type reviewOptions struct {
	*app
	url, user, ca string
	json          bool
}

func newReview(a *app) *cobra.Command {
	o := &reviewOptions{app: a}
	cmd := parent("review", "Decide about statements that wait for approval", `Review speaks to the web door of a running gateway (listen.web of the configuration, or --url) as a person: agents
have no business there. Who is logged in there (`+"`sallyport login`"+`) is that person, and approves by a log-in of now (`+"`sallyport login --fresh`"+`). Else
your password is asked for, or taken from SALLYPORT_PASSWORD. Each command proves anew who you are.

IDs may be shortened to what tells them apart.`,
		newReviewList(o), newReviewShow(o), newReviewPreview(o), newReviewApprove(o), newReviewDeny(o), newReviewCancel(o), newReviewChannels(a))
	f := cmd.PersistentFlags()
	f.StringVar(&o.url, "url", "", "address of the web door (default: that of the configuration, or of the last log-in)")
	f.StringVar(&o.user, "user", "", "who you are to the gateway (default: who is logged in there, else USER)")
	f.StringVar(&o.ca, "ca", "", "PEM file of the authorities to trust in the place of the system's")
	f.BoolVar(&o.json, "json", false, "JSON, as the door answers")
	return cmd
}

// client asks for what it needs to know.
func (o *reviewOptions) client() (*reviewClient, error) {
	base := o.url
	if base == "" {
		var err error
		if base, err = o.door(); err != nil {
			return nil, err
		}
	}
	user, password, ca := o.user, os.Getenv("SALLYPORT_PASSWORD"), o.ca
	if c := loggedIn(base); c != nil && password == "" && (user == "" || user == c.Principal) {
		user, password, ca = c.Principal, c.Secret, cmp.Or(ca, c.CAFile)
	}
	if user == "" {
		user = os.Getenv("USER")
	}
	if user == "" {
		return nil, usagef("say who you are with --user")
	}
	conf, err := export.TLS(ca, "", "")
	if err != nil {
		return nil, err
	}
	if _, err := newReviewClient(base, user, "", conf); err != nil { // before a password is typed
		return nil, err
	}
	if password == "" {
		if password, err = o.ownPassword(user); err != nil {
			return nil, err
		}
	}
	if password == "" {
		return nil, usagef("no password given: type it at a terminal, pipe it in, or set SALLYPORT_PASSWORD")
	}
	return newReviewClient(base, user, password, conf)
}

// door is the web door that nobody has named: that of the configuration, else of the last log-in or a demo.
func (o *reviewOptions) door() (string, error) {
	cfg, err := o.loadOffline()
	if err == nil {
		return reviewURL(cfg)
	}
	if !errors.Is(err, config.ErrNone) {
		return "", err
	}
	if root, wrong := login.Root(); wrong == nil {
		if base, wrong := (&loginOptions{app: o.app}).meant(root); wrong == nil {
			return base, nil
		}
	}
	return "", fmt.Errorf("%w\n  hint: --url https://HOST speaks to a web door without a configuration", err)
}

// loggedIn is the log-in at a gateway that holds; nil where there is none.
func loggedIn(gateway string) *login.Credential {
	root, err := login.Root()
	if err != nil {
		return nil
	}
	all, err := login.All(root)
	if err != nil {
		return nil
	}
	for _, p := range all {
		if p.Gateway != strings.TrimSuffix(gateway, "/") {
			continue
		}
		if c, err := p.Load(); err == nil && c != nil && c.Secret != "" && c.Holds(time.Now()) {
			return c
		}
	}
	return nil
}

// terminal is standard input where somebody can be asked.
func (a *app) terminal() (*os.File, bool) {
	f, ok := a.in.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// printJSON prints what the door answered.
func (o *reviewOptions) printJSON(text []byte) error {
	_, err := fmt.Fprintf(o.out, "%s\n", audit.CleanJSON([]byte(strings.TrimSpace(string(text)))))
	return err
}

func newReviewList(r *reviewOptions) *cobra.Command {
	var state string
	var most int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List requests that you may know of, the newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			list, text, err := c.list(cmd.Context(), state, most)
			if err != nil {
				return err
			}
			if r.json {
				return r.printJSON(text)
			}
			return r.table(list, time.Now())
		},
	}
	cmd.Flags().StringVar(&state, "state", "pending", "waiting (for you), mine, glass (broken, to be looked at), pending, approved, ended or all")
	cmd.Flags().IntVar(&most, "limit", 50, "how many at most")
	return cmd
}

// unseen reports whether a request is a broken glass that nobody has looked at.
func unseen(r *web.Review) bool { return r.Glass != nil && !r.Glass.Reviewed }

func (o *reviewOptions) table(list *web.ReviewList, now time.Time) error {
	if len(list.Reviews) == 0 {
		fmt.Fprintln(o.err, "none")
		return nil
	}
	w := tabwriter.NewWriter(o.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSTATE\tAGE\tWHO\tCONNECTION\tTAG\tTOUCHES\tNEEDS")
	for _, r := range list.Reviews {
		needs := strings.Join(r.Missing, ", ")
		if unseen(&r) { // it needs nobody's approval any more
			needs = "to be looked at"
		}
		if r.MayDecide {
			needs = strings.TrimSpace(needs + " (you)")
		}
		touches := r.Subject.Relations
		if len(touches) == 0 {
			touches = r.Subject.Columns
		}
		state := string(r.State)
		if r.Grant != nil && r.Grant.Mode == "form" {
			state += ", used " + used(&r)
		}
		cells := []string{r.ID[:min(len(r.ID), idShown)], state, howOld(now.Sub(r.Created)), asker(&r), r.Binding.Connection, cmp.Or(r.Subject.Tag, r.Subject.Kind), brief(touches), needs}
		for i := range cells {
			cells[i] = cmp.Or(audit.Clean(cells[i]), "-")
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if list.Next != "" {
		fmt.Fprintln(o.err, "there are more: --limit shows them")
	}
	return nil
}

// brief is a list for a cell.
func brief(list []string) string {
	if len(list) > 2 {
		return strings.Join(list[:2], ", ") + fmt.Sprintf(" and %d more", len(list)-2)
	}
	return strings.Join(list, ", ")
}

func asker(r *web.Review) string {
	who := r.Binding.Principal
	if len(r.Binding.Actors) > 0 {
		who += " through " + strings.Join(r.Binding.Actors, ", ")
	}
	return who
}

func howOld(d time.Duration) string {
	switch {
	case d < time.Minute:
		return strconv.Itoa(max(int(d.Seconds()), 0)) + "s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + "m"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + "h"
	}
	return strconv.Itoa(int(d.Hours()/24)) + "d"
}

// oneRequest wants the id of a request and nothing else.
func oneRequest(_ *cobra.Command, args []string) error {
	switch {
	case len(args) == 0 || args[0] == "":
		return usagef("name the request: its ID is missing; `sallyport review list` has those that wait")
	case len(args) > 1:
		return usagef("one request at a time: %q is an ID, and %q is too much", printable(args[0]), printable(args[1]))
	}
	return nil
}

// onOne makes a command about one request, which it is given as the door shows it.
func (o *reviewOptions) onOne(name, short string, do func(ctx context.Context, c *reviewClient, r *web.Review, text []byte) error) *cobra.Command {
	return &cobra.Command{
		Use:   name + " ID",
		Short: short,
		Args:  oneRequest,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.client()
			if err != nil {
				return err
			}
			r, text, err := c.find(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return do(cmd.Context(), c, r, text)
		},
	}
}

func newReviewShow(o *reviewOptions) *cobra.Command {
	return o.onOne("show", "Show all that a reviewer has to see of a request", func(_ context.Context, _ *reviewClient, r *web.Review, text []byte) error {
		if o.json {
			return o.printJSON(text)
		}
		printReview(o.out, r, time.Now())
		return nil
	})
}

func newReviewPreview(o *reviewOptions) *cobra.Command {
	return o.onOne("preview", "Show the plan of a statement that waits, and how many rows it would change", func(ctx context.Context, c *reviewClient, r *web.Review, _ []byte) error {
		p := new(web.Preview)
		text, err := c.get(ctx, http.MethodPost, "/reviews/"+r.ID+"/preview", struct{}{}, p)
		if err != nil {
			return err
		}
		if o.json {
			return o.printJSON(text)
		}
		printPreview(o.out, p)
		return nil
	})
}

func newReviewCancel(o *reviewOptions) *cobra.Command {
	cmd := o.onOne("cancel", "Withdraw a request of your own, or of an agent that acts for you", func(ctx context.Context, c *reviewClient, r *web.Review, _ []byte) error {
		return o.post(ctx, c, r.ID, "cancel", struct{}{})
	})
	cmd.Flags().Bool("yes", false, "taken as approve and deny take it; cancel asks nothing")
	return cmd
}

// post sends a word about a request and prints what has become of it.
func (o *reviewOptions) post(ctx context.Context, c *reviewClient, id, what string, in any) error {
	after, text, err := c.one(ctx, http.MethodPost, "/reviews/"+id+"/"+what, in)
	if err != nil {
		return err
	}
	if o.json {
		return o.printJSON(text)
	}
	line := "request " + audit.Clean(after.ID) + " is " + audit.Clean(string(after.State))
	switch {
	case after.Glass != nil && after.Glass.Reviewed:
		line = "you have looked at the broken glass of request " + audit.Clean(after.ID) + ", which is " + audit.Clean(string(after.State))
	case len(after.Missing) > 0:
		line += ", and waits for " + audit.Clean(strings.Join(after.Missing, ", "))
	}
	fmt.Fprintln(o.out, line)
	return nil
}

// confirm asks for a yes. Only a terminal is asked.
func (a *app) confirm(f *os.File, question string) (bool, error) {
	fmt.Fprint(a.err, question+" (yes/no) ")
	line, err := bufio.NewReader(f).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	answer := strings.TrimSpace(strings.ToLower(line))
	return answer == "yes" || answer == "y", nil
}

func newReviewChannels(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "channels",
		Short: "Tell how the channels do that tell people of requests",
		Long: `Channels reads what the channels of the gateway on this machine (` + "`notify`" + ` of the configuration) have left beside its record: how
far they have come, how many records of the log they are behind, and their last error. It ends with status 1 when one does not get on.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.channels(asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "JSON")
	return cmd
}

func (a *app) channels(asJSON bool) error {
	cfg, err := a.loadOffline()
	if err != nil {
		return err
	}
	all, err := export.ReadStatus(filepath.Join(cfg.DataDir, "log"), channelDir(cfg.DataDir))
	if err != nil {
		return err
	}
	if asJSON {
		text, err := json.Marshal(all)
		if err != nil {
			return err
		}
		fmt.Fprintf(a.out, "%s\n", audit.CleanJSON(text))
	} else if len(all) == 0 {
		fmt.Fprintln(a.err, "none: notify in the configuration names no channel")
	} else {
		w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "CHANNEL\tTO\tSTATE\tBEHIND\tLAST ERROR")
		for _, s := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", printable(s.Name), printable(s.To), s.State, s.Lag, cmp.Or(printable(s.Error), "-"))
		}
		w.Flush()
	}
	for _, s := range all {
		if s.State != export.Running {
			return errReported
		}
	}
	return nil
}
