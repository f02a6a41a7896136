package show

import (
	"bytes"
	"encoding/binary"
	"errors"
)

var errRows = errors.New("the recorded rows cannot be decoded")

// Value is one value of a released row, as the client was sent it.
type Value struct {
	Data         []byte // of the frames
	Null, Binary bool
}

// EachRow calls f with each row of backend messages (PostgreSQL, "Message Formats") and gives how many there are:
// DataRow is a row, CopyData one value, the line without its end. formats are result format codes as in Bind: none,
// one for all, or one a column. The slice is f's during the call only.
func EachRow(frames []byte, formats []int16, f func([]Value)) (total int, err error) {
	var row []Value
	for len(frames) > 0 {
		if len(frames) < 5 {
			return total, errRows
		}
		n := uint64(binary.BigEndian.Uint32(frames[1:])) + 1
		if n < 5 || n > uint64(len(frames)) {
			return total, errRows
		}
		body := frames[5:n]
		switch frames[0] {
		case 'D':
			if row, err = appendValues(row[:0], body, formats); err != nil {
				return total, err
			}
		case 'd':
			row = append(row[:0], Value{Data: bytes.TrimRight(body, "\n")})
		default:
			return total, errRows
		}
		total++
		f(row)
		frames = frames[n:]
	}
	return total, nil
}

func appendValues(row []Value, body []byte, formats []int16) ([]Value, error) {
	if len(body) < 2 {
		return nil, errRows
	}
	n := int(binary.BigEndian.Uint16(body))
	body = body[2:]
	for i := range n {
		if len(body) < 4 {
			return nil, errRows
		}
		size := int(int32(binary.BigEndian.Uint32(body)))
		body = body[4:]
		if size == -1 {
			row = append(row, Value{Null: true})
			continue
		}
		if size < 0 || size > len(body) {
			return nil, errRows
		}
		row = append(row, Value{Data: body[:size], Binary: binaryFormat(formats, i)})
		body = body[size:]
	}
	if len(body) != 0 {
		return nil, errRows
	}
	return row, nil
}
