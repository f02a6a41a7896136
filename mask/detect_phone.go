package mask

import "sallyport/mask/numbering"

// phone recognises a telephone number. Bare digit runs are identifiers far more often than numbers to call, so one of
// these has to hold:
//
//   - it begins with + or 00 and a calling code, and is a number of that code's plan; in groups it may also be one that
//     the plan has not given out
//   - it is grouped as in North America: (212) 555-0100, 212-555-0100, 1 212.555.0100
//   - it begins with a 0, in groups: 020 7946 0958, (0170) 1234567, 06 12 34 56 78
//   - it is a number of one of the regions that the detector is for, with what is dialled before it or in groups
//   - a word for telephone stands right before it
func (m *numeral) phone(from int, regions []numbering.Region) Finding {
	start := m.groups[0].start
	plus := false
	for back := start; back > from && start-back < 3; back-- {
		switch m.src[back-1] {
		case '+':
			plus = true
			start = back - 1
		case '(':
			start = back - 1
			continue
		case ' ':
			if back < m.groups[0].start && m.src[back] == '(' {
				continue
			}
		}
		break
	}
	if start > from && (isAlnum(m.src[start-1]) || !plus && (m.src[start-1] == '.' || m.src[start-1] == '/' || m.src[start-1] == '$')) {
		return Finding{}
	}
	if plus {
		if k := m.international(0); k >= 0 {
			return Finding{start, m.groups[k].end, "phone"}
		}
	}
	if m.src[m.groups[0].start] == '0' && m.n > 2 && m.digits[1] == '0' && m.digits[2] != '0' {
		if k := m.international(2); k >= 0 {
			return Finding{start, m.groups[k].end, "phone"}
		}
	}
	if k := m.american(); k > 0 {
		return Finding{start, m.groups[k].end, "phone"}
	}
	if m.digits[0] == '0' && m.k > 1 && m.groups[0].len() >= 2 && m.groups[0].len() <= 5 {
		least := 9
		if m.groups[1].sep == '-' || m.groups[1].sep == '.' { // so are the numbers of parts
			least = 10
		}
		if f := m.calls(start, least, 12); f.Kind != "" {
			return f
		}
	}
	if k := m.national(regions); k >= 0 {
		return Finding{start, m.groups[k].end, "phone"}
	}
	if f := m.calls(start, 6, 15); f.Kind != "" && said(m.src[:start], &phoneWords) {
		return f
	}
	return Finding{}
}

// calls takes as many groups as make a number of least to most digits.
func (m *numeral) calls(start, least, most int) Finding {
	best := -1
	for k := 0; k < m.k; k++ {
		n := m.upTo(k)
		if n > most || k > 0 && m.groups[k].len() > 9 {
			break
		}
		if n >= least && m.ends(k) {
			best = k
		}
	}
	if best < 0 {
		return Finding{}
	}
	return Finding{start, m.groups[best].end, "phone"}
}

// international gives the last group of a number whose calling code stands after prefix digits, or -1. The most groups that
// a plan has decide; where it has none of them, and there is more than one group, as many as have its length.
func (m *numeral) international(prefix int) int {
	valid, possible := -1, -1
	for k := 0; k < m.k; k++ {
		n := m.upTo(k)
		if n-prefix > 15+1 || k > 0 && m.groups[k].len() > 11 { // with the 0 of +44 (0)20
			break
		}
		if n <= prefix || !m.ends(k) {
			continue
		}
		switch digits := m.digits[prefix:n]; {
		case numbering.Valid(digits):
			valid = k
		case k > 0 && m.groups[0].len() <= 5 && numbering.Possible(digits):
			possible = k
		}
	}
	if valid >= 0 {
		return valid
	}
	return possible
}

// american gives the last group of a number of the North American plan, or 0. Blanks and dots stand in amounts and versions
// too, so there an area has to be one.
func (m *numeral) american() int {
	k := 0
	if m.groups[0].len() == 1 && m.digits[0] == '1' {
		k = 1
	}
	if m.k < k+3 || m.groups[k].len() != 3 || m.groups[k+1].len() != 3 || m.groups[k+2].len() != 4 || !m.ends(k+2) {
		return 0
	}
	if m.src[m.groups[k].start] < '2' || m.groups[k+1].sep == '/' || m.groups[k+2].sep == '/' {
		return 0
	}
	if sep := m.groups[k+1].sep; k == 0 && sep == m.groups[k+2].sep && (sep == ' ' || sep == '.') {
		var digits [11]byte
		digits[0] = '1'
		copy(digits[1:], m.digits[:10])
		if !numbering.Valid(digits[:]) {
			return 0
		}
	}
	return k + 2
}

// national gives the last group of a number as it is dialled in one of the regions, or -1. A single group has to begin
// with what is dialled before other numbers, and two without that are separated by a blank.
func (m *numeral) national(regions []numbering.Region) int {
	if len(regions) == 0 {
		return -1
	}
	best := -1
	for k := 0; k < m.k && m.upTo(k) <= 15; k++ {
		n := m.upTo(k)
		if n < 7 || !m.ends(k) {
			continue
		}
		for i := range regions {
			r := &regions[i]
			dialled := r.Dialled(m.digits[:n])
			if dialled && (k > 0 || n >= 9) || k > 0 && (k > 1 || m.groups[1].sep == ' ' && m.groups[1].len() >= 4) && m.groups[1].sep != '/' && r.Bare(m.digits[:n]) {
				best = k
			}
		}
	}
	return best
}

var phoneWords = newWords("phone", "tel", "mobile", "cell", "fax", "call", "dial", "whatsapp", "sms", "text me", "contact", "reach", "messages to")
