package approval

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"

	"sallyport/evals/harness"
	"sallyport/evals/results"
)

var explored = regexp.MustCompile(`(\d+) states, (\d+) steps, (\d+) of them executed, ends map\[([^\]]*)\]`)

// model has the states of a request explored, which is a test of internal/approval, and reads what it says.
func model(ctx context.Context) ([]results.Figure, error) {
	root, err := harness.Root()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-v", "-run", "^TestEveryPath$", "./internal/approval")
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	violations := 0
	if err != nil {
		violations = 1 // it stops at the first
		fmt.Printf("FOUND %s\n", out)
	}
	m := explored.FindSubmatch(out)
	if m == nil && violations == 0 {
		return nil, fmt.Errorf("the exploration does not say what it has met: %s", out)
	}
	figures := []results.Figure{results.Count("approval.model.violations", violations, 1)}
	figures[0].Note = "of what must hold in every state: nobody approves who may not, nothing runs without an approval in force, nobody stands in before that is on record, nothing twice, nothing follows an end"
	if m == nil {
		return figures, nil
	}
	for i, name := range []string{"states", "steps", "executed"} {
		n, err := strconv.Atoi(string(m[i+1]))
		if err != nil {
			return nil, err
		}
		figures = append(figures, results.Count("approval.model."+name, n, n))
	}
	figures[1].Note = "of one request, its time and its versions, under eight reviewers, two escalations, expiry, cancel, claims, a restart and a change of policy in every order; ends " + string(m[4])
	figures[3].Note = "states in which it has run"
	return figures, nil
}
