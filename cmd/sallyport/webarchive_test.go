package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/config"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/testdb"
	"sallyport/internal/testidp"
	"sallyport/internal/web"
)

// archiveCore opens a core of staff, whose writes wait for keepers, with the archive of its web door.
func archiveCore(t *testing.T, change func(*gateway.Config)) (*gateway.Gateway, *web.Archive) {
	t.Helper()
	dir := t.TempDir()
	policy := `@id("all") permit (principal in Group::"staff", action in [Action::"connect", Action::"read"], resource);
@id("held") @review("keepers") permit (principal in Group::"staff", action == Action::"write", resource);`
	text := fmt.Sprintf(`data_dir: data
listen: {pgwire: {address: "127.0.0.1:0"}}
connections: {shop: {driver: postgres, dsn: %q}}
policies: [policy.cedar]
approvals: {wait: 0s}
principals:
  ada: {kind: human, groups: [staff], secret: %q}
  bob: {kind: human, groups: [staff], secret: %[2]q}
`, testdb.Shared(t).NewDatabase(t, "create table t(a int)"), identity.HashPassword("pw"))
	for name, text := range map[string]string{"sallyport.yaml": text, "policy.cedar": policy} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := config.Load(filepath.Join(dir, "sallyport.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	conf := coreConfig(cfg, log)
	change(&conf)
	core, err := gateway.Open(t.Context(), conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { core.Close() })
	return core, archive(core, cfg, log)
}

// What people asked for stands in a session of the gateway's own: who sees their requests in it is given the replay of these, and of nobody else's.
func TestReplayIsOfWhatOneDid(t *testing.T) {
	ctx := t.Context()
	core, a := archiveCore(t, func(*gateway.Config) {})
	for name, n := range map[string]int{"ada": 4711, "bob": 4712} {
		s, err := core.Connect(ctx, gateway.Login{Door: access.DoorPGWire, Connection: "shop", Credentials: access.Password{User: name, Secret: "pw"}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Query(ctx, gateway.Query{SQL: "select a from t"}); err != nil {
			t.Fatal(err)
		}
		_, err = s.Query(ctx, gateway.Query{SQL: fmt.Sprintf("insert into t values (%d)", n), Reason: "what " + name + " wants"})
		var e *access.Error
		if !errors.As(err, &e) || e.Review == "" {
			t.Fatalf("%s: %v, want a request", name, err)
		}
		s.Close()
	}
	replay := func(session, name string) string {
		var b bytes.Buffer
		var of *access.Principal
		if name != "" {
			of = &access.Principal{Name: name}
		}
		if err := a.Replay(context.Background(), &b, session, of); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	session := func(kind access.RecordKind) string {
		page, err := a.Find(ctx, web.RecordQuery{Principal: "ada", Kind: string(kind), Limit: 1})
		if err != nil || len(page.Records) != 1 {
			t.Fatalf("%v of ada: %+v %v", kind, page, err)
		}
		return page.Records[0].Session
	}
	requests := session(access.RecordReview)
	if all := replay(requests, ""); !strings.Contains(all, "4711") || !strings.Contains(all, "4712") {
		t.Fatalf("the session has not the requests of both: %s", all)
	}
	if got := replay(requests, "ada"); !strings.Contains(got, "4711") || strings.Contains(got, "4712") || strings.Contains(got, "bob") {
		t.Errorf("ada's replay: %s", got)
	}
	// One's own session is whole either way.
	if own := session(access.RecordOpen); replay(own, "ada") != replay(own, "") || !strings.Contains(replay(own, "ada"), "select a from t") {
		t.Errorf("of one's own session something is missing: %s", replay(own, "ada"))
	}
}

// A provider's account that has a name now sees nothing that another account of the name did before, whose records have the name alone.
func TestRecordsAreOfAPersonAndNotOfAName(t *testing.T) {
	ctx, idp := t.Context(), testidp.New(t)
	core, a := archiveCore(t, func(c *gateway.Config) {
		c.Providers = []access.Provider{{Name: "corp", Issuer: idp.Issuer, ClientID: testidp.ClientID, Audiences: []string{"gate"}, Clients: []string{testidp.ClientID}, UserClaim: "preferred_username", Prefix: "corp-",
			GroupsClaim: "groups", Groups: map[string]string{"staff": "staff"}}}
	})
	as := func(subject, reason string) access.Principal {
		t.Helper()
		idp.Login(&testidp.User{Subject: subject, Claims: map[string]any{"preferred_username": "ada", "groups": []string{"staff"}}})
		token := access.Bearer(idp.AccessToken("gate"))
		task, err := core.StartTask(ctx, access.DoorMCP, token, "goal of "+reason, "")
		if err != nil {
			t.Fatal(err)
		}
		s, err := core.Connect(ctx, gateway.Login{Door: access.DoorMCP, Connection: "shop", Credentials: token})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := s.Query(ctx, gateway.Query{SQL: "select a from t", Reason: reason, Task: task}); err != nil {
			t.Fatal(err)
		}
		_, err = s.Query(ctx, gateway.Query{SQL: "insert into t values (1)", Reason: reason, Task: task})
		var e *access.Error
		if !errors.As(err, &e) || e.Review == "" {
			t.Fatalf("%v, want a request", err)
		}
		return access.Principal{Name: "corp-ada", Proof: access.Proof{Issuer: idp.Issuer, Subject: subject}}
	}
	first, second := as("1", "errandone"), as("2", "errandtwo")
	all, err := a.Find(ctx, web.RecordQuery{Principal: "corp-ada", Limit: 100})
	if err != nil || len(all.Records) < 10 || all.Next != 0 {
		t.Fatalf("%d records, %v", len(all.Records), err)
	}
	seen := map[uint64]int{}
	for _, who := range []access.Principal{first, second, {Name: "corp-ada"}, {Name: "corp-ada", Proof: access.Proof{Issuer: "https://other.example", Subject: "1"}}} {
		page, err := a.Find(ctx, web.RecordQuery{Of: &who, Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		kinds := map[access.RecordKind]int{}
		for _, r := range page.Records {
			seen[r.Position]++
			kinds[r.Kind]++
			var b bytes.Buffer
			if err := a.Replay(ctx, &b, r.Session, &who); err != nil || strings.Contains(b.String(), "errandone") && who.Proof.Subject != "1" || strings.Contains(b.String(), "errandtwo") && who.Proof.Subject != "2" {
				t.Errorf("the replay of %s for %+v: %v %s", r.Session, who, err, b.String())
			}
		}
		for _, kind := range []access.RecordKind{access.RecordOpen, access.RecordTask, access.RecordStatement, access.RecordRefused, access.RecordReview, access.RecordClose} {
			if (kinds[kind] > 0) != (who.Proof.Issuer == idp.Issuer) {
				t.Errorf("%+v is shown %d records of kind %s", who.Proof, kinds[kind], kind)
			}
		}
	}
	for _, r := range all.Records {
		if seen[r.Position] != 1 {
			t.Errorf("record %d (%s) is shown to %d", r.Position, r.Kind, seen[r.Position])
		}
	}
	// A page that is full of others' records goes on to one's own.
	if page, err := a.Find(ctx, web.RecordQuery{Of: &first, Limit: 2}); err != nil || len(page.Records) == 0 {
		t.Errorf("%+v %v", page, err)
	}
}
