package web

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
)

// What somebody asked for before they were withdrawn, or had logged out, is not for them when it is there.
func TestWhoHasGoneIsShownNothing(t *testing.T) {
	var during func()
	w := newWorld(t, func(_ *gateway.Config, o *Options) {
		a := recorded().archive()
		find := a.Find
		a.Find = func(ctx context.Context, q RecordQuery) (RecordPage, error) { during(); return find(ctx, q) }
		a.Status = func(context.Context) ([]StatusLine, error) {
			during()
			return []StatusLine{{Key: "secret", Text: "line"}}, nil
		}
		o.Archive = a
	})
	boss := access.Principal{Name: "boss", Kind: access.Human}
	withdraw := func() {
		if _, err := w.gw.Revoke(context.Background(), boss, access.Revocation{Principal: "auditor", Before: time.Now(), Cause: "left"}); err != nil {
			t.Error(err)
		}
	}
	for _, page := range []string{"/record", "/search?q=select", "/sessions/s_1", "/sessions/s_1/evidence"} {
		during = func() {}
		b := w.login("auditor")
		if res, body := b.get(page); res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s %.200s", page, res.Status, body)
		}
		for name, leave := range map[string]func(){"withdrawn": withdraw, "logged out": func() { b.post("/logout", url.Values{}) }} {
			during = func() {}
			b = w.login("auditor")
			once := false
			during = func() {
				if !once {
					once = true
					leave()
				}
			}
			if res, body := b.get(page); res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(res.Header.Get("Location"), "/login") || !once {
				t.Errorf("%s, %s: %s %.200s", page, name, res.Status, body)
			}
			if b.loggedIn() {
				t.Errorf("%s, %s: still logged in", page, name)
			}
		}
	}
}

// A list that waits for news does not give them to who has gone meanwhile: their leaving may be what the news are about.
func TestNewsAreNotForWhoHasGone(t *testing.T) {
	w := newWorld(t, nil)
	w.wish("asker", write, nil)
	p, err := w.gw.Verify(t.Context(), access.Password{User: "keeper", Secret: "pw-keeper"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.gw.Revoke(context.Background(), access.Principal{Name: "boss", Kind: access.Human}, access.Revocation{Principal: "keeper", Before: time.Now().Add(time.Hour), Cause: "left"}); err != nil {
		t.Fatal(err)
	}
	// The moment in which the core knows and the session does not.
	c, err := w.srv.sessions.begin(&http.Request{Header: http.Header{}}, access.Principal{Name: "nobody"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	key := sessionKey(sha256.Sum256([]byte(c.Value)))
	w.srv.sessions.mu.Lock()
	w.srv.sessions.open[key].who = p
	w.srv.sessions.mu.Unlock()
	b := w.browser()
	jar, _ := url.Parse(w.http.URL)
	b.c.Jar.SetCookies(jar, []*http.Cookie{c})
	req, _ := http.NewRequest("GET", w.http.URL+"/reviews/live?seen=x", nil)
	req.Header.Set("HX-Request", "true")
	if res, body := b.do(req); res.StatusCode != http.StatusUnauthorized || strings.Contains(body, "asker") {
		t.Errorf("%s %.300s", res.Status, body)
	}
	if w.srv.sessions.at(key, false, time.Now()) != nil {
		t.Error("the session goes on")
	}
}

// Who reads a file slowly reads no more of it once they have gone.
func TestFilesEndWithTheLogIn(t *testing.T) {
	const size = 64 << 20
	w := newWorld(t, func(_ *gateway.Config, o *Options) {
		o.Archive = recorded().archive()
		o.Archive.Evidence = func(_ context.Context, w io.Writer, _ string) error {
			_, err := w.Write(make([]byte, size))
			return err
		}
	})
	b := w.login("auditor")
	req, _ := http.NewRequest("GET", w.http.URL+"/sessions/s_1/evidence", nil)
	res, err := b.c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.ReadFull(res.Body, make([]byte, 1000)); err != nil || res.ContentLength != size {
		t.Fatal(err, res.ContentLength)
	}
	b.post("/logout", url.Values{})
	if n, err := io.Copy(io.Discard, res.Body); err == nil {
		t.Errorf("%d more bytes to the end", n)
	}
}

// Nor is a program told what it asked for.
func TestProgramsThatHaveGoneAreToldNothing(t *testing.T) {
	w := newWorld(t, nil)
	r := w.wish("asker", write, nil)
	get := func(meanwhile func()) (int, string) {
		h := w.srv.program(func(v *visit) (any, error) { meanwhile(); return v.apiList() })
		rec := httptest.NewRecorder()
		req, _ := http.NewRequest("GET", "/api/v1/reviews", nil)
		req.RemoteAddr = "127.0.0.1:1"
		req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("keeper:pw-keeper")))
		h(rec, req)
		return rec.Code, rec.Body.String()
	}
	if status, text := get(func() {}); status != http.StatusOK || !strings.Contains(text, r.ID) {
		t.Fatalf("%d %s", status, text)
	}
	status, text := get(func() {
		if _, err := w.gw.Revoke(context.Background(), access.Principal{Name: "boss", Kind: access.Human}, access.Revocation{Principal: "keeper", Before: time.Now(), Cause: "left"}); err != nil {
			t.Error(err)
		}
	})
	if status != http.StatusUnauthorized || strings.Contains(text, r.ID) {
		t.Errorf("%d %s", status, text)
	}
}
