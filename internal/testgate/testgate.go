// Package testgate is a gateway's web door for tests of what internal/login does where that door answers in odd ways: it gives certificates and secrets to whom
// a testidp.Provider knows, for the key to which the ID token's nonce is bound. It is not how the gateway does it; internal/web is, and the scripts of
// cmd/sallyport log in there.
package testgate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"time"

	"sallyport/internal/testidp"
)

// Gate serves the paths of a log-in. Its fields may be changed between requests.
type Gate struct {
	*httptest.Server
	IDP      *testidp.Provider
	Lifetime time.Duration
	Offer    map[string]any // the answer of GET /api/v1/login

	ca     *x509.Certificate // of clients
	caKey  *ecdsa.PrivateKey
	mu     sync.Mutex
	Issued int      // log-ins
	Nonces []string // of each
	Out    []string // "principal secret" of those withdrawn
	Asked  int      // how often it was asked whether a secret holds
}

// New starts one, with a provider that lets ada in at once.
func New(t testidp.TB) *Gate {
	t.Helper()
	f := &Gate{IDP: testidp.New(t), Lifetime: time.Hour}
	f.Offer = map[string]any{"providers": []map[string]any{{"name": "work", "issuer": f.IDP.Issuer, "client_id": testidp.ClientID, "scopes": []string{"email"}, "secret": false}},
		"pgwire": map[string]any{"address": "127.0.0.1:5432", "tls": true}, "mcp": map[string]any{"url": "http://127.0.0.1:1/mcp"}}
	var err error
	if f.caKey, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatalf("%v", err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &f.caKey.PublicKey, f.caKey)
	if err != nil {
		t.Fatalf("%v", err)
	}
	f.ca, _ = x509.ParseCertificate(der)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/login", func(w http.ResponseWriter, r *http.Request) { Say(w, http.StatusOK, f.Offer) })
	mux.HandleFunc("POST /api/v1/credential", f.issue)
	mux.HandleFunc("GET /api/v1/credential", func(w http.ResponseWriter, r *http.Request) {
		user, secret, _ := r.BasicAuth()
		f.mu.Lock()
		defer f.mu.Unlock()
		f.Asked++
		if slices.Contains(f.Out, user+" "+secret) {
			Say(w, http.StatusUnauthorized, map[string]string{"error": "this name and password do not open this door"})
			return
		}
		Say(w, http.StatusOK, map[string]string{})
	})
	mux.HandleFunc("DELETE /api/v1/credential", func(w http.ResponseWriter, r *http.Request) {
		user, secret, _ := r.BasicAuth()
		f.mu.Lock()
		defer f.mu.Unlock()
		f.Out = append(f.Out, user+" "+secret)
		w.WriteHeader(http.StatusNoContent)
	})
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	return f
}

// Say answers with JSON.
func Say(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

func (f *Gate) issue(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var in struct {
		IDToken        string `json:"id_token"`
		Nonce, Request string
	}
	if json.NewDecoder(r.Body).Decode(&in) != nil || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Origin") != "" {
		Say(w, http.StatusBadRequest, map[string]string{"error": "not as agreed"})
		return
	}
	block, _ := pem.Decode([]byte(in.Request))
	if block == nil {
		Say(w, http.StatusBadRequest, map[string]string{"error": "no request"})
		return
	}
	req, err := x509.ParseCertificateRequest(block.Bytes)
	claims, ok := testidp.Claims(in.IDToken)
	if err == nil && (len(req.URIs) != 1 || req.URIs[0].Host != r.Host) {
		Say(w, http.StatusForbidden, map[string]string{"error": "the request is for another gateway"})
		return
	}
	if err != nil || req.CheckSignature() != nil || !ok {
		Say(w, http.StatusBadRequest, map[string]string{"error": "no request or token"})
		return
	}
	sum := sha256.Sum256(req.RawSubjectPublicKeyInfo)
	has, _ := claims["nonce"].(string)
	if in.Nonce != has || has != "" && has != base64.RawURLEncoding.EncodeToString(sum[:]) {
		Say(w, http.StatusForbidden, map[string]string{"error": "the token is not bound to the key", "hint": "log in"})
		return
	}
	f.Issued++
	f.Nonces = append(f.Nonces, in.Nonce)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(int64(f.Issued + 1)), Subject: pkix.Name{CommonName: fmt.Sprint(claims["sub"])}, NotAfter: time.Now().Add(time.Hour)}, f.ca, req.PublicKey, f.caKey)
	if err != nil {
		Say(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
		return
	}
	principal, _ := claims["sub"].(string)
	secret := fmt.Sprint("secret", f.Issued)
	Say(w, http.StatusOK, map[string]any{"principal": principal, "groups": []string{"engineers"}, "credential": fmt.Sprint("c", f.Issued), "secret": secret,
		"expires": time.Now().Add(f.Lifetime).Truncate(time.Second), "certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		"authority": "", "connections": []string{"shop"}, "pgwire": f.Offer["pgwire"]})
}

// Log gives what has been issued so far, and withdrawn.
func (f *Gate) Log() (nonces, withdrawn []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.Nonces, f.Out
}
