package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/testidp"
)

// Behind a proxy that does not say for whom it speaks everybody has one address.

// meanwhile has n loops do something until the test is over, and gives them some time to get going.
func meanwhile(t *testing.T, n int, do func(i int)) {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					do(i)
				}
			}
		})
	}
	t.Cleanup(func() { close(stop); wg.Wait() })
	time.Sleep(500 * time.Millisecond)
}

func TestJunkKeepsNoLogOutOut(t *testing.T) {
	w, idp := corpWorld(t, nil)
	idp.Login(&testidp.User{Subject: "u-ada", Claims: corpUser("ada", "vault-keepers").Claims})
	w.corp()
	post := func(ctx context.Context, token string) int {
		req, err := http.NewRequestWithContext(ctx, "POST", w.http.URL+"/auth/backchannel-logout", strings.NewReader(url.Values{"logout_token": {token}}.Encode()))
		if err != nil {
			return 0
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0
		}
		res.Body.Close()
		return res.StatusCode
	}
	ctx, hangUp := context.WithCancel(t.Context())
	meanwhile(t, 120, func(int) { post(ctx, "a.b.c") })
	defer hangUp()
	for range 5 {
		began := time.Now()
		if status := post(t.Context(), idp.LogoutToken(map[string]any{"sub": "u-ada"})); status != http.StatusOK || time.Since(began) > 20*time.Second {
			t.Errorf("a log-out of the provider: %d after %s", status, time.Since(began))
		}
	}
}

func TestWrongPasswordsKeepNoRightOneOut(t *testing.T) {
	w := newWorld(t, nil)
	ask := func(password string) int {
		req, err := http.NewRequest("GET", w.http.URL+"/api/v1/me", nil)
		if err != nil {
			return 0
		}
		req.SetBasicAuth("keeper", password)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0
		}
		res.Body.Close()
		return res.StatusCode
	}
	var mu sync.Mutex
	guesses := 0
	began := time.Now()
	meanwhile(t, 12, func(i int) {
		if ask(fmt.Sprint("wrong", i)) == http.StatusUnauthorized {
			mu.Lock()
			guesses++
			mu.Unlock()
		}
	})
	for range 20 {
		if status := ask("pw-keeper"); status != http.StatusOK {
			t.Errorf("the right password: %d", status)
		}
	}
	time.Sleep(loginDelay)
	mu.Lock()
	defer mu.Unlock()
	// Guessing is as slow as it would be for one.
	if most := int(time.Since(began)/loginDelay) + 1; guesses > most {
		t.Errorf("%d guesses were answered in %s: at most %d", guesses, time.Since(began), most)
	}
}
