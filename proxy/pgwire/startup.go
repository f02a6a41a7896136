package pgwire

import (
	"bytes"
	"crypto/subtle"
	"crypto/tls"
	"encoding/binary"
	"net"
	"time"

	"sallyport/internal/access"
)

// alpn is the protocol name that TLS from the first byte has to agree on (PostgreSQL 17, "Direct SSL").
const alpn = "postgresql"

// tlsRecord starts every TLS handshake; as a length it would be far beyond maxStartup.
const tlsRecord = 0x16

// cancelPause is how long every cancel request is held before its connection closes, whether or not its
// key was right.
const cancelPause = 20 * time.Millisecond

// negotiate takes a client up to its StartupMessage. A cancel request is dealt with here: st is then nil.
func (c *conn) negotiate() (st *startup, err error) {
	if err := c.in.fill(0); err != nil {
		// Nothing was said, so there is nobody to answer: a port scan, a health check.
		if isTimeout(err) && !c.srv.draining.Load() {
			return nil, errGone
		}
		return nil, c.readError(err)
	}
	secure, sslDone, gssDone := false, false, false
	if c.in.window()[0] == tlsRecord {
		if c.srv.opt.TLS == nil {
			return nil, protocolError("TLS was started, but the gateway does not offer it")
		}
		if err := c.startTLS(true); err != nil {
			return nil, err
		}
		secure, sslDone, gssDone = true, true, true
	}
	for {
		body, err := c.startupPacket()
		if err != nil {
			return nil, err
		}
		switch code := binary.BigEndian.Uint32(body); {
		case code == codeCancel:
			c.cancelRequest(body)
			return nil, nil
		case code == codeSSL && !sslDone:
			sslDone = true
			if err := c.nothingBuffered("SSL"); err != nil {
				return nil, err
			}
			if c.srv.opt.TLS == nil {
				err = c.out.Release([]byte{'N'})
				break
			}
			if err := c.out.Release([]byte{'S'}); err != nil {
				return nil, errGone
			}
			if err := c.startTLS(false); err != nil {
				return nil, err
			}
			secure, gssDone = true, true
		case code == codeGSS && !gssDone:
			gssDone = true
			if err := c.nothingBuffered("GSSENC"); err != nil {
				return nil, err
			}
			err = c.out.Release([]byte{'N'})
		case code == codeSSL || code == codeGSS:
			return nil, protocolError("encryption was requested twice or within TLS")
		default:
			if c.srv.opt.RequireTLS && !secure {
				return nil, needTLS(c.srv.opt.TLS != nil)
			}
			return decodeStartup(body)
		}
		if err != nil {
			return nil, errGone
		}
	}
}

// startupPacket reads one packet without a type byte and gives a copy of its body.
func (c *conn) startupPacket() ([]byte, error) {
	for {
		body, need, err := cutStartup(c.in.window())
		if err != nil {
			return nil, err
		}
		if body != nil {
			body = bytes.Clone(body)
			c.in.discard(need)
			return body, nil
		}
		if err := c.in.fill(need); err != nil {
			return nil, c.readError(err)
		}
	}
}

// nothingBuffered refuses bytes that came along with a request for encryption: somebody in the middle may
// have put them there, to be taken for a part of the encrypted stream (CVE-2021-23222).
func (c *conn) nothingBuffered(request string) error {
	if len(c.in.window()) == 0 {
		return nil
	}
	return &access.Error{
		Kind: access.Invalid, Code: "08P01", Message: "received unencrypted data after " + request + " request",
		Hint: "this is a bug of the client, or evidence of an attempted man-in-the-middle attack",
	}
}

// startTLS takes the server's side of a handshake. direct says that its first bytes have been read.
func (c *conn) startTLS(direct bool) error {
	var under net.Conn = c.nc
	if direct {
		under = &prefixed{Conn: c.nc, first: bytes.Clone(c.in.window())}
		c.in.discard(len(c.in.window()))
	}
	c.in.release()
	t := tls.Server(under, c.srv.opt.TLS)
	c.mute = true
	if err := t.Handshake(); err != nil {
		c.log.Debug("TLS handshake failed", "error", err)
		return errGone
	}
	c.mute = false
	c.io = t
	c.out.dst = t
	c.in = newReader(t, &c.srv.budget)
	for _, cert := range t.ConnectionState().PeerCertificates {
		c.chain = append(c.chain, cert.Raw)
	}
	if direct && t.ConnectionState().NegotiatedProtocol != alpn {
		return &access.Error{
			Kind: access.Invalid, Code: "08P01", Message: "TLS from the first byte needs the ALPN protocol " + alpn,
			Hint: "use sslnegotiation=postgres, or a client that offers ALPN",
		}
	}
	return nil
}

// prefixed gives back the bytes that were read ahead.
type prefixed struct {
	net.Conn
	first []byte
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.first) > 0 {
		n := copy(b, p.first)
		p.first = p.first[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}

// cancelRequest passes a cancel request on where its key is right. It is never answered, and the asker sees
// its connection close after the same time either way, however long the core takes.
func (c *conn) cancelRequest(body []byte) {
	closed := make(chan struct{})
	time.AfterFunc(cancelPause, func() {
		c.nc.Close()
		close(closed)
	})
	defer func() { <-closed }()
	pid, key, ok := decodeCancel(body)
	if !ok {
		return
	}
	if other := c.srv.byPID(pid); other != nil && subtle.ConstantTimeCompare(other.secret, key) == 1 {
		c.srv.core.Cancel(other.params.PID, other.params.Key)
	}
}

func needTLS(offered bool) error {
	hint := "connect with sslmode=require"
	if !offered {
		hint = "the gateway requires TLS but has no certificate: ask its operator"
	}
	return &access.Error{
		Kind: access.Denied, Code: "28000", Message: "connections without TLS are refused", Hint: hint,
	}
}
