// Package testtsa is a time-stamping authority (RFC 3161) for tests, with a root of its own. It is made with
// github.com/digitorus/timestamp; that openssl agrees with that library is tested in audit/timestamp.
package testtsa

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"

	"github.com/digitorus/timestamp"
)

// TB is the part of testing.TB that is needed.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Authority answers until the test ends.
type Authority struct {
	URL   string
	Roots []byte // the certificate that its own leads to, PEM
	down  atomic.Bool
}

// Set makes it fail (503), or answer again.
func (a *Authority) Set(up bool) { a.down.Store(!up) }

// New starts one.
func New(t TB) *Authority {
	t.Helper()
	issue := func(c *x509.Certificate, by *x509.Certificate, byKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatalf("%v", err)
		}
		c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		if by == nil {
			by, byKey = c, key
		}
		der, err := x509.CreateCertificate(rand.Reader, c, by, &key.PublicKey, byKey)
		if err != nil {
			t.Fatalf("%v", err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatalf("%v", err)
		}
		return cert, key
	}
	ca, caKey := issue(&x509.Certificate{Subject: pkix.Name{CommonName: "Test Root"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil, nil)
	usage, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
	if err != nil {
		t.Fatalf("%v", err)
	}
	cert, key := issue(&x509.Certificate{Subject: pkix.Name{CommonName: "Test Authority"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: usage}}}, ca, caKey)
	a := &Authority{Roots: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw})}
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if a.down.Load() {
			rw.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		query, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client went away
		}
		req, err := timestamp.ParseRequest(query)
		if err != nil {
			http.Error(rw, err.Error(), http.StatusBadRequest)
			return
		}
		s := &timestamp.Timestamp{HashAlgorithm: req.HashAlgorithm, HashedMessage: req.HashedMessage, Nonce: req.Nonce, Time: time.Now(),
			Policy: asn1.ObjectIdentifier{1, 2, 3}, AddTSACertificate: req.Certificates}
		answer, err := s.CreateResponseWithOpts(cert, key, crypto.SHA256)
		if err != nil {
			http.Error(rw, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = rw.Write(answer)
	}))
	t.Cleanup(srv.Close)
	a.URL = srv.URL
	return a
}
