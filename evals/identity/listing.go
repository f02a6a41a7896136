package identity

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"sallyport/evals/harness"
	"sallyport/evals/results"
)

func figuresOf(done []outcome, listing bool) ([]results.Figure, error) {
	slices.SortFunc(done, func(a, b outcome) int { return strings.Compare(a.full(), b.full()) })
	accepted := 0
	for _, o := range done {
		if o.lucky != "" {
			accepted++
		}
	}
	figures := []results.Figure{results.Count("identity.attacks.attempts", len(done), len(done)), results.Count("identity.attacks.accepted", accepted, len(done))}
	figures[0].Note = "ways to be taken for somebody, at every door; before and after them the honest forms worked"
	figures[1].Note = "by what came out: a row or a page that only the attacked person may see, or their session that ended"
	if listing {
		return figures, harness.Listing("identity", listed(done))
	}
	return figures, nil
}

// listed tells of all attacks, those together that were tried at the same ways in and answered the same there.
func listed(done []outcome) string {
	type count struct{ tried, won int }
	counts, byName := map[string]count{}, map[string][]outcome{}
	var lucky []string
	for _, o := range done {
		c := counts[o.way]
		c.tried++
		if o.lucky != "" {
			c.won++
			lucky = append(lucky, fmt.Sprintf("- %s at %s: %s", cell(o.name, 120), o.way, cell(o.answer, 120)))
		}
		counts[o.way], byName[o.name] = c, append(byName[o.name], o)
	}
	var b strings.Builder
	b.WriteString("### Attacks on identity\n\n| way in | attempts | accepted |\n|---|---|---|\n")
	for _, way := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&b, "| %s | %d | %d |\n", way, counts[way].tried, counts[way].won)
	}
	if lucky != nil {
		fmt.Fprintf(&b, "\n**Accepted:**\n\n%s\n", strings.Join(lucky, "\n"))
	}
	alike := map[string][]string{}
	for name, outcomes := range byName {
		var ways []string
		for _, o := range outcomes {
			ways = append(ways, fmt.Sprintf("%s (%s)", o.way, cell(o.answer, 60)))
		}
		key := strings.Join(ways, ", ")
		alike[key] = append(alike[key], cell(name, 120))
	}
	b.WriteString("\nEach by name, with the ways in that it was tried at and the beginning of what was answered there:\n\n")
	keys := slices.SortedFunc(maps.Keys(alike), func(a, b string) int { return cmp.Or(len(alike[b])-len(alike[a]), strings.Compare(a, b)) })
	for _, key := range keys {
		fmt.Fprintf(&b, "- %s: %s\n", key, strings.Join(slices.Sorted(slices.Values(alike[key])), "; "))
	}
	return b.String()
}

// fleeting is what differs between two runs, and what is said around an answer.
var fleeting = []struct {
	re *regexp.Regexp
	as string
}{
	{regexp.MustCompile(`\{"error":"([^"]+)".*`), "$1"},
	{regexp.MustCompile(`^initialize: transport error: `), ""},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "HOST"},
	{regexp.MustCompile(`\bk-[a-zA-Z0-9]+\b`), "KEY"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\S+`), "TIME"},
	{regexp.MustCompile(`sallyport-eval-\d+`), "DIR"},
}

func cell(s string, most int) string {
	for _, f := range fleeting {
		s = f.re.ReplaceAllString(s, f.as)
	}
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == '|' || r == 0x7f || r > 0x7e {
			return ' '
		}
		return r
	}, s)
	s = strings.NewReplacer("<", "&lt;", "*", `\*`, "`", "'").Replace(s)
	return s[:min(len(s), most)]
}
