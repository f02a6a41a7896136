package browser

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"sallyport/evals/harness"
)

const byProvider = "main a.button.primary" // the way in by the provider

// passes clicks what brings a page that leads on by itself to an address, sees it lead there and turns that away (204 changes no page), looks at it,
// and goes on by its link, as who is not led does.
func (w *world) passes(t *tab, selector, address, name string) error {
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	led := make(chan struct{}, 1)
	err := chromedp.Listen(ctx, func(ev any) {
		if e, ok := ev.(*fetch.EventRequestPaused); ok {
			go func() {
				_, err := chromedp.Call(t.ctx, fetch.FulfillRequest, fetch.FulfillRequestParams{RequestID: e.RequestID, ResponseCode: http.StatusNoContent})
				if err == nil {
					led <- struct{}{}
				}
			}()
		}
	})
	if err != nil {
		return err
	}
	patterns := []*fetch.RequestPattern{{URLPattern: address + "*", ResourceType: network.ResourceTypeDocument}}
	if _, err := chromedp.Call(t.ctx, fetch.Enable, fetch.EnableParams{Patterns: patterns}); err != nil {
		return err
	}
	if status, err := t.follow(selector); err != nil || status != 200 {
		return fmt.Errorf("%s: status %d (%v)", name, status, err)
	}
	select {
	case <-led:
	case <-time.After(patience):
		return fmt.Errorf("%s does not lead to %s by itself", name, address)
	}
	if err := t.wait("document.title.startsWith('One moment') && document.querySelector('main a').href.startsWith(" + quoted(address) + ")"); err != nil {
		return err
	}
	if err := w.found.inspect(t, name); err != nil {
		return err
	}
	if _, err := chromedp.Call(t.ctx, fetch.Disable, cdp.Empty{}); err != nil {
		return err
	}
	return t.click("main a")
}

// toProvider goes from the page that asks for it to the provider's.
func (t *tab) toProvider(w *world) error {
	if status, err := t.follow(byProvider); err != nil || status != 200 {
		return fmt.Errorf("to the provider: status %d (%v)", status, err)
	}
	return t.wait("location.host === " + quoted(w.idp.host) + " && document.querySelector('#ada')")
}

// provide logs somebody in by the provider, in a browser that it does not know.
func (t *tab) provide(w *world, name string) error {
	t.hosts = append(t.hosts, w.idp.host)
	if _, err := t.open("/login"); err != nil {
		return err
	}
	if err := t.toProvider(w); err != nil {
		return err
	}
	if err := t.click("#" + name); err != nil {
		return err
	}
	return t.wait("document.querySelector('form.who') && document.querySelector('form.who').innerText.includes(" + quoted(prefix+name) + ")")
}

var whereToLogIn = regexp.MustCompile(`https?://\S+/authorize\?\S+`)

// overheard is what a program writes, and the first address in it that somebody logs in at.
type overheard struct {
	text    strings.Builder
	address chan string // has room for one
}

func (o *overheard) String() string { return o.text.String() }

func (o *overheard) Write(b []byte) (int, error) {
	n, err := o.text.Write(b)
	if at := whereToLogIn.FindString(o.text.String()); at != "" && strings.HasSuffix(strings.TrimRight(o.text.String(), " "), "\n") {
		select {
		case o.address <- at:
		default:
		}
	}
	return n, err
}

// loggedInAsks has somebody of the provider ask by `sallyport psql`, who logs in on the way, in a browser of theirs.
func (w *world) loggedInAsks(name, reason, sql string) (*client, error) {
	bin, err := harness.Binary()
	if err != nil {
		return nil, err
	}
	home, err := os.MkdirTemp(w.g.Dir, "home-")
	if err != nil {
		return nil, err
	}
	// There is no browser that the command could open: it shows the address.
	if err := os.WriteFile(filepath.Join(home, "xdg-open"), []byte("#!/bin/sh\nexit 1\n"), 0o700); err != nil {
		return nil, err
	}
	said := &overheard{address: make(chan string, 1)}
	cmd := exec.Command(bin, "psql", "--gateway", w.g.WebURL, connection, "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1",
		"-c", "SET sallyport.reason = '"+strings.ReplaceAll(reason, "'", "''")+"'", "-c", sql)
	cmd.Dir = home // where no configuration is
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "DISPLAY=:0", "SSH_CONNECTION=", "SSH_TTY=", "PATH="+home+":"+filepath.Dir(w.psqlBin)+":"+os.Getenv("PATH"))
	c, err := w.starts(cmd, said)
	if err != nil {
		return nil, err
	}
	select {
	case at := <-said.address:
		return c, w.showsLogin(at, name)
	case <-c.done:
		return c, fmt.Errorf("sallyport psql does not ask for a log-in: %s", said)
	}
}

// backTo is the host that a provider is to send a browser back to.
func backTo(at string) (string, error) {
	u, err := url.Parse(at)
	if err != nil {
		return "", err
	}
	back, err := url.Parse(u.Query().Get("redirect_uri"))
	if err != nil {
		return "", err
	}
	return back.Host, nil
}

// showsLogin is the browser of who runs `sallyport psql`.
func (w *world) showsLogin(at, name string) error {
	t, err := w.tab()
	if err != nil {
		return err
	}
	defer t.cancel()
	host, err := backTo(at)
	if err != nil {
		return err
	}
	t.hosts = []string{w.idp.host, host}
	if _, err := t.open(at); err != nil {
		return err
	}
	if status, err := t.follow("#" + name); err != nil || status != 200 {
		return fmt.Errorf("coming back to the command: status %d (%v)", status, err)
	}
	if err := t.waitText("That is all"); err != nil {
		return err
	}
	return w.found.inspect(t, "the page of sallyport login")
}
