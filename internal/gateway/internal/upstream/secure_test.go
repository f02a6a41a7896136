package upstream

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/testdb"
)

// authority signs certificates for a server.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	file string
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t}
	a.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	form := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	a.cert, _ = x509.ParseCertificate(der)
	a.file = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *authority) issue(address string, until time.Time) (cert, key []byte) {
	a.t.Helper()
	k, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	form := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: until, IPAddresses: []net.IP{net.ParseIP(address)}}
	der, err := x509.CreateCertificate(rand.Reader, form, a.cert, &k.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

// A real server with another certificate each time: what cannot be verified is refused before a password goes, and the client is told that
// and no more.
func TestCertificatesOfAServer(t *testing.T) {
	server := testdb.Run(t, testdb.Options{})
	ours, other := newAuthority(t), newAuthority(t)
	run := func(sql string) {
		t.Helper()
		if err := server.Exec(context.Background(), "postgres", sql); err != nil {
			t.Fatal(err)
		}
	}
	dsn := strings.Replace(server.DSN("postgres"), "sslmode=disable", "sslmode=verify-full&sslrootcert="+ours.file, 1)
	dial := func(dsn string) error {
		c, err := Dial(context.Background(), dsn, nil)
		if err == nil {
			c.Close()
		}
		return err
	}
	refused := func(name string, err error) {
		t.Helper()
		if e := access.AsError(err); err == nil || e.Message != "the database's certificate could not be verified" || !strings.Contains(e.Hint, "sslrootcert") || e.Unwrap() == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	refused("no TLS", dial(dsn))
	later := time.Now().Add(time.Hour)
	for _, c := range []struct {
		name    string
		by      *authority
		address string
		until   time.Time
		good    bool
	}{{"good", ours, "127.0.0.1", later, true}, {"wrong name", ours, "192.0.2.1", later, false}, {"wrong authority", other, "127.0.0.1", later, false},
		{"expired", ours, "127.0.0.1", time.Now().Add(-time.Hour), false}, {"good again", ours, "127.0.0.1", later, true}} {
		cert, key := c.by.issue(c.address, c.until)
		for file, data := range map[string][]byte{"server.crt": cert, "server.key": key} { // as the server's user
			run("copy (select '" + base64.StdEncoding.EncodeToString(data) + "') to program 'umask 077; base64 -d > " + file + "'")
		}
		run("alter system set ssl = on")
		run("select pg_reload_conf()")
		err := dial(dsn)
		for wait := time.Now(); c.good != (err == nil) && time.Since(wait) < 5*time.Second; err = dial(dsn) { // the server reloads when it comes to it
			time.Sleep(50 * time.Millisecond)
		}
		if c.good && err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if !c.good {
			refused(c.name, err)
		}
	}
}
