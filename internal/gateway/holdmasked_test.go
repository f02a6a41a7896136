package gateway

import (
	"strings"
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/approval"
)

// A principal who sees a column masked waits like others, and what runs in the end is the masked form.
func TestAHeldStatementOfAMaskedPrincipalRunsMasked(t *testing.T) {
	w := heldWorld(t, func(c *Config) {
		c.Labels = []access.LabelRule{{Label: "pii.email", Columns: []string{"*.*.email"}}}
		c.Masks = []access.Mask{{Label: "pii.email", Transform: "redact"}}
		c.Policies[0].Text = strings.Replace(heldPolicy, `@id("raw")`, `@id("raw") @reason("required")`, 1)
		c.Policies[0].Text = strings.ReplaceAll(c.Policies[0].Text, `principal in Group::"askers", action == Action::"reveal"`, `principal in Group::"officers", action == Action::"reveal"`)
	})
	s := w.loginAt(access.DoorPGWire, "asker")
	done := w.waiting(s, Op{Kind: OpQuery, SQL: "update customers set region = 'held' where id = 7 returning email"})
	r := w.pendingOne()
	if len(r.Subject.Masked) != 1 {
		t.Errorf("the reviewer is shown %v as masked", r.Subject.Masked)
	}
	w.approve("keeper", r.ID)
	a := <-done
	if len(a.rows) != 1 || strings.Contains(a.rows[0][0], "u7@") {
		t.Fatalf("got %v %v", a.rows, a.errs)
	}
	w.wantState(r.ID, approval.Executed)
}
