package browser

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// flow is something that people do, from beginning to end.
type flow struct {
	name string
	run  func(context.Context, *world) error
}

// flows run one after the other; what they leave behind is what the pages that are looked at afterwards show.
var flows = []flow{
	{"login", logIn},
	{"approve_with_step_up", approve},
	{"deny_with_reason", deny},
	{"own_request", ownRequest},
	{"keyboard_only", keyboard},
	{"without_script", withoutScript},
	{"on_a_phone", onPhone},
	{"log_out", logOut},
	{"session_ends", sessionEnds},
	{"other_sites", otherSites},
	{"attackers_text", attackersText},
	{"reveal", reveal},
	{"replay", replay},
	{"provider_login", providerLogIn},
	{"provider_step_up", providerStepUp},
	{"provider_other_person", providerOther},
	{"provider_keyboard", providerKeyboard},
	{"provider_people", providerPeople},
	{"provider_log_out", providerLogOut},
}

// update is a statement that waits, for one customer, and what psql prints once it has run.
func update(id int) (sql, printed string) {
	return fmt.Sprintf("UPDATE customers SET region = 'north' WHERE id = %d RETURNING id, region", id), fmt.Sprintf("%d|north", id)
}

// link is the link of the request whose statement has a text.
func link(text string) string {
	return "[...document.querySelectorAll('#inbox td.what a')].find(a => a.innerText.includes(" + quoted(text) + "))"
}

// toRequest waits in the inbox for a request, and opens it.
func (t *tab) toRequest(text string) error {
	if err := t.wait(link(text)); err != nil {
		return err
	}
	href, err := eval[string](t, link(text)+".getAttribute('href')")
	if err != nil {
		return err
	}
	status, err := t.follow(`#inbox a[href="` + href + `"]`)
	if err == nil && status != 200 {
		err = fmt.Errorf("%s: status %d", href, status)
	}
	return err
}

func logIn(_ context.Context, w *world) error {
	t, err := w.tab()
	if err != nil {
		return err
	}
	defer t.cancel()
	if status, err := t.open("/reviews?state=all"); err != nil || status != 200 {
		return fmt.Errorf("who has not logged in: status %d (%v)", status, err)
	}
	if err := t.wait("location.pathname === '/login'"); err != nil {
		return err
	}
	for _, wrong := range [][2]string{{"keeper", password("asker")}, {"nobody", "x"}, {"robot", robotToken}} {
		if err := t.giveName(wrong[0], wrong[1], 401); err != nil {
			return err
		}
		if err := t.wait("document.querySelector('[role=alert]')"); err != nil {
			return err
		}
	}
	t.forgive(401)
	if err := w.found.inspect(t, "/login, refused"); err != nil {
		return err
	}
	if err := t.giveName("keeper", password("keeper"), 200); err != nil {
		return err
	}
	// On to where they wanted.
	if err := t.wait("location.pathname + location.search === '/reviews?state=all'"); err != nil {
		return err
	}
	if seen, err := eval[string](t, "document.cookie"); err != nil || seen != "" {
		return fmt.Errorf("scripts see the cookie: %q (%v)", seen, err)
	}
	cookies, err := chromedp.Call(t.ctx, network.GetCookies, network.GetCookiesParams{})
	if err != nil {
		return err
	}
	if n := len(cookies.Cookies); n != 1 || !cookies.Cookies[0].HTTPOnly || cookies.Cookies[0].SameSite != network.CookieSameSiteStrict {
		return fmt.Errorf("%d cookies, want one that is HttpOnly and SameSite=Strict", n)
	}
	w.found.hear(t, "log-in")
	return nil
}

// approve is the whole way: psql waits, the request appears in an open inbox, somebody looks, forgets their password, gives it, and psql
// has its rows.
func approve(_ context.Context, w *world) error {
	t, err := w.as("keeper")
	if err != nil {
		return err
	}
	defer t.cancel()
	if _, err := eval[bool](t, "window.sameDocument = true"); err != nil {
		return err
	}
	sql, printed := update(1)
	c, err := w.asks("asker", "ticket 4711: customer 1 has moved to the north", sql)
	if err != nil {
		return err
	}
	if err := t.wait(link("WHERE id = 1 RETURNING")); err != nil {
		return err
	}
	if same, err := eval[bool](t, "window.sameDocument === true"); err != nil || !same {
		return fmt.Errorf("the inbox was loaded anew to show a new request (%v)", err)
	}
	if err := w.found.inspect(t, "/reviews, with a new request"); err != nil {
		return err
	}
	if err := t.toRequest("WHERE id = 1 RETURNING"); err != nil {
		return err
	}
	for _, text := range []string{"asker", "ticket 4711: customer 1 has moved to the north"} {
		if err := t.waitText(text); err != nil {
			return err
		}
	}
	// The statement is laid out over lines.
	if shown, err := eval[string](t, `document.querySelector("pre.sql").innerText.replace(/\s+/g, " ").trim()`); err != nil || shown != sql {
		return fmt.Errorf("the reviewer is shown %q, and asked was %q (%v)", shown, sql, err)
	}
	if err := w.found.inspect(t, "/reviews/{id}, to decide"); err != nil {
		return err
	}
	const why = "ticket 4711 says so, and it is one row"
	if err := t.fill("#justification", why); err != nil {
		return err
	}
	for _, wrong := range []string{"", password("asker")} {
		if wrong != "" {
			if err := t.fill("#proof", wrong); err != nil {
				return err
			}
		}
		if status, err := t.follow("button.primary"); err != nil || status != 401 {
			return fmt.Errorf("approving with the password %q: status %d (%v)", wrong, status, err)
		}
		if kept, err := eval[bool](t, "!!document.querySelector('[role=alert]') && document.querySelector('#justification').value === "+quoted(why)); err != nil || !kept {
			return fmt.Errorf("after a refusal the form has lost what was written, or says nothing (%v)", err)
		}
		if err := c.waits(); err != nil {
			return err
		}
	}
	t.forgive(401)
	if err := w.found.inspect(t, "/reviews/{id}, refused"); err != nil {
		return err
	}
	if err := t.fill("#proof", password("keeper")); err != nil {
		return err
	}
	if status, err := t.follow("button.primary"); err != nil || status != 200 {
		return fmt.Errorf("approving: status %d (%v)", status, err)
	}
	if err := c.printed(printed); err != nil {
		return err
	}
	// The page learns that it has run.
	if err := t.wait("document.querySelector('.state.s-executed')"); err != nil {
		return err
	}
	return w.found.inspect(t, "/reviews/{id}, executed")
}

// printed wants psql to have ended well, with these rows.
func (c *client) printed(want string) error {
	out, errors, err := c.ended()
	if err != nil {
		return err
	}
	if c.status != nil || out != want {
		return fmt.Errorf("psql printed %q, want %q (%v): %s", out, want, c.status, errors)
	}
	if !strings.Contains(errors, "waiting for approval") {
		return fmt.Errorf("psql was not told that it waits: %s", errors)
	}
	return nil
}

// failed wants psql to have failed with an error that has a text.
func (c *client) failed(text string) error {
	out, errors, err := c.ended()
	if err != nil {
		return err
	}
	if c.status == nil || out != "" || !strings.Contains(errors, "ERROR:") || !strings.Contains(errors, text) {
		return fmt.Errorf("psql printed %q and %q, want an error with %q", out, errors, text)
	}
	return nil
}

func deny(_ context.Context, w *world) error {
	sql, _ := update(2)
	c, err := w.asks("asker", "customer 2 wants it", sql)
	if err != nil {
		return err
	}
	t, err := w.as("keeper")
	if err != nil {
		return err
	}
	defer t.cancel()
	if err := t.toRequest("WHERE id = 2 RETURNING"); err != nil {
		return err
	}
	const why = "no ticket names customer 2"
	if err := t.fill("#justification", why); err != nil {
		return err
	}
	if status, err := t.follow("button.danger"); err != nil || status != 200 {
		return fmt.Errorf("denying: status %d (%v)", status, err)
	}
	if err := c.failed(why); err != nil {
		return err
	}
	if err := t.wait("document.querySelector('.state.s-denied')"); err != nil {
		return err
	}
	if err := w.found.inspect(t, "/reviews/{id}, denied"); err != nil {
		return err
	}
	return w.unchanged(2)
}

// unchanged wants a customer to be where they were.
func (w *world) unchanged(id int) error {
	c, err := w.psql("asker", "psql", fmt.Sprintf("SELECT region FROM customers WHERE id = %d", id))
	if err != nil {
		return err
	}
	if out, errors, err := c.ended(); err != nil || out != "south" {
		return fmt.Errorf("customer %d is in the %q, want south: %s (%v)", id, out, errors, err)
	}
	return nil
}

// ownIsNotOffered opens the visitor's own request whose statement has a text, which they are not to decide about. name is what findings call its page.
func (w *world) ownIsNotOffered(t *tab, text, name string) error {
	if _, err := t.open("/reviews?state=mine"); err != nil {
		return err
	}
	if err := t.toRequest(text); err != nil {
		return err
	}
	if offered, err := t.has("form[action$='/approve'], #justification"); err != nil || offered {
		return fmt.Errorf("somebody is offered to decide about their own request (%v)", err)
	}
	return w.found.inspect(t, name)
}

// ownRequest is of somebody who may decide, but not about what they ask for.
func ownRequest(_ context.Context, w *world) error {
	sql, _ := update(3)
	c, err := w.asks("both", "I keep what I ask for", sql)
	if err != nil {
		return err
	}
	t, err := w.as("both")
	if err != nil {
		return err
	}
	defer t.cancel()
	if err := w.ownIsNotOffered(t, "WHERE id = 3 RETURNING", "/reviews/{id}, one's own"); err != nil {
		return err
	}
	// What the page does not offer is sent all the same, from the page itself.
	status, err := eval[int](t, `(() => { const f = document.querySelector("form[action$='/cancel']"), p = new URLSearchParams(new FormData(f));
		p.set("justification", "it is fine, I asked myself"); p.set("mode", "once"); p.set("revision", "1"); p.set("password", `+quoted(password("both"))+`);
		return fetch(f.action.replace(/cancel$/, "approve"), {method: "POST", body: p}).then(r => r.status) })()`, chromedp.EvalAwaitPromise)
	if err != nil || status < 400 {
		return fmt.Errorf("approving one's own request: status %d (%v)", status, err)
	}
	t.forgive(status)
	if err := c.waits(); err != nil {
		return err
	}
	if status, err := t.follow("form[action$='/cancel'] button"); err != nil || status != 200 {
		return fmt.Errorf("withdrawing: status %d (%v)", status, err)
	}
	if err := c.failed(""); err != nil {
		return err
	}
	w.found.hear(t, "one's own request")
	return w.unchanged(3)
}

func logOut(_ context.Context, w *world) error {
	t, err := w.as("keeper")
	if err != nil {
		return err
	}
	defer t.cancel()
	other, err := openTab(t.ctx, t.base, false) // of the same browser
	if err != nil {
		return err
	}
	defer other.cancel()
	if _, err := other.open("/reviews"); err != nil {
		return err
	}
	if err := other.wait("document.querySelector('#inbox')"); err != nil {
		return err
	}
	if status, err := t.follow("form.who button"); err != nil || status != 200 {
		return fmt.Errorf("logging out: status %d (%v)", status, err)
	}
	if err := t.wait("location.pathname === '/login'"); err != nil {
		return err
	}
	// What was shown is not shown again to who goes back.
	if _, err := eval[bool](t, "history.back() || true"); err != nil {
		return err
	}
	for range 30 {
		if shown, err := eval[bool](t, "!!document.querySelector('#inbox') && !document.documentElement.hidden"); shown {
			return fmt.Errorf("who goes back after logging out is shown the inbox (%v)", err)
		}
		time.Sleep(30 * time.Millisecond)
	}
	if err := t.wait("location.pathname === '/login'"); err != nil {
		return err
	}
	// The other tab, which waits for news, leads to the log-in by itself.
	if err := other.wait("location.pathname === '/login'"); err != nil {
		return err
	}
	other.forgive(401)
	w.found.hear(t, "log-out")
	w.found.hear(other, "log-out, another tab")
	return nil
}

// sessionEnds is of a page that is open while its session goes: it leads to the log-in by itself.
func sessionEnds(_ context.Context, w *world) error {
	t, err := w.as("keeper")
	if err != nil {
		return err
	}
	defer t.cancel()
	if err := t.wait("document.querySelector('#inbox')"); err != nil {
		return err
	}
	if _, err := chromedp.Call(t.ctx, network.ClearBrowserCookies, cdp.Empty{}); err != nil {
		return err
	}
	// News arrive for the request that waits for them, and the next one is told to log in.
	sql, _ := update(4)
	if _, err := w.asks("asker", "customer 4 has moved", sql); err != nil {
		return err
	}
	if err := t.wait("location.pathname === '/login'"); err != nil {
		return err
	}
	t.forgive(401)
	w.found.hear(t, "the end of a session")
	return nil
}
