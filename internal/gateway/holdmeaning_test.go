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

// TestApprovedUnderTheSettingsOfTheSession: what a statement finds must not move once somebody has looked at it.
func TestApprovedUnderTheSettingsOfTheSession(t *testing.T) {
	w := heldWorld(t, func(c *Config) {
		c.Approvals.Wait = -1
		c.Policies[0].Text += `@id("set") permit (principal in Group::"askers", action == Action::"session", resource in Connection::"shop");`
	})
	const dated = "update customers set region = 'held' where id = extract(month from date '01/02/2026')::int"
	for name, c := range map[string]struct{ sql, set string }{
		"datestyle":    {dated, "set datestyle = 'ISO, DMY'"},
		"set_config":   {dated, "select set_config('datestyle', 'ISO, DMY', false)"},
		"timezone":     {"update customers set region = 'held' where id = extract(hour from timestamptz '2026-01-01 00:00' at time zone 'UTC')::int", "set timezone = 'X+3'"},
		"array_nulls":  {"update customers set region = 'held' where id = 3 and ('{NULL}'::text[])[1] is not null", "set array_nulls = off"},
		"of their own": {"update customers set region = 'held' where id = current_setting('my.row', true)::int", "set my.row = '3'"},
	} {
		t.Run(name, func(t *testing.T) {
			s := w.loginAt(access.DoorPGWire, "asker")
			w.behind("update customers set region = 'r' || id % 4 returning 1")
			wantError(t, w.query(s, c.sql), "42501 this statement needs approval")
			r := w.pendingOne()
			w.approve("keeper", r.ID)
			wantNoError(t, w.query(s, c.set))
			for _, ops := range [][]Op{{{Kind: OpQuery, SQL: c.sql}}, append([]Op{{Kind: OpQuery, SQL: "begin"}}, Op{Kind: OpQuery, SQL: c.sql})} {
				a := w.do(s, ops...)
				if len(a.errs) == 0 {
					t.Errorf("it ran under another setting: %v", a.tags)
				}
				w.query(s, "rollback")
			}
			w.wantState(r.ID, approval.Approved)
			if n := w.behind("select count(*)::text from customers where region = 'held'"); n != "0" {
				t.Errorf("%s rows were changed", n)
			}
			for _, r := range w.gw.LiveReviews() {
				w.gw.approvals.Cancel(context.Background(), r.ID, "next")
			}
		})
	}
	// What it means under a setting is what the reviewer is told, and what is counted for them; settings that mean nothing move nothing.
	s := w.loginAt(access.DoorPGWire, "asker")
	wantNoError(t, w.query(s, "set datestyle = 'ISO, DMY'"))
	wantError(t, w.query(s, dated), "42501 this statement needs approval")
	r := w.pendingOne()
	if !slices.Contains(r.Binding.Settings, "datestyle=ISO, DMY") {
		t.Errorf("the reviewer is not told: %q", r.Binding.Settings)
	}
	p, err := w.gw.Verify(context.Background(), access.Password{User: "keeper", Secret: "pw-keeper"})
	if err != nil {
		t.Fatal(err)
	}
	if pre, err := w.gw.PreviewReview(context.Background(), p, r.ID); err != nil || !pre.Counted || pre.Affected != 1 {
		t.Errorf("preview %+v %v", pre, err)
	}
	w.approve("keeper", r.ID)
	for _, sql := range []string{"set statement_timeout = '7s'", "set application_name = 'other'", "set enable_seqscan = off", dated} {
		wantNoError(t, w.query(s, sql))
	}
	if w.regionOf(2) != "held" {
		t.Error("it went to another row")
	}
	// A setting whose name only the server knows cannot be looked at.
	wantError(t, w.query(s, "update customers set region = current_setting('my.' || 'row', true) where id = 3"), "0A000 a statement that needs approval reads a setting")
}

// TestAWindowIsForWhatWasAsked: what a window is for, and who was asked about it, bound what runs in it.
func TestAWindowIsForWhatWasAsked(t *testing.T) {
	w := &world{t: t, dir: t.TempDir(), dsn: testdb.Shared(t).NewDatabase(t, testSchema+"create function risky(text) returns text language sql volatile as 'select $1';")}
	w.openHeld(func(c *Config) {
		c.Approvals.Wait = -1
		c.Policies[0].Text += `@id("names") @review("officers") permit (principal in Group::"askers", action == Action::"write", resource == Column::"shop.public.customers.name");
			@id("call") @review("keepers") permit (principal in Group::"askers", action == Action::"call", resource == Function::"shop.public.risky");`
	})
	t.Cleanup(func() { w.gw.Close() })
	s := w.loginAt(access.DoorPGWire, "asker")
	wantError(t, w.query(s, heldWrite), "42501 this statement needs approval by keepers:")
	r := w.pendingOne()
	if err := w.decide("keeper", r.ID, ReviewVote{Verdict: approval.Approve, Grant: approval.Grant{Mode: approval.Window, Classes: []access.Class{access.ClassWrite}, Relations: r.Subject.Relations,
		Until: time.Now().Add(time.Hour)}}); err != nil {
		t.Fatal(err)
	}
	wantNoError(t, w.query(s, strings.Replace(heldWrite, "7", "8", 1)))
	for sql, want := range map[string]string{
		"update customers set name = 'held' where id = 9":          "42501 this statement needs approval by keepers and officers",
		"update customers set region = risky('held') where id = 9": "42501 this statement needs approval by keepers",
	} {
		wantError(t, w.query(s, sql), want)
	}
	if w.regionOf(9) != "r1" {
		t.Error("it ran")
	}
}
