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
	"time"
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
		forged.Go(func() { send(ctx, "a.b.c", "10.0.0.2:9") })
	}
	places := func() int {
		w.srv.logouts.mu.Lock()
		defer w.srv.logouts.mu.Unlock()
		return w.srv.logouts.of["10.0.0.2/32"]
	}
	for end := time.Now().Add(20 * time.Second); places() < logoutsQueued-10 && time.Now().Before(end); time.Sleep(time.Millisecond) {
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
	w.srv.logouts.of["10.0.0.2/32"] = logoutsQueued
	if status, _ := send(context.Background(), idp.LogoutToken(), "10.0.0.2:9"); status != http.StatusTooManyRequests {
		t.Errorf("one more than has room: %d", status)
	}
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
