package login

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
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"sallyport/internal/testidp"
)

// gatewayFake serves the two paths as the web door does: it issues for the key to which the ID token's nonce is bound.
type gatewayFake struct {
	*httptest.Server
	t     *testing.T
	idp   *testidp.Provider
	ca    *x509.Certificate
	caKey *ecdsa.PrivateKey

	mu       sync.Mutex
	issued   int
	nonces   []string
	out      []string // credentials withdrawn
	lifetime time.Duration
	offer    map[string]any
}

func newFake(t *testing.T) *gatewayFake {
	t.Helper()
	f := &gatewayFake{t: t, idp: testidp.New(t), lifetime: time.Hour}
	f.offer = map[string]any{"providers": []map[string]any{{"name": "work", "issuer": f.idp.Issuer, "client_id": testidp.ClientID, "scopes": []string{"email"}, "secret": false}},
		"pgwire": map[string]any{"address": "127.0.0.1:5432", "tls": true}, "mcp": map[string]any{"url": "http://127.0.0.1:1/mcp"}}
	var err error
	if f.caKey, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &f.caKey.PublicKey, f.caKey)
	if err != nil {
		t.Fatal(err)
	}
	f.ca, _ = x509.ParseCertificate(der)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/login", func(w http.ResponseWriter, r *http.Request) { f.say(w, 200, f.offer) })
	mux.HandleFunc("POST /api/v1/credential", f.issue)
	mux.HandleFunc("DELETE /api/v1/credential", func(w http.ResponseWriter, r *http.Request) {
		user, secret, _ := r.BasicAuth()
		f.mu.Lock()
		defer f.mu.Unlock()
		f.out = append(f.out, user+" "+secret)
		w.WriteHeader(http.StatusNoContent)
	})
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	return f
}

func (f *gatewayFake) say(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

func (f *gatewayFake) issue(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var in wish
	if json.NewDecoder(r.Body).Decode(&in) != nil || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Origin") != "" {
		f.say(w, 400, map[string]string{"error": "not as agreed"})
		return
	}
	block, _ := pem.Decode([]byte(in.Request))
	if block == nil {
		f.say(w, 400, map[string]string{"error": "no request"})
		return
	}
	req, err := x509.ParseCertificateRequest(block.Bytes)
	claims, ok := testidp.Claims(in.IDToken)
	if err != nil || req.CheckSignature() != nil || !ok {
		f.say(w, 400, map[string]string{"error": "no request or token"})
		return
	}
	sum := sha256.Sum256(req.RawSubjectPublicKeyInfo)
	has, _ := claims["nonce"].(string)
	if in.Nonce != has || has != "" && has != base64.RawURLEncoding.EncodeToString(sum[:]) {
		f.say(w, 403, map[string]string{"error": "the token is not bound to the key", "hint": "log in"})
		return
	}
	f.issued++
	f.nonces = append(f.nonces, in.Nonce)
	expires := time.Now().Add(f.lifetime).Truncate(time.Second)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(int64(f.issued + 1)), Subject: pkix.Name{CommonName: "ada"}, NotAfter: time.Now().Add(time.Hour)}, f.ca, req.PublicKey, f.caKey)
	if err != nil {
		f.t.Error(err)
	}
	f.say(w, 200, grant{Principal: claims["sub"].(string), Groups: []string{"engineers"}, Credential: fmt.Sprint("c", f.issued), Secret: fmt.Sprint("secret", f.issued), Expires: expires,
		Certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), Authority: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.ca.Raw})),
		Connections: []string{"shop"}, PGWire: PGWire{"127.0.0.1:5432", true}})
}

func (f *gatewayFake) profile() *Profile {
	f.t.Helper()
	p, err := Open(filepath.Join(f.t.TempDir(), "sallyport"), f.URL)
	if err != nil {
		f.t.Fatal(err)
	}
	return p
}

// browser goes where it is sent, as a browser of somebody who agrees to everything; change may tamper with the way back.
func browser(t *testing.T, change func(*url.URL)) func(string) error {
	return func(address string) error {
		go func() {
			c := &http.Client{CheckRedirect: func(r *http.Request, _ []*http.Request) error {
				if r.URL.Path == "/callback" && change != nil {
					change(r.URL)
				}
				return nil
			}}
			resp, err := c.Get(address)
			if err != nil {
				t.Logf("browser: %v", err)
				return
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			t.Logf("browser: %s", resp.Status)
		}()
		return nil
	}
}
