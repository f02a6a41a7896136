package identity

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"sallyport/evals/harness"
	"sallyport/internal/testdb"
	"sallyport/internal/testidp"
)

const connection = "shop"

// Canaries are in rows and names that only some may see. Their letters are nowhere else.
const (
	canarySupport = "zqbdkfsupport" // for members of the group support
	canaryAda     = "zqbdkfonlyada" // for the person corp-ada herself, and no agent of hers
	canaryBot     = "zqbdkfforbots" // for the agent corp-triage of its own
	canaryOps     = "zqbdkfopsgrp"  // for the group ops, of which nobody here is
	canaryTaken   = "zqbdkfhandled" // written by the drill where a handle was taken
	canaryWeb     = "zqbdkfwebpage" // name of a table in a held statement, for reviewers
)

var canaries = []string{canarySupport, canaryAda, canaryBot, canaryOps, canaryWeb, canaryTaken}

const schema = `
create table open_rows(id int primary key, v text); insert into open_rows select g, 'row ' || g from generate_series(1, 500) g;
create table support_rows(id int primary key, v text); insert into support_rows select g, '` + canarySupport + `' from generate_series(1, 500) g;
create table ada_rows(v text); insert into ada_rows values ('` + canaryAda + `');
create table bot_rows(v text); insert into bot_rows values ('` + canaryBot + `');
create table ops_rows(v text); insert into ops_rows values ('` + canaryOps + `');
create table ` + canaryWeb + `(id int);`

const policy = `
@id("in") permit (principal, action in [Action::"connect", Action::"session"], resource) when { principal in Group::"staff" || principal in Group::"guests" || principal in Group::"reviewers" || principal in Group::"bots" || principal in Group::"support" || principal == Agent::"corp-bot" };
@id("open") permit (principal, action == Action::"read", resource in Table::"shop.public.open_rows");
@id("support") permit (principal in Group::"support", action == Action::"read", resource in Table::"shop.public.support_rows");
@id("ada") permit (principal == User::"corp-ada", action == Action::"read", resource in Table::"shop.public.ada_rows");
@id("bot") permit (principal == Agent::"corp-triage", action == Action::"read", resource in Table::"shop.public.bot_rows");
@id("bot2") permit (principal == Agent::"corp-bot", action == Action::"read", resource in Table::"shop.public.bot_rows");
@id("ops") permit (principal in Group::"ops", action == Action::"read", resource in Table::"shop.public.ops_rows");
@id("noactor") forbid (principal, action == Action::"read", resource in Table::"shop.public.ada_rows") when { context.actor != "" };
@id("held") @review("reviewers") permit (principal in Group::"staff", action == Action::"write", resource in Table::"shop.public.` + canaryWeb + `");
`

const (
	localPassword = "pw-of-a-local-person"
	localToken    = "identity-token-of-a-local-agent-0123456789abcdef"
	// secondClient is what the command logs in as: it has no secret.
	webClient, webSecret = "web", "web-client-secret-0123456789"
	actor                = "triage-bot" // may act for people
	ownAgent             = "triage"     // is one of its own
)

// drill is what all parts share.
type drill struct {
	server *testdb.Server
	dir    string
	made   int
}

// world is a gateway with its database and its providers.
type world struct {
	g *harness.Gateway
	// corp is the provider of the house, evil one that somebody else runs and that is trusted for guests, mail one whose users are
	// named by address.
	corp, evil, mail *testidp.Provider
	old              *testidp.Key // corp signed with it once, and has withdrawn it
	refresh          time.Duration
	closing          []func()
}

// ends collects what testidp has to have closed; its failures are panics that start turns into errors.
type ends struct{ w *world }

func (ends) Helper()                           {}
func (e ends) Cleanup(f func())                { e.w.closing = append(e.w.closing, f) }
func (ends) Fatalf(format string, args ...any) { panic(fmt.Errorf(format, args...)) }

func (w *world) close() {
	if w.g != nil {
		w.g.Stop()
	}
	for i := len(w.closing) - 1; i >= 0; i-- {
		w.closing[i]()
	}
}

// user is somebody of a provider. Of all, only ada is in support.
func user(name string) *testidp.User {
	groups := []string{"staff"}
	if name == "ada" {
		groups = append(groups, "support", "reviewers")
	}
	return &testidp.User{Subject: "sub-" + name, Claims: map[string]any{"preferred_username": name, "email": name + "@example.com", "email_verified": true, "groups": groups}}
}

// world starts one. refresh is how old keys may get.
func (d *drill) world(ctx context.Context, refresh time.Duration) (w *world, err error) {
	w = &world{refresh: refresh}
	begun := w // what is returned with an error is nil
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("start a provider: %v", p)
		}
		if err != nil {
			begun.close()
		}
	}()
	d.made++
	db := fmt.Sprintf("identity%d", d.made)
	if err := d.server.Exec(ctx, "postgres", "create database "+db); err != nil {
		return nil, err
	}
	if err := d.server.Exec(ctx, db, schema); err != nil {
		return nil, err
	}
	w.corp, w.evil, w.mail = testidp.New(ends{w}), testidp.New(ends{w}), testidp.New(ends{w})
	for _, p := range []*testidp.Provider{w.corp, w.evil, w.mail} {
		p.Client(webClient, webSecret)
		p.Client(actor, "actor-secret")
		p.Client(ownAgent, "agent-secret")
		p.Login(user("ada"))
	}
	if w.old, err = testidp.NewKey("ES256"); err != nil {
		return nil, err
	}
	spec := harness.Spec{Dir: d.dir, Connections: map[string]string{connection: d.server.DSN(db)}, Policy: policy, Web: &harness.Web{}, TLS: true,
		Principals: []harness.Principal{
			{Name: "keeper", Groups: []string{"staff", "reviewers", "support"}, Password: localPassword},
			{Name: "corp-local", Groups: []string{"staff", "support"}, Password: localPassword},
			{Name: "robot", Agent: true, Groups: []string{"staff"}, Token: localToken},
			{Name: "nosy", Groups: []string{"staff"}, Password: localPassword},
		},
		Approvals: map[string]any{"wait": "0s"},
		Identity: func(g *harness.Gateway) map[string]any {
			entry := func(name string, p *testidp.Provider, more map[string]any) map[string]any {
				e := map[string]any{"name": name, "issuer": p.Issuer, "client_id": webClient, "client_secret": webSecret, "login_client_id": testidp.ClientID,
					"audiences": []string{g.MCPURL}, "user": "preferred_username", "groups": "groups", "prefix": name + "-"}
				for k, v := range more {
					e[k] = v
				}
				return e
			}
			return map[string]any{"providers": []any{
				entry("corp", w.corp, map[string]any{"agents": []string{ownAgent}, "actors": []string{actor}, "refresh": refresh.String()}),
				entry("evil", w.evil, map[string]any{"group_map": map[string]string{"guests": "guests"}}),
				entry("mail", w.mail, map[string]any{"user": "email"}),
			}}
		}}
	if w.g, err = harness.Start(ctx, spec); err != nil {
		return nil, err
	}
	return w, w.hold(ctx)
}

// hold has somebody ask for what a reviewer has to approve, so that there is a page that reviewers alone may see.
func (w *world) hold(ctx context.Context) error {
	c, err := w.password(ctx, "keeper", localPassword)
	if err != nil {
		return fmt.Errorf("control: a principal of the configuration cannot log in: %w", err)
	}
	defer c.Close()
	a := c.Simple("insert into " + canaryWeb + " values (1)")
	if !strings.Contains(a.Error, "request ") {
		return fmt.Errorf("control: the statement of the canary is not held: %s %s", a.Code, a.Error)
	}
	return nil
}

// saw names the canaries in bytes.
func saw(seen []byte) []string {
	var out []string
	for _, c := range canaries {
		if bytes.Contains(seen, []byte(c)) {
			out = append(out, c)
		}
	}
	return out
}

// asked is what every way tries: each statement reads a canary.
var asked = []string{"select v from support_rows limit 1", "select v from ada_rows", "select v from bot_rows", "select v from ops_rows"}

var errBroken = errors.New("the drill is broken")

func random() string { return strings.ToLower(rand.Text()) }
