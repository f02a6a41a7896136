package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/identity"
	"sallyport/internal/testidp"
)

// glassWorld is a gateway whose provider does not answer any more, with somebody for such a time.
func glassWorld(t *testing.T, ends time.Time) (w *world, token string, log *logged) {
	t.Helper()
	w = newWorld(t)
	w.gw.Close()
	idp := testidp.New(t)
	log = &logged{}
	c := w.config()
	c.Log = slog.New(slog.NewTextHandler(log, nil))
	c.Providers = []access.Provider{{Name: "corp", Issuer: idp.Issuer, ClientID: testidp.ClientID, Prefix: "corp-", GroupsClaim: "groups"}}
	token, hash := identity.NewToken()
	c.Principals = append(c.Principals, access.LocalPrincipal{Name: "envelope", Kind: access.Human, Groups: []string{"dba"}, Secret: identity.HashPassword("sealed"), BreakGlass: true,
		Expires: ends.UTC().Format(time.RFC3339Nano), Tokens: []access.LocalToken{{SHA256: hash}}})
	idp.Server.Close()
	var err error
	if w.gw, err = Open(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	return w, token, log
}

func TestBreakGlassWhileTheProviderIsDown(t *testing.T) {
	w, token, log := glassWorld(t, time.Now().Add(time.Hour))
	ctx := context.Background()
	if _, err := w.gw.LoginURL(ctx, access.LoginRequest{Provider: "corp", Redirect: "http://127.0.0.1/auth/callback", State: "s", Nonce: "n", Verifier: strings.Repeat("v", 43)}); access.AsError(err).Kind != access.Unavailable {
		t.Fatalf("the provider answers: %v", err)
	}
	sealed := access.Password{User: "envelope", Secret: "sealed"}
	for range 3 { // a client with several connections
		s, err := w.gw.Connect(ctx, Login{Door: access.DoorPGWire, Connection: "shop", Client: "10.0.0.7:4711", Credentials: sealed})
		if err != nil {
			t.Fatal(err)
		}
		wantNoError(t, w.query(s, "select email from customers limit 1"))
		s.Close()
	}
	if _, err := w.gw.Admit(ctx, Login{Door: access.DoorWeb, Client: "10.0.0.7:4712", Credentials: sealed}); err != nil {
		t.Fatal(err)
	}
	s, err := w.gw.Connect(ctx, Login{Door: access.DoorMCP, Connection: "shop", Client: "10.0.0.8:1", Credentials: access.Bearer(token)})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	w.login("writer").Close() // is none
	logins := w.kinds(access.RecordLogin)
	if len(logins) != 3 || strings.Count(log.String(), "log-in by break glass") != 3 || strings.Count(log.String(), "level=WARN") < 3 {
		t.Fatalf("%d records, %d lines: one a door is wanted", len(logins), strings.Count(log.String(), "log-in by break glass"))
	}
	for i, door := range []access.Door{access.DoorPGWire, access.DoorWeb, access.DoorMCP} {
		r := logins[i]
		if r.Door != door || r.Principal != "envelope" || r.Proof == nil || !r.Proof.BreakGlass || r.Client == "" {
			t.Errorf("%s: %+v", door, r)
		}
	}
	if m := logins[2].Proof.Method; m != access.ByToken {
		t.Errorf("by %s", m)
	}
	glass := 0
	for _, r := range w.kinds(access.RecordOpen) {
		if r.Proof == nil { // the gateway's own
			continue
		}
		if r.Proof.BreakGlass {
			glass++
		}
		if r.Proof.BreakGlass != (r.Principal == "envelope") {
			t.Errorf("%+v", r)
		}
	}
	if glass != 4 {
		t.Errorf("%d sessions of break glass", glass)
	}

	// It stays until somebody else has looked at it, over a restart too.
	list, err := w.gw.GlassLogins()
	if err != nil || len(list) != 3 || list[0].Door != access.DoorMCP {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, name := range []string{"envelope", "Envelope", "ENVELOPE"} {
		if err := w.gw.LookAtGlassLogin(access.Principal{Name: name}, "", list[0].ID); access.AsError(err).Kind != access.Denied {
			t.Errorf("by who logged in: %v", err)
		}
	}
	if err := w.gw.LookAtGlassLogin(operator, "127.0.0.1:1", list[0].ID); err != nil {
		t.Error(err)
	}
	if err := w.gw.LookAtGlassLogin(operator, "127.0.0.1:1", list[0].ID); !errors.Is(err, ErrNoReview) {
		t.Errorf("twice: %v", err)
	}
	w.gw.Close()
	w.open()
	if list, err = w.gw.GlassLogins(); err != nil || len(list) != 2 {
		t.Errorf("after a restart: %+v, %v", list, err)
	}
	looked := w.kinds(access.RecordViewed)
	var v access.Viewing
	if len(looked) != 1 || looked[0].Principal != operator.Name || json.Unmarshal(looked[0].Viewed, &v) != nil || v.What != access.ViewGlass || v.Of != "envelope" {
		t.Errorf("%+v", looked)
	}
}

// A session of break glass ends with what it was opened by.
func TestBreakGlassEnds(t *testing.T) {
	var w *world
	var s *Session
	for life := 2 * time.Second; s == nil; life *= 2 { // the machine may take that long to open it
		var err error
		w, _, _ = glassWorld(t, time.Now().Add(life))
		if s, err = w.enter(access.Password{User: "envelope", Secret: "sealed"}); err != nil && life > 20*time.Second {
			t.Fatal(err)
		}
	}
	time.Sleep(time.Until(s.Principal().Proof.Expires))
	if cause := w.ended(s); cause != causeExpired {
		t.Error(cause)
	}
	if _, err := w.enter(access.Password{User: "envelope", Secret: "sealed"}); access.AsError(err).Code != "28P01" {
		t.Errorf("afterwards: %v", err)
	}
}
