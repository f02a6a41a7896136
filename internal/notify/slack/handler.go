// Package slack answers what Slack posts when somebody presses a button of a message of ours. It verifies that Slack
// has sent it, acknowledges it, and says where to decide. It decides nothing: it knows no request and has no way to one.
package slack

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Handler answers Slack's interactions at one URL. Make it with New.
type Handler struct {
	url string
	now func() time.Time

	mu      sync.Mutex // guards the fields below
	secrets [][]byte
	seen    map[string]time.Time // signatures, by the time that they were made for
}

const (
	window   = 5 * time.Minute // that a signature holds before and after its time
	mostBody = 64 << 10
	mostSeen = 10000
)

// New makes a handler for the signing secrets of Slack apps. base is where people decide, without a slash at its end.
func New(secrets []string, base string) *Handler {
	h := &Handler{url: strings.TrimSuffix(base, "/"), now: time.Now, seen: map[string]time.Time{}}
	h.Trust(secrets)
	return h
}

// Trust puts other signing secrets in the place of those that there are. What was sent before stays remembered.
func (h *Handler) Trust(secrets []string) {
	var trusted [][]byte
	for _, s := range secrets {
		if s != "" {
			trusted = append(trusted, []byte(s))
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.secrets = trusted
}

// Open reports whether there is anybody whom the handler trusts.
func (h *Handler) Open() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.secrets) > 0
}

// ServeHTTP answers 200 to what Slack signed within the last five minutes and has not sent before; all else is refused.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostBody))
	if err != nil {
		http.Error(w, "the body is too large", http.StatusRequestEntityTooLarge)
		return
	}
	if why := h.refuse(r.Header.Get("X-Slack-Request-Timestamp"), r.Header.Get("X-Slack-Signature"), body); why != "" {
		http.Error(w, why, http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(map[string]any{"response_type": "ephemeral", "replace_original": false, "text": "Requests are decided here: " + h.url + "/reviews" + requestOf(body)})
}

// refuse says why a request is not Slack's, is old, or was here before; "" where it is good.
func (h *Handler) refuse(at, signature string, body []byte) string {
	made, ok := h.verify(at, signature, body)
	if !ok {
		return "the signature is not right"
	}
	now := h.now()
	if d := now.Sub(made); d > window || d < -window {
		return "the signature is not of now"
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for s, t := range h.seen {
		if now.Sub(t) > window {
			delete(h.seen, s)
		}
	}
	if _, again := h.seen[signature]; again {
		return "this was sent before"
	}
	if len(h.seen) >= mostSeen {
		return "too much at once"
	}
	h.seen[signature] = made
	return ""
}

// verify checks a signature as docs.slack.dev/authentication/verifying-requests-from-slack describes it.
func (h *Handler) verify(at, signature string, body []byte) (made time.Time, ok bool) {
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || strconv.FormatInt(seconds, 10) != at {
		return made, false
	}
	h.mu.Lock()
	secrets := h.secrets
	h.mu.Unlock()
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte("v0:" + at + ":"))
		mac.Write(body)
		want := "v0=" + hex.EncodeToString(mac.Sum(nil))
		ok = hmac.Equal([]byte(want), []byte(signature)) || ok
	}
	return time.Unix(seconds, 0), ok
}

var requestForm = regexp.MustCompile(`^[0-9a-f]{46}$`)

// requestOf gives "/ID" of the button that was pressed; "" where it is none of ours.
func requestOf(body []byte) string {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return ""
	}
	var payload struct {
		Actions []struct {
			ID    string `json:"action_id"`
			Value string `json:"value"`
		} `json:"actions"`
	}
	if json.Unmarshal([]byte(form.Get("payload")), &payload) != nil {
		return ""
	}
	for _, a := range payload.Actions {
		if a.ID == "sallyport-open" && requestForm.MatchString(a.Value) {
			return "/" + a.Value
		}
	}
	return ""
}
