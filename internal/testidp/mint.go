package testidp

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // crypto.SHA384, crypto.SHA512
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// Key signs tokens and is published under ID. Fields of its JWK can be replaced (JWK); nil leaves one out.
type Key struct {
	ID     string
	Alg    string // RS256, PS256, ES256, ES384, EdDSA, ...
	Signer crypto.Signer
	JWK    map[string]any
}

// NewKey makes a key for an algorithm, with an ID of its own. RSA keys have 2048 bits.
func NewKey(alg string) (*Key, error) {
	var signer crypto.Signer
	var err error
	switch {
	case alg[1:2] == "S" && alg[0] != 'E':
		signer, err = rsa.GenerateKey(rand.Reader, 2048)
	case alg == "ES256":
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case alg == "ES384":
		signer, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case alg == "ES512":
		signer, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case alg == "EdDSA":
		_, signer, err = ed25519.GenerateKey(rand.Reader)
	default:
		err = fmt.Errorf("no keys are made for %q", alg)
	}
	return &Key{ID: "k-" + random(6), Alg: alg, Signer: signer}, err
}

func (k *Key) jwk() map[string]any {
	b64 := base64.RawURLEncoding.EncodeToString
	m := map[string]any{"kid": k.ID, "alg": k.Alg, "use": "sig"}
	switch pub := k.Signer.Public().(type) {
	case *rsa.PublicKey:
		m["kty"], m["n"], m["e"] = "RSA", b64(pub.N.Bytes()), b64(big.NewInt(int64(pub.E)).Bytes())
	case *ecdsa.PublicKey:
		size := (pub.Curve.Params().BitSize + 7) / 8
		point, err := pub.Bytes()
		if err != nil {
			panic(err)
		}
		m["kty"], m["crv"], m["x"], m["y"] = "EC", pub.Curve.Params().Name, b64(point[1:1+size]), b64(point[1+size:])
	case ed25519.PublicKey:
		m["kty"], m["crv"], m["x"] = "OKP", "Ed25519", b64(pub)
	}
	return with(m, k.JWK)
}

// mint makes a token of claims, exactly those, signed by the provider's key.
func (p *Provider) mint(typ string, claims map[string]any) string {
	key := p.Key()
	head, err := json.Marshal(map[string]any{"typ": typ, "alg": key.Alg, "kid": key.ID})
	if err != nil {
		panic(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	input := b64(head) + "." + b64(payload)
	return input + "." + b64(key.Sign(key.Alg, input))
}

// Sign gives the signature of an algorithm, which is one for keys of its kind.
func (k *Key) Sign(alg, input string) []byte {
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[alg[max(0, len(alg)-3):]]
	var sum []byte
	if hash != 0 {
		h := hash.New()
		h.Write([]byte(input))
		sum = h.Sum(nil)
	}
	switch signer := k.Signer.(type) {
	case *rsa.PrivateKey:
		var opts crypto.SignerOpts = hash
		if strings.HasPrefix(alg, "PS") {
			opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
		}
		sig, err := signer.Sign(rand.Reader, sum, opts)
		if err != nil {
			panic(err)
		}
		return sig
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, signer, sum)
		if err != nil {
			panic(err)
		}
		size := (signer.Curve.Params().BitSize + 7) / 8
		return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
	case ed25519.PrivateKey:
		return ed25519.Sign(signer, []byte(input))
	}
	panic("no way to sign " + alg)
}

// AccessToken mints an access token (RFC 9068) of the logged-in user for an audience, with typ at+jwt; claims replace members, nil leaves
// one out.
func (p *Provider) AccessToken(audience string, claims ...map[string]any) string {
	return p.mint("at+jwt", with(p.AccessClaims(audience), claims...))
}

// AccessClaims are those of AccessToken.
func (p *Provider) AccessClaims(audience string) map[string]any {
	user, now, lifetime := p.state()
	return with(map[string]any{
		"iss": p.Issuer, "sub": user.Subject, "aud": audience, "client_id": ClientID, "scope": "openid", "jti": random(12),
		"iat": now.Unix(), "exp": now.Add(lifetime).Unix(), "auth_time": user.authTime(now).Unix(),
	}, user.authContext(), user.Claims)
}

// IDToken mints an ID token of the logged-in user for ClientID; claims replace members, nil leaves one out.
func (p *Provider) IDToken(nonce string, claims ...map[string]any) string {
	return p.mint("JWT", with(p.IDClaims(nonce), claims...))
}

// IDClaims are those of IDToken.
func (p *Provider) IDClaims(nonce string) map[string]any {
	user, now, lifetime := p.state()
	m := with(map[string]any{
		"iss": p.Issuer, "sub": user.Subject, "aud": ClientID, "azp": ClientID, "iat": now.Unix(), "exp": now.Add(lifetime).Unix(),
		"auth_time": user.authTime(now).Unix(), "sid": "s-" + user.Subject,
	}, user.authContext(), user.Claims)
	if nonce != "" {
		m["nonce"] = nonce
	}
	return m
}

// LogoutToken mints a back-channel logout token (OpenID Connect Back-Channel Logout 1.0) of the logged-in user.
func (p *Provider) LogoutToken(claims ...map[string]any) string {
	user, now, _ := p.state()
	return p.mint("logout+jwt", with(map[string]any{
		"iss": p.Issuer, "aud": ClientID, "sub": user.Subject, "sid": "s-" + user.Subject, "jti": random(12), "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	}, claims...))
}

func (p *Provider) state() (User, time.Time, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var u User
	if p.user != nil {
		u = *p.user
	}
	return u, p.now(), p.lifetime
}

func (u User) authTime(now time.Time) time.Time {
	if u.Authenticated.IsZero() {
		return now
	}
	return u.Authenticated
}

func (u User) authContext() map[string]any {
	m := map[string]any{}
	if u.ACR != "" {
		m["acr"] = u.ACR
	}
	if len(u.AMR) > 0 {
		m["amr"] = u.AMR
	}
	return m
}

// CA is the PEM of the certificate that NewTLS's server is checked by.
func (p *Provider) CA() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Server.Certificate().Raw})
}

func random(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// halfHash is at_hash and c_hash of OpenID Connect Core 3.1.3.6, for algorithms with SHA-256.
func halfHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// Claims reads the claims of a token without checking anything.
func Claims(token string) (map[string]any, bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	var m map[string]any
	return m, err == nil && json.Unmarshal(raw, &m) == nil
}
