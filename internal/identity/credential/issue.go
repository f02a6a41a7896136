package credential

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/xdg-go/scram"
	"go.etcd.io/bbolt"

	"sallyport/internal/access"
)

const (
	keySize = 32
	// secretPrefix lets secret scanners recognise a leaked secret.
	secretPrefix = "sps_"
	mostRequest  = 16 << 10 // bytes of a certificate request
)

// Issued is what somebody gets who has logged in. Nothing of Secret is kept but its verifier.
type Issued struct {
	ID          string // of the credential; the certificate's serial number
	Certificate []byte // PEM: the client's, and the authority's behind it
	Secret      string
	Expires     time.Time
	Replaced    []access.Principal // by what had to make room for it
}

func badRequest(why string) error {
	return &access.Error{Kind: access.Invalid, Code: "22023", Message: "the certificate request is refused: " + why, Hint: "send one PKCS #10 request (PEM), signed with a key of ECDSA P-256 or larger, Ed25519, or RSA of 2048 bits or more"}
}

// ParseRequest reads a certificate request (PKCS #10, PEM) and checks that who made it has the key, and that the key is no weak one. All
// else that it says is ignored.
func ParseRequest(request []byte) (*x509.CertificateRequest, error) {
	if len(request) > mostRequest {
		return nil, badRequest("it is too long")
	}
	block, rest := pem.Decode(request)
	if block == nil || block.Type != "CERTIFICATE REQUEST" && block.Type != "NEW CERTIFICATE REQUEST" || len(strings.TrimSpace(string(rest))) > 0 {
		return nil, badRequest("it is not one PEM block")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, badRequest("it cannot be parsed")
	}
	switch key := csr.PublicKey.(type) {
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() && key.Curve != elliptic.P384() && key.Curve != elliptic.P521() {
			return nil, badRequest("its curve is not P-256, P-384 or P-521")
		}
	case ed25519.PublicKey:
	case *rsa.PublicKey:
		if n := key.N.BitLen(); n < 2048 || n > 8192 {
			return nil, badRequest(fmt.Sprintf("an RSA key of %d bits", n))
		}
	default:
		return nil, badRequest("its key is of another kind")
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, badRequest("its signature is not that of its key")
	}
	return csr, nil
}

// Bound is the nonce that an identity token has to have for its holder to get a certificate for the key of a request: the base64url
// SHA-256 of the SubjectPublicKeyInfo.
func Bound(csr *x509.CertificateRequest) string {
	sum := sha256.Sum256(csr.RawSubjectPublicKeyInfo)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Issue makes a certificate for the key of a request and a secret, both for p, who has logged in by the identity token that p.Proof speaks of
// (Token, Twin, Issued, Expires), which is used up by it. They end together, after life and never after Longest. factors
// are what the secret's verifier is made with. All is durable before Issue returns; a failure leaves nothing.
func (s *Store) Issue(p access.Principal, request []byte, life time.Duration, factors scram.KeyFactors) (Issued, error) {
	if p.Name == "" || p.Kind != access.Human || p.Actor != "" {
		return Issued{}, &access.Error{Kind: access.Denied, Code: "28000", Message: "credentials are issued to people who act themselves", Hint: "agents use access tokens of their provider"}
	}
	if life <= 0 || life > Longest {
		return Issued{}, fmt.Errorf("a credential lives for up to %s, not %s", Longest, life)
	}
	csr, err := ParseRequest(request)
	if err != nil {
		return Issued{}, err
	}
	if err := s.authority.renew(); err != nil {
		return Issued{}, s.failed(err)
	}
	now := s.now()
	id := serial()
	e := &entry{ID: hex.EncodeToString(id), Name: p.Name, Kind: p.Kind, Groups: slices.Clone(p.Groups), Attributes: maps.Clone(p.Attributes), Proof: p.Proof,
		Expires: now.Add(life).UTC().Truncate(time.Second)}
	out := Issued{ID: e.ID, Expires: e.Expires}
	at := s.authority.at.Load()
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(id), Subject: pkix.Name{CommonName: p.Name}, NotBefore: now.Add(-skew), NotAfter: e.Expires,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, at.cert, csr.PublicKey, at.key)
	if err != nil {
		return Issued{}, fmt.Errorf("sign a certificate: %w", err)
	}
	sum := sha256.Sum256(der)
	e.Sum = sum[:]
	out.Certificate = append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: at.cert.Raw})...)
	if out.Secret, err = e.newSecret(factors); err != nil {
		return Issued{}, err
	}
	out.Replaced, err = s.put(e, keyOf(csr))
	if err != nil {
		return Issued{}, s.failed(err)
	}
	return out, nil
}

// newSecret gives a fresh secret, and keeps its verifier.
func (e *entry) newSecret(factors scram.KeyFactors) (string, error) {
	secret := secretPrefix + base64.RawURLEncoding.EncodeToString(random(keySize))
	client, err := scram.SHA256.NewClient("", secret, "")
	if err != nil {
		return "", err
	}
	keys, err := client.GetStoredCredentialsWithError(factors)
	if err != nil {
		return "", fmt.Errorf("derive the verifier of a secret: %w", err)
	}
	e.Salt, e.Iterations, e.StoredKey, e.ServerKey = []byte(factors.Salt), factors.Iters, keys.StoredKey, keys.ServerKey
	return secret, nil
}

// put keeps an entry for a key, uses its token up, and lets the oldest of the same name go where there are too many.
func (s *Store) put(e *entry, key []byte) ([]access.Principal, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	var err error
	if e.Proof.Since, err = s.since(key, e.Proof); err != nil {
		return nil, err
	}
	text, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	s.mu.RLock()
	var gone []*entry
	if list := s.byName[e.Name]; len(list) >= most {
		gone = slices.Clone(list[:len(list)-most+1])
	}
	withdrawn := s.revoked.covers(e.principal(access.ByIDToken))
	s.mu.RUnlock()
	if withdrawn != nil { // between the look at the token and now, or before, of what is renewed
		return nil, &access.Error{Kind: access.Denied, Code: "28000", Message: "the log-in does not count any more: " + withdrawn.Cause, Hint: "log in again"}
	}
	err = s.db.Update(func(tx *bbolt.Tx) error {
		if err := use(tx, e.Proof.Once(), e.Proof.Expires); err != nil {
			return err
		}
		if err := deleteEntries(tx, gone); err != nil {
			return err
		}
		if err := keepLogin(tx, key, login{e.Proof.Since, s.now().UTC()}); err != nil {
			return err
		}
		return tx.Bucket(bucketCredentials).Put([]byte(e.ID), text)
	})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(gone)
	s.keep(e)
	var out []access.Principal
	for _, o := range gone {
		out = append(out, o.principal(access.BySecret))
	}
	return out, nil
}

// serial is a positive number of 128 bits that nobody can guess.
func serial() []byte {
	b := random(16)
	b[0] = b[0]&0x3f | 0x40 // no leading zeroes, so that its hexadecimal form is that of the id
	return b
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails since Go 1.24: the process ends instead
	return b
}
