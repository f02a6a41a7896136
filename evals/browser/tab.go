package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long a page has for anything: machines that build at the same time are slow.
const patience = 20 * time.Second

// tab is one page of somebody's browser, and what went wrong in it.
type tab struct {
	ctx    context.Context
	cancel context.CancelFunc
	base   string   // of the gateway
	hosts  []string // that it may ask beside the gateway's

	mu       sync.Mutex // guards troubles
	troubles []trouble
}

// trouble is something that no page of ours may have.
type trouble struct{ kind, text string }

const (
	csp       = "content security policy"
	console   = "console"
	exception = "exception"
	elsewhere = "request to elsewhere"
	dialog    = "dialog"
)

// openTab opens a tab. own says that it shares no cookies with others.
func openTab(parent context.Context, base string, own bool) (*tab, error) {
	var opts []chromedp.ContextOption
	if own {
		opts = append(opts, chromedp.WithNewBrowserContext())
	}
	t := &tab{base: base}
	t.ctx, t.cancel = chromedp.NewContext(parent, opts...)
	if err := chromedp.Do(t.ctx); err != nil {
		t.cancel()
		return nil, fmt.Errorf("no tab opens: %w", err)
	}
	err := chromedp.Listen(t.ctx, t.heard)
	if err == nil {
		_, err = chromedp.Call(t.ctx, audits.Enable, cdp.Empty{})
	}
	if err == nil {
		_, err = chromedp.Call(t.ctx, log.Enable, cdp.Empty{})
	}
	if err == nil {
		_, err = chromedp.Call(t.ctx, network.Enable, network.EnableParams{})
	}
	if err == nil {
		err = t.desktop()
	}
	if err != nil {
		t.cancel()
	}
	return t, err
}

func (t *tab) desktop() error {
	return chromedp.Do(t.ctx, chromedp.EmulateViewport(1280, 900))
}

func (t *tab) phone(width, height int64) error {
	return chromedp.Do(t.ctx, chromedp.EmulateViewport(width, height, chromedp.EmulateMobile))
}

// heard is told of everything that the browser says about the tab.
func (t *tab) heard(ev any) {
	switch e := ev.(type) {
	case *audits.EventIssueAdded:
		if d := e.Issue.Details.ContentSecurityPolicyIssueDetails; d != nil {
			t.note(csp, d.ViolatedDirective+" "+d.BlockedURL)
		} else if e.Issue.Details.QuirksModeIssueDetails != nil {
			t.note(console, string(e.Issue.Code))
		}
	case *log.EventEntryAdded:
		// Violations of the policy come as issues too, which say more.
		if e.Entry.Source != log.EntrySourceSecurity && (e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning) {
			t.note(console, e.Entry.Text+" "+e.Entry.URL)
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			var b strings.Builder
			for _, a := range e.Args {
				fmt.Fprintf(&b, "%s %s ", a.Value, a.Description)
			}
			t.note(console, b.String())
		}
	case *runtime.EventExceptionThrown:
		t.note(exception, e.ExceptionDetails.Text)
	case *network.EventRequestWillBeSent:
		u, err := url.Parse(e.Request.URL)
		if err != nil || u.Scheme != "data" && u.Scheme+"://"+u.Host != t.base && !slices.Contains(t.hosts, u.Host) {
			t.note(elsewhere, e.Request.URL)
		}
	case *page.EventJavascriptDialogOpening:
		t.note(dialog, e.Message)
		go chromedp.Call(t.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{}) // the page stands still until then
	}
}

func (t *tab) note(kind, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.troubles = append(t.troubles, trouble{kind, strings.TrimSpace(text)})
}

// heardOf gives the troubles since it was last called.
func (t *tab) heardOf() []trouble {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := t.troubles
	t.troubles = nil
	return out
}

// forgive forgets what the console said about an answer's status, which the flow wanted.
func (t *tab) forgive(status int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.troubles = slices.DeleteFunc(t.troubles, func(o trouble) bool {
		return o.kind == console && strings.Contains(o.text, fmt.Sprintf("status of %d", status))
	})
}

// eval evaluates JavaScript in the page, whether or not its own scripts may run.
func eval[T any](t *tab, expression string, o ...chromedp.EvaluateOption) (T, error) {
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, o...))
	if err != nil {
		if len(expression) > 120 {
			expression = expression[:120] + "…"
		}
		err = fmt.Errorf("%s: %w", expression, err)
	}
	return v, err
}

// quoted is a string of JavaScript.
func quoted(s string) string {
	b, _ := json.Marshal(s) // strings always marshal
	return string(b)
}

// wait waits until an expression holds.
func (t *tab) wait(expression string) error {
	last := error(nil)
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(40 * time.Millisecond) {
		ok, err := eval[bool](t, "!!("+expression+")")
		if ok {
			return nil
		}
		last = err // while a page goes and another comes there is none to ask
	}
	where, _ := eval[string](t, "location.pathname + ': ' + (document.querySelector('main')||document.body).innerText.slice(0, 600)")
	return fmt.Errorf("waited in vain for %s (%v) at %s", expression, last, where)
}

// waitText waits until the page says something.
func (t *tab) waitText(text string) error {
	return t.wait("document.body.innerText.includes(" + quoted(text) + ")")
}

func (t *tab) has(selector string) (bool, error) {
	return eval[bool](t, "!!document.querySelector("+quoted(selector)+")")
}

// open goes to a path of the gateway, or to another address, and gives the status of the answer.
func (t *tab) open(path string) (int, error) {
	if strings.HasPrefix(path, "/") {
		path = t.base + path
	}
	return t.answered(chromedp.Navigate(path))
}

// answered does something that brings another page, and gives the status of the answer.
func (t *tab) answered(a chromedp.Action[chromedp.Void]) (int, error) {
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	r, err := chromedp.RunResponse(ctx, a)
	if err != nil {
		return 0, err
	}
	if r == nil {
		return 0, fmt.Errorf("there was no answer")
	}
	return int(r.Status), nil
}

// follow clicks what brings another page.
func (t *tab) follow(selector string) (int, error) {
	click, err := t.clicking(selector)
	if err != nil {
		return 0, err
	}
	status, err := t.answered(click)
	if err != nil {
		err = fmt.Errorf("clicking %s: %w", selector, err)
	}
	return status, err
}

func (t *tab) click(selector string) error {
	click, err := t.clicking(selector)
	if err != nil {
		return err
	}
	return chromedp.Do(t.ctx, click)
}

// clicking is a click in the middle of an element's first line.
func (t *tab) clicking(selector string) (chromedp.Action[chromedp.Void], error) {
	at, err := eval[[]float64](t, `(() => { const e = document.querySelector(`+quoted(selector)+`); if (!e) return [];
		e.scrollIntoView({block: "center", behavior: "instant"}); const r = e.getClientRects()[0]; return r ? [r.x + r.width / 2, r.y + r.height / 2] : [] })()`)
	if err != nil {
		return nil, err
	}
	if len(at) != 2 {
		return nil, fmt.Errorf("the page has nothing visible at %s", selector)
	}
	return chromedp.MouseClickXY(at[0], at[1]), nil
}

// fill puts text in a field, in the place of what is there.
func (t *tab) fill(selector, text string) error {
	if err := t.click(selector); err != nil {
		return err
	}
	if err := t.wait("document.activeElement.matches(" + quoted(selector) + ")"); err != nil {
		return err
	}
	if _, err := eval[bool](t, "document.activeElement.select() || true"); err != nil {
		return err
	}
	_, err := chromedp.Call(t.ctx, input.InsertText, input.InsertTextParams{Text: text})
	return err
}

// login logs somebody in at the page that asks for it.
func (t *tab) login(name string) error {
	if _, err := t.open("/login"); err != nil {
		return err
	}
	return t.giveName(name, password(name), 200)
}

// giveName fills in the page that asks for name and password.
func (t *tab) giveName(name, password string, want int) error {
	if err := t.fill("#user", name); err != nil {
		return err
	}
	if err := t.fill("#password", password); err != nil {
		return err
	}
	status, err := t.follow("main button")
	if err == nil && status != want {
		err = fmt.Errorf("%s logs in: status %d, want %d", name, status, want)
	}
	return err
}
