package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed static templates
var files embed.FS

// page is what is around the content of a page. Nothing of Data has been neutralised: templates do that.
type page struct {
	Title, Nav        string
	Refresh           string // where to go on to
	After             int    // in how many seconds
	Who               string // "" before log-in
	Groups            []string
	Auditor, Operator bool
	Archive           bool
	CSRF              string
	Now               time.Time
	Data              any
}

type pages struct {
	all    map[string]*template.Template
	assets map[string]asset
}

type asset struct {
	kind string
	data []byte
	sum  string // of data, in its address: a changed file is another
}

func loadPages() (*pages, error) {
	p := &pages{all: map[string]*template.Template{}, assets: map[string]asset{}}
	for name, kind := range map[string]string{"style.css": "text/css; charset=utf-8", "htmx.min.js": "text/javascript; charset=utf-8", "back.js": "text/javascript; charset=utf-8", "htmx.LICENSE": "text/plain; charset=utf-8", "icon.svg": "image/svg+xml",
		"asciinema-player.min.js": "text/javascript; charset=utf-8", "asciinema-player.css": "text/css; charset=utf-8", "asciinema-player.LICENSE": "text/plain; charset=utf-8", "solid-js.LICENSE": "text/plain; charset=utf-8",
		"replay.js": "text/javascript; charset=utf-8", "replay.css": "text/css; charset=utf-8"} {
		data, err := files.ReadFile("static/" + name)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(data)
		p.assets[name] = asset{kind, data, hex.EncodeToString(sum[:8])}
	}
	base, err := template.New("").Funcs(p.funcs()).ParseFS(files, "templates/layout.html", "templates/part_*.html")
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(files, "templates/page_*.html")
	if err != nil {
		return nil, err
	}
	for _, file := range names {
		one, err := base.Clone()
		if err == nil {
			one, err = one.ParseFS(files, file)
		}
		if err != nil {
			return nil, err
		}
		p.all[strings.TrimSuffix(strings.TrimPrefix(path.Base(file), "page_"), ".html")] = one
	}
	p.all["part"] = base
	return p, nil
}

func (p *pages) funcs() template.FuncMap {
	return template.FuncMap{
		"clean": clean, "lines": lines, "plain": plain, "area": area,
		"asset": func(name string) string { return "/static/" + name + "?" + p.assets[name].sum },
		"time":  moment,
		"span":  span,
		"until": func(t, now time.Time) string { return span(t.Sub(now)) },
		"short": func(s string, n int) string {
			if r := []rune(s); len(r) > n {
				return string(r[:n-1]) + "…"
			}
			return s
		},
		"plural": func(n int, one, many string) string {
			if n == 1 {
				return fmt.Sprintf("%d %s", n, one)
			}
			return fmt.Sprintf("%d %s", n, many)
		},
		"add": func(a, b int) int { return a + b },
		"dict": func(kv ...any) (map[string]any, error) {
			m := map[string]any{}
			for i := 0; i+1 < len(kv); i += 2 {
				key, ok := kv[i].(string)
				if !ok {
					return nil, fmt.Errorf("%v is no key", kv[i])
				}
				m[key] = kv[i+1]
			}
			return m, nil
		},
	}
}

// moment is a time for people and programs.
func moment(t time.Time) template.HTML {
	if t.IsZero() {
		return "–"
	}
	t = t.UTC()
	return template.HTML(`<time datetime="` + t.Format(time.RFC3339) + `">` + t.Format("2006-01-02 15:04:05") + `&nbsp;UTC</time>`)
}

// span is a length of time in its one or two largest units.
func span(d time.Duration) string {
	switch d = d.Round(time.Second); {
	case d < 0:
		return "no time"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours())/24)
}

// render writes a whole page, or an error where it cannot be made: never half of one.
func (s *Server) render(w http.ResponseWriter, status int, name string, p page) {
	if p.Now.IsZero() {
		p.Now = s.now()
	}
	s.write(w, status, name, "layout", p)
}

// part writes a part of a page, for the script that renews it.
func (v *visit) part(name string, data any) error {
	if v.gone() {
		return nil
	}
	v.s.write(v.w, http.StatusOK, "part", name, page{Who: v.who.Name, CSRF: v.session.csrf, Now: v.now, Data: data})
	return nil
}

func (s *Server) write(w http.ResponseWriter, status int, set, name string, data page) {
	var b bytes.Buffer
	if err := s.pages.all[set].ExecuteTemplate(&b, name, data); err != nil {
		s.log.Error("page not made", "door", "web", "page", set, "error", err)
		http.Error(w, "the page could not be made; the operator's log has the cause", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

// static serves what is the same for everybody. Its address changes with its content, so that it may be kept.
func (s *Server) static(w http.ResponseWriter, r *http.Request) {
	a, ok := s.pages.assets[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.URL.RawQuery == a.sum {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	w.Header().Set("Content-Type", a.kind)
	w.Write(a.data)
}
