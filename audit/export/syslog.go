package export

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"sallyport/audit/internal/show"
	"sallyport/internal/access"
)

// Syslog is a server that speaks RFC 5424 over TLS (RFC 5425: TLS on TCP, messages counted by octets). The protocol has no
// acknowledgement: a batch counts as taken when the other machine's kernel has taken all of it, and when a connection
// breaks, the last batch that went over it is sent again over the next.
type Syslog struct {
	Address    string // host:port; 6514 is syslog-tls
	TLS        *tls.Config
	Timeout    time.Duration // of a connection attempt and of a batch; 30 s when 0
	Enterprise int           // private enterprise number of the structured data; 0 is 32473, which RFC 5612 keeps for examples
}

type syslog struct {
	conf    Syslog
	host    string
	id      string // SD-ID
	conn    *tls.Conn
	tcp     *net.TCPConn
	last    []byte // frames of the batch that was taken last, to be sent again over a new connection
	hangup  chan struct{}
	program string
}

// facility 13 is log audit, RFC 5424 section 6.2.1.
const facility = 13

const exampleEnterprise = 32473

func newSyslog(c *Syslog) (*syslog, error) {
	if _, _, err := net.SplitHostPort(c.Address); err != nil {
		return nil, fmt.Errorf("%q is not host:port", c.Address)
	}
	s := &syslog{conf: *c, program: strconv.Itoa(os.Getpid())}
	if s.conf.Timeout <= 0 {
		s.conf.Timeout = sendTimeout
	}
	if s.conf.Enterprise == 0 {
		s.conf.Enterprise = exampleEnterprise
	}
	if s.conf.TLS == nil {
		s.conf.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	s.id = "sallyport@" + strconv.Itoa(s.conf.Enterprise)
	host, err := os.Hostname()
	if s.host = header(host, 255); err != nil || s.host == "" {
		s.host = "-"
	}
	return s, nil
}

func (s *syslog) send(ctx context.Context, b *batch) error {
	var frames []byte
	for i, e := range b.entries {
		msg := s.message(e, b.lines[i])
		frames = strconv.AppendInt(frames, int64(len(msg)), 10)
		frames = append(frames, ' ')
		frames = append(frames, msg...)
	}
	ctx, cancel := context.WithTimeout(ctx, s.conf.Timeout)
	defer cancel()
	if s.broken() {
		s.close()
	}
	var again []byte
	if s.conn == nil {
		again = s.last
		if err := s.dial(ctx); err != nil {
			return err
		}
	}
	if err := s.write(ctx, again, frames); err != nil {
		s.close()
		return err
	}
	s.last = frames
	return nil
}

func (s *syslog) dial(ctx context.Context) error {
	nc, err := (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext(ctx, "tcp", s.conf.Address)
	if err != nil {
		return err
	}
	conf := s.conf.TLS.Clone()
	if conf.ServerName == "" {
		conf.ServerName, _, _ = net.SplitHostPort(s.conf.Address)
	}
	conn := tls.Client(nc, conf)
	if err := conn.HandshakeContext(ctx); err != nil {
		nc.Close()
		return err
	}
	s.conn, s.tcp = conn, nc.(*net.TCPConn)
	// A server says nothing in this protocol, so that reading ends when the connection does.
	s.hangup = make(chan struct{})
	go func(ended chan struct{}) {
		defer close(ended)
		_, _ = io.Copy(io.Discard, conn)
	}(s.hangup)
	return nil
}

// broken tells whether the server has ended the connection.
func (s *syslog) broken() bool {
	if s.conn == nil {
		return false
	}
	select {
	case <-s.hangup:
		return true
	default:
		return false
	}
}

// write returns when the other side's kernel has all of it.
func (s *syslog) write(ctx context.Context, parts ...[]byte) error {
	deadline, _ := ctx.Deadline()
	if err := s.conn.SetWriteDeadline(deadline); err != nil {
		return err
	}
	if _, err := s.conn.Write(bytes.Join(parts, nil)); err != nil {
		return err
	}
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		n, err := unacknowledged(s.tcp)
		if err != nil {
			return err
		}
		if s.broken() {
			return errors.New("the server ended the connection")
		}
		if n == 0 {
			return nil
		}
		if !pause(ctx, wait, s.hangup) && ctx.Err() != nil {
			return fmt.Errorf("%d bytes are not acknowledged in time", n)
		}
	}
}

// message is one SYSLOG-MSG of RFC 5424; the text is the line of JSON.
func (s *syslog) message(e entry, line []byte) []byte {
	severity := 6 // informational
	switch {
	case e.Kind == access.RecordRefused || e.Code == codeUnknown:
		severity = 4 // warning
	case failed(e):
		severity = 5 // notice
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "<%d>1 %s %s sallyport %s %s [%s", facility*8+severity, e.Time.UTC().Format("2006-01-02T15:04:05.000000Z"), s.host, s.program, header(string(e.Kind), 32), s.id)
	param := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, " %s=\"%s\"", name, paramValue(value))
		}
	}
	param("log", e.log)
	param("pos", strconv.FormatUint(e.Position, 10))
	param("leaf", e.leaf)
	param("session", e.Session)
	param("seq", strconv.FormatUint(e.Seq, 10))
	param("kind", string(e.Kind))
	param("door", string(e.Door))
	param("connection", e.Connection)
	param("principal", e.Principal)
	param("actor", e.Actor)
	proof := proofOf(e)
	param("method", string(proof.Method))
	param("issuer", proof.Issuer)
	param("subject", proof.Subject)
	param("task", e.Task)
	param("client", clientOf(e))
	param("effect", e.plan.Effect)
	param("code", e.Code)
	b.WriteString("] \ufeff")
	b.Write(line)
	return b.Bytes()
}

// paramValue escapes what RFC 5424, section 6.3.3, wants escaped, after what does not print.
func paramValue(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, `]`, `\]`).Replace(show.Clean(s))
}

// header keeps the printable ASCII of a field of the header.
func header(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	return s[:min(len(s), most)]
}

func (s *syslog) close() error {
	if s.conn == nil {
		return nil
	}
	err := s.conn.Close()
	<-s.hangup
	s.conn, s.tcp = nil, nil
	return err
}
