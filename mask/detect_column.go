package mask

import (
	"bytes"
	"strings"
)

// Column tells what a column holds by its name, which may be empty or lie, and a sample of its values: one of the
// kinds of a Finding, or "" for nothing personal. share is the part of the values that speaks for it. NULLs and empty
// values are to be left out. Values come before the name: the name decides only what they leave open.
func (d *Detector) Column(name string, values [][]byte) (kind string, share float64) {
	if len(values) == 0 {
		return "", 0
	}
	counts := map[string]int{}
	for _, v := range values {
		if k := d.whole(v); k != "" {
			counts[k]++
		}
	}
	if bornInThem(values) {
		counts["birth"] = len(values)
	}
	part := func(n int) float64 { return float64(n) / float64(len(values)) }
	for _, k := range columnKinds {
		if n := counts[k.kind]; n > counts[kind] {
			kind = k.kind
		}
	}
	if share = part(counts[kind]); share >= 0.5 {
		return kind, share
	}
	// What some values are, the others are too where all of them have the form of it.
	for _, k := range columnKinds {
		if k.kind == kind && share >= knownPart {
			if fit := part(fitting(values, k.fits)); fit >= 0.9 {
				return kind, fit
			}
		}
	}
	label := []byte(spaced(name))
	for _, k := range columnKinds {
		if !said(label, &k.words) {
			continue
		}
		if share = part(fitting(values, k.fits)); share >= 0.5 {
			return k.kind, share
		}
	}
	return "", 0
}

// knownPart is the part of a column's values that has to be known for what it is. Of people's names in many
// languages the lexicon has about half, of towns a tenth are called like people.
const knownPart = 0.3

func fitting(values [][]byte, fits func([]byte) bool) (n int) {
	for _, v := range values {
		if fits(v) {
			n++
		}
	}
	return n
}

// columnKinds are the kinds that names of columns speak of, and what a value has to look like at least.
var columnKinds = []struct {
	kind  string
	words words
	fits  func([]byte) bool
}{
	{"email", newWords("email", "e mail", "mail$"), func(v []byte) bool { return bytes.IndexByte(v, '@') > 0 }},
	{"phone", newWords("phone", "tel$", "telephone", "telefon", "mobile", "fax", "cell"), func(v []byte) bool { return digitsIn(v) >= 6 && digitsIn(v) <= 15 && lettersIn(v) == 0 }},
	{"birth", newWords("birth", "dob$", "born"), func(v []byte) bool { return yearOf(v) > 0 }},
	{"name", newWords("given name", "first name", "last name", "full name", "surname", "maiden", "middle name", "family name", "forename", "vorname", "nachname", "apellido", "prenom", "nom$"), capitalised},
	{"address", newWords("street", "address", "adresse", "strasse", "direccion", "indirizzo"), func(v []byte) bool { return lettersIn(v) > 3 && bytes.IndexByte(v, ' ') > 0 }},
	{"id", idWords, func(v []byte) bool { return digitsIn(v) >= 6 }},
	{"ssn", newWords("ssn$", "social security"), func(v []byte) bool { return digitsIn(v) == 9 }},
	{"card", cardWords, func(v []byte) bool { return digitsIn(v) >= 12 }},
	{"iban", newWords("iban"), func(v []byte) bool { return digitsIn(v) >= 12 && lettersIn(v) >= 2 }},
	{"ip", newWords("ip$", "ip addr"), func(v []byte) bool { return digitsIn(v) >= 4 }},
	{"mac", newWords("mac$", "mac addr"), func(v []byte) bool { return len(v) >= 12 }},
	{"key", newWords("api key", "secret", "token$"), func(v []byte) bool { return len(v) >= 16 }},
	{"credentials", newWords("dsn$", "connection url"), func(v []byte) bool { return bytes.Contains(v, []byte("://")) }},
	{"crypto", newWords("wallet", "btc", "eth$"), func(v []byte) bool { return len(v) >= 25 }},
}

// whole tells what a value is that is nothing else.
func (d *Detector) whole(v []byte) string {
	if f, ok := d.next(v, 0); ok && 5*(f.End-f.Start) >= 4*len(v) {
		return f.Kind
	}
	if !capitalised(v) {
		return ""
	}
	for word := range bytes.FieldsSeq(v) {
		if what := names().of(firstPart(word)); what&(aGiven|aSurname) != 0 && what&(aWord|aPlace) == 0 {
			return "name"
		}
	}
	return ""
}

// capitalised tells whether a value is one to four words with capitals, without a digit.
func capitalised(v []byte) bool {
	words := 0
	for word := range bytes.FieldsSeq(v) {
		if particles[string(word)] {
			continue
		}
		if words++; !isUpper(word[0]) && word[0] < 0xc3 {
			return false
		}
	}
	return words >= 1 && words <= 4 && digitsIn(v) == 0
}

// bornInThem tells whether nearly all values are dates without a time, of people of all ages: dates of business are
// of a few years.
func bornInThem(values [][]byte) bool {
	dates, first, last := 0, 9999, 0
	for _, v := range values {
		if y := yearOf(v); y > 0 {
			dates++
			first, last = min(first, y), max(last, y)
		}
	}
	return dates*10 >= len(values)*9 && last-first >= 30 && first >= 1900 && first < 1980
}

// yearOf gives the year of a value that is a date in figures, or 0.
func yearOf(v []byte) int {
	if len(v) < 8 || len(v) > 10 || !isDigit(v[0]) {
		return 0
	}
	var m numeral
	m.read(v, 0)
	if m.date() != len(v) {
		return 0
	}
	for k := range 3 {
		if m.groups[k].len() == 4 {
			return m.value(k)
		}
	}
	return 0
}

func digitsIn(v []byte) (n int) {
	for _, c := range v {
		if isDigit(c) {
			n++
		}
	}
	return n
}

func lettersIn(v []byte) (n int) {
	for _, c := range v {
		if isLetter(c) || c >= 0x80 {
			n++
		}
	}
	return n
}

// spaced puts a blank before each capital inside of a name: MothersMaiden.
func spaced(name string) string {
	var b strings.Builder
	for i := range len(name) {
		if i > 0 && isUpper(name[i]) && !isUpper(name[i-1]) {
			b.WriteByte(' ')
		}
		b.WriteByte(name[i])
	}
	return b.String()
}
