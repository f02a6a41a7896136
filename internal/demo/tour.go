package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrSurprise says that a step of the tour did not turn out as told.
var ErrSurprise = errors.New("the tour had a surprise")

// Tour walks through the demo with real clients, tells what it does, and checks that it comes out as
// told. trace writes the record as `sallyport trace` does.
func (d *Demo) Tour(ctx context.Context, w io.Writer, doors Doors, trace func(io.Writer) error) error {
	t := &tour{demo: d, doors: doors.local(), out: w}
	t.sayf("\nA tour of Sallyport. Each step shows what somebody does, what they get, and what to notice.\n")
	for _, chapter := range []func(context.Context) error{t.people, t.logins, t.agent} {
		if err := chapter(ctx); err != nil {
			return err
		}
	}
	if err := t.record(trace); err != nil {
		return err
	}
	t.sayf("\n%d steps, %d surprises.\n", t.steps, t.surprises)
	if t.surprises > 0 {
		return ErrSurprise
	}
	return nil
}

// tour prints and counts.
type tour struct {
	demo             *Demo
	doors            Doors
	out              io.Writer
	steps, surprises int
	loggedIn         bool // somebody came in by the provider
}

func (t *tour) sayf(format string, args ...any) { fmt.Fprintf(t.out, format, args...) }

func (t *tour) step(title string) {
	t.steps++
	t.sayf("\n── %d. %s %s\n\n", t.steps, title, strings.Repeat("─", max(3, 84-len(title))))
}

// shown prints what a client printed, at most so many lines of it.
func (t *tour) shown(output string) {
	const most = 24
	lines := strings.Split(strings.TrimRight(output, "\n"), "\n")
	if len(lines) > most {
		lines = append(lines[:most], fmt.Sprintf("… %d more lines", len(lines)-most))
	}
	for _, l := range lines {
		t.sayf("  %s\n", l)
	}
}

// notice prints the moral of a step when all its expectations hold, and what was wrong otherwise.
func (t *tour) notice(moral string, problems ...string) {
	bad := 0
	for _, p := range problems {
		if p != "" {
			bad++
			t.sayf("\n  ✗ SURPRISE: %s\n", p)
		}
	}
	if bad == 0 {
		t.sayf("\n  ✓ %s\n", moral)
		return
	}
	t.surprises++
}

// has and lacks are expectations: "" when met.
func has(output string, words ...string) string {
	for _, w := range words {
		if !strings.Contains(output, w) {
			return fmt.Sprintf("%q was expected in the answer", w)
		}
	}
	return ""
}

func lacks(output string, words ...string) string {
	for _, w := range words {
		if strings.Contains(output, w) {
			return fmt.Sprintf("%q must not be in the answer", w)
		}
	}
	return ""
}

// leaks looks for anybody's raw data in an answer.
func (t *tour) leaks(output string) string {
	for _, p := range t.demo.folk {
		for what, value := range map[string]string{"address": p.email, "telephone number": p.phone, "card": p.card, "name": p.name} {
			if strings.Contains(output, value) {
				return fmt.Sprintf("customer %d's %s is in the answer", p.id, what)
			}
		}
	}
	return ""
}

func (t *tour) record(trace func(io.Writer) error) error {
	t.step("The record")
	t.sayf("  $ %s trace --data %s/data\n\n", t.demo.self, t.demo.Dir)
	var b strings.Builder
	if err := trace(&b); err != nil {
		return err
	}
	out := b.String()
	const most = 70
	lines := strings.Split(strings.TrimRight(out, "\n"), "\n")
	if len(lines) > most {
		head, tail := lines[:most/2], lines[len(lines)-most/2:]
		t.shownAll(head)
		t.sayf("  … %d more lines\n", len(lines)-most)
		t.shownAll(tail)
	} else {
		t.shownAll(lines)
	}
	audrey := t.demo.folk[0].email // she read it in the clear, so her trace shows it
	t.notice("Each step is there: who, through which door, why, what was decided and by which policy, and what came back, as they saw it.",
		has(out, "ada", "audrey", "support-agent", agentGoal, agentReason, auditReason, "no-payroll-for-agents"),
		has(out, audrey), t.chain(out))
	return nil
}

// chain looks for who came in by the provider, and who acted for them.
func (t *tour) chain(out string) string {
	if !t.loggedIn {
		return ""
	}
	return has(out, "grace", triage, triageReason, t.demo.Issuer)
}

func (t *tour) shownAll(lines []string) {
	for _, l := range lines {
		t.sayf("  %s\n", l)
	}
}
