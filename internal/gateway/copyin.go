package gateway

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway/internal/upstream"
	"sallyport/internal/pgframe"
	"sallyport/mask"
)

// copiedRows takes the rows of a COPY ... FROM STDIN whose tokens are stored as their values. Each row is read and written anew,
// so what the server takes for a row and its columns does not depend on what the client wrote: in the text format with its
// defaults, or in binary. The values pass through here and are kept nowhere; that they are looked for, and not known, is
// what a client can make happen.
type copiedRows struct {
	copyOut // reads rows
	columns []mask.TokenColumn
	values  upstream.Values
	limit   time.Duration // for one question

	crlf, begunLines, over bool // lines end in CR LF; that is known; the end marker has come
	rows                   [][]copyField
	size                   int
}

// Rows are looked up by so many, or so many bytes, at a time. Nothing more of the data is held.
const (
	copyBatch     = 1000
	copyBatchSize = 256 << 10
	mostCopiedRow = 4 << 20
	copyPatience  = 30 * time.Second
)

var errCopyBreak = errors.New("a line break is not written as the first one")

// newCopiedRows is for a COPY that was compiled so.
func newCopiedRows(s *Session, pl *plan) (*copiedRows, error) {
	f, err := readCopyFormat(pl.copied.Options)
	if err != nil {
		return nil, err
	}
	c := &copiedRows{copyOut: copyOut{copyFormat: f, known: true, watch: make([]bool, len(pl.copied.Columns))}, columns: pl.copied.Columns, limit: pl.decision.Obligations.Timeout}
	if c.limit == 0 || c.limit > copyPatience {
		c.limit = copyPatience
	}
	c.values = upstream.Values{DSN: s.db.dsn.get(), Settings: s.tokenPads()}
	return c, nil
}

// take appends to dst what may be sent of the data that has come, as CopyData; last says that there is no more.
func (c *copiedRows) take(dst, data []byte, last bool) ([]byte, error) {
	c.rest = append(c.rest, data...)
	if last && len(c.rest) > 0 && c.kind != 'b' && !c.over {
		c.rest = append(c.rest, '\n')
	}
	data = c.rest
	for !c.over {
		u, rest, err := c.next(data)
		if err != nil {
			return dst, err
		}
		if data = rest; !u.found {
			break
		}
		if u.row {
			if err := c.read(u.data); err != nil {
				return dst, err
			}
		}
		if len(c.rows) >= copyBatch || c.size >= copyBatchSize {
			if dst, err = c.flush(dst); err != nil {
				return dst, err
			}
		}
	}
	if c.rest = append(c.rest[:0], data...); c.over {
		c.rest = c.rest[:0] // as the server does with what follows the end marker
	}
	if len(c.rest) > mostCopiedRow {
		return dst, errCopySize
	}
	if !last {
		return dst, nil
	}
	if len(c.rest) > 0 {
		return dst, errCopyEnd
	}
	dst, err := c.flush(dst)
	if err != nil || c.kind != 'b' {
		return dst, err
	}
	dst, at := pgframe.Begin(dst, 'd')
	dst = append(dst, c.prefix...) // no row took it along
	c.prefix = nil
	if c.ended {
		dst = append(dst, 0xFF, 0xFF)
	}
	return pgframe.End(dst, at), nil
}

// read takes a row apart.
func (c *copiedRows) read(row []byte) error {
	c.size += len(row)
	fields := make([]copyField, len(c.columns))
	if c.kind == 'b' {
		row = row[2:]
		for i := range fields {
			size := int(int32(binary.BigEndian.Uint32(row)))
			if row = row[4:]; size < 0 {
				fields[i].null = true
				continue
			}
			fields[i].value, row = bytes.Clone(row[:size]), row[size:]
		}
		c.rows = append(c.rows, fields)
		return nil
	}
	line := row[:len(row)-1]
	ended := bytes.HasSuffix(line, []byte{'\r'})
	if !c.begunLines {
		c.crlf, c.begunLines = ended, true
	}
	if c.crlf != ended {
		return errCopyBreak
	}
	if c.crlf {
		line = line[:len(line)-1]
	}
	if string(line) == `\.` {
		c.over = true
		return nil
	}
	read := c.escaped
	if c.kind == 'c' {
		read = c.quoted
	}
	for i := range fields {
		f, err := read(line)
		if err != nil {
			return err
		}
		line = line[len(f.raw):]
		last := i == len(fields)-1
		if last != (len(line) == 0) || !last && line[0] != c.delim {
			return errCopyFields
		}
		if !last {
			line = line[1:]
		}
		if !f.quoted && bytes.IndexByte(f.raw, '\r') >= 0 {
			return errCopyBreak
		}
		fields[i] = copyField{value: bytes.Clone(f.value), null: f.null}
	}
	if len(fields) == 0 && len(line) > 0 {
		return errCopyFields
	}
	c.rows = append(c.rows, fields)
	return nil
}

// flush looks the tokens of the rows up and appends the rows to dst.
func (c *copiedRows) flush(dst []byte) ([]byte, error) {
	for i, col := range c.columns {
		if err := c.resolve(i, col); err != nil {
			return dst, err
		}
	}
	for _, row := range c.rows {
		dst = c.write(dst, row)
	}
	c.rows, c.size = c.rows[:0], 0
	return dst, nil
}

// resolve puts values in the place of the tokens of one column.
func (c *copiedRows) resolve(i int, col mask.TokenColumn) error {
	at := map[string][]*copyField{}
	var tokens []string
	for _, row := range c.rows {
		f := &row[i]
		if f.null {
			continue
		}
		text := string(f.value)
		if c.kind == 'b' && col.UUID {
			text = hex.EncodeToString(f.value)
		}
		if t := col.Token(text); t != "" {
			if at[t] == nil {
				tokens = append(tokens, t)
			}
			at[t] = append(at[t], f)
		}
	}
	if len(tokens) == 0 {
		return nil
	}
	ctx, stop := context.WithTimeout(context.Background(), c.limit)
	defer stop()
	var why *access.Error
	left := len(tokens)
	err := c.values.Find(ctx, col.SQL, tokens, func(token, value string, n int64) {
		left--
		if e := mask.TokenWithout(n); e != nil {
			why = e
		}
		for _, f := range at[token] {
			f.value = []byte(value)
			if c.kind == 'b' && col.UUID {
				f.value, _ = hex.DecodeString(strings.ReplaceAll(value, "-", ""))
			}
		}
	})
	switch {
	case err != nil:
		return &access.Error{Kind: access.Unavailable, Code: "57014", Message: "the values of the tokens in this COPY could not be looked up: nothing was stored",
			Hint: "try again with fewer rows, outside of a transaction that locks the tables which have the values", Err: err}
	case why != nil:
		return why
	case left > 0:
		return mask.TokenWithout(0)
	}
	return nil
}

// write appends a row in the form that the compiled statement takes.
func (c *copiedRows) write(dst []byte, row []copyField) []byte {
	dst, at := pgframe.Begin(dst, 'd')
	if c.kind == 'b' {
		dst, c.prefix = append(dst, c.prefix...), nil
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(row)))
		for _, f := range row {
			size := uint32(len(f.value))
			if f.null {
				size = 0xFFFFFFFF
			}
			dst = append(binary.BigEndian.AppendUint32(dst, size), f.value...)
		}
		return pgframe.End(dst, at)
	}
	plain := copyOut{copyFormat: &copyFormat{kind: 't', delim: '\t'}}
	for i, f := range row {
		if i > 0 {
			dst = append(dst, '\t')
		}
		if f.null {
			dst = append(dst, `\N`...)
		} else {
			dst = plain.appendEscaped(dst, f.value, f)
		}
	}
	return pgframe.End(append(dst, '\n'), at)
}

// copyOp takes one operation while the client sends COPY data.
func (s *Session) copyOp(op *Op) error {
	switch op.Kind {
	case OpCopyData:
		if len(s.out) > windowSize {
			if err := s.send(); err != nil {
				return err
			}
		}
		if s.copied != nil {
			return s.copyRows(op.Raw[5:], false)
		}
		s.out = append(s.out, op.Raw...)
	case OpCopyDone:
		if s.copied != nil {
			if err := s.copyRows(nil, true); err != nil || !s.copyIn {
				return err
			}
		}
		s.out = pgframe.AppendEmpty(s.out, 'c')
		s.endCopyIn()
	case OpCopyFail:
		s.out = append(s.out, op.Raw...)
		s.endCopyIn()
	case OpFlush, OpSync: // ignored in copy-in mode (protocol chapter, "COPY Operations")
	default:
		return &access.Error{Kind: access.Invalid, Code: "08P01", Message: "unexpected message while COPY data is expected"}
	}
	return nil
}

// copyRows takes data of a COPY whose tokens are stored as their values; last says that it is all. What cannot be taken
// makes the COPY fail.
func (s *Session) copyRows(data []byte, last bool) error {
	s.heavy() // a question may be put to the database
	out, err := s.copied.take(s.out, data, last)
	s.out = out
	if err == nil {
		return nil
	}
	r := &s.runs[s.owed[s.next].run]
	var why *access.Error
	if !errors.As(err, &why) {
		why = &access.Error{Kind: access.Invalid, Code: "22P04", Message: "the rows of this COPY were not understood, as has to be where tokens are stored as values: " + err.Error(),
			Hint: "write them as COPY TO would, of at most 4 MiB each"}
	}
	if why.Err != nil {
		s.gw.logger.Warn("tokens not looked up", "session", s.id, "error", why.Err)
	}
	r.refusal = why
	dst, at := pgframe.Begin(s.out, 'f')
	s.out = pgframe.End(pgframe.AppendCString(dst, "sallyport: refused"), at)
	s.endCopyIn()
	return nil
}

// endCopyIn ends the COPY under way.
func (s *Session) endCopyIn() {
	s.copyIn = false
	if s.copied != nil {
		s.copied.values.Close()
		s.copied = nil
	}
}
