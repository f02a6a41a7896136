package oidc

import (
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/hex"
	"math/big"
	"strings"
)

// orders are those of the curves that algorithms sign on (RFC 7518 3.4).
var orders = map[string]*big.Int{"ES256": elliptic.P256().Params().N, "ES384": elliptic.P384().Params().N, "ES512": elliptic.P521().Params().N}

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// twin is the hash of the one other form of a token that verified (access.Proof.Twin). PKCS #1, PSS and Ed25519 have one form alone: their verifiers
// take no number that was not reduced.
func twin(alg, token string) string {
	order, at := orders[alg], strings.LastIndexByte(token, '.')
	sig, err := segment(token[at+1:])
	if order == nil || at < 0 || err != nil || len(sig) == 0 || len(sig)%2 != 0 {
		return ""
	}
	half := sig[len(sig)/2:]
	other := new(big.Int).Sub(order, new(big.Int).SetBytes(half))
	if other.Sign() <= 0 {
		return ""
	}
	other.FillBytes(half) // no longer than the order is
	return hashOf(token[:at+1] + unpadded.EncodeToString(sig))
}
