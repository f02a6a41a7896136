package policy

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	cedar "github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"

	"sallyport/internal/access"
	"sallyport/sqlguard/rowfilter"
)

// annotations that a policy may carry. All but @id, @definition and @purpose are obligations, and all but @id belong on permits: a
// forbid that matches has no statement left to oblige.
var annotations = []string{"affected", "bytes", "concurrent", "cost", "definition", "group_by", "id", "idle_timeout", "lock_timeout", "min_group", "preview", "probes", "purpose", "reason", "review", "role", "rows", "sessions", "setting", "timeout", "where"}

// annotated reads a policy's annotations. Cedar itself gives annotations no meaning, so one that
// is not understood would be a limit that nobody enforces: it is refused.
func annotated(p *cedar.Policy, src source) (id, definition string, o access.Obligations, problems []Problem) {
	found := p.Annotations()
	keys := make([]string, 0, len(found))
	for k := range found {
		keys = append(keys, string(k))
	}
	slices.Sort(keys)
	for _, k := range keys {
		v := string(found[types.AnnotationKey(k)])
		bad := func(message, hint string) {
			problems = append(problems, src.problem(message, hint, "@"+k))
		}
		if !slices.Contains(annotations, k) {
			hint := "known are @" + strings.Join(annotations, ", @")
			if n := nearest(k, annotations); n != "" {
				hint = "did you mean @" + n + "?"
			}
			bad("unknown annotation @"+k, hint)
			continue
		}
		if k != "id" && p.Effect() == cedar.Forbid {
			bad("@"+k+" on a forbid", "obligations belong on permits; a forbid has no statement left to oblige")
			continue
		}
		if l, ok := limitNamed(k); ok {
			if !l.read(&o, v) {
				bad(fmt.Sprintf("@%s(%q) is not %s", k, v, l.what), "write "+l.example)
			} else if k == "sessions" && !mayBe(p, access.ActConnect) {
				bad("@sessions on something other than connecting", `write it on the permit of action == Action::"connect"`)
			}
			continue
		}
		switch k {
		case "id":
			if id = v; v == "" || strings.ContainsAny(v, " \t\n") {
				bad("@id is empty or holds blanks", `write @id("agents-read")`)
			}
		case "purpose": // read by Set.Purposes; it obliges to nothing
			if !purposeForm.MatchString(v) {
				bad(fmt.Sprintf("@purpose(%q) is not the id of a purpose", v), `write @purpose("support.orders"), as the configuration's catalogue has it`)
			}
		case "definition":
			switch {
			case !isDefinition(v):
				bad(fmt.Sprintf("@definition(%q) is not a definition", v), `write @definition("sha256:...") as a refusal or "sallyport policy explain" shows it`)
			case !callsOne(p):
				bad("@definition on something other than calling one function", `write action == Action::"call", resource == Function::"shop.public.f"`)
			default:
				definition = v
			}
		case "rows":
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil || n <= 0 {
				bad(fmt.Sprintf("@rows(%q) is not a number of rows", v), `write @rows("1000")`)
				continue
			}
			o.Rows = n
		case "affected":
			most, ok := strings.CutPrefix(strings.TrimSpace(v), "<=")
			n, err := strconv.ParseInt(strings.TrimSpace(most), 10, 64)
			if !ok || err != nil || n <= 0 {
				bad(fmt.Sprintf("@affected(%q) is not a limit", v), `write @affected("<=100")`)
				continue
			}
			o.Affected = n
		case "timeout":
			d, err := time.ParseDuration(v)
			if err != nil || d <= 0 {
				bad(fmt.Sprintf("@timeout(%q) is not a duration", v), `write @timeout("10s"), @timeout("500ms") or @timeout("2m")`)
				continue
			}
			o.Timeout = d
		case "reason":
			if v != "required" {
				bad(fmt.Sprintf("@reason(%q) is not known", v), `write @reason("required")`)
				continue
			}
			o.Reason = true
		case "review":
			for _, g := range strings.Split(v, ",") {
				if g = strings.TrimSpace(g); g == "" {
					bad("@review names no group", `write @review("dba"), or @review("dba,security") when both must approve`)
					break
				}
				o.Review = append(o.Review, g)
			}
		case "preview":
			switch v {
			case "off":
				o.NoPreview = true
			case "auto":
				o.AutoPreview = true
			default:
				bad(fmt.Sprintf("@preview(%q) is not known", v), `write @preview("off") or @preview("auto"); without either, reviewers get a preview when they ask for one`)
				continue
			}
		case "min_group":
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil || n < leastGroup {
				bad(fmt.Sprintf("@min_group(%q) is not a size", v), fmt.Sprintf(`write @min_group("10"); less than %d is no group`, leastGroup))
				continue
			}
			o.MinGroup = n
		case "group_by":
			for _, c := range strings.Split(v, ",") {
				if c = strings.TrimSpace(c); c == "" {
					bad("@group_by names no column", `write @group_by("city, plan")`)
					break
				}
				o.GroupBy = append(o.GroupBy, c)
			}
			slices.Sort(o.GroupBy)
			o.GroupBy = slices.Compact(o.GroupBy)
		case "probes":
			b, ok := parseProbes(v)
			if !ok {
				bad(fmt.Sprintf("@probes(%q) is not a budget", v), `write @probes("100/1h"): so many guesses in so much time`)
				continue
			}
			if !only(p, access.ActLookup, access.ActPredicate) {
				bad("@probes on something other than finding rows by masked values", `write action in [Action::"lookup", Action::"predicate"], and the other actions in a policy of their own`)
				continue
			}
			o.Probes = []access.ProbeBudget{b}
		case "role":
			if _, err := parseRole(v); err != nil {
				bad(fmt.Sprintf("@role: %v", err), `write @role("tenant_reader") or @role("principal.role")`)
			} else if !only(p, access.ActConnect) {
				bad("@role on something other than connecting", `write action == Action::"connect", and the other actions in a policy of their own`)
			} else {
				o.Role = []string{v}
			}
		case "setting":
			if _, err := parseSettings(v); err != nil {
				bad(fmt.Sprintf("@setting(%q) is not understood: %v", v, err), `write @setting("app.tenant = principal.tenant, app.region = 'eu'")`)
			} else if !only(p, access.ActConnect) {
				bad("@setting on something other than connecting", `write action == Action::"connect", and the other actions in a policy of their own`)
			} else {
				o.Settings = []string{v}
			}
		case "where":
			if _, err := rowfilter.Parse(v); err != nil {
				bad(fmt.Sprintf("@where(%q) is not understood: %v", v, err), `write @where("tenant_id = principal.tenant")`)
				continue
			}
			if !only(p, access.ActRead, access.ActWrite) {
				bad("@where on something other than reading", `write action == Action::"read", and the other actions in a policy of their own`)
				continue
			}
			o.Where = []string{v}
		}
	}
	if p.Effect() == cedar.Permit {
		aggregates := only(p, access.ActAggregate)
		switch {
		case (o.MinGroup > 0 || len(o.GroupBy) > 0) && !aggregates:
			problems = append(problems, src.problem("@min_group and @group_by on something other than aggregating", `write action == Action::"aggregate"`, "@min_group", "@group_by"))
		case len(o.Probes) == 0 && might(p, access.ActPredicate):
			problems = append(problems, src.problem("a permit to compare raw values without @probes", `write @probes("100/1h"): whoever compares often enough finds every value; name other actions in a policy of their own`, `"predicate"`))
		case o.MinGroup == 0 && might(p, access.ActAggregate):
			problems = append(problems, src.problem("a permit to aggregate without @min_group", `write @min_group("10"): sums of fewer rows are not answered; name other actions in a policy of their own`, `"aggregate"`))
		}
	}
	return id, definition, o, problems
}

var purposeForm = regexp.MustCompile(`^[a-z0-9_]+(\.[a-z0-9_]+)*$`)

// Purposes gives, by policy, the purpose that it refers to, of those that refer to one.
func (s *Set) Purposes() map[string]string {
	out := map[string]string{}
	for _, r := range s.rules {
		if v := r.policy.Annotations()["purpose"]; v != "" {
			out[r.id] = string(v)
		}
	}
	return out
}

// isDefinition reports whether s has the form of what access.Catalog.Definition gives.
func isDefinition(s string) bool {
	digest, ok := strings.CutPrefix(s, "sha256:")
	b, err := hex.DecodeString(digest)
	return ok && err == nil && len(b) == sha256.Size && digest == strings.ToLower(digest)
}

// callsOne reports whether a policy's scope is to call one function.
func callsOne(p *cedar.Policy) bool {
	scope := (*xast.Policy)(p.AST())
	action, ok := scope.Action.(xast.ScopeTypeEq)
	resource, one := scope.Resource.(xast.ScopeTypeEq)
	return ok && one && string(action.Entity.ID) == string(access.ActCall) && resource.Entity.Type == typeFunction
}

// mayBe reports whether a policy's scope takes an action in.
func mayBe(p *cedar.Policy, a access.Action) bool {
	switch scope := (*xast.Policy)(p.AST()).Action.(type) {
	case xast.ScopeTypeEq:
		return string(scope.Entity.ID) == string(a)
	case xast.ScopeTypeInSet:
		return slices.ContainsFunc(scope.Entities, func(e cedar.EntityUID) bool { return string(e.ID) == string(a) })
	}
	return true
}

// leastGroup is the smallest size of a group. The mean and the deviation of two or three values tell them.
const leastGroup = 5

// might reports whether a policy's scope names an action. A permit of everything does not mean those of named.
func might(p *cedar.Policy, a access.Action) bool {
	_, all := (*xast.Policy)(p.AST()).Action.(xast.ScopeTypeAll)
	return !all && mayBe(p, a)
}

// only reports whether a policy's scope is about some actions and nothing else.
func only(p *cedar.Policy, actions ...access.Action) bool {
	among := func(action cedar.EntityUID) bool { return slices.Contains(actions, access.Action(action.ID)) }
	switch scope := (*xast.Policy)(p.AST()).Action.(type) {
	case xast.ScopeTypeEq:
		return among(scope.Entity)
	case xast.ScopeTypeInSet:
		return !slices.ContainsFunc(scope.Entities, func(a cedar.EntityUID) bool { return !among(a) })
	}
	return false
}

// parseProbes reads a budget: "100/1h".
func parseProbes(v string) (access.ProbeBudget, bool) {
	most, window, ok := strings.Cut(v, "/")
	n, err := strconv.ParseInt(strings.TrimSpace(most), 10, 64)
	d, derr := time.ParseDuration(strings.TrimSpace(window))
	return access.ProbeBudget{Most: n, Window: d}, ok && err == nil && derr == nil && n > 0 && d >= time.Second && d <= MaxProbeWindow
}

// MaxProbeWindow bounds how far back guesses are counted.
const MaxProbeWindow = 31 * 24 * time.Hour

// Strictest merges two sets of obligations: the fewest rows read and changed, the shortest time, every reviewer, only rows that
// every condition holds for, guesses within every budget, every pin, and no preview where one of them has none.
func Strictest(a, b access.Obligations) access.Obligations {
	a.Rows = least(a.Rows, b.Rows)
	a.Affected = least(a.Affected, b.Affected)
	a.Timeout = least(a.Timeout, b.Timeout)
	for _, l := range limits {
		l.least(&a, b)
	}
	a.Reason = a.Reason || b.Reason
	a.NoPreview, a.AutoPreview = a.NoPreview || b.NoPreview, a.AutoPreview || b.AutoPreview
	a.Review = union(a.Review, b.Review)
	a.Where, a.Role, a.Settings = union(a.Where, b.Where), union(a.Role, b.Role), union(a.Settings, b.Settings)
	switch {
	case a.MinGroup == 0:
		a.MinGroup, a.GroupBy = b.MinGroup, b.GroupBy
	case b.MinGroup > 0: // larger groups of larger cells
		a.MinGroup = max(a.MinGroup, b.MinGroup)
		a.GroupBy = slices.DeleteFunc(slices.Clone(a.GroupBy), func(c string) bool { return !slices.Contains(b.GroupBy, c) })
	}
	for _, b := range b.Probes {
		if !slices.Contains(a.Probes, b) {
			a.Probes = append(slices.Clip(a.Probes), b)
		}
	}
	slices.SortFunc(a.Probes, func(a, b access.ProbeBudget) int {
		return cmp.Or(cmp.Compare(a.Window, b.Window), cmp.Compare(a.Most, b.Most))
	})
	return a
}

// union has what is in a or b, sorted. It may be a itself, and changes neither: they may be shared with the policies that they
// came from.
func union(a, b []string) []string {
	if len(b) == 0 {
		return a
	}
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// least is the smaller of two limits where 0 means none.
func least[T int64 | time.Duration](a, b T) T {
	if a == 0 || (b != 0 && b < a) {
		return b
	}
	return a
}
