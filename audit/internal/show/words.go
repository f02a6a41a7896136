package show

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CleanList is Clean of each, with commas.
func CleanList(list []string) string {
	out := slices.Clone(list)
	for i := range out {
		out[i] = Clean(out[i])
	}
	return strings.Join(out, ", ")
}

// Param is a parameter as the record has it: NULL, and in quotes a text that looks like it.
func Param(text string, null bool) string {
	if !null && text == "NULL" {
		return "'NULL'"
	}
	return Clean(text)
}

// Join joins the parts that are not empty.
func Join(sep string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), sep)
}

// Plural is "1 row" or "2 rows".
func Plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Size is a number of bytes for people.
func Size(n int64) string {
	switch {
	case n < 10_000:
		return strconv.FormatInt(n, 10) + " B"
	case n < 10_000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// Duration is a span for people, to three digits.
func Duration(d time.Duration) string {
	short := func(n time.Duration, unit string) string {
		return strconv.FormatFloat(float64(d)/float64(n), 'g', 3, 64) + " " + unit
	}
	switch {
	case d <= 0:
		return "0 s"
	case d < time.Millisecond:
		return strconv.FormatInt(d.Microseconds(), 10) + " µs"
	case d < 999*time.Millisecond:
		return short(time.Millisecond, "ms")
	case d < time.Minute:
		return short(time.Second, "s")
	}
	s := d.Round(time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
