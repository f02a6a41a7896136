package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/identity"
	"sallyport/mask"
	"sallyport/sqlguard"
	"sallyport/sqlguard/policy"
	"sallyport/sqlguard/postgres"
)

// planningInput is what evals/planning hands over: databases with statements, and how to mask them.
type planningInput struct {
	Databases []struct {
		Name, DSN  string
		Statements []string
	}
	Labels []access.LabelRule
	Masks  []access.Mask
	Policy string
	Rounds int
}

// BenchmarkPlanning measures what a statement costs before it is sent, as a principal with masked columns: planned for
// the first time, in its parts, and when its plan is in the cache. It runs for evals/planning, which names the two
// files in SALLYPORT_PLANNING and SALLYPORT_PLANNING_SAMPLES; what is written are nanoseconds by figure.
func BenchmarkPlanning(b *testing.B) {
	name := os.Getenv("SALLYPORT_PLANNING")
	if name == "" {
		b.Skip("run by evals/planning")
	}
	text, err := os.ReadFile(name)
	if err != nil {
		b.Fatal(err)
	}
	var in planningInput
	if err := json.Unmarshal(text, &in); err != nil {
		b.Fatal(err)
	}
	samples := map[string][]int64{}
	for _, db := range in.Databases {
		gw, err := Open(context.Background(), Config{DataDir: b.TempDir(), Labels: in.Labels, Masks: in.Masks,
			Connections: []access.Connection{{Name: db.Name, Driver: "postgres", DSN: db.DSN}},
			Principals:  []access.LocalPrincipal{{Name: "analyst", Kind: access.Human, Groups: []string{"analysts"}, Secret: identity.HashPassword("x")}},
			Policies:    []PolicyFile{{Name: "planning.cedar", Text: in.Policy}}})
		if err != nil {
			b.Fatal(err)
		}
		s, err := gw.Connect(context.Background(), Login{Door: access.DoorPGWire, Connection: db.Name, Credentials: access.Password{User: "analyst", Secret: "x"}})
		if err != nil {
			b.Fatal(err)
		}
		if err := s.refresh(&answer{}); err != nil {
			b.Fatal(err)
		}
		for range in.Rounds {
			for _, sql := range db.Statements {
				measure(b, s, sql, samples)
			}
		}
		s.Close()
		gw.Close()
	}
	out, err := json.Marshal(samples)
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(os.Getenv("SALLYPORT_PLANNING_SAMPLES"), out, 0o600); err != nil {
		b.Fatal(err)
	}
}

// measure takes one sample of everything. A statement that is refused counts with the parts that it reached.
func measure(b *testing.B, s *Session, sql string, samples map[string][]int64) {
	took := func(figure string, f func()) {
		start := time.Now()
		f()
		samples[figure] = append(samples[figure], time.Since(start).Nanoseconds())
	}
	sc := s.scope
	took("cold", func() { _, _ = sc.plans(sql) })
	if list, err := s.judge(sql, &answer{}); err == nil && len(list) > 0 {
		took("cached", func() { _, _ = s.judge(sql, &answer{}) })
	}
	trees, err := postgres.Parse(sql)
	if err != nil || len(trees) != 1 {
		b.Fatalf("%s: %d statements, %v", sql, len(trees), err)
	}
	took("parse", func() { _, _ = postgres.Parse(sql) })
	var facts *access.Facts
	took("resolve", func() {
		facts, err = postgres.Analyze(trees[0], postgres.Env{Catalog: sc.snap.cat, Path: sc.path, Registry: sc.snap.registry})
	})
	if err != nil {
		return
	}
	input := sqlguard.Input{Principal: sc.principal, Door: sc.door, Connection: sc.db.conf.Name, Facts: facts, Catalog: sc.snap.cat,
		Labels: sc.snap.labels.Columns, Refused: sc.snap.labels.Refused, Reads: sc.snap.labels.Reads, Policies: sc.policies, Writable: sc.writable}
	var d access.Decision
	took("decide", func() { d = sqlguard.Decide(input) })
	for _, n := range []int{20, 200} {
		input.Policies = manyPolicies(b, n)
		took(fmt.Sprintf("decide.%d", n), func() { sqlguard.Decide(input) })
	}
	if d.Effect != access.Allow {
		return
	}
	took("compile", func() {
		_, _ = mask.Compile(mask.Input{Tree: trees[0], Facts: facts, Catalog: sc.snap.cat, Labels: sc.snap.labels, Masks: sc.snap.masks, Decision: d})
	})
}

var policySets = map[int]*policy.Set{}

// manyPolicies are n policies as a company grows them: teams that read a schema, tables that somebody must not read,
// labels that somebody may see, one permit that lets the analysts in.
func manyPolicies(b *testing.B, n int) *policy.Set {
	if set := policySets[n]; set != nil {
		return set
	}
	var text strings.Builder
	text.WriteString(`@id("analysts") permit (principal in Group::"analysts", action in [Action::"connect", Action::"read"], resource);` + "\n")
	for i := 1; i < n; i++ {
		switch i % 4 {
		case 0:
			fmt.Fprintf(&text, "@id(\"p%d\") permit (principal in Group::\"team%d\", action == Action::\"read\", resource in Schema::\"shop.public\");\n", i, i)
		case 1:
			fmt.Fprintf(&text, "@id(\"p%d\") forbid (principal in Group::\"analysts\", action == Action::\"read\", resource == Table::\"shop.public.secret%d\");\n", i, i)
		case 2:
			fmt.Fprintf(&text, "@id(\"p%d\") permit (principal in Group::\"analysts\", action == Action::\"reveal\", resource in Label::\"kind%d\");\n", i, i)
		case 3:
			fmt.Fprintf(&text, "@id(\"p%d\") @rows(\"1000\") permit (principal, action == Action::\"read\", resource in Schema::\"shop.open%d\") when { context.has_reason };\n", i, i)
		}
	}
	set, err := policy.Load([]policy.File{{Name: "many.cedar", Text: text.String()}})
	if err != nil {
		b.Fatal(err)
	}
	policySets[n] = set
	return set
}
