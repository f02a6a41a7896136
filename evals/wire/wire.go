// Package wire is a PostgreSQL client that writes down every message of the server, so that two
// answers can be compared to the last byte: row descriptions, rows, command tags, notices, and
// errors with all their fields.
//
// It is built on pgx's protocol library and shares no code with the gateway. Start with Dial.
package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// Conn is one connection. After an error of its methods it is dead.
type Conn struct {
	conn    net.Conn
	front   *pgproto3.Frontend
	Timeout time.Duration // for one exchange
	Dead    bool
}

// Abort goes away without a word. It may be called while something runs.
func (c *Conn) Abort() { c.conn.Close() }

// Answer is what the server said to one exchange.
type Answer struct {
	Lines []string // one a message, in order
	// Values are the bytes of each value, by row: of DataRow messages, and of CopyData as rows of one value.
	Values [][][]byte
	Rows   int    // DataRow and CopyData messages
	Code   string // SQLSTATE of the first error, or "TIMEOUT", "CLOSED"; "" if all went well
	Error  string // message of the first error
	Hint   string
	At     int // character of the statement that the first error points at, from 1; 0 for none
}

// Failed says whether the answer is an error.
func (a Answer) Failed() bool { return a.Code != "" }

// Text is the whole answer for comparing and searching.
func (a Answer) Text() string { return strings.Join(a.Lines, "\n") }

// Dial connects.
func Dial(ctx context.Context, dsn string) (*Conn, error) {
	cfg, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	cfg.RuntimeParams["application_name"] = "evals"
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second) // a door that keeps us waiting is an error too
	defer cancel()
	pc, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := pc.SyncConn(ctx); err != nil {
		return nil, err
	}
	h, err := pc.Hijack()
	if err != nil {
		return nil, err
	}
	return &Conn{conn: h.Conn, front: h.Frontend, Timeout: 10 * time.Second}, nil
}

// On is a connection whose start-up somebody else has made.
func On(conn net.Conn, front *pgproto3.Frontend) *Conn {
	return &Conn{conn: conn, front: front, Timeout: 10 * time.Second}
}

// Wait reads what the server sends unasked until it ends the connection, and gives the first error. The connection is dead then.
func (c *Conn) Wait(d time.Duration) Answer {
	var a Answer
	c.conn.SetDeadline(time.Now().Add(d))
	for {
		msg, err := c.front.Receive()
		if err != nil {
			c.Dead = true
			c.conn.Close()
			if a.Code == "" {
				a.Code, a.Error = "CLOSED", err.Error()
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				a.Code, a.Error = "TIMEOUT", err.Error()
			}
			return a
		}
		a.Lines = append(a.Lines, line(msg))
		if m, ok := msg.(*pgproto3.ErrorResponse); ok && a.Code == "" {
			a.Code, a.Error, a.Hint = m.Code, m.Message, m.Hint
		}
	}
}

// Close says good-bye and closes.
func (c *Conn) Close() {
	if !c.Dead {
		c.front.Send(&pgproto3.Terminate{})
		c.front.Flush()
	}
	c.conn.Close()
	c.Dead = true
}

// Simple runs a simple-protocol query, of one statement or more.
func (c *Conn) Simple(sql string) Answer {
	c.front.Send(&pgproto3.Query{String: sql})
	return c.collect(false)
}

// Extended runs one statement by Parse, Bind, Describe, Execute and Sync with results in the given
// format (0 text, 1 binary). With batch > 0 the portal is executed batch rows at a time.
func (c *Conn) Extended(sql string, format int16, batch uint32) Answer {
	c.front.Send(&pgproto3.Parse{Query: sql})
	c.front.Send(&pgproto3.Describe{ObjectType: 'S'})
	c.front.Send(&pgproto3.Bind{ResultFormatCodes: []int16{format}})
	c.front.Send(&pgproto3.Describe{ObjectType: 'P'})
	c.front.Send(&pgproto3.Execute{MaxRows: batch})
	if batch > 0 { // a suspended portal is read on; where it is done already these give nothing
		for range 3 {
			c.front.Send(&pgproto3.Execute{MaxRows: batch})
		}
	}
	c.front.Send(&pgproto3.Sync{})
	return c.collect(true)
}

// Send sends messages, the last of which asks for ReadyForQuery. extended says that they are of the extended protocol.
func (c *Conn) Send(extended bool, messages ...pgproto3.FrontendMessage) Answer {
	for _, m := range messages {
		c.front.Send(m)
	}
	return c.collect(extended)
}

// collect sends what is queued and writes down everything up to ReadyForQuery.
func (c *Conn) collect(extended bool) Answer {
	var a Answer
	fail := func(code string, err error) Answer {
		c.Dead = true
		c.conn.Close()
		a.Lines = append(a.Lines, code)
		if a.Code == "" {
			a.Code, a.Error = code, err.Error()
		}
		return a
	}
	if c.Dead {
		return fail("CLOSED", errors.New("connection is closed"))
	}
	c.conn.SetDeadline(time.Now().Add(c.Timeout))
	if err := c.front.Flush(); err != nil {
		return fail("CLOSED", err)
	}
	for {
		msg, err := c.front.Receive()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return fail("TIMEOUT", err)
		}
		if err != nil {
			return fail("CLOSED", err)
		}
		switch m := msg.(type) {
		case *pgproto3.CopyInResponse:
			c.front.Send(&pgproto3.CopyFail{Message: "no data"})
			if extended { // the Sync sent before was ignored in copy mode
				c.front.Send(&pgproto3.Sync{})
			}
			if err := c.front.Flush(); err != nil {
				return fail("CLOSED", err)
			}
		case *pgproto3.DataRow, *pgproto3.CopyData:
			a.Rows++
		case *pgproto3.ErrorResponse:
			if a.Code == "" {
				a.Code, a.Error, a.Hint, a.At = m.Code, m.Message, m.Hint, int(m.Position)
			}
		}
		if d, ok := msg.(*pgproto3.CopyData); ok && bytes.HasPrefix(d.Data, copyHeader) {
			// The server sends the header of a binary COPY along with whichever row comes first.
			a.Lines = append(a.Lines, fmt.Sprintf("d %q", copyHeader))
			d.Data = d.Data[len(copyHeader):]
		}
		switch m := msg.(type) {
		case *pgproto3.DataRow:
			row := make([][]byte, len(m.Values))
			for i, v := range m.Values {
				row[i] = bytes.Clone(v)
			}
			a.Values = append(a.Values, row)
		case *pgproto3.CopyData:
			a.Values = append(a.Values, [][]byte{bytes.Clone(m.Data)})
		}
		a.Lines = append(a.Lines, line(msg))
		if _, ok := msg.(*pgproto3.ReadyForQuery); ok {
			return a
		}
	}
}

// copyHeader begins a binary COPY: signature, flags, and no extension.
var copyHeader = []byte("PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00")

// line writes one message down with every field that it has.
func line(msg pgproto3.BackendMessage) string {
	switch m := msg.(type) {
	case *pgproto3.DataRow:
		var b strings.Builder
		b.WriteString("D")
		for _, v := range m.Values {
			if v == nil {
				b.WriteString(" NULL")
			} else {
				fmt.Fprintf(&b, " %q", v)
			}
		}
		return b.String()
	case *pgproto3.RowDescription:
		var b strings.Builder
		b.WriteString("T")
		for _, f := range m.Fields {
			fmt.Fprintf(&b, " %q(%d.%d %d %d %d %d)", f.Name, f.TableOID, f.TableAttributeNumber, f.DataTypeOID, f.DataTypeSize, f.TypeModifier, f.Format)
		}
		return b.String()
	case *pgproto3.ErrorResponse:
		return fmt.Sprintf("E %+v", *m)
	case *pgproto3.NoticeResponse:
		return fmt.Sprintf("N %+v", pgproto3.ErrorResponse(*m))
	case *pgproto3.CopyData:
		return fmt.Sprintf("d %q", m.Data)
	case *pgproto3.CommandComplete:
		return fmt.Sprintf("C %q", m.CommandTag)
	case *pgproto3.ParameterStatus:
		return fmt.Sprintf("S %q=%q", m.Name, m.Value)
	case *pgproto3.NotificationResponse:
		return fmt.Sprintf("A %q %q", m.Channel, m.Payload) // the sender's PID differs by itself
	case *pgproto3.ReadyForQuery:
		return "Z " + string(m.TxStatus)
	case *pgproto3.ParameterDescription:
		return fmt.Sprintf("t %v", m.ParameterOIDs)
	case *pgproto3.CopyOutResponse:
		return fmt.Sprintf("H %d %v", m.OverallFormat, m.ColumnFormatCodes)
	case *pgproto3.CopyInResponse:
		return fmt.Sprintf("G %d %v", m.OverallFormat, m.ColumnFormatCodes)
	default:
		return fmt.Sprintf("%T", msg)
	}
}
