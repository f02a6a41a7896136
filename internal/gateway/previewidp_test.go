package gateway

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/testidp"
)

const askedAudience = "https://gate.example/mcp"

// previewPolicy holds reads of secrets, and writes of orders; of customers, those of somebody's own region are seen. Agents write with a scope, for a router, and by
// the provider's word alone.
const previewPolicy = `
@id("in") permit (principal in Group::"askers", action == Action::"connect", resource in Connection::"shop");
@id("orders") permit (principal in Group::"askers", action == Action::"read", resource in Table::"shop.public.orders");
@id("customers") @where("region = principal.region") permit (principal in Group::"askers", action == Action::"read", resource in Table::"shop.public.customers");
@id("read") @review("keepers") permit (principal in Group::"askers", action == Action::"read", resource in Table::"shop.public.secrets");
@id("write") @review("keepers") permit (principal in Group::"askers", action == Action::"write", resource in Table::"shop.public.orders")
  when { context.actor == "" || context.actor == "corp-triage-bot" && context.actors.contains("corp-router") && context.scopes.contains("db.write") && context.issuer like "http://*" && context.acr == "gold" };
@id("raw") permit (principal in Group::"askers", action == Action::"reveal", resource in Connection::"shop");
`

// previewWorld is a gateway with a provider, of which ada is logged in there, from the region r1.
func previewWorld(t *testing.T) (w *world, idp *testidp.Provider, change func(*Config)) {
	t.Helper()
	idp = testidp.New(t)
	idp.Login(&testidp.User{Subject: "1", ACR: "gold", Claims: map[string]any{"name": "ada", "groups": []string{"askers"}, "region": "r1"}})
	idp.Client("triage-bot", "")
	change = func(c *Config) {
		c.Approvals.Wait = -1
		c.Audience = askedAudience
		c.Labels = []access.LabelRule{{Label: "pii.ssn", Columns: []string{"*.secrets.v"}}}
		c.Policies = []PolicyFile{{Name: "preview.cedar", Text: previewPolicy}}
		c.Providers = []access.Provider{{Name: "corp", Issuer: idp.Issuer, ClientID: testidp.ClientID, Prefix: "corp-", UserClaim: "name", GroupsClaim: "groups", Attributes: map[string]string{"region": "region"},
			Actors: []string{"triage-bot", "router"}, Scopes: map[string][]access.Action{"db.write": {access.ActRead, access.ActWrite}}}}
	}
	return heldWorld(t, change), idp, change
}

// asks has somebody send a statement that waits, and gives its request.
func (w *world) asks(s *Session, sql string) string {
	w.t.Helper()
	_, err := s.Query(context.Background(), Query{SQL: sql, Reason: "look at what a preview says"})
	if id := access.AsError(err).Review; id != "" {
		return id
	}
	w.t.Fatalf("%s does not wait: %v", sql, err)
	return ""
}

func (w *world) preview(id string) (*Preview, error) {
	w.t.Helper()
	p, err := w.gw.Verify(context.Background(), access.Password{User: "keeper", Secret: "pw-keeper"})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.gw.PreviewReview(context.Background(), p, id)
}

// ada logs in as the command does.
func (w *world) ada(idp *testidp.Provider) Issued {
	w.t.Helper()
	text, nonce := request(w.t)
	got, err := w.gw.Issue(context.Background(), Login{Door: access.DoorWeb, Client: "127.0.0.1:9", Credentials: access.IDToken{Provider: "corp", Token: idp.IDToken(nonce), Nonce: nonce}}, text)
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

// certified connects by the certificate of a log-in.
func (w *world) certified(i Issued) *Session {
	w.t.Helper()
	s, err := w.enter(certificate(i.Principal.Name, i))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { s.Close() })
	return s
}

func (w *world) bot(idp *testidp.Provider) *Session {
	w.t.Helper()
	token := idp.AccessToken(askedAudience, map[string]any{"client_id": "triage-bot", "scope": "db.write", "act": map[string]any{"sub": "triage-bot", "act": map[string]any{"sub": "router"}}})
	s, err := w.gw.Connect(context.Background(), Login{Door: access.DoorMCP, Connection: "shop", Credentials: access.Bearer(token)})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { s.Close() })
	return s
}

const (
	previewWrite = "update orders set amount = -1 where customer_id in (select id from customers)"
	previewRead  = "select id from secrets where v = 'abc'"
	seesRaw      = "v = 'abc'"
)

func TestPreviewIsMadeAsWhoAskedByAProvider(t *testing.T) {
	w, idp, change := previewWorld(t)
	ada := w.certified(w.ada(idp))
	bot := w.bot(idp)
	type want struct {
		who, id string
		rows    int64 // orders of the region that the provider gave; 0 for a read
		raw     bool
	}
	wants := []want{
		{"ada writes", w.asks(ada, previewWrite), 1250, false},
		{"ada reads", w.asks(ada, previewRead), 0, true},
		{"an agent writes for her", w.asks(bot, previewWrite), 1250, false},
		{"an agent reads for her, whose token does not let it reveal", w.asks(bot, previewRead), 0, false},
	}
	see := func() {
		t.Helper()
		for _, c := range wants {
			p, err := w.preview(c.id)
			if err != nil || p.Why != "" || p.Affected != c.rows || p.Counted != (c.rows > 0) || strings.Contains(p.Plan, "region = 'r1'") != (c.rows > 0) || strings.Contains(p.Plan, seesRaw) != c.raw {
				t.Errorf("%s: %+v %v", c.who, p, err)
			}
		}
	}
	see()
	var opened []*access.Record
	for _, r := range w.kinds(access.RecordOpen) {
		if strings.HasPrefix(r.Client, "preview of") {
			opened = append(opened, r)
		}
	}
	if len(opened) != 4 {
		t.Fatalf("%d sessions are on record", len(opened))
	}
	if r := opened[3]; r.Principal != "corp-ada" || r.Actor != "corp-triage-bot" || !slices.Equal(r.Behind, []string{"corp-router"}) || r.Proof == nil || r.Proof.Issuer != idp.Issuer || !slices.Equal(r.Proof.Scopes, []string{"db.write"}) {
		t.Errorf("%+v %+v", r, r.Proof)
	}
	if n := w.behind("select count(*)::text from orders where amount = -1"); n != "0" {
		t.Errorf("%s rows were changed", n)
	}
	// After a restart it is as they were, and so are the groups and attributes, though the provider says others by now to who has not come in with them.
	w.gw.Close()
	idp.Login(&testidp.User{Subject: "1", ACR: "gold", Claims: map[string]any{"name": "ada", "groups": []string{"askers", "others"}, "region": "r2"}})
	idp.Clock(func() time.Time { return time.Now().Add(5 * time.Second) }) // tokens know whole seconds
	w.openHeld(change)
	see()
	// Those of somebody who has come in with others meanwhile are not had again.
	w.ada(idp)
	for _, c := range wants {
		if p, err := w.preview(c.id); err == nil || !strings.Contains(err.Error(), "groups changed") {
			t.Errorf("%s: %+v %v", c.who, p, err)
		}
	}
}

func TestNoPreviewForWhomNothingProvesAnyMore(t *testing.T) {
	w, idp, change := previewWorld(t)
	no := func(id, why string) {
		t.Helper()
		if p, err := w.preview(id); err == nil || access.AsError(err).Kind != access.Denied || !strings.Contains(err.Error(), why) {
			t.Errorf("%+v %v, not %q", p, err, why)
		}
	}
	got := w.ada(idp)
	own := w.asks(w.certified(got), previewWrite)
	if _, err := w.gw.Revoke(context.Background(), access.Principal{Name: "keeper"}, access.Revocation{Principal: "corp-ada", Credential: got.Credential, Cause: "logged out"}); err != nil {
		t.Fatal(err)
	}
	no(own, "does not hold any more: logged out")

	// A token that has come to its end has not been withdrawn; one whose session at the provider has ended was.
	idp.Lifetime(4 * time.Second)
	s := w.bot(idp)
	late := w.asks(s, previewWrite)
	<-s.gone
	if p, err := w.preview(late); err != nil || p.Affected != 1250 {
		t.Errorf("%+v %v", p, err)
	}
	if err := w.gw.BackchannelLogout(context.Background(), "192.0.2.9:1", idp.LogoutToken()); err != nil {
		t.Fatal(err)
	}
	no(late, "does not hold any more: logged out")

	// A principal of the configuration, of whom it says something else now.
	r := w.asks(w.loginAt(access.DoorMCP, "asker"), "update orders set amount = -1 where id = 7")
	w.gw.Close()
	w.openHeld(func(c *Config) {
		change(c)
		for i := range c.Principals {
			if c.Principals[i].Name == "asker" {
				c.Principals[i].Groups = []string{"askers", "others"}
			}
		}
	})
	no(r, "does not hold any more: the configuration was changed")
}
