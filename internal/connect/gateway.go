package connect

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/xdg-go/scram"

	"sallyport/internal/access"
	"sallyport/internal/pgframe"
)

// errTold says that the gateway refused, and that the client has its words.
type errTold struct{ error }

// dial gives a connection to the gateway's pgwire door, with TLS where Way wants it: a door that then offers none is not that of the gateway.
func dial(ctx context.Context, w Way) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", w.Address)
	if err != nil {
		return nil, &access.Error{Kind: access.Unavailable, Code: "08001", Message: "the gateway at " + w.Address + " does not answer", Hint: "does it run?", Err: err}
	}
	if w.TLS == nil {
		return conn, nil
	}
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline)
	answer := []byte{0}
	if _, err = conn.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47}); err == nil { // SSLRequest
		_, err = io.ReadFull(conn, answer)
	}
	if err == nil && answer[0] != 'S' {
		err = errors.New("it offers no TLS")
	}
	if err == nil {
		secure := tls.Client(conn, w.TLS)
		if err = secure.HandshakeContext(ctx); err == nil {
			conn.SetDeadline(time.Time{})
			return secure, nil
		}
	}
	conn.Close()
	return nil, &access.Error{Kind: access.Unavailable, Code: "08001", Message: "the gateway at " + w.Address + " cannot be trusted, or does not trust this log-in", Hint: "`sallyport login --fresh` gets a new one", Err: err}
}

// enter connects to the gateway as the person. When it returns without an error the client has been told that it is in.
func (s *Server) enter(ctx context.Context, st startup, client net.Conn) (_ net.Conn, err error) {
	w, err := s.Way(ctx)
	if err != nil {
		return nil, err
	}
	s.last.Store(&w)
	up, err := dial(ctx, w)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			up.Close()
		}
	}()
	defer context.AfterFunc(ctx, func() { up.Close() })()
	up.SetDeadline(time.Now().Add(handshakeTime))
	if _, err := up.Write(st.packet(w.User, s.Connection)); err != nil {
		return nil, err
	}
	var conv *scram.ClientConversation
	for {
		f, err := readFrame(up)
		if err != nil {
			return nil, &access.Error{Kind: access.Unavailable, Code: "08006", Message: "the gateway at " + w.Address + " broke off the log-in", Hint: "try again", Err: err}
		}
		switch f.Type {
		case 'E':
			client.Write(f.Raw)
			return nil, errTold{errors.New("the gateway refuses: " + text(f))}
		case 'N':
			if _, err := client.Write(f.Raw); err != nil {
				return nil, err
			}
			continue
		case 'R':
		default:
			return nil, fmt.Errorf("the gateway at %s sends %q in the place of a log-in", w.Address, f.Type)
		}
		body := f.Body()
		if len(body) < 4 {
			return nil, pgframe.ErrMalformed
		}
		code, data := binary.BigEndian.Uint32(body), body[4:]
		switch {
		case code == 0 && (conv != nil && conv.Valid() || conv == nil && w.TLS != nil && len(w.TLS.Certificates) > 0):
			up.SetDeadline(time.Time{})
			_, err := client.Write(f.Raw)
			return up, err
		case code == 10 && conv == nil && w.Secret != "" && slices.Contains(strings.Split(string(data), "\x00"), mechanism):
			if conv, err = begin(up, w.Secret); err != nil {
				return nil, err
			}
		case code == 11 && conv != nil && !conv.Done():
			answer, err := conv.Step(string(data))
			if err != nil {
				return nil, fmt.Errorf("the gateway's SCRAM message: %w", err)
			}
			if err := send(up, []byte(answer)); err != nil {
				return nil, err
			}
		case code == 12 && conv != nil && !conv.Done():
			if _, err := conv.Step(string(data)); err != nil || !conv.Valid() {
				return nil, errors.New("the gateway does not know the secret that it gave")
			}
		default:
			return nil, fmt.Errorf("the gateway at %s wants a log-in of kind %d, which is not to be had", w.Address, code)
		}
	}
}

// begin sends the first message of SCRAM.
func begin(up net.Conn, secret string) (*scram.ClientConversation, error) {
	c, err := scram.SHA256.NewClient("", secret, "")
	if err != nil {
		return nil, err
	}
	conv := c.NewConversation()
	first, err := conv.Step("")
	if err != nil {
		return nil, err
	}
	data := pgframe.AppendCString(nil, mechanism)
	data = binary.BigEndian.AppendUint32(data, uint32(len(first)))
	return conv, send(up, append(data, first...))
}

// send is a message of type p.
func send(up net.Conn, data []byte) error {
	dst, at := pgframe.Begin(nil, 'p')
	_, err := up.Write(pgframe.End(append(dst, data...), at))
	return err
}

// text is what an ErrorResponse says, for a terminal.
func text(f pgframe.Frame) string {
	var message string
	for _, field := range pgframe.Fields(f.Body()) {
		if field.Code == 'M' {
			message = field.Value
		}
	}
	return message
}

// cancel passes a request to cancel on, as it came: the gateway made the key in it. Whoever sends it has not given the password of the
// run, so that it goes by the way of the last one who has and makes nobody log in.
func (s *Server) cancel(ctx context.Context, packet []byte) error {
	w := s.last.Load()
	if w == nil {
		return nil
	}
	up, err := dial(ctx, *w)
	if err != nil {
		return err
	}
	defer up.Close()
	up.SetDeadline(time.Now().Add(dialTime))
	if _, err := up.Write(packet); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, up) // its end says that the request was seen
	return err
}
