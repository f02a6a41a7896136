package front

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestSessionInForeignHands(t *testing.T) {
	r := newRig(t, func(o *Options) { o.Streams = true })
	id := r.initialize(t, "ta")
	foreign := r.send(t, "tb", legacyCall("whoami"), inSession(id))
	invented := r.send(t, "tb", legacyCall("whoami"), inSession("mcp-session-00000000-0000-0000-0000-000000000000"))
	if foreign.status != 404 || invented.status != 404 || foreign.body != invented.body {
		t.Errorf("foreign: %d %q, invented: %d %q", foreign.status, foreign.body, invented.status, invented.body)
	}
	t.Run("stream", func(t *testing.T) {
		get := func(r *http.Request) { inSession(id)(r); r.Method = http.MethodGet }
		if got := r.send(t, "tb", "", get); got.status != 404 {
			t.Errorf("got %d", got.status)
		}
	})
	t.Run("delete", func(t *testing.T) {
		del := func(r *http.Request) { inSession(id)(r); r.Method = http.MethodDelete }
		if got := r.send(t, "tb", "", del); got.status != 404 {
			t.Errorf("got %d", got.status)
		}
		if got := r.send(t, "ta", legacyCall("whoami"), inSession(id)); got.status != 200 {
			t.Errorf("the owner's session is gone: %d", got.status)
		}
		if got := r.send(t, "ta", "", del); got.status != 200 {
			t.Errorf("the owner cannot end it: %d", got.status)
		}
		if got := r.send(t, "ta", legacyCall("whoami"), inSession(id)); got.status != 404 {
			t.Errorf("an ended session is answered %d", got.status)
		}
	})
	t.Run("none", func(t *testing.T) {
		none := func(r *http.Request) { r.Header.Set("Mcp-Protocol-Version", legacy) }
		for name, body := range map[string]string{"call": legacyCall("whoami"), "ping": `{"jsonrpc":"2.0","id":1,"method":"ping"}`} {
			if got := r.send(t, "ta", body, none); got.status != 400 || !strings.Contains(got.body, "the header Mcp-Session-Id is missing") {
				t.Errorf("%s: got %d %s", name, got.status, got.body)
			}
			if got := r.send(t, "ta", body, nil); got.status != 400 || !strings.Contains(got.body, "the header Mcp-Session-Id is missing") {
				t.Errorf("%s without a version: got %d %s", name, got.status, got.body)
			}
		}
		// What else is wrong is told as before.
		body, _ := modernMessage("1", "tools/call", `"name":"whoami","arguments":{},`)
		if got := r.send(t, "ta", body, nil); strings.Contains(got.body, "Mcp-Session-Id") || got.status != 400 {
			t.Errorf("a message of 2026-07-28 without its header: %d %s", got.status, got.body)
		}
		if got := r.send(t, "ta", `{"jsonrpc":"2.0","id":1,`, none); strings.Contains(got.body, "Mcp-Session-Id") || got.status != 400 {
			t.Errorf("what is no message: %d %s", got.status, got.body)
		}
	})
	t.Run("modern_ignores_it", func(t *testing.T) {
		body, head := modernMessage("1", "tools/call", `"name":"whoami","arguments":{},`)
		id := r.initialize(t, "ta")
		got := r.send(t, "tb", body, func(r *http.Request) { head(r); r.Header.Set("Mcp-Session-Id", id) })
		if got.status != 200 || !strings.Contains(got.body, "bert") {
			t.Errorf("got %d %s", got.status, got.body)
		}
	})
}

// In 2026-07-28 the library keys running requests by their id alone: without the front's help the
// second half of this test fails.
func TestNobodyCancelsTheCallsOfOthers(t *testing.T) {
	call, callHead := modernMessage("1", "tools/call", `"name":"wait","arguments":{},`)
	cancel, cancelHead := modernMessage("", "notifications/cancelled", `"requestId":1,`)
	r := newRig(t, nil)
	done := make(chan reply, 1)
	go func() { done <- r.send(t, "ta", call, callHead) }()
	<-r.in
	id := r.initialize(t, "tb")
	for name, edit := range map[string]func(*http.Request){
		"modern":         cancelHead,
		"with_a_session": func(r *http.Request) { cancelHead(r); r.Header.Set("Mcp-Session-Id", id) },
		"without_header": func(r *http.Request) { r.Header.Set("Mcp-Session-Id", id) },
		"legacy_header":  inSession(id),
	} {
		got := r.send(t, "tb", cancel, edit)
		t.Logf("%s: %d %s", name, got.status, got.body)
		select {
		case res := <-done:
			t.Fatalf("%s: bert has cancelled anna's call: %s", name, res.body)
		case <-time.After(20 * time.Millisecond):
		}
	}
	close(r.let)
	if res := <-done; !strings.Contains(res.body, "finished") {
		t.Errorf("anna's call: %d %s", res.status, res.body)
	}
}

func TestOwnCallCanBeCancelledInItsSession(t *testing.T) {
	r := newRig(t, nil)
	id := r.initialize(t, "ta")
	done := make(chan reply, 1)
	go func() { done <- r.send(t, "ta", legacyCall("wait"), inSession(id)) }()
	<-r.in
	got := r.send(t, "ta", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}`, inSession(id))
	if got.status != http.StatusAccepted {
		t.Errorf("got %d", got.status)
	}
	if res := <-done; !strings.Contains(res.body, "cancelled") {
		t.Errorf("not cancelled: %s", res.body)
	}
}

func TestSessionsAreLimitedAndExpire(t *testing.T) {
	r := newRig(t, nil)
	var ids []string
	for range 5 {
		ids = append(ids, r.initialize(t, "ta"))
		time.Sleep(time.Millisecond) // so that ages differ
	}
	bert := r.initialize(t, "tb")
	for i, id := range ids {
		want := 200
		if i < 2 {
			want = 404 // the oldest made room: MaxSessions is 3
		}
		if got := r.send(t, "ta", legacyCall("whoami"), inSession(id)); got.status != want {
			t.Errorf("session %d: %d, want %d", i, got.status, want)
		}
	}
	r.front.Sweep(time.Now().Add(2 * time.Minute))
	if got := r.send(t, "tb", legacyCall("whoami"), inSession(bert)); got.status != 404 {
		t.Errorf("an idle session is answered %d", got.status)
	}
	if n := len(r.front.sessions.byID); n != 0 {
		t.Errorf("%d sessions are still kept", n)
	}
}

func TestUnauthenticatedRequestsLeaveNoSession(t *testing.T) {
	r := newRig(t, nil)
	if got := r.send(t, "tx", hello, nil); got.status != 401 || got.header.Get("Mcp-Session-Id") != "" {
		t.Errorf("got %d %v", got.status, got.header)
	}
	if n := len(r.front.sessions.byID); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

func TestNobodyHoldsAStreamOfNothing(t *testing.T) {
	r := newRig(t, nil)
	for _, id := range []string{"1", `"x"`, ""} {
		body, edit := modernMessage(id, "subscriptions/listen", "")
		start := time.Now()
		res := r.send(t, "ta", body, edit)
		if took := time.Since(start); res.status != http.StatusNotFound || took > 20*time.Second || !json.Valid([]byte(res.body)) {
			t.Errorf("%d %s after %s", res.status, res.body, took)
		}
		if id != "" && !strings.Contains(res.body, `"id":`+id) {
			t.Errorf("the answer is nobody's: %s", res.body)
		}
	}
}
