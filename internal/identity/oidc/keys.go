package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

const (
	// Grace is how long beyond Refresh keys go on verifying that could not be fetched again.
	Grace = 2 * time.Minute
	// mostFetches in a minute, for whatever reason. Under a flood of unknown key ids a new key is found within the minute; keys that are
	// published verify all the while.
	mostFetches = 2
	fetchWindow = time.Minute + time.Second // so that a provider, whom one request may reach later than the next, counts no more in a minute

	maxKeys    = 100
	minRSA     = 2048
	maxRSA     = 8192 // verifying by a longer key costs whoever asks nothing, and us much
	maxUnknown = 4096 // key ids remembered as unknown
)

// key is a public key that may verify, as its provider publishes it.
type key struct {
	id, alg string // alg "": whatever fits the key
	public  any
}

// fits reports whether a key can have made signatures of an algorithm: RFC 7518 3.1, RFC 8037.
func (k key) fits(alg string) bool {
	if k.alg != "" && k.alg != alg {
		return false
	}
	switch pub := k.public.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")
	case *ecdsa.PublicKey:
		return alg == map[elliptic.Curve]string{elliptic.P256(): "ES256", elliptic.P384(): "ES384", elliptic.P521(): "ES512"}[pub.Curve]
	case ed25519.PublicKey:
		return alg == "EdDSA"
	}
	return false
}

// keySet is the keys that a provider publishes, in the place of go-oidc's, which keeps keys for good and fetches for each unknown id.
type keySet struct {
	get     func(context.Context) ([]key, error) // asks the provider, within bounds of its own
	algs    []jose.SignatureAlgorithm
	refresh time.Duration
	now     func() time.Time
	log     *slog.Logger
	wait    sync.WaitGroup // fetches that run

	mu      sync.Mutex // of all below
	keys    []key
	at      time.Time            // when keys were asked for; zero never
	began   []time.Time          // the last fetches, at most mostFetches
	running chan struct{}        // closed when the fetch that runs has ended; nil: none does
	err     error                // of the last fetch
	unknown map[string]time.Time // key ids that a fetch did not bring, and when that was
	closed  bool
}

// verify gives the payload of a token that a published key has signed.
func (s *keySet) verify(ctx context.Context, raw string) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(raw, s.algs)
	if err != nil {
		return nil, refuse(Form, "not a signed token")
	}
	h := jws.Signatures[0].Header
	keys, err := s.find(ctx, h.KeyID)
	if err != nil {
		return nil, err
	}
	fitting := 0
	for _, k := range keys {
		if !k.fits(h.Algorithm) {
			continue
		}
		fitting++
		if payload, err := jws.Verify(k.public); err == nil {
			return payload, nil
		}
	}
	if fitting == 0 {
		return nil, refuse(Signature, "key %q is not one for %s", h.KeyID, h.Algorithm)
	}
	return nil, refuse(Signature, "not by key %q of the provider", h.KeyID)
}

// find gives the keys of an id; there may be several. Keys older than refresh are fetched again first, and an id that none has may cause a
// fetch, within the bounds of mayFetch.
func (s *keySet) find(ctx context.Context, id string) ([]key, error) {
	for asked := false; ; asked = true {
		s.mu.Lock()
		now := s.now()
		age, ever := now.Sub(s.at), !s.at.IsZero()
		usable := ever && age >= 0 && age <= s.refresh+Grace
		stale := !ever || age < 0 || age >= s.refresh
		var found []key
		for _, k := range s.keys {
			if k.id == id {
				found = append(found, k)
			}
		}
		ahead := usable && !stale && age >= s.refresh*3/4
		want := stale || ahead || len(found) == 0 && !s.knownUnknown(id, now)
		var running chan struct{}
		if want && !asked {
			running = s.start(now)
		}
		err, known := s.err, s.knownUnknown(id, now)
		s.mu.Unlock()

		if running != nil && (stale || len(found) == 0) { // else what there is will do, and the next may have the new ones
			select {
			case <-running:
				continue
			case <-ctx.Done():
				return nil, &Refusal{Check: Keys, Detail: "the provider's keys take too long to come", Later: true, Err: ctx.Err()}
			}
		}
		switch {
		case !usable:
			return nil, &Refusal{Check: Keys, Detail: "the provider's keys cannot be fetched", Hint: "look at the provider, and at the way to it; nobody can log in by it until its keys are known", Later: true, Err: err}
		case len(found) == 0 && err != nil && !known:
			return nil, &Refusal{Check: Keys, Detail: fmt.Sprintf("whether the provider publishes a key %q by now is not known: its keys cannot be fetched", id), Later: true, Err: err}
		case len(found) == 0:
			if asked {
				s.mu.Lock()
				s.remember(id, now)
				s.mu.Unlock()
			}
			return nil, refuse(Signature, "the provider publishes no key %q", id)
		}
		return found, nil
	}
}

func (s *keySet) knownUnknown(id string, now time.Time) bool {
	t, ok := s.unknown[id]
	return ok && now.Sub(t) < s.refresh
}

// remember keeps an unknown id from causing another fetch; the next of those that happen anyway brings it where it is published by then.
func (s *keySet) remember(id string, now time.Time) {
	if len(s.unknown) >= maxUnknown {
		clear(s.unknown)
	}
	if !s.knownUnknown(id, now) {
		s.unknown[id] = now
	}
}

// start gives the fetch that runs, or one that it starts; nil where there have been enough.
func (s *keySet) start(now time.Time) chan struct{} {
	if s.running != nil {
		return s.running
	}
	if s.closed || len(s.began) == mostFetches && now.Sub(s.began[0]) < fetchWindow && now.Sub(s.began[0]) >= 0 {
		return nil
	}
	s.began = append(s.began, now)
	if len(s.began) > mostFetches {
		s.began = s.began[1:]
	}
	done := make(chan struct{})
	s.running = done
	s.wait.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), fetchTime)
		defer cancel()
		keys, err := s.get(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.running, s.err = nil, err; err == nil {
			s.keys, s.at = keys, now // as old as the question, not as the answer
		} else {
			s.log.Warn("the keys of an identity provider cannot be fetched", "error", err)
		}
		close(done)
	})
	return done
}

func (s *keySet) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

// parseKeys reads a JWK Set (RFC 7517 5). Keys that are not for signatures, or not good enough, are left out, as the RFC wants it.
func parseKeys(body []byte) ([]key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil || set.Keys == nil {
		return nil, fmt.Errorf("the provider's keys are not a JWK Set")
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("the provider publishes %d keys: at most %d are taken", len(set.Keys), maxKeys)
	}
	var out []key
	for _, raw := range set.Keys {
		var use struct {
			Ops []string `json:"key_ops"`
		}
		var j jose.JSONWebKey
		if json.Unmarshal(raw, &use) != nil || j.UnmarshalJSON(raw) != nil || !j.IsPublic() || j.Use != "" && j.Use != "sig" || len(j.KeyID) > maxString ||
			len(use.Ops) > 0 && !slices.Contains(use.Ops, "verify") || !strong(j.Key) {
			continue
		}
		out = append(out, key{id: j.KeyID, alg: j.Algorithm, public: j.Key})
	}
	return out, nil
}

func strong(public any) bool {
	switch pub := public.(type) {
	case *rsa.PublicKey:
		return pub.N.BitLen() >= minRSA && pub.N.BitLen() <= maxRSA && pub.E >= 3 && pub.E%2 == 1
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return true
	}
	return false
}
