package credential

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xdg-go/scram"
	"go.etcd.io/bbolt"

	"sallyport/internal/access"
)

var factors = scram.KeyFactors{Salt: "0123456789abcdef", Iters: 4096}

type bench struct {
	t   *testing.T
	dir string
	at  time.Time
	n   int
	*Store
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, dir: t.TempDir(), at: time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)}
	b.open()
	t.Cleanup(func() { b.Close() })
	return b
}

func (b *bench) open() {
	b.t.Helper()
	s, err := Open(Options{Dir: b.dir, Now: func() time.Time { return b.at }})
	if err != nil {
		b.t.Fatal(err)
	}
	b.Store = s
}

// again is a restart; crash says that nothing was closed before: the file is as the last transaction left it.
func (b *bench) again() {
	b.t.Helper()
	if err := b.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.open()
}

// ada has just logged in, with an identity token that nobody has seen.
func (b *bench) ada() access.Principal {
	b.n++
	sum := sha256.Sum256([]byte{byte(b.n)})
	return access.Principal{Name: "ada", Kind: access.Human, Groups: []string{"eng"}, Attributes: map[string]string{"tenant": "7"}, Proof: access.Proof{
		Method: access.ByIDToken, Issuer: "https://idp.example", Subject: "s-ada", Session: "sid-1", Token: hex.EncodeToString(sum[:]), Issued: b.at, Authenticated: b.at.Add(-time.Minute), Expires: b.at.Add(5 * time.Minute)}}
}

func request(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "root"}, DNSNames: []string{"db.example"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (b *bench) issue(p access.Principal) (Issued, access.Certificate) {
	b.t.Helper()
	got, err := b.Issue(p, request(b.t, ecKey(b.t)), time.Hour, factors)
	if err != nil {
		b.t.Fatal(err)
	}
	return got, chain(p.Name, got.Certificate)
}

func chain(user string, text []byte) access.Certificate {
	c := access.Certificate{User: user}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		c.Chain = append(c.Chain, block.Bytes)
	}
	return c
}

func denied(t *testing.T, err error, words string) {
	t.Helper()
	var e *access.Error
	if !errors.As(err, &e) || e.Kind != access.Denied || !strings.Contains(e.Message, words) {
		t.Errorf("got %v, want a denial with %q", err, words)
	}
}

func TestIssued(t *testing.T) {
	b := newBench(t)
	p := b.ada()
	got, c := b.issue(p)
	who, err := b.Certificate(c)
	if err != nil {
		t.Fatal(err)
	}
	if who.Name != "ada" || who.Groups[0] != "eng" || who.Attributes["tenant"] != "7" || who.Proof.Method != access.ByCertificate || who.Proof.Credential != got.ID ||
		who.Proof.Token != p.Proof.Token || who.Proof.Session != "sid-1" || !who.Proof.Expires.Equal(b.at.Add(time.Hour)) || !who.Proof.Authenticated.Equal(p.Proof.Authenticated) {
		t.Errorf("%+v", who)
	}
	cert, _ := x509.ParseCertificate(c.Chain[0])
	if cert.Subject.String() != "CN=ada" || len(cert.DNSNames) > 0 || cert.IsCA || !slices.Equal(cert.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}) || hex.EncodeToString(cert.SerialNumber.Bytes()) != got.ID {
		t.Errorf("the certificate says more than it should: %v %v %v", cert.Subject, cert.DNSNames, cert.ExtKeyUsage)
	}
	list := b.Verifiers("ada", factors)
	if len(list) != 1 || list[0].ID != got.ID || len(got.Secret) < 40 {
		t.Fatalf("%v", list)
	}
	if len(b.Verifiers("ada", scram.KeyFactors{Salt: factors.Salt, Iters: 8192})) != 0 {
		t.Error("a secret counts under another iteration count than it is shown with")
	}
	if who, err := b.Secret(got.ID); err != nil || who.Proof.Method != access.BySecret {
		t.Errorf("%+v, %v", who, err)
	}
	for _, name := range []string{"identity.db", "authority.key"} {
		text, err := os.ReadFile(filepath.Join(b.dir, name))
		if err != nil || bytes.Contains(text, []byte(got.Secret)) {
			t.Errorf("%s: %v, or the secret is in it", name, err)
		}
		if info, _ := os.Stat(filepath.Join(b.dir, name)); info.Mode().Perm() != 0o600 {
			t.Errorf("%s is %v", name, info.Mode())
		}
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	b := newBench(t)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skip(err)
	}
	p224, _ := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	good := request(t, ecKey(t))
	block, _ := pem.Decode(good)
	forged := slices.Clone(block.Bytes)
	forged[len(forged)-1] ^= 1
	for name, text := range map[string][]byte{
		"nothing": nil, "no_pem": []byte("x"), "other_pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: block.Bytes}), "two": append(slices.Clone(good), good...),
		"unparsed": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: []byte("abc")}), "forged": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: forged}),
		"rsa_1024": request(t, small), "p224": request(t, p224), "long": append(slices.Clone(good), bytes.Repeat([]byte("\n"), mostRequest)...),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := b.Issue(b.ada(), text, time.Hour, factors)
			var e *access.Error
			if !errors.As(err, &e) || e.Kind != access.Invalid || e.Hint == "" {
				t.Errorf("got %v", err)
			}
		})
	}
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	if _, err := b.Issue(b.ada(), request(t, ed), time.Hour, factors); err != nil {
		t.Error(err)
	}
	agent := b.ada()
	agent.Actor = "bot"
	_, err = b.Issue(agent, good, time.Hour, factors)
	denied(t, err, "people")
	if _, err := b.Issue(b.ada(), good, Longest+time.Second, factors); err == nil {
		t.Error("a life of more than the most")
	}
}

func TestCertificatesThatDoNotCount(t *testing.T) {
	b := newBench(t)
	_, c := b.issue(b.ada())
	other := newBench(t)
	_, foreign := other.issue(other.ada())
	key := ecKey(t)
	mine := b.authority.at.Load()
	// Somebody who got hold of the authority's key makes what the gateway has not issued.
	sign := func(template *x509.Certificate) []byte {
		der, err := x509.CreateCertificate(rand.Reader, template, mine.cert, key.Public(), mine.key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	cert, _ := x509.ParseCertificate(c.Chain[0])
	client := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	valid := x509.Certificate{SerialNumber: big.NewInt(77), Subject: pkix.Name{CommonName: "ada"}, NotBefore: b.at, NotAfter: b.at.Add(time.Hour), ExtKeyUsage: client}
	same, server, self := valid, valid, valid
	same.SerialNumber = cert.SerialNumber
	server.SerialNumber, server.ExtKeyUsage = cert.SerialNumber, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	selfDER, _ := x509.CreateCertificate(rand.Reader, &self, &self, key.Public(), key)
	for name, c := range map[string]access.Certificate{
		"none": {User: "ada"}, "garbage": {User: "ada", Chain: [][]byte{{1, 2}}}, "another_gateway": foreign, "self_signed": {User: "ada", Chain: [][]byte{selfDER, mine.cert.Raw}},
		"unknown_serial": {User: "ada", Chain: [][]byte{sign(&valid)}}, "serial_of_another": {User: "ada", Chain: [][]byte{sign(&same)}}, "for_servers": {User: "ada", Chain: [][]byte{sign(&server)}},
		"another_user": {User: "eve", Chain: c.Chain}, "no_user": {Chain: c.Chain}, "the_authority_itself": {User: "Sallyport clients", Chain: [][]byte{mine.cert.Raw}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := b.Certificate(c)
			if p.Name != "" {
				t.Error(p)
			}
			denied(t, err, "certificate")
		})
	}
	b.at = b.at.Add(time.Hour)
	_, err := b.Certificate(c)
	denied(t, err, "has expired")
	if !errors.Is(err, access.ErrProofEnded) {
		t.Error("the holder of an expired certificate is not told apart from strangers")
	}
	for name, c := range map[string]access.Certificate{"of_another_gateway": foreign, "for_another_user": {User: "eve", Chain: c.Chain}} {
		if _, err := b.Certificate(c); err == nil || errors.Is(err, access.ErrProofEnded) {
			t.Errorf("expired, %s: %v", name, err)
		}
	}
	b.at = b.at.Add(-2 * time.Hour)
	_, err = b.Certificate(c)
	denied(t, err, "")
}

// The authority may vouch for no server, so that who installs it by mistake trusts nothing by it.
func TestTheAuthorityVouchesForNoServer(t *testing.T) {
	b := newBench(t)
	at := b.authority.at.Load()
	if !at.cert.IsCA || !at.cert.MaxPathLenZero || at.cert.KeyUsage != x509.KeyUsageCertSign || len(at.cert.PermittedDNSDomains) == 0 || !slices.Equal(at.cert.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}) {
		t.Errorf("%+v", at.cert)
	}
	key := ecKey(t)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(5), DNSNames: []string{"db.example"}, NotBefore: b.at, NotAfter: b.at.Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, at.cert, key.Public(), at.key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, _ := x509.ParseCertificate(der)
	for _, use := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageAny} {
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: at.roots, CurrentTime: b.at, DNSName: "db.example", KeyUsages: []x509.ExtKeyUsage{use}}); err == nil {
			t.Error("a server's certificate of this authority verifies")
		}
	}
}

func TestTheAuthorityIsRenewed(t *testing.T) {
	b := newBench(t)
	before := b.authority.at.Load()
	b.at = b.at.Add(authorityLife - renewAt - time.Minute)
	_, old := b.issue(b.ada())
	b.at = b.at.Add(2 * time.Minute)
	_, fresh := b.issue(b.ada())
	now := b.authority.at.Load()
	if len(now.before) != 1 || !now.before[0].Equal(before.cert) || now.cert.Equal(before.cert) {
		t.Fatal("not renewed, or the old one was forgotten")
	}
	b.again()
	for _, c := range []access.Certificate{old, fresh} {
		if _, err := b.Certificate(c); err != nil {
			t.Error(err)
		}
	}
	b.at = b.at.Add(renewAt)
	if err := b.Sweep(); err != nil {
		t.Fatal(err)
	}
	b.at = b.at.Add(authorityLife)
	if err := b.Sweep(); err != nil || len(b.authority.at.Load().before) != 0 {
		t.Errorf("%v: %d authorities of before, of which none can be in force", err, len(b.authority.at.Load().before))
	}
	if err := os.WriteFile(filepath.Join(b.dir, "authority.key"), []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.Close()
	if _, err := Open(Options{Dir: b.dir}); err == nil || !strings.Contains(err.Error(), "authority") {
		t.Errorf("a broken authority is %v", err)
	}
	b.dir = t.TempDir()
	b.open()
}

// Everything is there after a restart, and after an end without warning: then the file is what its last transaction left.
func TestARestart(t *testing.T) {
	b := newBench(t)
	p := b.ada()
	first, c1 := b.issue(p)
	_, c2 := b.issue(b.ada())
	if err := b.Revoke(access.Revocation{Credential: first.ID, Cause: "logged out"}); err != nil {
		t.Fatal(err)
	}
	mock := b.MockKey()
	copied := t.TempDir() // as kill -9 leaves it
	for _, name := range []string{"identity.db", "authority.key"} {
		text, _ := os.ReadFile(filepath.Join(b.dir, name))
		if err := os.WriteFile(filepath.Join(copied, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	crashed := &bench{t: t, dir: copied, at: b.at}
	crashed.open()
	defer crashed.Close()
	b.again()
	for name, s := range map[string]*Store{"restart": b.Store, "crash": crashed.Store} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Certificate(c1)
			denied(t, err, "withdrawn")
			if _, err := s.Secret(first.ID); err == nil {
				t.Error("the secret of a credential that was withdrawn")
			}
			if who, err := s.Certificate(c2); err != nil || who.Groups[0] != "eng" {
				t.Errorf("%+v, %v", who, err)
			}
			_, err = s.Issue(p, request(t, ecKey(t)), time.Hour, factors)
			denied(t, err, "used before")
			if !bytes.Equal(s.MockKey(), mock) {
				t.Error("salts of names without a secret change")
			}
		})
	}
}

func TestEightAtATime(t *testing.T) {
	b := newBench(t)
	var certs []access.Certificate
	for i := range most + 1 {
		b.at = b.at.Add(time.Second)
		got, c := b.issue(b.ada())
		if certs = append(certs, c); (len(got.Replaced) > 0) != (i == most) {
			t.Errorf("log-in %d replaced %v", i, got.Replaced)
		}
	}
	b.again()
	_, err := b.Certificate(certs[0])
	denied(t, err, "")
	for _, c := range certs[1:] {
		if _, err := b.Certificate(c); err != nil {
			t.Error(err)
		}
	}
	if n := len(b.Verifiers("ada", factors)); n != most {
		t.Errorf("%d secrets", n)
	}
}

func TestRevocations(t *testing.T) {
	for name, r := range map[string]access.Revocation{
		"principal": {Principal: "ada"}, "issuer": {Issuer: "https://idp.example"}, "subject": {Issuer: "https://idp.example", Subject: "s-ada"},
		"session": {Issuer: "https://idp.example", Session: "sid-1"}, "session of subject": {Issuer: "https://idp.example", Subject: "s-ada", Session: "sid-1"}, "before": {Principal: "ada", Before: time.Date(2027, 3, 1, 12, 0, 1, 0, time.UTC)},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			got, c := b.issue(b.ada())
			r.Cause = "because"
			if err := b.Revoke(r); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				_, err := b.Certificate(c)
				denied(t, err, "withdrawn")
				if cause, yes := b.Withdrawn(access.Principal{Name: "ada", Proof: access.Proof{Issuer: "https://idp.example", Subject: "s-ada", Session: "sid-1", Credential: got.ID, Issued: b.at}}); !yes || cause != "because" {
					t.Errorf("%q, %v", cause, yes)
				}
				b.again()
			}
			if cause, yes := b.Withdrawn(access.Principal{Name: "eve", Proof: access.Proof{Issuer: "https://other.example", Issued: b.at}}); yes {
				t.Errorf("somebody else is withdrawn: %s", cause)
			}
			b.at = b.at.Add(time.Minute)
			_, err := b.Issue(b.ada(), request(t, ecKey(t)), time.Hour, factors)
			if again := r.Before.IsZero(); (err != nil) != again {
				t.Errorf("a new log-in: %v", err)
			}
		})
	}
	b := newBench(t)
	if err := b.Revoke(access.Revocation{Cause: "x", Before: b.at}); err == nil {
		t.Error("a revocation of nothing was accepted")
	}
}

// What cannot match any more is swept; what can is not, however old.
func TestSweeping(t *testing.T) {
	b := newBench(t)
	got, _ := b.issue(b.ada())
	kept := access.Revocation{Principal: "bob", Before: b.at, Cause: "left"}
	for _, r := range []access.Revocation{{Credential: got.ID, Cause: "x"}, {Issuer: "https://idp.example", Session: "sid-9", Before: b.at, Cause: "x"}, kept} {
		if err := b.Revoke(r); err != nil {
			t.Fatal(err)
		}
	}
	b.issue(b.ada())
	count := func() (n [3]int) {
		_ = b.db.View(func(tx *bbolt.Tx) error {
			for i, name := range [][]byte{bucketCredentials, bucketUsed, bucketRevocations} {
				n[i] = tx.Bucket(name).Stats().KeyN
			}
			return nil
		})
		return n
	}
	if n := count(); n != [3]int{1, 2, 3} {
		t.Fatal(n)
	}
	b.at = b.at.Add(3 * time.Hour)
	if err := b.Sweep(); err != nil || count() != [3]int{0, 0, 3} {
		t.Errorf("%v: %v", err, count())
	}
	b.at = b.at.Add(remembered + 2*time.Hour)
	if err := b.Sweep(); err != nil || count() != [3]int{0, 0, 1} {
		t.Errorf("%v: %v", err, count())
	}
	// A token of when the revocations that are gone were made would count again: it is too old for that.
	if _, yes := b.Withdrawn(access.Principal{Name: "ada", Proof: access.Proof{Issuer: "https://idp.example", Session: "sid-9", Issued: b.at.Add(-remembered - time.Hour)}}); !yes {
		t.Error("a token that is older than what is remembered holds")
	}
	if cause, yes := b.Withdrawn(access.Principal{Name: "bob"}); !yes || cause != "left" {
		t.Error("a static token that was withdrawn holds again")
	}
	// The same once more, later: one entry, the later time.
	kept.Before = b.at
	if err := b.Revoke(kept); err != nil || count()[2] != 1 {
		t.Errorf("%v: %v", err, count())
	}
	kept.Before = b.at.Add(-time.Hour)
	if err := b.Revoke(kept); err != nil {
		t.Fatal(err)
	}
	if _, yes := b.Withdrawn(access.Principal{Name: "bob", Proof: access.Proof{Issued: b.at.Add(-time.Minute)}}); !yes {
		t.Error("an earlier revocation has taken a later one's place")
	}
}

func TestStaticTokensHaveATime(t *testing.T) {
	b := newBench(t)
	first := b.at
	if got, err := b.FirstKnown([]string{"aa", "bb"}); err != nil || !got["aa"].Equal(first) {
		t.Fatal(got, err)
	}
	b.at = b.at.Add(time.Hour)
	b.again()
	got, err := b.FirstKnown([]string{"bb", "cc"})
	if err != nil || !got["bb"].Equal(first) || !got["cc"].Equal(b.at) || len(got) != 2 {
		t.Errorf("%v, %v", got, err)
	}
}

// One token, many at once: one of them gets a credential.
func TestATokenIsUsedOnce(t *testing.T) {
	b := newBench(t)
	p := b.ada()
	csr := request(t, ecKey(t))
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for range 8 {
		wg.Go(func() {
			if _, err := b.Issue(p, csr, time.Hour, factors); err == nil {
				mu.Lock()
				won++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("issued %d times", won)
	}
	denied(t, b.Use(p.Proof.Token, p.Proof.Expires), "used before")
	if err := b.Use("zz", b.at); err == nil {
		t.Error("a token without a hash is used once")
	}
}
