package gateway

import (
	"context"
	"testing"
	"time"

	"sallyport/internal/access"
)

// What a provider's definition says is changed while a token is verified by the old one: nobody comes in by that, or stays.
func TestReloadWhileSomebodyComesIn(t *testing.T) {
	for name, change := range map[string]func(*access.Provider, *Config){
		"another prefix": func(p *access.Provider, _ *Config) { p.Prefix = "corp." },
		"fewer groups":   func(p *access.Provider, _ *Config) { p.Groups = map[string]string{} },
		"the name of another": func(_ *access.Provider, c *Config) {
			c.Principals = append(c.Principals, access.LocalPrincipal{Name: "eve", Kind: access.Human})
		},
	} {
		world := func(t *testing.T) *world {
			w, p := idpWorld(t)
			p.during = func() {
				p.during = nil
				c := w.config()
				conf := (*w.gw.people.providers.Load())[0]
				change(&conf, &c)
				if _, err := w.gw.LoadPrincipals(c.Principals, []access.Provider{conf}); err != nil {
					t.Error(err)
				}
			}
			return w
		}
		t.Run(name+"/session", func(t *testing.T) {
			w := world(t)
			s, err := w.enter(access.Bearer("..eve:writers:1s"))
			if err != nil {
				return
			}
			if cause := w.ended(s); cause != causeConfigured {
				t.Error(cause)
			}
		})
		t.Run(name+"/door for people", func(t *testing.T) {
			w := world(t)
			p, err := w.gw.Admit(context.Background(), Login{Door: access.DoorWeb, Credentials: access.IDToken{Token: "eve:writers:1s"}})
			if err != nil {
				return
			}
			lost, stop := w.gw.Watch(p)
			defer stop()
			select {
			case cause := <-lost:
				if cause != causeConfigured {
					t.Error(cause)
				}
			case <-time.After(mostEnd):
				t.Error("a log-in by what the provider was before goes on")
			}
		})
		t.Run(name+"/credential", func(t *testing.T) {
			w := world(t)
			got, err := w.issue("eve:writers:1s")
			if err != nil {
				return
			}
			if s, err := w.enter(certificate("eve", got)); err == nil {
				s.Close()
				t.Error("what was issued by what the provider was before opens a session")
			}
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
