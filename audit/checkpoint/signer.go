package checkpoint

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// GenerateKey makes a key pair in the text forms of C2SP signed-note. The first is secret.
func GenerateKey(name string) (private, public string, err error) {
	if !ValidName(name) {
		return "", "", fmt.Errorf("cannot name a key %q: a name has at least one character and no spaces, control characters or plus signs", name)
	}
	return note.GenerateKey(rand.Reader, name)
}

// NewSigner is a note.Signer whose key is elsewhere: sign is asked for an Ed25519 signature over the whole
// of the message. What it answers is checked against the public key before it is used, so that a
// wrong key shows when it signs and not when an auditor looks.
func NewSigner(public string, sign func(msg []byte) ([]byte, error)) (note.Signer, error) {
	v, err := note.NewVerifier(public)
	if err != nil {
		return nil, fmt.Errorf("read a public key: %w", err)
	}
	return &remote{v, sign}, nil
}

type remote struct {
	note.Verifier
	sign func(msg []byte) ([]byte, error)
}

func (r *remote) Sign(msg []byte) ([]byte, error) {
	sig, err := r.sign(msg)
	if err != nil {
		return nil, err
	}
	if !r.Verify(msg, sig) {
		return nil, fmt.Errorf("what was returned is not a signature by the key %s+%08x", r.Name(), r.KeyHash())
	}
	return sig, nil
}

// errPrivate never quotes what it could not read.
var errPrivate = errors.New("not a private key in the form of C2SP signed-note (PRIVATE+KEY+name+hash+base64)")

// Private reads a private key: its name and the Ed25519 key.
func Private(private string) (name string, key ed25519.PrivateKey, err error) {
	if _, err := note.NewSigner(private); err != nil {
		return "", nil, errPrivate
	}
	part := strings.SplitN(private, "+", 5) // NewSigner has seen all five
	b, err := base64.StdEncoding.DecodeString(part[4])
	if err != nil || len(b) != 1+ed25519.SeedSize {
		return "", nil, errPrivate
	}
	return part[2], ed25519.NewKeyFromSeed(b[1:]), nil
}

// Public gives the public key of a private one.
func Public(private string) (string, error) {
	name, key, err := Private(private)
	if err != nil {
		return "", err
	}
	return note.NewEd25519VerifierKey(name, key.Public().(ed25519.PublicKey))
}
