package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/audit"
	"sallyport/internal/access"
	"sallyport/internal/approval"
)

// officersStandIn has officers decide about what keepers have not decided in time.
func officersStandIn(after time.Duration) func(*Config) {
	return func(c *Config) {
		c.Approvals.Groups = map[string]approval.Need{"keepers": {Escalate: []string{"officers"}, After: after}}
		c.Approvals.Heartbeat = 10 * time.Minute // what a client is told meanwhile is told for another reason
	}
}

// escalated waits until others stand in.
func (w *world) escalated(id string) *ReviewRequest {
	w.t.Helper()
	for range 3000 {
		r, err := w.gw.Review(id)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(r.Escalated()) > 0 {
			return r
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.t.Fatal("nobody stands in")
	return nil
}

// steps are those of a request on record.
func (w *world) reviewSteps(id string) (recs []*access.Record, steps []access.ReviewStep) {
	w.t.Helper()
	for _, rec := range w.records() {
		if rec.Kind == access.RecordReview && rec.Approval == id {
			var step access.ReviewStep
			if err := json.Unmarshal(rec.Review, &step); err != nil {
				w.t.Fatal(err)
			}
			recs, steps = append(recs, rec), append(steps, step)
		}
	}
	return recs, steps
}

func TestWhoStandsInDecidesOnceThatIsOnRecord(t *testing.T) {
	w := heldWorld(t, officersStandIn(2500*time.Millisecond))
	s := w.loginAt(access.DoorPGWire, "asker")
	told, done := w.telling(s, Op{Kind: OpQuery, SQL: heldWrite})
	r := w.pendingOne()
	if err := w.decide("officer", r.ID, ReviewVote{Verdict: approval.Approve}); err == nil {
		t.Fatal("an officer decided while keepers had time")
	}
	if first, then := w.next(told), w.next(told); !strings.Contains(first, "waiting for approval by keepers: ") ||
		!strings.Contains(then, "waiting for approval by keepers (or officers in their place): request "+r.ID) {
		t.Errorf("who waits is told %q, then %q", first, then)
	}
	now := w.escalated(r.ID)
	status := w.gw.statusOf(now)
	if len(status.Escalated) != 1 || status.Escalated[0].Group != "keepers" || status.WaitsFor != "keepers (or officers in their place)" {
		t.Errorf("who asked is told %+v", status)
	}
	w.approve("officer", r.ID)
	a := <-done
	wantNoError(t, a)
	if w.regionOf(7) != "held" {
		t.Fatal("it did not run")
	}
	if len(a.notices) != 3 || !strings.HasPrefix(a.notices[2], "officer approved request "+r.ID) {
		t.Errorf("notices %q", a.notices)
	}
	recs, steps := w.reviewSteps(r.ID)
	if len(steps) != 5 || steps[1].Escalated == nil || steps[2].Reviewer != "officer" {
		t.Fatalf("on record: %+v", steps)
	}
	e := steps[1]
	if e.From != "pending" || e.To != "pending" || e.Escalated.Group != "keepers" || !slices.Equal(e.Escalated.To, []string{"officers"}) || e.Escalated.AfterMS != 2500 || e.Escalated.Quorum != 1 ||
		!slices.Equal(e.Asked, []string{"keepers", "officers"}) || recs[1].SQL != recs[0].SQL || recs[1].SQL == "" {
		t.Errorf("the escalation is recorded as %+v %+v", e, e.Escalated)
	}
	if !slices.Equal(steps[2].Instead, []string{"keepers"}) || !slices.Equal(steps[0].Asked, []string{"keepers"}) || !slices.Equal(steps[2].Asked, e.Asked) {
		t.Errorf("on record: %+v", steps)
	}
	if report, err := audit.Check(w.dir + "/log"); err != nil || len(report.Problems) > 0 {
		t.Errorf("the record is not sound: %v %v", report.Problems, err)
	}
}

// TestWhatCameDueWhileTheGatewayWasDown escalates before anybody can come in.
func TestWhatCameDueWhileTheGatewayWasDown(t *testing.T) {
	change := func(c *Config) { officersStandIn(300 * time.Millisecond)(c); c.Approvals.Wait = -1 }
	w := heldWorld(t, change)
	s := w.loginAt(access.DoorPGWire, "asker")
	wantError(t, w.query(s, heldWrite), "42501 this statement needs approval by keepers: ")
	r := w.pendingOne()
	w.gw.Drain()
	w.gw.Close()
	time.Sleep(time.Until(r.Created.Add(350 * time.Millisecond)))
	for range 2 { // another restart makes no other
		w.openHeld(change)
		if now, err := w.gw.Review(r.ID); err != nil || len(now.Escalated()) != 1 {
			t.Fatalf("%+v %v", now, err)
		}
		w.gw.Drain()
		w.gw.Close()
	}
	w.openHeld(change)
	_, steps := w.reviewSteps(r.ID)
	if n := len(slices.DeleteFunc(steps, func(s access.ReviewStep) bool { return s.Escalated == nil })); n != 1 {
		t.Errorf("on record %d times", n)
	}
	w.approve("officer", r.ID)
	s = w.loginAt(access.DoorPGWire, "asker")
	wantNoError(t, w.query(s, heldWrite))
	w.wantState(r.ID, approval.Executed)
	if got, err := w.gw.approvals.Cancel(context.Background(), r.ID, "next"); err != approval.ErrEnded {
		t.Error(got, err)
	}
}

// said keeps what is logged.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *said) has(what string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.text.String(), what)
}

// TestADeadRecordLetsNobodyStandIn: the time has come, and the record takes nothing.
func TestADeadRecordLetsNobodyStandIn(t *testing.T) {
	log := &said{}
	w := heldWorld(t, func(c *Config) {
		officersStandIn(time.Second)(c)
		c.Approvals.Wait, c.Log = -1, slog.New(slog.NewTextHandler(log, nil))
	})
	s := w.loginAt(access.DoorPGWire, "asker")
	wantError(t, w.query(s, heldWrite), "42501 this statement needs approval")
	r := w.pendingOne()
	w.gw.log.Close()
	for until := time.Now().Add(30 * time.Second); !log.has("level=ERROR msg=\"requests for approval can neither be ended nor escalated"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the gateway's log does not say so")
		}
	}
	now, err := w.gw.Review(r.ID)
	if err != nil || len(now.Escalated()) != 0 || now.Revision != r.Revision {
		t.Fatalf("escalated without a record: %+v %v", now, err)
	}
	if ok, _ := w.gw.MayDecide(access.Principal{Name: "officer", Kind: access.Human, Groups: []string{"officers"}}, now); ok {
		t.Error("an officer may decide")
	}
}
