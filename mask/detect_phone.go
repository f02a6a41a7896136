package mask

// phone recognises a telephone number. Bare digit runs are identifiers far more often than numbers
// to call, so one of these has to hold:
//
//   - it begins with + or 00 and a country code (E.164: 8 to 15 digits)
//   - it is grouped as in North America: (212) 555-0100, 212-555-0100, 1 212.555.0100
//   - it begins with a 0, in groups: 020 7946 0958, (0170) 1234567, 06 12 34 56 78
//   - a word for telephone stands right before it
func (m *numeral) phone(from int) Finding {
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
		return m.calls(start, 8, 15)
	}
	if m.src[m.groups[0].start] == '0' && m.n > 2 && m.digits[1] == '0' && m.digits[2] != '0' {
		least := 10
		if m.groups[0].len() > 9 { // numbers are filled up with zeros to ten places
			least = 12
		}
		if f := m.calls(start, least, 17); f.Kind != "" {
			return f
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

// american gives the last group of a number of the North American plan, or 0.
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
	return k + 2
}

var phoneWords = newWords("phone", "tel", "mobile", "cell", "fax", "call", "dial", "whatsapp", "sms", "text me", "contact", "reach", "messages to")
