package browser

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

//go:embed axe/axe.min.js
var axe string

// The narrowest phone that pages are made for, in CSS pixels (WCAG 2.2, success criterion 1.4.10, wants 320 for text alone).
const phoneWidth, phoneHeight = 360, 740

var schemes = []string{"light", "dark"}

// findings are what was found wrong in all pages so far.
type findings struct {
	axeRuns    int
	serious    int
	minor      []string // of less weight: listed, and no fault
	csp        int
	elsewhere  int
	inspected  int
	everything []string
}

func (f *findings) add(page, format string, args ...any) {
	f.everything = append(f.everything, page+": "+fmt.Sprintf(format, args...))
}

// violation is what axe says about one rule.
type violation struct {
	ID, Impact, Help string
	Nodes            []struct{ HTML, FailureSummary string }
}

// inspect looks at the page that a tab shows, under a name for the findings.
func (f *findings) inspect(t *tab, name string) error {
	if err := t.wait("document.readyState === 'complete'"); err != nil {
		return err
	}
	f.inspected++
	for _, scheme := range schemes {
		if err := t.scheme(scheme); err != nil {
			return err
		}
		bad, rest, err := t.axe()
		if err != nil {
			return fmt.Errorf("%s: axe: %w", name, err)
		}
		f.axeRuns++
		f.serious += len(bad)
		for _, v := range bad {
			f.add(name, "%s: %s", scheme, v)
		}
		for _, v := range rest {
			f.minor = append(f.minor, name+": "+scheme+": "+v)
		}
	}
	wide, err := t.tooWide()
	if err != nil {
		return err
	}
	if wide != "" {
		f.add(name, "wider than a phone: %s", wide)
	}
	alive, err := t.canary()
	if err != nil {
		return err
	}
	if alive != "" {
		f.add(name, "%s", alive)
	}
	f.hear(t, name)
	return nil
}

// hear takes over what the browser said about a tab.
func (f *findings) hear(t *tab, name string) {
	for _, o := range t.heardOf() {
		switch o.kind {
		case csp:
			f.csp++
		case elsewhere:
			f.elsewhere++
		}
		f.add(name, "%s: %s", o.kind, o.text)
	}
}

func (t *tab) scheme(name string) error {
	_, err := chromedp.Call(t.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
	return err
}

// axe gives what axe finds in the page: what is serious or critical, and the rest.
func (t *tab) axe() (bad, rest []string, err error) {
	if there, err := eval[bool](t, "!!window.axe"); err != nil {
		return nil, nil, err
	} else if !there {
		if _, err := eval[bool](t, axe+"\n;!!window.axe"); err != nil {
			return nil, nil, err
		}
	}
	found, err := eval[[]violation](t, `axe.run(document, {preload: false, resultTypes: ["violations"]}).then(r => r.violations.map(v => ({ID: v.id, Impact: v.impact, Help: v.help,
		Nodes: v.nodes.slice(0, 3).map(n => ({HTML: n.html.slice(0, 160), FailureSummary: n.failureSummary}))})))`, chromedp.EvalAwaitPromise)
	for _, v := range found {
		text := v.Impact + " " + v.ID + ": " + v.Help
		for _, n := range v.Nodes {
			text += "\n      " + n.HTML + " " + strings.ReplaceAll(n.FailureSummary, "\n", " ")
		}
		if v.Impact == "serious" || v.Impact == "critical" {
			bad = append(bad, text)
		} else {
			rest = append(rest, text)
		}
	}
	return bad, rest, err
}

// tooWide names what makes the page scroll sideways on a phone, or gives "".
func (t *tab) tooWide() (string, error) {
	if err := t.phone(phoneWidth, phoneHeight); err != nil {
		return "", err
	}
	wide, err := eval[string](t, `(() => { const d = document.scrollingElement; if (d.scrollWidth <= d.clientWidth) return "";
		const over = [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > d.clientWidth + 1);
		return d.scrollWidth + " pixels of " + d.clientWidth + ": " + over.slice(-3).map(e => e.outerHTML.slice(0, 120)).join(" | ") })()`)
	if err != nil {
		return "", err
	}
	return wide, t.desktop()
}

// markup is what attackers write where a page shows it: it has come to life if the page has an element with the attribute, or the variable.
const markup = `"'></code></span><img data-canary src=x onerror="canary=1"><script data-canary>canary=1</script>`

// canary says what of attackers' markup has come to life, or "".
func (t *tab) canary() (string, error) {
	return eval[string](t, `(() => { const e = document.querySelector("[data-canary]"); return e ? "markup came to life: " + e.outerHTML : typeof canary !== "undefined" ? "a script of an attacker ran" : "" })()`)
}
