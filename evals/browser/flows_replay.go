package browser

import (
	"context"
	"fmt"
	"strings"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

const (
	screen  = "document.querySelector('.replay .ap-term-text').innerText.replace(/\\s+/g, ' ')"
	current = "(document.querySelector('.steps > li[aria-current=step]')?.innerText ?? '')"
	// colours are those of the screen: behind the text, and of it.
	colours = "(() => { const p = document.querySelector('.replay .ap-player'); return getComputedStyle(p).backgroundColor + [...new Set([...p.querySelectorAll('.ap-line span')].map(s => getComputedStyle(s).color))].sort() })()"
	// asked is whether the page has asked for the file of a replay.
	asked = "performance.getEntriesByType('resource').some(e => e.name.endsWith('/replay'))"
)

// shows is that the replay has come to a text, and not to another that follows it.
func shows(text, not string) string {
	return screen + ".includes(" + quoted(text) + ") && !" + screen + ".includes(" + quoted(not) + ")"
}

// label is that the button that plays and pauses says so.
func label(text string) string {
	return "document.querySelector('.replay .ap-playback-button')?.getAttribute('aria-label') === " + quoted(text)
}

// replay is of somebody who looks at a session beside its replay: with a mouse, by keyboard, in both colours, with less motion, without script, and
// of somebody who may not.
func replay(_ context.Context, w *world) error {
	const first, second, third = "SELECT id, name FROM customers WHERE id = 21", "SELECT id, region FROM customers WHERE id = 22", "SELECT id, total FROM orders WHERE id = 23"
	c, err := w.psql("asker", "psql", "SET sallyport.reason = 'ticket 4721 "+strings.ReplaceAll(markup, "'", "''")+"'", first, second, third)
	if err != nil {
		return err
	}
	if out, errors, err := c.ended(); err != nil || c.status != nil {
		return fmt.Errorf("a session of three statements: %q %s (%v)", out, errors, err)
	}
	t, err := w.as("auditor")
	if err != nil {
		return err
	}
	defer t.cancel()
	if _, err := t.open("/search?q=4721"); err != nil {
		return err
	}
	page, err := eval[string](t, "document.querySelector('td.what a').getAttribute('href')")
	if err != nil {
		return err
	}
	for _, step := range []func(*world, *tab, string) error{replayByMouse, replayInColours, replayByKeyboard, replayCalmly, replayLoggedOut} {
		if status, err := t.open(page); err != nil || status != 200 {
			return fmt.Errorf("%s: status %d (%v)", page, status, err)
		}
		if err := t.wait("document.querySelector('.replay:not([hidden]) .ap-term-text')"); err != nil {
			return err
		}
		if err := step(w, t, page); err != nil {
			return err
		}
		w.found.hear(t, "replay")
	}
	return w.replayForOthers(page)
}

// step is the button of the step whose statement has a text.
func (t *tab) step(text string) (string, error) {
	seq, err := eval[string](t, "[...document.querySelectorAll('.steps > li')].find(l => l.innerText.includes("+quoted(text)+")).querySelector('button[data-seq]').dataset.seq")
	return `button[data-seq="` + seq + `"]`, err
}

func replayByMouse(w *world, t *tab, _ string) error {
	if early, err := eval[bool](t, asked); err != nil || early {
		return fmt.Errorf("the replay was asked for before anybody wanted it (%v)", err)
	}
	if err := w.found.inspect(t, "/sessions/{id}, nothing played"); err != nil {
		return err
	}
	if early, err := eval[bool](t, asked+" || "+label("Pause")); err != nil || early {
		return fmt.Errorf("the replay plays by itself (%v)", err)
	}
	for _, at := range []struct{ text, now, later string }{{"id = 22", "id = 22", "id = 23"}, {"id = 21", "id = 21", "id = 22"}, {"id = 23", "id = 23", "records:"}} {
		button, err := t.step(at.text)
		if err != nil {
			return err
		}
		if err := t.click(button); err != nil {
			return err
		}
		if err := t.wait(shows(at.now, at.later) + " && " + current + ".includes(" + quoted(at.text) + ") && " + label("Play")); err != nil {
			return err
		}
		if said, err := eval[string](t, "document.querySelector('.replay [role=status]').innerText"); err != nil || !strings.HasPrefix(said, "The replay is at #") {
			return fmt.Errorf("a step was chosen, and the page says %q (%v)", said, err)
		}
	}
	marks, err := eval[[]int](t, "['.replay .ap-marker', 'button[data-seq]'].map(s => document.querySelectorAll(s).length)")
	if err != nil || marks[0] < 3 || marks[0] != marks[1] {
		return fmt.Errorf("of markers in the player and of steps there are %v, want as many, and three at least (%v)", marks, err)
	}
	beside, err := eval[bool](t, "(() => { const a = document.querySelector('.replay').getBoundingClientRect(), b = document.querySelector('.steps').getBoundingClientRect(); return a.left >= b.right && a.top < innerHeight && a.bottom > 0 })()")
	if err != nil || !beside {
		return fmt.Errorf("the player does not stand beside the steps (%v)", err)
	}
	return nil
}

// replayInColours has axe see the screen with text on it in both schemes, which a player that has begun has to change over to.
func replayInColours(w *world, t *tab, _ string) error {
	button, err := t.step("id = 23")
	if err != nil {
		return err
	}
	if err := t.click(button); err != nil {
		return err
	}
	seen := ""
	for _, scheme := range schemes {
		if err := t.scheme(scheme); err != nil {
			return err
		}
		if err := t.wait(shows("id = 23", "records:") + " && " + colours + " !== " + quoted(seen) + " && " + colours + ".split('rgb').length > 4"); err != nil {
			return fmt.Errorf("in %s: %w", scheme, err)
		}
		if seen, err = eval[string](t, colours); err != nil {
			return err
		}
		bad, _, err := t.axe()
		if err != nil {
			return err
		}
		w.found.axeRuns++
		w.found.serious += len(bad)
		for _, v := range bad {
			w.found.add("/sessions/{id}, a step shown", "%s: %s", scheme, v)
		}
	}
	return w.found.inspect(t, "/sessions/{id}, a step shown")
}

func replayByKeyboard(_ *world, t *tab, _ string) error {
	if err := t.tabTo(".replay .ap-term-text", 40); err != nil {
		return err
	}
	if err := t.tabTo(".replay .ap-playback-button", 1); err != nil {
		return err
	}
	if err := t.enter(label("Pause")); err != nil {
		return err
	}
	if err := t.wait(screen + ".includes('id = 23')"); err != nil {
		return err
	}
	// To the marker before, and the one before it.
	if err := t.wait(label("Play")); err != nil { // it has ended
		return err
	}
	if err := t.keys("["); err != nil {
		return err
	}
	if err := t.wait(shows("id = 23", "records:")); err != nil {
		return err
	}
	if err := t.keys("["); err != nil {
		return err
	}
	if err := t.wait(shows("id = 22", "id = 23")); err != nil {
		return err
	}
	button, err := t.step("id = 21")
	if err != nil {
		return err
	}
	if err := t.tabTo(button, 20); err != nil {
		return err
	}
	return t.enter(shows("id = 21", "id = 22"))
}

// replayCalmly is for who wants less motion: it stops at each step.
func replayCalmly(_ *world, t *tab, _ string) error {
	less := func(value string) error {
		_, err := chromedp.Call(t.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: value}}})
		return err
	}
	// A player that has begun makes place for one that stops.
	if _, err := eval[string](t, "document.querySelector('.replay .ap-wrapper').dataset.before = 'yes'"); err != nil {
		return err
	}
	if err := less("reduce"); err != nil {
		return err
	}
	if err := t.wait("document.querySelector('.replay .ap-wrapper:not([data-before]) .ap-term-text')"); err != nil {
		return err
	}
	if moving, err := eval[bool](t, "document.getAnimations().length > 0 || "+asked); err != nil || moving {
		return fmt.Errorf("something moves for who wants less motion (%v)", err)
	}
	for _, text := range []string{"SET sallyport", "id = 21", "id = 22", "id = 23"} {
		if err := t.click(".replay .ap-playback-button"); err != nil {
			return err
		}
		if err := t.wait(current + ".includes(" + quoted(text) + ") && " + label("Play")); err != nil {
			return err
		}
	}
	return less("no-preference")
}

// replayLoggedOut is of a page whose session has ended: it says so where the replay would be.
func replayLoggedOut(_ *world, t *tab, _ string) error {
	if _, err := chromedp.Call(t.ctx, network.ClearBrowserCookies, cdp.Empty{}); err != nil {
		return err
	}
	button, err := t.step("id = 22")
	if err != nil {
		return err
	}
	if err := t.click(button); err != nil {
		return err
	}
	return t.wait("document.querySelector('.replay [role=status]').innerText.includes('cannot be shown (log in again)')")
}

// replayForOthers is of who runs no scripts, and of who may not see the session.
func (w *world) replayForOthers(page string) error {
	t, err := w.tab()
	if err != nil {
		return err
	}
	defer t.cancel()
	if _, err := chromedp.Call(t.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		return err
	}
	if err := t.login("asker"); err != nil {
		return err
	}
	if status, err := t.open(page); err != nil || status != 200 {
		return fmt.Errorf("one's own session: status %d (%v)", status, err)
	}
	if plain, err := eval[bool](t, `(() => { const seen = e => e && e.getClientRects().length > 0; return seen(document.querySelector("a[download][href$='/replay']")) && !seen(document.querySelector(".replay")) && !seen(document.querySelector("button[data-seq]")) })()`); err != nil || !plain {
		return fmt.Errorf("without script the page has no link to the replay, or what needs a script (%v)", err)
	}
	w.found.hear(t, "replay without script")
	s, err := w.as("keeper")
	if err != nil {
		return err
	}
	defer s.cancel()
	for _, path := range []string{page, page + "/replay"} {
		if status, err := s.open(path); err != nil || status != 404 {
			return fmt.Errorf("somebody else's session: %s has status %d (%v)", path, status, err)
		}
	}
	s.forgive(404)
	w.found.hear(s, "somebody else's replay")
	return nil
}
