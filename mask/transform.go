package mask

import (
	"math/big"
	"strconv"
	"strings"

	"sallyport/internal/access"
)

// Kind is the closed list of transforms, from the one that shows least. The zero Kind is Redact.
type Kind uint8

const (
	Redact     Kind = iota // one constant for every value and for NULL
	Null                   // NULL for every value
	Token                  // keyed hash: equal values stay equal, nothing else is kept
	Generalise             // a bucket that the value lies in
	Partial                // a few characters of the value
)

var kindNames = [...]string{"redact", "null", "token", "generalise", "partial"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[Redact]
}

// Transform is one way to mask one column. The zero Transform redacts. It is comparable.
type Transform struct {
	Kind Kind
	// Style of Partial: email, phone, card, generic; of Generalise over dates: year, month, decade.
	Style string
	// Bucket of Generalise: the bucket's width for numbers, the number of characters kept for text.
	Bucket string
	Label  access.Label // the label that asked for it
	Source string       // file:line of the rule, or why it is a redaction
}

// String names the transform as records and reports show it: "partial email", "generalise 10".
func (t Transform) String() string {
	s := t.Kind.String()
	if t.Style != "" {
		s += " " + t.Style
	}
	if t.Bucket != "" {
		s += " " + t.Bucket
	}
	return s
}

// same tells whether two transforms mask alike, whoever asked for them.
func (t Transform) same(o Transform) bool {
	return t.Kind == o.Kind && t.Style == o.Style && t.Bucket == o.Bucket
}

// stricter gives the one of two transforms that shows less. Two of one kind that differ (two styles,
// two bucket widths) together show more than either, so they become a redaction.
func stricter(a, b Transform) Transform {
	switch {
	case a.same(b):
		return a
	case a.Kind == b.Kind:
		return Transform{Label: a.Label, Source: "masks of " + string(a.Label) + " and " + string(b.Label) + " differ"}
	case b.Kind < a.Kind:
		return b
	default:
		return a
	}
}

// minToken is the fewest characters that a text column must hold for a token to be of use: "tok_"
// and 48 bits.
const minToken = 16

// fits says why t cannot be applied to a column of shape s, or "".
func (t Transform) fits(s shape) string {
	if t.Kind == Redact || t.Kind == Null {
		return ""
	}
	for _, d := range []domain{s.typ, s.elem} {
		if d.unknown {
			return "whether a masked value keeps to the constraints of " + d.name + " is not known"
		}
	}
	switch t.Kind {
	case Partial:
		if s.family != textFamily {
			return "partial masks need text"
		}
	case Token:
		switch {
		case s.family == textFamily && s.width > 0 && s.width < minToken:
			return "a token needs at least " + strconv.Itoa(minToken) + " characters"
		case s.family == textFamily, s.family == uuidFamily:
		case s.family == intFamily && s.oid != oidInt2:
		default:
			return "tokens need text, uuid, integer or bigint"
		}
	case Generalise:
		return t.generaliseFits(s)
	default:
		return "unknown transform"
	}
	return ""
}

func (t Transform) generaliseFits(s shape) string {
	switch s.family {
	case dateFamily, timestampFamily, timestamptzFamily:
		if t.Style == "" || t.Bucket != "" {
			return "dates are generalised to year, month or decade"
		}
	case intFamily, numericFamily, floatFamily:
		if t.Bucket == "" || t.Style != "" {
			return "numbers are generalised to a bucket width"
		}
		if s.family == intFamily && !isInteger(t.Bucket) {
			return "integers need a whole bucket width"
		}
	case textFamily:
		if n, err := strconv.Atoi(t.Bucket); err != nil || n < 1 || n > 8 || t.Style != "" {
			return "text is generalised to its first 1 to 8 characters"
		}
	default:
		return "generalise needs a date, a timestamp, a number or text"
	}
	return ""
}

// validate says what is wrong with the parameters of t whatever the column, or "".
func (t Transform) validate() string {
	switch t.Kind {
	case Partial:
		switch t.Style {
		case "email", "phone", "card", "generic":
		default:
			return "partial needs a style: email, phone, card or generic"
		}
		if t.Bucket != "" {
			return "partial has no bucket"
		}
	case Generalise:
		switch {
		case t.Style == "" && t.Bucket == "":
			return "generalise needs a style (year, month, decade) or a bucket"
		case t.Style != "" && t.Bucket != "":
			return "generalise takes a style or a bucket, not both"
		case t.Bucket != "" && !isBucket(t.Bucket):
			return "a bucket is a positive decimal number of at most 18 digits"
		case t.Style != "" && t.Style != "year" && t.Style != "month" && t.Style != "decade":
			return "generalise needs a style (year, month, decade) or a bucket"
		}
	default:
		if t.Style != "" || t.Bucket != "" {
			return t.Kind.String() + " has neither style nor bucket"
		}
	}
	return ""
}

// isBucket keeps to digits and one point: the text goes into SQL as it stands.
func isBucket(s string) bool {
	if len(s) > 19 || strings.Trim(s, "0123456789.") != "" || strings.Count(s, ".") > 1 {
		return false
	}
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' {
		return false
	}
	r, ok := new(big.Rat).SetString(s)
	return ok && r.Sign() > 0
}

func isInteger(s string) bool { return !strings.Contains(s, ".") }
