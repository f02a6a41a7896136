package pgwire

import (
	"bytes"
	"encoding/binary"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"sallyport/internal/access"
)

// canned bytes of a client: a connection without a socket.
type script struct{ r *bytes.Reader }

func (s script) Read(b []byte) (int, error)       { return s.r.Read(b) }
func (script) Write(b []byte) (int, error)        { return len(b), nil }
func (script) Close() error                       { return nil }
func (script) LocalAddr() net.Addr                { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
func (script) RemoteAddr() net.Addr               { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 2} }
func (script) SetDeadline(time.Time) error        { return nil }
func (script) SetReadDeadline(time.Time) error    { return nil }
func (script) SetWriteDeadline(t time.Time) error { return nil }

// FuzzHandshake is a whole log-in, from the first byte on, by SCRAM or with a token. Nobody gets in without one, and all memory comes
// back.
func FuzzHandshake(f *testing.F) {
	people := newTokens(f)
	token := people.tokens[testUser]
	hello := startupPacket(version30, "user", testUser, "database", testConn)
	scram := encode(f, &pgproto3.SASLInitialResponse{AuthMechanism: mechanism, Data: []byte("n,,n=,r=abcdefgh")})
	for _, seed := range [][][]byte{
		{hello, scram, encode(f, &pgproto3.SASLResponse{Data: []byte("c=biws,r=abcdefgh,p=AAAA")})},
		{sslRequest, gssRequest, hello, scram},
		{hello, encode(f, bearer("n,,\x01auth=Bearer sp_x\x01\x01")), encode(f, &pgproto3.SASLResponse{Data: []byte(kvsep)})},
		{hello, encode(f, bearer("n,,\x01auth=\x01\x01")), encode(f, &pgproto3.SASLResponse{Data: []byte(kvsep)})},
		{hello, []byte("p\x00\x00\x00\x14OAUTHBEARER\x00\xff\xff\xff\xff"), encode(f, &pgproto3.SASLResponse{Data: []byte("n,,\x01auth=Bearer x\x01\x01")})},
		{startupPacket(version32, "user", testUser, "options", "-c sallyport.provider=corp"), encode(f, bearer("n,,\x01host=x\x01auth=Bearer x\x01\x01"))},
		{hello, encode(f, bearer("n,,\x01auth=Bearer "+token+"\x01\x01")), encode(f, &pgproto3.Terminate{})},
	} {
		f.Add(bytes.Join(seed, nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		core := newFakeCore()
		core.people, core.providers = people.store, []access.Provider{testProvider}
		srv := newServer(core, Options{MaxMessage: 1 << 16})
		srv.authDelay = 0
		c := newConn(srv, script{bytes.NewReader(b)})
		if !srv.admit(c) {
			t.Fatal("not admitted")
		}
		c.serve()
		if core.sessions() != 0 || srv.budget.Load() != srv.opt.MaxBuffered || len(srv.conns)+len(srv.sessions)+srv.enrolled != 0 {
			t.Fatal("something is left of the client")
		}
		for _, l := range core.logins {
			if l.Credentials != access.Bearer(token) || !bytes.Contains(b, []byte(token)) {
				t.Fatalf("logged in by %T", l.Credentials)
			}
		}
	})
}

// Whatever is taken for a token is of its characters, and there is one of it.
func FuzzBearer(f *testing.F) {
	for _, seed := range []string{"n,,\x01auth=Bearer abc.def-_~+/==\x01\x01", "y,,\x01host=h\x01port=1\x01auth=bearer  x\x01\x01", "n,,\x01auth=\x01\x01",
		"n,a=u,\x01auth=Bearer x\x01\x01", "p=x,,\x01\x01", "n,,\x01auth=Bearer x\x01auth=Bearer y\x01\x01", "n,,\x01auth=Basic x\x01\x01", kvsep} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		token, form, err := parseBearer(b)
		if err != nil {
			if ae := access.AsError(err); token != "" || form != nil || ae.Hint == "" || len(ae.Code) != 5 {
				t.Fatalf("%q: %q, %v, %v", b, token, form, err)
			}
			return
		}
		if bytes.Count(b, []byte("auth=")) < 1 || !bytes.HasSuffix(b, []byte("\x01\x01")) || form != nil && token != "" {
			t.Fatalf("%q: %q, %v", b, token, form)
		}
		if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`",;\\%&<>`, r) }) {
			t.Fatalf("token %q", token)
		}
		if token != "" && !bytes.Contains(b, []byte(" "+token+"\x01")) {
			t.Fatalf("token %q is not what stands in %q", token, b)
		}
	})
}

// The first response's length and its mechanism come from the client.
func FuzzInitialResponse(f *testing.F) {
	f.Add([]byte("SCRAM-SHA-256\x00\x00\x00\x00\x03n,,"))
	f.Add([]byte("OAUTHBEARER\x00\xff\xff\xff\xff"))
	f.Add([]byte("x\x00\xff\xff\xff\xfe"))
	f.Fuzz(func(t *testing.T, b []byte) {
		name, first, given, err := initialResponse(b)
		if err != nil {
			return
		}
		head := len(name) + 5
		if strings.Contains(name, "\x00") || len(b) != head+len(first) || given != (binary.BigEndian.Uint32(b[head-4:]) != 1<<32-1) {
			t.Fatalf("%q: %q, %q, %t", b, name, first, given)
		}
	})
}
