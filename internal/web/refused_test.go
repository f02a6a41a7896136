package web

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
)

// A reviewer reads why their word is not taken, and nothing of what is wrong with the gateway.
func TestErrorsOfAStepAreTheReviewersOrTheOperators(t *testing.T) {
	var log strings.Builder
	v := &visit{s: &Server{log: slog.New(slog.NewTextHandler(&log, nil))}, r: httptest.NewRequest("POST", "/", nil)}
	for name, c := range map[string]struct {
		err    error
		status int
		shown  bool
	}{
		"a bad vote":      {gateway.BadReviewVote("secret words"), http.StatusUnprocessableEntity, true},
		"no request":      {gateway.ErrNoReview, http.StatusNotFound, false},
		"a full disk":     {fmt.Errorf("the step could not be recorded: %w", errors.New("write /var/lib/secret words: no space left on device")), http.StatusInternalServerError, false},
		"gateway ends":    {&access.Error{Kind: access.Unavailable, Message: "the gateway is ending"}, http.StatusServiceUnavailable, false},
		"internal of its": {&access.Error{Kind: access.Internal, Message: "internal error", Err: errors.New("secret words")}, http.StatusInternalServerError, false},
	} {
		log.Reset()
		p := v.notDecided(c.err)
		if p.status != c.status || strings.Contains(p.text+p.hint, "secret words") != c.shown {
			t.Errorf("%s: %d %s", name, p.status, p.text)
		}
		if logged := strings.Contains(log.String(), "secret words"); logged != (c.status == http.StatusInternalServerError) {
			t.Errorf("%s: the log says %q", name, log.String())
		}
	}
}

// Who is told that they are logged in is.
func TestALogInWithoutRoomIsAnError(t *testing.T) {
	w := newWorld(t, nil)
	w.srv.sessions.mu.Lock()
	for i := range mostSessions {
		w.srv.sessions.open[sessionKey{byte(i), byte(i >> 8), 1}] = &session{who: access.Principal{Name: fmt.Sprint(i)}, created: time.Now(), seen: time.Now(), ended: make(chan struct{})}
	}
	w.srv.sessions.mu.Unlock()
	b := w.browser()
	res, body := b.post("/login", map[string][]string{"user": {"asker"}, "password": {"pw-asker"}})
	if res.StatusCode != http.StatusServiceUnavailable || len(res.Cookies()) != 0 || !strings.Contains(body, "you were not logged in") {
		t.Errorf("%s %v %.300s", res.Status, res.Cookies(), body)
	}
	w.srv.sessions.mu.Lock()
	clear(w.srv.sessions.open)
	w.srv.sessions.mu.Unlock()
	w.login("asker")
}
