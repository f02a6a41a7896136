package gateway

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/identity"
	"sallyport/internal/identity/credential"
)

const issuer = "https://idp.example"

// provider says of a token what stands in it: the test's own words, NAME:GROUPS:SECONDS, of a log-in so many seconds ago.
type provider struct {
	revoke access.Revocation
	during func() // runs while a token is being verified
}

// AccessToken is IDToken for a bearer token.
func (p *provider) AccessToken(ctx context.Context, token string) (access.Principal, error) {
	who, err := p.IDToken(ctx, access.IDToken{Token: strings.TrimPrefix(token, "..")})
	who.Proof.Method, who.Proof.Client = access.ByAccessToken, "client"
	return who, err
}

func (p *provider) IDToken(_ context.Context, t access.IDToken) (access.Principal, error) {
	if p.during != nil {
		p.during()
	}
	parts := strings.Split(t.Token, ":")
	if len(parts) < 3 {
		return access.Principal{}, &access.Error{Kind: access.Denied, Code: "28000", Message: "the token is not valid"}
	}
	ago, _ := time.ParseDuration(parts[2])
	sum := sha256.Sum256([]byte(t.Token))
	return access.Principal{Name: parts[0], Kind: access.Human, Groups: strings.Split(parts[1], ","), Proof: access.Proof{Method: access.ByIDToken, Issuer: issuer, Subject: "sub-" + parts[0], Session: "sid-1",
		Token: hex.EncodeToString(sum[:]), Issued: time.Now().Add(-ago), Expires: time.Now().Add(5 * time.Minute)}}, nil
}

func (p *provider) Logout(_ context.Context, token string) (access.Logout, error) {
	if token != "good" {
		return access.Logout{}, &access.Error{Kind: access.Denied, Code: "28000", Message: "the logout token is not valid"}
	}
	sum := sha256.Sum256([]byte(token))
	return access.Logout{Revocation: p.revoke, Token: hex.EncodeToString(sum[:]), Expires: time.Now().Add(time.Minute)}, nil
}

// idpWorld is a world that takes the word of a provider.
func idpWorld(t *testing.T) (*world, *provider) {
	t.Helper()
	w := newWorld(t)
	w.gw.Close()
	p := &provider{}
	w.openIDP(p)
	return w, p
}

func (w *world) openIDP(p *provider) {
	w.t.Helper()
	c := w.config()
	c.Providers = []access.Provider{{Name: "corp", Issuer: issuer, ClientID: "gate", ClientSecret: "hush"}}
	var err error
	if w.gw, err = Open(context.Background(), c); err != nil {
		w.t.Fatal(err)
	}
	store, err := identity.New(c.Principals)
	if err == nil {
		err = store.With(w.gw.issued)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	store.By(p, definitions(c.Providers), foreign(c.Providers))
	w.gw.people.store.Store(store)
}

// request is a certificate request with the nonce that it is bound by.
func request(t *testing.T) (text []byte, nonce string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	text = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	csr, err := credential.ParseRequest(text)
	if err != nil {
		t.Fatal(err)
	}
	return text, credential.Bound(csr)
}

func (w *world) issue(token string) (Issued, error) {
	w.t.Helper()
	text, nonce := request(w.t)
	return w.gw.Issue(context.Background(), Login{Door: access.DoorWeb, Client: "127.0.0.1:9", Credentials: access.IDToken{Provider: "corp", Token: token, Nonce: nonce}}, text)
}

func (w *world) mustIssue(token string) Issued {
	w.t.Helper()
	got, err := w.issue(token)
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

func certificate(user string, i Issued) access.Certificate {
	c := access.Certificate{User: user}
	for block, rest := pem.Decode(i.Certificate); block != nil; block, rest = pem.Decode(rest) {
		c.Chain = append(c.Chain, block.Bytes)
	}
	return c
}

func (w *world) enter(c access.Credentials) (*Session, error) {
	return w.gw.Connect(context.Background(), Login{Door: access.DoorPGWire, Connection: "shop", Credentials: c})
}

// ended waits until a session has ended, and gives the cause that its close record has.
func (w *world) ended(s *Session) string {
	w.t.Helper()
	select {
	case <-s.gone:
	case <-time.After(mostEnd):
		w.t.Fatal("it has not ended")
	}
	for _, r := range w.records() {
		if r.Session == s.id && r.Kind == access.RecordClose {
			return r.Error
		}
	}
	w.t.Fatal("no close record")
	return ""
}

func (w *world) kinds(kind access.RecordKind) (out []*access.Record) {
	for _, r := range w.records() {
		if r.Kind == kind {
			out = append(out, r)
		}
	}
	return out
}

func TestIssued(t *testing.T) {
	w, p := idpWorld(t)
	got := w.mustIssue("eve:writers:1s")
	if got.Principal.Name != "eve" || got.Credential == "" || !slices.Equal(got.Connections, []string{"shop"}) || time.Until(got.Expires) > time.Hour || time.Until(got.Expires) < 59*time.Minute {
		t.Errorf("%+v", got)
	}
	if list := w.gw.Providers(); len(list) != 1 || list[0].ClientSecret != "" {
		t.Errorf("%+v", list)
	}
	for name, c := range map[string]access.Credentials{"secret": access.Password{User: "eve", Secret: got.Secret}, "certificate": certificate("eve", got)} {
		s, err := w.enter(c)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantNoError(t, w.query(s, "select 1"))
		if q := s.Principal().Proof; q.Credential != got.Credential || q.Issuer != issuer || !q.Expires.Equal(got.Expires) {
			t.Errorf("%s: %+v", name, q)
		}
		s.Close()
	}
	if _, err := w.enter(certificate("agent", got)); err == nil {
		t.Error("somebody else's certificate")
	}
	for name, token := range map[string]string{"used": "eve:writers:1s", "not_valid": "junk"} {
		if _, err := w.issue(token); access.AsError(err).Kind != access.Denied {
			t.Errorf("%s: %v", name, err)
		}
	}
	text, nonce := request(t)
	for name, c := range map[string]access.Credentials{"of_another_key": access.IDToken{Token: "eve:writers:2s", Nonce: nonce[1:] + "A"}, "old_and_unbound": access.IDToken{Token: "eve:writers:3m"},
		"a_password": access.Password{User: "agent", Secret: "pw-agent"}} {
		if _, err := w.gw.Issue(context.Background(), Login{Door: access.DoorWeb, Credentials: c}, text); access.AsError(err).Kind != access.Denied {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.gw.Issue(context.Background(), Login{Door: access.DoorWeb, Credentials: access.IDToken{Token: "eve:writers:3s"}}, text); err != nil {
		t.Errorf("fresh and bound to no key: %v", err)
	}
	if n := len(w.kinds(access.RecordLogin)); n != 2 {
		t.Errorf("%d records of log-ins", n)
	}
	if n := len(w.kinds(access.RecordRefused)); n != 6 {
		t.Errorf("%d records of refusals", n)
	}
	admit := func(token string) error {
		_, err := w.gw.Admit(context.Background(), Login{Door: access.DoorWeb, Credentials: access.IDToken{Token: token}})
		return err
	}
	if err := admit("eve:writers:9s"); err != nil {
		t.Error(err)
	}
	for _, token := range []string{"eve:writers:9s", "eve:writers:1s"} {
		if err := admit(token); access.AsError(err).Kind != access.Denied {
			t.Errorf("an identity token that was used opens the door for people: %v", err)
		}
	}
	// What was issued holds over a restart, while the provider is what it was.
	w.gw.Close()
	w.openIDP(p)
	if s, err := w.enter(certificate("eve", got)); err != nil {
		t.Error(err)
	} else {
		s.Close()
	}
	c := w.config()
	if _, err := w.gw.LoadPrincipals(c.Principals, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.enter(certificate("eve", got)); err == nil {
		t.Error("what was issued on the word of a provider that is gone")
	}
}

func TestRevoked(t *testing.T) {
	w, p := idpWorld(t)
	a, b := w.mustIssue("eve:writers:1s"), w.mustIssue("eve:writers:1s:b")
	enter := func(i Issued) *Session {
		t.Helper()
		s, err := w.enter(certificate("eve", i))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	sa, sb := enter(a), enter(b)
	watched, stop := w.gw.Watch(sa.Principal())
	defer stop()
	other, stopOther := w.gw.Watch(sb.Principal())
	n, err := w.gw.Revoke(context.Background(), a.Principal, access.Revocation{Credential: a.Credential, Cause: "logged out"})
	if err != nil || n != 2 {
		t.Fatalf("%d, %v", n, err)
	}
	if cause := w.ended(sa); cause != "logged out" {
		t.Error(cause)
	}
	if cause := <-watched; cause != "logged out" {
		t.Error(cause)
	}
	if _, open := <-watched; open {
		t.Error("the channel is not closed")
	}
	wantNoError(t, w.query(sb, "select 1"))
	stopOther()
	if _, err := w.enter(access.Password{User: "eve", Secret: a.Secret}); err == nil {
		t.Error("a secret that was withdrawn")
	}
	// Who watches what was withdrawn before is told at once.
	late, stopLate := w.gw.Watch(sa.Principal())
	if cause := <-late; cause != "logged out" {
		t.Error(cause)
	}
	stopLate()
	// The provider logs her out.
	if err := w.gw.BackchannelLogout(context.Background(), "192.0.2.9:1", "bad"); access.AsError(err).Kind != access.Denied {
		t.Error(err)
	}
	p.revoke = access.Revocation{Issuer: issuer, Session: "sid-1", Before: time.Now()}
	if err := w.gw.BackchannelLogout(context.Background(), "192.0.2.9:1", "good"); err != nil {
		t.Fatal(err)
	}
	if cause := w.ended(sb); cause != "logged out" {
		t.Error(cause)
	}
	select {
	case cause, open := <-other:
		t.Errorf("told after stop: %q, %v", cause, open)
	default:
	}
	list := w.kinds(access.RecordRevoked)
	if len(list) != 2 || list[0].Principal != "eve" || list[0].Reason != "logged out" || list[1].Client != issuer {
		t.Fatalf("%+v", list)
	}
	var r access.Revocation
	if err := json.Unmarshal(list[0].Revoked, &r); err != nil || r.Credential != a.Credential {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := w.gw.Revoke(context.Background(), access.Principal{}, access.Revocation{Principal: "eve", Cause: "x"}); err == nil {
		t.Error("nobody revokes")
	}
	if _, err := w.gw.Revoke(context.Background(), operator, access.Revocation{Cause: "x"}); access.AsError(err).Kind != access.Invalid {
		t.Error(err)
	}
	// Somebody who logs in anew comes in.
	time.Sleep(5 * time.Millisecond)
	s := enter(w.mustIssue("eve:writers:0s:c"))
	w.gw.Close()
	if cause := w.ended(s); cause != "the gateway was stopped" {
		t.Error(cause)
	}
	w.openIDP(p)
	if _, err := w.enter(certificate("eve", b)); err == nil {
		t.Error("logged out, and in again after a restart")
	}
}

// A revocation that cannot be kept, or not yet, ends what is live all the same.
func TestSessionsDoNotWaitForTheFileOfRevocations(t *testing.T) {
	w, _ := idpWorld(t)
	s, err := w.enter(certificate("eve", w.mustIssue("eve:writers:1s")))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.gw.issued.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := w.gw.Revoke(context.Background(), operator, access.Revocation{Principal: "eve", Cause: "left"}); n != 1 || access.AsError(err).Kind != access.Unavailable {
		t.Errorf("%d, %v", n, err)
	}
	if cause := w.ended(s); cause != "left" {
		t.Error(cause)
	}
}

func TestOtherGroupsEndOlderSessions(t *testing.T) {
	w, p := idpWorld(t)
	old := w.mustIssue("eve:writers:30s")
	s, err := w.enter(certificate("eve", old))
	if err != nil {
		t.Fatal(err)
	}
	same := w.mustIssue("eve:writers:20s")
	wantNoError(t, w.query(s, "select 1"))
	fresh := w.mustIssue("eve:agents:10s")
	if cause := w.ended(s); cause != causeRegrouped {
		t.Error(cause)
	}
	for _, i := range []Issued{old, same} {
		if _, err := w.enter(certificate("eve", i)); err == nil {
			t.Error("groups of before")
		}
	}
	if _, err := w.issue("eve:writers:15s"); err == nil {
		t.Error("an older token with groups of before")
	}
	s, err = w.enter(certificate("eve", fresh))
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	// Over a restart, what was issued is what is known of groups.
	w.gw.Close()
	w.openIDP(p)
	w.mustIssue("eve:writers:5s")
	if _, err := w.enter(certificate("eve", fresh)); err == nil {
		t.Error("groups of before the restart")
	}
}

// A token that was withdrawn stays so, whatever is tried to be put in force meanwhile: what is not sound changes nothing, over a restart neither.
func TestAReloadThatFailsBringsNoTokenBack(t *testing.T) {
	w := newWorld(t)
	tok, hash := identity.NewToken()
	of := func(c Config, tokens ...access.LocalToken) []access.LocalPrincipal {
		return append(slices.Clone(c.Principals), access.LocalPrincipal{Name: "bot", Kind: access.Agent, Groups: []string{"agents"}, Tokens: tokens})
	}
	c := w.config()
	whole := c
	whole.Principals = of(c, access.LocalToken{SHA256: hash})
	if _, err := w.gw.Reload(c.Policies, whole.Principals, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.gw.Revoke(context.Background(), operator, access.Revocation{Principal: "bot", Before: time.Now(), Cause: "found on a disk"}); err != nil {
		t.Fatal(err)
	}
	valid := access.Provider{Name: "corp", Issuer: "https://idp.example", ClientID: "gate"}
	for name, change := range map[string]func(*access.Provider){
		"certificates that are not there": func(p *access.Provider) { p.CAFile = "/nowhere/ca.pem" },
		"no client":                       func(p *access.Provider) { p.ClientID = "" },
	} {
		broken := valid
		change(&broken)
		if _, err := w.gw.Reload(c.Policies, of(c), []access.Provider{broken}); err == nil {
			t.Fatalf("%s is taken", name)
		}
	}
	if err := w.gw.Close(); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.gw, err = Open(context.Background(), whole); err != nil {
		t.Fatal(err)
	}
	if _, err := w.gw.Verify(context.Background(), access.Bearer(tok)); err == nil || !strings.Contains(err.Error(), "found on a disk") {
		t.Errorf("the token that was withdrawn is taken: %v", err)
	}
}

func TestReload(t *testing.T) {
	w := newWorld(t)
	c := w.config()
	tok, hash := identity.NewToken()
	c.Principals = append(c.Principals, access.LocalPrincipal{Name: "bot", Kind: access.Agent, Groups: []string{"agents"}, Tokens: []access.LocalToken{{SHA256: hash}}})
	if n, err := w.gw.Reload(c.Policies, c.Principals, nil); err != nil || n != 0 {
		t.Fatal(n, err)
	}
	find := func(name string) *access.LocalPrincipal {
		return &c.Principals[slices.IndexFunc(c.Principals, func(p access.LocalPrincipal) bool { return p.Name == name })]
	}
	bot, err := w.gw.Connect(context.Background(), Login{Door: access.DoorMCP, Connection: "shop", Credentials: access.Bearer(tok)})
	if err != nil {
		t.Fatal(err)
	}
	agent, writer, dba, many := w.login("agent"), w.login("writer"), w.login("dba"), w.login("many")
	defer many.Close()
	watched, stop := w.gw.Watch(agent.Principal())
	defer stop()
	// Nothing of what is not sound is put in force.
	if _, err := w.gw.Reload([]PolicyFile{{Name: "x.cedar", Text: "permit("}}, nil, nil); err == nil {
		t.Fatal("policies that are none")
	}
	if _, err := w.gw.Reload(c.Policies, append(slices.Clone(c.Principals), access.LocalPrincipal{Name: "many", Kind: access.Human}), nil); err == nil {
		t.Fatal("a principal twice")
	}
	wantNoError(t, w.query(agent, "select 1"))
	find("agent").Groups = []string{"agents", "more"}
	find("writer").Secret = identity.HashPassword("other")
	find("bot").Tokens = nil
	c.Principals = slices.DeleteFunc(c.Principals, func(p access.LocalPrincipal) bool { return p.Name == "dba" })
	n, err := w.gw.Reload(c.Policies, c.Principals, nil)
	if err != nil || n != 5 {
		t.Errorf("%d, %v", n, err)
	}
	for _, s := range []*Session{agent, writer, dba, bot} {
		if cause := w.ended(s); cause != causeConfigured {
			t.Errorf("%s: %q", s.principal.Name, cause)
		}
	}
	if cause := <-watched; cause != causeConfigured {
		t.Error(cause)
	}
	if _, err := bot.Query(context.Background(), Query{SQL: "select 1"}); !errors.Is(err, ErrEnded) {
		t.Errorf("a session of the agents' door goes on: %v", err)
	}
	if _, err := w.gw.Verify(context.Background(), access.Bearer(tok)); access.AsError(err).Kind != access.Denied {
		t.Errorf("a token that is gone: %v", err)
	}
	wantNoError(t, w.query(many, "select 1"))
	if s, err := w.enter(access.Password{User: "writer", Secret: "other"}); err != nil {
		t.Error(err)
	} else {
		s.Close()
	}
}
