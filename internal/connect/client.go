package connect

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/xdg-go/scram"

	"sallyport/internal/access"
	"sallyport/internal/pgframe"
)

// Of pqcomm.h.
const (
	maxStartup = 10000
	codeCancel = 1234<<16 | 5678
	codeSSL    = 1234<<16 | 5679
	codeGSS    = 1234<<16 | 5680
	version30  = 3 << 16
	version32  = 3<<16 | 2
	maxAuth    = 16 << 10 // bytes of a message before the log-in is done
)

const mechanism = "SCRAM-SHA-256"

// client serves one client of this machine.
func (s *Server) client(ctx context.Context, conn net.Conn) error {
	conn.SetDeadline(time.Now().Add(handshakeTime))
	packet, err := firstPacket(conn)
	if err != nil {
		return nil // who looks whether the port is open is no news
	}
	code := binary.BigEndian.Uint32(packet[4:])
	if code == codeCancel {
		return s.cancel(ctx, packet)
	}
	st, negotiate, err := readStartup(packet)
	if err != nil {
		return s.refuse(conn, err)
	}
	if negotiate != nil {
		if _, err := conn.Write(negotiate); err != nil {
			return nil
		}
	}
	if err := s.authenticate(conn); err != nil {
		return s.refuse(conn, err)
	}
	conn.SetDeadline(time.Time{}) // somebody may have to log in
	up, err := s.enter(ctx, st, conn)
	if err != nil {
		var told errTold
		if errors.As(err, &told) {
			return err
		}
		return s.refuse(conn, err)
	}
	defer up.Close()
	splice(ctx, conn, up)
	return nil
}

// splice passes bytes on until one side ends.
func splice(ctx context.Context, conn, up net.Conn) {
	defer context.AfterFunc(ctx, func() { up.Close() })()
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(up, conn)
		up.Close()
	}()
	io.Copy(conn, up)
	conn.Close()
	<-done
}

// firstPacket reads up to the first packet that asks for something. TLS is of no use between two programs of one machine: N says so, once.
func firstPacket(conn net.Conn) ([]byte, error) {
	for range 3 {
		var head [8]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return nil, err
		}
		n := binary.BigEndian.Uint32(head[:])
		if n < 8 || n > maxStartup {
			return nil, errors.New("no PostgreSQL client")
		}
		packet := make([]byte, n)
		copy(packet, head[:])
		if _, err := io.ReadFull(conn, packet[8:]); err != nil {
			return nil, err
		}
		switch binary.BigEndian.Uint32(packet[4:]) {
		case codeSSL, codeGSS:
			if _, err := conn.Write([]byte{'N'}); err != nil {
				return nil, err
			}
		default:
			return packet, nil
		}
	}
	return nil, errors.New("no PostgreSQL client")
}

// startup is what a client asks for at its start, but for who it is and where it wants to go.
type startup struct {
	version uint32
	rest    []byte // parameters, each name and value ended by NUL
}

// readStartup decodes a StartupMessage. negotiate is what the client must be told first where it asks for more than the gateway speaks.
func readStartup(packet []byte) (st startup, negotiate []byte, err error) {
	asked := binary.BigEndian.Uint32(packet[4:])
	if asked>>16 != 3 {
		return st, nil, refusal("0A000", "this protocol is not spoken: PostgreSQL 3.0 to 3.2 are", "use a newer client")
	}
	var unknown []string
	body := packet[8:]
	for len(body) > 0 && body[0] != 0 {
		name, rest, ok := pgframe.CString(body)
		value, rest, ok2 := pgframe.CString(rest)
		if !ok || !ok2 {
			return st, nil, refusal("08P01", "the startup packet is broken", "")
		}
		body = rest
		switch {
		case strings.HasPrefix(name, "_pq_."):
			unknown = append(unknown, name)
		case name != "user" && name != "database":
			st.rest = pgframe.AppendCString(pgframe.AppendCString(st.rest, name), value)
		}
	}
	st.version = min(asked, version32)
	if st.version != version30 && st.version != version32 {
		st.version = version30
	}
	if st.version != asked || len(unknown) > 0 {
		dst, at := pgframe.Begin(nil, 'v')
		dst = binary.BigEndian.AppendUint32(dst, st.version)
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(unknown)))
		for _, name := range unknown {
			dst = pgframe.AppendCString(dst, name)
		}
		negotiate = pgframe.End(dst, at)
	}
	return st, negotiate, nil
}

// packet is the StartupMessage for the gateway.
func (st startup) packet(user, connection string) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 4), st.version)
	for _, v := range []string{"user", user, "database", connection} {
		b = pgframe.AppendCString(b, v)
	}
	b = append(append(b, st.rest...), 0)
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

// authenticate demands the password of the run by SCRAM-SHA-256, so that it never passes the socket.
func (s *Server) authenticate(conn net.Conn) error {
	wrong := refusal("28P01", "the password is not that of this run", "copy the one that `sallyport connect` has shown; it is new each time")
	server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) { return s.keys, nil })
	if err != nil {
		return err
	}
	conv := server.NewConversation()
	if err := sendAuth(conn, 10, mechanism+"\x00\x00"); err != nil {
		return err
	}
	body, err := readAuth(conn, 'p')
	if err != nil {
		return err
	}
	name, rest, ok := pgframe.CString(body)
	if !ok || name != mechanism || len(rest) < 4 || uint32(len(rest)-4) != binary.BigEndian.Uint32(rest) {
		return refusal("08P01", "the client offers no SCRAM-SHA-256", "use a client that knows it")
	}
	answer, err := conv.Step(string(rest[4:]))
	if err != nil {
		return refusal("08P01", "malformed SCRAM message", "")
	}
	if err := sendAuth(conn, 11, answer); err != nil {
		return err
	}
	if body, err = readAuth(conn, 'p'); err != nil {
		return err
	}
	if answer, err = conv.Step(string(body)); err != nil || !conv.Valid() {
		return wrong
	}
	return sendAuth(conn, 12, answer)
}

func sendAuth(conn net.Conn, code uint32, data string) error {
	dst, at := pgframe.Begin(nil, 'R')
	dst = append(binary.BigEndian.AppendUint32(dst, code), data...)
	_, err := conn.Write(pgframe.End(dst, at))
	return err
}

// readAuth reads one message of the type wanted and gives its body.
func readAuth(conn net.Conn, want byte) ([]byte, error) {
	f, err := readFrame(conn)
	if err != nil {
		return nil, err
	}
	if f.Type != want {
		return nil, refusal("08P01", fmt.Sprintf("a message of type %q is not expected here", f.Type), "")
	}
	return f.Body(), nil
}

// readFrame reads one message and not a byte more: what follows is passed on unread.
func readFrame(conn net.Conn) (pgframe.Frame, error) {
	var head [5]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return pgframe.Frame{}, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n < 4 || n > maxAuth {
		return pgframe.Frame{}, pgframe.ErrMalformed
	}
	raw := make([]byte, n+1)
	copy(raw, head[:])
	_, err := io.ReadFull(conn, raw[5:])
	return pgframe.Frame{Type: head[0], Raw: raw}, err
}

func refusal(code, message, hint string) error {
	return &access.Error{Kind: access.Denied, Code: code, Message: message, Hint: hint}
}

// refuse tells the client why it is not served, and gives the reason back to be reported.
func (s *Server) refuse(conn net.Conn, err error) error {
	var e *access.Error
	if !errors.As(err, &e) {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil // gone, as psql is that asks for the password first
		}
		e = &access.Error{Code: "08006", Message: err.Error()}
	}
	code := e.Code
	if code == "" {
		code = "08004"
	}
	conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	conn.Write(pgframe.AppendError(nil, 'E', pgframe.Field{Code: 'S', Value: "FATAL"}, pgframe.Field{Code: 'V', Value: "FATAL"}, pgframe.Field{Code: 'C', Value: code},
		pgframe.Field{Code: 'M', Value: "sallyport connect: " + e.Message}, pgframe.Field{Code: 'H', Value: e.Hint}))
	return err
}
