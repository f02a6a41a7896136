package oidc

import (
	"math/big"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
)

// mirrored is a token with the other signature that whoever has seen it can make of it.
func mirrored(t *testing.T, alg, token string) string {
	t.Helper()
	at := strings.LastIndexByte(token, '.')
	sig, err := unpadded.DecodeString(token[at+1:])
	if err != nil {
		t.Fatal(err)
	}
	half := sig[len(sig)/2:]
	new(big.Int).Sub(orders[alg], new(big.Int).SetBytes(half)).FillBytes(half)
	return token[:at+1] + unpadded.EncodeToString(sig)
}

// Of a token with an ECDSA signature anybody can make another that verifies. A revocation of its hash, and that it was handed in before, hold for both.
func TestTokensThatVerifyInTwoForms(t *testing.T) {
	for alg := range orders {
		t.Run(alg, func(t *testing.T) {
			b := newBench(t, func(p *access.Provider) { p.Algorithms = []string{alg} })
			b.idp.SetKeys(newKey(t, alg))
			for what, prove := range map[string]func(string) (Said, error){
				"access": func(raw string) (Said, error) { return b.ps.Access(t.Context(), raw) },
				"id": func(raw string) (Said, error) {
					return b.ps.ID(t.Context(), access.IDToken{Provider: "corp", Token: raw, Nonce: "n"})
				},
			} {
				raw := b.idp.AccessToken(door)
				if what == "id" {
					raw = b.idp.IDToken("n")
				}
				one, err := prove(raw)
				if err != nil {
					t.Fatal(what, err)
				}
				two, err := prove(mirrored(t, alg, raw))
				if err != nil {
					t.Fatal(what, "the other form does not verify: ", err)
				}
				p, q := one.Principal.Proof, two.Principal.Proof
				if p.Token == q.Token || p.Token != q.Twin || p.Twin != q.Token || p.Once() != q.Once() {
					t.Errorf("%s: %s, %s and %s, %s", what, p.Token, p.Twin, q.Token, q.Twin)
				}
				if r := (access.Revocation{Token: hashOf(raw)}); !r.Covers(one.Principal) || !r.Covers(two.Principal) {
					t.Errorf("%s: a form of a withdrawn token is not withdrawn", what)
				}
				if p.Recorded().Twin != "" {
					t.Error("it is for comparison, not for the record")
				}
				b.pass(time.Second)
			}
		})
	}
	b := newBench(t)
	for _, alg := range []string{"RS256", "EdDSA"} {
		b.idp.SetKeys(newKey(t, alg))
		b.pass(2 * time.Minute) // a new key may be asked for again
		if p := b.good(b.idp.AccessToken(door)).Principal.Proof; p.Twin != "" || p.Once() != p.Token {
			t.Errorf("%s: %+v", alg, p)
		}
	}
}
