package gateway

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"
)

// arrayText gives an array in binary (array_recv in src/backend/utils/adt/arrayfuncs.c) in its text form, for records and
// for what looks at parameters. false is what is none, or has elements of a type that is not known here.
func arrayText(b []byte) (string, bool) {
	n := arraySize(b)
	if n < 0 || binary.BigEndian.Uint32(b[4:]) > 1 {
		return "", false
	}
	dims, oid := int(binary.BigEndian.Uint32(b)), binary.BigEndian.Uint32(b[8:])
	b = b[12+8*dims:]
	if n == 0 || dims == 0 {
		return "{}", len(b) == 0
	}
	var out strings.Builder
	for i := range n {
		out.WriteByte("{,"[min(i, 1)])
		if len(b) < 4 {
			return "", false
		}
		size := int(int32(binary.BigEndian.Uint32(b)))
		if b = b[4:]; size < 0 {
			out.WriteString("NULL")
			continue
		}
		if len(b) < size {
			return "", false
		}
		v := b[:size]
		b = b[size:]
		switch {
		case textual(oid) && utf8.Valid(v):
			out.WriteString(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(string(v)) + `"`)
		case oid == 20 && size == 8:
			out.WriteString(strconv.FormatInt(int64(binary.BigEndian.Uint64(v)), 10))
		case oid == 23 && size == 4:
			out.WriteString(strconv.FormatInt(int64(int32(binary.BigEndian.Uint32(v))), 10))
		case oid == 21 && size == 2:
			out.WriteString(strconv.FormatInt(int64(int16(binary.BigEndian.Uint16(v))), 10))
		case oid == 2950 && size == 16:
			out.WriteString(hex.EncodeToString(v))
		default:
			return "", false
		}
	}
	return out.String() + "}", len(b) == 0
}
