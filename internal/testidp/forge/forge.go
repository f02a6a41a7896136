// Package forge makes tokens that no provider would make, of a testidp.Provider's own keys and of others, for tests and evals. Start at Mint.
package forge

import (
	"crypto"
	"crypto/hmac"
	_ "crypto/sha256" // crypto.SHA256
	_ "crypto/sha512" // crypto.SHA384, crypto.SHA512
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"strings"

	"sallyport/internal/testidp"
)

// Shape is how a token differs from a good one.
type Shape struct {
	Header  map[string]any // replaces members of the header: alg, kid, typ; nil leaves one out
	Key     *testidp.Key   // signs; nil is the provider's
	Alg     string         // "none" leaves the signature out; "HS256" signs with Secret
	Secret  []byte         // of HS256; nil is the PEM of the public key
	Payload []byte         // instead of the claims, as it is
}

// Mint makes a token of claims, exactly those. Where shapes do not say otherwise, it is signed by the provider's key and its header has
// alg, kid and typ "JWT".
func Mint(p *testidp.Provider, claims map[string]any, shapes ...Shape) string {
	key, alg := p.Key(), ""
	header := map[string]any{"typ": "JWT"}
	var secret []byte
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	overrides := map[string]any{}
	for _, s := range shapes {
		if s.Key != nil {
			key = s.Key
		}
		if s.Alg != "" {
			alg = s.Alg
		}
		if s.Secret != nil {
			secret = s.Secret
		}
		if s.Payload != nil {
			payload = s.Payload
		}
		maps.Copy(overrides, s.Header)
	}
	if alg == "" {
		alg = key.Alg
	}
	header["alg"], header["kid"] = alg, key.ID
	for name, v := range overrides {
		if header[name] = v; v == nil {
			delete(header, name)
		}
	}
	head, err := json.Marshal(header)
	if err != nil {
		panic(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	input := b64(head) + "." + b64(payload)
	if secret == nil {
		secret = PublicPEM(key)
	}
	return input + "." + b64(sign(key, alg, secret, input))
}

func sign(key *testidp.Key, alg string, secret []byte, input string) []byte {
	switch {
	case alg == "none":
		return nil
	case strings.HasPrefix(alg, "HS"):
		mac := hmac.New(map[string]crypto.Hash{"HS256": crypto.SHA256, "HS384": crypto.SHA384, "HS512": crypto.SHA512}[alg].New, secret)
		mac.Write([]byte(input))
		return mac.Sum(nil)
	}
	return key.Sign(alg, input)
}

// PublicPEM is a public key as an attacker would use it for HMAC.
func PublicPEM(k *testidp.Key) []byte {
	der, err := x509.MarshalPKIXPublicKey(k.Signer.Public())
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}
