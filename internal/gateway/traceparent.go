package gateway

import "strings"

// traceparent is what a client says of the trace that its call belongs to, in the form of W3C Trace Context (level 1, 3.2), or
// nothing where it is in no such form: what is recorded and sent on can then hold nothing but hexadecimal digits. A later
// version than 00 is taken for its first four fields, as the standard has it.
func traceparent(s string) string {
	const size = len("00-0123456789abcdef0123456789abcdef-0123456789abcdef-01")
	if len(s) < size || len(s) > size && (s[:2] == "00" || s[size] != '-') {
		return ""
	}
	f := strings.Split(s[:size], "-")
	if len(f) != 4 || f[0] == "ff" || zeros(f[1]) || zeros(f[2]) {
		return ""
	}
	for i, digits := range []int{2, 32, 16, 2} {
		if len(f[i]) != digits || strings.Trim(f[i], "0123456789abcdef") != "" {
			return ""
		}
	}
	return "00-" + s[3:size]
}

func zeros(s string) bool { return strings.Trim(s, "0") == "" }
