package export

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	gosyslog "github.com/leodido/go-syslog/v4"
	"github.com/leodido/go-syslog/v4/octetcounting"
	"github.com/leodido/go-syslog/v4/rfc5424"
)

// syslogServer takes messages and reads them with a parser of others. It ends a connection after some bytes.
type syslogServer struct {
	ln    net.Listener
	roots *x509.CertPool
	wg    sync.WaitGroup

	mu       sync.Mutex
	cut      []int64 // after how many bytes each connection ends; the rest is not cut
	messages []*rfc5424.SyslogMessage
	errors   []string
	conns    int
}

func newSyslogServer(t *testing.T, cut ...int64) *syslogServer {
	t.Helper()
	https := httptest.NewTLSServer(nil) // for its certificate
	defer https.Close()
	s := &syslogServer{roots: x509.NewCertPool(), cut: cut}
	s.roots.AddCert(https.Certificate())
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: https.TLS.Certificates})
	if err != nil {
		t.Fatal(err)
	}
	s.ln = ln
	s.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		s.wg.Wait()
	})
	return s
}

func (s *syslogServer) serve(c net.Conn) {
	defer c.Close()
	s.mu.Lock()
	var r io.Reader = c
	if s.conns < len(s.cut) {
		r = io.LimitReader(c, s.cut[s.conns])
	}
	cut := s.conns < len(s.cut)
	s.conns++
	s.mu.Unlock()
	p := octetcounting.NewParser(gosyslog.WithMaxMessageLength(1 << 20))
	p.WithListener(func(res *gosyslog.Result) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if res.Error != nil {
			if !cut && !strings.Contains(res.Error.Error(), "EOF") {
				s.errors = append(s.errors, res.Error.Error())
			}
			return
		}
		s.messages = append(s.messages, res.Message.(*rfc5424.SyslogMessage))
	})
	p.Parse(r)
}

func (s *syslogServer) config() Config {
	return Config{Name: "syslog", From: FromStart, Syslog: &Syslog{Address: s.ln.Addr().String(), TLS: &tls.Config{RootCAs: s.roots, ServerName: "example.com"}, Timeout: 20 * time.Second}}
}

// positions are those of the messages, first times only; repeated says how many came again.
func (s *syslogServer) positions(t *testing.T) (out []uint64, repeated int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.errors {
		t.Error(e)
	}
	out, repeated, err := firstTimes(s.messages)
	if err != nil {
		t.Fatal(err)
	}
	return out, repeated
}

func firstTimes(messages []*rfc5424.SyslogMessage) (out []uint64, repeated int, err error) {
	seen := map[uint64]bool{}
	for _, m := range messages {
		pos, err := strconv.ParseUint((*m.StructuredData)["sallyport@32473"]["pos"], 10, 64)
		if err != nil {
			return nil, 0, err
		}
		if seen[pos] {
			repeated++
			continue
		}
		seen[pos] = true
		out = append(out, pos)
	}
	return out, repeated, nil
}

// wait waits for n records, however often each comes.
func (s *syslogServer) wait(n int) {
	s.waitFor(func() bool { have, _, _ := firstTimes(s.messages); return len(have) >= n })
}

// waitMessages waits for n messages, of whatever records.
func (s *syslogServer) waitMessages(n int) { s.waitFor(func() bool { return len(s.messages) >= n }) }

func (s *syslogServer) waitFor(came func() bool) {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		s.mu.Lock()
		is := came()
		s.mu.Unlock()
		if is {
			return
		}
	}
}

func TestSyslogIsRFC5424(t *testing.T) {
	l := newLog(t)
	l.story()
	s := newSyslogServer(t)
	start(t, l, t.TempDir(), s.config()).finish()
	s.wait(10)
	got, repeated := s.positions(t)
	inOrder(t, got, 1, 10)
	if repeated != 0 {
		t.Errorf("%d came twice", repeated)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.messages[1]
	sd := (*m.StructuredData)["sallyport@32473"]
	if *m.Facility != 13 || *m.Severity != 6 || *m.Appname != "sallyport" || *m.MsgID != "statement" || !m.Timestamp.Equal(begun.Add(2*time.Second)) ||
		sd["principal"] != "ada" || sd["session"] != "s_ada" || sd["seq"] != "2" || sd["client"] != "192.0.2.7:50123 psql" || sd["effect"] != "allow" || sd["issuer"] != "https://id.example" || sd["method"] != "secret" {
		t.Errorf("%+v %v", m, sd)
	}
	var rec struct {
		Pos uint64
		SQL string
	}
	if !strings.HasPrefix(*m.Message, "\ufeff{") {
		t.Fatalf("no BOM in front of UTF-8: %q", *m.Message)
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(*m.Message, "\ufeff")), &rec); err != nil || rec.Pos != 2 || rec.SQL != "SELECT email FROM customers WHERE name = 'a\u202eb\x1b[2J'" {
		t.Errorf("%+v %v", rec, err)
	}
	if strings.ContainsAny(strings.TrimPrefix(*m.Message, "\ufeff"), "\x1b\u202e") {
		t.Error("what does not print is sent as it is")
	}
	if sev := s.messages[6].Severity; *sev != 4 {
		t.Errorf("a refusal is severity %d", *sev)
	}
}

// Connections break in the middle of messages: each record comes, in order, some of them again.
func TestSyslogConnectionsThatBreak(t *testing.T) {
	l := newLog(t)
	l.fill(300)
	s := newSyslogServer(t, 10, 5_000, 40_001)
	r := start(t, l, t.TempDir(), s.config())
	r.waitPosition(300)
	l.fill(300)
	r.waitPosition(600)
	r.finish()
	s.wait(600)
	got, repeated := s.positions(t)
	inOrder(t, got, 1, 600)
	s.mu.Lock()
	defer s.mu.Unlock()
	t.Logf("%d connections, %d messages came again", s.conns, repeated)
	if s.conns < 4 {
		t.Errorf("only %d connections: nothing was cut", s.conns)
	}
}

// The server ends a connection that had taken everything: the last batch is sent again, because nobody knows whether it was
// read.
func TestSyslogSendsTheLastBatchAgain(t *testing.T) {
	l := newLog(t)
	l.fill(5)
	s := newSyslogServer(t, 1<<40)
	r := start(t, l, t.TempDir(), s.config())
	r.waitPosition(5)
	s.wait(5)
	sk := r.exporters[0].(*exporter).sink.(*syslog)
	sk.tcp.SetLinger(0)
	sk.tcp.CloseRead()
	l.fill(5)
	r.waitPosition(10)
	r.finish()
	s.waitMessages(15)
	got, repeated := s.positions(t)
	inOrder(t, got, 1, 10)
	if repeated != 5 {
		t.Errorf("%d came again, want the 5 of the last batch", repeated)
	}
}

func TestSyslogWantsACertificateThatItKnows(t *testing.T) {
	l := newLog(t)
	l.fill(1)
	s := newSyslogServer(t)
	c := s.config()
	c.Syslog.TLS = nil
	r := start(t, l, t.TempDir(), c)
	if st := r.waitState(Retrying); !strings.Contains(st.Error, "x509") && !strings.Contains(st.Error, "certificate") {
		t.Error(st.Error)
	}
	r.cut()
}

func TestSyslogParametersAreEscaped(t *testing.T) {
	if got, want := paramValue("a\"b]c\\d\x1b\u202e"), `a\"b\]c\\d\\x1b\\u{202e}`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
