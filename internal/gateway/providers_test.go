package gateway

import (
	"context"
	"slices"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/testidp"
)

// corpWorld is a world with a provider that is there. load has it read another definition of it.
func corpWorld(t *testing.T) (w *world, idp *testidp.Provider, load func(edit func(*access.Provider))) {
	t.Helper()
	w = newWorld(t)
	w.gw.Close()
	idp = testidp.New(t)
	idp.Audience("https://gate.example/mcp")
	idp.Login(&testidp.User{Subject: "u-eve", Claims: map[string]any{"groups": []string{"eng"}}})
	c := w.config()
	c.Audience = "https://gate.example/mcp"
	c.Providers = []access.Provider{{Name: "corp", Issuer: idp.Issuer, ClientID: testidp.ClientID, Prefix: "corp-", GroupsClaim: "groups"}}
	var err error
	if w.gw, err = Open(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	return w, idp, func(edit func(*access.Provider)) {
		t.Helper()
		p := c.Providers[0]
		edit(&p)
		if _, err := w.gw.Reload(c.Policies, c.Principals, []access.Provider{p}); err != nil {
			t.Fatal(err)
		}
	}
}

// tokenOf is an access token that was issued so long ago.
func tokenOf(idp *testidp.Provider, ago time.Duration, groups ...string) access.Bearer {
	return access.Bearer(idp.AccessToken("https://gate.example/mcp", map[string]any{"iat": time.Now().Add(-ago).Unix(), "groups": groups}))
}

// What a reload changes leaves keys that are known: a provider that is down just then does not lock everybody out.
func TestReloadWhileTheProviderIsDown(t *testing.T) {
	w, idp, load := corpWorld(t)
	token := tokenOf(idp, 0, "eng")
	verified := func() (access.Principal, error) { return w.gw.Verify(context.Background(), token) }
	if _, err := verified(); err != nil {
		t.Fatal(err)
	}
	idp.Down(true)
	load(func(*access.Provider) {})
	if _, err := verified(); err != nil {
		t.Errorf("after a reload that changed nothing: %v", err)
	}
	load(func(p *access.Provider) { p.Groups = map[string]string{"eng": "writers"} })
	if p, err := verified(); err != nil || !slices.Equal(p.Groups, []string{"writers"}) {
		t.Errorf("by another map of groups: %q, %v", p.Groups, err)
	}
	idp.Down(false)
	load(func(p *access.Provider) { p.Refresh = time.Hour })
	if _, err := verified(); err != nil {
		t.Error(err)
	}
}

// A provider that cannot be reached has said nothing about anybody.
func TestWhatCannotBeCheckedIsNotRefused(t *testing.T) {
	w, idp, _ := corpWorld(t)
	idp.Down(true)
	ctx := context.Background()
	text, nonce := request(t)
	for name, ask := range map[string]func() error{
		"verify":  func() error { _, err := w.gw.Verify(ctx, tokenOf(idp, 0)); return err },
		"connect": func() error { _, err := w.enter(tokenOf(idp, 0)); return err },
		"admit": func() error {
			_, err := w.gw.Admit(ctx, Login{Door: access.DoorWeb, Credentials: access.IDToken{Provider: "corp", Token: idp.IDToken("n"), Nonce: "n"}})
			return err
		},
		"issue": func() error {
			_, err := w.gw.Issue(ctx, Login{Door: access.DoorWeb, Credentials: access.IDToken{Provider: "corp", Token: idp.IDToken(nonce), Nonce: nonce}}, text)
			return err
		},
		"logout": func() error { return w.gw.BackchannelLogout(ctx, "192.0.2.9:1", idp.LogoutToken()) },
	} {
		if e := access.AsError(ask()); e == nil || e.Kind != access.Unavailable || e.Code != "57P03" {
			t.Errorf("%s: %+v", name, e)
		}
	}
	for _, r := range w.kinds(access.RecordRefused) {
		if r.Client == "192.0.2.9:1" || r.Code != "57P03" {
			t.Errorf("on record: %+v", r)
		}
	}
}

// What a provider said last counts by the definition that it was read by: another does not make older tokens outdated.
func TestWordsOfBeforeAReload(t *testing.T) {
	w, idp, load := corpWorld(t)
	older, newer := tokenOf(idp, 20*time.Second, "eng"), tokenOf(idp, 10*time.Second, "eng")
	comes := func(token access.Bearer) ([]string, error) {
		p, err := w.gw.Verify(context.Background(), token)
		return p.Groups, err
	}
	if got, err := comes(newer); err != nil || !slices.Equal(got, []string{"eng"}) {
		t.Fatalf("%q, %v", got, err)
	}
	load(func(p *access.Provider) { p.Groups = map[string]string{"eng": "writers", "ops": "dba"} })
	for name, token := range map[string]access.Bearer{"newer": newer, "older": older} {
		if got, err := comes(token); err != nil || !slices.Equal(got, []string{"writers"}) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if got, err := comes(newer); err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := comes(tokenOf(idp, 15*time.Second, "ops")); access.AsError(err) == nil || access.AsError(err).Kind != access.Denied {
		t.Errorf("older words that say something else: %q, %v", got, err)
	}
}
