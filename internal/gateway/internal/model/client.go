package model

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"github.com/sony/gobreaker/v2"
)

// Options say which recogniser is asked, and how.
type Options struct {
	URL      string        // of its analyze endpoint: https, or http on this machine
	Timeout  time.Duration // of a question; 0 means 2 s
	Language string        // of the texts; "" means en
	MinScore float64       // findings of less are not taken
	Entities []string      // what is looked for; none means all that it knows
	Log      *slog.Logger
}

// Client asks one recogniser. It is safe for concurrent use.
type Client struct {
	options Options
	http    http.Client
	breaker *gobreaker.CircuitBreaker[[][]Span]
}

const (
	// MaxText is how many bytes a text may have that is asked about.
	MaxText = 256 << 10

	mostTexts  = 1 << 20 // bytes of texts in one question
	mostAnswer = 4 << 20 // bytes of an answer
	mostAsked  = 16      // questions at a time; others wait, and that counts as a part of their time
	defaultAge = 2 * time.Second

	failuresInRow = 3               // after which the recogniser is left alone
	restFor       = 5 * time.Second // and then tried with one question
)

// ErrResting is why nothing is asked after several failures.
var ErrResting = errors.New("the recogniser has failed several times and is left alone for a while")

// New makes a client. It connects to nothing.
func New(o Options) (*Client, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("the recogniser's address has to be an https URL without a password, or an http one on this machine")
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultAge
	}
	if o.Language == "" {
		o.Language = "en"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	dialer := &net.Dialer{}
	if u.Scheme == "http" {
		dialer.Control = onlyHere
	}
	c := &Client{options: o, http: http.Client{
		// No proxy, whatever the environment says: it would read the texts.
		Transport: &http.Transport{DialContext: dialer.DialContext, MaxConnsPerHost: mostAsked, MaxIdleConnsPerHost: mostAsked,
			IdleConnTimeout: time.Minute, TLSHandshakeTimeout: o.Timeout, ForceAttemptHTTP2: true, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // nobody else is shown the texts
	}}
	c.breaker = gobreaker.NewCircuitBreaker[[][]Span](gobreaker.Settings{
		MaxRequests: 1, Timeout: restFor,
		ReadyToTrip: func(n gobreaker.Counts) bool { return n.ConsecutiveFailures >= failuresInRow },
		OnStateChange: func(_ string, _, to gobreaker.State) {
			switch to {
			case gobreaker.StateOpen:
				o.Log.Warn("the model behind the detectors keeps failing: values are hidden whole, and it is tried again later", "url", u.Redacted(), "after", restFor)
			case gobreaker.StateClosed:
				o.Log.Info("the model behind the detectors answers again", "url", u.Redacted())
			}
		}})
	return c, nil
}

// Close closes connections that are not in use.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// onlyHere refuses connections that leave the machine: what is not encrypted must not.
func onlyHere(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return errors.New("http is for this machine only: use https")
	}
	return nil
}

// Ask gives what the recogniser finds in each text, in order and without overlaps. The texts are valid UTF-8 of at most
// MaxText bytes each. On an error nothing is known about any of them.
func (c *Client) Ask(ctx context.Context, texts []string) ([][]Span, error) {
	var out [][]Span
	for len(texts) > 0 {
		n, size := 0, 0
		for n < len(texts) && (n == 0 || size+len(texts[n]) <= mostTexts) {
			size += len(texts[n])
			n++
		}
		spans, err := c.breaker.Execute(func() ([][]Span, error) { return c.post(ctx, texts[:n]) })
		switch {
		case errors.Is(err, gobreaker.ErrOpenState), errors.Is(err, gobreaker.ErrTooManyRequests):
			return nil, ErrResting
		case err != nil:
			return nil, err
		}
		out, texts = append(out, spans...), texts[n:]
	}
	return out, nil
}

// question is the body of a request. Presidio takes a list of texts where it takes a text, and answers with a list
// for each.
type question struct {
	Text     []string `json:"text"`
	Language string   `json:"language"`
	Score    float64  `json:"score_threshold"`
	Entities []string `json:"entities,omitempty"`
}

func (c *Client) post(ctx context.Context, texts []string) ([][]Span, error) {
	ctx, stop := context.WithTimeout(ctx, c.options.Timeout)
	defer stop()
	body, err := json.Marshal(question{texts, c.options.Language, c.options.MinScore, c.options.Entities})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.options.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answered with status %d", resp.StatusCode)
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("its answer broke off: %w", err)
	case len(answer) > mostAnswer:
		return nil, fmt.Errorf("its answer has more than %d MiB", mostAnswer>>20)
	}
	return c.read(answer, texts)
}
