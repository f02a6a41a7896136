package audit

import "sallyport/audit/internal/show"

// Clean makes text of a record harmless on a terminal: what is not a printing character (control and escape bytes, characters that
// turn the direction of text or have no width) is shown as an escape.
func Clean(s string) string { return show.Clean(s) }

// CleanJSON is JSON in which such characters are JSON escapes: it decodes to the same.
func CleanJSON(text []byte) []byte { return show.CleanJSON(nil, text) }
