package identity

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"sallyport/internal/testidp"
)

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// selfSigned is a certificate of a key that says it is ada's, in base64 DER.
func selfSigned(k *testidp.Key) string {
	der, err := x509.CreateCertificate(rand.Reader, leaf("corp-ada", nil), leaf("corp-ada", nil), k.Signer.Public(), k.Signer)
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

func leaf(name string, change func(c *x509.Certificate)) *x509.Certificate {
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true}
	if change != nil {
		change(c)
	}
	return c
}

// ada has somebody of the house log in by the command, and gives what the gateway issued. Each attack has a credential of its own: they
// are ended by some.
func (w *world) issue(ctx context.Context, name string) (issued, request, string, error) {
	r, err := newRequest(w.g.WebURL, name)
	if err != nil {
		return issued{}, r, "", err
	}
	u := user(name)
	token := w.id(w.corp, testidp.ClientID, r.nonce).mint(merged(u.Claims, map[string]any{"sub": u.Subject, "sid": "sid-" + random()}))
	got, body, err := w.credential(ctx, "corp", token, r.nonce, r)
	if err == nil && got.own == nil {
		err = fmt.Errorf("no certificate in %s", body)
	}
	if err != nil {
		err = fmt.Errorf("control: %s cannot log in by the command: %w", name, err)
	}
	return got, r, token, err
}

// doorAttacks are those that are about more than a token.
func (w *world) doorAttacks() []attack {
	return slices.Concat(w.handleAttacks(), w.certificateAttacks(), w.secretAttacks(), w.credentialAttacks(), w.webAttacks(), w.logoutAttacks())
}

func (w *world) certificateAttacks() []attack {
	// with has an attack begin with a good certificate of somebody.
	with := func(name, of string, run func(ctx context.Context, got issued, r request) (*seen, error)) attack {
		return attack{wayCert, name, nil, func(ctx context.Context) (*seen, error) {
			got, r, _, err := w.issue(ctx, of)
			if err != nil {
				return nil, err
			}
			return run(ctx, got, r)
		}}
	}
	as := func(name, who string) attack {
		return with(name, "ada", func(ctx context.Context, got issued, _ request) (*seen, error) {
			return w.byCertificate(ctx, who, got.own), nil
		})
	}
	forged := func(name string, make func(got issued, r request, key *ecdsa.PrivateKey) (*tls.Certificate, error)) attack {
		return with(name, "bob", func(ctx context.Context, got issued, r request) (*seen, error) {
			mine, err := newRequest(w.g.WebURL, "corp-ada")
			if err != nil {
				return nil, err
			}
			cert, err := make(got, r, mine.key)
			if err != nil {
				return nil, err
			}
			return w.byCertificate(ctx, "corp-ada", cert), nil
		})
	}
	sign := func(template, parent *x509.Certificate, key *ecdsa.PrivateKey, signer any, more ...[]byte) (*tls.Certificate, error) {
		der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
		if err != nil {
			return nil, err
		}
		return &tls.Certificate{Certificate: append([][]byte{der}, more...), PrivateKey: key}, nil
	}
	authority := func(got issued) *x509.Certificate { // what is said of it is public
		c, err := x509.ParseCertificate(got.own.Certificate[len(got.own.Certificate)-1])
		if err != nil {
			panic(err)
		}
		return c
	}
	return []attack{
		as("certificate of another person", "keeper"),
		as("certificate of a person for somebody of the configuration", "corp-local"),
		as("certificate for the name in capitals", "CORP-ADA"),
		as("certificate for the name without its prefix", "ada"),
		as("certificate for an agent", "corp-triage"),
		with("certificate of another person for the attacked one", "bob", func(ctx context.Context, got issued, _ request) (*seen, error) {
			return w.byCertificate(ctx, "corp-ada", got.own), nil
		}),
		with("key of somebody else", "ada", func(ctx context.Context, got issued, _ request) (*seen, error) {
			other, err := newRequest(w.g.WebURL, "x")
			if err != nil {
				return nil, err
			}
			return w.byCertificate(ctx, "corp-ada", &tls.Certificate{Certificate: got.own.Certificate, PrivateKey: other.key}), nil
		}),
		with("only the certificates of the authority", "ada", func(ctx context.Context, got issued, r request) (*seen, error) {
			return w.byCertificate(ctx, "corp-ada", &tls.Certificate{Certificate: got.own.Certificate[1:], PrivateKey: r.key}), nil
		}),
		with("certificate after the log-out", "ada", func(ctx context.Context, got issued, _ request) (*seen, error) {
			if err := w.logout(ctx, got); err != nil {
				return nil, err
			}
			return w.byCertificate(ctx, got.Principal, got.own), nil
		}),
		forged("signed by itself", func(_ issued, _ request, key *ecdsa.PrivateKey) (*tls.Certificate, error) {
			return sign(leaf("corp-ada", nil), leaf("corp-ada", nil), key, key)
		}),
		forged("another authority of the same name", func(got issued, _ request, key *ecdsa.PrivateKey) (*tls.Certificate, error) {
			other, err := newRequest(w.g.WebURL, "ca")
			if err != nil {
				return nil, err
			}
			parent := authority(got)
			parent.PublicKey, parent.PublicKeyAlgorithm = nil, 0
			return sign(leaf("corp-ada", nil), parent, key, other.key, got.own.Certificate[len(got.own.Certificate)-1])
		}),
		forged("signed by a person's certificate", func(got issued, r request, key *ecdsa.PrivateKey) (*tls.Certificate, error) {
			parent, err := x509.ParseCertificate(got.own.Certificate[0])
			if err != nil {
				return nil, err
			}
			return sign(leaf("corp-ada", nil), parent, key, r.key, got.own.Certificate...)
		}),
		forged("the serial number of a good one, signed by itself", func(got issued, _ request, key *ecdsa.PrivateKey) (*tls.Certificate, error) {
			good, err := x509.ParseCertificate(got.own.Certificate[0])
			if err != nil {
				return nil, err
			}
			c := leaf("corp-ada", func(c *x509.Certificate) { c.SerialNumber = good.SerialNumber })
			return sign(c, c, key, key, got.own.Certificate...)
		}),
		forged("expired, signed by itself", func(_ issued, _ request, key *ecdsa.PrivateKey) (*tls.Certificate, error) {
			c := leaf("corp-ada", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
			return sign(c, c, key, key)
		}),
		forged("for servers, signed by itself", func(_ issued, _ request, key *ecdsa.PrivateKey) (*tls.Certificate, error) {
			c := leaf("corp-ada", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
			return sign(c, c, key, key)
		}),
		forged("an authority by its own word", func(got issued, _ request, key *ecdsa.PrivateKey) (*tls.Certificate, error) {
			ca := leaf(authority(got).Subject.CommonName, func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign })
			root, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
			if err != nil {
				return nil, err
			}
			return sign(leaf("corp-ada", nil), ca, key, key, root)
		}),
		{wayCert, "request that asks for another name, and to be an authority", nil, func(ctx context.Context) (*seen, error) {
			r, err := newRequest(w.g.WebURL, "corp-ada")
			if err != nil {
				return nil, err
			}
			der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "corp-ada"}, DNSNames: []string{"corp-ada"}, EmailAddresses: []string{"corp-ada"},
				ExtraExtensions: []pkix.Extension{{Id: []int{2, 5, 29, 19}, Critical: true, Value: []byte{0x30, 3, 1, 1, 0xff}}}}, r.key)
			if err != nil {
				return nil, err
			}
			r.pem = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
			u := user("bob")
			got, _, err := w.credential(ctx, "corp", w.id(w.corp, testidp.ClientID, r.nonce).mint(merged(u.Claims, map[string]any{"sub": u.Subject})), r.nonce, r)
			s := &seen{}
			if err != nil {
				s.say("%v", err)
				return s, nil
			}
			s = w.byCertificate(ctx, "corp-ada", got.own)
			parent, err := x509.ParseCertificate(got.own.Certificate[0])
			if err != nil {
				return nil, err
			}
			mine, err := newRequest(w.g.WebURL, "x")
			if err != nil {
				return nil, err
			}
			if cert, err := sign(leaf("corp-ada", nil), parent, mine.key, r.key, got.own.Certificate...); err == nil {
				s.all.Write(w.byCertificate(ctx, "corp-ada", cert).all.Bytes())
			}
			return s, nil
		}},
	}
}

// logout gives a credential back.
func (w *world) logout(ctx context.Context, got issued) error {
	status, body, err := w.http(ctx, http.MethodDelete, "/api/v1/credential", map[string]string{"Authorization": basic(got.Principal, got.Secret)}, nil)
	if err == nil && status/100 != 2 {
		err = fmt.Errorf("control: the log-out: %d %.200s", status, body)
	}
	return err
}

func (w *world) secretAttacks() []attack {
	with := func(name, of string, run func(ctx context.Context, got issued, token string) (*seen, error)) attack {
		return attack{waySecret, name, nil, func(ctx context.Context) (*seen, error) {
			got, _, token, err := w.issue(ctx, of)
			if err != nil {
				return nil, err
			}
			return run(ctx, got, token)
		}}
	}
	plain := func(name, user string, secret func() string) attack {
		return attack{waySecret, name, nil, once(func(ctx context.Context) *seen { return w.byPassword(ctx, user, secret()) })}
	}
	bearer := func(name, user, message string) attack {
		return attack{wayBearer, name, nil, func(ctx context.Context) (*seen, error) {
			token := w.access(w.corp).mint(nil)
			c, err := w.sasl(ctx, user, "", strings.ReplaceAll(message, "TOKEN", token))
			s := &seen{}
			if err != nil {
				s.say("%v", err)
				return s, nil
			}
			defer c.Close()
			s.rows(c)
			return s, nil
		}}
	}
	return []attack{
		plain("access token as password", "corp-ada", func() string { return w.access(w.corp).mint(nil) }),
		plain("ID token as password", "corp-ada", func() string { return w.id(w.corp, testidp.ClientID, "n").mint(nil) }),
		plain("empty password", "corp-ada", func() string { return "" }),
		plain("password of the configuration under a provider's name", "corp-ada", func() string { return localPassword }),
		plain("name with NUL's neighbour", "keeper\x01", func() string { return localPassword }),
		plain("name in capitals", "KEEPER", func() string { return localPassword }),
		plain("name in full-width letters", "\uff4beeper", func() string { return localPassword }),
		plain("name with a blank", "keeper ", func() string { return localPassword }),
		plain("token of an agent as password", "robot", func() string { return localToken }),
		with("secret after the log-out", "ada", func(ctx context.Context, got issued, _ string) (*seen, error) {
			if err := w.logout(ctx, got); err != nil {
				return nil, err
			}
			return w.byPassword(ctx, got.Principal, got.Secret), nil
		}),
		with("secret of another person", "bob", func(ctx context.Context, got issued, _ string) (*seen, error) {
			return w.byPassword(ctx, "corp-ada", got.Secret), nil
		}),
		with("secret for somebody of the configuration", "ada", func(ctx context.Context, got issued, _ string) (*seen, error) {
			return w.byPassword(ctx, "keeper", got.Secret), nil
		}),
		with("secret as a bearer token at the agents' door", "ada", func(ctx context.Context, got issued, _ string) (*seen, error) {
			return w.asAgent(ctx, got.Secret), nil
		}),
		with("secret as a bearer token at the PostgreSQL door", "ada", func(ctx context.Context, got issued, _ string) (*seen, error) {
			return w.byToken(ctx, got.Secret), nil
		}),
		with("number of the credential as password", "ada", func(ctx context.Context, got issued, _ string) (*seen, error) {
			return w.byPassword(ctx, got.Principal, got.Credential), nil
		}),
		with("ID token of the log-in as password", "ada", func(ctx context.Context, got issued, token string) (*seen, error) {
			return w.byPassword(ctx, got.Principal, token), nil
		}),
		bearer("good token for another user", "keeper", "n,,\x01auth=Bearer TOKEN\x01\x01"),
		bearer("good token for another authorisation name", "keeper", "n,a=keeper,\x01auth=Bearer TOKEN\x01\x01"),
		bearer("static token of another agent for a person", "corp-ada", "n,,\x01auth=Bearer "+localToken+"\x01\x01"),
		bearer("no user", "", "n,,\x01auth=Bearer TOKEN\x01\x01"),
		bearer("no token", "corp-ada", "n,,\x01auth=Bearer \x01\x01"),
		bearer("empty auth", "corp-ada", "n,,\x01auth=\x01\x01"),
		bearer("no auth", "corp-ada", "n,,\x01\x01"),
		bearer("nothing", "corp-ada", ""),
		bearer("auth by another scheme", "corp-ada", "n,,\x01auth=Basic TOKEN\x01\x01"),
		bearer("channel binding that is none", "corp-ada", "y,,\x01auth=Bearer x\x01auth=Bearer TOKEN\x01\x01"),
	}
}

// credentialAttacks are about how an ID token is handed over. The tokens themselves are good.
func (w *world) credentialAttacks() []attack {
	handed := func(name string, run func(ctx context.Context, r request, token string) (*seen, error)) attack {
		return attack{wayCommand, name, nil, func(ctx context.Context) (*seen, error) {
			r, err := newRequest(w.g.WebURL, "corp-ada")
			if err != nil {
				return nil, err
			}
			return run(ctx, r, w.id(w.corp, testidp.ClientID, r.nonce).mint(nil))
		}}
	}
	posted := func(name string, header map[string]string, path string) attack {
		return handed(name, func(ctx context.Context, r request, token string) (*seen, error) {
			s := &seen{}
			var body any = map[string]any{"provider": "corp", "id_token": token, "nonce": r.nonce, "request": r.pem}
			if strings.HasPrefix(header["Content-Type"], "application/x-www-form") {
				body = url.Values{"provider": {"corp"}, "id_token": {token}, "nonce": {r.nonce}, "request": {r.pem}}.Encode()
			}
			status, page, err := w.http(ctx, http.MethodPost, path, header, body)
			if err != nil {
				s.say("%v", err)
				return s, nil
			}
			s.say("%d %.200s", status, page)
			if status/100 == 2 && strings.Contains(string(page), "CERTIFICATE") {
				s.all.WriteString(canaryAda) // it is good for a row
			}
			return s, nil
		})
	}
	stolen := func(name string, nonce func(mine, theirs request) string) attack {
		return handed(name, func(ctx context.Context, r request, token string) (*seen, error) {
			mine, err := newRequest(w.g.WebURL, "corp-ada")
			if err != nil {
				return nil, err
			}
			return w.byIDToken(ctx, "corp", token, nonce(mine, r), mine), nil
		})
	}
	again := func(name string, change func(r request) (request, error)) attack {
		return handed(name, func(ctx context.Context, r request, token string) (*seen, error) {
			if _, _, err := w.credential(ctx, "corp", token, r.nonce, r); err != nil {
				return nil, fmt.Errorf("control: %w", err)
			}
			r, err := change(r)
			if err != nil {
				return nil, err
			}
			return w.byIDToken(ctx, "corp", token, r.nonce, r), nil
		})
	}
	unbound := func(name string, change map[string]any) attack {
		return handed(name, func(ctx context.Context, r request, _ string) (*seen, error) {
			return w.byIDToken(ctx, "corp", w.id(w.corp, testidp.ClientID, "").mint(change), "", r), nil
		})
	}
	reused := func(name string, change func(token string) string) attack {
		return handed(name, func(ctx context.Context, r request, _ string) (*seen, error) {
			token := w.id(w.corp, testidp.ClientID, "").mint(nil)
			if _, _, err := w.credential(ctx, "corp", token, "", r); err != nil {
				return nil, fmt.Errorf("control: a log-in by device: %w", err)
			}
			r, err := newRequest(w.g.WebURL, "corp-ada")
			if err != nil {
				return nil, err
			}
			return w.byIDToken(ctx, "corp", change(token), "", r), nil
		})
	}
	as := func(name, provider string) attack {
		return handed(name, func(ctx context.Context, r request, token string) (*seen, error) {
			return w.byIDToken(ctx, provider, token, r.nonce, r), nil
		})
	}
	requested := func(name string, change func(pem string) string) attack {
		return handed(name, func(ctx context.Context, r request, token string) (*seen, error) {
			r.pem = change(r.pem)
			return w.byIDToken(ctx, "corp", token, r.nonce, r), nil
		})
	}
	relayed := func(name string, gateways ...string) attack { // by another gateway, which has what somebody handed to it
		return handed(name, func(ctx context.Context, r request, token string) (*seen, error) {
			theirs, err := requestFor(r.key, "corp-ada", gateways...)
			if err != nil {
				return nil, err
			}
			return w.byIDToken(ctx, "corp", token, r.nonce, theirs), nil
		})
	}
	return []attack{
		relayed("log-in at another gateway, handed on", "https://gate.elsewhere.example"),
		relayed("log-in at another gateway and this one", "https://gate.elsewhere.example", w.g.WebURL),
		relayed("log-in that names no gateway"),
		stolen("stolen token with a request for another key", func(mine, _ request) string { return mine.nonce }),
		stolen("stolen token, its nonce said, with a request for another key", func(_, theirs request) string { return theirs.nonce }),
		stolen("stolen token, no nonce said, with a request for another key", func(_, _ request) string { return "" }),
		again("token that was used", func(r request) (request, error) { return r, nil }),
		again("token that was used, with another key", func(request) (request, error) { return newRequest(w.g.WebURL, "corp-ada") }),
		unbound("unbound token from an hour ago", map[string]any{"iat": ago(time.Hour)}),
		unbound("unbound token from three minutes ago", map[string]any{"iat": ago(3 * time.Minute)}),
		reused("unbound token that was used", func(token string) string { return token }),
		reused("unbound token that was used, with the other signature that can be made of its own", mirrored),
		as("token of one provider as another's", "evil"),
		as("token of a provider that is not there", "nowhere"),
		as("token of no provider", ""),
		as("provider by its address", w.corp.Issuer),
		requested("request that was changed after signing", func(p string) string {
			b, _ := pem.Decode([]byte(p))
			b.Bytes[len(b.Bytes)-1] ^= 1
			return string(pem.EncodeToMemory(b))
		}),
		requested("no request", func(string) string { return "" }),
		requested("two requests", func(p string) string { return p + p }),
		requested("a certificate for a request", func(p string) string { return strings.ReplaceAll(p, "CERTIFICATE REQUEST", "CERTIFICATE") }),
		posted("from a page of another origin", map[string]string{"Content-Type": "application/json", "Origin": "https://evil.example"}, "/api/v1/credential"),
		posted("from a page of this origin", map[string]string{"Content-Type": "application/json", "Origin": w.g.WebURL}, "/api/v1/credential"),
		posted("as a form", map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, "/api/v1/credential"),
		posted("as text, as a form of another page can send it", map[string]string{"Content-Type": "text/plain"}, "/api/v1/credential"),
		posted("under another name of this address (DNS rebinding)", map[string]string{"Content-Type": "application/json", "Host": "evil.example"}, "/api/v1/credential"),
	}
}

// mirrored is a token of ES256 with the other signature that verifies, of which anybody can make the one from the other: (r, n-s) of (r, s).
func mirrored(token string) string {
	at := strings.LastIndexByte(token, '.')
	sig, err := base64.RawURLEncoding.DecodeString(token[at+1:])
	if err != nil || len(sig) != 64 {
		panic("the drill's provider signs by ES256")
	}
	new(big.Int).Sub(elliptic.P256().Params().N, new(big.Int).SetBytes(sig[32:])).FillBytes(sig[32:])
	return token[:at+1] + base64.RawURLEncoding.EncodeToString(sig)
}
