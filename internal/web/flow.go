package web

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

const (
	flowTime  = 10 * time.Minute // from when a browser is sent to a provider until it has to be back
	mostFlows = 100000           // that ended within flowTime
	mostNext  = 1024             // bytes of an address to go on to
)

// flow is a browser's way to a provider and back. The browser keeps it, sealed; what the provider hears of it is State, the
// nonce, and the hash of Verifier. So a code that was made for one browser, or by one provider, is worth nothing in another flow.
type flow struct {
	Provider, State, Nonce, Verifier string
	Next                             string
	Redirect                         string // where the provider was told to send the browser back to
	Started                          time.Time
	// Session is the one that the browser has: a log-in ends it, a step-up is for it alone. Provider's answers come without its cookie (SameSite=Strict).
	Session []byte
	Review  string // the request that a step-up is for; "" of a log-in
}

// flows seals them under a key of this run.
type flows struct {
	secure bool
	name   string // of the cookie
	aead   cipher.AEAD

	mu   sync.Mutex // guards used
	used map[string]time.Time
}

func newFlows(secure bool) (*flows, error) {
	f := &flows{secure: secure, name: "sallyport-login", used: map[string]time.Time{}}
	if secure {
		f.name = "__Host-sallyport-login"
	}
	key := make([]byte, 32)
	rand.Read(key) // never fails (crypto/rand)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	f.aead, err = cipher.NewGCMWithRandomNonce(block)
	return f, err
}

// cookie is Lax: the provider's answer is a navigation that another site began.
func (f *flows) cookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{Name: f.name, Value: value, Path: "/", HttpOnly: true, Secure: f.secure, SameSite: http.SameSiteLaxMode, MaxAge: maxAge}
}

func (f *flows) seal(x flow) (*http.Cookie, error) {
	text, err := json.Marshal(x)
	if err != nil {
		return nil, err
	}
	return f.cookie(base64.RawURLEncoding.EncodeToString(f.aead.Seal(nil, nil, text, []byte(f.name))), int(flowTime.Seconds())), nil
}

var errFlow = &problem{http.StatusBadRequest, "this log-in was not begun in this browser, is over, or was used already", "log in again"}

// open gives the flow that a browser came back with: its own, and in time.
func (f *flows) open(r *http.Request, state string, now time.Time) (*flow, error) {
	c, err := r.Cookie(f.name)
	if err != nil {
		return nil, errFlow
	}
	sealed, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil {
		return nil, errFlow
	}
	text, err := f.aead.Open(nil, nil, sealed, []byte(f.name))
	if err != nil {
		return nil, errFlow
	}
	var x flow
	if err := json.Unmarshal(text, &x); err != nil {
		return nil, errFlow
	}
	if age := now.Sub(x.Started); age < 0 || age >= flowTime || subtle.ConstantTimeCompare([]byte(x.State), []byte(state)) != 1 {
		return nil, errFlow
	}
	return &x, nil
}

// use notes that a flow was used. It is good once; of errBusy it was not. Whoever calls it is slowed down: what is noted has to be kept for flowTime, and anybody can
// begin flows.
func (f *flows) use(x *flow, now time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, used := f.used[x.State]; used {
		return errFlow
	}
	if len(f.used) >= mostFlows {
		for s, began := range f.used {
			if now.Sub(began) >= flowTime {
				delete(f.used, s)
			}
		}
		if len(f.used) >= mostFlows { // forgetting one would let it be used again
			return errBusy
		}
	}
	f.used[x.State] = x.Started
	return nil
}
