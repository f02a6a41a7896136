// Package pgframe cuts a byte stream into PostgreSQL protocol 3 messages and builds the few that the
// gateway sends itself. It does no I/O and copies nothing: frames in, frames out, so that a
// goroutine, an event loop or a test can drive it. pgx's pgproto3 is its oracle in tests.
//
// Source: PostgreSQL documentation, chapter "Frontend/Backend Protocol", section "Message Formats".
package pgframe

import (
	"encoding/binary"
	"errors"
)

// ErrMalformed says that a length field cannot be right.
var ErrMalformed = errors.New("malformed message length")

// Frame is one message: its type byte and the whole of its bytes (type, length and body).
type Frame struct {
	Type byte
	Raw  []byte
}

// Body is the message without type and length.
func (f Frame) Body() []byte { return f.Raw[5:] }

// Next cuts the first message off buf. It gives ok=false when buf does not hold a whole one yet; need
// is then how many bytes the message has in all, or 0 when not even its length is there.
func Next(buf []byte) (f Frame, rest []byte, need int, err error) {
	if len(buf) < 5 {
		return Frame{}, buf, 0, nil
	}
	n := int(binary.BigEndian.Uint32(buf[1:5]))
	if n < 4 || n > 1<<30 {
		return Frame{}, buf, 0, ErrMalformed
	}
	n++
	if len(buf) < n {
		return Frame{}, buf, n, nil
	}
	return Frame{Type: buf[0], Raw: buf[:n:n]}, buf[n:], n, nil
}

// CString reads a NUL-terminated string.
func CString(b []byte) (s string, rest []byte, ok bool) {
	for i, c := range b {
		if c == 0 {
			return string(b[:i]), b[i+1:], true
		}
	}
	return "", nil, false
}

// Begin appends a message header for typ; End fills in its length. start is what Begin returned.
func Begin(dst []byte, typ byte) (out []byte, start int) {
	start = len(dst)
	return append(dst, typ, 0, 0, 0, 0), start
}

// End fills in the length of the message that began at start.
func End(dst []byte, start int) []byte {
	binary.BigEndian.PutUint32(dst[start+1:], uint32(len(dst)-start-1))
	return dst
}

// AppendCString appends s and a NUL.
func AppendCString(dst []byte, s string) []byte {
	dst = append(dst, s...)
	return append(dst, 0)
}

// AppendEmpty appends a message without a body, such as Sync or ParseComplete.
func AppendEmpty(dst []byte, typ byte) []byte { return append(dst, typ, 0, 0, 0, 4) }

// AppendQuery appends a simple-protocol Query.
func AppendQuery(dst []byte, sql string) []byte {
	dst, at := Begin(dst, 'Q')
	return End(AppendCString(dst, sql), at)
}

// AppendParse appends a Parse.
func AppendParse(dst []byte, name, sql string, oids []uint32) []byte {
	dst, at := Begin(dst, 'P')
	dst = AppendCString(AppendCString(dst, name), sql)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(oids)))
	for _, o := range oids {
		dst = binary.BigEndian.AppendUint32(dst, o)
	}
	return End(dst, at)
}

// AppendError appends an ErrorResponse (typ 'E') or NoticeResponse (typ 'N') from field pairs.
func AppendError(dst []byte, typ byte, fields ...Field) []byte {
	dst, at := Begin(dst, typ)
	for _, f := range fields {
		if f.Value != "" {
			dst = AppendCString(append(dst, f.Code), f.Value)
		}
	}
	return End(append(dst, 0), at)
}

// Field is one field of an ErrorResponse or NoticeResponse; Code as in section "Error and Notice
// Message Fields".
type Field struct {
	Code  byte
	Value string
}

// Fields reads the fields of an ErrorResponse or NoticeResponse body.
func Fields(body []byte) []Field {
	var out []Field
	for len(body) > 0 && body[0] != 0 {
		v, rest, ok := CString(body[1:])
		if !ok {
			return out
		}
		out = append(out, Field{body[0], v})
		body = rest
	}
	return out
}
