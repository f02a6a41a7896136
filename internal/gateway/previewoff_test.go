package gateway

import (
	"slices"
	"strings"
	"testing"

	"sallyport/internal/access"
)

// TestNoPreviewWhereAPolicyHasItOff: by what held when it was asked and by what holds now, whichever policy that decides has it.
func TestNoPreviewWhereAPolicyHasItOff(t *testing.T) {
	const text = "update customers set region = 'held' where id = 7"
	policies := func(more string) []PolicyFile { return []PolicyFile{{Name: "held.cedar", Text: heldPolicy + more}} }
	const (
		writes   = `@id("quiet") @preview("off") permit (principal in Group::"askers", action == Action::"write", resource in Table::"shop.public.customers");`
		connects = `@id("hush") @preview("off") permit (principal in Group::"askers", action == Action::"connect", resource in Connection::"shop");`
		others   = `@id("other") @preview("off") permit (principal in Group::"officers", action, resource in Connection::"shop");`
	)
	for name, c := range map[string]struct {
		asked, now string
		by         string // the policy in the way
	}{
		"a_permit_without_review_has_it":             {writes, writes, "quiet"},
		"the_permit_to_connect_has_it":               {connects, connects, "hush"},
		"only_the_policies_of_the_request_had_it":    {writes, "", "quiet"},
		"only_the_policies_of_now_have_it":           {"", connects, "hush"},
		"a_policy_that_does_not_decide_about_it_has": {others, others, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := heldWorld(t, func(cf *Config) { cf.Approvals.Wait = -1; cf.Policies = policies(c.asked) })
			id := w.asks(w.loginAt(access.DoorPGWire, "asker"), text)
			if c.now != c.asked {
				if err := w.gw.LoadPolicies(policies(c.now)); err != nil {
					t.Fatal(err)
				}
			}
			r, err := w.gw.Review(id)
			if bound := c.by != "" && c.asked != ""; err != nil || bound != slices.Equal(r.Subject.NoPreview, []string{c.by}) {
				t.Errorf("bound to it is %q, %v", r.Subject.NoPreview, err)
			}
			p, err := w.preview(id)
			tried := slices.ContainsFunc(w.records(), func(r *access.Record) bool { return strings.HasPrefix(r.Approval, "preview of ") })
			if c.by == "" {
				if err != nil || !p.Counted || p.Affected != 1 || !tried {
					t.Errorf("%+v %v", p, err)
				}
				return
			}
			if e := access.AsError(err); err == nil || e.Kind != access.Denied || e.Message != "there is no preview of this: "+c.by+` has @preview("off")` {
				t.Errorf("%+v %v", p, err)
			}
			if tried {
				t.Error("it was tried out")
			}
		})
	}
}
