package export

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

var testSecret = []byte("0123456789abcdef0123456789abcdef")

// receiver does as docs/export.md tells receivers to: it verifies each request, and takes positions that follow what it
// has. fault may answer in its place before or after it has taken a request.
type receiver struct {
	tls, plain *httptest.Server

	mu     sync.Mutex
	fault  func(w http.ResponseWriter, r *http.Request, n int, body []byte) (done bool)
	after  func(w http.ResponseWriter, n int) (done bool)
	calls  int
	ids    map[string]int
	last   uint64
	again  int // records that came once more
	errors []string
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{ids: map[string]int{}}
	r.tls, r.plain = httptest.NewTLSServer(r), httptest.NewServer(r)
	t.Cleanup(func() {
		r.tls.CloseClientConnections()
		r.tls.Close()
		r.plain.Close()
	})
	return r
}

func (r *receiver) config() Config {
	roots := x509.NewCertPool()
	roots.AddCert(r.tls.Certificate())
	return Config{Name: "hook", From: FromStart, Webhook: &Webhook{URL: r.tls.URL + "/in", Secret: testSecret, TLS: &tls.Config{RootCAs: roots}, Timeout: 20 * time.Second}}
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // whoever sent it was killed
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	if r.fault != nil && r.fault(w, req, r.calls, body) {
		return
	}
	verifier, err := standardwebhooks.NewWebhookRaw(testSecret)
	if err == nil {
		err = verifier.Verify(body, req.Header)
	}
	if err != nil {
		r.errors = append(r.errors, err.Error())
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	r.ids[req.Header.Get("webhook-id")]++
	for line := range strings.Lines(string(body)) {
		var l struct{ Pos uint64 }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			r.errors = append(r.errors, err.Error())
		}
		switch {
		case l.Pos == r.last+1:
			r.last = l.Pos
		case l.Pos <= r.last:
			r.again++
		default:
			r.errors = append(r.errors, "a gap in front of "+line)
		}
	}
	if r.after != nil && r.after(w, r.calls) {
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (r *receiver) complete(t *testing.T, last uint64) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last != last || len(r.errors) > 0 {
		t.Errorf("came to record %d of %d: %q", r.last, last, r.errors)
	}
}

func TestWebhookIsSignedAndComplete(t *testing.T) {
	l := newLog(t)
	l.story()
	hook := newReceiver(t)
	dir := t.TempDir()
	r := start(t, l, dir, hook.config())
	r.waitPosition(10)
	l.fill(200)
	r.finish()
	hook.complete(t, 210)
	hook.mu.Lock()
	defer hook.mu.Unlock()
	if hook.again != 0 {
		t.Errorf("%d records came twice without need", hook.again)
	}
}

func TestWebhookThatFails(t *testing.T) {
	for _, tc := range []struct {
		name  string
		fault func(w http.ResponseWriter, r *http.Request, n int, body []byte) bool
		after func(w http.ResponseWriter, n int) bool
		twice bool // the receiver has taken what it did not acknowledge
		hangs bool // the first time, until the exporter has lost its patience
	}{
		{name: "answers_500", fault: func(w http.ResponseWriter, _ *http.Request, n int, _ []byte) bool {
			if n <= 2 {
				w.WriteHeader(500)
			}
			return n <= 2
		}},
		{name: "answers_429_with_a_time", fault: func(w http.ResponseWriter, _ *http.Request, n int, _ []byte) bool {
			if n == 1 {
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(429)
			}
			return n == 1
		}},
		{name: "refuses_the_signature_for_a_time", fault: func(w http.ResponseWriter, _ *http.Request, n int, _ []byte) bool {
			if n == 1 {
				w.WriteHeader(401)
			}
			return n == 1
		}},
		{name: "redirects", fault: func(w http.ResponseWriter, r *http.Request, n int, _ []byte) bool {
			if n == 1 {
				http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
			}
			if r.URL.Path == "/elsewhere" {
				t.Error("a redirect was followed")
			}
			return n == 1
		}},
		{name: "hangs", twice: true, hangs: true},
		{name: "takes_it_and_drops_the_connection", twice: true, after: func(w http.ResponseWriter, n int) bool {
			if n <= 2 {
				panic(http.ErrAbortHandler)
			}
			return false
		}},
		{name: "takes_it_and_answers_503", twice: true, after: func(w http.ResponseWriter, n int) bool {
			if n == 1 {
				w.WriteHeader(503)
			}
			return n == 1
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLog(t)
			l.story()
			hook := newReceiver(t)
			hook.fault, hook.after = tc.fault, tc.after
			c := hook.config()
			goOn := func() {}
			if tc.hangs {
				hung := make(chan struct{})
				goOn = sync.OnceFunc(func() { close(hung) })
				t.Cleanup(goOn)
				hook.after = func(_ http.ResponseWriter, n int) bool {
					if n == 1 {
						<-hung
					}
					return n == 1
				}
				c.Webhook.Timeout = 300 * time.Millisecond
			}
			r := start(t, l, t.TempDir(), c)
			if st := r.waitError(); st.At.IsZero() || st.State == Stopped {
				t.Errorf("%+v", st)
			}
			goOn()
			r.waitPosition(10)
			r.finish()
			hook.complete(t, 10)
			hook.mu.Lock()
			defer hook.mu.Unlock()
			if (hook.again > 0) != tc.twice {
				t.Errorf("%d records came again", hook.again)
			}
			for id, n := range hook.ids {
				if tc.twice && n < 2 {
					t.Errorf("id %s came once: the same batch must have the same id", id)
				}
			}
			if !strings.Contains(r.notes.String(), "export does not get on") {
				t.Error("the operator was not told")
			}
		})
	}
}

// One record that the receiver does not take stops the exporter in front of it; those before are there.
func TestWebhookThatRejectsARecord(t *testing.T) {
	l := newLog(t)
	l.fill(60)
	hook := newReceiver(t)
	bad := `"pos":37,`
	hook.fault = func(w http.ResponseWriter, _ *http.Request, _ int, body []byte) bool {
		if strings.Contains(string(body), bad) {
			w.WriteHeader(http.StatusUnprocessableEntity)
			return true
		}
		return false
	}
	dir := t.TempDir()
	r := start(t, l, dir, hook.config())
	st := r.waitState(Stopped)
	if !strings.Contains(st.Error, "stopped at record 37: the receiver rejects it: 422") || st.Position != 36 || st.Lag != 24 {
		t.Errorf("%+v", st)
	}
	r.finish()
	hook.complete(t, 36)
	if !strings.Contains(r.notes.String(), "state=stopped") || !strings.Contains(r.notes.String(), "position=36") {
		t.Error(r.notes)
	}
	// Seen from another process, and after the receiver was mended.
	all, err := ReadStatus(l.dir, dir)
	if err != nil || len(all) != 1 || all[0].State != Stopped || all[0].Position != 36 || all[0].Lag != 24 || all[0].Sent.IsZero() {
		t.Errorf("%+v, %v", all, err)
	}
	hook.mu.Lock()
	hook.fault = nil
	hook.mu.Unlock()
	start(t, l, dir, hook.config()).finish()
	hook.complete(t, 60)
}

// An outage that lasts beyond the process.
func TestWebhookThatIsDown(t *testing.T) {
	l := newLog(t)
	l.story()
	hook := newReceiver(t)
	c := hook.config()
	down := c
	down.Webhook = &Webhook{URL: "https://127.0.0.1:1/in", Secret: testSecret}
	dir := t.TempDir()
	r := start(t, l, dir, down)
	st := r.waitState(Retrying)
	if strings.Contains(st.To+st.Error+r.notes.String(), "/in") || st.To != "webhook https://127.0.0.1:1" {
		t.Errorf("the path of a webhook may be a secret: %+v", st)
	}
	r.cut()
	l.fill(50)
	r = start(t, l, dir, down)
	r.waitState(Retrying)
	r.cut()
	start(t, l, dir, c).finish()
	hook.complete(t, 60)
}

func TestExportersDoNotWaitForOneAnother(t *testing.T) {
	l := newLog(t)
	l.story()
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	r := start(t, l, dir, Config{Name: "hook", From: FromStart, Webhook: &Webhook{URL: "https://127.0.0.1:1/in", Secret: testSecret}}, fileConfig(path))
	for deadline := time.Now().Add(30 * time.Second); r.exporters[1].state().Position < 10; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the file waits for the webhook")
		}
	}
	r.cut()
	inOrder(t, positions(t, read(t, path)), 1, 10)
}

func TestWaitsGrowAndStay(t *testing.T) {
	for try := range 40 {
		d := waitFor(try, io.EOF)
		if d <= 0 || d > longPause || try > 10 && d < longPause/2 {
			t.Errorf("try %d: %v", try, d)
		}
	}
	if d := waitFor(0, &later{io.EOF, time.Hour}); d < longestWait || d > longestWait+time.Second {
		t.Errorf("a receiver may ask for %v", d)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if pause(ctx, time.Hour, nil) {
		t.Error("a pause does not end with its context")
	}
}
