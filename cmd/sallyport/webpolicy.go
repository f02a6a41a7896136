package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"sallyport/internal/access"
	"sallyport/internal/config"
	"sallyport/internal/gateway"
	"sallyport/internal/web"
	"sallyport/sqlguard/policy"
)

// webPolicies are the policies on disk and in force for the door for people.
type webPolicies struct {
	core   *gateway.Gateway
	cfg    *config.Config // as the gateway started with it
	judges turns
	log    *slog.Logger
}

func (p *webPolicies) onDisk(context.Context) ([]gateway.PolicyFile, error) {
	cfg, _, err := p.load()
	if cfg == nil {
		return nil, err
	}
	if err == nil {
		var before []config.Policy
		texts, _ := p.core.Policies()
		for _, f := range texts {
			before = append(before, config.Policy{Name: f.Name, Text: f.Text})
		}
		if lost := lostFiles(cfg, before); lost != nil {
			err = unsound(lost)
		}
	}
	return policyFiles(cfg), err
}

// load reads what is on disk. The configuration comes with an error that is its policies'.
func (p *webPolicies) load() (*config.Config, *policy.Set, error) {
	cfg, err := config.LoadOffline(p.cfg.Path)
	if err != nil {
		return nil, nil, unsound(err)
	}
	set, err := loadPolicies(cfg)
	if err != nil {
		return cfg, nil, unsound(err)
	}
	return cfg, set, nil
}

// unsound is an error of the files on disk for people. Of the configuration it says the places alone: what is wrong there may quote what
// stands there, and the page's readers need not know its secrets.
func unsound(err error) error {
	var problems config.Problems
	if !errors.As(err, &problems) {
		return &access.Error{Kind: access.Invalid, Message: err.Error()}
	}
	var lines []string
	for _, p := range problems {
		lines = append(lines, fmt.Sprintf("%s:%d: the configuration is not sound here", p.File, max(p.Line, 1)))
	}
	return &access.Error{Kind: access.Invalid, Message: upTo(lines, 20), Hint: "`sallyport check` says what is wrong"}
}

// upTo joins the first most lines, and says how many more there are.
func upTo(lines []string, most int) string {
	if more := len(lines) - most; more > 0 {
		lines = append(lines[:most:most], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, "\n")
}

// judge is web.Archive.Judge. A core that is still being opened when ctx ends keeps the turn until it is closed.
func (p *webPolicies) judge(ctx context.Context, text string, by web.Judging) ([]web.CaseResult, error) {
	done, err := p.judges.take(ctx, "others have cases judged")
	if err != nil {
		return nil, err
	}
	scratch := &webScratch{path: p.cfg.Path, log: p.log}
	defer scratch.close(done)
	cfg, t := p.cfg, tester{}
	var known []access.Principal
	switch {
	case !by.OnDisk:
		known = p.core.People() // they are read again at a reload
		t.set, err = inForce(p.core)
		t.core = func(context.Context) (*gateway.Gateway, error) { return p.core, nil }
	case by.Scratch:
		cfg, t.set, err = p.load()
		t.core = scratch.get
	default:
		cfg, t.set, err = p.load()
		t.core = func(context.Context) (*gateway.Gateway, error) {
			return nil, &access.Error{Kind: access.Denied, Message: "the files on disk judge a case with sql for operators only; `sallyport policy test` judges it too"}
		}
	}
	if err != nil {
		return nil, err
	}
	if by.OnDisk {
		known = principalsOf(cfg)
	}
	cases, err := parseCases(known, onlyConnection(cfg), "cases", text)
	if err != nil {
		return nil, &access.Error{Kind: access.Invalid, Message: upTo(strings.Split(err.Error(), "\n"), 20)}
	}
	if len(cases) > web.MostCases {
		return nil, &access.Error{Kind: access.Invalid, Message: fmt.Sprintf("there are %d cases: at most %d are judged at a time", len(cases), web.MostCases), Hint: "`sallyport policy test` takes any number"}
	}
	for _, c := range cases {
		if c.SQL != "" {
			scratch.only = append(scratch.only, c.Connection)
		}
	}
	out := make([]web.CaseResult, 0, len(cases))
	for _, c := range cases {
		if ctx.Err() != nil {
			return nil, &access.Error{Kind: access.Unavailable, Message: fmt.Sprintf("time ran out after %d of %d cases", len(out), len(cases)), Hint: "give fewer at a time"}
		}
		r := web.CaseResult{Name: c.Name, Line: c.Line}
		if r.Differs, err = t.run(ctx, c); err != nil {
			r.Left = access.AsError(err).Message
		}
		out = append(out, r)
	}
	return out, nil
}

// inForce is the set of a core's policies, for questions that are about no statement.
func inForce(core *gateway.Gateway) (*policy.Set, error) {
	texts, _ := core.Policies()
	files := make([]policy.File, len(texts))
	for i, f := range texts {
		files[i] = policy.File{Name: f.Name, Text: f.Text}
	}
	return policy.Load(files)
}
