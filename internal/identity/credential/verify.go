package credential

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"time"

	"github.com/xdg-go/scram"

	"sallyport/internal/access"
)

// errEnded is the answer to what this gateway issued and that holds no longer.
func errEnded(message string) error {
	return &access.Error{Kind: access.Denied, Code: "28000", Message: message, Hint: "log in again (sallyport login)", Err: access.ErrProofEnded}
}

// errCertificate is the one answer to certificates that do not count, but for those that have ended.
func errCertificate(why string) error {
	return &access.Error{Kind: access.Denied, Code: "28000", Message: "the client certificate is not accepted: " + why, Hint: "log in again (sallyport login)"}
}

// Certificate tells who a certificate of this gateway speaks for. The door has seen the client prove its key. Certificates of
// anybody else, those that have ended or were withdrawn, and those of somebody other than c.User are refused, Denied.
func (s *Store) Certificate(c access.Certificate) (access.Principal, error) {
	if len(c.Chain) == 0 {
		return access.Principal{}, errCertificate("there is none")
	}
	cert, err := x509.ParseCertificate(c.Chain[0])
	if err != nil {
		return access.Principal{}, errCertificate("it cannot be parsed")
	}
	now := s.now()
	// What else the client sends is not looked at: this authority has none below it.
	ours := func(at time.Time) bool {
		_, err := cert.Verify(x509.VerifyOptions{Roots: s.authority.at.Load().roots, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
		return err == nil
	}
	if over := !now.Before(cert.NotAfter); over || !ours(now) {
		if over && c.User == cert.Subject.CommonName && ours(cert.NotAfter) {
			return access.Principal{}, errEnded("the client certificate has expired")
		}
		return access.Principal{}, errCertificate("this gateway did not issue it")
	}
	s.mu.RLock()
	e := s.live(hex.EncodeToString(cert.SerialNumber.Bytes()))
	s.mu.RUnlock()
	sum := sha256.Sum256(cert.Raw)
	switch {
	case c.User != cert.Subject.CommonName: // first, for who comes as somebody else may prove that in another way
		return access.Principal{}, errCertificate("it is somebody else's")
	case e == nil || subtle.ConstantTimeCompare(e.Sum, sum[:]) != 1:
		return access.Principal{}, errEnded("the client certificate was withdrawn")
	case c.User != e.Name:
		return access.Principal{}, errCertificate("it is somebody else's")
	}
	return s.held(e, access.ByCertificate)
}

// held gives the principal of an entry, unless its proof was withdrawn.
func (s *Store) held(e *entry, method access.Method) (access.Principal, error) {
	p := e.principal(method)
	if cause, yes := s.Withdrawn(p); yes {
		return access.Principal{}, errEnded("the credential does not hold any more: " + cause)
	}
	return p, nil
}

// Verifier is what proves that somebody has a secret.
type Verifier struct {
	ID   string // of the credential
	Keys scram.StoredCredentials
}

// Verifiers gives the secrets of a name that hold and were made with the given salt and iteration count. An exchange shows the same
// of both whether or not there are any; what was made with others, before the configuration changed them, is lost.
func (s *Store) Verifiers(name string, factors scram.KeyFactors) []Verifier {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []Verifier
	for _, e := range s.byName[name] {
		if string(e.Salt) == factors.Salt && e.Iterations == factors.Iters && s.live(e.ID) != nil {
			out = append(out, Verifier{ID: e.ID, Keys: scram.StoredCredentials{KeyFactors: factors, StoredKey: e.StoredKey, ServerKey: e.ServerKey}})
		}
	}
	return out
}

// Most is how many verifiers a name can have.
const Most = most

// Secret tells who the secret of a credential speaks for, once somebody has proved to have it.
func (s *Store) Secret(id string) (access.Principal, error) {
	s.mu.RLock()
	e := s.live(id)
	s.mu.RUnlock()
	if e == nil {
		return access.Principal{}, &access.Error{Kind: access.Denied, Code: "28000", Message: "the secret was withdrawn, or has expired", Hint: "log in again (sallyport login)"}
	}
	return s.held(e, access.BySecret)
}

// Knows reports whether a credential of an id was issued here and has not gone.
func (s *Store) Knows(id string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byID[id] != nil
}

// Named gives who the credentials of a name speak for.
func (s *Store) Named(name string) []access.Principal {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []access.Principal
	for _, e := range s.byName[name] {
		out = append(out, e.principal(access.BySecret))
	}
	return out
}

// All gives who the credentials that hold speak for, one for each of these.
func (s *Store) All() []access.Principal {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []access.Principal
	for id := range s.byID {
		if e := s.live(id); e != nil {
			out = append(out, e.principal(access.BySecret))
		}
	}
	return out
}
