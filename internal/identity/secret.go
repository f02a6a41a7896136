package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/xdg-go/scram"
)

const (
	// iterations is PostgreSQL's SCRAM_SHA_256_DEFAULT_ITERATIONS.
	iterations = 4096
	// A verifier outside these bounds is a mistake in the configuration: too few iterations protect
	// nothing, too many let anybody who knows a user name spend our processor time.
	minIterations, maxIterations = 4096, 1 << 20

	saltSize  = 16 // PostgreSQL's SCRAM_DEFAULT_SALT_LEN
	tokenSize = 32

	mechanism = "SCRAM-SHA-256"
	// tokenPrefix lets secret scanners recognise a leaked token.
	tokenPrefix = "sp_"
)

// HashPassword gives the verifier of a password in the form that PostgreSQL stores
// (SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>, base64), with a fresh salt.
func HashPassword(password string) string {
	salt := make([]byte, saltSize)
	rand.Read(salt) // never fails since Go 1.24: the process ends instead
	keys := derive(password, scram.KeyFactors{Salt: string(salt), Iters: iterations})
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%s$%d:%s$%s:%s", mechanism, iterations, b64(salt), b64(keys.StoredKey), b64(keys.ServerKey))
}

// NewToken gives a fresh bearer token and the hex SHA-256 under which it is stored.
func NewToken() (token, sha256Hex string) {
	raw := make([]byte, tokenSize)
	rand.Read(raw)
	token = tokenPrefix + base64.RawURLEncoding.EncodeToString(raw)
	sum := sha256.Sum256([]byte(token))
	return token, hex.EncodeToString(sum[:])
}

// derive makes the keys of a password. Like PostgreSQL (pg_saslprep), it takes the raw bytes of a
// password that SASLprep cannot prepare, so that every password that works there works here.
func derive(password string, factors scram.KeyFactors) scram.StoredCredentials {
	client, err := scram.SHA256.NewClient("", password, "")
	if err != nil {
		client, err = scram.SHA256.NewClientUnprepped("", password, "")
	}
	if err != nil {
		return scram.StoredCredentials{} // no keys: compares unequal to every verifier
	}
	keys, err := client.GetStoredCredentialsWithError(factors)
	if err != nil {
		return scram.StoredCredentials{}
	}
	return keys
}

// parseVerifier reads a verifier in PostgreSQL's form. Its errors never repeat the verifier.
func parseVerifier(v string) (scram.StoredCredentials, error) {
	var c scram.StoredCredentials
	parts := strings.Split(v, "$")
	if len(parts) != 3 || parts[0] != mechanism {
		return c, errors.New("not of the form SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>")
	}
	iters, salt, ok := strings.Cut(parts[1], ":")
	stored, server, ok2 := strings.Cut(parts[2], ":")
	if !ok || !ok2 {
		return c, errors.New("a ':' is missing")
	}
	n, err := strconv.Atoi(iters)
	if err != nil || n < minIterations || n > maxIterations {
		return c, fmt.Errorf("the iteration count must be between %d and %d", minIterations, maxIterations)
	}
	rawSalt, err := base64.StdEncoding.DecodeString(salt)
	if err != nil || len(rawSalt) < 8 {
		return c, errors.New("the salt is not base64 of at least 8 bytes")
	}
	c.KeyFactors = scram.KeyFactors{Salt: string(rawSalt), Iters: n}
	if c.StoredKey, err = decodeKey(stored); err != nil {
		return c, fmt.Errorf("StoredKey: %w", err)
	}
	if c.ServerKey, err = decodeKey(server); err != nil {
		return c, fmt.Errorf("ServerKey: %w", err)
	}
	return c, nil
}

func decodeKey(s string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) != sha256.Size {
		return nil, fmt.Errorf("not base64 of %d bytes", sha256.Size)
	}
	return b, nil
}
