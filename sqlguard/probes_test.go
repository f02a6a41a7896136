package sqlguard_test

import (
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/sqlguard"
)

func TestProbedHoldsEveryBudget(t *testing.T) {
	allowed := access.Decision{Effect: access.Allow, Obligations: access.Obligations{Probes: []access.ProbeBudget{{Most: 3, Window: time.Minute}, {Most: 10, Window: time.Hour}}}}
	used := func(minute, hour int64) func(time.Duration) int64 {
		return func(w time.Duration) int64 {
			if w == time.Minute {
				return minute
			}
			return hour
		}
	}
	for name, c := range map[string]struct {
		n, minute, hour int64
		want            access.Effect
	}{
		"nothing_asked":           {0, 3, 10, access.Allow},
		"fits":                    {3, 0, 0, access.Allow},
		"too_many_at_once":        {4, 0, 0, access.Review},
		"minute_is_used_up":       {1, 3, 3, access.Review},
		"hour_is_used_up":         {1, 0, 10, access.Review},
		"last_of_both":            {1, 2, 9, access.Allow},
		"more_were_made_than_may": {1, 9, 90, access.Review},
		"so_many_that_sums_wrap":  {1<<63 - 1, 1, 1, access.Review},
	} {
		t.Run(name, func(t *testing.T) {
			if d := sqlguard.Probed(allowed, c.n, used(c.minute, c.hour)); d.Effect != c.want || d.Effect == access.Review && !strings.Contains(d.Message, "needs approval") {
				t.Errorf("%v (%s), want %v", d.Effect, d.Message, c.want)
			}
		})
	}
	if d := sqlguard.Probed(access.Decision{Obligations: allowed.Obligations}, 1, used(0, 0)); d.Effect != access.Deny {
		t.Error("a denial becomes", d.Effect)
	}
	if d := sqlguard.Unprobed(allowed); d.Effect != access.Deny || d.Code != "0A000" {
		t.Error("guesses that cannot be counted are not refused under a budget")
	}
	if d := sqlguard.Unprobed(access.Decision{Effect: access.Allow}); d.Effect != access.Allow {
		t.Error("guesses that nobody counts are refused")
	}
}

// TestProbesComeWithTheLookup: the budget is that of the permit to look up, wherever the statement makes use of it.
func TestProbesComeWithTheLookup(t *testing.T) {
	set := load(t, mayRead+`@id("find") @probes("5/1h") permit (principal, action == Action::"lookup", resource in Label::"pii.email");`)
	want := access.ProbeBudget{Most: 5, Window: time.Hour}
	for name, f := range map[string]*access.Facts{
		"read": reading("email"),
		"write that a constraint compares": {Class: access.ClassWrite, Tag: "INSERT", Relations: []access.RelationUse{
			{Name: public("customers"), Action: access.ActWrite, Verb: "insert", Columns: []access.ColumnUse{{Name: "email", Use: access.UseWrite}}}}},
	} {
		d := sqlguard.Decide(input(f, set))
		if d.Effect != access.Allow || len(d.Obligations.Probes) != 1 || d.Obligations.Probes[0] != want {
			t.Errorf("%s: %v %q, budgets %v", name, d.Effect, d.Message, d.Obligations.Probes)
		}
		if d.Compares != (f.Class == access.ClassWrite) {
			t.Errorf("%s: compares is %v", name, d.Compares)
		}
	}
	if d := sqlguard.Decide(input(reading("id"), set)); len(d.Obligations.Probes) != 0 {
		t.Error("a budget for a statement that does not use the column")
	}
}
