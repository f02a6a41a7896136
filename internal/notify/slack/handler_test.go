package slack

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The example of docs.slack.dev/authentication/verifying-requests-from-slack.
const (
	docSecret    = "8f742231b10e8888abcd99yyyzzz85a5"
	docTime      = "1531420618"
	docBody      = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
	docSignature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
)

var docNow = time.Unix(1531420618, 0)

func post(h http.Handler, at, signature, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/slack", strings.NewReader(body))
	r.Header.Set("X-Slack-Request-Timestamp", at)
	r.Header.Set("X-Slack-Signature", signature)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func at(now time.Time) *Handler {
	h := New([]string{"", "another secret", docSecret}, "https://review.example.com/")
	h.now = func() time.Time { return now }
	return h
}

func sign(body string, now time.Time) (string, string) {
	seconds := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(docSecret))
	fmt.Fprintf(mac, "v0:%s:%s", seconds, body)
	return seconds, "v0=" + hex.EncodeToString(mac.Sum(nil))
}

func TestSlackIsVerified(t *testing.T) {
	for _, tc := range []struct {
		name                string
		now                 time.Time
		at, signature, body string
		want                int
	}{
		{"slacks_own_example", docNow, docTime, docSignature, docBody, 200},
		{"within_five_minutes", docNow.Add(5 * time.Minute), docTime, docSignature, docBody, 200},
		{"older", docNow.Add(5*time.Minute + time.Second), docTime, docSignature, docBody, 401},
		{"of_the_future", docNow.Add(-6 * time.Minute), docTime, docSignature, docBody, 401},
		{"another_body", docNow, docTime, docSignature, docBody + "x", 401},
		{"another_time", docNow, "1531420619", docSignature, docBody, 401},
		{"time_written_otherwise", docNow, "+1531420618", docSignature, docBody, 401},
		{"no_signature", docNow, docTime, "", docBody, 401},
		{"another_version", docNow, docTime, "v1" + docSignature[2:], docBody, 401},
		{"too_large", docNow, docTime, docSignature, strings.Repeat("x", mostBody+1), 413},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if w := post(at(tc.now), tc.at, tc.signature, tc.body); w.Code != tc.want {
				t.Errorf("answers %d %s", w.Code, w.Body)
			}
		})
	}
}

func TestNoSecretTakesNothing(t *testing.T) {
	mac := hmac.New(sha256.New, nil)
	fmt.Fprintf(mac, "v0:%s:%s", docTime, docBody)
	h := New([]string{""}, "https://review.example.com")
	h.now = func() time.Time { return docNow }
	if w := post(h, docTime, "v0="+hex.EncodeToString(mac.Sum(nil)), docBody); w.Code != 401 {
		t.Errorf("answers %d", w.Code)
	}
}

func TestReplayIsRefused(t *testing.T) {
	h := at(docNow)
	if w := post(h, docTime, docSignature, docBody); w.Code != 200 {
		t.Fatal(w.Code)
	}
	if w := post(h, docTime, docSignature, docBody); w.Code != 401 || !strings.Contains(w.Body.String(), "before") {
		t.Errorf("a replay is answered %d %s", w.Code, w.Body)
	}
	h.now = func() time.Time { return docNow.Add(time.Hour) }
	when, signature := sign("x=1", h.now())
	if w := post(h, when, signature, "x=1"); w.Code != 200 || len(h.seen) != 1 {
		t.Errorf("answers %d and remembers %d", w.Code, len(h.seen))
	}
}

func TestButtonLeadsToThePage(t *testing.T) {
	const id = "20261126090000" + "00112233445566778899aabbccddeeff"
	for value, want := range map[string]string{id: "/reviews/" + id + `"`, "../../evil": `/reviews"`, strings.ToUpper(id): `/reviews"`} {
		h := at(docNow)
		body := "payload=" + url.QueryEscape(fmt.Sprintf(`{"type":"block_actions","actions":[{"action_id":"sallyport-open","value":%q}]}`, value))
		when, signature := sign(body, docNow)
		w := post(h, when, signature, body)
		text, _ := io.ReadAll(w.Body)
		if w.Code != 200 || !strings.Contains(string(text), "https://review.example.com"+want) {
			t.Errorf("%s: %d %s", value, w.Code, text)
		}
	}
}

func TestPostOnly(t *testing.T) {
	w := httptest.NewRecorder()
	at(docNow).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/slack", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("answers %d", w.Code)
	}
}
