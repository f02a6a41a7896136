package export

import (
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// encoder writes one record as one line of JSON, without the line feed. before is the link of the record in front of it, where the
// format chains its events.
type encoder interface {
	encode(e entry, before *link) (body []byte, after *link, err error)
	mediaType() string
}

// jsonLines is the record as it is, with the id of the log in front.
type jsonLines struct{}

func (jsonLines) mediaType() string { return "application/x-ndjson" }

func (jsonLines) encode(e entry, _ *link) ([]byte, *link, error) {
	text, err := marshal(e.Record)
	if err != nil {
		return nil, nil, err
	}
	id, err := json.Marshal(e.log)
	if err != nil {
		return nil, nil, err
	}
	body := append(append([]byte(`{"log":`), id...), ',')
	return append(body, text[1:]...), nil, nil
}

// marshal gives JSON that shows what it holds: characters that would move a cursor, turn the direction of text or look
// like nothing are \u escapes. It reads back as the same.
func marshal(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return visible(text), nil
}

// visible escapes what does not print in valid JSON, where that can only stand in strings.
func visible(text []byte) []byte {
	plain := true
	for _, c := range text {
		if c >= 0x7f {
			plain = false
			break
		}
	}
	if plain {
		return text
	}
	out := make([]byte, 0, len(text)+64)
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if printable(r) {
			out = append(out, text[i:i+n]...)
		} else if a, b := utf16.EncodeRune(r); a != unicode.ReplacementChar {
			out = appendUnit(appendUnit(out, a), b)
		} else {
			out = appendUnit(out, r)
		}
		i += n
	}
	return out
}

func appendUnit(dst []byte, u rune) []byte {
	const digits = "0123456789abcdef"
	return append(dst, '\\', 'u', digits[u>>12&15], digits[u>>8&15], digits[u>>4&15], digits[u&15])
}

// printable leaves out controls, formats (bidirectional, zero width), and letters that look like nothing.
func printable(r rune) bool {
	return unicode.IsPrint(r) && !unicode.Is(unicode.Variation_Selector, r) && r != 0x115f && r != 0x1160 && r != 0x3164 && r != 0xffa0
}

// visibleText does the same to plain text.
func visibleText(s string) string {
	return strings.Map(func(r rune) rune {
		if printable(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}
