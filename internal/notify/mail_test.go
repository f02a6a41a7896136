package notify

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/http/httptest"
	netmail "net/mail"
	"slices"
	"strings"
	"sync"
	"testing"

	"sallyport/audit/export"
	"sallyport/internal/access"
)

// post office is a mail server: RFC 5321 with STARTTLS, or TLS from the first byte, and AUTH PLAIN. A password in the clear, or mail
// without a password, is an error.
type postOffice struct {
	ln       net.Listener
	conf     *tls.Config
	roots    *x509.CertPool
	implicit bool
	noTLS    bool // it offers no STARTTLS

	mu      sync.Mutex
	refuse  func(command string) string // an answer in the place of the usual
	letters []letter
	errors  []string
	wg      sync.WaitGroup
}

type letter struct{ to, text string }

func newPostOffice(t *testing.T, change func(*postOffice)) *postOffice {
	t.Helper()
	web := httptest.NewUnstartedServer(nil) // for its certificate
	web.StartTLS()
	p := &postOffice{conf: &tls.Config{Certificates: web.TLS.Certificates}, roots: x509.NewCertPool()}
	p.roots.AddCert(web.Certificate())
	web.Close()
	if change != nil {
		change(p)
	}
	var err error
	if p.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	p.wg.Go(func() {
		for {
			c, err := p.ln.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() { p.ln.Close(); p.wg.Wait() })
	return p
}

func (p *postOffice) config(to ...string) *Mail {
	m := &Mail{Address: p.ln.Addr().String(), From: "Sallyport <gate@example.com>", To: to, User: "gate", Password: "pa55", TLS: &tls.Config{RootCAs: p.roots, ServerName: "example.com"}}
	if p.implicit {
		m.Security = Implicit
	}
	return m
}

func (p *postOffice) serve(c net.Conn) {
	defer func() { c.Close() }()
	secure, known := false, false
	if p.implicit {
		c, secure = tls.Server(c, p.conf), true
	}
	r := bufio.NewReader(c)
	say := func(s string) { io.WriteString(c, s+"\r\n") }
	wrong := func(s string) { p.mu.Lock(); p.errors = append(p.errors, s); p.mu.Unlock() }
	say("220 post office")
	to := ""
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		p.mu.Lock()
		refuse := p.refuse
		p.mu.Unlock()
		if refuse != nil {
			if answer := refuse(line); answer != "" {
				say(answer)
				continue
			}
		}
		verb, arg, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			say("250-post office")
			if !secure && !p.noTLS {
				say("250-STARTTLS")
			}
			say("250 AUTH PLAIN")
		case "STARTTLS":
			say("220 go ahead")
			c = tls.Server(c, p.conf)
			r, secure = bufio.NewReader(c), true
		case "AUTH":
			if !secure {
				wrong("a password in the clear")
			}
			_, cred, _ := strings.Cut(arg, " ")
			text, _ := base64.StdEncoding.DecodeString(cred)
			if known = string(text) == "\x00gate\x00pa55"; known {
				say("235 welcome")
			} else {
				say("535 who are you?")
			}
		case "MAIL":
			if !known || !secure {
				wrong("mail of somebody unknown")
			}
			say("250 fine")
		case "RCPT":
			to = strings.Trim(strings.TrimPrefix(arg, "TO:"), "<>")
			say("250 fine")
		case "DATA":
			say("354 go on")
			var text bytes.Buffer
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				text.WriteString(line)
			}
			p.mu.Lock()
			p.letters = append(p.letters, letter{to, text.String()})
			p.mu.Unlock()
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 fine")
		}
	}
}

func (p *postOffice) got(t *testing.T) []letter {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.errors) > 0 {
		t.Errorf("the server saw %q", p.errors)
	}
	return slices.Clone(p.letters)
}

// open reads a letter: its head, and its parts by type.
func (l letter) open(t *testing.T) (netmail.Header, map[string]string) {
	t.Helper()
	msg, err := netmail.ReadMessage(strings.NewReader(l.text))
	if err != nil {
		t.Fatalf("%v: %s", err, l.text)
	}
	_, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]string{}
	for mr := multipart.NewReader(msg.Body, params["boundary"]); ; {
		part, err := mr.NextRawPart()
		if err != nil {
			break
		}
		kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
		text, _ := io.ReadAll(quotedprintable.NewReader(part))
		parts[kind] = string(text)
	}
	return msg.Header, parts
}

func TestMail(t *testing.T) {
	for name, change := range map[string]func(*postOffice){"starttls": nil, "implicit_tls": func(p *postOffice) { p.implicit = true }} {
		t.Run(name, func(t *testing.T) {
			g, p := newLog(t), newPostOffice(t, change)
			r := g.start(Channel{Name: "mail", Mail: p.config("leads@example.com", "dpo@example.com")})
			r.wait("ready", func(st export.Status) bool { return st.Position == 1 })
			g.step(access.ReviewStep{To: "pending", Missing: []string{"leads"}}, func(rec *access.Record) {
				rec.Principal = "ada\r\nBcc: evil@example.com"
				rec.Reason = "<b>bold</b> <a href='https://evil.example'>x</a>\r\nApproved: yes"
			})
			r.waitPosition(2)
			r.finish()
			letters := p.got(t)
			if len(letters) != 2 || letters[0].to != "leads@example.com" || letters[1].to != "dpo@example.com" {
				t.Fatalf("%+v", letters)
			}
			ids := map[string]bool{}
			for _, l := range letters {
				head, parts := l.open(t)
				ids[head.Get("Message-ID")] = true
				subject, _ := new(mime.WordDecoder).DecodeHeader(head.Get("Subject"))
				if !strings.Contains(subject, `[sallyport] support-agent for ada\x0d\x0aBcc: evil@example.com asks`) || head.Get("Bcc") != "" || head.Get("Auto-Submitted") != "auto-generated" {
					t.Errorf("head %q", head)
				}
				if len(head["To"]) != 1 || !strings.Contains(head.Get("To"), l.to) {
					t.Errorf("to %q", head["To"])
				}
				text, html := parts["text/plain"], parts["text/html"]
				if !strings.Contains(text, testBase+"/reviews/"+testID) || strings.Contains(text, "\nApproved:") || strings.Contains(text, "https://evil") {
					t.Errorf("text %s", text)
				}
				if !strings.Contains(html, `href="`+testBase+"/reviews/"+testID+`"`) || strings.Contains(html, "<b>") || strings.Contains(html, "https://evil") || strings.Count(html, "<a ") != 1 {
					t.Errorf("html %s", html)
				}
			}
			if len(ids) != 1 || ids[""] {
				t.Errorf("ids of one event: %v", ids)
			}
		})
	}
}

func TestMailThatIsNotTakenComesAgainToThoseWhoDoNotHaveIt(t *testing.T) {
	g, p := newLog(t), newPostOffice(t, nil)
	failed := 0
	p.refuse = func(command string) string {
		if strings.Contains(command, "dpo@") && failed < 2 {
			failed++
			return "451 not now"
		}
		return ""
	}
	r := g.start(Channel{Name: "mail", Mail: p.config("leads@example.com", "dpo@example.com")})
	r.wait("ready", func(st export.Status) bool { return st.Position == 1 })
	g.asks()
	r.waitPosition(2)
	r.finish()
	if got := p.got(t); len(got) != 2 || got[0].to != "leads@example.com" || got[1].to != "dpo@example.com" || failed != 2 {
		t.Errorf("%+v, refused %d times", got, failed)
	}
}

func TestMailToSomebodyWhoIsGoneReachesTheOthers(t *testing.T) {
	g, p := newLog(t), newPostOffice(t, nil)
	p.refuse = func(command string) string {
		if strings.Contains(command, "gone@") {
			return "550 no such user"
		}
		return ""
	}
	r := g.start(Channel{Name: "mail", Mail: p.config("gone@example.com", "dpo@example.com")})
	r.wait("ready", func(st export.Status) bool { return st.Position == 1 })
	g.asks()
	r.waitPosition(2)
	r.finish()
	if got := p.got(t); len(got) != 1 || got[0].to != "dpo@example.com" {
		t.Errorf("%+v", got)
	}
}

func TestMailThatCannotBeSentSafelyIsNotSent(t *testing.T) {
	for name, tc := range map[string]struct {
		server func(*postOffice)
		client func(*Mail)
	}{
		"no_starttls":         {server: func(p *postOffice) { p.noTLS = true }},
		"another_certificate": {client: func(m *Mail) { m.TLS = &tls.Config{RootCAs: x509.NewCertPool()} }},
		"wrong_password":      {client: func(m *Mail) { m.Password = "wr0ng" }},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPostOffice(t, tc.server)
			c := p.config("leads@example.com")
			if tc.client != nil {
				tc.client(c)
			}
			m, err := newMail(c)
			if err != nil {
				t.Fatal(err)
			}
			err = m.send(t.Context(), &Message{ID: "log-1", Event: Requested, Time: begun, Principal: "ada"})
			if err == nil || export.IsRejected(err) || strings.Contains(fmt.Sprint(err), "wr0ng") {
				t.Errorf("%v", err)
			}
			if got := p.got(t); len(got) != 0 {
				t.Errorf("%+v", got)
			}
		})
	}
}
