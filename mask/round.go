package mask

import (
	"fmt"
	"regexp"
	"strconv"
)

// The estimates in the output of EXPLAIN (src/backend/commands/explain.c): as text, and as JSON, YAML or XML.
var (
	textEstimates  = regexp.MustCompile(`\(cost=([0-9]+\.[0-9]{2})\.\.([0-9]+\.[0-9]{2}) rows=([0-9]+) width=[0-9]+\)`)
	namedEstimates = regexp.MustCompile(`((?:Startup|Total)[ -]Cost|Plan[ -](?:Rows|Width))("?: |>)([0-9]+(?:\.[0-9]+)?)`)
)

// RoundEstimates rounds costs and numbers of rows in a value of EXPLAIN's output up to powers of ten, and takes widths
// away, which are averages over raw values. What else has that form, in a name or a constant of the statement,
// is changed too.
func RoundEstimates(plan string) string {
	plan = textEstimates.ReplaceAllStringFunc(plan, func(found string) string {
		m := textEstimates.FindStringSubmatch(found)
		return fmt.Sprintf("(cost=%.2f..%.2f rows=%.0f width=0)", powerOfTen(m[1]), powerOfTen(m[2]), powerOfTen(m[3]))
	})
	return namedEstimates.ReplaceAllStringFunc(plan, func(found string) string {
		m := namedEstimates.FindStringSubmatch(found)
		switch m[1] {
		case "Plan Width", "Plan-Width":
			return m[1] + m[2] + "0"
		case "Plan Rows", "Plan-Rows":
			return fmt.Sprintf("%s%s%.0f", m[1], m[2], powerOfTen(m[3]))
		}
		return fmt.Sprintf("%s%s%.2f", m[1], m[2], powerOfTen(m[3]))
	})
}

// powerOfTen is the least power of ten from 1 on that is not below a number, 0 for 0.
func powerOfTen(number string) float64 {
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || n <= 0 {
		return 0
	}
	p := 1.0
	for p < n {
		p *= 10
	}
	return p
}
