package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/testdb"
)

// The password of the gateway's role changes under a running gateway: new sessions have the new one, those that there are stay, and a
// database that refuses causes one reading, whoever waits for it.
func TestNewSessionsUseTheNewPassword(t *testing.T) {
	server := testdb.Run(t, testdb.Options{Password: "super-secret"})
	dsn := server.NewDatabase(t, testSchema+"create role app login superuser password 'one';")
	as := func(password string) string {
		return strings.Replace(dsn, "postgres:super-secret@", "app:"+password+"@", 1)
	}
	var now atomic.Pointer[string]
	var reads atomic.Int64
	set := func(password string) {
		if err := server.Exec(context.Background(), "postgres", "alter role app password '"+password+"'"); err != nil {
			t.Fatal(err)
		}
		next := as(password)
		now.Store(&next)
	}
	set("one")
	w := &world{t: t, dir: t.TempDir(), dsn: as("one")}
	c := w.config()
	c.DSN = func(_ context.Context, connection string) (string, error) {
		if connection != "shop" {
			return "", fmt.Errorf("asked for %s", connection)
		}
		reads.Add(1)
		return *now.Load(), nil
	}
	var err error
	if w.gw, err = Open(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.gw.Close() })
	const who = "dba"
	before := w.login(who)
	if reads.Load() != 0 {
		t.Errorf("read %d times although nothing was refused", reads.Load())
	}
	set("two")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, err := w.gw.dbs["shop"].dial(context.Background(), nil)
			if err != nil {
				t.Error(err)
				return
			}
			s.Close()
		})
	}
	wg.Wait()
	if n := reads.Load(); n != 1 {
		t.Errorf("a refusal had the DSN read %d times", n)
	}
	w.login(who)
	if a := w.query(before, "select 1"); !strings.Contains(fmt.Sprint(a), "1") {
		t.Errorf("the session of before: %v", a)
	}
	set("three") // within the ten seconds: a refusal has it read no more
	if _, err := w.gw.dbs["shop"].dial(context.Background(), nil); err == nil || access.AsError(err).Code != "08004" || reads.Load() != 1 {
		t.Errorf("%v, %d readings", err, reads.Load())
	}
	w.gw.RenewDSNs(context.Background()) // as SIGHUP does
	w.login(who)
}

// A DSN that is none, or leaves checks out that nobody has agreed to do without, leaves the one of before.
func TestABadDSNIsNotTaken(t *testing.T) {
	next := ""
	s := new(source)
	s.begin(access.Connection{Name: "shop", DSN: "host=/tmp"}, func(context.Context, string) (string, error) {
		if next == "" {
			return "", fmt.Errorf("the store is sealed")
		}
		return next, nil
	}, slog.New(slog.DiscardHandler))
	for _, next = range []string{"", "postgres://%", "host=db.example sslmode=require"} {
		if s.renewNow(context.Background()); s.get() != "host=/tmp" {
			t.Errorf("%q is taken", s.get())
		}
	}
	next = "host=db.example"
	if s.renewNow(context.Background()); s.get() != next {
		t.Error("a good one is not taken")
	}
}

// A client secret that was rotated is used without a restart; one that cannot be read leaves the old one, and nobody's session ends.
func TestClientSecretsAreReadAgain(t *testing.T) {
	w := newWorld(t)
	c := w.config()
	secret, broken := "one", false
	provider := access.Provider{Name: "corp", Issuer: "https://idp.example", ClientID: "gate", ClientSecret: "one", ReadSecret: func(context.Context) (string, error) {
		if broken {
			return "", fmt.Errorf("the store is sealed")
		}
		return secret, nil
	}}
	if _, err := w.gw.Reload(c.Policies, c.Principals, []access.Provider{provider}); err != nil {
		t.Fatal(err)
	}
	s := w.login("writer")
	defer s.Close()
	flow := w.gw.signIn.Load()
	is := func(want string, same bool) {
		t.Helper()
		w.gw.renewClientSecrets(context.Background())
		if got := (*w.gw.people.providers.Load())[0].ClientSecret; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if now := w.gw.signIn.Load(); (now == flow) != same || !now.passwords {
			t.Errorf("log-ins are as before: %v, passwords %v", now == flow, now.passwords)
		}
	}
	is("one", true)
	secret = "two"
	is("two", false)
	flow, broken = w.gw.signIn.Load(), true
	is("two", true)
	wantNoError(t, w.query(s, "select 1"))
}
