package login

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"sallyport/internal/access"
)

// page is all that the browser is shown: no script, nothing from elsewhere. %s are title and text, ours.
const page = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<title>%[1]s</title><style>body{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:20vh auto;padding:0 1rem}</style><main><h1>%[1]s</h1><p>%[2]s</p></main></html>
`

const backText = "Go back to your terminal: it says how you are logged in. This window can be closed."

// byBrowser logs in by the browser of this machine: authorization code with PKCE, sent back to a port of this machine (RFC 8252).
func (i *issuer) byBrowser(ctx context.Context, nonce string, o Options) (*oauth2.Token, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, &access.Error{Kind: access.Unavailable, Message: "no port of this machine can be opened for the browser to come back to", Hint: "log in with --device", Err: err}
	}
	conf := i.conf
	conf.RedirectURL = "http://" + ln.Addr().String() + i.callbackPath()
	state, verifier := rand.Text(), oauth2.GenerateVerifier()
	got := make(chan url.Values, 1)
	srv := &http.Server{Handler: i.callback(ln.Addr().String(), state, got), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, MaxHeaderBytes: 32 << 10}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	defer func() {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if srv.Shutdown(late) != nil { // lets the page arrive
			srv.Close()
		}
		<-done
	}()

	address := conf.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier))
	fmt.Fprintf(o.Out, "Log in with your browser. If it does not open, go to:\n\n  %s\n\n", printable(address))
	if err := o.Browse(address); err != nil {
		fmt.Fprintf(o.Out, "The browser was not opened (%v).\n", err)
	}
	limit, cancel := context.WithTimeout(ctx, o.Patience)
	defer cancel()
	select {
	case <-limit.Done():
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &access.Error{Kind: access.Denied, Message: fmt.Sprintf("nobody came back from the browser within %s", o.Patience), Hint: "was it closed? log in again, or with --device on another machine's browser"}
	case q := <-got:
		if code := q.Get("error"); code != "" {
			return nil, i.said(code, q.Get("error_description"))
		}
		tok, err := conf.Exchange(i.context(ctx), q.Get("code"), oauth2.VerifierOption(verifier))
		if err != nil {
			return nil, i.refused(err)
		}
		return tok, nil
	}
}

// callbackPath is where this provider sends browsers back to, and no other: its issuer, without the scheme. A provider, or one that a gateway names,
// that sends a browser on to another would have that one's code come back as its own answer. It is not the name that the gateway gives it, which
// may be another's as well.
func (i *issuer) callbackPath() string {
	_, rest, _ := strings.Cut(i.url, "://")
	return "/callback/" + rest
}

// callback takes the one answer that bears the state of this log-in. Others are turned away and end nothing: any page that is open
// in the browser could send them.
func (i *issuer) callback(host, state string, got chan<- url.Values) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		say := func(status int, title, text string) {
			w.WriteHeader(status)
			fmt.Fprintf(w, page, title, text)
		}
		q := r.URL.Query()
		iss := q.Get("iss")
		switch {
		case r.Host != host || r.URL.EscapedPath() != i.callbackPath() || r.Method != http.MethodGet:
			say(http.StatusNotFound, "Nothing here", "This address waits for one log-in of Sallyport only.")
		case subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(state)) != 1:
			say(http.StatusBadRequest, "Not your log-in", "This answer belongs to another log-in. Look at your terminal for the right address.")
		case (iss != "" || i.issParameter) && iss != i.url: // RFC 9207
			say(http.StatusBadRequest, "Not your provider", "This answer comes from another provider than the one that you were sent to.")
		case q.Get("error") == "" && q.Get("code") == "":
			say(http.StatusBadRequest, "No answer", "The provider has sent nothing to log in with.")
		default:
			select {
			case got <- q:
			default:
				say(http.StatusBadRequest, "Too late", "This log-in has had its answer.")
				return
			}
			if q.Get("error") != "" {
				say(http.StatusOK, "You are not logged in", "Go back to your terminal: it says why. This window can be closed.")
				return
			}
			say(http.StatusOK, "That is all", backText)
		}
	})
}

// open shows an address in the browser of this machine.
func open(address string) error {
	name := "xdg-open"
	if runtime.GOOS == "darwin" {
		name = "open"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return fmt.Errorf("there is no %s", name)
	}
	cmd := exec.Command(path, address)
	cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
	if err := cmd.Start(); err != nil {
		return errors.New(name + " cannot be run")
	}
	go cmd.Wait() // it may live as long as the browser; the address stands in the terminal already
	return nil
}
