package identity

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"sallyport/evals/agent"
	"sallyport/evals/wire"
	"sallyport/internal/testidp"
)

// seen is what came out of a way: all bytes, and what was answered in a few words.
type seen struct {
	all    bytes.Buffer
	answer string
}

func (s *seen) say(format string, args ...any) { s.answer = fmt.Sprintf(format, args...) }

// rows asks for every canary on a session at the PostgreSQL door.
func (s *seen) rows(c *wire.Conn) {
	for _, sql := range asked {
		a := c.Simple(sql)
		s.all.WriteString(a.Text())
		if a.Failed() && s.answer == "" {
			s.say("%s %s", a.Code, a.Error)
		}
	}
	if s.answer == "" {
		s.say("let in")
	}
}

// asAgent presents a bearer token at the agents' door.
func (w *world) asAgent(ctx context.Context, token string) *seen {
	s := &seen{}
	if !header(token) { // Go's client sends no such header; as bytes it goes through the raw form below
		s.raw(ctx, w.g.MCPURL, token)
		return s
	}
	a, err := agent.Dial(ctx, w.g.MCPURL, token, connection)
	if err != nil {
		s.all.WriteString(err.Error())
		s.say("%v", err)
		return s
	}
	defer a.Close()
	for _, sql := range asked {
		got := a.Query(ctx, sql)
		s.all.WriteString(got.Text())
		if got.Failed() && s.answer == "" {
			s.say("%s %s", got.Code, got.Error)
		}
	}
	return s
}

// header reports whether Go sends a token as a header.
func header(token string) bool {
	return !strings.ContainsFunc(token, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// raw sends a call with the bytes of a token as they are.
func (s *seen) raw(ctx context.Context, address, token string) {
	u, err := url.Parse(address)
	if err != nil {
		s.say("%v", err)
		return
	}
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		s.say("%v", err)
		return
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	body := `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}`
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nConnection: close\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s",
		u.Path, u.Host, token, len(body), body)
	all, _ := io.ReadAll(conn)
	s.all.Write(all)
	first, _, _ := strings.Cut(string(all), "\r\n")
	s.say("%s", first)
	if strings.Contains(first, " 200") { // a session is as good as a row
		s.all.WriteString(canarySupport)
	}
}

// sasl begins a session at the PostgreSQL door with OAUTHBEARER (RFC 7628). initial replaces the client's message, "" does not.
func (w *world) sasl(ctx context.Context, name, token, initial string) (*wire.Conn, error) {
	conn, front, err := w.tls(ctx, nil)
	if err != nil {
		return nil, err
	}
	if initial == "" {
		initial = "n,,\x01auth=Bearer " + token + "\x01\x01"
	}
	front.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: map[string]string{"user": name, "database": connection}})
	fail := func(err error) (*wire.Conn, error) {
		conn.Close()
		return nil, err
	}
	if err := front.Flush(); err != nil {
		return fail(err)
	}
	for {
		m, err := front.Receive()
		if err != nil {
			return fail(err)
		}
		switch m := m.(type) {
		case *pgproto3.AuthenticationSASL:
			if !slices.Contains(m.AuthMechanisms, "OAUTHBEARER") {
				return fail(fmt.Errorf("%w: OAUTHBEARER is not offered: %v", errBroken, m.AuthMechanisms))
			}
			front.Send(&pgproto3.SASLInitialResponse{AuthMechanism: "OAUTHBEARER", Data: []byte(initial)})
			if err := front.Flush(); err != nil {
				return fail(err)
			}
		case *pgproto3.AuthenticationSASLContinue: // why not, as JSON; the client has to answer with one byte
			front.Send(&pgproto3.SASLResponse{Data: []byte{1}})
			if err := front.Flush(); err != nil {
				return fail(err)
			}
		case *pgproto3.ErrorResponse:
			return fail(fmt.Errorf("%s %s", m.Code, m.Message))
		case *pgproto3.ReadyForQuery:
			conn.SetDeadline(time.Time{})
			return wire.On(conn, front), nil
		}
	}
}

// tls opens a connection to the PostgreSQL door, with or without a client certificate.
func (w *world) tls(ctx context.Context, own *tls.Certificate) (net.Conn, *pgproto3.Frontend, error) {
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", w.g.PGAddr)
	if err != nil {
		return nil, nil, err
	}
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	answer := make([]byte, 1)
	if _, err = conn.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47}); err == nil { // SSLRequest
		_, err = io.ReadFull(conn, answer)
	}
	if err == nil && answer[0] != 'S' {
		err = fmt.Errorf("%w: no TLS: %q", errBroken, answer)
	}
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	conf := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"postgresql"}}
	if own != nil {
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own, nil } // whatever the server asks for
	}
	secure := tls.Client(conn, conf)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, nil, err
	}
	return secure, pgproto3.NewFrontend(secure, secure), nil
}

// byToken presents a bearer token at the PostgreSQL door: for ada, and for whoever the token could be taken to be of.
func (w *world) byToken(ctx context.Context, token string) *seen {
	s := &seen{}
	for _, name := range namesIn(token) {
		one := &seen{}
		c, err := w.sasl(ctx, name, token, "")
		if err != nil {
			one.say("%v", err)
		} else {
			one.rows(c)
			c.Close()
		}
		s.all.Write(one.all.Bytes())
		if s.answer == "" || len(saw(one.all.Bytes())) > 0 {
			s.answer = one.answer
		}
	}
	return s
}

// namesIn are names under which somebody may try a token.
func namesIn(token string) []string {
	names := []string{"corp-ada"}
	claims, _ := testidp.Claims(token)
	try := func(prefix, claim string) {
		name, _ := claims[claim].(string)
		if n := prefix + name; name != "" && len(n) < 64 && !strings.ContainsRune(n, 0) && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	try("corp-", "preferred_username")
	if claims["client_id"] == claims["sub"] {
		try("corp-", "client_id")
	}
	if claims["email_verified"] != true {
		try("mail-", "email")
	}
	try("evil-", "preferred_username")
	return names
}

func (w *world) password(ctx context.Context, name, secret string) (*wire.Conn, error) {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(name, secret), Host: w.g.PGAddr, Path: "/" + connection, RawQuery: "sslmode=require"}
	return wire.Dial(ctx, u.String())
}

// byPassword presents anything as a password.
func (w *world) byPassword(ctx context.Context, name, secret string) *seen {
	s := &seen{}
	c, err := w.password(ctx, name, secret)
	if err != nil {
		s.say("%v", err)
		return s
	}
	defer c.Close()
	s.rows(c)
	return s
}

// byCertificate comes in with a client certificate.
func (w *world) byCertificate(ctx context.Context, name string, own *tls.Certificate) *seen {
	s := &seen{}
	c, err := w.certified(ctx, name, own)
	if err != nil {
		s.say("%v", err)
		return s
	}
	defer c.Close()
	s.rows(c)
	return s
}

func (w *world) certified(ctx context.Context, name string, own *tls.Certificate) (*wire.Conn, error) {
	conn, front, err := w.tls(ctx, own)
	if err != nil {
		return nil, err
	}
	front.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: map[string]string{"user": name, "database": connection}})
	err = front.Flush()
	for err == nil {
		var m pgproto3.BackendMessage
		if m, err = front.Receive(); err != nil {
			break
		}
		switch m := m.(type) {
		case *pgproto3.AuthenticationSASL:
			err = errors.New("it asks for a password")
		case *pgproto3.ErrorResponse:
			err = fmt.Errorf("%s %s", m.Code, m.Message)
		case *pgproto3.ReadyForQuery:
			conn.SetDeadline(time.Time{})
			return wire.On(conn, front), nil
		}
	}
	conn.Close()
	return nil, err
}

// request is a certificate request with its key, and the nonce that binds a token to it.
type request struct {
	key   *ecdsa.PrivateKey
	pem   string
	nonce string
}

// newRequest makes one for the gateway at web, whose URL it names.
func newRequest(web, name string) (request, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return request{}, err
	}
	return requestFor(key, name, web)
}

// requestFor makes one for a key, for each of some gateways.
func requestFor(key *ecdsa.PrivateKey, name string, gateways ...string) (request, error) {
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}
	for _, g := range gateways {
		at, err := url.Parse(g)
		if err != nil {
			return request{}, err
		}
		template.URIs = append(template.URIs, at)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return request{}, err
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return request{}, err
	}
	sum := sha256.Sum256(spki)
	return request{key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), base64.RawURLEncoding.EncodeToString(sum[:])}, nil
}

// issued is what the gateway gives for an ID token.
type issued struct {
	Principal, Credential, Certificate, Secret string
	Expires                                    time.Time
	own                                        *tls.Certificate
}

// credential hands over an ID token.
func (w *world) credential(ctx context.Context, provider, token, nonce string, r request) (issued, []byte, error) {
	var got issued
	status, body, err := w.http(ctx, http.MethodPost, "/api/v1/credential", map[string]string{"Content-Type": "application/json"},
		map[string]any{"provider": provider, "id_token": token, "nonce": nonce, "request": r.pem})
	if err != nil {
		return got, body, err
	}
	if status/100 != 2 {
		return got, body, fmt.Errorf("%d %.300s", status, body)
	}
	if err := json.Unmarshal(body, &got); err != nil {
		return got, body, err
	}
	if own, err := tls.X509KeyPair([]byte(got.Certificate), pemKey(r.key)); err == nil {
		got.own = &own
	}
	return got, body, nil
}

func pemKey(key *ecdsa.PrivateKey) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// byIDToken hands over an ID token, and uses whatever comes back.
func (w *world) byIDToken(ctx context.Context, provider, token, nonce string, r request) *seen {
	s := &seen{}
	got, body, err := w.credential(ctx, provider, token, nonce, r)
	s.all.Write(body)
	if err != nil {
		s.say("%v", err)
		return s
	}
	in := w.byPassword(ctx, got.Principal, got.Secret)
	s.all.Write(in.all.Bytes())
	s.say("a credential for %s", got.Principal)
	return s
}

// http is one request to the web door.
func (w *world) http(ctx context.Context, method, path string, header map[string]string, body any) (int, []byte, error) {
	return w.httpBy(ctx, http.DefaultClient, method, path, header, body)
}

func (w *world) httpBy(ctx context.Context, client *http.Client, method, path string, header map[string]string, body any) (int, []byte, error) {
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return 0, nil, err
		}
		in = bytes.NewReader(text)
	}
	address := path
	if !strings.Contains(path, "://") {
		address = w.g.WebURL + path
	}
	req, err := http.NewRequestWithContext(ctx, method, address, in)
	if err != nil {
		return 0, nil, err
	}
	for k, v := range header {
		if k == "Host" {
			req.Host = v
		} else {
			req.Header.Set(k, v)
		}
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	all, err := io.ReadAll(res.Body)
	if to := res.Header.Get("Location"); to != "" {
		all = append(all, "\nLocation: "+to...)
	}
	return res.StatusCode, all, err
}
