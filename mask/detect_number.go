package mask

// numeral is a run of digit groups with separators between them, as people write long numbers.
type numeral struct {
	src    []byte
	n, k   int
	digits [40]byte
	groups [12]group
}

// group is one run of digits: where it stands, and what separates it from the one before.
type group struct {
	start, end int
	first      uint8 // index of its first digit
	sep        byte  // what stands before it: ' ', '-', '.', '/', '(' or ')'; 0 for the first group, '*' for several
}

func (g *group) len() int { return g.end - g.start }

// number recognises what begins with the digit at i, and says where to go on if it is nothing.
func (d *Detector) number(src []byte, from, i int) (Finding, int) {
	if i > from && (isLetter(src[i-1]) || src[i-1] == '_') || i+1 < len(src) && isLetter(src[i+1]) {
		return word(src, from, i)
	}
	end := i + 1
	for end < len(src) && isDigit(src[end]) {
		end++
	}
	if end == i+2 && end < len(src) && src[end] == '-' {
		if f := mac(src, from, end); f.Kind != "" { // before its first pairs are taken for a date
			return f, f.End
		}
	}
	if amongWords(src, i, end) {
		if f := birthNamed(src, from, i, end); f.Kind != "" {
			return f, f.End
		}
		if f := address(src, from, i, end); f.Kind != "" {
			return f, f.End
		}
	}
	if end-i < 6 && !continues(src, end) {
		return Finding{}, end // too short for anything
	}
	var m numeral
	m.read(src, i)
	if f := m.ipv4(); f.Kind != "" {
		return f, f.End
	}
	if last := m.date(); last > 0 {
		return m.birth(), last
	}
	if f := m.card(); f.Kind != "" {
		return f, f.End
	}
	if f := m.ssn(); f.Kind != "" {
		return f, f.End
	}
	if f := m.id(); f.Kind != "" {
		return f, f.End
	}
	if f := m.phone(from, d.regions); f.Kind != "" {
		return f, f.End
	}
	if m.groups[0].end < len(src) && isAlnum(src[m.groups[0].end]) {
		return word(src, from, i)
	}
	return Finding{}, m.groups[0].end
}

// amongWords tells whether a number of up to five digits has a word beside it.
func amongWords(src []byte, i, end int) bool {
	if end-i > 5 {
		return false
	}
	if i > 2 && src[i-1] == ' ' && (isLetter(src[i-2]) || src[i-2] == '.' || src[i-2] >= 0x80) {
		return true
	}
	for n := 0; n < 3 && end < len(src); n++ {
		if isLetter(src[end]) || src[end] >= 0x80 {
			return true
		}
		if src[end] != ' ' && src[end] != '.' {
			return false
		}
		end++
	}
	return false
}

// word is a token of letters and digits: an IBAN, an API key, an address of a crypto currency, or an identifier
// to be left alone.
func word(src []byte, from, i int) (Finding, int) {
	start, end := i, i
	for start > from && i-start < 64 && alnums[src[start-1]] {
		start--
	}
	for end < len(src) && alnums[src[end]] {
		end++
	}
	if i == start+2 {
		if f := iban(src, start); f.Kind != "" {
			return f, f.End
		}
	}
	if f, _ := apiKey(src, from, i); f.Kind != "" {
		return f, f.End
	}
	if last := wordID(src, start, end); last > 0 {
		return Finding{start, last, "id"}, last
	}
	if kind := coin(src[start:end]); kind != "" && (start == 0 || src[start-1] != '_') {
		return Finding{start, end, kind}, end
	}
	return Finding{}, end
}

// read takes in digit groups from i on, up to as many as any recogniser can use.
func (m *numeral) read(src []byte, i int) {
	m.src = src
	var sep byte
	for i < len(src) && m.k < len(m.groups) {
		g := &m.groups[m.k]
		g.start, g.first, g.sep = i, uint8(m.n), sep
		for i < len(src) && isDigit(src[i]) {
			if m.n < len(m.digits) {
				m.digits[m.n] = src[i]
				m.n++
			}
			i++
		}
		g.end = i
		m.k++
		seps := 0
		for sep = 0; i < len(src) && seps < 3 && separator(src[i]); i++ {
			if seps++; sep == 0 {
				sep = src[i]
			} else {
				sep = '*'
			}
		}
		if seps == 0 || i == len(src) || !isDigit(src[i]) || m.n == len(m.digits) {
			return
		}
	}
}

// continues tells whether another group of digits follows a group that ends at i.
func continues(src []byte, i int) bool {
	for n := 0; i < len(src) && n < 3 && separator(src[i]); n++ {
		if i++; i < len(src) && isDigit(src[i]) {
			return true
		}
	}
	return false
}

func separator(c byte) bool {
	return c == ' ' || c == '-' || c == '.' || c == '/' || c == '(' || c == ')'
}

// ends tells whether group k ends at a word boundary.
func (m *numeral) ends(k int) bool {
	e := m.groups[k].end
	return e == len(m.src) || !isAlnum(m.src[e]) && m.src[e] != '_'
}

// upTo is the number of digits in groups 0 to k.
func (m *numeral) upTo(k int) int {
	if k+1 < m.k {
		return int(m.groups[k+1].first)
	}
	return m.n
}

func (m *numeral) value(k int) int {
	v := 0
	for _, c := range m.src[m.groups[k].start:m.groups[k].end] {
		if v = v*10 + int(c-'0'); v > 1e6 {
			return v
		}
	}
	return v
}

// separated tells whether groups 1 to k all have the separator sep.
func (m *numeral) separated(k int, sep byte) bool {
	for i := 1; i <= k; i++ {
		if m.groups[i].sep != sep {
			return false
		}
	}
	return true
}

// ipv4 is four numbers up to 255 with dots (RFC 1123 section 2.1), not part of a longer dotted one.
func (m *numeral) ipv4() Finding {
	if m.k < 4 || !m.separated(3, '.') || !m.ends(3) || m.k > 4 && m.groups[4].sep == '.' {
		return Finding{}
	}
	if s := m.groups[0].start; s > 0 && m.src[s-1] == '.' {
		return Finding{}
	}
	for k := range 4 {
		if m.groups[k].len() > 3 || m.value(k) > 255 {
			return Finding{}
		}
	}
	return Finding{m.groups[0].start, m.groups[3].end, "ip"}
}

// date gives the end of a date or time stamp that stands here, or 0: 2024-05-06, 06.05.2024, 5/6/24.
func (m *numeral) date() int {
	if m.k < 3 || m.groups[1].sep != m.groups[2].sep || m.groups[1].sep == ' ' || m.groups[1].sep == '*' {
		return 0
	}
	a, b, c := m.groups[0].len(), m.groups[1].len(), m.groups[2].len()
	switch {
	case a == 4 && b <= 2 && c <= 2 && m.value(1) <= 12 && m.value(2) <= 31:
	case a <= 2 && b <= 2 && (c == 4 || c == 2 && m.k == 3) && m.value(0) <= 31 && m.value(1) <= 31:
	default:
		return 0
	}
	return m.groups[2].end
}

// cardWords let a number of 12 to 19 digits be a card outside of the common ranges.
var cardWords = newWords("card", "cc", "credit", "debit", "visa", "mastercard", "maestro", "amex")

// card is 14 to 19 digits in one of the issuers' ranges, in their usual groups, with a right check
// digit (ISO/IEC 7812); those of 13 digits are bar codes far more often, and Maestro's of other than 16 anything. Where a card is spoken of, the check digit is enough, unless no issuer of cards
// has the range: 19 digits that begin with 8 or 9 are what token masks make of a bigint.
func (m *numeral) card() Finding {
	for k := 0; k < min(m.k, 5); k++ {
		n := m.upTo(k)
		if n > 19 {
			break
		}
		if n < 12 || !m.ends(k) || k > 0 && !m.separated(k, ' ') && !m.separated(k, '-') || !m.cardGroups(k) {
			continue
		}
		if d := m.digits[:n]; luhn(d) && (n > 13 && cardRange(d) || (n < 19 || d[0] < '8') && said(m.src[:m.groups[0].start], &cardWords)) {
			return Finding{m.groups[0].start, m.groups[k].end, "card"}
		}
	}
	return Finding{}
}

func (m *numeral) cardGroups(k int) bool {
	g := m.groups[:]
	switch k {
	case 0:
		return true
	case 2: // American Express, Diners
		return g[0].len() == 4 && g[1].len() == 6
	case 3, 4:
		return g[0].len() == 4 && g[1].len() == 4 && g[2].len() == 4
	}
	return false
}

// cardRange knows the leading digits of Visa, Mastercard, American Express, Discover, Diners, JCB,
// UnionPay and Maestro.
func cardRange(d []byte) bool {
	two := int(d[0]-'0')*10 + int(d[1]-'0')
	four := two*100 + int(d[2]-'0')*10 + int(d[3]-'0')
	n := len(d)
	switch {
	case d[0] == '4':
		return n == 16 || n == 19
	case two >= 51 && two <= 55, four >= 2221 && four <= 2720:
		return n == 16
	case two == 34, two == 37:
		return n == 15
	case two == 36, two == 38, two == 39, two == 30:
		return n >= 14
	case two == 35, two == 62, two == 60, two == 64, two == 65:
		return n >= 16
	case two == 50, two >= 56 && two <= 58, two == 63, two == 67, two == 68, two == 18, two == 21:
		return n == 16
	}
	return false
}

func luhn(d []byte) bool {
	sum := 0
	for i := range d {
		v := int(d[len(d)-1-i] - '0')
		if i%2 == 1 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return sum%10 == 0
}

// ssn is a US social security number as it is written, with the areas that were never given out left
// aside (SSA, POMS RM 10201).
func (m *numeral) ssn() Finding {
	if m.k < 3 || !m.ends(2) || m.groups[0].len() != 3 || m.groups[1].len() != 2 || m.groups[2].len() != 4 ||
		!m.separated(2, '-') && !m.separated(2, ' ') || m.k > 3 && m.groups[3].sep == m.groups[1].sep {
		return Finding{}
	}
	if area := m.value(0); area == 0 || area == 666 || area >= 900 || m.value(1) == 0 || m.value(2) == 0 {
		return Finding{}
	}
	return Finding{m.groups[0].start, m.groups[2].end, "ssn"}
}

// ibanLength has the length by country (ISO 13616 registry) for the greater part of its users; other
// countries may have any length in range.
var ibanLength = map[string]int{
	"AD": 24, "AE": 23, "AT": 20, "BE": 16, "BG": 22, "CH": 21, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "EE": 20, "ES": 24,
	"FI": 18, "FR": 27, "GB": 22, "GR": 27, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IS": 26, "IT": 27, "LI": 21, "LT": 20,
	"LU": 20, "LV": 21, "MC": 27, "MT": 31, "NL": 18, "NO": 15, "PL": 28, "PT": 25, "RO": 24, "SA": 24, "SE": 24, "SI": 19,
	"SK": 24, "SM": 27, "TR": 26, "UA": 29, "XK": 20,
}

// iban is two letters, two check digits and 11 to 30 letters and digits, perhaps in groups of four,
// that are 1 modulo 97 (ISO 13616).
func iban(src []byte, start int) Finding {
	var text [34]byte
	country := [2]byte{upper(src[start]), upper(src[start+1])}
	want := ibanLength[string(country[:])]
	n, best := 0, 0
	for i := start; i < len(src) && n < len(text); i++ {
		c := src[i]
		if c == ' ' && n > 0 && n%4 == 0 {
			continue
		}
		if !isAlnum(c) {
			break
		}
		text[n] = upper(c)
		n++
		if n >= 15 && (n == want || want == 0 && isUpper(src[start])) && (i+1 == len(src) || !wordByte(src[i+1])) && mod97(text[:n]) {
			best = i + 1
		}
	}
	if best == 0 {
		return Finding{}
	}
	return Finding{start, best, "iban"}
}

func upper(c byte) byte {
	if isLetter(c) {
		return c &^ 0x20
	}
	return c
}

func mod97(text []byte) bool {
	rest := 0
	for i := range text {
		switch c := text[(i+4)%len(text)]; {
		case isDigit(c):
			rest = (rest*10 + int(c-'0')) % 97
		default:
			rest = (rest*100 + int(c-'A') + 10) % 97
		}
	}
	return rest == 1
}
