package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
)

// What a provider's definition says is changed while a token is verified by the old one: nobody comes in by that, or stays.
func TestReloadWhileSomebodyComesIn(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*access.Provider, *Config)
		stays  bool
	}{
		"nothing":        {func(*access.Provider, *Config) {}, true},
		"another prefix": {func(p *access.Provider, _ *Config) { p.Prefix = "corp." }, false},
		"fewer groups":   {func(p *access.Provider, _ *Config) { p.Groups = map[string]string{} }, false},
		"the name of another": {func(_ *access.Provider, c *Config) {
			c.Principals = append(c.Principals, access.LocalPrincipal{Name: "eve", Kind: access.Human})
		}, false},
	} {
		world := func(t *testing.T) (w *world, reloaded *bool) {
			w, p := idpWorld(t)
			reloaded = new(bool)
			p.during = func() {
				p.during, *reloaded = nil, true
				conf := w.config()
				corp := (*w.gw.people.providers.Load())[0]
				c.change(&corp, &conf)
				if _, err := w.gw.LoadPrincipals(conf.Principals, []access.Provider{corp}); err != nil {
					t.Error(err)
				}
			}
			return w, reloaded
		}
		// kept says whether who came in stays: lost is closed, with the cause in it before, when they do not.
		kept := func(t *testing.T, reloaded bool, err error, lost func() (cause string, yes bool)) {
			t.Helper()
			if !reloaded {
				t.Fatal("nothing was changed meanwhile")
			}
			if err != nil {
				if e := access.AsError(err); c.stays || e.Kind != access.Denied || !strings.Contains(e.Message, causeConfigured) {
					t.Error(err)
				}
				return
			}
			if cause, yes := lost(); yes == c.stays || yes && cause != causeConfigured {
				t.Errorf("ended: %v, %q", yes, cause)
			}
		}
		t.Run(name+"/session", func(t *testing.T) {
			w, reloaded := world(t)
			s, err := w.enter(access.Bearer("..eve:writers:1s"))
			kept(t, *reloaded, err, func() (string, bool) {
				if c.stays {
					wantNoError(t, w.query(s, "select 1"))
					return "", false
				}
				return w.ended(s), true
			})
		})
		t.Run(name+"/door for people", func(t *testing.T) {
			w, reloaded := world(t)
			p, err := w.gw.Admit(context.Background(), Login{Door: access.DoorWeb, Credentials: access.IDToken{Token: "eve:writers:1s"}})
			kept(t, *reloaded, err, func() (string, bool) {
				lost, stop := w.gw.Watch(p)
				defer stop()
				if c.stays {
					select {
					case cause := <-lost:
						return cause, true
					default:
						return "", false
					}
				}
				select {
				case cause := <-lost:
					return cause, true
				case <-time.After(mostEnd):
					return "", false
				}
			})
		})
		t.Run(name+"/credential", func(t *testing.T) {
			w, reloaded := world(t)
			got, err := w.issue("eve:writers:1s")
			kept(t, *reloaded, err, func() (string, bool) {
				s, err := w.enter(certificate("eve", got))
				if err != nil {
					return err.Error(), true
				}
				s.Close()
				return "", false
			})
		})
	}
}

// A password is changed while it is verified.
func TestPasswordChangesWhileSomebodyComesIn(t *testing.T) {
	w := newWorld(t)
	p, err := w.gw.Admit(context.Background(), Login{Door: access.DoorWeb, Credentials: access.Password{User: "writer", Secret: "pw-writer"}})
	if err != nil {
		t.Fatal(err)
	}
	c := w.config() // all have verifiers with other salts
	if _, err := w.gw.LoadPrincipals(c.Principals, nil); err != nil {
		t.Fatal(err)
	}
	lost, stop := w.gw.Watch(p)
	defer stop()
	select {
	case <-lost:
	case <-time.After(mostEnd):
		t.Error("a log-in by the password of before goes on")
	}
}

// The newest words of a provider about somebody come first; older ones, which say other groups, are not taken after them.
func TestOlderWordsComeLater(t *testing.T) {
	w, p := idpWorld(t)
	comes := func(token string) error {
		_, err := w.gw.Verify(context.Background(), access.Bearer(token))
		return err
	}
	if err := comes("..eve:writers:10s"); err != nil {
		t.Fatal(err)
	}
	if err := comes("..eve:writers:20s"); err != nil {
		t.Errorf("older, and says the same: %v", err)
	}
	if err := comes("..eve:writers,dba:20s"); err == nil || access.AsError(err).Kind != access.Denied {
		t.Errorf("groups of before: %v", err)
	}
	if _, err := w.issue("eve:writers,dba:10s"); err != nil {
		t.Errorf("an access token says nothing about the groups in an identity token: %v", err)
	}
	// It does not matter what was seen before a restart.
	w.gw.Close()
	w.openIDP(p)
	if err := comes("..eve:dba:5s"); err != nil {
		t.Error(err)
	}
	if err := comes("..eve:writers:10s"); err == nil {
		t.Error("groups of before, after a restart")
	}
}

// What was asked for, and approved, is of who asked: it does not pass on to who has their name next, and what a thief asked for ends with what they stole.
func TestRequestsEndWithWhoAsked(t *testing.T) {
	corp := access.Provider{Name: "corp", Issuer: issuer, ClientID: "gate"}
	moved := corp
	moved.UserClaim = "email"
	person := access.Principal{Name: "eve", Kind: access.Human, Groups: []string{"askers"}, Proof: access.Proof{Issuer: issuer}}
	local := access.Principal{Name: "asker", Kind: access.Human, Groups: []string{"askers"}}
	loaded := &Config{} // of the gateway at hand
	byBot := person
	byBot.Actor = "bot"
	config := func(change func(*Config)) func(*world) {
		return func(w *world) {
			c := *loaded
			c.Principals = slices.Clone(c.Principals)
			change(&c)
			if _, err := w.gw.LoadPrincipals(c.Principals, c.Providers); err != nil {
				t.Fatal(err)
			}
		}
	}
	restart := func(change func(*Config)) func(*world) {
		return func(w *world) {
			w.gw.Close()
			w.openHeld(func(c *Config) { c.Providers = []access.Provider{corp}; change(c) })
		}
	}
	revoke := func(r access.Revocation) func(*world) {
		return func(w *world) {
			r.Cause = "stolen"
			if _, err := w.gw.Revoke(context.Background(), operator, r); err != nil {
				t.Fatal(err)
			}
		}
	}
	without := func(c *Config) {
		c.Principals = slices.DeleteFunc(c.Principals, func(p access.LocalPrincipal) bool { return p.Name == "asker" })
	}
	for name, c := range map[string]struct {
		who  access.Principal
		do   func(*world)
		ends bool
	}{
		"nothing":              {person, config(func(*Config) {}), false},
		"nothing, a restart":   {person, restart(func(*Config) {}), false},
		"provider redefined":   {person, config(func(c *Config) { c.Providers = []access.Provider{moved} }), true},
		"redefined, a restart": {person, restart(func(c *Config) { c.Providers = []access.Provider{moved} }), true},
		"provider gone":        {person, config(func(c *Config) { c.Providers = nil }), true},
		"gone, a restart":      {person, restart(func(c *Config) { c.Providers = nil }), true},
		"name declared": {person, config(func(c *Config) {
			c.Principals = append(c.Principals, access.LocalPrincipal{Name: "Eve", Kind: access.Human})
		}), true},
		"other principal gone":    {person, config(without), false},
		"principal gone":          {local, config(without), true},
		"gone when it was shut":   {local, restart(without), true},
		"principal withdrawn":     {person, revoke(access.Revocation{Principal: "eve", Before: time.Now().Add(time.Hour)}), true},
		"withdrawn until before":  {person, revoke(access.Revocation{Principal: "eve", Before: time.Now().Add(-time.Hour)}), false},
		"somebody else withdrawn": {person, revoke(access.Revocation{Principal: "ada"}), false},
		"one credential":          {person, revoke(access.Revocation{Principal: "eve", Credential: "c"}), false},
		"its agent withdrawn":     {byBot, revoke(access.Revocation{Actor: "bot"}), true},
		"the agent of others":     {person, revoke(access.Revocation{Actor: "bot"}), false},
	} {
		for _, approved := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/approved %v", name, approved), func(t *testing.T) {
				w := heldWorld(t, func(c *Config) { c.Providers = []access.Provider{corp}; *loaded = *c })
				s, err := w.gw.connect(context.Background(), Login{Door: access.DoorMCP, Connection: "shop"}, c.who)
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				if _, err := s.Query(context.Background(), Query{SQL: "update customers set region = 'x' where id = 1"}); access.AsError(err).Kind != access.ReviewPending {
					t.Fatal(err)
				}
				r := w.pendingOne()
				if approved {
					w.approve("keeper", r.ID)
				}
				c.do(w)
				now, err := w.gw.Review(r.ID)
				if err != nil || now.State.Ended() != c.ends {
					t.Errorf("it is %s: %s (%v)", now.State, now.Outcome, err)
				}
			})
		}
	}
}

// Who has had themselves called something else at their provider does not decide about what they asked for before.
func TestWhoAskedUnderAnotherNameDoesNotDecide(t *testing.T) {
	w := heldWorld(t, func(c *Config) { c.Providers = []access.Provider{{Name: "corp", Issuer: issuer, ClientID: "gate"}} })
	person := func(name, sub string, groups ...string) access.Principal {
		return access.Principal{Name: name, Kind: access.Human, Groups: groups, Proof: access.Proof{Issuer: issuer, Subject: sub, Issued: time.Now(), Against: definitions(*w.gw.people.providers.Load())[issuer]}}
	}
	asker := person("eve", "1", "askers", "keepers")
	asker.Actor = "triage-bot"
	s, err := w.gw.connect(context.Background(), Login{Door: access.DoorMCP, Connection: "shop"}, asker)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Query(context.Background(), Query{SQL: "update customers set region = 'x' where id = 1"}); access.AsError(err).Kind != access.ReviewPending {
		t.Fatal(err)
	}
	r := w.pendingOne()
	vote := ReviewVote{Verdict: "approve", Justification: "looked at the ticket"}
	for _, p := range []access.Principal{person("eve", "1", "keepers"), person("eve2", "1", "keepers"), person("EVE", "2", "keepers")} {
		if _, err := w.gw.Decide(context.Background(), p, r.ID, r.Revision, vote); err == nil {
			t.Errorf("%s decides", p.Name)
		}
	}
	if _, err := w.gw.Decide(context.Background(), person("grace", "2", "keepers"), r.ID, r.Revision, vote); err != nil {
		t.Error(err)
	}
}

// Another provider comes, and goes: nobody of those that there were is put out but who has a name that only the new one may say.
func TestAnotherProviderPutsNobodyOut(t *testing.T) {
	w, _ := idpWorld(t)
	var said strings.Builder
	w.gw.logger = slog.New(slog.NewTextHandler(&said, nil))
	corp := (*w.gw.people.providers.Load())[0]
	own := access.Provider{Name: "own", Issuer: "https://own.example", ClientID: "gate", Prefix: "own-"}
	enter := func(who string) (*Session, Issued) {
		t.Helper()
		got, err := w.issue(who + ":writers:1s")
		if err != nil {
			t.Fatal(err)
		}
		s, err := w.enter(certificate(who, got))
		if err != nil {
			t.Fatal(err)
		}
		return s, got
	}
	eve, kept := enter("eve")
	_, lost := enter("own-eve")
	load := func(want int, providers ...access.Provider) {
		t.Helper()
		ended, err := w.gw.LoadPrincipals(w.config().Principals, providers)
		if err != nil || ended != want {
			t.Errorf("%d sessions end, want %d: %v", ended, want, err)
		}
	}
	load(1, corp, own)
	if _, err := w.enter(certificate("own-eve", lost)); err == nil {
		t.Error("who has a name that another provider says comes in")
	}
	if !strings.Contains(said.String(), "another provider's to say now") || !strings.Contains(said.String(), "principals=[own-eve]") || strings.Contains(said.String(), "[eve") {
		t.Errorf("the log: %s", &said)
	}
	load(0, own, corp)
	load(0, corp)
	if s, err := w.enter(certificate("eve", kept)); err != nil {
		t.Errorf("what was issued is withdrawn: %v", err)
	} else {
		s.Close()
	}
	if eve.ending.Load() != nil {
		t.Error("a session of a provider that is as it was has ended")
	}
	corp.UserClaim = "email"
	said.Reset()
	load(1, corp)
	if !strings.Contains(said.String(), "is defined otherwise") || !strings.Contains(said.String(), "sessions=1") || !strings.Contains(said.String(), "credentials=1") {
		t.Errorf("the log: %s", &said)
	}
	load(0)
}

// A slip in a revocation is known as one: it names nobody that there is.
func TestUnknownIsWhoNeverCame(t *testing.T) {
	w, _ := idpWorld(t)
	got, err := w.issue("eve:writers:1s")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		r    access.Revocation
		want string
	}{{access.Revocation{Principal: "writer"}, ""}, {access.Revocation{Principal: "Writer"}, ""}, {access.Revocation{Principal: "eve"}, ""}, {access.Revocation{Principal: "evee"}, "the name evee"},
		{access.Revocation{Credential: got.Credential}, ""}, {access.Revocation{Credential: strings.Repeat("0", 32)}, "the credential 0000"}, {access.Revocation{Actor: "nobot"}, "the actor nobot"},
		{access.Revocation{Actor: "writer"}, "the actor writer"},
		{access.Revocation{Issuer: issuer, Subject: "x"}, ""}, {access.Revocation{Issuer: issuer + "/", Subject: "x"}, "the issuer " + issuer + "/"}} {
		if what := w.gw.Unknown(c.r); !strings.HasPrefix(what, c.want) || (what == "") != (c.want == "") {
			t.Errorf("%+v: %q", c.r, what)
		}
	}
}
