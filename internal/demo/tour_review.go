package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// approve waits for a request and approves it as the reviewer, over the web door's interface for programs. It gives what went
// wrong, or "".
func (t *tour) approve(ctx context.Context, why string) string {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		var list struct {
			Reviews []struct {
				ID       string `json:"id"`
				Revision uint64 `json:"revision"`
			} `json:"reviews"`
		}
		if err := t.web(ctx, http.MethodGet, "/api/v1/reviews?state=waiting", nil, &list); err != nil {
			return err.Error()
		}
		if len(list.Reviews) > 0 {
			r := list.Reviews[0]
			if err := t.web(ctx, http.MethodPost, "/api/v1/reviews/"+r.ID+"/approve", map[string]any{"revision": r.Revision, "justification": why}, nil); err != nil {
				return err.Error()
			}
			return ""
		}
		select {
		case <-ctx.Done():
			return "nothing waited for approval"
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (t *tour) web(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, t.doors.Web+path, body)
	if err != nil {
		return err
	}
	req.SetBasicAuth(reviewer, t.demo.login(reviewer).Password)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s", method, path, res.Status, text)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}
