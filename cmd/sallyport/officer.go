package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/audit"
	"sallyport/audit/office"
	"sallyport/internal/access"
	"sallyport/internal/config"
	"sallyport/internal/desk"
	"sallyport/internal/identity"
)

// officerOptions are what commands need that give orders about the record.
type officerOptions struct {
	*app
	data, by, why string
	scope         access.Scope
	before        string
}

func (o *officerOptions) flags(cmd *cobra.Command, scope bool) {
	f := cmd.Flags()
	f.StringVar(&o.data, "data", "", "data directory (default: the configuration's)")
	f.StringVar(&o.by, "by", "", "who gives the order: a principal, where the configuration names audit.erasure.groups")
	f.StringVar(&o.why, "why", "", "why; it stays in the record, so it must not name the person")
	if scope {
		f.StringVar(&o.scope.Person, "person", "", "records that hold this identifier of somebody")
		f.StringVar(&o.scope.Session, "session", "", "records of this session (the whole id)")
		f.StringVar(&o.scope.Task, "task", "", "records of this task (the whole id)")
		f.StringVar(&o.before, "before", "", "records before: a span (365d) or a time (2026-01-01)")
	}
}

// credentials is how people show who they are, for the help of commands.
const credentials = `Where the configuration names audit.erasure.groups, an order is given by one of their people: with --by and the
password, which is asked for, or is the first line of standard input; or with the token in SALLYPORT_TOKEN. While a
gateway runs on the data directory, it carries the order out.`

// give has an order carried out: by the gateway that has the record, or here.
func (o *officerOptions) give(in office.Order) (*office.Answer, error) {
	dir, err := o.recordDir(o.data)
	if err != nil {
		return nil, err
	}
	in.Scope, in.By, in.Why = o.scope, o.by, o.why
	if in.Scope.Before, err = moment("--before", o.before, time.Now()); err != nil {
		return nil, err
	}
	var rules office.Rules
	people, err := identity.New(nil)
	if err != nil {
		return nil, err
	}
	switch cfg, err := config.LoadOffline(o.config); {
	case err == nil:
		rules = officeRules(cfg)
		if people, err = identity.New(cfg.Principals); err != nil {
			return nil, err
		}
	case o.data == "":
		return nil, err
	default:
		fmt.Fprintf(o.err, "no rules of a configuration: %v\n", err)
	}
	if len(rules.Groups) > 0 && !in.Dry && in.Kind != office.Due {
		if in.Token = os.Getenv("SALLYPORT_TOKEN"); in.Token == "" {
			if in.By == "" {
				return nil, usagef("--by is needed: who gives the order goes into the record")
			}
			if in.Password, err = o.ownPassword(in.By); err != nil {
				return nil, err
			}
		}
	}
	a, err := desk.Ask(dir, in)
	if !errors.Is(err, desk.ErrNobody) {
		return a, err
	}
	log, err := audit.Open(dir, audit.Options{})
	if err != nil {
		return nil, err
	}
	a, err = office.New(log, rules, func(c access.Credentials) (access.Principal, error) { return people.Verify(context.Background(), c) }).Do(in)
	if closed := log.Close(); err == nil {
		err = closed
	}
	return a, err
}

// ownPassword asks somebody for the password that they have.
func (a *app) ownPassword(who string) (string, error) {
	if f, ok := a.terminal(); ok {
		return a.prompt(f, "Password of "+printable(who)+": ")
	}
	line, err := bufio.NewReader(a.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password from standard input: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}

func officeRules(cfg *config.Config) office.Rules {
	a := cfg.File.Audit
	return office.Rules{Groups: a.Erasure.Groups, DualControl: a.Erasure.DualControl,
		Retention: audit.Retention{Content: time.Duration(a.Retention.Content), Trace: time.Duration(a.Retention.Trace)}}
}
