package mcp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// seals make and open the requestState of protocol 2026-07-28. A state goes through the client, so whoever holds one may be
// anybody and may have changed it: it is sealed (AES-256-GCM) under a key of this run of the gateway, is of use to the caller
// and for the call that it was made for alone, ends, and is taken once. It holds nothing that decides: that is asked of the core.
type seals struct {
	aead cipher.AEAD
	now  func() time.Time

	mu    sync.Mutex
	used  map[string]time.Time // states that were taken, until they end; guarded by mu
	asked map[string]time.Time // requests that a person was shown, until they end; guarded by mu
}

// ticket is what a state holds.
type ticket struct {
	ID      string    `json:"id"`
	Caller  string    `json:"caller"`  // front.Caller.Key
	Call    string    `json:"call"`    // args.digest of the call, the task among them
	Request string    `json:"request"` // for approval
	Digest  string    `json:"digest"`  // of what the request is bound to
	Expires time.Time `json:"expires"`
}

// stateLife is how long somebody may look at a page before they answer.
const stateLife = 15 * time.Minute

// sealPurpose keeps what is sealed here from being taken for anything else.
var sealPurpose = []byte("sallyport requestState 1")

func newSeals() *seals {
	key := make([]byte, 32)
	rand.Read(key) // never fails (crypto/rand)
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // 32 bytes are a key
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // AES has blocks of 16 bytes
	}
	return &seals{aead: aead, now: time.Now, used: map[string]time.Time{}, asked: map[string]time.Time{}}
}

// seal gives the state of t, which gets an id and ends with the request at the latest.
func (s *seals) seal(t ticket, end time.Time) string {
	t.ID, t.Expires = rand.Text(), s.now().Add(stateLife)
	if end.Before(t.Expires) {
		t.Expires = end
	}
	b, _ := json.Marshal(t) // strings and a time
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, b, sealPurpose))
}

// take opens a state that caller brings back with a call, once. What is refused is not used up, so that nobody can spend the
// state of somebody else.
func (s *seals) take(state, caller, call string) (ticket, error) {
	var t ticket
	b, err := base64.RawURLEncoding.DecodeString(state)
	if err == nil {
		b, err = s.aead.Open(nil, nil, b, sealPurpose)
	}
	if err != nil || json.Unmarshal(b, &t) != nil || t.Caller != caller {
		// The same answer for what is invented, of an earlier run, and somebody else's.
		return ticket{}, invalid("this requestState was not given to you by this gateway since it was started", "nothing ran and nothing was withdrawn; make the call again without it")
	}
	hint := fmt.Sprintf("nothing ran and nothing was withdrawn by this call; ask check_approval with the handle %s", t.Request)
	if t.Call != call {
		return ticket{}, invalid("this requestState belongs to a call with other arguments", hint)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.now().Before(t.Expires) {
		return ticket{}, invalid("the time for this requestState is over", hint)
	}
	if _, again := s.used[t.ID]; again {
		return ticket{}, invalid("this requestState was used before, and is good for one time", hint)
	}
	s.used[t.ID] = t.Expires
	return t, nil
}

// first reports whether a person has not been asked about a request before, and notes that they are now: agents ask every
// few seconds what has become of it.
func (s *seals) first(request string, end time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, again := s.asked[request]; again {
		return false
	}
	s.asked[request] = end
	return true
}

// sweep forgets what has ended.
func (s *seals) sweep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for _, m := range []map[string]time.Time{s.used, s.asked} {
		for id, end := range m {
			if !now.Before(end) {
				delete(m, id)
			}
		}
	}
}
