package mask

import (
	"crypto/sha256"
	"math/big"
	"strings"
	"testing"
)

// base58 writes a version and a payload as their users do.
func base58(version byte, payload []byte) string {
	b := append([]byte{version}, payload...)
	once := sha256.Sum256(b)
	twice := sha256.Sum256(once[:])
	b = append(b, twice[:4]...)
	n, out := new(big.Int).SetBytes(b), ""
	for rest := new(big.Int); n.Sign() > 0; {
		n.DivMod(n, big.NewInt(58), rest)
		out = string(base58Alphabet[rest.Int64()]) + out
	}
	for _, c := range b {
		if c != 0 {
			break
		}
		out = "1" + out
	}
	return out
}

func TestDetectorFindsCoins(t *testing.T) {
	some := sha256.Sum256([]byte("nobody's"))
	for text, want := range map[string]string{
		"pay " + base58(0, some[:20]) + " now":   "pay [crypto] now",
		"pay " + base58(5, some[:20]) + ".":      "pay [crypto].",
		base58(0, make([]byte, 20)):              "[crypto]",
		base58(0x41, some[:20]):                  "[crypto]",
		base58(0x80, some[:]):                    "[key]",
		base58(0x80, append(some[:], 1)):         "[key]",
		"0x" + strings.Repeat("aB", 20) + " eth": "[crypto] eth",
		// The examples of BIP 173 and BIP 350.
		"to BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4":                                         "to [crypto]",
		"tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7":                        "[crypto]",
		"bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0":                        "[crypto]",
		"mac 00:1b:44:11:3a:b7, 00-1B-44-11-3A-B7, 10-12-20-ab-cd-ef, AB-CD-EF-12-34-56, a:b:c": "mac [mac], [mac], [mac], [mac], a:b:c",
	} {
		if got := NewDetector().String(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func TestDetectorLeavesWrongCoinsAlone(t *testing.T) {
	some := sha256.Sum256([]byte("nobody's"))
	good := base58(0, some[:20])
	swapped := good[:len(good)-1] + string(base58Alphabet[(strings.IndexByte(base58Alphabet, good[len(good)-1])+1)%58])
	for _, text := range []string{swapped, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", "0x" + strings.Repeat("ab", 32), strings.Repeat("ab", 20),
		"sha256 00:1b:44:11:3a:b7:00:1b:44:11:3a:b7", "10:11:12", "2026-05-06-07-08-09", "9f86d081884c7d659a2feaa0c55ad015", "x00:1b:44:11:3a:b7"} {
		if got := NewDetector().String(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestDetectorEndsKeysWithTheirString(t *testing.T) {
	for text, want := range map[string]string{
		`{"k":"-----BEGIN PRIVATE KEY-----\nMII"}`:                             `{"k":"[key]"}`,
		`{"k":"-----BEGIN PRIVATE KEY-----\nMII","l":"-----END x-----","m":1}`: `{"k":"[key]","l":"-----END x-----","m":1}`,
		`<k>-----BEGIN PRIVATE KEY-----MII</k>`:                                `<k>[key]</k>`,
	} {
		if got := NewDetector().String(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}
