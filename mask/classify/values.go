package classify

import (
	"bytes"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"sallyport/mask"
)

// kinds are the labels of what the detectors find. Of a kind that is not here the label is pii and its name.
var kinds = map[string]string{
	"email": Email, "phone": Phone, "card": Card, "iban": Bank, "ip": IP, "ssn": NationalID, "id": NationalID, "birth": Birth, "name": Name,
	"address": Address, "mac": Device, "credentials": Credential, "key": Credential, "crypto": Wallet,
}

// nouns are how the evidence speaks of a label's values.
var nouns = map[string]string{
	Email: "email addresses", Phone: "telephone numbers", Card: "payment card numbers", Bank: "bank accounts", IP: "IP addresses",
	NationalID: "national identifiers", Birth: "dates of birth", Name: "names of persons", Address: "postal addresses", Device: "device addresses",
	Credential: "keys or credentials", Wallet: "wallet addresses", Gender: "genders", Username: "user names",
}

func noun(label string) string {
	if n := nouns[label]; n != "" {
		return n
	}
	return "values of " + label
}

// tally is what the detectors found in a sample.
type tally struct {
	n      int            // values that are not empty
	whole  map[string]int // values that are one finding and little else, by label
	inside int            // values with a finding among other things
	within map[string]int // of those, by label of the first finding
}

// count runs the detectors over the values. document is for JSON and XML, in which a value is never a whole finding.
func count(d *mask.Detector, values []string, document bool) tally {
	t := tally{whole: map[string]int{}, within: map[string]int{}}
	var found []mask.Finding
	for _, v := range values {
		v = strings.TrimSpace(v)
		if v == "" {
			continue
		}
		t.n++
		if found = d.Find(found[:0], []byte(v)); len(found) == 0 {
			continue
		}
		f := found[0]
		label := kinds[f.Kind]
		if label == "" {
			label = "pii." + f.Kind
		}
		if !document && (f.End-f.Start)*10 >= len(v)*8 {
			t.whole[label]++
		} else {
			t.inside++
			t.within[label]++
		}
	}
	return t
}

// most gives the label that most values are, or hold.
func most(counts map[string]int) (label string, n int) {
	for l, k := range counts {
		if k > n || k == n && l < label {
			label, n = l, k
		}
	}
	return label, n
}

// fit tells for how many values the form is one that a label's values have. ok is false where no form is known: then the
// values neither speak for the label nor against it.
func fit(label string, values []string, t tally) (n int, ok bool) {
	switch label {
	case Email, IP:
		return t.whole[label], true
	case Phone:
		return matching(values, looksLikePhone), true
	case Card:
		return matching(values, func(v string) bool { return digits(v) >= 12 && digits(v) <= 19 || digits(v) >= 3 && len(v) <= 7 }), true
	case Bank:
		return matching(values, func(v string) bool { return digits(v) >= 5 && len(v) <= 42 }), true
	case Name:
		return matching(values, looksLikeName), true
	case Birth:
		return matching(values, looksLikeBirth), true
	case NationalID, CustomerNo:
		return matching(values, func(v string) bool { return digits(v) >= 3 && len(v) <= 30 && !strings.Contains(v, "@") }), true
	case Gender:
		distinct := map[string]bool{}
		for _, v := range values {
			distinct[strings.ToLower(v)] = true
		}
		if len(distinct) > 12 {
			return 0, true
		}
		return matching(values, func(v string) bool { return len(v) <= 20 }), true
	case Username:
		return matching(values, func(v string) bool { return len(v) <= 64 && !strings.ContainsAny(v, " \n") }), true
	case Address:
		return matching(values, func(v string) bool { return len(v) >= 2 && !strings.Contains(v, "@") && digits(v) < 12 }), true
	}
	return 0, false
}

var genderWords = set(`male female man woman nonbinary non-binary männlich weiblich mann frau divers homme femme masculin féminin hombre mujer masculino femenino
	uomo donna maschio femmina homem mulher feminino vrouw mannelijk vrouwelijk mężczyzna kobieta erkek kadın kvinna`)

// genders gives how many values are words for men and women, or 0 where there are others, or only one word.
func genders(values []string) (n int) {
	distinct := map[string]bool{}
	for _, v := range values {
		v = strings.ToLower(strings.TrimSpace(v))
		if v == "" {
			continue
		}
		if !genderWords[v] {
			return 0
		}
		distinct[v] = true
		n++
	}
	if len(distinct) < 2 {
		return 0
	}
	return n
}

func matching(values []string, is func(string) bool) (n int) {
	for _, v := range values {
		if v = strings.TrimSpace(v); v != "" && is(v) {
			n++
		}
	}
	return n
}

func digits(s string) (n int) {
	for i := range len(s) {
		if s[i] >= '0' && s[i] <= '9' {
			n++
		}
	}
	return n
}

func looksLikePhone(v string) bool {
	d := digits(v)
	return d >= 5 && d <= 15 && strings.Trim(v, "0123456789+()-./ ext\u00a0") == ""
}

// looksLikeName: a few words of letters, as names of persons are, and initials.
func looksLikeName(v string) bool {
	if utf8.RuneCountInString(v) > 60 || len(strings.Fields(v)) > 5 {
		return false
	}
	letters := false
	for _, r := range v {
		switch {
		case unicode.IsLetter(r):
			letters = true
		case !unicode.Is(unicode.Mn, r) && !strings.ContainsRune(" .'-’,", r):
			return false
		}
	}
	return letters
}

var dateForms = []string{"2006-01-02", "2006-1-2", "02.01.2006", "2.1.2006", "02/01/2006", "2/1/2006", "01/02/2006", "1/2/2006", "2006/01/02", "20060102", "02-01-2006", "2006",
	"2006-01-02 15:04:05", "2006-01-02 15:04:05-07", "Jan 2, 2006", "2 Jan 2006"}

// looksLikeBirth: a date on which somebody who lives can have been born.
func looksLikeBirth(v string) bool {
	for _, form := range dateForms {
		if when, err := time.Parse(form, v); err == nil && when.Year() >= 1900 && when.Before(time.Now()) {
			return true
		}
	}
	return false
}

// document tells whether the text is JSON or XML by its looks.
func isDocument(values []string) bool {
	n := matching(values, func(v string) bool { return bytes.ContainsAny([]byte(v[:1]), "{[<") })
	return n > 0 && n*2 > len(values)
}
