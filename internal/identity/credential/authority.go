package credential

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"sallyport/internal/access"
)

const (
	authorityLife = 365 * 24 * time.Hour
	// renewAt is how long before its end an authority issues no more: what it issued has ended long before it.
	renewAt = 30 * 24 * time.Hour
	// nobody is a name that no machine has (RFC 6761): an authority that may vouch for nothing else vouches for no server, wherever
	// somebody installs it.
	nobody = "sallyport.invalid"
)

// authority signs client certificates. Its file has the key, its certificate, and certificates of before that have not ended.
type authority struct {
	path string
	now  func() time.Time
	at   atomic.Pointer[signer]
}

// signer is an authority at a time. It is not changed once made.
type signer struct {
	key    crypto.Signer
	cert   *x509.Certificate   // of key
	before []*x509.Certificate // still trusted
	roots  *x509.CertPool
}

func openAuthority(path string, now func() time.Time) (*authority, error) {
	a := &authority{path: path, now: now}
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return a, a.replace(nil)
	case err != nil:
		return nil, fmt.Errorf("the key of the gateway's authority cannot be read: %w", err)
	}
	s, err := parseSigner(text)
	if err != nil {
		return nil, &access.Error{Kind: access.Unavailable, Message: path + " does not hold the gateway's authority: " + err.Error(),
			Hint: "restore it from a backup, or remove it: everybody then logs in anew"}
	}
	a.at.Store(s)
	return a, a.renew()
}

func parseSigner(text []byte) (*signer, error) {
	var key crypto.Signer
	var certs []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case "PRIVATE KEY":
			k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			if err != nil {
				return nil, errors.New("its key cannot be parsed") // the library's words may have a part of it
			}
			ec, ok := k.(*ecdsa.PrivateKey)
			if !ok || key != nil {
				return nil, errors.New("it has to have one ECDSA key")
			}
			key = ec
		case "CERTIFICATE":
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("a certificate cannot be parsed: %w", err)
			}
			certs = append(certs, c)
		}
	}
	if key == nil || len(certs) == 0 {
		return nil, errors.New("it has no key, or no certificate")
	}
	if pub, ok := key.Public().(*ecdsa.PublicKey); !ok || !pub.Equal(certs[0].PublicKey) {
		return nil, errors.New("its first certificate is not that of its key")
	}
	return newSigner(key, certs[0], certs[1:]), nil
}

func newSigner(key crypto.Signer, cert *x509.Certificate, before []*x509.Certificate) *signer {
	s := &signer{key: key, cert: cert, before: before, roots: x509.NewCertPool()}
	for _, c := range append([]*x509.Certificate{cert}, before...) {
		s.roots.AddCert(c)
	}
	return s
}

// renew makes a new key and certificate when the end of those there are is near. What those have issued is accepted until then.
func (a *authority) renew() error {
	s := a.at.Load()
	now := a.now()
	if s.cert.NotAfter.Sub(now) > renewAt && !now.Before(s.cert.NotBefore) {
		return nil
	}
	var before []*x509.Certificate
	for _, c := range append([]*x509.Certificate{s.cert}, s.before...) {
		if now.Before(c.NotAfter) {
			before = append(before, c)
		}
	}
	return a.replace(before)
}

// replace makes a new key, and has it with its certificate in the file before it is used.
func (a *authority) replace(before []*x509.Certificate) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := a.now()
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial()), Subject: pkix.Name{CommonName: "Sallyport clients", Organization: []string{"Sallyport"}},
		NotBefore: now.Add(-skew), NotAfter: now.Add(authorityLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		PermittedDNSDomainsCritical: true, PermittedDNSDomains: []string{nobody}, PermittedEmailAddresses: []string{nobody}, PermittedURIDomains: []string{nobody},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	blocks := []*pem.Block{{Type: "PRIVATE KEY", Bytes: raw}, {Type: "CERTIFICATE", Bytes: der}}
	for _, c := range before {
		blocks = append(blocks, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	for _, b := range blocks {
		if err := pem.Encode(&text, b); err != nil {
			return err
		}
	}
	if err := writeWhole(a.path, text.Bytes()); err != nil {
		return fmt.Errorf("the key of the gateway's authority cannot be stored: %w", err)
	}
	a.at.Store(newSigner(key, cert, before))
	return nil
}

// writeWhole puts a file there at once: whatever happens, there is the old one or the new.
func writeWhole(path string, text []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+".*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
