package approval

import (
	"encoding/json"
	"slices"
	"strconv"
)

// Param is a parameter of a statement, as it was sent. The zero Param is not known, and in no range.
type Param struct {
	Null bool `json:"null,omitempty"`
	// Text is the value in its type's text form, or in hexadecimal with Opaque.
	Text   string `json:"text"`
	Type   uint32 `json:"type,omitempty"`   // OID, as declared or as the database takes it; 0 is not known
	Named  string `json:"named,omitempty"`  // the name of the type
	Binary bool   `json:"binary,omitempty"` // it was sent in binary
	Bytes  []byte `json:"bytes,omitempty"`  // as they were sent, where that is not Text
	Opaque bool   `json:"opaque,omitempty"` // what value it is cannot be told for certain
}

// UnmarshalJSON also reads the texts that requests had before they kept parameters as they were sent. What such a text was is not known.
func (p *Param) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*p = Param{Opaque: true}
		return json.Unmarshal(b, &p.Text)
	}
	type plain Param
	return json.Unmarshal(b, (*plain)(p))
}

// Sent gives the value as it was sent; nil for NULL.
func (p *Param) Sent() []byte {
	switch {
	case p.Null:
		return nil
	case p.Bytes != nil:
		return p.Bytes
	}
	return []byte(p.Text)
}

// parts are what a digest is over: each field but the name of the type, which its number stands for.
func (p *Param) parts() []string {
	return []string{strconv.FormatBool(p.Null), p.Text, strconv.FormatUint(uint64(p.Type), 10), strconv.FormatBool(p.Binary), string(p.Bytes), strconv.FormatBool(p.Opaque)}
}

// alike reports whether parameters are of the same types, and sent in the same forms: what texts of others say cannot be compared.
func alike(a, b []Param) bool {
	return slices.EqualFunc(a, b, func(a, b Param) bool { return a.Type == b.Type && (a.Null || b.Null || a.Binary == b.Binary) })
}

// Value is a constant or a parameter of a statement, which a range of a Form is about.
type Value struct {
	Text   string
	Null   bool
	Opaque bool // as of Param: no range admits it
}

// Values are the constants and then the parameters of a statement.
func (r *Request) Values() []Value {
	var out []Value
	for _, c := range r.Subject.Constants {
		out = append(out, Value{Text: c})
	}
	for _, p := range r.Binding.Params {
		out = append(out, Value{Text: p.Text, Null: p.Null, Opaque: p.Opaque})
	}
	return out
}

// As is the range of exactly this value.
func (v Value) As() Range {
	if v.Null {
		return Range{Null: true}
	}
	return Range{In: []string{v.Text}}
}

// Texts are what parameters say, NULL as such.
func Texts(params []Param) []string {
	var out []string
	for _, p := range params {
		if p.Null {
			p.Text = "NULL"
		}
		out = append(out, p.Text)
	}
	return out
}
