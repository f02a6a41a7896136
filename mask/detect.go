package mask

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math/bits"
	"unsafe"

	"sallyport/internal/access"
	"sallyport/mask/numbering"
)

// Detector finds personal data and secrets in text that no label speaks of: the second line behind
// the masks. It knows email addresses, phone numbers, payment cards, IBANs, the personal numbers of 54
// countries, dates of birth, names and addresses in their context, IP and MAC addresses, credentials in URLs, private keys, common API keys
// and addresses of crypto currencies. A finding can only be hidden; nothing is ever shown because a detector did not fire.
//
// It is one pass over the bytes by hand: a table of trigger bytes, and a small recogniser behind
// each. It allocates nothing where it finds nothing. A Detector does not change and may be shared.
type Detector struct {
	regions []numbering.Region
}

// NewDetector gives a detector with all recognisers. Of the regions it knows telephone numbers without a calling code too,
// as they are dialled there.
func NewDetector(regions ...numbering.Region) *Detector { return &Detector{regions} }

// Finding is one place in a text: bytes Start to End, and what they are.
type Finding struct {
	Start, End int
	Kind       string // email, phone, card, iban, id, ssn, birth, name, address, ip, mac, credentials, key, crypto
}

// Redact appends src to dst with each finding replaced by its kind in brackets, [email], and gives how
// many there were. Without a finding it allocates nothing beyond dst's growth. JSON stays JSON, text
// or binary: a number that is hidden becomes a string, and no escape sequence is cut. XML stays well-formed.
func (d *Detector) Redact(dst, src []byte) (out []byte, n int) {
	f, ok := d.next(src, 0)
	if !ok {
		return append(dst, src...), 0
	}
	h := newHiding(dst, src)
	for ; ok; f, ok = d.next(src, f.End) {
		h.hide(f)
	}
	return h.end(), h.n
}

// String is Redact for a string; without a finding it gives s itself.
func (d *Detector) String(s string) string {
	s, _ = d.Take(s, nil)
	return s
}

// Take is String that appends what it hides to found.
func (d *Detector) Take(s string, found []access.Identifier) (string, []access.Identifier) {
	src := unsafe.Slice(unsafe.StringData(s), len(s)) // only read
	f, ok := d.next(src, 0)
	if !ok {
		return s, found
	}
	h := newHiding(nil, src)
	for ; ok; f, ok = d.next(src, f.End) {
		found = append(found, access.Identifier{Kind: f.Kind, Value: s[f.Start:f.End]})
		h.hide(f)
	}
	return string(h.end()), found
}

// Find appends the findings in src to dst.
func (d *Detector) Find(dst []Finding, src []byte) []Finding {
	for f, ok := d.next(src, 0); ok; f, ok = d.next(src, f.End) {
		dst = append(dst, f)
	}
	return dst
}

// trigger classes: which recogniser a byte may be part of.
const (
	plain = iota
	atSign
	digit
	colon
	dash
	underscore
	capital
	accent // the first byte of an accented Latin letter
)

var triggers = func() (t [256]uint8) {
	for c := '0'; c <= '9'; c++ {
		t[c] = digit
	}
	for c := 'A'; c <= 'Z'; c++ {
		t[c] = capital
	}
	t['@'], t[':'], t['-'], t['_'] = atSign, colon, dash, underscore
	t[0xc3], t[0xc4], t[0xc5], t[0xc8] = accent, accent, accent, accent
	return t
}()

// next gives the first finding that begins at or after from.
func (d *Detector) next(src []byte, from int) (Finding, bool) {
	f, ok := d.scan(src, from)
	if oneCase(src) {
		var text [longestPlain]byte
		g, too := d.scan(withCapitals(text[:], src), from)
		if too && (!ok || g.Start < f.Start || g.Start == f.Start && g.End > f.End) {
			return g, true
		}
	}
	return f, ok
}

func (d *Detector) scan(src []byte, from int) (Finding, bool) {
	for i := quiet(src, from); i < len(src); i = quiet(src, i) {
		var f Finding
		resume := i + 1
		switch triggers[src[i]] {
		case atSign:
			f = email(src, from, i)
		case digit:
			f, resume = d.number(src, from, i)
		case colon:
			f = colons(src, from, i)
		case dash:
			f = dashes(src, from, i)
		case underscore:
			f, resume = apiKey(src, from, i)
		case capital:
			f, resume = name(src, from, i)
		case accent:
			if beginsCapital(src, i) && (i == 0 || !wordByte(src[i-1])) {
				f, resume = name(src, from, i)
			}
		}
		if f.Kind != "" {
			return f, true
		}
		i = max(resume, i+1)
	}
	return Finding{}, false
}

// quiet gives the first place from i on where a byte is, or may be, a trigger. It looks at eight bytes at a
// time: at those of 0x30 to 0x3f (digits and the colon), 0x40 to 0x5f (capitals, @ and _), from 0x80 on, and the hyphen.
func quiet(src []byte, i int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(src); i += 8 {
		x := binary.LittleEndian.Uint64(src[i:])
		d, c, h := x&(0xf0*ones)^0x30*ones, x&(0xe0*ones)^0x40*ones, x^'-'*ones
		// v-ones&^v has its high bit in each byte of v that is zero, and perhaps in some after the first of them.
		if zero := ((d-ones)&^d | (c-ones)&^c | (h-ones)&^h | x) & highs; zero != 0 {
			return i + bits.TrailingZeros64(zero)/8
		}
	}
	for i < len(src) && triggers[src[i]] == plain {
		i++
	}
	return i
}

// document follows a JSON text to tell what is inside a string.
type document struct {
	src      []byte
	pos      int
	inString bool
}

// newDocument gives nil for what is not JSON. The binary form of jsonb is the text after a byte 1.
func newDocument(src []byte) *document {
	start := 0
	if len(src) > 0 && src[0] == 1 {
		start = 1
	}
	text := bytes.TrimLeft(src[start:], " \t\r\n")
	// A number by itself is taken for plain text.
	if len(text) == 0 || text[0] != '{' && text[0] != '[' && text[0] != '"' || !json.Valid(text) {
		return nil
	}
	return &document{src: src, pos: start}
}

// adjust moves the ends of a finding to where JSON can be cut: past an escape sequence that the
// finding seems to begin in, and around the whole number when it is not inside a string (bare).
func (d *document) adjust(f Finding) (Finding, bool) {
	for d.pos < f.Start {
		switch c := d.src[d.pos]; {
		case c == '"':
			d.inString = !d.inString
			d.pos++
		case c == '\\' && d.inString:
			size := 2
			if d.pos+1 < len(d.src) && d.src[d.pos+1] == 'u' {
				size = 6
			}
			d.pos += size
		default:
			d.pos++
		}
	}
	if d.inString {
		f.Start = d.pos // past the escape, if the finding began inside one
		return f, false
	}
	for f.Start > 0 && numberByte(d.src[f.Start-1]) {
		f.Start--
	}
	for f.End < len(d.src) && numberByte(d.src[f.End]) {
		f.End++
	}
	return f, true
}

func numberByte(c byte) bool {
	return isDigit(c) || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'
}

func isDigit(c byte) bool  { return c-'0' <= 9 }
func isLetter(c byte) bool { return c|0x20-'a' <= 'z'-'a' }
func isAlnum(c byte) bool  { return isDigit(c) || isLetter(c) }
func isUpper(c byte) bool  { return c-'A' <= 'Z'-'A' }
