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
	"sallyport/internal/web"
)

// What people asked for stands in a session of the gateway's own: who sees their requests in it is given the replay of these, and of nobody else's.
func TestReplayIsOfWhatOneDid(t *testing.T) {
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
	ctx, log := t.Context(), slog.New(slog.DiscardHandler)
	core, err := gateway.Open(ctx, coreConfig(cfg, log))
	if err != nil {
		t.Fatal(err)
	}
	defer core.Close()
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
	a := archive(core, cfg, log)
	replay := func(session, principal string) string {
		var b bytes.Buffer
		if err := a.Replay(context.Background(), &b, session, principal); err != nil {
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
