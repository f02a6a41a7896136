package browser

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// keyboard approves with Tab, Enter and letters alone, and sees at each step where it is.
func keyboard(_ context.Context, w *world) error {
	sql, printed := update(5)
	c, err := w.asks("asker", "ticket 4712: customer 5 has moved to the north", sql)
	if err != nil {
		return err
	}
	t, err := w.tab()
	if err != nil {
		return err
	}
	defer t.cancel()
	if _, err := t.open("/login"); err != nil {
		return err
	}
	// The first stop of every page skips what is the same on all.
	if err := t.tabTo("a.skip", 1); err != nil {
		return err
	}
	for _, field := range [][2]string{{"#user", "keeper"}, {"#password", password("keeper")}} {
		if err := t.tabTo(field[0], 8); err != nil {
			return err
		}
		if err := t.keys(field[1]); err != nil {
			return err
		}
	}
	if err := t.enter("location.pathname === '/reviews'"); err != nil {
		return err
	}
	if err := t.wait(link("WHERE id = 5 RETURNING")); err != nil {
		return err
	}
	href, err := eval[string](t, link("WHERE id = 5 RETURNING")+".getAttribute('href')")
	if err != nil {
		return err
	}
	if err := t.tabTo("a.skip", 1); err != nil {
		return err
	}
	if err := t.enter("location.hash === '#main'"); err != nil {
		return err
	}
	if err := t.tabTo(`a[href="`+href+`"]`, 40); err != nil {
		return err
	}
	if err := t.enter("location.pathname === " + quoted(href)); err != nil {
		return err
	}
	for _, field := range [][2]string{{"#justification", "ticket 4712 says so"}, {"#proof", password("keeper")}} {
		if err := t.tabTo(field[0], 60); err != nil {
			return err
		}
		if err := t.keys(field[1]); err != nil {
			return err
		}
	}
	if err := t.tabTo("button.primary", 5); err != nil {
		return err
	}
	if err := t.enter("document.querySelector('#state .votes')"); err != nil {
		return err
	}
	w.found.hear(t, "keyboard")
	return c.printed(printed)
}

func (t *tab) keys(text string) error { return chromedp.Do(t.ctx, chromedp.KeyEvent(text)) }

// enter presses Enter and waits for what it does.
func (t *tab) enter(then string) error {
	if err := t.keys(kb.Enter); err != nil {
		return err
	}
	return t.wait("document.readyState === 'complete' && (" + then + ")")
}

// tabTo presses Tab until an element has the focus, at most so often. Each stop on the way has to show that it has it.
func (t *tab) tabTo(selector string, most int) error {
	var stops []string
	for range most {
		if err := t.keys(kb.Tab); err != nil {
			return err
		}
		stop, err := eval[struct {
			There, Shown, Inside bool
			What                 string
		}](t, `(() => { const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();
			return {There: e.matches(`+quoted(selector)+`), What: e.outerHTML.slice(0, 100),
				Shown: s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 1 && r.width > 0,
				Inside: r.bottom > 0 && r.top < innerHeight && r.right > 0 && r.left < innerWidth} })()`)
		if err != nil {
			return err
		}
		if !stop.Shown || !stop.Inside {
			return fmt.Errorf("who comes by keyboard does not see where they are (outlined: %t, in view: %t): %s", stop.Shown, stop.Inside, stop.What)
		}
		if stop.There {
			return nil
		}
		stops = append(stops, stop.What)
	}
	return fmt.Errorf("%d times Tab do not lead to %s: %s", most, selector, strings.Join(stops, "\n  "))
}

// withoutScript is the whole way in a browser that runs none of our script.
func withoutScript(_ context.Context, w *world) error {
	sql, printed := update(6)
	c, err := w.asks("asker", "ticket 4713: customer 6 has moved to the north", sql)
	if err != nil {
		return err
	}
	t, err := w.tab()
	if err != nil {
		return err
	}
	defer t.cancel()
	if _, err := chromedp.Call(t.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		return err
	}
	if err := t.login("keeper"); err != nil {
		return err
	}
	if there, err := eval[bool](t, "typeof htmx !== 'undefined'"); err != nil || there {
		return fmt.Errorf("scripts run (%v)", err)
	}
	if err := t.decides("WHERE id = 6 RETURNING", "ticket 4713 says so"); err != nil {
		return err
	}
	w.found.hear(t, "without script")
	return c.printed(printed)
}

// onPhone is the whole way with a narrow page.
func onPhone(_ context.Context, w *world) error {
	sql, printed := update(7)
	c, err := w.asks("asker", "ticket 4714: customer 7 has moved to the north", sql)
	if err != nil {
		return err
	}
	t, err := w.tab()
	if err != nil {
		return err
	}
	defer t.cancel()
	if err := t.phone(phoneWidth, phoneHeight); err != nil {
		return err
	}
	if err := t.login("keeper"); err != nil {
		return err
	}
	if err := t.decides("WHERE id = 7 RETURNING", "ticket 4714 says so"); err != nil {
		return err
	}
	w.found.hear(t, "on a phone")
	return c.printed(printed)
}

// decides approves the request whose statement has a text, from the inbox on.
func (t *tab) decides(text, why string) error {
	if found, err := eval[bool](t, "!!"+link(text)); err != nil || !found { // asked before the page was: no script need renew it
		if _, err := t.open("/reviews"); err != nil {
			return err
		}
	}
	if err := t.toRequest(text); err != nil {
		return err
	}
	if err := t.fill("#justification", why); err != nil {
		return err
	}
	if err := t.fill("#proof", password("keeper")); err != nil {
		return err
	}
	if status, err := t.follow("button.primary"); err != nil || status != 200 {
		return fmt.Errorf("approving: status %d (%v)", status, err)
	}
	return nil
}

// otherSites is of pages elsewhere: a link in a message leads to the request of who has logged in, and a form sent from there changes nothing.
func otherSites(_ context.Context, w *world) error {
	sql, _ := update(8)
	c, err := w.asks("asker", "customer 8 has moved", sql)
	if err != nil {
		return err
	}
	t, err := w.as("keeper")
	if err != nil {
		return err
	}
	defer t.cancel()
	if err := t.wait(link("WHERE id = 8 RETURNING")); err != nil {
		return err
	}
	href, err := eval[string](t, link("WHERE id = 8 RETURNING")+".href")
	if err != nil {
		return err
	}
	site := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(rw, `<!DOCTYPE html><title>x</title><link rel="icon" href="data:,"><a href="%s">look</a><form method="post" action="%s/approve"><input name="justification" value="because another site says so"><input name="mode" value="once">
			<input name="revision" value="1"><input name="password" value="%s"><button>win</button></form>`, href, href, password("keeper"))
	}))
	defer site.Close()
	foreign := strings.Replace(site.URL, "127.0.0.1", "localhost", 1) // another site than the gateway's address
	t.hosts = []string{strings.TrimPrefix(foreign, "http://")}
	if _, err := t.open(foreign); err != nil {
		return err
	}
	if status, err := t.follow("a"); err != nil || status != 200 {
		return fmt.Errorf("a link from another site: status %d (%v)", status, err)
	}
	if err := t.wait("location.href === " + quoted(href) + " && document.querySelector('#justification')"); err != nil {
		return err
	}
	if _, err := t.open(foreign); err != nil {
		return err
	}
	if status, err := t.follow("button"); err != nil || status != 403 && status != 200 {
		return fmt.Errorf("a form of another site: status %d (%v)", status, err)
	}
	t.forgive(403)
	if err := c.waits(); err != nil {
		return err
	}
	if _, err := t.open(href[len(t.base):]); err != nil {
		return err
	}
	if err := t.wait("document.querySelector('.state.s-pending') && document.querySelector('#justification')"); err != nil {
		return err
	}
	w.found.hear(t, "other sites")
	return nil
}

// attackersText shows reviewers what attackers write, wherever they may: none of it comes to life, and all of it is shown.
func attackersText(ctx context.Context, w *world) error {
	lit := "'" + strings.ReplaceAll(markup, "'", "''") + "'"
	c, err := w.psql("asker", "app "+markup, "SET sallyport.reason = 'reason "+strings.ReplaceAll(markup, "'", "''")+"'", "SET sallyport.task = 'task "+strings.ReplaceAll(markup, "'", "''")+"'",
		"UPDATE customers SET region = "+lit+", name = \"name\" || "+lit+" /* "+markup+" */ WHERE id = 9")
	if err != nil {
		return err
	}
	if err := w.robotAsks(ctx, "goal "+markup, "reason "+markup+" of an agent", "UPDATE customers SET region = "+lit+" WHERE id = 10 -- "+markup); err != nil {
		return err
	}
	t, err := w.as("keeper")
	if err != nil {
		return err
	}
	defer t.cancel()
	if err := c.waits(); err != nil {
		return err
	}
	for text, wants := range map[string][]string{"WHERE id = 9": {"reason \"'>"}, "WHERE id = 10": {"goal \"'>", "reason \"'>"}} {
		if _, err := t.open("/reviews"); err != nil {
			return err
		}
		found := "[...document.querySelectorAll('#inbox tr')].find(r => r.innerText.includes('data-canary') && r.innerText.includes(" + quoted(map[string]string{"WHERE id = 9": "asker", "WHERE id = 10": "robot"}[text]) + "))"
		if err := t.wait(found); err != nil {
			return err
		}
		if err := w.found.inspect(t, "/reviews, with attackers' text"); err != nil {
			return err
		}
		href, err := eval[string](t, found+".querySelector('a').getAttribute('href')")
		if err != nil {
			return err
		}
		if status, err := t.open(href); err != nil || status != 200 {
			return fmt.Errorf("%s: status %d (%v)", href, status, err)
		}
		for _, want := range append(wants, text, "<script data-canary>") {
			if err := t.waitText(want); err != nil {
				return err
			}
		}
		if err := w.found.inspect(t, "/reviews/{id}, with attackers' text"); err != nil {
			return err
		}
		// A reviewer's own words are shown to others too.
		if text == "WHERE id = 10" {
			if err := t.fill("#justification", "no: "+markup); err != nil {
				return err
			}
			if status, err := t.follow("button.danger"); err != nil || status != 200 {
				return fmt.Errorf("denying: status %d (%v)", status, err)
			}
			if err := t.waitText("no: \"'>"); err != nil {
				return err
			}
			if err := w.found.inspect(t, "/reviews/{id}, with a reviewer's markup"); err != nil {
				return err
			}
		}
	}
	return c.waits()
}

// reveal is the form for columns that are to be shown, and a broken glass to look at.
func reveal(_ context.Context, w *world) error {
	if _, err := w.psql("asker", "psql", "SET sallyport.reason = 'ticket 4715: the newsletter went to the wrong address'", "SET sallyport.reveal = 'customers.email'", "SELECT email FROM customers WHERE id = 1"); err != nil {
		return err
	}
	sql, _ := update(11)
	c, err := w.asks("hero", "break-glass: the shop is down, incident 4711", sql)
	if err != nil {
		return err
	}
	if out, errors, err := c.ended(); err != nil || out != "11|north" {
		return fmt.Errorf("breaking the glass: %q %s (%v)", out, errors, err)
	}
	t, err := w.as("keeper")
	if err != nil {
		return err
	}
	defer t.cancel()
	if err := t.toRequest("reveal"); err != nil {
		return err
	}
	if err := w.found.inspect(t, "/reviews/{id}, columns to show"); err != nil {
		return err
	}
	if _, err := t.open("/reviews?state=glass"); err != nil {
		return err
	}
	if err := t.toRequest("WHERE id = 11"); err != nil {
		return err
	}
	return w.found.inspect(t, "/reviews/{id}, broken glass")
}
