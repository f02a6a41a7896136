package tlsconf

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"sallyport/internal/access"
)

const (
	authorityLife = 10 * 365 * 24 * time.Hour
	leafLife      = 90 * 24 * time.Hour
	// early is for clients whose clock is behind.
	early = time.Hour

	keyFile, certFile = "authority.key", "authority.crt"
)

// Authority certifies the doors of one gateway, and nothing else. Its key and certificate are files of a directory; certificates of doors
// and their keys are in memory alone. It may be used by several goroutines.
type Authority struct {
	dir string
	now func() time.Time

	mu   sync.Mutex // guards the fields below
	key  crypto.Signer
	cert *x509.Certificate
}

// OpenAuthority reads the authority of a directory, and makes both where they are not there. It fails with an *access.Error. now may be
// nil.
func OpenAuthority(dir string, now func() time.Time) (*Authority, error) {
	a := &Authority{dir: dir, now: now}
	if now == nil {
		a.now = time.Now
	}
	if err := a.open(); err != nil {
		return nil, &access.Error{Kind: access.Unavailable, Message: fmt.Sprintf("the authority of the gateway's own certificates cannot be used: %v", err),
			Hint: "restore " + dir + " from a backup; if you remove it, a new one is made and every client needs the new root certificate (sallyport login)"}
	}
	return a, nil
}

// CheckAuthority says why the authority of a directory could not be opened. It makes nothing, and is content where there is none yet.
func CheckAuthority(dir string) error { return (&Authority{dir: dir}).read() }

func (a *Authority) open() error {
	if err := os.MkdirAll(a.dir, 0o700); err != nil {
		return err
	}
	if err := a.read(); err != nil {
		return err
	}
	if a.key == nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return err
		}
		// The key is first: a certificate without its key would be an end, a key without a certificate gets one.
		if err := writeFile(filepath.Join(a.dir, keyFile), "PRIVATE KEY", der, 0o600); err != nil {
			return err
		}
		a.key = key
	}
	return a.renew()
}

// read takes what the files have. Both may be missing, or the certificate alone.
func (a *Authority) read() error {
	key, err := readPEM(filepath.Join(a.dir, keyFile), "PRIVATE KEY")
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(a.dir, certFile)); err == nil {
			return fmt.Errorf("%s is there without %s", certFile, keyFile)
		}
		return nil
	}
	if err != nil {
		return err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("%s: %w", keyFile, err)
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return fmt.Errorf("%s holds no ECDSA key", keyFile)
	}
	a.key = private
	cert, err := readPEM(filepath.Join(a.dir, certFile), "CERTIFICATE")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if a.cert, err = x509.ParseCertificate(cert); err != nil {
		return fmt.Errorf("%s: %w", certFile, err)
	}
	if !private.PublicKey.Equal(a.cert.PublicKey) {
		return fmt.Errorf("%s and %s do not belong together", certFile, keyFile)
	}
	return nil
}

// renew makes a certificate of the authority where there is none, or half of its time has passed. Key and name stay, so that what the old
// one vouches for the new one does too, and the other way around.
func (a *Authority) renew() error {
	now := a.now()
	if a.cert != nil && a.cert.NotAfter.Sub(now) > authorityLife/2 {
		return nil
	}
	serial, name := newSerial(), pkix.Name{CommonName: "Sallyport authority of doors"}
	if a.cert != nil {
		name = a.cert.Subject
	} else {
		// Two gateways' authorities are told apart by it, where a client has both.
		name.SerialNumber = fmt.Sprintf("%x", serial)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: name, NotBefore: now.Add(-early), NotAfter: now.Add(authorityLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, // it vouches for no client
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		return err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(a.dir, certFile), "CERTIFICATE", der, 0o644); err != nil {
		return err
	}
	a.cert = cert
	return nil
}

// Certificate makes a certificate of a fresh key for names, which are host names and addresses.
func (a *Authority) Certificate(names []string) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.renew(); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := a.now()
	template := &x509.Certificate{
		SerialNumber: newSerial(), Subject: pkix.Name{CommonName: "Sallyport"}, NotBefore: now.Add(-early), NotAfter: now.Add(leafLife),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// PEM is the authority's certificate, for clients to keep as root.
func (a *Authority) PEM() []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}
