package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/access"
)

// Providers tell of a log-out once, and of many at the same moment: none may be lost for that. What is refused takes a while, for who sends it alone.
func TestManyLogOutsAtOnce(t *testing.T) {
	w, idp := providerWorld(t)
	send := func(ctx context.Context, token, address string) (status int, took time.Duration) {
		r := httptest.NewRequest("POST", "/auth/backchannel-logout", strings.NewReader(url.Values{"logout_token": {token}}.Encode())).WithContext(ctx)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Host, r.RemoteAddr = "127.0.0.1", address
		rec, begun := httptest.NewRecorder(), time.Now()
		w.srv.Handler().ServeHTTP(rec, r)
		return rec.Code, time.Since(begun)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if _, took := send(ctx, "a.b.c", "10.0.0.3:9"); took < loginDelay {
		t.Errorf("a forged one was answered after %s", took)
	}
	var forged sync.WaitGroup
	for range logoutsQueued {
		forged.Go(func() {
			for ctx.Err() == nil {
				send(ctx, "a.b.c", "10.0.0.2:9")
			}
		})
	}
	places := func() int {
		w.srv.logouts.mu.Lock()
		defer w.srv.logouts.mu.Unlock()
		if s := w.srv.logouts.of["10.0.0.2/32"]; s != nil {
			return s.at
		}
		return 0
	}
	for end := time.Now().Add(20 * time.Second); places() < logoutsQueued-10; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d forged ones hold their places", places())
		}
	}
	var lost atomic.Int32
	var good sync.WaitGroup
	const n = 500
	for range n {
		token := idp.LogoutToken()
		good.Go(func() {
			if status, _ := send(ctx, token, "10.0.0.1:9"); status != http.StatusOK {
				lost.Add(1)
			}
		})
	}
	good.Wait()
	if lost.Load() != 0 {
		t.Errorf("%d of %d log-outs were lost", lost.Load(), n)
	}
	cancel()
	forged.Wait()
	if n := places(); n != 0 {
		t.Errorf("%d places are taken by nobody", n)
	}
	w.srv.logouts.of["10.0.0.2/32"] = &sender{at: logoutsQueued}
	if status, _ := send(context.Background(), idp.LogoutToken(), "10.0.0.2:9"); status != http.StatusTooManyRequests {
		t.Errorf("one more than has room: %d", status)
	}
}

// However many forged ones come at once, they are answered one after the other; those that would wait for too long, as late as any. What is good does not wait.
func TestForgedLogOutsAreAnsweredSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLogouts()
		r := httptest.NewRequest("POST", "/auth/backchannel-logout", nil)
		began := time.Now()
		var mu sync.Mutex
		var took []time.Duration
		var all sync.WaitGroup
		for range logoutsQueued - 1 {
			all.Go(func() {
				err := l.take(r, func() error { return &access.Error{Kind: access.Denied} })
				mu.Lock()
				defer mu.Unlock()
				if took = append(took, time.Since(began)); access.AsError(err).Kind != access.Denied {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if err := l.take(r, func() error { return nil }); err != nil || time.Since(began) != 0 {
			t.Errorf("a good one: %v after %s", err, time.Since(began))
		}
		all.Wait()
		for i, d := range took {
			if want := min(time.Duration(i+1)*loginDelay, latestRefusal); d != want {
				t.Fatalf("number %d was answered after %s, want %s", i+1, d, want)
			}
		}
		if len(took) != logoutsQueued-1 || len(l.of) != 0 || len(l.room) != 0 {
			t.Errorf("%d answers, %d addresses and %d places are left", len(took), len(l.of), len(l.room))
		}
	})
}

// A log-out that cannot be checked may be sent again.
func TestLogOutWhileTheProviderIsDown(t *testing.T) {
	w, idp := providerWorld(t)
	idp.Down(true)
	res, _ := w.browser().do(w.browser().request("/auth/backchannel-logout", url.Values{"logout_token": {idp.LogoutToken()}}))
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("%s, %v", res.Status, res.Header)
	}
}

// A provider that goes away between the log-in and the check of what it said has refused nobody.
func TestLogInWhileTheKeysCannotBeHad(t *testing.T) {
	w, idp := providerWorld(t)
	idp.Handle("/jwks", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	b := w.browser()
	res, body := b.get(b.comeBack(b.leave("/reviews")))
	if res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "cannot be checked at the moment") {
		t.Errorf("%s %s", res.Status, body)
	}
}
