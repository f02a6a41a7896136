package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/config"
	"sallyport/internal/web"
)

const (
	reviewTimeout = 30 * time.Second
	reviewMost    = 16 << 20 // bytes of an answer
)

// reviewClient speaks to the web door of a running gateway. It gives the person's password with each request, so that each proves anew
// who asks.
type reviewClient struct {
	base           string
	user, password string
	http           *http.Client
}

// newReviewClient refuses to send a password in the clear to another machine.
func newReviewClient(base, user, password string, conf *tls.Config) (*reviewClient, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return nil, usagef("%q is no address of a web door: write https://HOST", printable(base))
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, usagef("%s would be sent your password in the clear: use https", printable(base))
	}
	return &reviewClient{base: strings.TrimSuffix(base, "/"), user: user, password: password, http: &http.Client{
		Timeout: reviewTimeout, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: conf, ForceAttemptHTTP2: true},
		// A redirect would take the password to whoever the answer names.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// do sends a request and gives the body of the answer.
func (c *reviewClient) do(ctx context.Context, method, path string, in any) ([]byte, error) {
	var body io.Reader
	if method == http.MethodPost {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+"/api/v1"+path, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.SetBasicAuth(c.user, c.password)
	resp, err := c.http.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return nil, &access.Error{Kind: access.Unavailable, Message: "the web door at " + c.base + " does not answer", Hint: "is the gateway running, and is listen.web in its configuration? --url names another", Err: err}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, reviewMost))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the answer of %s breaks off: %w", c.base, err)
	case resp.StatusCode == http.StatusOK:
		return text, nil
	}
	var said web.APIError
	if json.Unmarshal(text, &said) != nil || said.Error == "" {
		return nil, &access.Error{Kind: access.Unavailable, Message: fmt.Sprintf("%s answers %s", c.base, printable(resp.Status)), Hint: "is that a web door of sallyport?"}
	}
	kind := access.Denied
	if resp.StatusCode >= 500 {
		kind = access.Unavailable
	}
	return nil, &access.Error{Kind: kind, Message: printable(said.Error), Hint: printable(said.Hint)}
}

// get is do for an answer that is read into out as well.
func (c *reviewClient) get(ctx context.Context, method, path string, in, out any) ([]byte, error) {
	text, err := c.do(ctx, method, path, in)
	if err == nil {
		if err = json.Unmarshal(text, out); err != nil {
			err = fmt.Errorf("the answer of %s cannot be read: %w", c.base, err)
		}
	}
	return text, err
}

// idLength is that of a request's id, and idShown how much of it tells requests apart for people.
const (
	idLength = 46
	idShown  = 20
)

// find gives the request whose id begins with id.
func (c *reviewClient) find(ctx context.Context, id string) (*web.Review, []byte, error) {
	if len(id) < idLength {
		list, _, err := c.list(ctx, "all", 1000)
		if err != nil {
			return nil, nil, err
		}
		var found []string
		for _, r := range list.Reviews {
			if strings.HasPrefix(r.ID, id) {
				found = append(found, r.ID)
			}
		}
		switch {
		case len(found) > 1:
			return nil, nil, usagef("%d requests begin with %s: give more of the id", len(found), printable(id))
		case len(found) == 1:
			id = found[0]
		default:
			return nil, nil, &access.Error{Kind: access.Denied, Message: fmt.Sprintf("no request that you have made or may decide about begins with %q", printable(id)),
				Hint: "`sallyport review list --state all` shows those that you may know of"}
		}
	}
	return c.one(ctx, http.MethodGet, "/reviews/"+url.PathEscape(id), nil)
}

// one is get for an answer that is a request.
func (c *reviewClient) one(ctx context.Context, method, path string, in any) (*web.Review, []byte, error) {
	r := new(web.Review)
	text, err := c.get(ctx, method, path, in, r)
	if err == nil && r.ReviewRequest == nil {
		err = fmt.Errorf("the answer of %s is no request", c.base)
	}
	return r, text, err
}

// list gives requests in a state.
func (c *reviewClient) list(ctx context.Context, state string, most int) (*web.ReviewList, []byte, error) {
	list := new(web.ReviewList)
	text, err := c.get(ctx, http.MethodGet, "/reviews?"+url.Values{"state": {state}, "limit": {strconv.Itoa(most)}}.Encode(), nil, list)
	if err == nil && slices.ContainsFunc(list.Reviews, func(r web.Review) bool { return r.ReviewRequest == nil }) {
		err = fmt.Errorf("the answer of %s is no list of requests", c.base)
	}
	return list, text, err
}

// reviewURL is where the configuration has the web door, seen from this machine.
func reviewURL(cfg *config.Config) (string, error) {
	w := cfg.File.Listen.Web
	if w == nil {
		return "", &access.Error{Kind: access.Invalid, Message: cfg.Path + " opens no web door", Hint: "add listen.web, or name the door of another machine with --url"}
	}
	if w.PublicURL == "" {
		if host, port, err := net.SplitHostPort(w.Address); err == nil {
			if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
				here := *w
				here.Address = net.JoinHostPort("localhost", port)
				w = &here
			}
		}
	}
	return webURL(w), nil
}
