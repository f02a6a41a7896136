package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
	"sallyport/internal/identity"
	"sallyport/internal/testdb"
)

// The door for people, opened as `serve` does, over a record that this gateway has written.
func TestWebDoor(t *testing.T) {
	dir := t.TempDir()
	policy := `@id("all") permit (principal in Group::"staff", action in [Action::"connect", Action::"read"], resource);`
	file := filepath.Join(dir, "sallyport.yaml")
	text := fmt.Sprintf(`data_dir: data
listen: {web: {address: "127.0.0.1:0", auditors: [auditors], operators: [operators]}, pgwire: {address: "127.0.0.1:0"}}
connections: {shop: {driver: postgres, dsn: %q}}
policies: [policy.cedar]
principals:
  ada: {kind: human, groups: [staff, auditors], secret: %q}
  olga: {kind: human, groups: [operators], secret: %q}
`, testdb.Shared(t).NewDatabase(t, "create table t(a int)"), identity.HashPassword("pw"), identity.HashPassword("pw"))
	g := openConfigured(t, file, text, policy)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.serve(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	s, err := g.core.Connect(ctx, gateway.Login{Door: access.DoorPGWire, Connection: "shop", Credentials: access.Password{User: "ada", Secret: "pw"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Query(ctx, gateway.Query{SQL: "select a from t", Reason: "to count what there is"}); err != nil {
		t.Fatal(err)
	}
	session := g.core.LiveSessions()[0].ID
	s.Close()

	jar, _ := cookiejar.New(nil)
	client := &http.Client{Jar: jar, Timeout: 30 * time.Second}
	base := "http://" + g.webLn.Addr().String()
	do := func(method, path string, form url.Values) (int, string, http.Header) {
		t.Helper()
		req, _ := http.NewRequest(method, base+path, strings.NewReader(form.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", base)
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(body), res.Header
	}
	if code, body, _ := do("POST", "/login", url.Values{"user": {"ada"}, "password": {"pw"}}); code != 200 || !strings.Contains(body, "Waiting for you") {
		t.Fatalf("log-in: %d %s", code, body)
	}
	// The first checkpoint is signed some time after the first record.
	for i := 0; ; i++ {
		code, body, _ := do("GET", "/record", nil)
		if code == 200 && strings.Contains(body, "records 1 to") && !strings.Contains(body, "records 1 to 0,") {
			break
		}
		if i > 300 {
			t.Fatalf("the record: %d %s", code, body)
		}
		time.Sleep(100 * time.Millisecond)
	}
	for path, want := range map[string]string{"/sessions": session, "/search?q=count": "select a from t", "/sessions/" + session: "to count what there is", "/sessions/" + session + "/replay": "select a from t",
		"/overview": "Activity by decision", "/search?principal=nobody": "Nothing recorded that matches", "/policy": "@id(&#34;all&#34;)"} {
		if code, body, _ := do("GET", path, nil); code != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d without %q: %.1500s", path, code, want, body)
		}
	}
	if code, body, h := do("GET", "/sessions/"+session+"/evidence", nil); code != 200 || !strings.HasPrefix(body, "PK") || h.Get("Content-Type") != "application/zip" {
		t.Errorf("evidence: %d %.500s", code, body)
	}
	policyInTheBrowser(t, dir, do, false)
	if code, body, _ := do("POST", "/login", url.Values{"user": {"olga"}, "password": {"pw"}}); code != 200 || !strings.Contains(body, "olga") {
		t.Fatalf("log-in: %d %s", code, body)
	}
	policyInTheBrowser(t, dir, do, true)
}
