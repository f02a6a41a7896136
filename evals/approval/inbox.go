package approval

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"sallyport/evals/harness"
	"sallyport/evals/results"
)

// eachPending is how many requests one person may have pending.
const eachPending = 100

// inbox measures what it takes to look at many pending requests.
func (d *drill) inbox(ctx context.Context, n int) ([]results.Figure, error) {
	askers := (n + eachPending - 1) / eachPending
	w, err := d.world(ctx, map[string]any{"wait": "0s"}, func(s *harness.Spec) {
		for i := range askers {
			name := fmt.Sprintf("asker%d", i)
			s.Principals = append(s.Principals, harness.Principal{Name: name, Groups: []string{"askers"}, Password: secretOf(name)})
		}
	})
	if err != nil {
		return nil, err
	}
	defer w.close()
	for i := range askers {
		c, err := w.dial(ctx, fmt.Sprintf("asker%d", i))
		if err != nil {
			return nil, err
		}
		for j := i * eachPending; j < min(n, (i+1)*eachPending); j++ {
			if a := c.Simple(fmt.Sprintf("UPDATE accounts SET n = n + 1, note = 'number %d' WHERE id = %d", j, 1+j%20)); handleOf(a.Error) == "" {
				return nil, fmt.Errorf("it is not held: %s %s", a.Code, a.Error)
			}
		}
		c.Close()
	}
	b, err := w.browser(ctx, "keeper")
	if err != nil {
		return nil, err
	}
	const (
		looks  = 100
		onPage = 50 // of the inbox; it says how many there are, and leads to the others
	)
	var page, list times
	for range looks {
		for _, c := range []struct {
			call call
			each string // what there is of each request
			want int    // how many of them
			all  string // what says that there are n
			into *times
		}{{call{method: "GET", path: "/reviews", client: b}, `href="/reviews/2`, onPage, fmt.Sprintf(">%d requests", n), &page},
			{call{method: "GET", path: fmt.Sprintf("/api/v1/reviews?state=pending&limit=%d", n), user: "keeper", password: secretOf("keeper")}, `"revision":`, n, "", &list}} {
			began := time.Now()
			status, body, err := w.call(ctx, c.call)
			c.into.add(time.Since(began))
			if err != nil || status != http.StatusOK {
				return nil, fmt.Errorf("%s: %d %w", c.call.path, status, err)
			}
			if got := strings.Count(string(body), c.each); got != c.want || !strings.Contains(string(body), c.all) {
				return nil, fmt.Errorf("%s shows %d requests of %d", c.call.path, got, n)
			}
		}
	}
	name := fmt.Sprintf("approval.inbox_%d", n)
	return append(page.figures(name, fmt.Sprintf("the first page of the inbox, which has %d of them, to its last byte", onPage)),
		list.figures(name+".json", "all of them as JSON, with a password to be checked")...), nil
}
