package export

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	sendTimeout = 30 * time.Second
	answerMost  = 64 << 10 // bytes of an answer that are read
)

// Poster sends bodies to one URL.
type Poster struct {
	url     string
	client  *http.Client
	timeout time.Duration
}

// NewPoster makes ready to send to an http(s) URL. conf nil is the system's roots, a timeout of 0 is 30 s a request.
func NewPoster(address string, conf *tls.Config, timeout time.Duration) (*Poster, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("%q is no http(s) URL", address)
	}
	if timeout <= 0 {
		timeout = sendTimeout
	}
	return &Poster{url: address, timeout: timeout, client: &http.Client{
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: conf, ForceAttemptHTTP2: true,
			MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: timeout},
		// A redirect would take records and signature to whoever the answer names.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Post returns the body of a 2xx answer. Other answers are errors: rejected where the receiver does not take what was
// sent, later where it names a time.
func (p *Poster) Post(ctx context.Context, path string, header http.Header, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = header
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, withoutURL(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, answerMost))
	switch code := resp.StatusCode; {
	case code/100 == 2:
		return answer, err
	case code == http.StatusBadRequest, code == http.StatusRequestEntityTooLarge, code == http.StatusUnsupportedMediaType, code == http.StatusUnprocessableEntity:
		return nil, &rejected{why: resp.Status}
	case resp.Header.Get("Retry-After") != "":
		return nil, &later{err: errors.New("it answers " + resp.Status), wait: retryAfter(resp.Header.Get("Retry-After"))}
	default:
		return nil, errors.New("it answers " + resp.Status)
	}
}

// Place is a URL for those who may not know its path, which may hold a secret.
func Place(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "a URL that cannot be read"
	}
	return u.Scheme + "://" + u.Host
}

func withoutURL(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

// retryAfter reads RFC 9110, section 10.2.3: seconds, or a date.
func retryAfter(s string) time.Duration {
	if n, err := strconv.Atoi(s); err == nil {
		return time.Duration(max(n, 0)) * time.Second
	}
	if at, err := http.ParseTime(s); err == nil {
		return time.Until(at)
	}
	return 0
}

// Close gives up idle connections.
func (p *Poster) Close() error {
	p.client.CloseIdleConnections()
	return nil
}

func (p *Poster) close() error { return p.Close() }
