// Package timestamp has an RFC 3161 time-stamping authority say when a checkpoint existed, and verifies what
// it said, offline and years later.
//
// What is stamped are bytes: by convention a checkpoint as the log signed it, before cosignatures are added,
// in a file of its own beside the token. `openssl ts -verify -token_in` takes the same two files.
//
// It trusts the roots that it is given, for certificates whose only use is time stamping, at the time that
// the token itself tells: a token outlives the certificate. It refuses tokens without a certificate
// chain to a root, with more than one signer, over anything but a SHA-256 digest of the very bytes, and
// answers to another request. CMS and ASN.1 are read by github.com/digitorus/timestamp and pkcs7.
// Revocation is not looked at: whoever verifies must ask the authority's list for that.
//
// Where to start: Verify in token.go; Client in client.go.
package timestamp

import (
	"bytes"
	"crypto"
	"crypto/sha1"
	"crypto/sha256"
	_ "crypto/sha512" // for digests
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/digitorus/pkcs7"
	"github.com/digitorus/timestamp"
)

// Stamp is what a token says.
type Stamp struct {
	Time      time.Time     // when the authority saw the digest
	Accuracy  time.Duration // zero if the authority does not tell
	Serial    *big.Int      // of the token
	Policy    string        // object identifier under which it was made
	Authority string        // subject of the certificate that signed

	nonce *big.Int
}

var (
	oidTSTInfo  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	oidSigner   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 12} // ESS signing certificate, RFC 2634
	oidSignerV2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47} // RFC 5035
	oidUsage    = asn1.ObjectIdentifier{2, 5, 29, 37}
)

// digests by which a token may name its signer's certificate, RFC 5754. SHA-256 is not written.
var digests = map[string]crypto.Hash{"": crypto.SHA256, "2.16.840.1.101.3.4.2.1": crypto.SHA256, "2.16.840.1.101.3.4.2.2": crypto.SHA384, "2.16.840.1.101.3.4.2.3": crypto.SHA512}

const maxTokenSize = 1 << 20

// Verify reads a token (the DER of a TimeStampToken) that must be of data, and signed by an authority that the
// roots vouch for.
func Verify(token, data []byte, roots *x509.CertPool) (Stamp, error) {
	s, err := verify(token, sha256.Sum256(data), roots)
	if err != nil {
		return Stamp{}, fmt.Errorf("verify a timestamp: %w", err)
	}
	return s, nil
}

func verify(token []byte, digest [sha256.Size]byte, roots *x509.CertPool) (Stamp, error) {
	if roots == nil {
		return Stamp{}, errors.New("no root certificates given")
	}
	if len(token) > maxTokenSize {
		return Stamp{}, errors.New("the token is too long")
	}
	p7, err := pkcs7.Parse(token)
	if err != nil {
		return Stamp{}, fmt.Errorf("not a token: %w", err)
	}
	signer := p7.GetOnlySigner()
	if signer == nil {
		return Stamp{}, errors.New("it does not have one signer with a certificate")
	}
	// The content is only read after this signature, but the chain has to hold at the time in the content.
	if err := p7.Verify(); err != nil {
		return Stamp{}, err
	}
	var kind asn1.ObjectIdentifier
	if err := p7.UnmarshalSignedAttribute(pkcs7.OIDAttributeContentType, &kind); err != nil || !kind.Equal(oidTSTInfo) {
		return Stamp{}, errors.New("what is signed is not a timestamp")
	}
	t, err := timestamp.Parse(token)
	if err != nil {
		return Stamp{}, fmt.Errorf("not a timestamp: %w", err)
	}
	if t.HashAlgorithm != crypto.SHA256 || !bytes.Equal(t.HashedMessage, digest[:]) {
		return Stamp{}, errors.New("it is of other data")
	}
	if err := p7.VerifyWithOpts(x509.VerifyOptions{Roots: roots, Intermediates: pool(p7.Certificates), CurrentTime: t.Time,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}}); err != nil {
		return Stamp{}, err
	}
	if err := onlyForTime(signer); err != nil {
		return Stamp{}, err
	}
	if err := names(p7, signer); err != nil {
		return Stamp{}, err
	}
	return Stamp{t.Time.UTC(), t.Accuracy, t.SerialNumber, t.Policy.String(), signer.Subject.String(), t.Nonce}, nil
}

func pool(certs []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}

// onlyForTime is RFC 3161, 2.3: a key for time stamping is for nothing else, and its certificate says so in an
// extension that is critical. Otherwise whoever runs a web server under the same root could stamp.
func onlyForTime(c *x509.Certificate) error {
	critical := slices.ContainsFunc(c.Extensions, func(e pkix.Extension) bool { return e.Critical && e.Id.Equal(oidUsage) })
	if !critical || len(c.UnknownExtKeyUsage) > 0 || len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != x509.ExtKeyUsageTimeStamping {
		return errors.New("the signer's certificate is not one for time stamping alone")
	}
	return nil
}

// names checks that the signer has signed which certificate is its own (RFC 3161, 2.4.2, RFC 5816).
func names(p7 *pkcs7.PKCS7, signer *x509.Certificate) error {
	var v2 struct {
		Certs []struct {
			Algorithm pkix.AlgorithmIdentifier `asn1:"optional"`
			Hash      []byte
			Issuer    asn1.RawValue `asn1:"optional"`
		}
		Policies asn1.RawValue `asn1:"optional"`
	}
	if err := p7.UnmarshalSignedAttribute(oidSignerV2, &v2); err == nil && len(v2.Certs) > 0 {
		if d, ok := digests[v2.Certs[0].Algorithm.Algorithm.String()]; ok {
			h := d.New()
			h.Write(signer.Raw)
			if bytes.Equal(v2.Certs[0].Hash, h.Sum(nil)) {
				return nil
			}
		}
	}
	var v1 struct {
		Certs []struct {
			Hash   []byte
			Issuer asn1.RawValue `asn1:"optional"`
		}
		Policies asn1.RawValue `asn1:"optional"`
	}
	if err := p7.UnmarshalSignedAttribute(oidSigner, &v1); err == nil && len(v1.Certs) > 0 {
		if sum := sha1.Sum(signer.Raw); bytes.Equal(v1.Certs[0].Hash, sum[:]) { // as the RFC has it; the chain does not rest on it
			return nil
		}
	}
	return errors.New("it does not name the signer's certificate")
}
