package oidc

import (
	"crypto/x509"
	"net/http"
	"sync"
	"time"
)

// supply is what is fetched from a provider, and the bounds on how often: its keys, and claims that stand elsewhere. What its tokens mean
// here is not in it, so that the Providers of a changed configuration go on with that of before: while the provider is down, its last keys
// verify, whatever else is changed meanwhile.
type supply struct {
	of      supplier
	client  *http.Client
	keys    *keySet
	answers *answers

	mu   sync.Mutex // guards used
	used int        // by how many Providers: the last that closes ends it
}

// supplier is what a supply hangs on.
type supplier struct {
	name, issuer string
	algorithms   string // joined
	refresh      time.Duration
	roots        *x509.CertPool // nil: the system's
}

func (a supplier) equal(b supplier) bool {
	return a.name == b.name && a.issuer == b.issuer && a.algorithms == b.algorithms && a.refresh == b.refresh &&
		(a.roots == nil) == (b.roots == nil) && (a.roots == nil || a.roots.Equal(b.roots))
}

// supplyOf gives the supply that hangs on the same in ps, which may be nil, for one more user of it; nil where there is none.
func (ps *Providers) supplyOf(of supplier) *supply {
	if ps == nil {
		return nil
	}
	for _, p := range ps.list {
		if p.of.equal(of) && p.take() {
			return p.supply
		}
	}
	return nil
}

// take counts one more user, unless the last has gone.
func (s *supply) take() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used > 0 {
		s.used++
	}
	return s.used > 0
}

// leave counts one user less, and reports whether it was the last. Then nothing is fetched any more; what runs is not waited for.
func (s *supply) leave() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used--; s.used > 0 {
		return false
	}
	s.keys.close()
	return true
}
