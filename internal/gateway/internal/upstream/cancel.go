package upstream

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"
)

// Codes of requests in the place of a startup packet (src/include/libpq/pqcomm.h).
const (
	cancelRequest = 80877102
	sslRequest    = 80877103
)

// Cancel asks the server to cancel what this connection runs, and returns once the server has passed
// the request on. It may be called from any goroutine. The request goes as the connection does: whoever
// reads its key could cancel too.
func (c *Conn) Cancel(ctx context.Context) error {
	d := net.Dialer{Timeout: DialTimeout}
	conn, err := d.DialContext(ctx, c.addr.Network(), c.addr.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(DialTimeout))
	if c.tls != nil {
		if !c.direct {
			if err := askTLS(conn); err != nil {
				return err
			}
		}
		conn = tls.Client(conn, c.tls)
	}
	msg := binary.BigEndian.AppendUint32(nil, uint32(12+len(c.key)))
	msg = binary.BigEndian.AppendUint32(msg, cancelRequest)
	msg = binary.BigEndian.AppendUint32(msg, c.PID)
	msg = append(msg, c.key...)
	if _, err := conn.Write(msg); err != nil {
		return err
	}
	// The server closes once it has signalled the backend: only then may the next statement start.
	conn.Read(make([]byte, 1))
	return nil
}

// askTLS has the server begin TLS.
func askTLS(conn net.Conn) error {
	msg := binary.BigEndian.AppendUint32(nil, 8)
	if _, err := conn.Write(binary.BigEndian.AppendUint32(msg, sslRequest)); err != nil {
		return err
	}
	var answer [1]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return err
	}
	if answer[0] != 'S' {
		return errors.New("the database that spoke TLS does not any more")
	}
	return nil
}
