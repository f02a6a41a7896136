package policy

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func mustLoad(t testing.TB, text string) *Set {
	t.Helper()
	s, err := Load([]File{{"test.cedar", text}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestMistakesAreNamedWithTheirPlace has one line a mistake: what a newcomer would write, and what
// they must read.
func TestMistakesAreNamedWithTheirPlace(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"misspelt action": {`permit (principal, action == Action::"raed", resource);`,
			`p.cedar:1:30: unknown action Action::"raed" (did you mean Action::"read"?)`},
		"misspelt action in a list": {"permit (principal,\n  action in [Action::\"read\", Action::\"wirte\"],\n  resource);",
			`p.cedar:2:30: unknown action Action::"wirte" (did you mean Action::"write"?)`},
		"misspelt type": {`permit (principal in Grup::"x", action, resource);`,
			`p.cedar:1:22: unknown entity type Grup (did you mean Group?)`},
		"misspelt type in a condition": {"permit (principal, action, resource)\nwhen { principal in Grop::\"x\" };",
			`p.cedar:2:21: unknown entity type Grop (did you mean Group?)`},
		"misspelt attribute": {"// has_raeson\npermit (principal, action == Action::\"read\", resource)\nwhen { context.has_raeson };",
			`p.cedar:3:15: attribute has_raeson in context for Action::"read" not found (did you mean has_reason?)`},
		"attribute of another type": {`permit (principal, action == Action::"read", resource) when { resource.labelled };`,
			`(labelled is there for other types only: ask for the type first, as in ` + "`resource is Column && resource.labelled`)"},
		"attribute of another action": {`permit (principal, action == Action::"reveal", resource) when { context.class == "READ" };`,
			`(context.class is there for other actions only: name the actions in the policy's head)`},
		"misspelt annotation": {"@id(\"x\")\n@rwos(\"3\")\npermit (principal, action, resource);",
			`p.cedar:2:1: unknown annotation @rwos (did you mean @rows?)`},
		"rows without a number":       {`@rows("many") permit (principal, action, resource);`, `p.cedar:1:1: @rows("many") is not a number of rows (write @rows("1000"))`},
		"affected without a limit":    {`@affected("100") permit (principal, action, resource);`, `p.cedar:1:1: @affected("100") is not a limit (write @affected("<=100"))`},
		"probes without a window":     {`@probes("100") permit (principal, action == Action::"lookup", resource);`, `p.cedar:1:1: @probes("100") is not a budget (write @probes("100/1h"): so many guesses in so much time)`},
		"probes in no time":           {`@probes("100/0s") permit (principal, action == Action::"lookup", resource);`, `@probes("100/0s") is not a budget`},
		"probes of reading":           {`@probes("100/1h") permit (principal, action in [Action::"lookup", Action::"read"], resource);`, `@probes on something other than finding rows by masked values`},
		"comparing without end":       {`permit (principal, action in [Action::"lookup", Action::"predicate"], resource);`, `a permit to compare raw values without @probes (write @probes("100/1h")`},
		"aggregates of anything":      {`permit (principal, action == Action::"aggregate", resource);`, `a permit to aggregate without @min_group (write @min_group("10"): sums of fewer rows are not answered`},
		"a purpose that is none":      {`@purpose("Any thing") permit (principal, action, resource);`, `@purpose("Any thing") is not the id of a purpose (write @purpose("support.orders")`},
		"a group of two":              {`@min_group("2") permit (principal, action == Action::"aggregate", resource);`, `@min_group("2") is not a size (write @min_group("10"); less than 5 is no group)`},
		"groups of reading":           {`@min_group("10") permit (principal, action in [Action::"read", Action::"aggregate"], resource);`, `@min_group and @group_by on something other than aggregating`},
		"groups by nothing":           {`@min_group("10") @group_by("city,") permit (principal, action == Action::"aggregate", resource);`, `@group_by names no column`},
		"no affected rows at all":     {`@affected("<=0") permit (principal, action, resource);`, `@affected("<=0") is not a limit`},
		"no rows at all":              {`@rows("0") permit (principal, action, resource);`, `@rows("0") is not a number of rows`},
		"bytes in words":              {`@bytes("many") permit (principal, action, resource);`, `@bytes("many") is not an amount of data (write @bytes("10MiB"))`},
		"no bytes at all":             {`@bytes("0MiB") permit (principal, action, resource);`, `@bytes("0MiB") is not an amount of data`},
		"bytes beyond counting":       {`@bytes("9223372036854775807GiB") permit (principal, action, resource);`, `is not an amount of data`},
		"cost of nothing":             {`@cost("0") permit (principal, action, resource);`, `@cost("0") is not a cost of the planner's (write @cost("1000000"))`},
		"no sessions":                 {`@sessions("0") permit (principal, action, resource);`, `@sessions("0") is not a number of sessions (write @sessions("10"))`},
		"sessions of reading":         {`@sessions("3") permit (principal, action == Action::"read", resource);`, `@sessions on something other than connecting (write it on the permit of action == Action::"connect")`},
		"half a statement at a time":  {`@concurrent("0.5") permit (principal, action, resource);`, `@concurrent("0.5") is not a number of statements`},
		"wait without a unit":         {`@lock_timeout("2") permit (principal, action, resource);`, `@lock_timeout("2") is not a duration (write @lock_timeout("2s"))`},
		"endless pause":               {`@idle_timeout("0s") permit (principal, action, resource);`, `@idle_timeout("0s") is not a duration`},
		"time without a unit":         {`@timeout("10") permit (principal, action, resource);`, `@timeout("10") is not a duration (write @timeout("10s")`},
		"negative time":               {`@timeout("-1s") permit (principal, action, resource);`, `is not a duration`},
		"reason of another kind":      {`@reason("please") permit (principal, action, resource);`, `@reason("please") is not known (write @reason("required"))`},
		"preview of another kind":     {`@preview("on") permit (principal, action, resource);`, `p.cedar:1:1: @preview("on") is not known (write @preview("off") or @preview("auto"); without either, reviewers get a preview when they ask for one)`},
		"no preview on a forbid":      {`@preview("off") forbid (principal, action, resource);`, `@preview on a forbid`},
		"review by nobody":            {`@review("dba, ") permit (principal, action, resource);`, `@review names no group`},
		"filter that is no condition": {`@where("tenant_id = ") permit (principal, action == Action::"read", resource);`, `@where("tenant_id = ") is not understood: not a condition in SQL: syntax error at end of input`},
		"filter that calls":           {`@where("f(tenant_id) = 1") permit (principal, action == Action::"read", resource);`, `p.cedar:1:1: @where("f(tenant_id) = 1") is not understood: only columns, constants and principal.NAME can be compared (write @where("tenant_id = principal.tenant"))`},
		"filter on every action":      {`@where("a = 1") permit (principal, action, resource);`, `@where on something other than reading`},
		"filter on a reveal":          {`@where("a = 1") permit (principal, action in [Action::"read", Action::"reveal"], resource);`, `@where on something other than reading`},
		"filter on a forbid":          {`@where("a = 1") forbid (principal, action == Action::"read", resource);`, `@where on a forbid`},
		"obligation on a forbid":      {`@rows("3") forbid (principal, action, resource);`, `@rows on a forbid`},
		"annotation given twice":      {`@rows("3") @rows("4") permit (principal, action, resource);`, `duplicate annotation: @rows`},
		"id given twice":              {"@id(\"a\") permit (principal, action, resource);\n@id(\"a\") forbid (principal, action, resource);", `p.cedar:2:1: policy id "a" is used twice (the first is in p.cedar:1)`},
		"semicolon missing":           {`permit (principal, action, resource)`, `p.cedar:1:37: not a policy: found the end of the file where ; was expected (a policy ends with a semicolon`},
		"single quotes":               {`permit (principal == User::'x', action, resource);`, `(strings are written in double quotes: "agents")`},
		"allow instead of permit":     {`allow (principal, action, resource);`, `(a policy begins with permit or forbid, after its @annotations)`},
		"action that cannot apply":    {`permit (principal, action == Action::"reveal", resource is Table);`, `can never match: the action does not apply to that kind of principal and resource (reveal applies to Column)`},
		"condition that is no truth":  {`permit (principal, action, resource) when { 1 };`, `expected Bool`},
		"comparison across types":     {`permit (principal, action, resource) when { principal == "alice" };`, `not compatible`},
		"reason text decides reveals": {`permit (principal, action == Action::"reveal", resource) when { context.reason like "*x*" };`, `attribute reason in context for Action::"reveal" not found`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load([]File{{"p.cedar", test.text}})
			if err == nil {
				t.Fatal("loaded")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
			var le *LoadError
			if !errors.As(err, &le) || le.Problems[0].Line == 0 {
				t.Errorf("no place: %#v", err)
			}
		})
	}
}

func TestAllProblemsOfAllFilesAreReported(t *testing.T) {
	_, err := Load([]File{{"a.cedar", `permit (principal, action == Action::"x", resource);`}, {"b.cedar", `permit`}, {"c.cedar", Starter}})
	var le *LoadError
	if !errors.As(err, &le) || len(le.Problems) != 2 || le.Problems[0].File != "a.cedar" || le.Problems[1].File != "b.cedar" {
		t.Errorf("got %v", err)
	}
}

func TestOneMistakeIsOneProblem(t *testing.T) {
	_, err := Load([]File{{"a.cedar", `permit (principal, action, resource) when { resource.nam == "x" };`}})
	var le *LoadError
	if !errors.As(err, &le) || len(le.Problems) != 1 {
		t.Errorf("got %v", err)
	}
}

func TestIDsComeFromAnnotationsOrPlace(t *testing.T) {
	s := mustLoad(t, "@id(\"a\") permit (principal, action, resource);\n\nforbid (principal, action, resource); permit (principal, action, resource);")
	if got := s.IDs(); !slices.Equal(got, []string{"a", "test.cedar:3", "test.cedar:3:39"}) {
		t.Errorf("ids %q", got)
	}
}

func TestVersionChangesWithTextAndName(t *testing.T) {
	load := func(files ...File) string {
		s, err := Load(files)
		if err != nil {
			t.Fatal(err)
		}
		return s.Version()
	}
	seen := map[string]bool{}
	for _, files := range [][]File{
		nil, {{"a", ""}}, {{"a", " "}}, {{"b", ""}}, {{"a", ""}, {"b", ""}}, {{"b", ""}, {"a", ""}}, {{"c", Starter}},
	} {
		v := load(files...)
		if len(v) != 32 || seen[v] {
			t.Errorf("version %q of %d files is short or not new", v, len(files))
		}
		seen[v] = true
	}
	if first := load(File{"c", Starter}); first != load(File{"c", Starter}) {
		t.Error("the same files have two versions")
	}
}

func TestUsesReason(t *testing.T) {
	for text, want := range map[string]bool{
		`permit (principal, action, resource);`:                                                                     false,
		`permit (principal, action == Action::"read", resource) when { context.has_reason };`:                       false,
		`permit (principal, action == Action::"read", resource) when { context.reason like "*ticket*" };`:           true,
		`permit (principal, action == Action::"read", resource) when { context["reason"] == "" };`:                  true,
		`permit (principal, action == Action::"read", resource) when { [context.reason].contains("x") };`:           true,
		`permit (principal, action == Action::"read", resource) when { context has reason && principal has name };`: false,
	} {
		if got := mustLoad(t, text).UsesReason(); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestMentioned(t *testing.T) {
	s := mustLoad(t, Starter+`@review("security") permit (principal, action == Action::"reveal", resource in Label::"pii.card") when { principal in Group::"fraud" };`)
	if got := s.Mentioned("Group"); !slices.Equal(got, []string{"agents", "auditors", "dba", "engineers", "fraud", "security"}) {
		t.Errorf("groups %q", got)
	}
	if got := s.Mentioned("Label"); !slices.Equal(got, []string{"pii.card", "pii.email"}) {
		t.Errorf("labels %q", got)
	}
	if got := s.Mentioned("Connection"); !slices.Equal(got, []string{"shop"}) {
		t.Errorf("connections %q", got)
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"read", "raed", 1}, {"read", "write", 4}, {"grup", "group", 1}, {"ca", "abc", 3}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q %q: %d", c.a, c.b, got)
		}
	}
}

func TestPurposesOfPolicies(t *testing.T) {
	s, err := Load([]File{{"a.cedar", `@id("a") @purpose("support.orders") permit (principal, action, resource); @id("b") permit (principal, action, resource);`}})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Purposes(); len(got) != 1 || got["a"] != "support.orders" {
		t.Errorf("purposes %v", got)
	}
}
