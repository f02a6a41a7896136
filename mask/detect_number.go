package mask

import "bytes"

// number looks at what begins with a digit, a plus or a parenthesis: a run of digits with the separators
// that people put between them. It gives where to go on when the run is nothing that identifies anybody.
func number(src []byte, i, floor int) (finding, int) {
	if i > floor && word(src[i-1]) {
		if f, ok := iban(src, i, floor); ok {
			return f, 0
		}
		return finding{}, skipWord(src, i+1)
	}
	r := scanRun(src, i)
	if f, ok := r.classify(src); ok {
		return f, 0
	}
	// A longer run can begin with a short one: "order 12 555-123-4567".
	return finding{}, r.firstEnd
}

func skipWord(src []byte, i int) int {
	for i < len(src) && word(src[i]) {
		i++
	}
	return i
}

// run is digits with separators.
type run struct {
	from, to int
	digits   [40]byte
	n        int     // digits
	groups   [12]int // digits of each group
	ngroups  int
	seps     [12]byte // the separator before each group but the first; 0 for several
	firstEnd int      // end of the first group
	plus     bool
	paren    bool
}

// scanRun reads a run: groups of digits with one separator between (two for ") " and the like).
func scanRun(src []byte, i int) run {
	r := run{from: i}
	if src[i] == '+' {
		r.plus = true
		i++
	}
	if i < len(src) && src[i] == '(' {
		r.paren = true
		i++
	}
	for i < len(src) && r.n < len(r.digits)-10 && r.ngroups < len(r.groups) {
		start := i
		for i < len(src) && digit(src[i]) && r.n < len(r.digits) {
			r.digits[r.n] = src[i] - '0'
			r.n++
			i++
		}
		if i == start {
			break
		}
		r.groups[r.ngroups] = i - start
		r.ngroups++
		r.to = i
		if r.firstEnd == 0 {
			r.firstEnd = i
		}
		sep := i
		for sep < len(src) && sep-i < 3 && bytes.IndexByte([]byte(" -./()"), src[sep]) >= 0 {
			if src[sep] == '(' {
				r.paren = true
			}
			sep++
		}
		if sep == i || sep >= len(src) || !digit(src[sep]) || r.ngroups == len(r.groups) {
			break
		}
		if sep-i == 1 {
			r.seps[r.ngroups] = src[i]
		}
		i = sep
	}
	if r.firstEnd == 0 {
		r.firstEnd = r.from + 1
	}
	return r
}

func (r *run) classify(src []byte) (finding, bool) {
	if r.to < len(src) && (letter(src[r.to]) || src[r.to] == '_') || r.from > 0 && (src[r.from-1] == '.' || src[r.from-1] == '-' && r.n > 15) {
		return finding{}, false
	}
	switch {
	case r.card():
		return finding{r.from, r.to, "[card]"}, true
	case r.ssn():
		return finding{r.from, r.to, "[ssn]"}, true
	case r.ipv4():
		return finding{r.from, r.to, "[ip]"}, true
	case r.phone():
		return finding{r.from, r.to, "[phone]"}, true
	}
	return finding{}, false
}

// uniform reports whether all groups are kept apart by sep.
func (r *run) uniform(sep byte) bool {
	for i := 1; i < r.ngroups; i++ {
		if r.seps[i] != sep {
			return false
		}
	}
	return true
}

// card follows ISO/IEC 7812: 13 to 19 digits, a known issuer range, a Luhn check digit.
func (r *run) card() bool {
	if r.n < 13 || r.n > 19 || r.plus || r.paren || r.ngroups > 1 && !r.uniform(' ') && !r.uniform('-') {
		return false
	}
	if r.ngroups > 1 && (r.groups[0] != 4 || r.groups[1] < 4) {
		return false
	}
	two := int(r.digits[0])*10 + int(r.digits[1])
	four := two*100 + int(r.digits[2])*10 + int(r.digits[3])
	known := r.digits[0] == 4 || two >= 51 && two <= 55 || four >= 2221 && four <= 2720 || two == 34 || two == 37 || two == 36 || two == 38 || two == 39 ||
		four >= 3000 && four <= 3059 || four >= 3528 && four <= 3589 || two == 50 || two >= 56 && two <= 69
	return known && luhn(r.digits[:r.n])
}

func luhn(d []byte) bool {
	sum, double := 0, false
	for i := len(d) - 1; i >= 0; i-- {
		v := int(d[i])
		if double {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
		double = !double
	}
	return sum%10 == 0
}

// ssn is a United States social security number as written, 3-2-4, in a range that is issued.
func (r *run) ssn() bool {
	if r.ngroups != 3 || r.groups[0] != 3 || r.groups[1] != 2 || r.groups[2] != 4 || r.plus || r.paren || !r.uniform('-') && !r.uniform(' ') {
		return false
	}
	area := int(r.digits[0])*100 + int(r.digits[1])*10 + int(r.digits[2])
	return area != 0 && area != 666 && area < 900 && (r.digits[3] != 0 || r.digits[4] != 0)
}

func (r *run) ipv4() bool {
	if r.ngroups != 4 || !r.uniform('.') || r.plus || r.paren {
		return false
	}
	at := 0
	for i := range 4 {
		v := 0
		if r.groups[i] > 3 {
			return false
		}
		for range r.groups[i] {
			v = v*10 + int(r.digits[at])
			at++
		}
		if v > 255 {
			return false
		}
	}
	return true
}

// phone is an international number (E.164: a plus and 8 to 15 digits) or a national one as people write
// them, in groups. Dates, times, amounts and long identifiers are none.
func (r *run) phone() bool {
	if r.plus {
		return r.n >= 8 && r.n <= 15
	}
	if r.n < 9 || r.n > 12 || r.ngroups < 2 || r.ngroups > 6 || r.uniform('/') {
		return false
	}
	if r.paren {
		return true
	}
	nanp := r.n == 10 && r.ngroups == 3 && r.groups[0] == 3 && r.groups[1] == 3 && r.digits[0] >= 2
	one := r.n == 11 && r.digits[0] == 1 && r.groups[0] == 1 && r.ngroups == 4 && r.groups[1] == 3
	trunk := r.digits[0] == 0 && r.groups[0] >= 2 && r.groups[0] <= 5 && (r.uniform(' ') || r.uniform('-') || r.uniform('.') || r.ngroups > 2)
	double := r.digits[0] == 0 && r.digits[1] == 0 && r.n >= 10
	return nanp || one || trunk || double
}

// iban follows ISO 13616: two letters, two check digits, up to 30 letters and digits, in groups of four or
// not, with a remainder of 1 modulo 97. i is at the first check digit.
func iban(src []byte, i, floor int) (finding, bool) {
	from := i - 2
	if from < floor || src[from] < 'A' || src[from] > 'Z' || src[from+1] < 'A' || src[from+1] > 'Z' || from > floor && word(src[from-1]) ||
		i+1 >= len(src) || !digit(src[i+1]) {
		return finding{}, false
	}
	var chars [34]byte
	n, to, best := 0, from, 0
	for p := from; p < len(src) && n < len(chars); p++ {
		c := src[p]
		if c == ' ' && n%4 == 0 {
			continue
		}
		if !digit(c) && (c < 'A' || c > 'Z') {
			break
		}
		chars[n] = c
		n++
		if n >= 15 && (p+1 == len(src) || !word(src[p+1])) && mod97(chars[:n]) {
			to, best = p+1, n
		}
	}
	return finding{from, to, "[iban]"}, best > 0
}

func mod97(chars []byte) bool {
	rem := 0
	for i := range chars {
		c := chars[(i+4)%len(chars)]
		if digit(c) {
			rem = (rem*10 + int(c-'0')) % 97
		} else {
			rem = (rem*100 + int(c-'A') + 10) % 97
		}
	}
	return rem == 1
}
