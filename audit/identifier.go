package audit

import (
	"net/netip"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"sallyport/internal/access"
)

// The same identifier is written in many ways: a number in groups, an address in capitals. A normal form is what is left when
// that is taken away, behind the class of its kind. In how a number of a country is written without its calling code, in
// how dates are, and in names that are not complete, nothing is guessed.

const (
	emailClass = "email "
	phoneClass = "phone "
	ipClass    = "ip "
	otherClass = "other " // numbers, names, addresses, dates: letters and digits
)

// formOf gives the normal form of what the detectors found; "" for what names nobody: secrets.
func formOf(id access.Identifier) string {
	switch id.Kind {
	case "key", "credentials":
		return ""
	case "email":
		return emailForm(id.Value)
	case "phone":
		return phoneForm(id.Value)
	case "ip":
		if form := ipForm(id.Value); form != "" {
			return form
		}
	}
	return otherForm(id.Value)
}

// forms gives the normal forms that a text may have as an identifier of a kind that is not known.
func forms(text string) []string {
	if strings.Contains(text, "@") {
		return []string{emailForm(text)}
	}
	var out []string
	for _, form := range []string{phoneForm(text), ipForm(text), otherForm(text)} {
		if form != "" {
			out = append(out, form)
		}
	}
	return out
}

// emailForm: local parts differ by their punctuation; in a literal of SQL an apostrophe is written twice.
func emailForm(s string) string {
	return emailClass + folded(strings.ReplaceAll(strings.TrimSpace(s), "''", "'"))
}

// phoneForm is "" for what is no number of a telephone. The 0 in brackets of +49 (0)30 is not dialled, and 00 stands for
// the +.
func phoneForm(s string) string {
	s = strings.TrimSpace(norm.NFKC.String(s))
	if strings.HasPrefix(s, "+") || strings.HasPrefix(s, "00") {
		s = strings.Replace(s, "(0)", "", 1)
	}
	var digits []byte
	for _, r := range s {
		switch {
		case '0' <= r && r <= '9':
			digits = append(digits, byte(r))
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			return ""
		}
	}
	if len(digits) < 5 {
		return ""
	}
	return phoneClass + strings.TrimPrefix(string(digits), "00")
}

func ipForm(s string) string {
	a, err := netip.ParseAddr(strings.Trim(strings.TrimSpace(s), "[]"))
	if err != nil {
		return ""
	}
	return ipClass + a.Unmap().WithZone("").String()
}

// otherForm is the letters and digits.
func otherForm(s string) string {
	kept := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) {
			return r
		}
		return -1
	}, folded(s))
	if kept == "" {
		return ""
	}
	return otherClass + kept
}

// folded is a text in small letters, composed.
func folded(s string) string { return norm.NFKC.String(strings.ToLower(norm.NFKC.String(s))) }
