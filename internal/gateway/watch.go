package gateway

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"unicode/utf8"

	"sallyport/internal/access"
	"sallyport/internal/pgframe"
	"sallyport/mask"
)

// fields describes the result columns of a plan.
type fields struct {
	names []string
	oids  []uint32
	watch []bool // the detectors look at this column
	any   bool
}

// Types whose values are text, in either format (src/include/catalog/pg_type.dat).
const (
	oidJSON, oidXML, oidText, oidBPChar, oidVarchar, oidName, oidUnknown, oidJSONB = 114, 142, 25, 1042, 1043, 19, 705, 3802
	oidTextArray, oidVarcharArray, oidBPCharArray, oidJSONArray, oidJSONBArray     = 1009, 1015, 1014, 199, 3807
	oidTSVector, oidJSONPath, oidXMLArray, oidNameArray                            = 3614, 4072, 143, 1003
	oidTSVectorArray, oidJSONPathArray                                             = 3643, 4073
	firstUserOID                                                                   = 16384
)

// textual reports whether values of a type can hold free text. Types that the database's users made can. bytea is
// not looked at, for its text form shows no letters and a client expects no words in it; network types are not, for
// every value of theirs would be a finding, which is what a label says.
func textual(oid uint32) bool {
	switch oid {
	case oidJSON, oidXML, oidText, oidBPChar, oidVarchar, oidName, oidUnknown, oidJSONB,
		oidTextArray, oidVarcharArray, oidBPCharArray, oidJSONArray, oidJSONBArray,
		oidTSVector, oidJSONPath, oidXMLArray, oidNameArray, oidTSVectorArray, oidJSONPathArray, 2249 /* record */, 2287 /* record[] */ :
		return true
	}
	return oid >= firstUserOID
}

// readFields reads a RowDescription. A column that is made of labelled ones alone is not watched: its values
// are masked already, or the principal may see them, and a token must not be taken for something else.
func readFields(body []byte, pl *plan) *fields {
	f := &fields{}
	if len(body) < 2 {
		return f
	}
	n := int(binary.BigEndian.Uint16(body))
	body = body[2:]
	for i := range n {
		name, rest, ok := pgframe.CString(body)
		if !ok || len(rest) < 18 {
			return f
		}
		oid := binary.BigEndian.Uint32(rest[6:])
		body = rest[18:]
		watch := pl.detects && textual(oid) && !pl.labelled(i, n)
		f.names, f.oids, f.watch = append(f.names, name), append(f.oids, oid), append(f.watch, watch)
		f.any = f.any || watch
	}
	return f
}

// labelled reports whether output i of n is made of labelled columns only.
func (p *plan) labelled(i, n int) bool {
	outs := p.facts.Outputs
	if len(outs) != n || len(outs[i].Sources) == 0 {
		return false
	}
	for _, src := range outs[i].Sources {
		if len(p.scope.snap.labels.Columns(src.Relation)[src.Column]) == 0 {
			return false
		}
	}
	return true
}

// repeatsFrom is the row after which values are remembered: a small result does not pay for what it would not use.
const repeatsFrom = 64

// watchRow holds a DataRow after the detectors have looked at it.
func (s *Session) watchRow(r *run, f pgframe.Frame) error {
	fs := r.plan.fields.Load()
	if fs == nil {
		return &access.Error{Kind: access.Internal, Code: "XX000", Message: "rows came before their description"}
	}
	if !fs.any {
		s.held = append(s.held, f.Raw...)
		return nil
	}
	body := f.Body()
	if len(body) < 2 || int(binary.BigEndian.Uint16(body)) != len(fs.watch) {
		return &access.Error{Kind: access.Upstream, Code: "08P01", Message: "a row does not fit its description"}
	}
	if r.repeats == nil && r.rows > repeatsFrom {
		r.repeats = &mask.Repeats{}
	}
	start := len(s.held)
	s.held = append(s.held, f.Raw[:7]...)
	rest := body[2:]
	for i := range fs.watch {
		if len(rest) < 4 {
			return &access.Error{Kind: access.Upstream, Code: "08P01", Message: "a row is malformed"}
		}
		size := int(int32(binary.BigEndian.Uint32(rest)))
		if size < 0 {
			s.held, rest = append(s.held, rest[:4]...), rest[4:]
			continue
		}
		if len(rest) < 4+size {
			return &access.Error{Kind: access.Upstream, Code: "08P01", Message: "a row is malformed"}
		}
		value := rest[4 : 4+size]
		at := len(s.held)
		s.held = append(s.held, rest[:4]...)
		rest = rest[4+size:]
		if !fs.watch[i] {
			s.held = append(s.held, value...)
			continue
		}
		var n int
		if r.repeats == nil {
			s.held, n = s.gw.detector.Redact(s.held, value)
		} else {
			s.held, n = r.repeats.Redact(s.gw.detector, i, s.held, value)
		}
		switch {
		case n > 0 && binaryForm(value):
			// Lengths inside of a binary array or record would no longer fit: the value goes whole.
			s.held = binary.BigEndian.AppendUint32(s.held[:at], 0xFFFFFFFF)
		case n > 0:
			binary.BigEndian.PutUint32(s.held[at:], uint32(len(s.held)-at-4))
		}
		r.detected += n
	}
	if s.gw.model != nil {
		if err := s.askRow(r, fs, start); err != nil {
			return err
		}
	}
	binary.BigEndian.PutUint32(s.held[start+1:], uint32(len(s.held)-start-1))
	return nil
}

// binaryForm reports whether a value of a textual type is not plain text: a binary array or record.
func binaryForm(b []byte) bool { return bytes.IndexByte(b, 0) >= 0 || !utf8.Valid(b) }

// paramText is a parameter as a record shows it. In binary it is a number where its type says so: four bytes may be four letters.
func paramText(b []byte, format int16, oid uint32) string {
	if format == 1 && bytes.IndexByte(b, 0) >= 0 { // no text holds a 0
		if text, ok := arrayText(b); ok {
			return text
		}
	}
	if format == 0 || textual(oid) && oid < firstUserOID {
		if utf8.Valid(b) {
			return string(b)
		}
	} else {
		switch {
		case oid == 23 && len(b) == 4:
			return strconv.FormatInt(int64(int32(binary.BigEndian.Uint32(b))), 10)
		case oid == 20 && len(b) == 8:
			return strconv.FormatInt(int64(binary.BigEndian.Uint64(b)), 10)
		case oid == 21 && len(b) == 2:
			return strconv.FormatInt(int64(int16(binary.BigEndian.Uint16(b))), 10)
		}
	}
	return `\x` + hex.EncodeToString(b)
}
