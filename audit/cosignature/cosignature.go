// Package cosignature signs and verifies C2SP tlog-cosignature "cosignature/v1" signatures (Ed25519): the
// statement of a witness that, at a time, a checkpoint was the largest tree of its log that it had
// seen, and consistent with all it saw before. They are further signature lines below a checkpoint.
//
// It trusts the witnesses' verifiers that it is given, and their clocks for the time. It refuses to cosign
// text that is no checkpoint, and a checkpoint on which a known witness's signature is bad.
//
// Where to start: NewSigner for a witness, Verify for whoever holds a cosigned checkpoint.
package cosignature

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"sallyport/audit/checkpoint"
)

const (
	algorithm = 0x04 // Ed25519 cosignature/v1, C2SP signed-note
	sigSize   = 8 + ed25519.SignatureSize
)

// key is a witness's public key.
type key struct {
	name string
	pub  ed25519.PublicKey
}

func (k key) Name() string { return k.name }

func (k key) KeyHash() uint32 {
	sum := sha256.Sum256(slices.Concat([]byte(k.name+"\n"), k.encoded()))
	return binary.BigEndian.Uint32(sum[:])
}

func (k key) encoded() []byte { return append([]byte{algorithm}, k.pub...) }

// Verify reports whether sig, a time and a signature, is k's cosignature of the text of a checkpoint.
func (k key) Verify(text, sig []byte) bool {
	if len(sig) != sigSize {
		return false
	}
	at := binary.BigEndian.Uint64(sig)
	msg, err := message(at, text)
	return err == nil && ed25519.Verify(k.pub, msg, sig[8:])
}

// message is what is signed, with a time in seconds since 1970.
func message(at uint64, text []byte) ([]byte, error) {
	if _, err := checkpoint.Parse(string(text)); err != nil {
		return nil, err
	}
	if at > math.MaxInt64 {
		return nil, errors.New("a time beyond 2^63-1")
	}
	return fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, text), nil
}

// PublicKey gives the public key, in the text form of C2SP signed-note, of a witness that has the private
// key (see checkpoint.GenerateKey).
func PublicKey(private string) (string, error) {
	name, secret, err := checkpoint.Private(private)
	if err != nil {
		return "", err
	}
	k := key{name, secret.Public().(ed25519.PublicKey)}
	return fmt.Sprintf("%s+%08x+%s", k.name, k.KeyHash(), base64.StdEncoding.EncodeToString(k.encoded())), nil
}

// NewVerifier reads a witness's public key.
func NewVerifier(public string) (note.Verifier, error) {
	bad := errors.New("not a witness's public key in the form of C2SP signed-note (name+hash+base64, type 4)")
	part := strings.SplitN(public, "+", 3)
	if len(part) != 3 {
		return nil, bad
	}
	b, err := base64.StdEncoding.Strict().DecodeString(part[2])
	if err != nil || len(b) != 1+ed25519.PublicKeySize || b[0] != algorithm || !checkpoint.ValidName(part[0]) {
		return nil, bad
	}
	k := key{part[0], ed25519.PublicKey(b[1:])}
	if fmt.Sprintf("%08x", k.KeyHash()) != part[1] {
		return nil, bad
	}
	return k, nil
}

// NewSigner is a witness that signs with the time that now gives.
func NewSigner(private string, now func() time.Time) (note.Signer, error) {
	name, secret, err := checkpoint.Private(private)
	if err != nil {
		return nil, err
	}
	return signer{key{name, secret.Public().(ed25519.PublicKey)}, secret, now}, nil
}

type signer struct {
	key
	secret ed25519.PrivateKey
	now    func() time.Time
}

func (s signer) Sign(text []byte) ([]byte, error) {
	at := uint64(s.now().Unix()) // a time before 1970 is refused by message
	msg, err := message(at, text)
	if err != nil {
		return nil, fmt.Errorf("cosign: %w", err)
	}
	return append(binary.BigEndian.AppendUint64(nil, at), ed25519.Sign(s.secret, msg)...), nil
}

// Cosignature is what one witness said of a checkpoint.
type Cosignature struct {
	Witness string
	Key     uint32 // hash of its key
	Time    time.Time
	Line    string // the signature line, without its newline
}

// Verify gives the cosignatures of the given witnesses on a signed checkpoint, in the order in which they
// are there. Signatures of others, the log's too, are not looked at: none at all is not an error.
func Verify(msg []byte, witnesses ...note.Verifier) ([]Cosignature, error) {
	n, err := note.Open(msg, note.VerifierList(witnesses...))
	if unsigned := (*note.UnverifiedNoteError)(nil); errors.As(err, &unsigned) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("verify cosignatures: %w", err)
	}
	var all []Cosignature
	for _, s := range n.Sigs {
		b, err := base64.StdEncoding.DecodeString(s.Base64)
		if err != nil || len(b) != 4+sigSize {
			continue // of a verifier that is no witness
		}
		all = append(all, Cosignature{s.Name, s.Hash, time.Unix(int64(binary.BigEndian.Uint64(b[4:])), 0).UTC(), "— " + s.Name + " " + s.Base64})
	}
	return all, nil
}

// Lines gives those of the signature lines that are cosignatures of the given witnesses on the signed
// checkpoint: the newest of each witness. The others are left out, whatever is wrong with them.
func Lines(msg, lines []byte, witnesses ...note.Verifier) []Cosignature {
	text, _, _ := bytes.Cut(msg, blank)
	var all []Cosignature
	for line := range strings.Lines(string(lines)) {
		// One at a time: a bad line must not take good ones with it.
		c, err := Verify(slices.Concat(text, blank, []byte(line)), witnesses...)
		if err != nil || len(c) != 1 {
			continue
		}
		if i := slices.IndexFunc(all, c[0].same); i < 0 {
			all = append(all, c[0])
		} else if all[i].Time.Before(c[0].Time) {
			all[i] = c[0]
		}
	}
	return all
}

var blank = []byte("\n\n")

// same says that two cosignatures are by one key.
func (c Cosignature) same(o Cosignature) bool { return c.Witness == o.Witness && c.Key == o.Key }

// Attach adds cosignatures from lines to a signed checkpoint (see Lines). One that is there already by the
// same witness is replaced if it is older. It also gives what it added.
func Attach(msg, lines []byte, witnesses ...note.Verifier) ([]byte, []Cosignature, error) {
	text, sigs, ok := bytes.Cut(msg, blank)
	if !ok {
		return nil, nil, errors.New("attach cosignatures: not a signed note")
	}
	before, err := Verify(msg, witnesses...)
	if err != nil {
		return nil, nil, err
	}
	added := slices.DeleteFunc(Lines(msg, lines, witnesses...), func(c Cosignature) bool {
		return slices.ContainsFunc(before, func(o Cosignature) bool { return c.same(o) && !o.Time.Before(c.Time) })
	})
	replaced := map[string]bool{}
	for _, o := range before {
		replaced[o.Line] = slices.ContainsFunc(added, o.same)
	}
	out := slices.Concat(text, blank)
	for line := range strings.Lines(string(sigs)) {
		if !replaced[strings.TrimSuffix(line, "\n")] {
			out = append(out, line...)
		}
	}
	for _, c := range added {
		out = append(out, c.Line+"\n"...)
	}
	return out, added, nil
}
