package browser

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"

	"sallyport/evals/harness"
)

// atMost is how many pages of one form are looked at for one role: filters and requests in different states differ.
const atMost = 3

// crawl follows links from the first page as somebody, and has look see each page. It gives the forms that were seen.
func (w *world) crawl(name string, most int, look func(t *tab, form, path string) error) (map[string]int, error) {
	t, err := w.as(name)
	if err != nil {
		return nil, err
	}
	defer t.cancel()
	seen, queued, queue := map[string]int{}, map[string]bool{"/": true}, []string{"/"}
	for len(queue) > 0 {
		path := queue[0]
		queue = queue[1:]
		if seen[w.form(path)] >= most {
			continue
		}
		status, err := t.open(path)
		if err != nil {
			return seen, fmt.Errorf("%s opens %s: %w", name, path, err)
		}
		if status != 200 {
			w.found.add(path, "a link that %s is shown leads to status %d", name, status)
			continue
		}
		seen[w.form(path)]++
		if err := look(t, w.form(path), path); err != nil {
			return seen, fmt.Errorf("%s looks at %s: %w", name, path, err)
		}
		links, err := eval[[]string](t, `[...document.querySelectorAll("a[href]:not([download])")].filter(a => a.origin === location.origin).map(a => a.pathname + a.search)`)
		if err != nil {
			return seen, err
		}
		for _, l := range links {
			if !queued[l] {
				queued[l] = true
				queue = append(queue, l)
			}
		}
	}
	return seen, nil
}

// form is the page of the door that a path is of, and the names of what it asks for.
func (w *world) form(path string) string {
	u, err := url.Parse(path)
	if err != nil {
		return path
	}
	out, literal := u.Path, -1
	for _, r := range w.routes {
		if n := match(r, u.Path); n > literal {
			out, literal = r, n
		}
	}
	var keys []string
	for k, v := range u.Query() {
		if v[0] != "" {
			keys = append(keys, k)
		}
	}
	if sort.Strings(keys); keys != nil {
		out += "?" + strings.Join(keys, "&")
	}
	return out
}

// match gives how many parts of a path a route names, or -1 where the path is of another.
func match(route, path string) (n int) {
	a, b := strings.Split(route, "/"), strings.Split(path, "/")
	if len(a) != len(b) {
		return -1
	}
	for i := range a {
		if a[i] == b[i] {
			n++
		} else if a[i] != "{id}" {
			return -1
		}
	}
	return n
}

// pages looks at every page of every role, and wants every page that the door serves to be among them.
func pages(w *world, most int) (int, error) {
	total, served := 0, map[string]bool{}
	for _, name := range roles {
		begun := time.Now()
		seen, err := w.crawl(name, most, func(t *tab, _, path string) error { return w.found.inspect(t, path+" as "+name) })
		if err != nil {
			return total, err
		}
		for f, n := range seen {
			total += n
			path, _, _ := strings.Cut(f, "?")
			served[path] = true
		}
		fmt.Printf("  %s sees %d pages of %d forms (%s)\n", name, sum(seen), len(seen), since(begun))
	}
	for _, r := range w.routes {
		if !served[r] && !slices.Contains(noPages, r) {
			w.found.add(r, "the door serves this page, and no link that anybody was shown leads there")
		}
	}
	return total, w.closed()
}

func sum(m map[string]int) (n int) {
	for _, v := range m {
		n += v
	}
	return n
}

var route = regexp.MustCompile(`"GET (/[^"]*)"[:\]]`)
var parameter = regexp.MustCompile(`\{[^}]*\}`)

// noPages are what the door answers with something else than a page: parts of pages, and files to take away.
var noPages = []string{"/reviews/live", "/reviews/{id}/live", "/reviews/{id}/statement", "/sessions/{id}/replay", "/sessions/{id}/evidence"}

// routes are the pages that the door serves, from its source.
func routes() ([]string, error) {
	root, err := harness.Root()
	if err != nil {
		return nil, err
	}
	source, err := os.ReadFile(filepath.Join(root, "internal", "web", "server.go"))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, m := range route.FindAllStringSubmatch(string(source), -1) {
		out = append(out, parameter.ReplaceAllString(strings.TrimSuffix(m[1], "{$}"), "{id}"))
	}
	if len(out) < 10 {
		return nil, fmt.Errorf("the door's source names %d pages: has it moved?", len(out))
	}
	return out, nil
}

// closed tries, as somebody who may see nothing, what others see.
func (w *world) closed() error {
	t, err := w.as("auditor")
	if err != nil {
		return err
	}
	defer t.cancel()
	if _, err := t.open("/reviews?state=all"); err != nil {
		return err
	}
	hrefs, err := eval[[]string](t, `[...document.querySelectorAll("#inbox td.what a")].map(a => a.getAttribute("href"))`)
	if err != nil || len(hrefs) == 0 {
		return fmt.Errorf("the auditor sees no requests (%v)", err)
	}
	s, err := w.as("stranger")
	if err != nil {
		return err
	}
	defer s.cancel()
	for _, path := range append(hrefs[:min(3, len(hrefs))], "/nothing/here") {
		if status, err := s.open(path); err != nil || status != 404 {
			return fmt.Errorf("a stranger opens %s: status %d, want 404 (%v)", path, status, err)
		}
	}
	s.forgive(404)
	return w.found.inspect(s, "not found")
}
