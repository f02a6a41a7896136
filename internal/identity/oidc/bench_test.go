package oidc

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/testidp"
)

const door = "https://sallyport.example.com/mcp"

// clock is what the gateway and the provider go by.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

type bench struct {
	*testing.T
	idp *testidp.Provider
	ps  *Providers
	*clock
	log *bytes.Buffer
}

func conf(idp *testidp.Provider) access.Provider {
	return access.Provider{Name: "corp", Issuer: idp.Issuer, ClientID: testidp.ClientID, UserClaim: "preferred_username", GroupsClaim: "groups",
		Agents: []string{"bot"}, Actors: []string{"triage-bot", "router"}, Attributes: map[string]string{"tenant": "org.tenant"}}
}

func newBench(t *testing.T, edits ...func(*access.Provider)) *bench {
	t.Helper()
	b := &bench{T: t, idp: testidp.New(t), clock: &clock{at: time.Now().Truncate(time.Second)}, log: &bytes.Buffer{}}
	b.idp.Clock(b.now)
	b.idp.Login(&testidp.User{Subject: "u-1", ACR: "2", AMR: []string{"pwd", "hwk"}, Claims: map[string]any{"preferred_username": "ada", "email": "ada@example.com",
		"email_verified": true, "groups": []string{"support", "eng"}, "org": map[string]any{"tenant": 7}}})
	p := conf(b.idp)
	for _, edit := range edits {
		edit(&p)
	}
	b.open(p)
	return b
}

func (b *bench) open(list ...access.Provider) {
	b.Helper()
	ps, err := Open(Options{Providers: list, Audience: door, Now: b.now, Log: slog.New(slog.NewTextHandler(b.log, nil)), From: b.ps})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { ps.Close() })
	b.ps = ps
}

// good demands that a token is taken.
func (b *bench) good(raw string) Said {
	b.Helper()
	said, err := b.ps.Access(context.Background(), raw)
	if err != nil {
		b.Fatalf("refused: %v", err)
	}
	return said
}

// failed demands that err is a refusal by a check, and one that tells a client nothing but whether to come again with the same.
func failed(t *testing.T, err error, want Check) {
	t.Helper()
	var e *access.Error
	r, ok := errors.AsType[*Refusal](err)
	if !ok || !errors.As(err, &e) || e.Hint == "" {
		t.Fatalf("got %v, which is no refusal", err)
	}
	if r.Check != want || want == Keys && !r.Later {
		t.Errorf("refused for %v, want %s", r, want)
	}
	if r.Later {
		if e.Kind != access.Unavailable || e.Code != "57P03" || !strings.HasSuffix(e.Message, "token cannot be checked at the moment") {
			t.Errorf("a client is told %q (%s, %s) where nothing is known of its token", e.Message, e.Kind, e.Code)
		}
		return
	}
	if e.Kind != access.Denied || e.Code != "28000" {
		t.Errorf("%s, %s", e.Kind, e.Code)
	}
	if kinds := []string{"the access token is not valid", "the identity token is not valid", "the logout token is not valid"}; e.Message != kinds[0] && e.Message != kinds[1] && e.Message != kinds[2] {
		t.Errorf("a client is told %q", e.Message)
	}
}

func newKey(t *testing.T, alg string) *testidp.Key {
	t.Helper()
	k, err := testidp.NewKey(alg)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

type claims = map[string]any
