package mask

import (
	"errors"
	"unicode/utf8"

	"sallyport/internal/access"
)

func denied(msg, hint string) error {
	return &access.Error{Kind: access.Denied, Code: "42501", Message: msg, Hint: hint}
}

func unsupported(msg, hint string) error {
	return &access.Error{Kind: access.Unsupported, Code: "0A000", Message: msg, Hint: hint}
}

// internal is a refusal for a reason that only the operator can do something about.
func internal(why string) error {
	return &access.Error{
		Kind: access.Internal, Code: "XX000",
		Message: "the statement could not be compiled with masks", Hint: "nothing was executed; the operator's log has the cause",
		Err: errors.New(why),
	}
}

func lastRune(s string) (rune, int) { return utf8.DecodeLastRuneInString(s) }
