package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sallyport/internal/access"
)

func TestAmountsOfData(t *testing.T) {
	for v, want := range map[string]int64{"4096": 4096, "1B": 1, "500kB": 500_000, "10MiB": 10 << 20, "2 GiB": 2 << 30, "1.5MiB": 0, "-1": 0, "": 0, "MiB": 0, "10mb": 0} {
		if got, ok := parseBytes(v); got != want || ok != (want > 0) {
			t.Errorf("%q: %d %v, want %d", v, got, ok, want)
		}
	}
	for n, want := range map[int64]string{0: "", 4096: "4KiB", 500_000: "500kB", 10 << 20: "10MiB", 7: "7B"} {
		if got := writeBytes(n); got != want {
			t.Errorf("%d is written %q, want %q", n, got, want)
		}
	}
}

func TestTheLeastOfEachLimitCounts(t *testing.T) {
	set := mustLoad(t, `
		@bytes("10MiB") @concurrent("2") @lock_timeout("1m") permit (principal, action == Action::"read", resource);
		@bytes("64KiB") @concurrent("3") @lock_timeout("2s") @idle_timeout("1m30s") permit (principal in Group::"agents", action, resource);
		permit (principal, action, resource);`)
	v := set.Is(Request{Principal: agent, Action: access.ActRead, Resource: email})
	want := access.Obligations{Bytes: 64 << 10, Concurrent: 2, LockTimeout: 2 * time.Second, IdleTimeout: 90 * time.Second}
	if diff := cmp.Diff(want, v.Obligations); diff != "" || !v.Allowed {
		t.Error(diff)
	}
	if got := ObligationWords(v.Obligations); got != `@bytes("64KiB") @concurrent("2") @lock_timeout("2s") @idle_timeout("1m30s")` {
		t.Errorf("in words: %s", got)
	}
	for d, want := range map[time.Duration]string{0: "", time.Hour: "1h", 90 * time.Minute: "1h30m", 90 * time.Second: "1m30s", 10 * time.Minute: "10m", time.Hour + time.Second: "1h0m1s", 300 * time.Millisecond: "300ms", 30 * time.Second: "30s"} {
		if got := Span(d); got != want {
			t.Errorf("%d is written %q, want %q", d, got, want)
		}
	}
	if got := ObligationWords(access.Obligations{Probes: []access.ProbeBudget{{Most: 100, Window: time.Hour}}}); got != `@probes("100/1h")` {
		t.Errorf("in words: %s", got)
	}
	if got := ObligationWords(access.Obligations{Where: []string{"tenant = principal.tenant"}}); got != `@where("tenant = principal.tenant")` {
		t.Errorf("in words: %s", got)
	}
}

func TestACaseExpectsLimits(t *testing.T) {
	set := mustLoad(t, `@bytes("1MiB") permit (principal, action, resource);`)
	run := func(limits string) []string {
		list, err := ParseCases(File{"c.yaml", `
- name: x
  principal: p
  kind: agent
  action: connect
  resource: Connection::"shop"
  connection: shop
  expect: allow
  limits: ` + limits}, nil, "")
		if err != nil {
			return []string{err.Error()}
		}
		return set.Run(list[0])
	}
	if differs := run("{bytes: 1024KiB}"); len(differs) > 0 {
		t.Errorf("differs by %q", differs)
	}
	if differs := run(`{preview: "off"}`); len(differs) != 1 || differs[0] != "preview: expected off, got none" {
		t.Errorf("differs by %q", differs)
	}
	if differs := run(`{preview: auto}`); len(differs) != 1 || differs[0] != "preview: expected auto, got none" {
		t.Errorf("differs by %q", differs)
	}
	if differs := run("{preview: on}"); len(differs) != 1 || !strings.Contains(differs[0], `preview is "on": it can be off or auto`) {
		t.Errorf("differs by %q", differs)
	}
	set = mustLoad(t, `@where("tenant = principal.tenant") permit (principal, action == Action::"read", resource); @where("open") permit (principal, action == Action::"read", resource);
		@probes("100/60m") permit (principal, action == Action::"lookup", resource); @preview("off") permit (principal, action == Action::"write", resource); @min_group("10") @group_by("plan, city") permit (principal, action == Action::"aggregate", resource);`)
	for action, limits := range map[string][2]string{
		"read":      {`{where: "open; tenant = principal.tenant"}`, `{where: open}`},
		"lookup":    {`{probes: 100/1h, where: ""}`, `{probes: 10/1h}`},
		"write":     {`{preview: off}`, `{preview: ""}`},
		"aggregate": {`{min_group: "10", group_by: "city,plan"}`, `{min_group: ""}`},
	} {
		for i, l := range limits {
			list, err := ParseCases(File{"c.yaml", "- {name: x, principal: p, kind: agent, action: " + action + ", resource: 'Column::\"shop.public.t.c\"', expect: allow, limits: " + l + "}"}, nil, "shop")
			if err != nil {
				t.Fatal(err)
			}
			if differs := set.Run(list[0]); len(differs) != i {
				t.Errorf("%s %s differs by %q", action, l, differs)
			}
		}
	}
	set = mustLoad(t, `@bytes("1MiB") permit (principal, action, resource);`)
	for limits, want := range map[string]string{"{bytes: 2MiB}": "bytes: expected 2MiB, got 1MiB", "{bytes: x}": `bytes is "x": not an amount of data`, "{bites: 1}": `limits has no "bites": it has bytes, cost, `} {
		if differs := run(limits); len(differs) != 1 || !strings.Contains(differs[0], want) {
			t.Errorf("%s differs by %q", limits, differs)
		}
	}
}
