package evidence

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Signer signs with an Ed25519 key over the message itself. golang.org/x/mod/sumdb/note has one for keys in files.
type Signer interface {
	Name() string
	KeyHash() uint32
	Sign(msg []byte) ([]byte, error)
}

const (
	statementType = "https://in-toto.io/Statement/v1"
	payloadType   = "application/vnd.in-toto+json"
	predicateType = "urn:sallyport:predicate:evidence:1"
)

// statement is an in-toto Statement v1. https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
type statement struct {
	Type          string    `json:"_type"`
	Subject       []subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     predicate `json:"predicate"`
}

type subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// predicate says what the files are, so that nobody passes one bundle off as another.
type predicate struct {
	Schema    string        `json:"schema"`
	Generator string        `json:"generator"`
	Scope     DocumentScope `json:"scope"`
	Log       Log           `json:"log"`
}

// attest makes the envelope over files, which are in the order of their names.
func attest(d *Document, files []File, s Signer, public string) ([]byte, error) {
	st := statement{Type: statementType, PredicateType: predicateType, Predicate: predicate{d.Schema, d.Generator, d.Scope, d.Log}}
	for _, f := range files {
		sum := sha256.Sum256(f.Data)
		st.Subject = append(st.Subject, subject{f.Name, map[string]string{"sha256": hex.EncodeToString(sum[:])}})
	}
	return seal("bundle", st, s, public)
}

var errPublic = errors.New("not a public key in the form of C2SP signed-note (name+hash+base64)")

// publicPEM gives a public key in the form of C2SP signed-note as PEM, for openssl.
func publicPEM(public string) ([]byte, error) {
	part := strings.SplitN(public, "+", 3)
	if _, err := note.NewVerifier(public); err != nil || len(part) != 3 {
		return nil, errPublic
	}
	key, err := base64.StdEncoding.DecodeString(part[2])
	if err != nil || len(key) != 1+ed25519.PublicKeySize { // a byte for the algorithm
		return nil, errPublic
	}
	der, err := x509.MarshalPKIXPublicKey(ed25519.PublicKey(key[1:]))
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}
