package wire

import (
	"fmt"
	"slices"
	"strings"
)

// Sorted is an answer's lines as one text, in an order that does not depend on the order of rows.
func Sorted(lines []string) string {
	s := slices.Clone(lines)
	slices.Sort(s)
	return strings.Join(s, "\n")
}

// Parting shows where two answers part, shortened; "" where they do not.
func Parting(a, b []string) string {
	for i := range max(len(a), len(b)) {
		var la, lb string
		if i < len(a) {
			la = a[i]
		}
		if i < len(b) {
			lb = b[i]
		}
		if la != lb {
			from := shared(la, lb)
			return fmt.Sprintf("message %d: %s <> %s", i+1, Clip(la[from:]), Clip(lb[from:]))
		}
	}
	return ""
}

// shared is how much of two long lines need not be shown to see where they part.
func shared(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return max(0, n-60)
}

// Clip shortens a line for listings.
func Clip(s string) string {
	const most = 160
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
