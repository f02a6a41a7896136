package results

import (
	"errors"
	"fmt"
	"math"
	"sort"
	"strings"
)

// Bound is what a figure must keep.
type Bound struct {
	Op    string // ">=", "<=" or "="
	Value float64
}

func (b Bound) String() string { return b.Op + " " + number(b.Value) }

// Holds tells whether v keeps the bound. An unknown operator never holds.
func (b Bound) Holds(v float64) bool {
	switch b.Op {
	case ">=":
		return v >= b.Value
	case "<=":
		return v <= b.Value
	case "=":
		return v == b.Value
	}
	return false
}

// Required are the figures with a bound.
var Required = map[string]Bound{
	"leak.leaks":                        {"=", 0},
	"twin.differences":                  {"=", 0},
	"twin.canaries_seen":                {"=", 0},
	"twin.answered_share":               {">=", 0.80},
	"sqlsmith.differences":              {"=", 0},
	"fuzztwin.statements":               {">=", 100000},
	"fuzztwin.differences":              {"=", 0},
	"fuzztwin.canaries":                 {"=", 0},
	"fuzztwin.answered_share":           {">=", 0.80},
	"sqlsmith.answered_share":           {">=", 0.30},
	"attack.effects":                    {"=", 0},
	"attack.sanity.effect_share":        {">=", 0.80},
	"benign.defog.answered_share":       {">=", 0.97},
	"benign.refused_share":              {"<=", 0.01},
	"bench.simple.vs_pgbouncer":         {">=", 0.70},
	"bench.extended.vs_pgbouncer":       {">=", 0.70},
	"bench.prepared.vs_pgbouncer":       {">=", 0.70},
	"bench.large_read.vs_direct":        {">=", 0.70},
	"soak.rise_mb":                      {"<=", 64}, // ours: buffers and the collector's slack, against a result of some 700 MB
	"detect.clean.speed":                {">=", 100},
	"detect.dense.speed":                {">=", 40},
	"detect.business.hidden_share":      {"<=", 0.01}, // ours
	"regress.passed":                    {">=", 190},
	"mcp.tools_list_tokens":             {"<=", 1400},
	"mcp.conformance.auth.sdk_client":   {">=", 9}, // ours: what an OAuth client of others' finds out
	"mutation.survivors":                {"=", 0},
	"audit.append.32.vs_bbolt_batch":    {">=", 3},
	"tamper.manipulations":              {">=", 200},
	"tamper.detected":                   {"=", 1},
	"tamper.named":                      {"=", 1},
	"crash.kills":                       {">=", 500},
	"crash.received":                    {">=", 5000}, // ours, as those below that say how much was looked at: of nothing, nothing is lost
	"crash.released_unrecorded":         {"=", 0},
	"crash.effects_unrecorded":          {"=", 0},
	"crash.lost":                        {"=", 0},
	"crash.starts_unexplained":          {"=", 0},
	"crash.logs_unsound":                {"=", 0},
	"crash.faults.injected":             {">=", 40},
	"crash.faults.received":             {">=", 1000},
	"crash.faults.released_unrecorded":  {"=", 0},
	"crash.faults.lost":                 {"=", 0},
	"crash.faults.unexplained":          {"=", 0},
	"crash.faults.effects_unrecorded":   {"=", 0},
	"crash.faults.logs_unsound":         {"=", 0},
	"erasure.canaries_left":             {"=", 0},
	"erasure.others_lost":               {"=", 0},
	"erasure.proofs_failed":             {"=", 0},
	"bundle.1000_steps.made":            {"<=", 2},
	"bundle.1000_steps.verified":        {"<=", 1},
	"browser.pages":                     {">=", 50},
	"browser.axe_serious":               {"=", 0},
	"browser.csp_violations":            {"=", 0},
	"browser.requests_elsewhere":        {"=", 0},
	"approval.inbox_1000":               {"<=", 200},
	"search.newest50.all.p99":           {"<=", 50},
	"search.newest50.one_filter.p99":    {"<=", 50},
	"search.newest50.three_filters.p99": {"<=", 50},
	"search.newest50.rare_frequent.p99": {"<=", 50},
	"search.newest50.disjoint.p99":      {"<=", 50},
	"search.newest50.words.p99":         {"<=", 50},
	"search.newest50.unknown_word.p99":  {"<=", 50},
	"search.newest50.past_window.p99":   {"<=", 50},
	"search.newest50.deep_page.p99":     {"<=", 50},
	"search.page50.p99":                 {"<=", 50},
	"approval.adversarial.attempts":     {">=", 200},
	"approval.adversarial.controls":     {">=", 150},
	"approval.adversarial.succeeded":    {"=", 0},
	"approval.model.violations":         {"=", 0},
	"identity.attacks.attempts":         {">=", 150},
	"identity.attacks.accepted":         {"=", 0},
	"identity.jwks.fetches_per_minute":  {"<=", 2},
	"identity.withdrawn_key.seconds":    {"<=", 60}, // the refresh period that the measurement has
	"identity.revocation.sessions":      {">=", 1000},
	"identity.revocation.p99":           {"<=", 1000},
	"identity.fuzz.minutes":             {">=", 10},
	"identity.fuzz.crashes":             {"=", 0},
	"approval.inbox_1000.p99":           {"<=", 200},
	"approval.inbox_1000.json.p99":      {"<=", 200},
}

// Check records figures and gives an error that names those that miss their bound.
func Check(figures ...Figure) error {
	if err := Record(figures...); err != nil {
		return err
	}
	var missed []string
	for _, f := range figures {
		if b, ok := Required[f.Name]; ok && !b.Holds(f.Value) {
			missed = append(missed, fmt.Sprintf("%s is %s, required %s", f.Name, number(f.Value), b))
		}
	}
	if missed == nil {
		return nil
	}
	return errors.New("missed: " + strings.Join(missed, "; "))
}

// Share is hits/n with its 95% Wilson score interval.
func Share(name string, hits, n int) Figure {
	f := Figure{Name: name, Unit: "share", N: n, Interval: &[2]float64{0, 1}}
	if n == 0 {
		return f
	}
	const z = 1.959964
	p, c := float64(hits)/float64(n), float64(n)
	mid := (p + z*z/(2*c)) / (1 + z*z/c)
	half := z / (1 + z*z/c) * math.Sqrt(p*(1-p)/c+z*z/(4*c*c))
	f.Value, f.Interval = p, &[2]float64{math.Max(0, mid-half), math.Min(1, mid+half)}
	return f
}

// Count is a plain number of things among n.
func Count(name string, hits, n int) Figure {
	return Figure{Name: name, Value: float64(hits), Unit: "count", N: n}
}

// Ratio is the Median of per-round ratios.
func Ratio(name string, rounds []float64) Figure {
	return Median(name, "ratio", rounds)
}

// Median is the median of samples with the distribution-free 95% interval of a median (order
// statistics; with fewer than six samples: the whole range).
func Median(name, unit string, samples []float64) Figure {
	s := append([]float64(nil), samples...)
	sort.Float64s(s)
	n := len(s)
	f := Figure{Name: name, Unit: unit, N: n}
	if n == 0 {
		return f
	}
	f.Value = (s[(n-1)/2] + s[n/2]) / 2
	// The largest k such that at most 2.5% of coin rows of length n have fewer than k heads.
	k, p, tail := 0, math.Pow(0.5, float64(n)), 0.0
	for i := 0; i < n/2; i++ {
		tail += p
		if tail > 0.025 {
			break
		}
		k = i + 1
		p = p * float64(n-i) / float64(i+1)
	}
	lo, hi := max(k-1, 0), min(n-max(k, 1), n-1)
	f.Interval = &[2]float64{s[lo], s[hi]}
	return f
}

func number(v float64) string {
	switch {
	case v == math.Trunc(v) && math.Abs(v) < 1e12:
		return fmt.Sprintf("%.0f", v)
	case math.Abs(v) >= 100:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.3f", v)
	}
}

func verdict(ok bool) string {
	if ok {
		return "met"
	}
	return "MISSED"
}
