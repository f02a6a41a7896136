package oidc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
)

const (
	fetchTime = 10 * time.Second
	maxBody   = 1 << 20
	// rediscover is how long the place of the keys is taken as known. One that fails is looked up again at the next fetch.
	rediscover = 6 * time.Hour
)

// readRoots reads the certificates of a ca_file; nil, for the system's, where there is none.
func readRoots(caFile string) (*x509.CertPool, error) {
	if caFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca_file: %s has no certificate (PEM)", caFile)
	}
	return roots, nil
}

// newClient gives a client that talks TLS (loopback may do without), follows nobody elsewhere, and reads no more than maxBody.
func newClient(roots *x509.CertPool) *http.Client {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	t := &http.Transport{TLSClientConfig: conf, Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 1, IdleConnTimeout: 30 * time.Second,
		TLSHandshakeTimeout: fetchTime, ResponseHeaderTimeout: fetchTime, MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true}
	return &http.Client{Transport: limited{t}, Timeout: fetchTime, CheckRedirect: func(*http.Request, []*http.Request) error {
		return errors.New("the provider redirects: codes and secrets go nowhere else, and the configuration names the issuer's own URL")
	}}
}

// limited refuses what is not encrypted, and bodies that do not end.
type limited struct{ next *http.Transport }

func (b limited) RoundTrip(r *http.Request) (*http.Response, error) {
	if !Secure(r.URL) {
		return nil, fmt.Errorf("%s is not https", r.URL.Redacted())
	}
	resp, err := b.next.RoundTrip(r)
	if err == nil {
		resp.Body = &body{ReadCloser: resp.Body, left: maxBody}
	}
	return resp, err
}

func (b limited) CloseIdleConnections() { b.next.CloseIdleConnections() }

type body struct {
	io.ReadCloser
	left int
}

func (b *body) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("the answer has more than %d bytes", maxBody)
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// Secure reports whether what is at u is proven by TLS, or on this machine.
func Secure(u *url.URL) bool {
	if u == nil || u.Host == "" || u.User != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

// directory knows where a provider's keys are.
type directory struct {
	issuer string
	client *http.Client
	now    func() time.Time

	mu    sync.Mutex // of both below
	jwks  string
	since time.Time
}

// keys asks the provider where its keys are, when that is not known, and for the keys.
func (d *directory) keys(ctx context.Context) ([]key, error) {
	from, err := d.place(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := d.get(ctx, from)
	if err != nil {
		d.mu.Lock()
		d.jwks = ""
		d.mu.Unlock()
	}
	return keys, err
}

func (d *directory) place(ctx context.Context) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.jwks != "" && d.now().Sub(d.since) < rediscover {
		return d.jwks, nil
	}
	p, err := gooidc.NewProvider(gooidc.ClientContext(ctx, d.client), d.issuer) // checks that the issuer there is this one, to the letter
	if err != nil {
		return "", fmt.Errorf("discovery: %w", err)
	}
	var doc struct {
		JWKS string `json:"jwks_uri"`
	}
	if err := p.Claims(&doc); err != nil {
		return "", fmt.Errorf("discovery: %w", err)
	}
	at, err := url.Parse(doc.JWKS)
	from, _ := url.Parse(d.issuer)
	if err != nil || !Secure(at) || from.Scheme == "https" && at.Scheme != "https" {
		return "", fmt.Errorf("discovery: jwks_uri %q is not https", doc.JWKS)
	}
	d.jwks, d.since = doc.JWKS, d.now()
	return d.jwks, nil
}

func (d *directory) get(ctx context.Context, from string) ([]key, error) {
	status, text, _, err := fetch(ctx, d.client, from, "")
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("keys: %s answered %d", from, status)
	}
	return parseKeys(text)
}

// fetch gets what is at a URL; bearer is sent where it is not empty.
func fetch(ctx context.Context, client *http.Client, from, bearer string) (status int, text []byte, contentType string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return 0, nil, "", err
	}
	r.Header.Set("Accept", "application/json, application/jwt, application/jwk-set+json")
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := client.Do(r)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	text, err = io.ReadAll(resp.Body)
	return resp.StatusCode, text, resp.Header.Get("Content-Type"), err
}
