package export

import (
	"encoding/json"
	"fmt"

	"sallyport/audit/internal/show"
)

// encoder writes one record as one line of JSON, without the line feed. before is the link of the record in front of it, where the
// format chains its events.
type encoder interface {
	encode(e entry, before *link) (body []byte, after *link, err error)
	mediaType() string
}

// jsonLines is the record as it is, with the id of the log and the leaf in front.
type jsonLines struct{}

func (jsonLines) mediaType() string { return "application/x-ndjson" }

func (jsonLines) encode(e entry, _ *link) ([]byte, *link, error) {
	text, err := marshal(e.Record)
	if err != nil {
		return nil, nil, err
	}
	body := fmt.Appendf(nil, `{"log":%q,"leaf":%q,`, e.log, e.leaf) // hex, both
	return append(body, text[1:]...), nil, nil
}

// marshal gives JSON that shows what it holds; it reads back as the same.
func marshal(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return show.CleanJSON(nil, text), nil
}
