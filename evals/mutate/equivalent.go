package mutate

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed equivalents.txt
var equivalentsText string

// readEquivalents gives the reason by key. The file has blocks: keys, one a line, and then an indented
// reason that holds for all of them. # begins a comment.
func readEquivalents(text string) (map[string]string, error) {
	out := map[string]string{}
	var keys, reason []string
	flush := func() error {
		if len(keys) > 0 && len(reason) == 0 {
			return fmt.Errorf("equivalents.txt: no reason for %s", keys[0])
		}
		for _, k := range keys {
			if out[k] != "" {
				return fmt.Errorf("equivalents.txt has %s twice", k)
			}
			out[k] = strings.Join(reason, " ")
		}
		keys, reason = nil, nil
		return nil
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "#"), line == "":
		case strings.HasPrefix(line, "\t"):
			if len(keys) == 0 {
				return nil, fmt.Errorf("equivalents.txt: a reason of nothing: %s", line)
			}
			reason = append(reason, strings.TrimSpace(line))
		default:
			if len(reason) > 0 {
				if err := flush(); err != nil {
					return nil, err
				}
			}
			keys = append(keys, line)
		}
	}
	return out, flush()
}
