package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"sallyport/evals/harness"
	"sallyport/evals/results"
)

const made = "go run ./evals/cmd/browser"

// Main runs what it is told, and records figures unless dry is set. The error names the flows that failed and what was found.
// only is what the names of the flows begin with that are run, and nothing beside them; "" is all. quick looks at one page of each form for
// each role, and not at the inbox of a thousand.
func Main(ctx context.Context, dry, quick bool, only string) error {
	begun := time.Now()
	w, err := begin(ctx, nil)
	if err != nil {
		return err
	}
	defer w.end()
	if err := sanity(w); err != nil {
		return fmt.Errorf("looking for faults: %w", err)
	}
	fmt.Printf("%d faults put in a page, all found (%s)\n", len(faults), since(begun))
	var failed []string
	for _, f := range flows {
		if !strings.HasPrefix(f.name, only) {
			continue
		}
		w.ran++
		begun := time.Now()
		if err := f.run(ctx, w); err != nil {
			failed = append(failed, f.name)
			fmt.Printf("FAILED %s: %v\n", f.name, err)
			continue
		}
		fmt.Printf("ok     %s (%s)\n", f.name, since(begun))
	}
	if only != "" && w.ran == 0 {
		return fmt.Errorf("no flow has a name that begins with %q", only)
	}
	if only != "" {
		return w.verdict(failed)
	}
	begun = time.Now()
	most := atMost
	if quick {
		most = 1
	}
	n, err := pages(w, most)
	if err != nil {
		failed = append(failed, "pages")
		fmt.Printf("FAILED pages: %v\n", err)
	}
	fmt.Printf("%d pages of %d roles looked at (%s)\n", n, len(roles), since(begun))
	slices.Sort(w.found.minor)
	for _, m := range slices.Compact(w.found.minor) {
		fmt.Println("minor:", m)
	}
	err = w.verdict(failed)
	if quick {
		return err
	}
	w.end()
	all, server, err2 := thousand(ctx)
	if err := errors.Join(err, err2); err != nil || dry {
		if err2 == nil {
			fmt.Println("an inbox of 1,000:", results.Median("all", "ms", all).Value, "ms, until its last byte", results.Median("server", "ms", server).Value, "ms")
		}
		return err
	}
	return w.record(n, all, server)
}

func since(t time.Time) string { return time.Since(t).Round(100 * time.Millisecond).String() }

// verdict is an error where anything failed or was found.
func (w *world) verdict(failed []string) error {
	found := slices.Clone(w.found.everything)
	for _, f := range found {
		fmt.Println("FOUND ", f)
	}
	if len(failed) > 0 {
		found = append(found, "failed: "+strings.Join(failed, ", "))
	}
	if found == nil {
		return nil
	}
	return fmt.Errorf("%d findings, %d of %d flows failed", len(w.found.everything), len(failed), w.ran)
}

func (w *world) record(pages int, all, server []float64) error {
	f := &w.found
	figures := []results.Figure{
		{Name: "browser.pages", Value: float64(pages), Unit: "count", N: pages, Note: fmt.Sprintf("pages of %d roles that links lead to, one of them somebody's of an identity provider, each in both colour schemes and on a phone", len(roles))},
		{Name: "browser.flows", Value: float64(w.ran), Unit: "count", N: w.ran, Note: "things that people do from beginning to end, psql waiting in a process of its own; all came to their end"},
		results.Count("browser.axe_serious", f.serious, f.axeRuns),
		results.Count("browser.csp_violations", f.csp, f.inspected),
		results.Count("browser.requests_elsewhere", f.elsewhere, f.inspected),
		results.Median("approval.inbox_1000", "ms", all),
		results.Median("approval.inbox_1000.last_byte", "ms", server),
	}
	figures[2].Note = "serious and critical findings of axe-core 4.14.1"
	figures[3].Note = "in all pages that were inspected"
	figures[4].Note = "in all pages that were inspected"
	figures[5].Note = fmt.Sprintf("the inbox of somebody for whom 1,000 requests wait, of which the page has %d, in headless Chromium: from asking for it until all of the page is painted", onPage)
	figures[6].Note = "the same, until the server has sent the last byte"
	for i := range figures {
		figures[i].Command = made
	}
	return results.Check(figures...)
}

// Screenshots writes a picture of each form of page, for each role that sees it first, into evals/out/screenshots.
func Screenshots(ctx context.Context) error {
	dir, err := harness.Out("screenshots")
	if err != nil {
		return err
	}
	w, err := begin(ctx, nil)
	if err != nil {
		return err
	}
	defer w.end()
	for _, f := range flows {
		if slices.Contains(notForPictures, f.name) {
			continue
		}
		if err := f.run(ctx, w); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	n, err := w.pictures(dir)
	fmt.Fprintf(os.Stderr, "%d pictures in %s\n", n, dir)
	return err
}
