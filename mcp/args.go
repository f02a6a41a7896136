package mcp

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"sallyport/internal/access"
)

// param is one argument of a tool. The same table gives the JSON schema and the check, so that they
// cannot disagree.
type param struct {
	name     string
	kind     string // see below
	about    string
	required bool
	min, max int // length in characters, or value of an integer
}

// The kinds of arguments. A string is taken as it is; a line is prose that people will read in the record
// and in reviews, so no control, bidirectional or invisible characters; a flag is true or false; params are
// values of $1, $2 ..., or other short texts.
const (
	kindString  = "string"
	kindLine    = "line"
	kindInteger = "integer"
	kindFlag    = "flag"
	kindParams  = "params"
)

// args are the checked arguments of a call. Absent ones have the zero value.
type args struct {
	text   map[string]string
	number map[string]int
	flag   map[string]bool
	params []string
	digest string // of the tool and all of the above, however they were written
}

func (a args) digestFor(tool string) string {
	b, _ := json.Marshal([]any{tool, a.text, a.number, a.flag, a.params}) // strings, numbers and booleans; maps by key
	return fmt.Sprintf("%x", sha256.Sum256(b))
}

// schema gives the JSON schema of params, on as few bytes as possible: every client puts all of it into
// its model's context.
func schema(params []param) json.RawMessage {
	var b bytes.Buffer
	b.WriteString(`{"type":"object","properties":{`)
	var required []string
	for i, p := range params {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `%q:{`, p.name)
		switch p.kind {
		case kindInteger:
			fmt.Fprintf(&b, `"type":"integer","minimum":%d,"maximum":%d`, p.min, p.max)
		case kindFlag:
			b.WriteString(`"type":"boolean"`)
		case kindParams:
			b.WriteString(`"type":"array","items":{"type":"string"}`) // numbers and booleans are taken as well
		default:
			b.WriteString(`"type":"string"`)
			if p.min > 1 {
				fmt.Fprintf(&b, `,"minLength":%d`, p.min)
			}
			if p.max > 0 && p.kind == kindLine { // other strings are handles and names that it was given, which the server checks
				fmt.Fprintf(&b, `,"maxLength":%d`, p.max)
			}
		}
		if p.about != "" {
			fmt.Fprintf(&b, `,"description":%q`, p.about)
		}
		b.WriteByte('}')
		if p.required {
			required = append(required, p.name)
		}
	}
	b.WriteByte('}')
	if len(required) > 0 {
		list, _ := json.Marshal(required) // strings always marshal
		fmt.Fprintf(&b, `,"required":%s`, list)
	}
	b.WriteString(`,"additionalProperties":false}`)
	return b.Bytes()
}

func accepted(params []param) string {
	if len(params) == 0 {
		return "this tool takes no arguments: leave them out"
	}
	return "accepted: " + names(params)
}

// parse checks raw against params. It reports everything that is wrong at once, because each round trip
// costs the agent a turn.
func parse(raw json.RawMessage, params []param) (args, error) {
	a := args{text: map[string]string{}, number: map[string]int{}, flag: map[string]bool{}}
	given := map[string]json.RawMessage{}
	if raw = bytes.TrimSpace(raw); len(raw) > 0 && !bytes.Equal(raw, []byte("null")) {
		if err := json.Unmarshal(raw, &given); err != nil {
			return args{}, invalid("arguments have to be a JSON object", accepted(params))
		}
	}
	var wrong []string
	for name := range given {
		if !slices.ContainsFunc(params, func(p param) bool { return p.name == name }) {
			wrong = append(wrong, fmt.Sprintf("unknown argument %q", clip(harmless(name), 40)))
		}
	}
	slices.Sort(wrong)
	for _, p := range params {
		value, ok := given[p.name]
		if !ok || bytes.Equal(bytes.TrimSpace(value), []byte("null")) {
			if p.required {
				wrong = append(wrong, p.name+" is required")
			}
			continue
		}
		if err := a.set(p, value); err != "" {
			wrong = append(wrong, p.name+" "+err)
		}
	}
	if len(wrong) > 0 {
		return args{}, invalid(strings.Join(wrong, "; "), accepted(params))
	}
	return a, nil
}

// set takes one argument, or says what is wrong with it.
func (a *args) set(p param, raw json.RawMessage) string {
	switch p.kind {
	case kindInteger:
		f, err := strconv.ParseFloat(string(bytes.TrimSpace(raw)), 64) // 10.0 and 1e1 are integers to JSON Schema
		n := int(f)
		if err != nil || f != math.Trunc(f) || f < float64(p.min) || f > float64(p.max) {
			return fmt.Sprintf("has to be a whole number from %d to %d", p.min, p.max)
		}
		a.number[p.name] = n
		return ""
	case kindFlag:
		var b bool
		if json.Unmarshal(raw, &b) != nil {
			return "has to be true or false"
		}
		a.flag[p.name] = b
		return ""
	case kindParams:
		return a.setParams(raw)
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return "has to be a string"
	}
	if strings.IndexByte(s, 0) >= 0 {
		return "holds a NUL byte"
	}
	if p.kind == kindLine {
		if harmless(s) != s {
			return "holds control, bidirectional or invisible characters: use plain text"
		}
		s = strings.Join(strings.FieldsFunc(s, unicode.IsSpace), " ") // padding is no reason
	}
	n := utf8.RuneCountInString(s)
	if n < p.min || p.max > 0 && n > p.max {
		switch {
		case p.max == 0:
			return fmt.Sprintf("has to have at least %d characters", p.min)
		default:
			return fmt.Sprintf("has to have %d to %d characters, not %d", p.min, p.max, n)
		}
	}
	a.text[p.name] = s
	return ""
}

// setParams takes the values of $1, $2 ... in the text form that PostgreSQL reads.
func (a *args) setParams(raw json.RawMessage) string {
	const most = 1000
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return "has to be an array"
	}
	if len(list) > most {
		return fmt.Sprintf("has to have at most %d values", most)
	}
	for i, item := range list {
		item = bytes.TrimSpace(item)
		switch item[0] {
		case '"':
			var s string
			if json.Unmarshal(item, &s) != nil || strings.IndexByte(s, 0) >= 0 {
				return fmt.Sprintf("value %d is not a valid string", i+1)
			}
			a.params = append(a.params, s)
		case 'n':
			return fmt.Sprintf("value %d is null: write NULL in the statement instead", i+1)
		case '[', '{':
			return fmt.Sprintf("value %d has to be a string, a number or a boolean", i+1)
		default: // number, true, false: their JSON text is what PostgreSQL reads
			a.params = append(a.params, string(item))
		}
	}
	return ""
}

func names(params []param) string {
	list := make([]string, len(params))
	for i, p := range params {
		list[i] = p.name
		if p.required {
			list[i] += " (required)"
		}
	}
	return strings.Join(list, ", ")
}

// clip shortens s to at most n characters.
func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n]) + "…"
}

func invalid(message, hint string) *access.Error {
	return &access.Error{Kind: access.Invalid, Code: "22023", Message: message, Hint: hint}
}
