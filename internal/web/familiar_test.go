package web

import (
	"context"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/access"
)

// again is where a page leads after a while.
var again = regexp.MustCompile(`content="` + strconv.Itoa(comeAgain) + `; url=([^"]+)"`)

// Whoever makes log-ins up can hold the places of an address. A browser in which its person has logged in before does not wait among them; another comes
// again by itself, with the log-in that it has begun.
func TestMadeUpLogInsKeepNobodyOut(t *testing.T) {
	w, _ := corpWorld(t, nil)
	const office = "203.0.113.9:1"
	known := w.corp()
	release := w.crowd(office)
	in := func(rec *httptest.ResponseRecorder) bool {
		return rec.Code == http.StatusOK && onward(rec.Body.String()) == "/"
	}
	if rec := known.back(t.Context(), "corp", office, nil); !in(rec) || !known.loggedIn() {
		t.Errorf("who has logged in in this browser before: %d %s", rec.Code, rec.Body)
	}

	stranger := w.browser()
	rec := stranger.back(t.Context(), "corp", office, nil)
	to := again.FindStringSubmatch(rec.Body.String())
	if rec.Code != http.StatusTooManyRequests || rec.Header().Get("Retry-After") != strconv.Itoa(comeAgain) || to == nil {
		t.Fatalf("who has no place is not led back: %d %s", rec.Code, rec.Body)
	}
	release()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if rec = stranger.from(t.Context(), office, html.UnescapeString(to[1])); in(rec) {
			break
		}
		if rec.Code != http.StatusTooManyRequests || time.Now().After(end) {
			t.Fatalf("who comes again does not come in: %d %s", rec.Code, rec.Body)
		}
	}
	if !stranger.loggedIn() {
		t.Error("nobody is logged in")
	}
}

// crowd holds the places of strangers at an address, until release.
func (w *world) crowd(address string) (release func()) {
	w.t.Helper()
	ctx, hangUp := context.WithCancel(context.Background())
	free, strangers := make(chan struct{}), w.srv.asked("corp", false)
	var crowd sync.WaitGroup
	release = sync.OnceFunc(func() { hangUp(); close(free); crowd.Wait() })
	w.t.Cleanup(release)
	for range queuedOfAddress {
		r := httptest.NewRequestWithContext(ctx, "GET", callbackPath, nil)
		r.RemoteAddr = address
		crowd.Go(func() { strangers.slowly(r, "", func() error { <-free; return errForm }) })
	}
	held := func() (n int) {
		strangers.mu.Lock()
		defer strangers.mu.Unlock()
		for key, g := range strangers.gates {
			if strings.HasPrefix(key, "from ") {
				n += g.at
			}
		}
		return n
	}
	for end := time.Now().Add(30 * time.Second); held() < queuedOfAddress; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("%d places are held", held())
		}
	}
	return release
}

// Tokens that are made up hold up nobody for whom the provider vouches: `sallyport login` has no cookie.
func TestMadeUpTokensKeepNobodyOut(t *testing.T) {
	w, idp := corpWorld(t, nil)
	w.crowd("127.0.0.1:1")
	if c := w.issue(idp); c.Principal != "corp-ada" {
		t.Errorf("%+v", c)
	}
	_, request, nonce := keyAndRequest(t, w.http.URL)
	if status, text := w.ask("POST", "/api/v1/credential", CredentialRequest{Provider: "corp", IDToken: "a.b.c", Nonce: nonce, Request: request}, nil, "", ""); status != http.StatusTooManyRequests {
		t.Errorf("a made-up one: %d %s", status, text)
	}
}

// Nobody is asked about an answer without a code, so that it takes no place.
func TestAnswersWithoutACodeTakeNoPlace(t *testing.T) {
	w, _ := corpWorld(t, nil)
	w.back(t.Context(), "corp", "203.0.113.9:1", func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") })
	w.back(t.Context(), "corp", "203.0.113.9:1", func(q url.Values) { q.Del("code") })
	if n := len(w.srv.flows.used); n != 0 || len(w.srv.asking) != 0 {
		t.Errorf("%d log-ins are noted, and %d providers would have been asked", n, len(w.srv.asking))
	}
}

func TestFamiliarBrowsers(t *testing.T) {
	w, _ := corpWorld(t, nil)
	f, now := w.srv.familiar, time.Now()
	ada := access.Principal{Name: "ada", Proof: access.Proof{Issuer: "https://i", Subject: "u1"}}
	c, err := f.cookie(ada, now)
	if err != nil {
		t.Fatal(err)
	}
	person := func(f *familiar, c http.Cookie, now time.Time) string {
		r := httptest.NewRequest("GET", callbackPath, nil)
		r.AddCookie(&c)
		return f.person(r, now)
	}
	first := person(f, *c, now)
	if first == "" || strings.Contains(first, "u1") || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" {
		t.Fatalf("%q by %+v", first, c)
	}
	// Another browser of the same person has the same places; another person, whatever they are called, has others.
	more, _ := f.cookie(ada, now.Add(time.Hour))
	ada.Proof.Subject = "u2"
	other, _ := f.cookie(ada, now)
	if person(f, *more, now) != first || more.Value == c.Value || person(f, *other, now) == first {
		t.Errorf("%q, %q, %q", first, person(f, *more, now), person(f, *other, now))
	}
	if person(f, *c, now.Add(familiarTime)) != "" {
		t.Error("it has no end")
	}
	bent := *c
	bent.Value = bent.Value[:len(bent.Value)-3] + "AAA"
	if bent.Value == c.Value {
		bent.Value = bent.Value[:len(bent.Value)-3] + "BBB"
	}
	if person(f, bent, now) != "" {
		t.Error("a changed one is taken")
	}
	// A door that is opened anew knows them; one of another gateway does not, and other purposes have other keys.
	srv, err := New(w.gw, w.srv.opt)
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	elsewhere := newWorld(t, nil)
	if person(srv.familiar, *c, now) != first || person(elsewhere.srv.familiar, *c, now) != "" || string(w.gw.SealKey("a")) == string(w.gw.SealKey("b")) {
		t.Error("the key is not that of the gateway")
	}
	// Over TLS nobody else can have set it.
	tls, err := newFamiliar(true, w.gw.SealKey("familiar browsers"))
	if err != nil {
		t.Fatal(err)
	}
	if c, err := tls.cookie(ada, now); err != nil || !c.Secure || !strings.HasPrefix(c.Name, "__Host-") {
		t.Errorf("%+v, %v", c, err)
	}
	// The cookie alone opens nothing.
	b := w.browser()
	jar, _ := url.Parse(w.http.URL)
	b.c.Jar.SetCookies(jar, []*http.Cookie{c})
	if b.loggedIn() {
		t.Error("somebody is logged in by it")
	}
}
