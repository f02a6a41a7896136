package approval

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"
)

// review is what the drill reads of a request.
type review struct {
	ID       string    `json:"id"`
	Revision uint64    `json:"revision"`
	State    string    `json:"state"`
	Expires  time.Time `json:"expires"`
	Binding  struct {
		Principal string `json:"principal"`
	} `json:"binding"`
	Votes []struct {
		At time.Time `json:"at"`
	} `json:"votes"`
}

// list gives the requests of a state, as a reviewer sees them.
func (w *world) list(ctx context.Context, state string) ([]review, error) {
	status, body, err := w.call(ctx, call{method: "GET", path: "/api/v1/reviews?limit=1000&state=" + state, user: "keeper", password: secretOf("keeper")})
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("the list of requests: %d %s", status, body)
	}
	var all struct {
		Reviews []review `json:"reviews"`
	}
	return all.Reviews, json.Unmarshal(body, &all)
}

// clear ends what an attack has left: requests, and approvals that later attacks would run under.
func (w *world) clear(ctx context.Context) error {
	for state, verb := range map[string]string{"pending": "deny", "approved": "cancel"} {
		list, err := w.list(ctx, state)
		if err != nil {
			return err
		}
		for _, r := range list {
			who, body := "keeper", any(verdict(r.Revision, nil))
			if verb == "cancel" {
				who, body = r.Binding.Principal, "{}"
			}
			// What an agent has left is for its task alone, and agents do not come in here.
			if _, _, err := w.call(ctx, call{method: "POST", path: path(r.ID, verb), user: who, password: secretOf(who), body: body}); err != nil {
				return err
			}
		}
	}
	return nil
}

// call is one request to the web door, as somebody who may be nobody.
type call struct {
	method, path   string
	user, password string
	body           any // marshalled, unless it is a string
	header         map[string]string
	client         *http.Client
}

func (w *world) call(ctx context.Context, c call) (status int, body []byte, err error) {
	var in io.Reader
	switch b := c.body.(type) {
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
	req, err := http.NewRequestWithContext(ctx, c.method, w.g.WebURL+c.path, in)
	if err != nil {
		return 0, nil, err
	}
	if c.method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.user != "" {
		req.SetBasicAuth(c.user, c.password)
	}
	for k, v := range c.header {
		req.Header.Set(k, v)
	}
	client := c.client
	if client == nil {
		client = http.DefaultClient
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	body, err = io.ReadAll(res.Body)
	return res.StatusCode, body, err
}

// show gives a request as somebody sees it.
func (w *world) show(ctx context.Context, who, id string) (review, error) {
	var r review
	status, body, err := w.call(ctx, call{method: "GET", path: "/api/v1/reviews/" + id, user: who, password: secretOf(who)})
	if err != nil {
		return r, err
	}
	if status != http.StatusOK {
		return r, fmt.Errorf("show %s: %d %s", id, status, body)
	}
	return r, json.Unmarshal(body, &r)
}

// verdict is the body of a decision.
func verdict(revision uint64, grant any) map[string]any {
	v := map[string]any{"revision": revision, "justification": "looked at the ticket"}
	if grant != nil {
		v["grant"] = grant
	}
	return v
}

// decide has somebody approve or deny what is at its present revision.
func (w *world) decide(ctx context.Context, who, id, how string, grant any) error {
	r, err := w.show(ctx, who, id)
	if err != nil {
		return err
	}
	status, body, err := w.call(ctx, call{method: "POST", path: "/api/v1/reviews/" + id + "/" + how, user: who, password: secretOf(who), body: verdict(r.Revision, grant)})
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s cannot %s %s: %d %s", who, how, id, status, body)
	}
	return err
}

// browser is a browser in which somebody has logged in with their own password.
func (w *world) browser(ctx context.Context, who string) (*http.Client, error) {
	return w.login(ctx, who, secretOf(who))
}

var errNotLetIn = errors.New("cannot log in with the form")

// login sends the form, as a browser does. Its error is errNotLetIn where the door says no.
func (w *world) login(ctx context.Context, who, password string) (*http.Client, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	b := &http.Client{Jar: jar, Timeout: 30 * time.Second}
	form := url.Values{"user": {who}, "password": {password}, "next": {"/reviews"}}
	status, body, err := w.call(ctx, call{method: "POST", path: "/login", body: form.Encode(), client: b,
		header: map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Origin": w.g.WebURL}})
	if err == nil && (status != http.StatusOK || !strings.Contains(string(body), "/logout")) {
		err = fmt.Errorf("%s %w: %d %.300s", who, errNotLetIn, status, body)
	}
	return b, err
}
