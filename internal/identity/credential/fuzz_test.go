package credential

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"testing"

	"sallyport/internal/access"
)

// FuzzRequest: what is taken for a certificate request is signed by a key that is no weak one; all else is refused with a hint.
func FuzzRequest(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "ada"}, DNSNames: []string{"x"}}, key)
	if err != nil {
		f.Fatal(err)
	}
	good := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	for _, seed := range [][]byte{good, append(good, good...), good[:len(good)/2], {}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "NEW CERTIFICATE REQUEST", Headers: map[string]string{"a": "b"}, Bytes: der})} {
		f.Add(seed, []byte(nil))
	}
	f.Add([]byte(nil), der)
	f.Fuzz(func(t *testing.T, text, der []byte) {
		if len(der) > 0 { // without the armour, of which mutation makes little
			text = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
		}
		csr, err := ParseRequest(text)
		if err != nil {
			if e := access.AsError(err); csr != nil || e.Kind != access.Invalid || e.Hint == "" {
				t.Fatalf("%v, %v", csr, err)
			}
			return
		}
		if err := csr.CheckSignature(); err != nil || len(text) > mostRequest || len(Bound(csr)) != 43 {
			t.Fatalf("taken: %v", err)
		}
	})
}
