package identity

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"time"

	"sallyport/evals/wire"
	"sallyport/internal/testidp"
	"sallyport/internal/testidp/forge"
)

// loggedIn is a browser in which ada has logged in by the provider.
func (w *world) loggedIn(ctx context.Context) (begun, string, error) {
	b, err := w.begin(ctx, "corp")
	if err != nil {
		return b, "", err
	}
	sid := "sid-" + random()
	token := w.id(w.corp, webClient, b.nonce).mint(map[string]any{"sid": sid})
	answers(w.corp, func(string) map[string]any {
		return map[string]any{"access_token": "opaque", "token_type": "Bearer", "id_token": token}
	})
	s := w.finish(ctx, b, url.Values{"code": {"c"}, "state": {b.state}, "iss": {w.corp.Issuer}})
	if !slices.Contains(saw(s.all.Bytes()), canaryWeb) {
		return b, "", fmt.Errorf("control: ada cannot log in at the web door: %s", s.answer)
	}
	return b, sid, nil
}

// pages are what a browser may see, with whatever it sends.
func (w *world) pages(ctx context.Context, client *http.Client, header map[string]string) *seen {
	s := &seen{}
	for _, path := range []string{"/reviews", "/", "/api/v1/reviews?limit=100&state=pending"} {
		status, page, err := w.httpBy(ctx, client, http.MethodGet, path, header, nil)
		if err != nil {
			s.say("%v", err)
			return s
		}
		s.all.Write(page)
		if s.answer == "" {
			s.say("%d %s", status, textOf(page))
		}
	}
	return s
}

// webAttacks are about how a browser comes back from the provider, and about what it has then. The tokens are good ones of ada.
func (w *world) webAttacks() []attack {
	// back has a browser come back in a wrong way, where the provider would give a good token of ada.
	back := func(name string, change func(ctx context.Context, b *begun, q url.Values) error) attack {
		return attack{wayWeb, name, nil, func(ctx context.Context) (*seen, error) {
			b, err := w.begin(ctx, "corp")
			if err != nil {
				return nil, err
			}
			token := w.id(w.corp, webClient, b.nonce).mint(nil)
			answers(w.corp, func(string) map[string]any {
				return map[string]any{"access_token": "opaque", "token_type": "Bearer", "id_token": token}
			})
			q := url.Values{"code": {"c"}, "state": {b.state}, "iss": {w.corp.Issuer}}
			if err := change(ctx, &b, q); err != nil {
				return nil, err
			}
			return w.finish(ctx, b, q), nil
		}}
	}
	param := func(name, key string, values ...string) attack {
		return back(name, func(_ context.Context, _ *begun, q url.Values) error {
			if q[key] = values; values == nil {
				q.Del(key)
			}
			return nil
		})
	}
	given := func(name string, answer map[string]any) attack {
		return attack{wayWeb, name, nil, func(ctx context.Context) (*seen, error) {
			b, err := w.begin(ctx, "corp")
			if err != nil {
				return nil, err
			}
			answers(w.corp, func(string) map[string]any { return answer })
			return w.finish(ctx, b, url.Values{"code": {"c"}, "state": {b.state}, "iss": {w.corp.Issuer}}), nil
		}}
	}
	cookie := func(name string, run func(ctx context.Context, b begun, sid string) (*seen, error)) attack {
		return attack{wayWeb, name, nil, func(ctx context.Context) (*seen, error) {
			b, sid, err := w.loggedIn(ctx)
			if err != nil {
				return nil, err
			}
			return run(ctx, b, sid)
		}}
	}
	sent := func(name string, header func() map[string]string) attack {
		return attack{wayCookie, name, nil, once(func(ctx context.Context) *seen { return w.pages(ctx, http.DefaultClient, header()) })}
	}
	site, err := url.Parse(w.g.WebURL)
	if err != nil {
		panic(err)
	}
	return []attack{
		param("no state", "state"),
		param("empty state", "state", ""),
		param("invented state", "state", "xyzxyzxyzxyzxyzxyzxyzxyz"),
		param("no code", "code"),
		param("answer of another provider (iss)", "iss", w.evil.Issuer),
		param("issuer with a slash", "iss", w.corp.Issuer+"/"),
		param("no issuer, which the provider always says", "iss"),
		param("an error along with the code", "error", "access_denied"),
		back("in a browser that began nothing", func(_ context.Context, b *begun, _ url.Values) error { b.browser = browser(); return nil }),
		back("in a browser that began another log-in", func(ctx context.Context, b *begun, _ url.Values) error {
			other, err := w.begin(ctx, "corp")
			b.browser = other.browser
			return err
		}),
		back("with the state of another browser", func(ctx context.Context, b *begun, q url.Values) error {
			other, err := w.begin(ctx, "corp")
			q.Set("state", other.state)
			return err
		}),
		back("with the token of another log-in (nonce)", func(ctx context.Context, b *begun, q url.Values) error {
			other, err := w.begin(ctx, "corp")
			*b = other
			q.Set("state", other.state)
			return err
		}),
		{wayWeb, "another provider that passes on the house's token (mix-up)", nil, func(ctx context.Context) (*seen, error) {
			b, err := w.begin(ctx, "evil")
			if err != nil {
				return nil, err
			}
			token := w.id(w.corp, webClient, b.nonce).mint(nil)
			answers(w.evil, func(string) map[string]any {
				return map[string]any{"access_token": "opaque", "token_type": "Bearer", "id_token": token}
			})
			return w.finish(ctx, b, url.Values{"code": {"c"}, "state": {b.state}, "iss": {w.evil.Issuer}}), nil
		}},
		back("under another name of this address (DNS rebinding)", func(_ context.Context, b *begun, _ url.Values) error {
			b.host = "evil.example"
			return nil
		}),
		back("a second time, in another browser", func(ctx context.Context, b *begun, q url.Values) error {
			if s := w.finish(ctx, *b, q); !slices.Contains(saw(s.all.Bytes()), canaryWeb) {
				return fmt.Errorf("control: the first time: %s", s.answer)
			}
			b.browser = browser()
			return nil
		}),
		given("no ID token", map[string]any{"access_token": "opaque", "token_type": "Bearer"}),
		given("an access token for an ID token", map[string]any{"access_token": w.access(w.corp).mint(nil), "token_type": "Bearer", "id_token": w.access(w.corp).mint(nil)}),
		given("an error", map[string]any{"error": "invalid_grant"}),
		given("an ID token that is a list", map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": []string{"x"}}),
		cookie("session after the log-out", func(ctx context.Context, b begun, _ string) (*seen, error) {
			kept := b.browser.Jar.Cookies(site)
			_, page, err := w.httpBy(ctx, b.browser, http.MethodGet, "/reviews", nil, nil)
			if err != nil {
				return nil, err
			}
			form := url.Values{}
			for _, m := range hidden.FindAllStringSubmatch(string(page), -1) {
				form.Set(m[1], m[2])
			}
			status, page, err := w.httpBy(ctx, b.browser, http.MethodPost, "/logout", map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Origin": w.g.WebURL}, form.Encode())
			if err == nil && status >= 400 {
				err = fmt.Errorf("control: the log-out: %d %.200s", status, page)
			}
			if err != nil {
				return nil, err
			}
			again := browser()
			again.Jar.SetCookies(site, kept)
			return w.pages(ctx, again, nil), nil
		}),
		cookie("session after the provider's log-out", func(ctx context.Context, b begun, sid string) (*seen, error) {
			status, body, err := w.backchannel(ctx, w.corp.LogoutToken(map[string]any{"aud": webClient, "sid": sid}))
			if err == nil && status != http.StatusOK {
				err = fmt.Errorf("control: the provider's log-out: %d %.200s", status, body)
			}
			if err != nil {
				return nil, err
			}
			return w.pages(ctx, b.browser, nil), nil
		}),
		cookie("session under another name of this address (DNS rebinding)", func(ctx context.Context, b begun, _ string) (*seen, error) {
			return w.pages(ctx, b.browser, map[string]string{"Host": "evil.example"}), nil
		}),
		cookie("session that was there before the log-in (fixation)", func(ctx context.Context, _ begun, _ string) (*seen, error) {
			b, err := w.begin(ctx, "corp")
			if err != nil {
				return nil, err
			}
			before := b.browser.Jar.Cookies(site)
			token := w.id(w.corp, webClient, b.nonce).mint(nil)
			answers(w.corp, func(string) map[string]any {
				return map[string]any{"access_token": "opaque", "token_type": "Bearer", "id_token": token}
			})
			if s := w.finish(ctx, b, url.Values{"code": {"c"}, "state": {b.state}, "iss": {w.corp.Issuer}}); !slices.Contains(saw(s.all.Bytes()), canaryWeb) {
				return nil, fmt.Errorf("control: %s", s.answer)
			}
			thief := browser()
			thief.Jar.SetCookies(site, before)
			return w.pages(ctx, thief, nil), nil
		}),
		sent("invented session", func() map[string]string {
			return map[string]string{"Cookie": "sallyport_session=" + random() + "; session=" + random()}
		}),
		sent("access token as bearer", func() map[string]string {
			return map[string]string{"Authorization": "Bearer " + w.access(w.corp).mint(nil)}
		}),
		sent("ID token as bearer", func() map[string]string {
			return map[string]string{"Authorization": "Bearer " + w.id(w.corp, webClient, "n").mint(nil)}
		}),
		sent("access token as password", func() map[string]string {
			return map[string]string{"Authorization": basic("corp-ada", w.access(w.corp).mint(nil))}
		}),
		sent("ID token as password", func() map[string]string {
			return map[string]string{"Authorization": basic("corp-ada", w.id(w.corp, webClient, "n").mint(nil))}
		}),
		sent("nobody", func() map[string]string { return map[string]string{"Authorization": basic("", "")} }),
		sent("token of an agent", func() map[string]string { return map[string]string{"Authorization": "Bearer " + localToken} }),
		sent("name in the headers of a proxy", func() map[string]string {
			return map[string]string{"X-Forwarded-User": "corp-ada", "X-Remote-User": "keeper", "Remote-User": "keeper"}
		}),
	}
}

// backchannel hands over a log-out token as a provider does.
func (w *world) backchannel(ctx context.Context, token string) (int, []byte, error) {
	return w.http(ctx, http.MethodPost, logoutPath, map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, url.Values{"logout_token": {token}}.Encode())
}

// logoutAttacks want to end a session of ada that nobody has logged out.
func (w *world) logoutAttacks() []attack {
	const event = "http://schemas.openid.net/event/backchannel-logout"
	made := func(name string, make func(sid string) string) attack {
		return attack{wayLogout, name, nil, func(ctx context.Context) (*seen, error) {
			c, sid, err := w.live(ctx)
			if err != nil {
				return nil, err
			}
			defer c.Close()
			status, body, err := w.backchannel(ctx, make(sid))
			if err != nil {
				return nil, err
			}
			return ended(c, status, body), nil
		}}
	}
	changed := func(name string, change map[string]any, shapes ...forge.Shape) attack {
		return made(name, func(sid string) string {
			claims, _ := testidp.Claims(w.corp.LogoutToken(map[string]any{"aud": webClient, "sid": sid}))
			for k, v := range change {
				if claims[k] = v; v == nil {
					delete(claims, k)
				}
			}
			return forge.Mint(w.corp, claims, append([]forge.Shape{{Header: map[string]any{"typ": "logout+jwt"}}}, shapes...)...)
		})
	}
	return []attack{
		changed("for another client", map[string]any{"aud": "rogue"}),
		changed("for nobody", map[string]any{"aud": nil}),
		changed("issuer with a slash", map[string]any{"iss": w.corp.Issuer + "/"}),
		changed("issuer is another provider", map[string]any{"iss": w.evil.Issuer}),
		changed("expired", map[string]any{"exp": ago(time.Hour), "iat": ago(2 * time.Hour)}),
		changed("issued an hour ago", map[string]any{"iat": ago(time.Hour)}),
		changed("issued in the future", map[string]any{"iat": ago(-time.Hour)}),
		changed("no time of issue", map[string]any{"iat": nil}),
		changed("no events", map[string]any{"events": nil}),
		changed("another event", map[string]any{"events": map[string]any{"http://example.com/other": map[string]any{}}}),
		changed("events as a list", map[string]any{"events": []string{event}}),
		changed("event that is no object", map[string]any{"events": map[string]any{event: true}}),
		changed("with a nonce", map[string]any{"nonce": "n"}),
		changed("nobody's", map[string]any{"sub": nil, "sid": nil}),
		changed("no jti", map[string]any{"jti": nil}),
		changed("subject in a list", map[string]any{"sub": []string{"sub-ada"}, "sid": nil}),
		changed("alg none", nil, forge.Shape{Alg: "none"}),
		changed("HS256 by the public key", nil, forge.Shape{Alg: "HS256"}),
		changed("typ of an access token", nil, forge.Shape{Header: map[string]any{"typ": "at+jwt"}}),
		changed("unknown key", nil, forge.Shape{Key: mustKey("ES256")}),
		changed("key that was withdrawn", nil, forge.Shape{Key: w.old}),
		changed("key of another provider", nil, forge.Shape{Key: w.evil.Key()}),
		made("ID token", func(sid string) string { return w.id(w.corp, webClient, "").mint(map[string]any{"sid": sid}) }),
		made("access token", func(sid string) string { return w.access(w.corp).mint(map[string]any{"sid": sid}) }),
		made("another provider's, of the same subject", func(sid string) string {
			return w.evil.LogoutToken(map[string]any{"aud": webClient, "sid": sid, "sub": "sub-ada"})
		}),
		made("another person's", func(sid string) string {
			return w.corp.LogoutToken(map[string]any{"aud": webClient, "sub": "sub-bob", "sid": nil})
		}),
		made("another session's", func(sid string) string {
			return w.corp.LogoutToken(map[string]any{"aud": webClient, "sub": nil, "sid": "sid-other"})
		}),
		made("nothing", func(string) string { return "" }),
		{wayLogout, "in the address", nil, func(ctx context.Context) (*seen, error) {
			c, sid, err := w.live(ctx)
			if err != nil {
				return nil, err
			}
			defer c.Close()
			status, body, err := w.http(ctx, http.MethodGet, logoutPath+"?logout_token="+w.corp.LogoutToken(map[string]any{"aud": webClient, "sid": sid}), nil, nil)
			if err != nil {
				return nil, err
			}
			return ended(c, status, body), nil
		}},
		{wayLogout, "a second time, after the next log-in", nil, func(ctx context.Context) (*seen, error) {
			c, _, err := w.live(ctx)
			if err != nil {
				return nil, err
			}
			token := w.corp.LogoutToken(map[string]any{"aud": webClient, "sid": nil})
			status, body, err := w.backchannel(ctx, token)
			if err != nil {
				return nil, err
			}
			if s := ended(c, status, body); s.all.Len() == 0 {
				return nil, fmt.Errorf("control: an honest log-out ends nothing: %s", s.answer)
			}
			time.Sleep(1100 * time.Millisecond) // times of tokens are whole seconds
			if c, _, err = w.live(ctx); err != nil {
				return nil, err
			}
			defer c.Close()
			if status, body, err = w.backchannel(ctx, token); err != nil {
				return nil, err
			}
			return ended(c, status, body), nil
		}},
	}
}

// live is a session of ada at the PostgreSQL door, that rests on a log-in with a sid of its own.
func (w *world) live(ctx context.Context) (*wire.Conn, string, error) {
	got, _, token, err := w.issue(ctx, "ada")
	if err != nil {
		return nil, "", err
	}
	claims, _ := testidp.Claims(token)
	sid, _ := claims["sid"].(string)
	c, err := w.password(ctx, got.Principal, got.Secret)
	return c, sid, err
}

// ended says whether a session was ended, by a canary in the place of a row.
func ended(c *wire.Conn, status int, body []byte) *seen {
	s := &seen{}
	s.say("%d %s", status, textOf(body))
	time.Sleep(grace) // a session ends within a second
	if a := c.Simple("select 1"); a.Failed() {
		s.all.WriteString(canaryAda)
		s.say("%d, and the session has ended: %s %s", status, a.Code, a.Error)
	}
	return s
}

const (
	grace = 300 * time.Millisecond
	// logoutPath is where providers hand over log-out tokens.
	logoutPath = "/auth/backchannel-logout"
)

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)
