package mask

import (
	"strings"
	"sync"
)

// idRule is how one country's personal number is checked. Where a number stands for itself, because its
// form and its check are seldom met by chance, the form is strong; else a word for it has to be near,
// so that order numbers stay what they are.
type idRule struct {
	forms  []string // as (*numeral).form and shape write them
	strong []string // forms that need no word
	words  words    // beside idWords
	check  func(d []byte) bool
}

type idForm struct {
	*idRule
	strong bool
}

// idForms has what may stand behind each form. The forms of a run of digits alone are in it too ("11").
var idForms = func() map[string][]idForm {
	all := map[string][]idForm{}
	for _, rules := range [][]idRule{europeanIDs, asianIDs, americanIDs, otherIDs} {
		for i := range rules {
			for _, f := range rules[i].forms {
				all[f] = append(all[f], idForm{&rules[i], false})
			}
			for _, f := range rules[i].strong {
				all[f] = append(all[f], idForm{&rules[i], true})
			}
		}
	}
	return all
}()

// formBits has a bit for the hash of each form of groups of digits, without the letter that may follow it: most
// numbers in a database have another.
var formBits = func() (t [1 << formHashBits / 64]uint64) {
	add := func(form string) {
		if strings.HasPrefix(form, "A") || strings.HasPrefix(form, "9") && len(form) > 1 {
			return // of a token with letters in it
		}
		hash, sep := uint32(0), byte(0)
		for digits := strings.TrimRight(form, "-A"); digits != ""; {
			k := 0
			for k < len(digits) && isDigit(digits[k]) {
				k++
			}
			hash = formHash(hash, sep, num([]byte(digits[:k])))
			if digits = digits[k:]; digits != "" {
				sep, digits = digits[0], digits[1:]
			}
		}
		t[hash/64] |= 1 << (hash % 64)
	}
	for form := range idForms {
		add(form)
	}
	add(ninoForm)
	return t
}()

const formHashBits = 12

// formHash takes one more group into the hash of those before it.
func formHash(hash uint32, sep byte, size int) uint32 {
	return (hash*0x9e3779b1 + uint32(sep)<<8 + uint32(size)) * 0x85ebca6b >> (32 - formHashBits)
}

// idWords speak of a personal number without saying whose. "id" alone does not: orders have ids.
var idWords = newWords("national id", "national number", "national insurance", "identity", "identification", "id card$", "id number", "id no$",
	"my id$", "personal id", "personal number", "personal code", "tax id", "tax no", "tax number", "tax code", "taxpayer", "social sec", "social ins", "ssn$", "citizen",
	"resident reg", "personnummer", "documento$", "fiscal")

// id recognises a number of a national scheme that begins here.
func (m *numeral) id() Finding {
	start := m.groups[0].start
	if m.n < 6 || start > 0 && (m.src[start-1] == '.' || m.src[start-1] == '+' || m.src[start-1] == '-' || m.src[start-1] == '/') {
		return Finding{}
	}
	var form [32]byte
	var digits [len(m.digits) + 1]byte
	copy(digits[:], m.digits[:m.n])
	hash := uint32(0)
	for k := 0; k < min(m.k, 7); k++ {
		n, g := m.upTo(k), m.groups[k]
		if n > 18 {
			break
		}
		hash = formHash(hash, g.sep, g.len())
		if n < 6 || formBits[hash/64]>>(hash%64)&1 == 0 {
			continue
		}
		f := m.form(form[:0], k)
		if string(f) == ninoForm {
			if nino := m.spacedNino(); nino.Kind != "" {
				return nino
			}
		}
		end := g.end
		if !m.ends(k) { // a check letter may follow at once
			if end == len(m.src) || !isLetter(m.src[end]) || end+1 < len(m.src) && wordByte(m.src[end+1]) {
				continue
			}
			digits[n] = upper(m.src[end])
			f, end, n = append(f, 'A'), end+1, n+1
		} else if end+1 < len(m.src) && m.src[end] == '-' && isLetter(m.src[end+1]) && (end+2 == len(m.src) || !wordByte(m.src[end+2])) {
			digits[n] = upper(m.src[end+1])
			f, end, n = append(f, '-', 'A'), end+2, n+1
		} else if k+1 < m.k && m.groups[k+1].sep != ' ' && m.groups[k+1].sep != '*' {
			continue // part of something longer
		}
		if known(f, digits[:n], m.src[:start]) {
			return Finding{start, end, "id"}
		}
	}
	return Finding{}
}

// ninoForm are the digits that spacedNino looks at.
const ninoForm = "2 2 2"

// spacedNino is a British National Insurance number as it stands on its letters: AB 12 34 56 C.
func (m *numeral) spacedNino() Finding {
	start, end := m.groups[0].start-3, m.groups[2].end+2
	if start < 0 || end > len(m.src) || m.src[end-2] != ' ' || m.src[end-1] < 'A' || m.src[end-1] > 'D' || m.src[start+2] != ' ' ||
		!isUpper(m.src[start]) || !isUpper(m.src[start+1]) || !nino(m.src[start:start+2]) ||
		start > 0 && wordByte(m.src[start-1]) || end < len(m.src) && wordByte(m.src[end]) {
		return Finding{}
	}
	return Finding{start, end, "id"}
}

// form writes groups 0 to k as their lengths and what stands between them, "3.3.3-2". A group of several
// separators has a form that no rule has.
func (m *numeral) form(dst []byte, k int) []byte {
	for i := range k + 1 {
		g := &m.groups[i]
		if i > 0 {
			dst = append(dst, g.sep)
		}
		n := min(g.len(), 99)
		if n > 9 {
			dst = append(dst, byte('0'+n/10))
		}
		dst = append(dst, byte('0'+n%10))
	}
	return dst
}

// wordID recognises a number with letters in it that is a whole token: a tax code, a number with a check
// letter. It gives the end of it, or 0.
func wordID(src []byte, start, end int) int {
	n := end - start
	if n < 7 || n > 18 || start > 0 && (src[start-1] == '_' || src[start-1] == '-' || src[start-1] == '.') || end < len(src) && src[end] == '_' {
		return 0
	}
	var form, text [21]byte
	for i, c := range src[start:end] {
		text[i] = upper(c)
		form[i] = '9'
		if isLetter(c) {
			form[i] = 'A'
		}
	}
	if n <= 8 && end+2 < len(src) && src[end] == '(' && src[end+2] == ')' { // Hong Kong's check stands in brackets
		copy(form[n:], "(9)")
		text[n] = upper(src[end+1])
		n, end = n+1, end+3
		if known(form[:n+2], text[:n], src[:start]) {
			return end
		}
		return 0
	}
	if end < len(src) && src[end] == '-' {
		return 0
	}
	if known(form[:n], text[:n], src[:start]) {
		return end
	}
	return 0
}

// known tells whether a text of a form passes a country's check, where words before it ask for it if
// the form alone is weak.
func known(form, text, before []byte) bool {
	rules := idForms[string(form)]
	if rules == nil || same(text) {
		return false
	}
	// What a check may keep has to be on the heap. It is lent, for there is no other allocation per number.
	buf := checked.Get().(*[20]byte)
	defer checked.Put(buf)
	n := copy(buf[:], text)
	for _, f := range rules {
		if f.check(buf[:n]) && (f.strong || said(before, &f.words) || said(before, &idWords)) {
			return true
		}
	}
	return false
}

var checked = sync.Pool{New: func() any { return new([20]byte) }}

// same tells whether all digits are one: many checks let 11111111111 pass, and nobody has it.
func same(d []byte) bool {
	for _, c := range d[1:] {
		if c != d[0] {
			return false
		}
	}
	return true
}

// weigh is the sum of the first digits, each times its weight.
func weigh(d []byte, weights ...int) int {
	sum := 0
	for i, w := range weights {
		sum += int(d[i]-'0') * w
	}
	return sum
}

// at is the digit at i.
func at(d []byte, i int) int { return int(d[i] - '0') }

// num is the number that digits make; there are at most 18.
func num(d []byte) int {
	v := 0
	for _, c := range d {
		v = v*10 + int(c-'0')
	}
	return v
}

// dayMonth tells whether two digits are a day and two a month.
func dayMonth(day, month int) bool { return day >= 1 && day <= 31 && month >= 1 && month <= 12 }

// isoMod11 is ISO/IEC 7064, MOD 11,10: the last digit checks the others.
func isoMod11(d []byte) bool {
	p := 10
	for i := range len(d) - 1 {
		if p = (p + at(d, i)) % 10; p == 0 {
			p = 10
		}
		p = p * 2 % 11
	}
	return (p+at(d, len(d)-1))%10 == 1
}

// verhoeff is J. Verhoeff's check over the dihedral group of ten elements.
func verhoeff(d []byte) bool {
	c := 0
	for i := range d {
		v := at(d, len(d)-1-i)
		for range i % 8 {
			v = int("1576283094"[v] - '0')
		}
		c = dihedral(c, v)
	}
	return c == 0
}

// dihedral multiplies two elements: 0 to 4 are turns, 5 to 9 are reflections.
func dihedral(a, b int) int {
	switch {
	case a < 5 && b < 5:
		return (a + b) % 5
	case a < 5:
		return (a+b-5)%5 + 5
	case b < 5:
		return (a-5-b+5)%5 + 5
	default:
		return (a - b + 5) % 5
	}
}
