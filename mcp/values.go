package mcp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Type OIDs of pg_type.dat whose values have a JSON form of their own. A RowDescription names the base
// type of a domain, so these are all.
const (
	oidBool   = 16
	oidInt8   = 20
	oidInt2   = 21
	oidInt4   = 23
	oidOid    = 26
	oidJSON   = 114
	oidFloat4 = 700
	oidFloat8 = 701
	oidJSONB  = 3802
)

// exact is the largest integer that every JSON reader holds exactly (IEEE 754 double).
const exact = 1 << 53

// cell is a value in both forms in which an answer carries it.
type cell struct {
	json json.RawMessage
	text string // for the table, not yet quoted
	bare bool   // text is a number, true, false or NULL: never quoted
	cut  bool   // the value was longer than the cap
}

// newCell converts a value in PostgreSQL's text form. Strings longer than most bytes are cut.
func newCell(oid uint32, value *string, most int) cell {
	if value == nil {
		return cell{json: json.RawMessage("null"), text: "NULL", bare: true}
	}
	v := *value
	if len(v) <= most {
		switch oid {
		case oidBool:
			if v == "t" || v == "f" {
				s := strconv.FormatBool(v == "t")
				return cell{json: json.RawMessage(s), text: s, bare: true}
			}
		case oidInt2, oidInt4, oidInt8, oidOid:
			if n, err := strconv.ParseInt(v, 10, 64); err == nil && -exact <= n && n <= exact && strconv.FormatInt(n, 10) == v {
				return cell{json: json.RawMessage(v), text: v, bare: true}
			}
		case oidFloat4, oidFloat8:
			if isNumber(v) { // NaN and the infinities are not
				return cell{json: json.RawMessage(v), text: v, bare: true}
			}
		case oidJSON, oidJSONB:
			if doc, ok := harmlessJSON(v); ok {
				return cell{json: doc, text: string(doc)}
			}
		}
	}
	c := cell{text: v}
	if len(v) > most {
		c.text, c.cut = cutString(v, most), true
	}
	c.text = harmless(c.text)
	c.json = quoteJSON(c.text)
	return c
}

func isNumber(v string) bool {
	return v != "" && (v[0] == '-' || '0' <= v[0] && v[0] <= '9') && json.Valid([]byte(v))
}

// cutString keeps the first most bytes, up to a character's border, and says so.
func cutString(s string, most int) string {
	end := most
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return fmt.Sprintf("%s…[cut: %d bytes in all]", s[:end], len(s))
}

// harmlessJSON gives a document whose strings and keys are harmless; they may hide what they hold
// behind escapes. Numbers keep their digits.
func harmlessJSON(doc string) (json.RawMessage, bool) {
	if !strings.Contains(doc, `\`) && firstTricky(doc) < 0 {
		var b bytes.Buffer
		if json.Compact(&b, []byte(doc)) != nil {
			return nil, false
		}
		return b.Bytes(), true
	}
	dec := json.NewDecoder(strings.NewReader(doc))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil || dec.More() {
		return nil, false
	}
	return marshal(harmlessTree(v)), true
}

func harmlessTree(v any) any {
	switch v := v.(type) {
	case string:
		return harmless(v)
	case []any:
		for i := range v {
			v[i] = harmlessTree(v[i])
		}
	case map[string]any:
		for k, item := range v {
			delete(v, k)
			v[harmless(k)] = harmlessTree(item)
		}
	}
	return v
}

func quoteJSON(s string) json.RawMessage { return marshal(s) }

// marshal encodes without escaping <, > and &. v is made of strings, numbers, maps, slices: it always
// encodes.
func marshal(v any) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return json.RawMessage("null")
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
