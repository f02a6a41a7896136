package mask

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// image gives what a partial mask lets through of a text value: two values with the same image are
// the same to whoever sees the masked database. The zero style and every other transform than
// Partial have no image of a single value; redact and null have one for all.
//
//	email    first character, then the domain after the last '@'      a***@example.org
//	         anything that does not end in a plain domain              ***
//	phone    the last two digits, if there are seven or more           ********42
//	card     the last four digits, if there are twelve or more         ********4242
//	generic  the first character                                       a***
//
// Digits are ASCII digits among the last 64 characters. The length never shows.
func image(style, value string) string {
	switch style {
	case "email":
		tail := lastRunes(value, 254)
		at := strings.LastIndexByte(tail, '@')
		if strings.IndexByte(value, '@') < 1 || !plainDomain.MatchString(tail) {
			return "***"
		}
		return firstRune(value) + "***" + tail[at:]
	case "phone":
		return imageDigits(value, 2, 7)
	case "card":
		return imageDigits(value, 4, 12)
	case "generic":
		return firstRune(value) + "***"
	default:
		return "***"
	}
}

var plainDomain = regexp.MustCompile(`@[A-Za-z0-9][A-Za-z0-9.-]{0,252}\z`)

func imageDigits(value string, keep, least int) string {
	var digits []byte
	for _, r := range lastRunes(value, 64) {
		if r >= '0' && r <= '9' {
			digits = append(digits, byte(r))
		}
	}
	if len(digits) < least {
		return "***"
	}
	return "********" + string(digits[len(digits)-keep:])
}

func firstRune(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return s[:n]
}

func lastRunes(s string, n int) string {
	i := len(s)
	for ; n > 0 && i > 0; n-- {
		_, size := utf8.DecodeLastRuneInString(s[:i])
		i -= size
	}
	return s[i:]
}
