package notify

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"html/template"
	"net"
	netmail "net/mail"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"sallyport/audit/export"
)

// Security is how a connection to a mail server is kept from others.
type Security string

const (
	StartTLS Security = "starttls" // RFC 3207, and nothing is sent where the server has none
	Implicit Security = "tls"      // RFC 8314: TLS from the first byte
	Clear    Security = "none"     // for a server on this machine
)

// Mail is a list of people who are told by email, each in a message of their own.
type Mail struct {
	Address  string   // host:port of the mail server
	Security Security // StartTLS when empty
	User     string   // none: without authentication
	Password string
	From     string // RFC 5322, with or without a name
	To       []string
	TLS      *tls.Config
	Timeout  time.Duration // 30 s when 0
}

type mailer struct {
	conf    Mail
	from    *netmail.Address
	to      []*netmail.Address
	opts    []mail.Option
	host    string
	tls     *tls.Config
	timeout time.Duration // of a step
	// taken are those who have the message that is underway: when it comes again because another's was not taken, they do not get it twice.
	taken   map[string]bool
	message string
}

func newMail(c *Mail) (*mailer, error) {
	m := &mailer{conf: *c, taken: map[string]bool{}}
	var err error
	if m.from, err = netmail.ParseAddress(c.From); err != nil {
		return nil, fmt.Errorf("%q is no address to send from", c.From)
	}
	if len(c.To) == 0 {
		return nil, errors.New("there is nobody to send to")
	}
	for _, to := range c.To {
		a, err := netmail.ParseAddress(to)
		if err != nil {
			return nil, fmt.Errorf("%q is no address to send to", to)
		}
		m.to = append(m.to, a)
	}
	host, port, err := net.SplitHostPort(c.Address)
	n, errPort := strconv.Atoi(port)
	if err != nil || errPort != nil || host == "" {
		return nil, fmt.Errorf("%q is not host:port", c.Address)
	}
	if m.timeout = c.Timeout; m.timeout <= 0 {
		m.timeout = 30 * time.Second
	}
	conf := c.TLS
	if conf == nil {
		conf = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	conf = conf.Clone()
	if conf.ServerName == "" {
		conf.ServerName = host
	}
	m.host, m.tls = host, conf
	m.opts = []mail.Option{mail.WithPort(n), mail.WithTimeout(m.timeout), mail.WithTLSConfig(conf)}
	switch c.Security {
	case StartTLS, "":
		m.opts = append(m.opts, mail.WithTLSPolicy(mail.TLSMandatory))
	case Implicit:
		m.opts = append(m.opts, mail.WithTLSPolicy(mail.TLSOpportunistic)) // dial has begun TLS already, and there is no STARTTLS within it
	case Clear:
		m.opts = append(m.opts, mail.WithTLSPolicy(mail.NoTLS))
	default:
		return nil, fmt.Errorf("there is no security %q", c.Security)
	}
	if c.User != "" {
		if c.Security == Clear {
			return nil, errors.New("a password is not sent in the clear")
		}
		m.opts = append(m.opts, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(c.User), mail.WithPassword(c.Password))
	}
	_, err = mail.NewClient(host, m.opts...)
	return m, err
}

func (m *mailer) close() error { return nil }

// send sends the message to everybody. One whom the server refuses for good is passed over where it takes the message for somebody else.
func (m *mailer) send(ctx context.Context, msg *Message) error {
	if m.message != msg.ID {
		m.message = msg.ID
		clear(m.taken)
	}
	ctx, cancel := context.WithTimeout(ctx, m.timeout*time.Duration(1+len(m.to)))
	defer cancel()
	client, hangUp, err := m.dial(ctx)
	defer hangUp()
	if err != nil {
		return err
	}
	var refused error
	for _, to := range m.to {
		if m.taken[to.Address] {
			continue
		}
		letter, err := m.letter(msg, to)
		if err != nil {
			return export.Rejected(err.Error())
		}
		err = client.Send(letter)
		var se *mail.SendError
		switch {
		case err == nil:
			m.taken[to.Address] = true
		case errors.As(err, &se) && !se.IsTemp() && se.Reason == mail.ErrSMTPRcptTo:
			refused = fmt.Errorf("the server refuses %s", text(to.Address))
		case errors.As(err, &se) && !se.IsTemp() && (se.Reason == mail.ErrSMTPData || se.Reason == mail.ErrSMTPDataClose):
			return export.Rejected(fmt.Sprintf("the server answers %d", se.ErrorCode()))
		default:
			return err
		}
	}
	if len(m.taken) == 0 {
		return refused
	}
	return nil
}

// dial logs in at the server. hangUp is there in any case: the library keeps a connection open on which it could not log in, and what
// is said later does not end with ctx.
func (m *mailer) dial(ctx context.Context) (_ *mail.Client, hangUp func(), err error) {
	var conn net.Conn
	var forget func() bool
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		var d interface {
			DialContext(ctx context.Context, network, address string) (net.Conn, error)
		} = &net.Dialer{}
		if m.conf.Security == Implicit {
			d = &tls.Dialer{Config: m.tls}
		}
		c, err := d.DialContext(ctx, network, address)
		conn = c
		return c, err
	}
	client, err := mail.NewClient(m.host, append(m.opts[:len(m.opts):len(m.opts)], mail.WithDialContextFunc(dial))...)
	if err == nil {
		err = client.DialWithContext(ctx)
	}
	if conn != nil {
		forget = context.AfterFunc(ctx, func() { conn.Close() })
	}
	return client, func() {
		if err == nil {
			client.Close()
		}
		if conn != nil {
			forget()
			conn.Close()
		}
	}, err
}

// letter has the message as text and as HTML. Its id is the event's, for each recipient: what comes again is known by it.
func (m *mailer) letter(msg *Message, to *netmail.Address) (*mail.Msg, error) {
	l := mail.NewMsg(mail.WithNoDefaultUserAgent())
	l.FromMailAddress(m.from)
	l.ToMailAddress(to)
	l.Subject("[sallyport] " + msg.Title())
	l.SetDateWithValue(msg.Time)
	l.SetMessageIDWithValue(msg.ID + "@" + domainOf(m.from.Address))
	l.SetGenHeader("Auto-Submitted", "auto-generated")
	l.SetGenHeader("References", "<"+cmp.Or(msg.Request, msg.ID)+"@"+domainOf(m.from.Address)+">") // what is about one request is one thread
	if msg.Loud() {
		l.SetImportance(mail.ImportanceUrgent)
	}
	var html bytes.Buffer
	if err := letterHTML.Execute(&html, msg); err != nil {
		return nil, err
	}
	l.SetBodyString(mail.TypeTextPlain, letterText(msg))
	l.AddAlternativeString(mail.TypeTextHTML, html.String())
	return l, nil
}

func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

const letterFoot = "Decide on that page only: an answer to this message decides nothing."

func letterText(m *Message) string {
	var b strings.Builder
	b.WriteString(m.Title() + "\n\n")
	for _, f := range m.Facts() {
		b.WriteString(f.Name + ": " + f.Value + "\n")
	}
	if m.URL != "" {
		b.WriteString("\n" + m.URL + "\n" + letterFoot + "\n")
	}
	return b.String()
}

var letterHTML = template.Must(template.New("letter").Parse(`<!doctype html><html><body>
<p><strong>{{.Title}}</strong></p>
<table>{{range .Facts}}<tr><th align="left" valign="top">{{.Name}}</th><td>{{.Value}}</td></tr>
{{end}}</table>
{{if .URL}}<p><a href="{{.URL}}">{{.Link}}</a></p><p>` + letterFoot + `</p>{{end}}
</body></html>
`))
