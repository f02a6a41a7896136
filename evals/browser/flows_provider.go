package browser

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// whoIs is that the page is shown to somebody.
func whoIs(name string) string {
	return "document.querySelector('form.who')?.innerText.includes(" + quoted(name) + ")"
}

// providerLogIn is the way in by the provider's button: refused there, then as ada, on to where she wanted.
func providerLogIn(_ context.Context, w *world) error {
	t, err := w.tab()
	if err != nil {
		return err
	}
	defer t.cancel()
	t.hosts = []string{w.idp.host}
	if _, err := t.open("/reviews?state=all"); err != nil {
		return err
	}
	if err := t.wait("location.pathname === '/login' && document.querySelector(" + quoted(byProvider) + ").innerText === 'Log in with corp'"); err != nil {
		return err
	}
	if err := w.found.inspect(t, "/login, with a provider"); err != nil {
		return err
	}
	if err := t.toProvider(w); err != nil {
		return err
	}
	if status, err := t.follow("#nobody"); err != nil || status != 401 {
		return fmt.Errorf("who is nobody at the provider: status %d (%v)", status, err)
	}
	for _, text := range []string{"corp did not log you in", "nobody was chosen"} {
		if err := t.waitText(text); err != nil {
			return err
		}
	}
	t.forgive(401)
	if err := w.found.inspect(t, "/auth/callback, refused there"); err != nil {
		return err
	}
	if _, err := t.open("/reviews?state=all"); err != nil {
		return err
	}
	if err := t.toProvider(w); err != nil {
		return err
	}
	if err := w.passes(t, "#ada", w.g.WebURL+"/reviews", "/auth/callback, logged in"); err != nil {
		return err
	}
	if err := t.wait("location.pathname + location.search === '/reviews?state=all' && " + whoIs("corp-ada")); err != nil {
		return err
	}
	// The one of the way there and back is gone.
	cookies, err := t.cookiesOfLogIns()
	if err != nil {
		return err
	}
	if n := len(cookies); n != 1 || !cookies[0].HTTPOnly || cookies[0].SameSite != network.CookieSameSiteStrict {
		return fmt.Errorf("%d cookies, want one that is HttpOnly and SameSite=Strict", n)
	}
	w.found.hear(t, "log-in by the provider")
	return nil
}

const why = "ticket 4731 says so, and it is one row"

// asksProof fills in the form of a request, and wants it to be what leads to the provider.
func (t *tab) asksProof() error {
	for _, offered := range []string{"#proof", "form.decide button.primary:not([formaction])"} {
		if there, err := t.has(offered); err != nil || there {
			return fmt.Errorf("who has to prove who they are at the provider is offered %s (%v)", offered, err)
		}
	}
	if err := t.fill("#justification", why); err != nil {
		return err
	}
	return t.click("#mode-form")
}

// asWritten is that the form is as asksProof has left it.
const asWritten = "document.querySelector('#mode-form')?.checked && document.querySelector('#justification').value === "

// providerStepUp is the whole way of an approval between people of a provider: eva asks with `sallyport psql`, ada looks, is sent to prove who she
// is, comes back to the form, sends it, and eva has her row.
func providerStepUp(_ context.Context, w *world) error {
	t, err := w.as("corp-ada")
	if err != nil {
		return err
	}
	defer t.cancel()
	sql, printed := update(31)
	c, err := w.loggedInAsks("eva", "ticket 4731: customer 31 has moved to the north", sql)
	if err != nil {
		return err
	}
	if err := t.toRequest("WHERE id = 31 RETURNING"); err != nil {
		return err
	}
	for _, text := range []string{"corp-eva", "askers", "ticket 4731: customer 31 has moved to the north", "prove at corp that it is still you"} {
		if err := t.waitText(text); err != nil {
			return err
		}
	}
	if err := w.found.inspect(t, "/reviews/{id}, by somebody of a provider, to decide there"); err != nil {
		return err
	}
	if err := t.asksProof(); err != nil {
		return err
	}
	here, err := eval[string](t, "location.pathname")
	if err != nil {
		return err
	}
	if err := w.passes(t, "form.decide button.primary", "http://"+w.idp.host, "/reviews/{id}/step-up"); err != nil {
		return err
	}
	// A log-in that the provider remembers would not do: it asks.
	if err := t.wait("location.host === " + quoted(w.idp.host) + " && document.querySelector('#ada')"); err != nil {
		return err
	}
	if err := w.passes(t, "#ada", w.g.WebURL+here, "/auth/callback, proved"); err != nil {
		return err
	}
	if err := t.wait("location.pathname === " + quoted(here) + " && " + asWritten + quoted(why)); err != nil {
		return err
	}
	if err := c.waits(); err != nil {
		return fmt.Errorf("coming back has sent the form: %w", err)
	}
	if err := t.wait("document.querySelector('.state.s-pending')"); err != nil {
		return err
	}
	if err := w.found.inspect(t, "/reviews/{id}, proved"); err != nil {
		return err
	}
	if status, err := t.follow("form.decide button.primary:not([formaction])"); err != nil || status != 200 {
		return fmt.Errorf("approving: status %d (%v)", status, err)
	}
	if err := c.printed(printed); err != nil {
		return err
	}
	if err := t.wait("document.querySelector('.votes')?.innerText.includes('corp-ada')"); err != nil {
		return err
	}
	return w.found.inspect(t, "/reviews/{id}, approved by somebody of a provider")
}

// providerOther is of a reviewer in whose place another comes back from the provider: it approves nothing, and says so, and the form is still there.
func providerOther(_ context.Context, w *world) error {
	sql, _ := update(32)
	c, err := w.asks("asker", "ticket 4732: customer 32 has moved to the north", sql)
	if err != nil {
		return err
	}
	t, err := w.as("corp-ada")
	if err != nil {
		return err
	}
	defer t.cancel()
	if err := t.toRequest("WHERE id = 32 RETURNING"); err != nil {
		return err
	}
	if err := t.asksProof(); err != nil {
		return err
	}
	here, err := eval[string](t, "location.pathname")
	if err != nil {
		return err
	}
	if err := t.click("form.decide button.primary"); err != nil {
		return err
	}
	if err := t.wait("document.querySelector('#bob')"); err != nil {
		return err
	}
	if status, err := t.follow("#bob"); err != nil || status != 403 {
		return fmt.Errorf("coming back as another: status %d (%v)", status, err)
	}
	if err := t.waitText("you are logged in as corp-ada here, and came back from corp as corp-bob: nothing was approved"); err != nil {
		return err
	}
	t.forgive(403)
	if err := w.found.inspect(t, "/auth/callback, as another person"); err != nil {
		return err
	}
	if err := c.waits(); err != nil {
		return err
	}
	if status, err := t.open(here); err != nil || status != 200 {
		return fmt.Errorf("back at the request: status %d (%v)", status, err)
	}
	if err := t.wait("document.querySelector('.state.s-pending') && " + asWritten + quoted(why) + " && " + whoIs("corp-ada")); err != nil {
		return err
	}
	// It is not bob's proof that is asked for the next time either, and a denial needs none.
	if offered, err := t.has("form.decide button.primary:not([formaction])"); err != nil || offered {
		return fmt.Errorf("another person's proof lets approve (%v)", err)
	}
	if status, err := t.follow("button.danger"); err != nil || status != 200 {
		return fmt.Errorf("denying: status %d (%v)", status, err)
	}
	if err := c.failed(why); err != nil {
		return err
	}
	w.found.hear(t, "another person comes back")
	return w.unchanged(32)
}

// providerKeyboard approves with Tab, Enter and letters alone, the way to the provider and back twice.
func providerKeyboard(_ context.Context, w *world) error {
	sql, printed := update(33)
	c, err := w.asks("asker", "ticket 4733: customer 33 has moved to the north", sql)
	if err != nil {
		return err
	}
	t, err := w.tab()
	if err != nil {
		return err
	}
	defer t.cancel()
	t.hosts = []string{w.idp.host}
	if _, err := t.open("/login"); err != nil {
		return err
	}
	atProvider := "location.host === " + quoted(w.idp.host) + " && document.querySelector('#ada')"
	// press presses Tab until an element has the focus, and Enter there.
	press := func(selector string, most int, then string) error {
		if err := t.tabTo(selector, most); err != nil {
			return err
		}
		return t.enter(then)
	}
	if err := press(byProvider, 4, atProvider); err != nil {
		return err
	}
	if err := press("#ada", 4, "location.pathname === '/reviews' && "+whoIs("corp-ada")); err != nil {
		return err
	}
	if err := t.wait(link("WHERE id = 33 RETURNING")); err != nil {
		return err
	}
	href, err := eval[string](t, link("WHERE id = 33 RETURNING")+".getAttribute('href')")
	if err != nil {
		return err
	}
	if err := press(`a[href="`+href+`"]`, 60, "location.pathname === "+quoted(href)); err != nil {
		return err
	}
	if err := t.tabTo("#justification", 60); err != nil {
		return err
	}
	if err := t.keys(why); err != nil {
		return err
	}
	if err := press("form.decide button.primary", 8, atProvider); err != nil {
		return err
	}
	if err := press("#ada", 4, "location.pathname === "+quoted(href)+" && document.querySelector('#justification').value === "+quoted(why)); err != nil {
		return err
	}
	if err := press("form.decide button.primary:not([formaction])", 80, "document.querySelector('#state .votes')"); err != nil {
		return err
	}
	w.found.hear(t, "keyboard, by the provider")
	return c.printed(printed)
}

// providerPeople is of the pages that say who somebody of a provider is and what they may do: to themselves, and to who watches.
func providerPeople(_ context.Context, w *world) error {
	sql, _ := update(34)
	c, err := w.loggedInAsks("eva", "ticket 4734: customer 34 has moved to the north", sql)
	if err != nil {
		return err
	}
	const hers = "section[aria-label='corp-eva']"
	for _, name := range []string{"corp-eva", "auditor"} {
		t, err := w.as(name)
		if err != nil {
			return err
		}
		defer t.cancel()
		if _, err := t.open("/people"); err != nil {
			return err
		}
		if err := t.wait("document.querySelector(" + quoted(hers) + ")?.innerText.includes('by the word of corp')"); err != nil {
			return err
		}
		if err := w.found.inspect(t, "/people, with somebody of a provider, as "+name); err != nil {
			return err
		}
		if status, err := t.follow(hers + " h2 a"); err != nil || status != 200 {
			return fmt.Errorf("the page of somebody of a provider, as %s: status %d (%v)", name, status, err)
		}
		for _, text := range []string{"corp-eva", "askers", "by the word of corp", "everyday"} {
			if err := t.waitText(text); err != nil {
				return err
			}
		}
		if err := t.fill("#sql", sql); err != nil {
			return err
		}
		if status, err := t.follow("form:has(#sql) button.primary"); err != nil || status != 200 {
			return fmt.Errorf("what would become of a statement: status %d (%v)", status, err)
		}
		if err := t.wait("document.querySelector('.answer .state.s-review') && document.querySelector('.answer').innerText.includes('keepers')"); err != nil {
			return err
		}
		if err := w.found.inspect(t, "/people/{id}, of a provider, with a statement, as "+name); err != nil {
			return err
		}
	}
	t, err := w.as("corp-eva")
	if err != nil {
		return err
	}
	defer t.cancel()
	if err := w.ownIsNotOffered(t, "WHERE id = 34 RETURNING", "/reviews/{id}, one's own, of a provider"); err != nil {
		return err
	}
	return c.waits()
}

// providerLogOut is of who logs out here, which leads to the log-out there, and of who has logged out there, whose pages here end.
func providerLogOut(_ context.Context, w *world) error {
	t, err := w.as("corp-ada")
	if err != nil {
		return err
	}
	defer t.cancel()
	// The provider remembers: it lets her in again without a question.
	if _, err := t.open("/auth/start?provider=corp&next=/live"); err != nil {
		return err
	}
	if err := t.wait("location.pathname === '/live' && " + whoIs("corp-ada")); err != nil {
		return err
	}
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
	if err := w.passes(t, "form.who button", "http://"+w.idp.host+"/end_session", "/logout"); err != nil {
		return err
	}
	if err := t.wait("location.origin === " + quoted(w.g.WebURL) + " && location.pathname === '/login'"); err != nil {
		return err
	}
	if who := w.idp.loggedOut(); !slices.Equal(who, []string{"u-ada"}) {
		return fmt.Errorf("the provider was told to log out %q", who)
	}
	if cookies, err := t.cookiesOfLogIns(); err != nil || len(cookies) != 0 {
		return fmt.Errorf("%d cookies are left (%v)", len(cookies), err)
	}
	if err := other.wait("location.pathname === '/login'"); err != nil {
		return err
	}
	other.forgive(401)
	if err := t.toProvider(w); err != nil { // which asks again who it is
		return err
	}
	w.found.hear(t, "log-out here and there")
	w.found.hear(other, "log-out here and there, another tab")

	b, err := w.as("corp-bob")
	if err != nil {
		return err
	}
	defer b.cancel()
	if err := b.wait("document.querySelector('#inbox')"); err != nil {
		return err
	}
	if err := w.idp.tellsLogout(w.g.WebURL, "bob"); err != nil {
		return err
	}
	if err := b.wait("location.pathname === '/login'"); err != nil {
		return err
	}
	b.forgive(401)
	w.found.hear(b, "log-out there")
	return nil
}

// cookiesOfLogIns are the browser's but for the one by which it is known after a log-in by a provider, which has to be there and opens nothing.
func (t *tab) cookiesOfLogIns() ([]*network.Cookie, error) {
	got, err := chromedp.Call(t.ctx, network.GetCookies, network.GetCookiesParams{})
	if err != nil {
		return nil, err
	}
	var others []*network.Cookie
	known := false
	for _, c := range got.Cookies {
		if c.Name != "sallyport-browser" {
			others = append(others, c)
			continue
		}
		known = c.HTTPOnly && c.SameSite == network.CookieSameSiteLax
	}
	if !known {
		return nil, errors.New("the browser is not known by a cookie that is HttpOnly and SameSite=Lax")
	}
	return others, nil
}
