package login

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"sallyport/internal/access"
)

const (
	httpTimeout = 30 * time.Second
	mostBytes   = 1 << 20 // of an answer
)

// Offer is what a gateway says to who wants to log in: GET /api/v1/login.
type Offer struct {
	Providers []Provider `json:"providers"`
	PGWire    PGWire     `json:"pgwire"`
	MCP       struct {
		URL string `json:"url"`
	} `json:"mcp"`
}

// Provider is an OpenID Connect provider at which people can log in.
type Provider struct {
	Name   string   `json:"name"`
	Issuer string   `json:"issuer"`
	Client string   `json:"client_id"`
	Scopes []string `json:"scopes"` // beside openid
	Secret bool     `json:"secret"` // the client has one, so it is none for a command
}

// PGWire is where the door for PostgreSQL clients is.
type PGWire struct {
	Address string `json:"address"` // host:port; "" where it is shut
	TLS     bool   `json:"tls"`
}

// wish is what is asked of POST /api/v1/credential.
type wish struct {
	Provider string `json:"provider"`
	IDToken  string `json:"id_token"`
	Nonce    string `json:"nonce"` // "" where the way of the log-in knows none
	Request  string `json:"request"`
}

// grant is its answer.
type grant struct {
	Principal   string    `json:"principal"`
	Groups      []string  `json:"groups"`
	Credential  string    `json:"credential"`
	Certificate string    `json:"certificate"`
	Authority   string    `json:"authority"`
	Secret      string    `json:"secret"`
	Expires     time.Time `json:"expires"`
	Connections []string  `json:"connections"`
	PGWire      PGWire    `json:"pgwire"`
}

// Gateway speaks to the web door of a gateway.
type Gateway struct {
	base string
	http *http.Client
	now  func() time.Time
	// clock is how far this machine's clock is behind the gateway's, as its last answer had it.
	clock time.Duration
}

// checkURL refuses what would carry secrets in the clear to another machine.
func checkURL(base string) (*url.URL, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, &access.Error{Kind: access.Invalid, Message: fmt.Sprintf("%q is no address of a gateway's web door", printable(base)), Hint: "write https://HOST, as its operator has it in listen.web.public_url"}
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, &access.Error{Kind: access.Invalid, Message: printable(base) + " would be sent secrets in the clear", Hint: "write https://"}
	}
	u.Host = strings.ToLower(u.Host)
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// client is an HTTP client that trusts the authorities of caFile too, and follows no redirect: it would take secrets to whom an answer names.
func client(caFile string) (*http.Client, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		text, err := os.ReadFile(caFile)
		if err != nil {
			return nil, &access.Error{Kind: access.Invalid, Message: "the authorities to trust cannot be read", Hint: "--ca-file names a PEM file", Err: err}
		}
		if conf.RootCAs, err = x509.SystemCertPool(); err != nil {
			conf.RootCAs = x509.NewCertPool()
		}
		if !conf.RootCAs.AppendCertsFromPEM(text) {
			return nil, &access.Error{Kind: access.Invalid, Message: caFile + " holds no certificate", Hint: "--ca-file names a PEM file"}
		}
	}
	return &http.Client{
		Timeout:       httpTimeout,
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: conf, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// call sends a JSON request and reads the answer into out.
func (g *Gateway) call(ctx context.Context, method, path string, in, out any, prepare func(*http.Request)) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, g.base+path, body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	if prepare != nil {
		prepare(req)
	}
	resp, err := g.http.Do(req)
	if err != nil {
		return unreachable("the gateway at "+g.base, "--gateway is the URL of its web door: is it right, and does the gateway run?", err)
	}
	defer resp.Body.Close()
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		g.clock = date.Sub(g.now()).Round(time.Second)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, mostBytes))
	if err != nil {
		return unreachable("the answer of "+g.base, "try again", err)
	}
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusNoContent {
		if out == nil {
			return nil
		}
		if err := json.Unmarshal(text, out); err != nil {
			return g.strange(resp, err)
		}
		return nil
	}
	var said struct{ Error, Hint string }
	if json.Unmarshal(text, &said) != nil || said.Error == "" {
		return g.strange(resp, nil)
	}
	kind := access.Denied
	if resp.StatusCode >= 500 {
		kind = access.Unavailable
	}
	return &answer{resp.StatusCode, &access.Error{Kind: kind, Message: printable(said.Error), Hint: printable(said.Hint)}}
}

// answer is an error that the gateway told.
type answer struct {
	status int
	err    *access.Error
}

func (a *answer) Error() string { return a.err.Error() }
func (a *answer) Unwrap() error { return a.err }

// strange is for who answers and is no gateway.
func (g *Gateway) strange(resp *http.Response, err error) error {
	what := "something else than JSON"
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		what = "with a redirect to " + strconv.Quote(printable(resp.Header.Get("Location")))
	case resp.StatusCode != http.StatusOK:
		what = printable(resp.Status)
	}
	return &answer{resp.StatusCode, &access.Error{Kind: access.Unavailable, Message: fmt.Sprintf("%s answers %s: that is no web door of Sallyport, or an old one", g.base, what),
		Hint: "give --gateway as the operator has it in listen.web.public_url; the doors of agents and of PostgreSQL clients have other ports", Err: err}}
}

// unreachable says why somebody does not answer.
func unreachable(whom, hint string, err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err // without the URL, which may hold what is not to be shown
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	e := &access.Error{Kind: access.Unavailable, Message: whom + " does not answer", Hint: hint, Err: err}
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &unknown):
		e.Message, e.Hint = whom+" shows a certificate of an authority that this machine does not know", "get the authority's certificate from the operator and give it with --ca-file"
	case errors.As(err, &name):
		e.Message, e.Hint = whom+" shows a certificate for another name", "use the name that is in the certificate"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		e.Message, e.Hint = whom+" shows a certificate that does not hold now", "is this machine's clock right? if so, its operator has to renew the certificate"
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		e.Message, e.Hint = whom+" speaks no TLS there", "is it the right port?"
	}
	return e
}

// printable writes what could move a cursor as escapes: what comes from elsewhere goes to a terminal.
func printable(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return s
	}
	quoted := strconv.Quote(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}
