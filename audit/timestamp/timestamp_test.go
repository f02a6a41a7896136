package timestamp

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/digitorus/pkcs7"
	"github.com/digitorus/timestamp"
)

var data = []byte("gate.example/log\n7\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n")

// authority is a certificate with its key.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func (a authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// issue makes a certificate that by signs, or that signs itself where by is nil. change edits the template.
func issue(t testing.TB, name string, by *authority, change func(*x509.Certificate)) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature}
	change(c)
	parent, signer := c, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, key}
}

func root(t testing.TB) authority {
	return issue(t, "Test Root", nil, func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	})
}

// usage is the extended key usage extension.
func usage(critical bool, oids ...int) func(*x509.Certificate) {
	var list []asn1.ObjectIdentifier
	for _, o := range oids {
		list = append(list, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, o})
	}
	b, err := asn1.Marshal(list)
	if err != nil {
		panic(err)
	}
	return func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: oidUsage, Critical: critical, Value: b}}
	}
}

const (
	serverAuth   = 1
	timeStamping = 8
)

// answer stamps what a query asks for; change edits the stamp first.
func (a authority) answer(t testing.TB, query []byte, change func(*timestamp.Timestamp)) []byte {
	t.Helper()
	req, err := timestamp.ParseRequest(query)
	if err != nil {
		t.Fatal(err)
	}
	s := &timestamp.Timestamp{HashAlgorithm: req.HashAlgorithm, HashedMessage: req.HashedMessage, Nonce: req.Nonce, Time: time.Now(), Accuracy: time.Second,
		Policy: asn1.ObjectIdentifier{1, 2, 3}, AddTSACertificate: req.Certificates}
	change(s)
	b, err := s.CreateResponseWithOpts(a.cert, a.key, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// token stamps data.
func (a authority) token(t testing.TB, change func(*timestamp.Timestamp)) []byte {
	t.Helper()
	digest := sha256.Sum256(data)
	query, err := (&timestamp.Request{HashAlgorithm: crypto.SHA256, HashedMessage: digest[:], Certificates: true}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	ts, err := timestamp.ParseResponse(a.answer(t, query, change))
	if err != nil {
		t.Fatal(err)
	}
	return ts.RawToken
}

// resign signs the content of a good token anew, as if it were of a kind, with a signed attribute that is not
// written where its type is nil.
func (a authority) resign(t testing.TB, kind, attribute asn1.ObjectIdentifier, value any) []byte {
	t.Helper()
	good, err := pkcs7.Parse(a.token(t, asIs))
	if err != nil {
		t.Fatal(err)
	}
	sd, err := pkcs7.NewSignedData(good.Content)
	if err != nil {
		t.Fatal(err)
	}
	sd.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	sd.SetContentType(kind)
	sd.GetSignedData().Version = 3
	var c pkcs7.SignerInfoConfig
	if attribute != nil {
		c.ExtraSignedAttributes = []pkcs7.Attribute{{Type: attribute, Value: value}}
	}
	if err := sd.AddSigner(a.cert, a.key, c); err != nil {
		t.Fatal(err)
	}
	b, err := sd.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// certs is the value of an ESS signing certificate attribute.
type certs struct{ Certs []struct{ Hash []byte } }

func named(hash []byte) certs { return certs{[]struct{ Hash []byte }{{hash}}} }

func asIs(*timestamp.Timestamp) {}

// serve is a client of an authority that answers as h says.
func serve(t *testing.T, roots *x509.CertPool, h func(query []byte) []byte) *Client {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get("Content-Type") != "application/timestamp-query" {
			http.Error(w, "what?", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/timestamp-reply")
		w.Write(h(query))
	}))
	t.Cleanup(srv.Close)
	return &Client{URL: srv.URL, Roots: roots, HTTP: srv.Client()}
}

func TestStamp(t *testing.T) {
	ca := root(t)
	tsa := issue(t, "Test Authority", &ca, usage(true, timeStamping))
	c := serve(t, ca.pool(), func(q []byte) []byte { return tsa.answer(t, q, asIs) })
	token, s, err := c.Stamp(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	if time.Since(s.Time).Abs() > time.Minute || s.Accuracy != time.Second || s.Policy != "1.2.3" || s.Authority != "CN=Test Authority" || s.Serial.Sign() <= 0 {
		t.Errorf("%+v", s)
	}
	again, err := Verify(token, data, ca.pool())
	if err != nil || !again.Time.Equal(s.Time) {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestStampRefuses(t *testing.T) {
	ca := root(t)
	tsa := issue(t, "Test Authority", &ca, usage(true, timeStamping))
	var first []byte
	failed, err := timestamp.CreateErrorResponse(timestamp.Rejection, timestamp.TimeNotAvailable)
	if err != nil {
		t.Fatal(err)
	}
	for name, h := range map[string]func(q []byte) []byte{
		"replayed": func(q []byte) []byte {
			if first == nil {
				first = tsa.answer(t, q, asIs)
			}
			return first
		},
		"no_nonce": func(q []byte) []byte { return tsa.answer(t, q, func(s *timestamp.Timestamp) { s.Nonce = nil }) },
		"other_nonce": func(q []byte) []byte {
			return tsa.answer(t, q, func(s *timestamp.Timestamp) { s.Nonce = big.NewInt(5) })
		},
		"other_data": func(q []byte) []byte {
			return tsa.answer(t, q, func(s *timestamp.Timestamp) { s.HashedMessage = bytes.Repeat([]byte{7}, 32) })
		},
		"rejected": func([]byte) []byte { return failed },
		"empty":    func([]byte) []byte { return nil },
		"garbage":  func([]byte) []byte { return []byte("garbage") },
		"endless":  func([]byte) []byte { return make([]byte, 2*maxTokenSize) },
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, ca.pool(), h)
			if name == "replayed" {
				if _, _, err := c.Stamp(t.Context(), data); err != nil {
					t.Fatal(err)
				}
			}
			if _, s, err := c.Stamp(t.Context(), data); err == nil {
				t.Errorf("took %+v", s)
			}
		})
	}
	t.Run("http_error", func(t *testing.T) {
		srv := httptest.NewServer(http.NotFoundHandler())
		defer srv.Close()
		if _, _, err := (&Client{URL: srv.URL, Roots: ca.pool(), HTTP: srv.Client()}).Stamp(t.Context(), data); err == nil {
			t.Error("took it")
		}
	})
	t.Run("gives_up_with_its_context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := serve(t, ca.pool(), func([]byte) []byte { return nil }).Stamp(ctx, data); err == nil {
			t.Error("went on")
		}
	})
}

func TestVerifyRefuses(t *testing.T) {
	ca, other := root(t), root(t)
	tsa := issue(t, "Test Authority", &ca, usage(true, timeStamping))
	good := tsa.token(t, asIs)
	if _, err := Verify(good, data, ca.pool()); err != nil {
		t.Fatal(err)
	}
	by := func(change func(*x509.Certificate)) []byte {
		return issue(t, "Test Authority", &ca, change).token(t, asIs)
	}
	self := issue(t, "Test Root", nil, usage(true, timeStamping))
	digest := sha256.Sum256(data)
	at := bytes.Index(good, digest[:])
	if at < 0 {
		t.Fatal("no digest in the token")
	}
	edited := bytes.Clone(good)
	edited[at]++
	hashed := sha256.Sum256([]byte("other"))
	swapped := bytes.Replace(good, digest[:], hashed[:], 1)
	own, own1, another := sha256.Sum256(tsa.cert.Raw), sha1.Sum(tsa.cert.Raw), sha256.Sum256(ca.cert.Raw)
	for _, token := range [][]byte{tsa.resign(t, oidTSTInfo, oidSignerV2, named(own[:])), tsa.resign(t, oidTSTInfo, oidSigner, named(own1[:]))} {
		if _, err := Verify(token, data, ca.pool()); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		token, data []byte
		roots       *x509.CertPool
	}{
		"other_data":                  {good, []byte("other"), ca.pool()},
		"other_root":                  {good, data, other.pool()},
		"no_roots":                    {good, data, nil},
		"empty_roots":                 {good, data, x509.NewCertPool()},
		"digest_edited":               {edited, data, ca.pool()},
		"digest_exchanged":            {swapped, []byte("other"), ca.pool()},
		"self_signed":                 {self.token(t, asIs), data, ca.pool()},
		"certificate_of_a_web_server": {by(usage(true, serverAuth)), data, ca.pool()},
		"certificate_for_more":        {by(usage(true, timeStamping, serverAuth)), data, ca.pool()},
		"usage_not_critical":          {by(usage(false, timeStamping)), data, ca.pool()},
		"no_usage":                    {by(func(*x509.Certificate) {}), data, ca.pool()},
		"certificate_not_good_then":   {tsa.token(t, func(s *timestamp.Timestamp) { s.Time = time.Now().Add(2 * time.Hour) }), data, ca.pool()},
		"without_certificate":         {tsa.token(t, func(s *timestamp.Timestamp) { s.AddTSACertificate = false }), data, ca.pool()},
		"names_another_certificate":   {tsa.resign(t, oidTSTInfo, oidSignerV2, named(another[:])), data, ca.pool()},
		"names_another_by_sha1":       {tsa.resign(t, oidTSTInfo, oidSigner, named(another[:20])), data, ca.pool()},
		"names_no_certificate":        {tsa.resign(t, oidTSTInfo, nil, nil), data, ca.pool()},
		"not_of_a_timestamp":          {tsa.resign(t, pkcs7.OIDData, oidSignerV2, named(own[:])), data, ca.pool()},
		"cut_off":                     {good[:len(good)-5], data, ca.pool()},
		"empty":                       {nil, data, ca.pool()},
		"too_long":                    {append(bytes.Clone(good), make([]byte, maxTokenSize)...), data, ca.pool()},
	} {
		t.Run(name, func(t *testing.T) {
			if s, err := Verify(c.token, c.data, c.roots); err == nil {
				t.Errorf("verified %+v", s)
			}
		})
	}
}

// A token outlives the certificates that vouch for it.
func TestVerifyAfterExpiry(t *testing.T) {
	var end time.Time
	var ca, tsa authority
	var token []byte
	for life := 2 * time.Second; !time.Now().Before(end); life *= 2 { // the machine may take that long to make the token
		end = time.Now().Add(life).Truncate(time.Second)
		ca = issue(t, "Test Root", nil, func(c *x509.Certificate) {
			c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.NotAfter = true, true, x509.KeyUsageCertSign, end
		})
		tsa = issue(t, "Test Authority", &ca, func(c *x509.Certificate) {
			usage(true, timeStamping)(c)
			c.NotAfter = end
		})
		token = tsa.token(t, asIs)
	}
	time.Sleep(time.Until(end.Add(1100 * time.Millisecond)))
	if _, err := tsa.cert.Verify(x509.VerifyOptions{Roots: ca.pool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}}); err == nil {
		t.Fatal("the certificate has not expired")
	}
	if _, err := Verify(token, data, ca.pool()); err != nil {
		t.Error(err)
	}
}

// openssl is an independent implementation of both ends.
func TestOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatal("openssl is not installed: the interoperability of timestamps cannot be tested without it (apt-get install openssl)")
	}
	dir := t.TempDir()
	ca := root(t)
	tsa := issue(t, "OpenSSL Authority", &ca, usage(true, timeStamping))
	der, err := x509.MarshalPKCS8PrivateKey(tsa.key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	encode := func(kind string, b []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}) }
	caFile := write("ca.pem", encode("CERTIFICATE", ca.cert.Raw))
	run := func(args ...string) ([]byte, error) {
		cmd := exec.Command(openssl, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "OPENSSL_CONF="+filepath.Join(dir, "tsa.cnf"))
		return cmd.CombinedOutput()
	}
	for _, alg := range []string{"sha1", "sha256", "sha512"} { // of the ESS certificate id, RFC 2634 and RFC 5035
		t.Run(alg, func(t *testing.T) {
			write("tsa.cnf", fmt.Appendf(nil, "[tsa]\ndefault_tsa = t\n[t]\nserial = %[1]s/serial\nsigner_cert = %[2]s\nsigner_key = %[3]s\ncerts = %[4]s\nsigner_digest = sha256\ndefault_policy = 1.2.3.4.1\ndigests = sha256\naccuracy = secs:1, millisecs:500\ness_cert_id_alg = %[5]s\n",
				dir, write("tsa.pem", encode("CERTIFICATE", tsa.cert.Raw)), write("tsa.key", encode("PRIVATE KEY", der)), caFile, alg))
			write("serial", []byte("01\n"))
			c := serve(t, ca.pool(), func(q []byte) []byte {
				write("query.tsq", q)
				if out, err := run("ts", "-reply", "-queryfile", "query.tsq", "-out", "reply.tsr"); err != nil {
					t.Errorf("openssl ts -reply: %v\n%s", err, out)
				}
				b, err := os.ReadFile(filepath.Join(dir, "reply.tsr"))
				if err != nil {
					t.Error(err)
				}
				return b
			})
			token, s, err := c.Stamp(t.Context(), data)
			if err != nil {
				t.Fatal(err)
			}
			if time.Since(s.Time).Abs() > time.Minute || s.Accuracy != 1500*time.Millisecond || s.Policy != "1.2.3.4.1" || s.Authority != "CN=OpenSSL Authority" {
				t.Errorf("%+v", s)
			}
			if _, err := Verify(token, []byte("other"), ca.pool()); err == nil {
				t.Error("verified other data")
			}
			if _, err := Verify(token, data, root(t).pool()); err == nil {
				t.Error("verified by another root")
			}
			// The token and the bytes as we keep them, verified without us.
			write("token.tst", token)
			write("data", data)
			out, err := run("ts", "-verify", "-data", "data", "-in", "token.tst", "-token_in", "-CAfile", "ca.pem")
			if err != nil || !strings.Contains(string(out), "Verification: OK") {
				t.Errorf("openssl ts -verify: %v\n%s", err, out)
			}
		})
	}
}

// Whatever is changed of a token, it does not verify, or says what it said.
func FuzzVerify(f *testing.F) {
	ca := root(f)
	tsa := issue(f, "Test Authority", &ca, usage(true, timeStamping))
	token := tsa.token(f, asIs)
	want, err := Verify(token, data, ca.pool())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token)
	f.Add([]byte("garbage"))
	f.Fuzz(func(t *testing.T, token []byte) {
		s, err := Verify(token, data, ca.pool())
		if err == nil && (!s.Time.Equal(want.Time) || s.Serial.Cmp(want.Serial) != 0 || s.Authority != want.Authority) {
			t.Errorf("verified %+v", s)
		}
	})
}
