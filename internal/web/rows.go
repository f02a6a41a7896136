package web

import (
	"encoding/binary"
	"encoding/hex"
	"strings"

	"sallyport/internal/access"
)

// cell is one value of a released row, as its client was sent it.
type cell struct {
	Text string
	Null bool
}

const cellMost = 400 // characters of a value

// rowsOf decodes the first rows that a record holds (DataRow and CopyData, "Message Formats" of PostgreSQL's protocol), and says how
// many were released that are not among them. What cannot be decoded is not shown.
func rowsOf(rec *access.Record) (rows [][]cell, more int) {
	for frames := rec.Result; len(frames) >= 5 && len(rows) < rowsShown; {
		n := uint64(binary.BigEndian.Uint32(frames[1:])) + 1
		if n < 5 || n > uint64(len(frames)) {
			break
		}
		switch body := frames[5:n]; frames[0] {
		case 'D':
			rows = append(rows, cells(body, rec.Formats))
		case 'd':
			rows = append(rows, []cell{{Text: cut(strings.TrimRight(string(body), "\n"))}})
		}
		frames = frames[n:]
	}
	return rows, max(0, int(rec.Rows)-len(rows))
}

func cells(body []byte, formats []int16) []cell {
	if len(body) < 2 {
		return nil
	}
	n := int(binary.BigEndian.Uint16(body))
	var out []cell
	body = body[2:]
	for i := range n {
		if len(body) < 4 {
			break
		}
		size := int(int32(binary.BigEndian.Uint32(body)))
		body = body[4:]
		switch {
		case size == -1:
			out = append(out, cell{Null: true})
			continue
		case size < 0 || size > len(body):
			return out
		case len(formats) == 1 && formats[0] != 0, i < len(formats) && formats[i] != 0:
			out = append(out, cell{Text: cut(`\x` + hex.EncodeToString(body[:size]))})
		default:
			out = append(out, cell{Text: cut(string(body[:size]))})
		}
		body = body[size:]
	}
	return out
}

func cut(s string) string {
	if len(s) <= cellMost {
		return s
	}
	return strings.ToValidUTF8(s[:cellMost], "") + "…"
}
