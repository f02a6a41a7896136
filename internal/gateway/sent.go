package gateway

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgtype"

	"sallyport/internal/access"
	"sallyport/internal/approval"
	"sallyport/internal/pgframe"
)

// Parameters of what waits for approval, as they were sent: what a reviewer is shown, what a preview binds, what a digest and the ranges of
// a grant are over, and what runs are the same values.

// askWhat asks the database for what decides what a statement means, and has to be approved with it: settings of the session, and the types
// of parameters. What was made under other settings is refused.
func (s *Session) askWhat(w *wanted, sink Sink) error {
	if err := s.askMeaning(w.list, sink); err != nil {
		return err
	}
	if err := s.madeBefore(*w); err != nil {
		return err
	}
	return s.askTypes(w, sink)
}

// askTypes has the database say of what types the parameters are that the client has left open.
func (s *Session) askTypes(w *wanted, sink Sink) error {
	if len(w.params) == 0 {
		return nil
	}
	if len(w.raw) == 0 {
		return &access.Error{Kind: access.Unsupported, Code: "0A000", Message: "this statement needs approval by now, and its parameters were bound before it did", Hint: "bind it again"}
	}
	w.inferred = w.types
	if typesKnown(w.types, len(w.params)) || s.tx == 'E' { // nothing can be asked in a failed transaction, and nothing runs there
		return nil
	}
	var err error
	w.inferred, err = s.describeTypes(w.stmt.text, w.types, sink)
	if err == nil && len(w.inferred) != len(w.params) {
		err = &access.Error{Kind: access.Unsupported, Code: "08P01", Message: fmt.Sprintf("this statement needs approval, and has %d parameters, not %d", len(w.inferred), len(w.params)), Hint: "nothing ran"}
	}
	return err
}

// typesKnown reports whether none of n types is left open.
func typesKnown(types []uint32, n int) bool { return len(types) >= n && !slices.Contains(types[:n], 0) }

// describeTypes asks for the types of a statement's parameters by a statement of the core's own, so that what the client has queued stays so.
func (s *Session) describeTypes(text string, declared []uint32, sink Sink) ([]uint32, error) {
	if s.begun || s.tx != 'I' { // nobody is waited for there, so what is queued may go first
		if err := s.settle(sink); err != nil {
			return nil, err
		}
		if s.skip {
			return nil, &access.Error{Kind: access.Internal, Message: "skipped after an error"}
		}
	} else {
		unsync := s.unsync
		s.unsync = false
		defer func() { s.unsync = unsync }()
	}
	const name = "sallyport types"
	var b []byte
	for _, kind := range []byte("CPDC") { // closed first: where the last one failed half-way it is still there
		if kind == 'P' {
			b = pgframe.AppendParse(b, name, text, declared)
			continue
		}
		var at int
		b, at = pgframe.Begin(b, kind)
		b = pgframe.End(pgframe.AppendCString(append(b, 'S'), name), at)
	}
	last := byte('S')
	if s.unsync {
		last = 'H'
	}
	if err := s.up.Write(pgframe.AppendEmpty(b, last)); err != nil {
		return nil, err
	}
	var types []uint32
	var refused error
	closed := 0
	for {
		f, err := s.up.Next()
		if err != nil {
			return nil, err
		}
		switch f.Type {
		case 't':
			for b := f.Body(); len(b) >= 6; b = b[4:] {
				types = append(types, binary.BigEndian.Uint32(b[2:]))
			}
		case 'E':
			if s.unsync || s.tx != 'I' {
				return nil, errLostTrack // what it was parsed as a moment ago it is not any more, and the transaction has failed
			}
			refused = &access.Error{Kind: access.Unsupported, Code: field(pgframe.Fields(f.Body()), 'C'), Message: "this statement needs approval, and the database does not take it", Hint: "nothing was asked for, and nothing ran; cast its parameters in its text, $1::text"}
		case '3':
			if closed++; s.unsync && closed == 2 {
				return types, nil
			}
		case 'Z':
			return types, refused
		case 'S':
			if err := s.status(f); err != nil {
				return nil, err
			}
		case 'A':
			s.notification(f)
		case 'N':
			s.notice(&owed{}, f)
		}
	}
}

// sent are the parameters of what is wanted.
func (w *wanted) sent(cat *access.Catalog) []approval.Param {
	if len(w.raw) == 0 {
		return nil
	}
	codes, b, _ := int16s(w.raw) // readBind has looked at it
	var out []approval.Param
	n := int(binary.BigEndian.Uint16(b))
	b = b[2:]
	for i := range n {
		p := approval.Param{Type: typeAt(w.inferred, i)}
		if p.Type != 0 {
			p.Named = typeNamed(cat, p.Type)
		}
		size := int(int32(binary.BigEndian.Uint32(b)))
		b = b[4:]
		if size < 0 {
			p.Null = true
			out = append(out, p)
			continue
		}
		p.Binary = binaryCode(codes, i)
		p.Text, p.Opaque = valueText(cat, p.Type, p.Binary, b[:size])
		if p.Binary || p.Opaque {
			p.Bytes = slices.Clone(b[:size])
		}
		out = append(out, p)
		b = b[size:]
	}
	return out
}

func typeAt(types []uint32, i int) uint32 {
	if i < len(types) {
		return types[i]
	}
	return 0
}

func binaryCode(codes []int16, i int) bool {
	switch {
	case len(codes) == 1:
		return codes[0] != 0
	case i < len(codes):
		return codes[i] != 0
	}
	return false
}

// typeNamed is the name of a type for a reviewer.
func typeNamed(cat *access.Catalog, oid uint32) string {
	if cat != nil && oid >= firstUserOID {
		if t := cat.TypeByOID[oid]; t != nil {
			return t.Name.String()
		}
	}
	return typeName(oid)
}

// scalars are the types whose binary form the type map reads, and writes, with bounds on what that takes
// (src/include/catalog/pg_type.dat). Of arrays, those whose elements these are.
var scalars = map[uint32]bool{pgtype.BoolOID: true, pgtype.ByteaOID: true, pgtype.Int2OID: true, pgtype.Int4OID: true, pgtype.Int8OID: true, pgtype.OIDOID: true, pgtype.Float4OID: true,
	pgtype.Float8OID: true, pgtype.NumericOID: true, pgtype.UUIDOID: true, pgtype.DateOID: true, pgtype.TimeOID: true, pgtype.TimestampOID: true, pgtype.TimestamptzOID: true,
	pgtype.IntervalOID: true, pgtype.InetOID: true, pgtype.CIDROID: true, pgtype.MacaddrOID: true}

// letters are the types whose binary form is their text.
var letters = map[uint32]bool{pgtype.TextOID: true, pgtype.VarcharOID: true, pgtype.BPCharOID: true, pgtype.NameOID: true, pgtype.UnknownOID: true, pgtype.JSONOID: true}

// valueText is a parameter in its type's text form. Where the bytes are not for certain what that says, they are opaque, and in hexadecimal.
func valueText(cat *access.Catalog, oid uint32, binaryForm bool, b []byte) (text string, opaque bool) {
	if !binaryForm {
		if utf8.Valid(b) {
			return string(b), false
		}
	} else if text, ok := decoded(cat, oid, b); ok {
		return text, false
	}
	return `\x` + hex.EncodeToString(b), true
}

// decoded reads a value in binary. It is believed where what is read, written as text and read again, is written as the same bytes.
func decoded(cat *access.Catalog, oid uint32, b []byte) (string, bool) {
	m := pgtype.NewMap()
	if cat != nil && oid >= firstUserOID {
		t := cat.TypeByOID[oid]
		for depth := 0; t != nil && t.Kind == 'd' && depth < 32; depth++ {
			oid, t = t.Base, cat.TypeByOID[t.Base]
		}
		if t != nil && t.Kind == 'e' {
			oid = pgtype.TextOID
		}
	}
	t, known := m.TypeForOID(oid)
	if !known {
		return "", false
	}
	switch array, isArray := t.Codec.(*pgtype.ArrayCodec); {
	case letters[oid]:
		return string(b), utf8.Valid(b) && !slices.Contains(b, 0)
	case oid == pgtype.JSONBOID:
		return string(b[min(1, len(b)):]), len(b) > 0 && b[0] == 1 && utf8.Valid(b[1:])
	case isArray: // it makes room for as many elements as the bytes say there are
		if n := arraySize(b); n < 0 || n > int64(len(b))/4 || !scalars[array.ElementType.OID] && !letters[array.ElementType.OID] {
			return "", false
		}
	case !scalars[oid]:
		return "", false
	}
	value, err := t.Codec.DecodeValue(m, oid, pgtype.BinaryFormatCode, b)
	if err != nil {
		return "", false
	}
	text, err := m.Encode(oid, pgtype.TextFormatCode, value, nil)
	if err != nil {
		return "", false
	}
	if value, err = t.Codec.DecodeValue(m, oid, pgtype.TextFormatCode, text); err != nil {
		return "", false
	}
	again, err := m.Encode(oid, pgtype.BinaryFormatCode, value, nil)
	return string(text), err == nil && string(again) == string(b) && utf8.Valid(text)
}

// bindSent is a Bind of the unnamed statement with parameters as they were sent, and results in text.
func bindSent(params []approval.Param) []byte {
	b, at := pgframe.Begin(nil, 'B')
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(params)))
	for _, p := range params {
		b = append(b, 0, 0)
		if p.Binary {
			b[len(b)-1] = 1
		}
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(params)))
	for _, p := range params {
		if p.Null {
			b = binary.BigEndian.AppendUint32(b, 0xFFFFFFFF)
			continue
		}
		v := p.Sent()
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
	}
	return pgframe.End(append(b, 0, 0), at)
}
