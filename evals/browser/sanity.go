package browser

import (
	"fmt"
	"slices"
	"strings"
)

// faults are put in a page, one at a time, and have to be found: what finds nothing proves nothing. found is a part of what is
// said about it.
var faults = []struct{ name, script, found string }{
	{"image_without_text", `document.querySelector("main").insertAdjacentHTML("beforeend", "<img src='/static/icon.svg'>")`, "image-alt"},
	{"faint_text", `document.querySelector("h1").style.color = "#ccc"`, "color-contrast"},
	{"wide_page", `document.querySelector("h1").style.width = "900px"`, "wider than a phone"},
	{"inline_handler", `document.querySelector("main").insertAdjacentHTML("beforeend", "<p onclick='1'>x</p>"); document.querySelector("main p[onclick]").click()`, csp + ": script-src"},
	{"inline_style", `document.querySelector("main").insertAdjacentHTML("beforeend", "<p style='color: red'>x</p>")`, csp + ": style-src"},
	{"foreign_image", `document.querySelector("main").insertAdjacentHTML("beforeend", "<img alt='' src='http://198.51.100.1/x.png'>")`, csp + ": img-src"},
	{"foreign_page", `location.href = "http://127.0.0.1:9/"`, elsewhere},
	{"thrown", `setTimeout(() => { throw new Error("x") })`, exception},
	{"console_error", `console.error("x")`, console},
	{"broken_image", `document.querySelector("main").insertAdjacentHTML("beforeend", "<img alt='' src='/static/none.png'>")`, "404"},
	{"markup", `document.querySelector("main").append(Object.assign(document.createElement("i"), {id: "i"})); document.querySelector("#i").setAttribute("data-canary", "")`, "came to life"},
	{"variable", `window.canary = 1`, "an attacker ran"},
	{"alert", `setTimeout(() => alert("x"))`, dialog},
}

// sanity puts every fault in the page that asks for name and password.
func sanity(w *world) error {
	t, err := w.tab()
	if err != nil {
		return err
	}
	defer t.cancel()
	for _, fault := range faults {
		if _, err := t.open("/login"); err != nil {
			return err
		}
		t.heardOf()
		if _, err := eval[bool](t, fault.script+"; true"); err != nil {
			return fmt.Errorf("%s: %w", fault.name, err)
		}
		var f findings
		if fault.name == "foreign_page" { // it has left ours: there is nothing to inspect
			if err := t.wait("location.protocol === 'chrome-error:'"); err != nil {
				return err
			}
			f.hear(t, fault.name)
		} else if err := f.inspect(t, fault.name); err != nil {
			return fmt.Errorf("%s: %w", fault.name, err)
		}
		if !slices.ContainsFunc(f.everything, func(s string) bool { return strings.Contains(s, fault.found) }) {
			return fmt.Errorf("%s was put in a page and not found; found: %q", fault.name, f.everything)
		}
	}
	// The page as it is has none of them.
	if _, err := t.open("/login"); err != nil {
		return err
	}
	t.heardOf()
	return w.found.inspect(t, "/login")
}
