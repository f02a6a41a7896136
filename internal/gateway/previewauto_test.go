package gateway

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/approval"
)

const autoPolicy = heldPolicy + `@id("try") @preview("auto") permit (principal in Group::"askers", action == Action::"write", resource in Table::"shop.public.customers");`

func autoWorld(t *testing.T, change func(*Config)) *world {
	return heldWorld(t, func(c *Config) {
		c.Policies = []PolicyFile{{Name: "held.cedar", Text: autoPolicy}}
		if change != nil {
			change(c)
		}
	})
}

func (w *world) person(name string) access.Principal {
	w.t.Helper()
	p, err := w.gw.Verify(context.Background(), access.Password{User: name, Secret: "pw-" + name})
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// made waits for the preview that is made of a request by itself.
func (w *world) made(id string) *Preview {
	w.t.Helper()
	r, err := w.gw.Review(id)
	if err != nil {
		w.t.Fatal(err)
	}
	keeper := w.person("keeper")
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if p := w.gw.PreviewMade(keeper, r); p != nil {
			return p
		}
	}
	w.t.Fatal("no preview is made")
	return nil
}

// TestAPreviewByItself is there for who decides and for nobody else, leaves nothing behind, and goes with the request.
func TestAPreviewByItself(t *testing.T) {
	w := autoWorld(t, nil)
	s := w.loginAt(access.DoorPGWire, "asker")
	done := w.waiting(s, Op{Kind: OpQuery, SQL: "update customers set region = 'held' where id between 7 and 9"})
	r := w.pendingOne()
	if p := w.made(r.ID); !p.Counted || p.Affected != 3 || !strings.Contains(p.Plan, "Update on customers") || p.Why != "" {
		t.Errorf("%+v", p)
	}
	for _, who := range []string{"asker", "officer", "robotkeeper"} {
		if p := w.gw.PreviewMade(w.person(who), r); p != nil {
			t.Errorf("%s has seen %+v", who, p)
		}
	}
	if n := w.behind("select count(*)::text from customers where region = 'held'"); n != "0" {
		t.Errorf("%s rows were changed", n)
	}
	if n := w.behind("select count(*)::text from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'"); n != "0" {
		t.Errorf("%s transactions are open", n)
	}
	w.wantState(r.ID, approval.Pending)
	tried := 0
	for _, rec := range w.records() {
		if rec.Kind == access.RecordOpen && rec.Client == "preview of request "+r.ID+" by itself" {
			tried++
		}
	}
	if tried != 1 {
		t.Errorf("%d sessions of it are on record, want 1", tried)
	}
	w.approve("keeper", r.ID)
	wantNoError(t, <-done)
	if w.gw.previews.of(r.ID) != nil {
		t.Error("the preview is kept after the request has ended")
	}
}

// TestNoPreviewByItself where one is not to be, whatever else asks for one; that is settled before who asks is let go.
func TestNoPreviewByItself(t *testing.T) {
	const off = `@id("hush") @preview("off") permit (principal in Group::"askers", action == Action::"connect", resource in Connection::"shop");`
	for name, change := range map[string]func(*Config){
		"a_policy_has_it_off":       func(c *Config) { c.Policies[0].Text += off },
		"the_configuration_has_not": func(c *Config) { c.Approvals.Preview = -1 },
		"no_policy_has_it":          func(c *Config) { c.Policies[0].Text = heldPolicy },
		"its_guesses_would_count": func(c *Config) {
			c.Labels = []access.LabelRule{{Label: "pii.email", Columns: []string{"*.*.email"}}}
			c.Policies[0].Text = strings.Replace(autoPolicy, `@id("raw")`, `@id("look") @probes("9/1h") permit (principal in Group::"askers", action == Action::"lookup", resource in Connection::"shop");
				@id("raw") @review("keepers")`, 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := autoWorld(t, func(c *Config) { c.Approvals.Wait = -1; change(c) })
			id := w.asks(w.loginAt(access.DoorPGWire, "asker"), "update customers set region = 'held' where email = 'u7@example.com'")
			p := &w.gw.previews
			p.mu.Lock()
			defer p.mu.Unlock()
			if len(p.queue)+len(p.made) > 0 || p.running != "" {
				t.Errorf("%s is tried out: %v %v %q", id, p.queue, p.made, p.running)
			}
		})
	}
}

// TestAPreviewByItselfSaysWhatIsInItsWay in place of one, and holds nothing up.
func TestAPreviewByItselfSaysWhatIsInItsWay(t *testing.T) {
	w := autoWorld(t, func(c *Config) { c.Approvals.Wait = -1 })
	s := w.loginAt(access.DoorPGWire, "asker")
	lock := w.direct()
	if _, err := lock.Exec(context.Background(), "begin; select 1 from customers where id = 7 for update").ReadAll(); err != nil {
		t.Fatal(err)
	}
	id := w.asks(s, heldWrite)
	if p := w.made(id); p.Counted || !strings.Contains(p.Why, "lock timeout") {
		t.Errorf("%+v", p)
	}
	if _, err := w.gw.approvals.Cancel(context.Background(), id, "next"); err != nil {
		t.Fatal(err)
	}
	wantError(t, w.query(s, heldWrite+"; "+heldWrite), "42501 this statement needs approval")
	if p := w.made(w.pendingOne().ID); !strings.Contains(p.Why, "several statements") {
		t.Errorf("%+v", p)
	}
}

// TestADecisionEndsThePreviewThatIsMade in the middle: what was approved may want the very rows that it holds.
func TestADecisionEndsThePreviewThatIsMade(t *testing.T) {
	w := autoWorld(t, func(c *Config) { c.Approvals.Wait, c.Approvals.Preview = -1, time.Minute })
	s := w.loginAt(access.DoorPGWire, "asker")
	// Some minutes of work, of which the preview may do one.
	id := w.asks(s, "update customers set region = 'held' where id = 7 and (select count(*) from generate_series(1, 100000) a, generate_series(1, 100000) b) > 0")
	const running = "select count(*)::text from pg_stat_activity where datname = current_database() and state = 'active' and query like '%generate_series%' and query not like '%pg_stat_activity%' and query not like 'EXPLAIN%'"
	until := func(want string) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); w.behind(running) != want; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s of them run, want %s", w.behind(running), want)
			}
		}
	}
	until("1")
	if err := w.decide("keeper", id, ReviewVote{Verdict: approval.Refuse}); err != nil {
		t.Fatal(err)
	}
	until("0")
	if w.gw.previews.of(id) != nil {
		t.Error("half a preview is kept")
	}
}

// TestOtherPoliciesOtherPreviews: what was made under those of before is not shown.
func TestOtherPoliciesOtherPreviews(t *testing.T) {
	w := autoWorld(t, func(c *Config) { c.Approvals.Wait = -1 })
	id := w.asks(w.loginAt(access.DoorPGWire, "asker"), heldWrite)
	w.made(id)
	if err := w.gw.LoadPolicies([]PolicyFile{{Name: "held.cedar", Text: autoPolicy + " "}}); err != nil {
		t.Fatal(err)
	}
	if p := w.gw.previews.of(id); p != nil {
		t.Errorf("%+v", p)
	}
}

// TestWhoAsksForAPreviewWaitsForOneByItself, and is turned away where somebody else has asked.
func TestWhoAsksForAPreviewWaitsForOneByItself(t *testing.T) {
	w := heldWorld(t, func(c *Config) { c.Approvals.Wait = -1 })
	id := w.asks(w.loginAt(access.DoorPGWire, "asker"), heldWrite)
	w.gw.previewing <- struct{}{}
	if _, err := w.preview(id); err == nil || !strings.Contains(err.Error(), "another preview is being made") {
		t.Errorf("beside another: %v", err)
	}
	w.gw.previews.mu.Lock()
	w.gw.previews.cancel = func() {}
	w.gw.previews.mu.Unlock()
	var p *Preview
	var err error
	done := make(chan struct{})
	go func() { p, err = w.preview(id); close(done) }()
	<-w.gw.previewing
	if <-done; err != nil || !p.Counted {
		t.Errorf("%+v %v", p, err)
	}
}

// TestTheQueueOfPreviews has each request once, and ends.
func TestTheQueueOfPreviews(t *testing.T) {
	b := &ownPreviews{wake: make(chan struct{}, 1), made: map[string]*Preview{}}
	for _, id := range []string{"a", "b", "a", "c"} {
		b.asks(id)
	}
	if !slices.Equal(b.queue, []string{"a", "b", "c"}) {
		t.Fatal(b.queue)
	}
	b.drop("b")
	ctx, id, epoch := b.begin(time.Hour)
	b.asks("a")
	if id != "a" || !slices.Equal(b.queue, []string{"c"}) || !b.busy() {
		t.Fatalf("%s %v", id, b.queue)
	}
	b.judgedAnew()
	b.end(ctx, id, epoch, &Preview{})
	if b.of("a") != nil || b.busy() || ctx.Err() == nil {
		t.Error("kept, though the policies have changed")
	}
	ctx, id, epoch = b.begin(time.Hour)
	b.drop(id)
	if ctx.Err() == nil || !b.busy() {
		t.Error("it is not cancelled when the request ends, or said to have ended before it has")
	}
	if b.end(ctx, id, epoch, &Preview{}); b.of("c") != nil || b.busy() {
		t.Error("kept, though the request has ended")
	}
	for range 2 * mostMade {
		b.asks(strings.Repeat("x", 1+len(b.queue)))
	}
	if len(b.queue) != mostMade {
		t.Errorf("%d are in the queue", len(b.queue))
	}
	ctx, id, epoch = b.begin(time.Hour)
	b.stop()
	if b.end(ctx, id, epoch, &Preview{}); ctx.Err() == nil || b.of(id) != nil {
		t.Error("kept, though the gateway stops")
	}
	if _, id, _ := b.begin(time.Hour); id != "" {
		t.Error("begun, though the gateway stops")
	}
}
