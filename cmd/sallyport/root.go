package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"sallyport/internal/access"
	"sallyport/internal/config"
	"sallyport/sqlguard/policy"
)

// A command is an options struct, a new… function that binds its flags and a run method that does the
// work; run gets all it needs and can be tested without flags. Rules for all of them:
//
//   - results go to standard output, everything else to standard error;
//   - an error is one clear line with a hint, and leads to one of the exit codes below;
//   - nothing asks questions unless standard input is a terminal.
const (
	exitOK       = 0
	exitFailed   = 1 // it was tried and did not work, was refused, or a check found problems
	exitUsage    = 2 // wrong flags or arguments: nothing was tried
	exitConfig   = 3 // the configuration, a policy or a file of expectations is not sound
	exitInternal = 70
)

// app is what every command has.
type app struct {
	in       io.Reader
	out, err io.Writer
	config   string // path of the configuration file
}

// errUsage marks errors about how a command was called.
type errUsage struct{ error }

func usagef(format string, args ...any) error { return errUsage{fmt.Errorf(format, args...)} }

// errReported says that the command has told its user already what is wrong.
var errReported = errors.New("reported")

// run is the whole program: it parses args, runs one command and gives the exit code.
func run(args []string, in io.Reader, out, errw io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second Ctrl-C ends the program at once, whatever it is still tidying up.
	go func() { <-ctx.Done(); stop() }()

	a := &app{in: in, out: out, err: errw}
	root := newRoot(a)
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errw)
	cmd, err := root.ExecuteContextC(ctx)
	return a.exit(cmd, err)
}

func newRoot(a *app) *cobra.Command {
	cobra.EnableCommandSorting = false // within a group, in the order of use
	cmd := &cobra.Command{
		Use:   "sallyport",
		Short: "A gate between production data and whoever asks",
		Long: `Sallyport stands between people or AI agents and a PostgreSQL database. It decides on each statement
before it runs, lets those who may not see personal data read a masked database, and keeps a durable
record of what was asked, why, and what was answered.

Try it:          sallyport demo
Set one up:      sallyport init && sallyport check && sallyport serve
Come in at one:  sallyport psql --gateway https://HOST CONNECTION
What is in it:   sallyport classify
Look at traffic: sallyport trace --since 1h
Find something:  sallyport search customers --decision deny

Exit status: 0 done; 1 it did not work, was refused, or a check found something; 2 wrong flags or arguments, nothing
was tried; 3 the configuration, a policy or a file of expectations is not sound; 70 a fault of sallyport's own.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	def := config.DefaultName
	if v := os.Getenv("SALLYPORT_CONFIG"); v != "" {
		def = v
	}
	cmd.PersistentFlags().StringVarP(&a.config, "config", "c", def, "configuration file (or SALLYPORT_CONFIG)")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return errUsage{err} })
	cmd.CompletionOptions.HiddenDefaultCmd = true
	for _, g := range []struct {
		id, title string
		commands  []*cobra.Command
	}{
		{"gate", "Set up and run a gateway:", []*cobra.Command{newDemo(a), newInit(a), newClassify(a), newCheck(a), newServe(a), newMCP(a)}},
		{"person", "Come in at one, by its identity provider:", []*cobra.Command{newLogin(a), newPsql(a), newConnect(a), newWhoami(a), newLogout(a)}},
		{"may", "Say who may do what, and decide:", []*cobra.Command{newPrincipal(a), newToken(a), newPolicy(a), newReview(a), newSessions(a), newRevoke(a)}},
		{"record", "Look at what was done, prove it, have it go or stay:", []*cobra.Command{newTrace(a), newSearch(a), newReplay(a), newReport(a), newEvidence(a), newVerify(a), newAudit(a), newWitness(a), newErase(a), newHold(a)}},
	} {
		cmd.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, c := range g.commands {
			c.GroupID = g.id
			cmd.AddCommand(c)
		}
	}
	cmd.AddCommand(newVersion(a))
	usageErrors(cmd)
	return cmd
}

// usageErrors makes wrong arguments of every command count as wrong usage.
func usageErrors(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return errUsage{err}
			}
			return nil
		}
	}
	for _, c := range cmd.Commands() {
		usageErrors(c)
	}
}

// exit reports the error of a command and chooses the exit code.
func (a *app) exit(cmd *cobra.Command, err error) int {
	if err == nil {
		return exitOK
	}
	if errors.Is(err, errReported) {
		return exitFailed
	}
	var problems config.Problems
	if errors.As(err, &problems) {
		fmt.Fprintln(a.err, problems.Error())
		return exitConfig
	}
	var policies *policy.LoadError
	if errors.As(err, &policies) {
		fmt.Fprintln(a.err, policies.Error())
		return exitConfig
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(a.err, "sallyport: interrupted before it was done")
		return exitFailed
	}
	fmt.Fprintln(a.err, "sallyport: "+describe(err))
	var usage errUsage
	var refused *access.Error
	switch {
	case errors.As(err, &usage), strings.HasPrefix(err.Error(), "unknown command"):
		hint := "`sallyport help` lists the commands, `sallyport COMMAND --help` their flags"
		if cmd.HasParent() {
			hint = "`" + cmd.CommandPath() + " --help` says what it takes"
		}
		fmt.Fprintln(a.err, "  hint: "+hint)
		return exitUsage
	case errors.As(err, &refused) && refused.Kind == access.Internal:
		return exitInternal
	}
	return exitFailed
}

// describe gives an error's line, with the cause that only the operator may see, and its hint.
func describe(err error) string {
	var e *access.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	text := err.Error()
	hint := e.Hint
	if e.Err != nil && (e.Code == "08001" || e.Code == "08004") && strings.Contains(hint, "operator") { // who is asking: the others say what to do
		hint = "see that the database runs, and that host, port, user, password and database of the connection's DSN are right"
	}
	if hint != "" {
		text += "\n  hint: " + hint
	}
	return text
}

// load reads the configuration and passes its warnings on.
func (a *app) load() (*config.Config, error) {
	return a.warned(config.Load(a.config))
}

// loadOffline is load for what needs no secrets of the configuration: their environment need not be there.
func (a *app) loadOffline() (*config.Config, error) {
	return a.warned(config.LoadOffline(a.config))
}

func (a *app) warned(cfg *config.Config, err error) (*config.Config, error) {
	if err != nil {
		return nil, err
	}
	for _, w := range cfg.Warnings {
		fmt.Fprintln(a.err, "warning: "+w.String())
	}
	return cfg, nil
}

// parent makes a command that only groups others.
func parent(use, short, long string, children ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Long: long, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(children...)
	return cmd
}
