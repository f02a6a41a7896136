package gateway

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/approval"
	"sallyport/internal/testdb"
)

// TestWhichRowACursorIsAt: the row that WHERE CURRENT OF means is chosen by whoever moves the cursor, and stands in nothing that a reviewer was shown.
func TestWhichRowACursorIsAt(t *testing.T) {
	w := heldWorld(t, func(c *Config) { c.Approvals.Wait = -1 })
	s := w.loginAt(access.DoorPGWire, "asker")
	const change = "update customers set region = 'held' where current of c"
	for name, ops := range map[string][]Op{
		"simple":   {{Kind: OpQuery, SQL: change}},
		"extended": pipeline(change),
		"prepared": {{Kind: OpQuery, SQL: "execute p"}},
	} {
		for _, id := range []string{"7", "8"} { // the second time what the first has asked for is approved
			w.query(s, "deallocate all")
			w.query(s, "prepare p as "+change)
			wantNoError(t, w.query(s, "begin"))
			wantNoError(t, w.query(s, "declare c cursor for select id from customers where id = "+id))
			wantNoError(t, w.query(s, "fetch c"))
			a := w.do(s, ops...)
			w.query(s, "commit")
			for _, r := range w.gw.LiveReviews() {
				w.approve("keeper", r.ID)
			}
			if n := w.behind("select count(*) from customers where region = 'held'"); n != "0" || len(a.errs) != 1 || !strings.HasPrefix(a.errs[0], "0A000 WHERE CURRENT OF") {
				t.Fatalf("%s, at %s: %s rows are changed, %q", name, id, n, a.errs)
			}
		}
	}
}

// rowsBy is a world in which robots see the customers of their region only, and change orders once keepers have approved.
func rowsBy(t *testing.T) (w *world, regions func(string)) {
	t.Helper()
	w = &world{t: t, dir: t.TempDir(), dsn: testdb.Shared(t).NewDatabase(t, testSchema)}
	var conf Config
	w.openHeld(func(c *Config) {
		c.Approvals.Wait = -1
		c.Policies[0].Text += `@id("rows") @where("region = principal.region") permit (principal in Group::"askers", action == Action::"read", resource in Table::"shop.public.customers");`
		for i := range c.Principals {
			c.Principals[i].Attributes = map[string]string{"region": "r1"}
		}
		conf = *c
	})
	t.Cleanup(func() { w.gw.Close() })
	return w, func(region string) {
		t.Helper()
		people := slices.Clone(conf.Principals)
		for i := range people {
			people[i].Attributes = map[string]string{"region": region}
		}
		if _, err := w.gw.Reload(conf.Policies, people, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWhoseRowsWereApproved: of a table of which somebody sees the rows of their tenant, a statement is about those; with another tenant, it is another.
func TestWhoseRowsWereApproved(t *testing.T) {
	const change = "update orders set amount = 0 where customer_id in (select id from customers) and id > 100"
	for mode, grant := range map[string]func(*ReviewRequest) approval.Grant{
		"once": func(*ReviewRequest) approval.Grant { return approval.Grant{} },
		"form": func(*ReviewRequest) approval.Grant {
			return approval.Grant{Mode: approval.Form, Uses: 10, Until: time.Now().Add(time.Hour), Ranges: []approval.Range{{Any: true}, {Any: true}}}
		},
		"window": func(r *ReviewRequest) approval.Grant {
			return approval.Grant{Mode: approval.Window, Until: time.Now().Add(time.Hour), Classes: []access.Class{access.ClassWrite}, Relations: r.Subject.Relations}
		},
	} {
		t.Run(mode, func(t *testing.T) {
			w, region := rowsBy(t)
			run := func() *access.Error {
				_, err := w.loginAt(access.DoorMCP, "robot").Query(context.Background(), Query{SQL: change, Task: Task{ID: "task_1"}, Reason: "orders of the region are to be zeroed"})
				if err == nil {
					return nil
				}
				return access.AsError(err)
			}
			err := run()
			if err == nil || err.Kind != access.ReviewPending {
				t.Fatal(err)
			}
			r, _ := w.gw.Review(err.Review)
			if len(r.Binding.Hidden) != 1 || !strings.Contains(r.Binding.Hidden[0].What[0], "'r1'") || r.Digest != r.Binding.Digest(r.Expires) {
				t.Errorf("reviewers are told that %v is hidden", r.Binding.Hidden)
			}
			if err := w.decide("keeper", r.ID, ReviewVote{Verdict: approval.Approve, Grant: grant(r)}); err != nil {
				t.Fatal(err)
			}
			region("r2")
			if err := run(); err == nil || err.Kind != access.ReviewPending || err.Review == r.ID {
				t.Errorf("with the rows of another region: %v", err)
			}
			if n := w.behind("select count(*) from orders where amount = 0"); n != "0" {
				t.Fatalf("%s orders of another region are changed", n)
			}
			region("r1")
			if err := run(); err != nil {
				t.Fatal(err)
			}
			if got := w.behind("select string_agg(distinct region, ',') from orders join customers c on c.id = customer_id where amount = 0"); got != "r1" {
				t.Errorf("orders of %s are changed", got)
			}
		})
	}
}

// TestMaskedWhenItWasApproved: what was approved for somebody who sees a column masked does not show it because something else does by now.
func TestMaskedWhenItWasApproved(t *testing.T) {
	w := heldWorld(t, func(c *Config) {
		c.Approvals.Wait = -1
		c.Labels = []access.LabelRule{{Label: "pii.email", Columns: []string{"*.*.email"}}}
		c.Policies = []PolicyFile{{Name: "held.cedar", Text: revealPolicy + `
@id("rows") @review("officers") permit (principal in Group::"askers", action == Action::"read", resource in Table::"shop.public.customers");`}}
	})
	s := w.loginAt(access.DoorPGWire, "asker")
	const look = "select email from customers where id = 7"
	wantError(t, w.query(s, look), "42501 this statement needs approval by officers")
	asked := w.pendingOne()
	w.approve("officer", asked.ID)
	wantNoError(t, w.query(s, "set sallyport.reveal = 'customers.email'"))
	r := w.pendingOne()
	if err := w.decide("keeper", r.ID, ReviewVote{Verdict: approval.Approve, Grant: approval.Grant{Mode: approval.Reveal, Columns: []string{"public.customers.email"}, Until: time.Now().Add(time.Hour)}}); err != nil {
		t.Fatal(err)
	}
	wantError(t, w.query(s, look), "42501 this statement needs approval by officers")
	w.wantState(asked.ID, approval.Approved)
	w.approve("officer", w.pendingOne().ID)
	if a := w.query(s, look); len(a.rows) != 1 || a.rows[0][0] != "u7@example.com" {
		t.Errorf("what was approved while it is revealed: %v %q", a.rows, a.errs)
	}
}
