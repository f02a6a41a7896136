package web

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
)

// slowPost sends the header of a request, waits while meanwhile runs, and then sends its body.
func (w *world) slowPost(path, body, kind string, header map[string]string, meanwhile func()) (*http.Response, string) {
	w.t.Helper()
	at, _ := url.Parse(w.http.URL)
	c, err := net.Dial("tcp", at.Host)
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n", path, at.Host, kind, len(body))
	for k, v := range header {
		fmt.Fprintf(c, "%s: %s\r\n", k, v)
	}
	fmt.Fprint(c, "\r\n"+body[:1])
	time.Sleep(500 * time.Millisecond) // the credentials are looked at
	meanwhile()
	fmt.Fprint(c, body[1:])
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	return res, string(text)
}

// Whoever is withdrawn while the body of a request of theirs is on its way is not who they were when it is there.
func TestWithdrawnBeforeTheirBodyCame(t *testing.T) {
	boss := access.Principal{Name: "boss", Kind: access.Human}
	withdraw := func(w *world, name string) {
		if _, err := w.gw.Revoke(context.Background(), boss, access.Revocation{Principal: name, Before: time.Now(), Cause: "in foreign hands"}); err != nil {
			w.t.Fatal(err)
		}
	}
	form := func(w *world, b *browser, path string, f url.Values, meanwhile func()) (*http.Response, string) {
		f.Set("csrf", b.csrf)
		at, _ := url.Parse(w.http.URL)
		return w.slowPost(path, f.Encode(), "application/x-www-form-urlencoded",
			map[string]string{"Cookie": b.c.Jar.Cookies(at)[0].String(), "Sec-Fetch-Site": "same-origin"}, meanwhile)
	}
	t.Run("page", func(t *testing.T) {
		w := newWorld(t, nil)
		r := w.wish("asker", write, nil)
		b := w.login("keeper")
		res, body := form(w, b, "/reviews/"+r.ID+"/approve", decisionOn(r), func() { withdraw(w, "keeper") })
		if got, _ := w.gw.Review(r.ID); got.State != "pending" || res.StatusCode < 300 {
			t.Errorf("%s %.80q: %s", res.Status, body, got.State)
		}
		// A log-out of this browser alone withdraws no proof; the log-in has ended all the same.
		b = w.login("keeper")
		form(w, b, "/reviews/"+r.ID+"/approve", decisionOn(r), func() { b.post("/logout", url.Values{}) })
		if got, _ := w.gw.Review(r.ID); got.State != "pending" {
			t.Errorf("after the log-out: %s", got.State)
		}
		// Control: who stays who they are decides, however slow they type.
		b = w.login("keeper")
		if res, body := form(w, b, "/reviews/"+r.ID+"/approve", decisionOn(r), func() {}); res.StatusCode != http.StatusSeeOther {
			t.Errorf("in force: %s %.200q", res.Status, body)
		}
		if got, _ := w.gw.Review(r.ID); got.State != "approved" {
			t.Errorf("in force: %s", got.State)
		}
	})
	t.Run("program", func(t *testing.T) {
		w := newWorld(t, nil)
		post := func(path, body string, meanwhile func()) (int, string) {
			res, text := w.slowPost(path, body, "application/json", map[string]string{"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte("keeper:pw-keeper"))}, meanwhile)
			return res.StatusCode, text
		}
		for _, verdict := range []string{"approve", "deny"} {
			r := w.wish("asker", strings.Replace(write, "7", fmt.Sprint(len(verdict)), 1), nil)
			body := fmt.Sprintf(`{"revision":%d,"justification":"looked at the ticket"}`, r.Revision)
			status, text := post("/api/v1/reviews/"+r.ID+"/"+verdict, body, func() {
				if _, err := w.gw.Revoke(context.Background(), boss, access.Revocation{Principal: "keeper", Cause: "in foreign hands"}); err != nil {
					t.Fatal(err)
				}
			})
			if got, _ := w.gw.Review(r.ID); got.State != "pending" || status != http.StatusUnauthorized {
				t.Errorf("%s: %d %.80q: %s", verdict, status, text, got.State)
			}
			if err := w.gw.Restore(boss, access.Revocation{Principal: "keeper", Cause: "found"}); err != nil {
				t.Fatal(err)
			}
			if status, text := post("/api/v1/reviews/"+r.ID+"/"+verdict, body, func() {}); status != http.StatusOK {
				t.Errorf("%s, in force: %d %.200q", verdict, status, text)
			}
		}
	})
	t.Run("others", func(t *testing.T) {
		w := newWorld(t, nil)
		r := w.wish("asker", write, nil)
		led := func(res *http.Response) bool {
			return res.StatusCode == http.StatusSeeOther && strings.HasPrefix(res.Header.Get("Location"), "/login")
		}
		// The end of a proof reaches its session a moment later than the core, which may be the one that refuses.
		ended := func(res *http.Response, body string) bool {
			return led(res) || res.StatusCode == http.StatusForbidden && strings.Contains(body, "does not hold any more")
		}
		for path, who := range map[string]string{"/reviews/" + r.ID + "/preview": "keeper", "/live/s_x/end": "operator", "/policy": "operator"} {
			b := w.login(who)
			if res, body := form(w, b, path, url.Values{"x": {"y"}}, func() { withdraw(w, who) }); !ended(res, body) {
				t.Errorf("%s: %s to %q %.120q", path, res.Status, res.Header.Get("Location"), body)
			}
			// Control: who stays who they are is not led to the log-in.
			b = w.login(who)
			if res, _ := form(w, b, path, url.Values{"x": {"y"}}, func() {}); led(res) {
				t.Errorf("%s, in force: %s", path, res.Status)
			}
		}
		// A withdrawal would end the request by itself: the log-in ends alone.
		cancel := "/reviews/" + r.ID + "/cancel"
		b := w.login("asker")
		res, body := form(w, b, cancel, url.Values{}, func() { b.post("/logout", url.Values{}) })
		if got, _ := w.gw.Review(r.ID); got.State != "pending" || !led(res) {
			t.Errorf("%s to %q %.120q: %s", res.Status, res.Header.Get("Location"), body, got.State)
		}
		res, body = form(w, w.login("asker"), cancel, url.Values{}, func() {})
		if got, _ := w.gw.Review(r.ID); got.State == "pending" || res.StatusCode != http.StatusSeeOther || led(res) {
			t.Errorf("in force: %s to %q %.120q: %s", res.Status, res.Header.Get("Location"), body, got.State)
		}
	})
}

// The core refuses whose proof has ended, whatever a door found out before.
func TestDecidedByWhoWasWithdrawn(t *testing.T) {
	w := newWorld(t, nil)
	r := w.wish("asker", write, nil)
	p, err := w.gw.Verify(context.Background(), access.Password{User: "keeper", Secret: "pw-keeper"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.gw.Revoke(context.Background(), access.Principal{Name: "boss", Kind: access.Human}, access.Revocation{Principal: "Keeper", Before: time.Now(), Cause: "in foreign hands"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.gw.Decide(context.Background(), p, r.ID, r.Revision, gateway.ReviewVote{Verdict: "approve", Justification: "looked at the ticket"}); err == nil || !strings.Contains(err.Error(), "in foreign hands") {
		t.Errorf("%v", err)
	}
	asker, err := w.gw.Verify(context.Background(), access.Password{User: "asker", Secret: "pw-asker"})
	if err != nil {
		t.Fatal(err)
	}
	asker.Proof.Against = "another password"
	if _, err := w.gw.WithdrawReview(context.Background(), asker, r.ID); err == nil {
		t.Error("withdrawn")
	}
}

// A body that does not come holds its place for a short time only.
func TestSlowBodies(t *testing.T) {
	w := newWorld(t, nil)
	at, _ := url.Parse(w.http.URL)
	c, err := net.Dial("tcp", at.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	began := time.Now()
	fmt.Fprintf(c, "POST /login HTTP/1.1\r\nHost: %s\r\nSec-Fetch-Site: same-origin\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nuser=", at.Host)
	c.SetReadDeadline(began.Add(bodyTime + 30*time.Second))
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if took := time.Since(began); res.StatusCode != http.StatusBadRequest || took < bodyTime-time.Second {
		t.Errorf("%d after %s", res.StatusCode, took)
	}
}

// An answer that takes longer than a body may is not cut by the time for that.
func TestAnswersAfterTheBody(t *testing.T) {
	done := make(chan error, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		whole(w, r)
		io.Copy(io.Discard, r.Body)
		select {
		case <-r.Context().Done():
			done <- r.Context().Err()
		case <-time.After(bodyTime + 500*time.Millisecond):
			done <- nil
		}
	}))
	defer srv.Close()
	res, err := http.Post(srv.URL, "text/plain", strings.NewReader("x"))
	if err == nil {
		res.Body.Close()
		err = <-done
	}
	if err != nil {
		t.Error(err)
	}
}
