package browser

import (
	"context"
	"errors"
	"fmt"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sallyport/evals/harness"
)

const (
	waiting     = 1000 // requests in the inbox
	onPage      = 50   // of them; the page says how many there are, and leads to the others
	mostPending = 100  // of one principal (internal/approval)
	loads       = 21   // of it that are measured
)

// painted has every page say when the frame after its load event was there: milliseconds since the navigation began.
const painted = `addEventListener("load", () => requestAnimationFrame(() => setTimeout(() => { window.paintedAt = performance.now() })))`

// thousand measures an inbox with a thousand requests: milliseconds from asking for it until all of it is painted, and until its
// last byte has come.
func thousand(ctx context.Context) (all, server []float64, err error) {
	w, err := begin(ctx, func(s *harness.Spec) {
		s.Approvals = map[string]any{"wait": "0s", "preview": "0s"}
		for i := range waiting / mostPending {
			name := fmt.Sprintf("asker%d", i)
			s.Principals = append(s.Principals, harness.Principal{Name: name, Groups: []string{"askers"}, Password: password(name)})
		}
	})
	if err != nil {
		return nil, nil, err
	}
	defer w.end()
	for i := range waiting / mostPending {
		if err := w.ask(ctx, fmt.Sprintf("asker%d", i), mostPending); err != nil {
			return nil, nil, err
		}
	}
	t, err := w.as("keeper")
	if err != nil {
		return nil, nil, err
	}
	defer t.cancel()
	if _, err := chromedp.Call(t.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: painted}); err != nil {
		return nil, nil, err
	}
	for i := range loads + 2 {
		if _, err := t.open("/reviews"); err != nil {
			return nil, nil, err
		}
		if err := t.wait("window.paintedAt"); err != nil {
			return nil, nil, err
		}
		got, err := eval[struct {
			Says        string
			Shown       int
			All, Server float64
		}](t, `({Says: document.querySelector("#inbox .count").innerText, Shown: document.querySelectorAll("#inbox td.what").length, All: window.paintedAt, Server: performance.getEntriesByType("navigation")[0].responseEnd})`)
		if err != nil {
			return nil, nil, err
		}
		if want := fmt.Sprintf("%d requests", waiting); got.Says != want || got.Shown != onPage {
			return nil, nil, fmt.Errorf("the inbox says %q and shows %d, want %q and %d", got.Says, got.Shown, want, onPage)
		}
		if i >= 2 { // the first fill caches
			all, server = append(all, got.All), append(server, got.Server)
		}
	}
	return all, server, nil
}

// ask has somebody ask for n statements that wait.
func (w *world) ask(ctx context.Context, name string, n int) error {
	conn, err := pgx.Connect(ctx, w.g.DSN(name, password(name), connection))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "SET sallyport.reason = 'ticket 4716: the customers of the list have moved to the north'"); err != nil {
		return err
	}
	for i := range n {
		_, err := conn.Exec(ctx, fmt.Sprintf("UPDATE customers SET region = 'north', name = 'moved %d' WHERE id = %d", i, i%40+1))
		if e := (*pgconn.PgError)(nil); !errors.As(err, &e) {
			return fmt.Errorf("statement %d does not wait: %w", i, err)
		}
	}
	return nil
}
