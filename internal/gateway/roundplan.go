package gateway

import (
	"encoding/binary"

	"sallyport/internal/pgframe"
	"sallyport/mask"
)

// roundPlan is a row of EXPLAIN with its estimates rounded. Its only value is text in every format and either encoding of
// the protocol: text, json and xml are sent as they are.
func roundPlan(f pgframe.Frame) pgframe.Frame {
	body := f.Body()
	if len(body) < 6 || int32(binary.BigEndian.Uint32(body[2:])) < 0 {
		return f
	}
	plan := mask.RoundEstimates(string(body[6:]))
	raw, at := pgframe.Begin(nil, 'D')
	raw = binary.BigEndian.AppendUint32(append(raw, body[:2]...), uint32(len(plan)))
	f.Raw = pgframe.End(append(raw, plan...), at)
	return f
}
