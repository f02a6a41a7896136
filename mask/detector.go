package mask

import (
	"bytes"
	"unsafe"
)

// Detector is the second line: it finds identifiers in free text that no label covers, such as a phone
// number in a notes field, and replaces each by its kind in brackets. It can only hide more, never reveal,
// and looks at nothing but the text that it is given. It is safe for concurrent use.
//
// It finds email addresses, phone numbers, payment cards (Luhn and issuer ranges), IBANs (mod 97), US social
// security numbers, IPv4 addresses, passwords in URLs, and well-known forms of keys and tokens. What is
// only a plausible name or street is beyond it: label such columns.
type Detector struct{}

// NewDetector makes a Detector.
func NewDetector() *Detector { return &Detector{} }

// finding is src[from:to], to be replaced by kind.
type finding struct {
	from, to int
	kind     string
}

// trigger marks the bytes at which a look is worth its time: text without them is passed over at the
// speed of a table look-up a byte.
var trigger [256]byte

const (
	trigAt = 1 + iota
	trigDigit
	trigPlus
	trigParen
	trigColon
	trigDash
	trigKey
)

func init() {
	trigger['@'], trigger['+'], trigger['('], trigger[':'], trigger['-'] = trigAt, trigPlus, trigParen, trigColon, trigDash
	for c := '0'; c <= '9'; c++ {
		trigger[c] = trigDigit
	}
	for _, p := range keyPrefixes {
		if trigger[p.prefix[0]] == 0 {
			trigger[p.prefix[0]] = trigKey
		}
	}
}

// Redact appends src to dst with every finding replaced, and gives how many there were. Text without a
// finding costs no allocation beyond dst's growth. JSON stays JSON: a number that is replaced outside of a
// string becomes a string.
func (d *Detector) Redact(dst, src []byte) (out []byte, n int) {
	done := 0
	for i := 0; i < len(src); {
		t := trigger[src[i]]
		if t == 0 {
			i++
			continue
		}
		f, next := find(src, i, done, t)
		if f.kind == "" {
			i = next
			continue
		}
		dst = append(dst, src[done:f.from]...)
		if bareJSON(src, f) {
			dst = append(append(append(dst, '"'), f.kind...), '"')
		} else {
			dst = append(dst, f.kind...)
		}
		done, i = f.to, f.to
		n++
	}
	return append(dst, src[done:]...), n
}

// String is Redact for a string; without a finding it gives s itself.
func (d *Detector) String(s string) string {
	for i := 0; i < len(s); {
		t := trigger[s[i]]
		if t == 0 {
			i++
			continue
		}
		src := unsafe.Slice(unsafe.StringData(s), len(s)) // read only
		f, next := find(src, i, 0, t)
		if f.kind != "" {
			out, _ := d.Redact(nil, src)
			return string(out)
		}
		i = next
	}
	return s
}

// find looks for a finding at a trigger byte; it may begin before it, but not before floor. Without one it
// gives where to go on.
func find(src []byte, i, floor int, t byte) (finding, int) {
	switch t {
	case trigAt:
		if f, ok := email(src, i, floor); ok {
			return f, 0
		}
	case trigDigit:
		return number(src, i, floor)
	case trigPlus, trigParen:
		if i+1 < len(src) && digit(src[i+1]) {
			return number(src, i, floor)
		}
	case trigColon:
		if f, ok := urlSecret(src, i); ok {
			return f, 0
		}
	case trigDash:
		if f, ok := privateKey(src, i); ok {
			return f, 0
		}
	case trigKey:
		if f, ok := apiKey(src, i); ok {
			return f, 0
		}
	}
	return finding{}, i + 1
}

// bareJSON reports whether a finding is a number of a JSON document, outside of any string.
func bareJSON(src []byte, f finding) bool {
	doc := bytes.TrimLeft(src, " \t\r\n\x01") // jsonb's binary form begins with its version, 1
	if len(doc) == 0 || doc[0] != '{' && doc[0] != '[' {
		return false
	}
	before := bytes.TrimRight(src[:f.from], " \t\r\n")
	after := bytes.TrimLeft(src[f.to:], " \t\r\n")
	return len(before) > 0 && len(after) > 0 && bytes.IndexByte([]byte(":,["), before[len(before)-1]) >= 0 && bytes.IndexByte([]byte(",}]"), after[0]) >= 0 &&
		quotesBefore(before)%2 == 0
}

// quotesBefore counts the string delimiters of a piece of JSON.
func quotesBefore(b []byte) int {
	n := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			n++
		}
	}
	return n
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func word(c byte) bool { return digit(c) || letter(c) || c == '_' }

// localPart reports whether c can stand in the local part of an address as people write them (RFC 5321
// atoms less those that end a word in prose).
func localPart(c byte) bool {
	return digit(c) || letter(c) || c >= 0x80 || bytes.IndexByte([]byte("._%+-"), c) >= 0
}

func email(src []byte, at, floor int) (finding, bool) {
	from := at
	for from > floor && at-from < 64 && localPart(src[from-1]) {
		from--
	}
	for from < at && (src[from] == '.' || src[from] == '-') {
		from++
	}
	to := at + 1
	dot := -1
	for to < len(src) && to-at < 255 && (digit(src[to]) || letter(src[to]) || src[to] == '-' || src[to] == '.' || src[to] >= 0x80) {
		if src[to] == '.' {
			dot = to
		}
		to++
	}
	if dot == to-1 && dot > 0 { // a full stop after the address
		to--
		dot = bytes.LastIndexByte(src[at:to], '.')
		if dot >= 0 {
			dot += at
		}
	}
	if from == at || dot < at+2 || to-dot < 3 || !letter(src[dot+1]) && src[dot+1] < 0x80 {
		return finding{}, false
	}
	return finding{from, to, "[email]"}, true
}
