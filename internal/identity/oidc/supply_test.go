package oidc

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/testidp"
	"sallyport/internal/testidp/forge"
)

// again opens Providers of a changed configuration, as a reload does, and closes those of before.
func (b *bench) again(edit func(*access.Provider)) {
	b.Helper()
	p, before := conf(b.idp), b.ps
	edit(&p)
	b.open(p)
	if err := before.Close(); err != nil {
		b.Fatal(err)
	}
}

func TestKeysOutliveAReload(t *testing.T) {
	b := newBench(t)
	b.idp.Lifetime(24 * time.Hour)
	token := b.idp.AccessToken(door)
	b.good(token)
	b.idp.Down(true)
	b.again(func(p *access.Provider) { p.Groups = map[string]string{"eng": "engineers"} })
	if got := b.good(token).Principal.Groups; !slices.Equal(got, []string{"engineers"}) {
		t.Errorf("groups %q are not those of the configuration of now", got)
	}
	b.pass(defaultRefresh + Grace)
	b.again(func(*access.Provider) {})
	b.good(token)
	b.pass(time.Second) // they have become no younger
	_, err := b.ps.Access(ctx, token)
	failed(t, err, Keys)
}

// What tokens may make the gateway ask of a provider is not more for being reloaded.
func TestBoundsOnFetchingOutliveAReload(t *testing.T) {
	b := newBench(t)
	b.good(b.idp.AccessToken(door))
	for i := range 10 {
		bad := forge.Mint(b.idp, b.idp.AccessClaims(door), forge.Shape{Header: claims{"typ": "at+jwt", "kid": "gone" + string(rune('a'+i))}})
		_, err := b.ps.Access(ctx, bad)
		failed(t, err, Signature)
		b.again(func(*access.Provider) {})
	}
	if got := b.idp.Fetches(); got != mostFetches {
		t.Errorf("%d fetches within a minute", got)
	}
	gone := forge.Mint(b.idp, b.idp.AccessClaims(door), forge.Shape{Header: claims{"typ": "at+jwt", "kid": "gonea"}})
	b.pass(fetchWindow)
	b.ps.Access(ctx, gone)
	if got := b.idp.Fetches(); got != mostFetches {
		t.Errorf("a key id that is known to be unknown was asked for again")
	}
}

// What keys hang on is not what it was: they are fetched anew.
func TestKeysOfAnotherDefinitionAreNotTaken(t *testing.T) {
	secure := testidp.NewTLS(t)
	ca := t.TempDir() + "/ca.pem"
	writeFile(t, ca, secure.CA())
	for name, edit := range map[string]func(*access.Provider){
		"name":         func(p *access.Provider) { p.Name = "other" },
		"certificates": func(p *access.Provider) { p.CAFile = ca },
		"refresh":      func(p *access.Provider) { p.Refresh = time.Hour },
		"algorithms":   func(p *access.Provider) { p.Algorithms = []string{"ES256"} },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.good(b.idp.AccessToken(door))
			b.again(edit)
			b.good(b.idp.AccessToken(door))
			if got := b.idp.Fetches(); got != 2 {
				t.Errorf("%d fetches", got)
			}
		})
	}
}

// A configuration that is refused takes nothing from the one in force, and what both have ends with the last.
func TestSupplyEndsWithItsLastUser(t *testing.T) {
	b := newBench(t)
	b.good(b.idp.AccessToken(door))
	twice := conf(b.idp)
	if _, err := Open(Options{Providers: []access.Provider{twice, twice}, Audience: door, Now: b.now, From: b.ps}); err == nil {
		t.Fatal("opened")
	}
	b.pass(defaultRefresh)
	b.good(b.idp.AccessToken(door)) // with keys that were fetched again
	first := b.ps
	b.again(func(*access.Provider) {})
	second := b.ps
	first.Close() // once more
	b.pass(defaultRefresh)
	b.good(b.idp.AccessToken(door))
	if n := b.idp.Fetches(); n != 3 {
		t.Fatalf("%d fetches", n)
	}
	second.Close()
	b.pass(defaultRefresh + Grace + time.Second)
	_, err := second.Access(ctx, b.idp.AccessToken(door))
	failed(t, err, Keys)
	if n := b.idp.Fetches(); n != 3 {
		t.Error("something is fetched after the end")
	}
	b.open(conf(b.idp)) // from what is closed
	b.good(b.idp.AccessToken(door))
}

// While the provider does not answer, what it publishes by now is not known: that is no word about a token by a key of now.
func TestNewKeyWhileTheProviderIsDown(t *testing.T) {
	b := newBench(t)
	old := b.idp.AccessToken(door)
	b.good(old)
	b.idp.SetKeys(newKey(t, "ES256"), b.idp.Key())
	token := b.idp.AccessToken(door)
	b.idp.Down(true)
	for range 3 {
		_, err := b.ps.Access(ctx, token)
		failed(t, err, Keys)
	}
	b.good(old)
	b.idp.Down(false)
	b.pass(fetchWindow)
	b.good(token)
}

func TestSourcesThatDoNotAnswer(t *testing.T) {
	b := newBench(t)
	n := 0
	token := func() string {
		n++
		return b.idp.AccessToken(door, claims{"groups": nil, "_claim_names": claims{"groups": "src"}, "_claim_sources": claims{"src": claims{"endpoint": b.idp.Issuer + "/claims", "access_token": string(rune('a' + n))}}})
	}
	for status, later := range map[int]bool{http.StatusInternalServerError: true, http.StatusServiceUnavailable: true, http.StatusTooManyRequests: true,
		http.StatusUnauthorized: false, http.StatusForbidden: false, http.StatusNotFound: false, http.StatusNoContent: false} {
		b.idp.Handle("/claims", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		_, err := b.ps.Access(ctx, token())
		failed(t, err, Claims)
		if e := access.AsError(err); (e.Kind == access.Unavailable) != later {
			t.Errorf("%d: %s", status, e.Kind)
		}
	}

	// Who waits for a place does so for as long as they said, and no longer.
	room := b.ps.list[0].answers.room
	for range cap(room) {
		room <- struct{}{}
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err := b.ps.AccessToken(short, token())
	failed(t, err, Claims)
	if e := access.AsError(err); e.Kind != access.Unavailable || time.Since(begun) > fetchTime/2 {
		t.Errorf("%s after %s", e.Kind, time.Since(begun))
	}
	<-room

	// What is asked is asked to the end where its asker goes away, and known when they come again.
	begunAsking, answer := make(chan struct{}), make(chan struct{})
	asked := 0
	b.idp.Handle("/claims", func(w http.ResponseWriter, _ *http.Request) {
		asked++
		close(begunAsking)
		<-answer
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"groups":["far"]}`))
	})
	raw := token()
	leaving, leave := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); b.ps.AccessToken(leaving, raw) }()
	<-begunAsking
	leave()
	close(answer)
	<-done
	if got := b.good(raw).Principal.Groups; !slices.Equal(got, []string{"far"}) || asked != 1 {
		t.Errorf("%q, asked %d times", got, asked)
	}
}
