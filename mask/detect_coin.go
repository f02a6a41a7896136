package mask

import (
	"bytes"
	"crypto/sha256"
)

// coin recognises an address of a crypto currency, or a private key of one, that is the whole of a
// token of letters and digits:
//
//   - Base58Check: a version byte, 20 bytes and four bytes of a double SHA-256 (Bitcoin, Litecoin,
//     Dogecoin, Tron...); with 32 or 33 bytes and version 128 it is a private key in Bitcoin's wallet
//     import format
//   - Bech32 and Bech32m (BIP 173, BIP 350), with the prefixes of Bitcoin and Litecoin
//   - 0x and 40 hexadecimal digits: Ethereum's. The check that their case may hold (EIP-55) is left
//     aside, for all-lower-case addresses are as good; transactions have 64 digits.
func coin(token []byte) string {
	switch n := len(token); {
	case n == 42 && token[0] == '0' && token[1] == 'x':
		for _, c := range token[2:] {
			if !isHex(c) {
				return ""
			}
		}
		return "crypto"
	case n >= 14 && n <= 90 && bech32(token):
		return "crypto"
	case n >= 25 && n <= 36, n == 51, n == 52:
		version, size := base58Check(token)
		switch {
		case size == 20:
			return "crypto"
		case version == 0x80 && (size == 32 || size == 33):
			return "key"
		}
	}
	return ""
}

const base58Alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

var base58Value = values(base58Alphabet)

// values maps each byte to its place in an alphabet, or to 255.
func values(alphabet string) (t [256]uint8) {
	for i := range t {
		t[i] = 255
	}
	for i := range len(alphabet) {
		t[alphabet[i]] = uint8(i)
	}
	return t
}

// base58Check gives the version and the size of what follows it, or size 0 where the check is wrong.
func base58Check(token []byte) (version byte, size int) {
	for _, c := range token {
		if base58Value[c] == 255 {
			return 0, 0
		}
	}
	var buf [40]byte // the number, its end at the end
	n := 0           // bytes of it in use
	for _, c := range token {
		carry := int(base58Value[c])
		for k := range n {
			at := len(buf) - 1 - k
			carry += int(buf[at]) * 58
			buf[at] = byte(carry)
			carry >>= 8
		}
		if carry > 0 {
			if n++; n > len(buf) {
				return 0, 0
			}
			buf[len(buf)-n] = byte(carry)
		}
	}
	for _, c := range token { // each leading 1 is a byte of zero
		if c != '1' {
			break
		}
		if n++; n > len(buf) {
			return 0, 0
		}
	}
	if n < 6 {
		return 0, 0
	}
	payload, check := buf[len(buf)-n:len(buf)-4], buf[len(buf)-4:]
	once := sha256.Sum256(payload)
	twice := sha256.Sum256(once[:])
	if !bytes.Equal(twice[:4], check) {
		return 0, 0
	}
	return payload[0], n - 5
}

var (
	bech32Value    = values("qpzry9x8gf2tvdw0s3jn54khce6mua7l")
	bech32Prefixes = []string{"bc1", "tb1", "ltc1"}
)

func bech32(token []byte) bool {
	for _, p := range bech32Prefixes {
		if begins(token, p) {
			return bech32Checks(token, len(p)-1)
		}
	}
	return false
}

// bech32Checks computes the checksum of a token whose prefix has n bytes.
func bech32Checks(token []byte, n int) bool {
	sum := uint32(1)
	add := func(v byte) {
		top := sum >> 25
		sum = sum&0x1ffffff<<5 ^ uint32(v)
		for i, g := range [5]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 == 1 {
				sum ^= g
			}
		}
	}
	for _, c := range token[:n] {
		add(lower(c) >> 5)
	}
	add(0)
	for _, c := range token[:n] {
		add(lower(c) & 31)
	}
	for _, c := range token[n+1:] {
		v := bech32Value[lower(c)]
		if v == 255 {
			return false
		}
		add(v)
	}
	return sum == 1 || sum == 0x2bc830a3
}

func lower(c byte) byte {
	if isUpper(c) {
		return c | 0x20
	}
	return c
}
