package pgwire

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

var (
	sslRequest = []byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f}
	gssRequest = []byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30}
)

func startupPacket(version uint32, pairs ...string) []byte {
	b := binary.BigEndian.AppendUint32([]byte{0, 0, 0, 0}, version)
	for _, p := range pairs {
		b = append(append(b, p...), 0)
	}
	b = append(b, 0)
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

func (w *wire) readByte() byte {
	w.t.Helper()
	var b [1]byte
	if _, err := w.Read(b[:]); err != nil {
		w.t.Fatal(err)
	}
	return b[0]
}

// Each line is something a client may send first, and the SQLSTATE of the refusal.
func TestStartupRefusals(t *testing.T) {
	serverTLS, _ := testTLS()
	plain := open(t, Options{})
	secure := open(t, Options{TLS: serverTLS})
	required := open(t, Options{TLS: serverTLS, RequireTLS: true})
	ok := startupPacket(version30, "user", testUser, "database", testConn)
	for name, c := range map[string]struct {
		door  *door
		bytes []byte
		code  string
	}{
		"user_missing":            {plain, startupPacket(version30, "database", "shop"), "28000"},
		"user_empty":              {plain, startupPacket(version30, "user", "", "database", "shop"), "28000"},
		"protocol_2":              {plain, startupPacket(2<<16, "user", "x"), "0A000"},
		"protocol_4":              {plain, startupPacket(4<<16, "user", "x"), "0A000"},
		"http_request":            {plain, []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "08P01"},
		"length_too_small":        {plain, []byte{0, 0, 0, 7, 0, 3, 0}, "08P01"},
		"length_zero":             {plain, make([]byte, 8), "08P01"},
		"length_negative":         {plain, []byte{255, 255, 255, 255, 0, 3, 0, 0}, "08P01"},
		"length_10001":            {plain, binary.BigEndian.AppendUint32(nil, 10001), "08P01"},
		"no_terminator":           {plain, []byte{0, 0, 0, 9, 0, 3, 0, 0, 'u'}, "08P01"},
		"value_missing":           {plain, append([]byte{0, 0, 0, 13, 0, 3, 0, 0}, "user\x00"...), "08P01"},
		"bytes_after_terminator":  {plain, append([]byte{0, 0, 0, 10, 0, 3, 0, 0, 0}, 'x'), "08P01"},
		"replication_true":        {plain, startupPacket(version30, "user", testUser, "replication", "true"), "0A000"},
		"replication_database":    {plain, startupPacket(version30, "user", testUser, "replication", "database"), "0A000"},
		"replication_empty":       {plain, startupPacket(version30, "user", testUser, "replication", ""), "0A000"},
		"encoding_sjis":           {plain, startupPacket(version30, "user", testUser, "client_encoding", "SJIS"), "0A000"},
		"encoding_in_options":     {plain, startupPacket(version30, "user", testUser, "options", "-c client_encoding=GBK"), "0A000"},
		"option_switch":           {plain, startupPacket(version30, "user", testUser, "options", "-F"), "42601"},
		"option_without_value":    {plain, startupPacket(version30, "user", testUser, "options", "-c geqo"), "42601"},
		"option_c_at_the_end":     {plain, startupPacket(version30, "user", testUser, "options", "-c"), "42601"},
		"ssl_twice":               {plain, nil, "08P01"}, // see below
		"ssl_with_bytes_behind":   {secure, append(bytes.Clone(sslRequest), ok...), "08P01"},
		"ssl_with_a_byte_behind":  {secure, append(bytes.Clone(sslRequest), 0x16), "08P01"},
		"gss_with_bytes_behind":   {secure, append(bytes.Clone(gssRequest), ok...), "08P01"},
		"ssl_refused_with_behind": {plain, append(bytes.Clone(sslRequest), ok...), "08P01"},
		"no_tls_where_required":   {required, ok, "28000"},
		"proxy_header":            {plain, append([]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x09\x7f\x00\x00\x01\x30\x39\x19\x8f"), ok...), "08P01"},
		"proxy_header_version_1":  {plain, append([]byte("PROXY TCP4 203.0.113.9 127.0.0.1 1 2\r\n"), ok...), "08P01"},
		"direct_tls_not_offered":  {plain, []byte{0x16, 3, 1, 0, 5}, "08P01"},
	} {
		t.Run(name, func(t *testing.T) {
			w := c.door.dial(t)
			if name == "ssl_twice" {
				for range 2 {
					w.send(sslRequest)
					if b := w.readByte(); b == 'E' {
						return // the second one: an ErrorResponse begins
					} else if b != 'N' {
						t.Fatalf("answer %q", b)
					}
				}
				t.Fatal("SSLRequest was answered twice")
			}
			e := w.send(c.bytes).expectFatal(c.code)
			if e.Hint == "" {
				t.Error("no hint")
			}
			if n := len(c.door.core.logins); n != 0 {
				t.Errorf("%d log-ins reached the core", n)
			}
		})
	}
}

func TestEncryptionRequestsInEitherOrder(t *testing.T) {
	d := open(t, Options{})
	for name, order := range map[string][][]byte{"ssl_then_gss": {sslRequest, gssRequest}, "gss_then_ssl": {gssRequest, sslRequest}} {
		t.Run(name, func(t *testing.T) {
			w := d.dial(t)
			for _, r := range order {
				w.send(r)
				if b := w.readByte(); b != 'N' {
					t.Fatalf("answer %q", b)
				}
			}
			w.login(nil)
		})
	}
	t.Run("gss_twice", func(t *testing.T) {
		w := d.dial(t).send(gssRequest)
		w.readByte()
		w.send(gssRequest).expectFatal("08P01")
	})
}

func TestGSSThenTLS(t *testing.T) {
	serverTLS, clientTLS := testTLS()
	d := open(t, Options{TLS: serverTLS, RequireTLS: true})
	w := d.dial(t).send(gssRequest)
	if b := w.readByte(); b != 'N' {
		t.Fatalf("answer %q", b)
	}
	w.send(sslRequest)
	if b := w.readByte(); b != 'S' {
		t.Fatalf("answer %q", b)
	}
	tc := tls.Client(w.Conn, clientTLS)
	wrap(t, tc).login(nil)
}

func TestEncryptionRequestsInsideTLS(t *testing.T) {
	serverTLS, clientTLS := testTLS()
	d := open(t, Options{TLS: serverTLS})
	for name, r := range map[string][]byte{"ssl": sslRequest, "gss": gssRequest} {
		t.Run(name, func(t *testing.T) {
			w := d.dial(t).send(sslRequest)
			w.readByte()
			wrap(t, tls.Client(w.Conn, clientTLS)).send(r).expectFatal("08P01")
		})
	}
}

// CVE-2021-23222: what a man in the middle sends after SSLRequest, but late, must end up in the TLS handshake
// and never be taken for a message.
func TestPlaintextAfterSSLAnswerBreaksTheHandshake(t *testing.T) {
	serverTLS, _ := testTLS()
	d := open(t, Options{TLS: serverTLS})
	w := d.dial(t).send(sslRequest)
	w.readByte()
	w.send(startupPacket(version30, "user", testUser, "database", testConn))
	var b [1]byte
	if n, _ := w.Read(b[:]); n > 0 && b[0] == 'R' {
		t.Fatal("the plaintext startup message was answered")
	}
}

func TestDirectTLS(t *testing.T) {
	serverTLS, clientTLS := testTLS()
	d := open(t, Options{TLS: serverTLS, RequireTLS: true})
	for name, c := range map[string]struct {
		protos []string
		ok     bool
	}{
		"with_alpn":       {[]string{"postgresql"}, true},
		"with_alpn_among": {[]string{"http/1.1", "postgresql"}, true},
		"without_alpn":    {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := clientTLS.Clone()
			cfg.NextProtos = c.protos
			w := wrap(t, tls.Client(d.dial(t).Conn, cfg))
			if c.ok {
				w.login(nil)
				return
			}
			w.send(startupPacket(version30, "user", testUser)).expectFatal("08P01")
		})
	}
	t.Run("with_another_alpn", func(t *testing.T) {
		cfg := clientTLS.Clone()
		cfg.NextProtos = []string{"h2"}
		if err := tls.Client(d.dial(t).Conn, cfg).Handshake(); err == nil {
			t.Fatal("the handshake succeeded")
		}
	})
}

func TestProtocolVersions(t *testing.T) {
	d := open(t, Options{})
	for name, c := range map[string]struct {
		version   uint32
		extension string
		negotiate uint32 // 0: no message
		key       int
	}{
		"3.0":               {version30, "", 0, 4},
		"3.2":               {version32, "", 0, 32},
		"3.9999":            {3<<16 | 9999, "", version32, 32},
		"3.0_with_unknown":  {version30, "_pq_.greasy", version30, 4},
		"3.2_with_unknown":  {version32, "_pq_.greasy", version32, 32},
		"3.99_with_unknown": {3<<16 | 99, "_pq_.greasy", version32, 32},
	} {
		t.Run(name, func(t *testing.T) {
			w := d.dial(t)
			pairs := []string{"user", testUser, "database", testConn}
			if c.extension != "" {
				pairs = append(pairs, c.extension, "on")
			}
			w.send(startupPacket(c.version, pairs...))
			if c.negotiate != 0 {
				m, ok := w.next().(*pgproto3.NegotiateProtocolVersion)
				if !ok || m.NewestMinorProtocol != c.negotiate || strings.Join(m.UnrecognizedOptions, ",") != c.extension {
					t.Fatalf("got %+v", m)
				}
			}
			w.auth(testPassword)
			for {
				if k, ok := w.next().(*pgproto3.BackendKeyData); ok {
					if len(k.SecretKey) != c.key {
						t.Fatalf("key of %d bytes, want %d", len(k.SecretKey), c.key)
					}
					return
				}
			}
		})
	}
}

func TestSettingsReachTheCore(t *testing.T) {
	d := open(t, Options{})
	d.dial(t).login(map[string]string{
		"application_name": "psql\x1b[31m", "client_encoding": "utf-8", "DateStyle": "ISO", "replication": "off",
		"options": `-c sallyport.reason=ticket\ 42:\ check -csearch_path=a --work-mem=4MB -c datestyle=German`,
	})
	l := d.core.lastLogin()
	if l.Connection != testConn || l.Door != "pgwire" || l.Reason != "ticket 42: check" {
		t.Errorf("login %+v", l)
	}
	if !strings.HasPrefix(l.Client, "127.0.0.1:") || !strings.HasSuffix(l.Client, " psql?[31m") {
		t.Errorf("client %q", l.Client)
	}
	want := map[string]string{"application_name": "psql\x1b[31m", "client_encoding": "UTF8", "datestyle": "ISO", "search_path": "a", "work_mem": "4MB"}
	for k, v := range want {
		if l.Settings[k] != v {
			t.Errorf("%s = %q, want %q", k, l.Settings[k], v)
		}
	}
	if len(l.Settings) != len(want) {
		t.Errorf("settings %v", l.Settings)
	}
}

func TestDatabaseDefaultsToUser(t *testing.T) {
	d := open(t, Options{})
	w := d.dial(t).send(startupPacket(version30, "user", testUser))
	w.auth(testPassword)
	w.expectFatal("3D000")
	if l := d.core.lastLogin(); l.Connection != testUser {
		t.Errorf("connection %q", l.Connection)
	}
}

func TestFailedLoginsLookAlike(t *testing.T) {
	d := open(t, Options{})
	var answers []string
	for _, c := range []struct{ user, database string }{{testUser, testConn}, {"nobody", testConn}, {"nobody", "nowhere"}} {
		w := d.dial(t).send(startupPacket(version30, "user", c.user, "database", c.database))
		w.auth("wrong")
		e := w.expectFatal("28P01")
		answers = append(answers, e.Message+e.Hint)
	}
	if answers[0] != answers[1] || answers[1] != answers[2] {
		t.Errorf("answers differ: %q", answers)
	}
	if n := d.core.refused.Load(); n != 3 {
		t.Errorf("the core heard of %d failed log-ins, want 3", n)
	}
	if strings.Contains(d.logs.String(), "wrong") {
		t.Error("the password is in the log")
	}
}

func TestSASLRefusals(t *testing.T) {
	d := open(t, Options{})
	for name, msg := range map[string][]byte{
		"query_instead":     query("SELECT 1"),
		"other_mechanism":   encode(t, &pgproto3.SASLInitialResponse{AuthMechanism: "SCRAM-SHA-256-PLUS", Data: []byte("p=tls-server-end-point,,n=,r=x")}),
		"oversize":          encode(t, &pgproto3.SASLInitialResponse{AuthMechanism: mechanism, Data: make([]byte, 2000)}),
		"announced_too_big": {'p', 127, 255, 255, 255},
		"length_lies":       append([]byte{'p', 0, 0, 0, 26}, "SCRAM-SHA-256\x00\x00\x00\x00\x09n,,"...)[:27],
		"no_mechanism":      {'p', 0, 0, 0, 6, 'x', 'y'},
	} {
		t.Run(name, func(t *testing.T) {
			w := d.dial(t)
			w.startup(version30, nil)
			w.next()
			w.send(msg).expectFatal("08P01")
		})
	}
}

func TestSilentClients(t *testing.T) {
	d := open(t, Options{HandshakeTimeout: 2 * time.Second})
	silent := d.dial(t)
	half := d.dial(t).send([]byte{0, 0, 0, 50, 0, 3, 0, 0})
	asked := d.dial(t)
	asked.startup(version30, nil)
	asked.next()
	d.dial(t).login(nil) // is not held up by the others
	silent.expectEnd()
	half.expectFatal("57014")
	asked.expectFatal("57014")
}

func TestClientLimit(t *testing.T) {
	d := open(t, Options{MaxClients: 2})
	d.dial(t).login(nil)
	second := d.dial(t).login(nil)
	third := d.dial(t)
	third.startup(version30, nil)
	third.auth(testPassword)
	third.expectFatal("53300")
	second.send(encode(t, &pgproto3.Terminate{})).expectEnd()
	eventually(t, "room for a client", func() bool { d.mu.Lock(); defer d.mu.Unlock(); return d.enrolled == 1 })
	d.dial(t).login(nil)
}

func TestConnectionFloodLeavesRunningSessionsAlone(t *testing.T) {
	d := open(t, Options{MaxClients: 1})
	w := d.dial(t).login(nil)
	for range 2*1 + 64 - 1 {
		d.dial(t)
	}
	eventually(t, "the flood is in", func() bool { d.mu.Lock(); defer d.mu.Unlock(); return len(d.conns) == 66 })
	d.dial(t).expectFatal("53300")
	w.send(query("SELECT 1"))
	if got := w.until('Z'); got != "TDCZ" {
		t.Errorf("got %s", got)
	}
}

// Whoever holds every connection that the door has room for, without an account, keeps nobody else from logging in, and takes no session away.
func TestOneAddressDoesNotHoldTheDoor(t *testing.T) {
	d := open(t, Options{MaxClients: 4})
	from := func(address string) *wire {
		nc, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}).Dial("tcp", d.addr)
		if err != nil {
			t.Fatal(err)
		}
		return wrap(t, nc)
	}
	before := from("127.0.0.1").login(nil)
	oldest := from("127.0.0.1")
	for range 2*4 + 64 - 2 {
		from("127.0.0.1")
	}
	eventually(t, "the flood is in", func() bool { d.mu.Lock(); defer d.mu.Unlock(); return len(d.conns) == 72 })
	from("127.0.0.1").expectFatal("53300")
	for _, address := range []string{"127.0.0.2", "127.0.0.3", "127.0.0.2"} {
		w := from(address).login(nil)
		w.send(query("SELECT 1"))
		if got := w.until('Z'); got != "TDCZ" {
			t.Errorf("%s got %s", address, got)
		}
	}
	oldest.expectEnd()
	before.send(query("SELECT 1"))
	if got := before.until('Z'); got != "TDCZ" {
		t.Errorf("the session of before got %s", got)
	}
	eventually(t, "who was put out is gone", func() bool { d.mu.Lock(); defer d.mu.Unlock(); return len(d.conns) == 72 && d.room.Len() == 72 })
}
