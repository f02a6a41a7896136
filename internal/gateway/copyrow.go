package gateway

import (
	"bytes"
	"encoding/binary"
	"errors"

	"sallyport/internal/pgframe"
	"sallyport/mask"
)

// copyOut reads the data of one COPY ... TO STDOUT and lets the detectors look at each value that can hold
// free text. It does not rely on where the server divides the data into messages. Whatever it does not
// understand is an error, and none of it is handed on.
type copyOut struct {
	*copyFormat
	watch   []bool // by column: the detectors look at it
	repeats mask.Repeats
	asks    *asks    // the model; nil: none
	detect  look     // the detectors
	oids    []uint32 // types, by column
	known   bool     // watch is known
	begun   bool     // the binary signature or the header line has been read
	ended   bool     // the binary trailer has been read
	prefix  []byte   // the binary signature, which leaves with what comes after it, as the server sends it
	rest    []byte   // a row of which the end has not come yet
	out     []byte   // the message that is being made
}

// unit is a part of COPY data that leaves in a message of its own.
type unit struct {
	data  []byte // as it came
	row   bool   // it is a row; else it is a header or a trailer
	found bool   // there is one
}

// maxCopyRow bounds a row: the server itself makes none above 1 GB (MaxAllocSize).
const maxCopyRow = 1 << 30

var (
	errCopyFields = errors.New("a row has another number of columns")
	errCopyEscape = errors.New("an escape sequence is unknown")
	errCopyQuotes = errors.New("quotes do not match")
	errCopyBinary = errors.New("the binary form is unknown")
	errCopyEnd    = errors.New("it ends in the middle of a row")
	errCopySize   = errors.New("a row is too large")
	errCopyTypes  = errors.New("its columns are not known")
)

var copySignature = []byte("PGCOPY\n\xff\r\n\x00")

// next cuts the first whole unit off data.
func (c *copyOut) next(data []byte) (u unit, rest []byte, err error) {
	if !c.known {
		return unit{}, data, errCopyTypes
	}
	if len(data) > maxCopyRow {
		return unit{}, data, errCopySize
	}
	if c.kind == 'b' {
		return c.nextTuple(data)
	}
	end, err := c.line(data)
	if err != nil || end < 0 {
		return unit{}, data, err
	}
	u = unit{data: data[:end+1], row: c.begun || !c.header, found: true}
	c.begun = true
	return u, data[end+1:], nil
}

// nextTuple cuts a row of the binary format, with the signature before it.
func (c *copyOut) nextTuple(data []byte) (unit, []byte, error) {
	if !c.begun {
		const header = 11 + 4 + 4 // signature, flags, length of an extension
		if len(data) < header {
			return unit{}, data, nil
		}
		// Flags and extensions change how rows look; there is none that a server sends today.
		if !bytes.Equal(data[:header], append(copySignature[:11:11], make([]byte, 8)...)) {
			return unit{}, data, errCopyBinary
		}
		c.begun, c.prefix, data = true, bytes.Clone(data[:header]), data[header:]
	}
	if len(data) > 0 && c.ended {
		return unit{}, data, errCopyBinary
	}
	if len(data) < 2 {
		return unit{}, data, nil
	}
	n := int(int16(binary.BigEndian.Uint16(data)))
	if n == -1 {
		c.ended = true
		return unit{data: data[:2], found: true}, data[2:], nil
	}
	if n != len(c.watch) {
		return unit{}, data, errCopyFields
	}
	at := 2
	for range n {
		if len(data) < at+4 {
			return unit{}, data, nil
		}
		size := int(int32(binary.BigEndian.Uint32(data[at:])))
		if size < -1 || size > maxCopyRow {
			return unit{}, data, errCopyBinary
		}
		at += 4 + max(size, 0)
	}
	if len(data) < at {
		return unit{}, data, nil
	}
	return unit{data: data[:at], row: true, found: true}, data[at:], nil
}

// line finds the line break that ends the first row, or gives -1.
func (c *copyOut) line(data []byte) (int, error) {
	if c.kind == 't' {
		return bytes.IndexByte(data, '\n'), nil // within a value it is written \n
	}
	inside := false
	for i := 0; i < len(data); i++ {
		switch b := data[i]; {
		case !inside && b == c.quote:
			inside = true
		case !inside && b == '\n':
			return i, nil
		case inside && b == c.escape:
			if i+1 == len(data) {
				return -1, nil
			}
			if n := data[i+1]; n == c.quote || n == c.escape {
				i++
			} else if b == c.quote {
				inside = false
			} else {
				return -1, errCopyEscape
			}
		case inside && b == c.quote:
			inside = false
		}
	}
	return -1, nil
}

// end says whether the data may end here.
func (c *copyOut) end() error {
	if len(c.rest) > 0 || len(c.prefix) > 0 || c.kind == 'b' && !c.ended {
		return errCopyEnd
	}
	return nil
}

// message is a unit as it may leave. It is valid until the next call.
func (c *copyOut) message(u unit, d *mask.Detector) (f pgframe.Frame, found int, err error) {
	c.out, _ = pgframe.Begin(c.out[:0], 'd')
	c.out, c.prefix = append(c.out, c.prefix...), nil
	if u.row {
		if c.detect == nil {
			c.detect = func(column int, dst, value []byte) ([]byte, int, bool) {
				dst, n := c.repeats.Redact(d, column, dst, value)
				return dst, n, false
			}
		}
		start, more := len(c.out), 0
		c.out, found, err = c.redact(c.out, u.data, c.detect)
		if a := c.asks; a != nil && err == nil {
			a.row = append(a.row[:0], c.out[start:]...)
			c.out, more, err = a.watch(c.out[:start], a.row, c.redact)
			found += more
		}
	} else {
		c.out = append(c.out, u.data...)
	}
	c.out = pgframe.End(c.out, 0)
	return pgframe.Frame{Type: 'd', Raw: c.out}, found, err
}

// redact appends a row to dst with what l finds in it hidden, and gives how much that was.
func (c *copyOut) redact(dst, row []byte, l look) (out []byte, found int, err error) {
	switch c.kind {
	case 'b':
		dst, found = eachOf(c.watch, dst, row, l)
		return dst, found, nil
	case 'c':
		return c.redactLine(dst, row[:len(row)-1], l, c.quoted, c.appendQuoted)
	}
	return c.redactLine(dst, row[:len(row)-1], l, c.escaped, c.appendEscaped)
}

// copyField is one field of a line: how it is written, and what its value is.
type copyField struct {
	raw    []byte
	value  []byte // shares raw's bytes where that is the value
	null   bool
	quoted bool
}

// redactLine is redact for a line, given how its fields are read and written.
func (c *copyOut) redactLine(dst, line []byte, l look, read func([]byte) (copyField, error), write func([]byte, []byte, copyField) []byte) ([]byte, int, error) {
	if len(c.watch) == 0 {
		if len(line) > 0 {
			return dst, 0, errCopyFields
		}
		return append(dst, '\n'), 0, nil
	}
	found := 0
	for i, watch := range c.watch {
		f, err := read(line)
		if err != nil {
			return dst, 0, err
		}
		line = line[len(f.raw):]
		last := i == len(c.watch)-1
		if last != (len(line) == 0) || !last && line[0] != c.delim {
			return dst, 0, errCopyFields
		}
		n, gone, hidden := 0, false, []byte(nil)
		if watch && !f.null {
			at := len(dst)
			dst, n, gone = l(i, dst, f.value)
			hidden, dst = dst[at:], dst[:at]
		}
		if gone {
			dst = append(dst, c.null...)
		} else if n > 0 {
			dst = write(dst, bytes.Clone(hidden), f)
		} else {
			dst = append(dst, f.raw...)
		}
		found += n
		if !last {
			dst, line = append(dst, c.delim), line[1:]
		}
	}
	return append(dst, '\n'), found, nil
}

// escaped reads a field of the text format (CopyAttributeOutText in src/backend/commands/copyto.c).
func (c *copyOut) escaped(line []byte) (copyField, error) {
	var f copyField
	end, escapes := 0, false
	for end < len(line) && line[end] != c.delim {
		if line[end] == '\\' {
			escapes = true
			end++
		}
		end++
	}
	if end > len(line) {
		return f, errCopyEscape
	}
	f.raw, f.value = line[:end:end], line[:end:end]
	if f.null = string(f.raw) == c.null; f.null || !escapes {
		return f, nil
	}
	f.value = make([]byte, 0, end)
	for i := 0; i < end; i++ {
		b := f.raw[i]
		if b == '\\' {
			i++
			b = f.raw[i]
			if at := bytes.IndexByte(escapeLetters, b); at >= 0 && b != c.delim {
				b = escapeBytes[at]
			} else if b != '\\' && b != c.delim {
				return f, errCopyEscape
			}
		}
		f.value = append(f.value, b)
	}
	return f, nil
}

var escapeLetters, escapeBytes = []byte("bfnrtv"), []byte("\b\f\n\r\t\v")

func (c *copyOut) appendEscaped(dst, value []byte, _ copyField) []byte {
	for _, b := range value {
		if at := bytes.IndexByte(escapeBytes, b); at >= 0 {
			dst = append(dst, '\\', escapeLetters[at])
			continue
		}
		if b == '\\' || b == c.delim {
			dst = append(dst, '\\')
		}
		dst = append(dst, b)
	}
	return dst
}

// quoted reads a field of the CSV format (CopyAttributeOutCSV).
func (c *copyOut) quoted(line []byte) (copyField, error) {
	var f copyField
	if len(line) == 0 || line[0] != c.quote {
		end := bytes.IndexByte(line, c.delim)
		if end < 0 {
			end = len(line)
		}
		f.raw, f.value = line[:end:end], line[:end:end]
		f.null = string(f.raw) == c.null
		if bytes.IndexByte(f.raw, c.quote) >= 0 {
			return f, errCopyQuotes
		}
		return f, nil
	}
	f.quoted = true
	for i := 1; i < len(line); i++ {
		b := line[i]
		if b == c.escape && i+1 < len(line) && (line[i+1] == c.quote || line[i+1] == c.escape) {
			i++
			f.value = append(f.value, line[i])
			continue
		}
		if b == c.quote {
			f.raw = line[: i+1 : i+1]
			return f, nil
		}
		f.value = append(f.value, b)
	}
	return f, errCopyQuotes
}

func (c *copyOut) appendQuoted(dst, value []byte, f copyField) []byte {
	if !f.quoted && string(value) != c.null && !bytes.ContainsAny(value, string([]byte{c.delim, c.quote, '\n', '\r'})) {
		return append(dst, value...)
	}
	dst = append(dst, c.quote)
	for _, b := range value {
		if b == c.quote || b == c.escape {
			dst = append(dst, c.escape)
		}
		dst = append(dst, b)
	}
	return append(dst, c.quote)
}
