package mask

// Tokens have forms that the detectors have no interest in, whatever bits the hash gives and whatever
// stands beside them: in a row as JSON, an array, a line of CSV, 'x' || token. Else a token would now and
// then be hidden as a card or an IBAN, and whether it is would tell its bits. No detector makes an
// exception for tokens, so there is none that a client could dress a telephone number up for.
//
//	text     tok_ and 24 letters out of 16: no digit, no hex digit, and too few letters for a word that
//	         makes detectors look twice at a number beside it ("sms", "cc")
//	integer  nine digits: always as many, so that a word such as "phone" before it always has the same effect
//	bigint   nineteen digits that begin with 8 or 9: too long to call, and no issuer's card (ISO/IEC 7812)
//	uuid     fxxxxxxx-fxxx-8xxx-axxx-f0xxxxxxxxxx, version 8 (RFC 9562 section 5.8): a group of digits
//	         begins with a letter or is short and alone, and what a space may follow begins no IBAN
const (
	hexDigits    = "0123456789abcdef"
	tokenLetters = "ghjklmnpqrtvwxyz"
)

// tokenChars is how much of a text goes into its token: more could fail for want of memory.
const tokenChars = "1000000"

// token is HMAC-SHA256 over the value's bytes. Without the settings it gives NULL.
func token(s shape, v string) string {
	text := "CAST(" + v + " AS pg_catalog.text)"
	if s.citext {
		text = "pg_catalog.lower(" + text + ")" // equal values must have equal tokens
	}
	// Doubling backslashes makes any text valid input of the escape format: its bytes in the
	// server's encoding, with no conversion that could fail.
	msg := `pg_catalog.decode(pg_catalog.replace(pg_catalog.left(` + text + `, ` + tokenChars + `) COLLATE pg_catalog."C", '\', '\\'), 'escape')`
	pad := func(name string) string {
		return "pg_catalog.decode(pg_catalog.current_setting('" + name + "', true), 'hex')"
	}
	mac := "pg_catalog.sha256(pg_catalog.byteacat(" + pad(SettingOuter) + ", pg_catalog.sha256(pg_catalog.byteacat(" + pad(SettingInner) + ", " + msg + "))))"
	hex := func(bytes string) string {
		return "pg_catalog.encode(pg_catalog.substr(" + mac + ", 1, " + bytes + "), 'hex')"
	}
	// bits are 63 of them as a bigint that is not negative.
	bits := "(CAST(CAST(pg_catalog.concat('x', " + hex("8") + ") AS pg_catalog.bit(64)) AS pg_catalog.int8) OPERATOR(pg_catalog.&) 9223372036854775807)"
	switch {
	case s.oid == oidInt4:
		return "CAST((" + bits + " OPERATOR(pg_catalog.%) 900000000) OPERATOR(pg_catalog.+) 100000000 AS pg_catalog.int4)"
	case s.oid == oidInt8:
		return "(" + bits + " OPERATOR(pg_catalog.%) 1223372036854775808) OPERATOR(pg_catalog.+) 8000000000000000000"
	case s.family == uuidFamily:
		uuid := hex("16")
		for _, put := range []string{"'f', 1", "'f', 9", "'8', 13", "'a', 17", "'f0', 21"} {
			uuid = "pg_catalog.overlay(" + uuid + ", " + put + ")"
		}
		return "CAST(" + uuid + " AS pg_catalog.uuid)"
	default:
		return "pg_catalog.concat('tok_', pg_catalog.translate(" + hex("12") + ", '" + hexDigits + "', '" + tokenLetters + "'))"
	}
}
