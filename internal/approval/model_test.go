package approval

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// world is one state of the exploration: the request, the time, the versions in force, and the history that led to it, which
// the checks go by: they do not trust what the request says of itself.
type world struct {
	r       Request
	now     time.Time
	policy  string
	boot    string
	history []string
	claims  int
	yes     []string // reviewers who approved, in order
	no      bool
	ran     bool
	began   time.Time // of the approval that completed it
	last    time.Time // of the newest vote
}

type move struct {
	name string
	do   func(w *world) bool // false: it could not be made
}

var modelReviewers = []Reviewer{
	{Name: "dana", Groups: []string{"dba"}, Human: true},
	{Name: "sam", Groups: []string{"security", "lead"}, Human: true},
	{Name: "both", Groups: []string{"dba", "security"}, Human: true},
	{Name: "boss", Groups: []string{"lead"}, Human: true},             // stands in later, for one and then for the other
	{Name: "asker", Groups: []string{"dba", "security"}, Human: true}, // who asks
	{Name: "helper", Groups: []string{"dba"}, Human: false},           // a program
	{Name: "delegate", Groups: []string{"dba"}, Human: true},          // acts for who asks
	{Name: "guest", Groups: []string{"sales"}, Human: true},
}

func modelWant(policy string) Request {
	return Request{Binding: Binding{Principal: "asker", Actors: []string{"delegate"}, Door: access.DoorPGWire, Session: "s1", Connection: "shop",
		SQL: "DELETE FROM customers WHERE id = 7", PolicyVersion: policy, CatalogVersion: "c1", Path: []string{"public"}},
		Subject: Subject{Kind: SubjectStatement, Class: access.ClassWrite, Relations: []string{"delete public.customers"}}}
}

var modelTerms = Terms{Claim: 10 * time.Minute}

func (w *world) next(s Step, by Reviewer) bool {
	n, err := Next(w.r, s, by, modelTerms, w.now)
	if err != nil {
		return false
	}
	w.r = n
	return true
}

func moves() []move {
	var out []move
	for _, v := range modelReviewers {
		out = append(out, move{"approve " + v.Name, func(w *world) bool {
			// What a vote says of itself is not gone by.
			if !w.next(Step{Vote: &Vote{Verdict: Approve, Justification: "looked at the ticket", Instead: []string{"dba", "security"}}}, v) {
				return false
			}
			w.yes, w.last = append(slices.Clone(w.yes), v.Name), w.now
			if w.r.State == Approved {
				w.began = w.now
			}
			return true
		}}, move{"deny " + v.Name, func(w *world) bool {
			ok := w.next(Step{Vote: &Vote{Verdict: Refuse, Justification: "not without a ticket"}}, v)
			w.no = w.no || ok
			return ok
		}})
	}
	for _, name := range []string{"dana", "boss"} {
		out = append(out, move{"lapse " + name, func(w *world) bool {
			i := slices.IndexFunc(w.r.Votes, func(v Vote) bool { return v.Reviewer == name })
			if i < 0 || len(w.r.Lapsed) > 0 || !w.next(Step{Lapse: map[int]string{i: "gone"}}, Reviewer{}) {
				return false
			}
			w.yes = slices.DeleteFunc(slices.Clone(w.yes), func(n string) bool { return n == name })
			return true
		}})
	}
	for _, group := range []string{"dba", "security"} {
		out = append(out, move{"escalate " + group, func(w *world) bool { return w.next(Step{Escalate: group}, Reviewer{}) }})
	}
	out = append(out,
		move{"cancel", func(w *world) bool { return w.next(Step{Cancel: "withdrawn"}, Reviewer{}) }},
		move{"expire", func(w *world) bool { return w.next(Step{Expire: true}, Reviewer{}) }},
		move{"claim", func(w *world) bool {
			want := modelWant(w.policy)
			if !w.r.Covers(&want, w.boot, w.now) {
				return false
			}
			ok := w.next(Step{Claim: true}, Reviewer{})
			if ok {
				w.claims++
			}
			return ok
		}},
		move{"claim unasked", func(w *world) bool { // Next alone, as a caller that forgot to ask Covers
			ok := w.next(Step{Claim: true}, Reviewer{})
			if ok {
				w.claims++
			}
			return ok
		}},
		move{"executed", func(w *world) bool {
			ok := w.next(Step{Finish: Executed, Outcome: "DELETE 1"}, Reviewer{})
			w.ran = w.ran || ok
			return ok
		}},
		move{"failed", func(w *world) bool { return w.next(Step{Finish: Failed, Outcome: "error"}, Reviewer{}) }},
		move{"restart", func(w *world) bool {
			if w.boot != "boot1" {
				return false
			}
			w.boot = "boot2"
			if w.r.State == Claimed {
				return w.next(Step{Finish: Unknown, Outcome: "ended"}, Reviewer{})
			}
			return true
		}},
		move{"policy changes", func(w *world) bool {
			if w.policy != "p1" {
				return false
			}
			w.policy = "p2"
			return true
		}},
		move{"time passes", func(w *world) bool {
			if w.now.Sub(start) > time.Hour {
				return false
			}
			w.now = w.now.Add(25 * time.Minute)
			return true
		}})
	return out
}

// TestEveryPath explores all that can happen to a request under eight reviewers, two escalations, expiry, cancel, claims, votes that lapse, a restart and
// a change of policy, in every order, and holds each state to what must be true of its history.
func TestEveryPath(t *testing.T) {
	first := modelWant("p1")
	first.State, first.Boot, first.Created, first.Expires = Pending, "boot1", start, start.Add(time.Hour)
	first.Digest = first.Binding.Digest(first.Expires)
	first.Needs = []Need{{Group: "dba", Escalate: []string{"lead"}, After: 20 * time.Minute}, {Group: "security", Escalate: []string{"lead"}, After: 45 * time.Minute}}
	queue := []world{{r: first, now: start, policy: "p1", boot: "boot1"}}
	seen := map[string]bool{}
	states, steps, executed, stoodIn := 0, 0, 0, 0
	ends, all := map[State]int{}, moves()
	for len(queue) > 0 {
		w := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		key := w.key()
		if seen[key] {
			continue
		}
		seen[key] = true
		states++
		w.check(t)
		if w.ran {
			executed++
		}
		if w.ran && slices.Contains(w.yes, "boss") {
			stoodIn++
		}
		if w.r.State.Ended() {
			ends[w.r.State]++
		}
		if w.r.Digest != first.Digest || w.r.Binding.SQL != first.Binding.SQL || w.r.Binding.PolicyVersion != first.Binding.PolicyVersion || w.r.Subject.Class != first.Subject.Class {
			t.Fatalf("%v: what was asked has changed", w.history)
		}
		for _, m := range all {
			n := w
			if m.do(&n) {
				n.history = append(slices.Clone(w.history), m.name)
				if w.r.State.Ended() && n.r.Revision != w.r.Revision {
					t.Fatalf("%v: something followed the end", n.history)
				}
				if m.name == "claim" && n.policy != "p1" {
					t.Fatalf("%v: claimed under another policy", n.history)
				}
				steps++
				queue = append(queue, n)
			}
		}
	}
	t.Logf("%d states, %d steps, %d of them executed, ends %v", states, steps, executed, ends)
	if states < 500 || executed == 0 || stoodIn == 0 || len(ends) != 6 {
		t.Fatalf("the exploration has not met what it should: %d states, %d executed, %d of them by who stood in, ends %v", states, executed, stoodIn, ends)
	}
}

func (w *world) key() string {
	r := w.r
	r.Revision, r.Binding, r.Subject = 0, Binding{}, Subject{} // these two are held to what they were at the start
	b, _ := json.Marshal(struct {
		R      Request
		Now    time.Time
		P, B   string
		Claims int
		Yes    []string
		No     bool
		Ran    bool
	}{r, w.now, w.policy, w.boot, w.claims, w.yes, w.no, w.ran})
	return string(b)
}

func (w *world) check(t *testing.T) {
	t.Helper()
	fail := func(what string) { t.Fatalf("%v: %s (state %s)", w.history, what, w.r.State) }
	if w.claims > 1 {
		fail("claimed twice")
	}
	if w.ran && w.claims != 1 {
		fail("executed without a claim")
	}
	if w.claims == 0 && (w.r.State == Claimed || w.r.State == Executed || w.r.State == Failed || w.r.State == Unknown) {
		fail("ran without a claim")
	}
	for _, who := range w.yes {
		if who == "asker" || who == "delegate" || who == "helper" || who == "guest" {
			fail(who + " has approved")
		}
	}
	if w.r.State == Approved || w.claims > 0 {
		// By hand: one for dba, another for security; who stands in, from the step on that says so.
		two := func(a, b string) bool {
			return a != b && w.counts(a, "dba", "dana", "both") && w.counts(b, "security", "sam", "both")
		}
		if !slices.ContainsFunc(w.yes, func(a string) bool { return slices.ContainsFunc(w.yes, func(b string) bool { return two(a, b) }) }) {
			fail("approved by too few")
		}
		if w.no {
			fail("approved though somebody denied")
		}
		if !w.began.Before(start.Add(time.Hour)) {
			fail("approved after the time for it")
		}
	}
	for group, least := range map[string]int{"dba": 1, "security": 2} { // steps of 25 minutes, for 20 and for 45
		passed, escalated := 0, 0
		for _, m := range w.history {
			switch {
			case m == "time passes":
				passed++
			case m == "escalate "+group:
				if escalated++; escalated > 1 {
					fail("escalated twice")
				}
				if passed < least || passed > 2 {
					fail("escalated at the wrong time")
				}
			}
		}
	}
	for _, word := range []string{"approve boss", "deny boss"} {
		if i := slices.Index(w.history, word); i >= 0 && !slices.ContainsFunc(w.history[:i], func(m string) bool { return strings.HasPrefix(m, "escalate ") }) {
			fail("decided in the place of others before that was on record")
		}
	}
	if !w.last.IsZero() && !w.last.Before(start.Add(time.Hour)) {
		fail("voted after the time for it")
	}
}

// counts reports by the history alone whether the approval of name is one for group: of one of members, or of a lead after the escalation.
func (w *world) counts(name, group string, members ...string) bool {
	if slices.Contains(members, name) {
		return true
	}
	at := slices.Index(w.history, "escalate "+group)
	last := -1 // what it was before it lapsed is none
	for i, m := range w.history {
		if m == "approve "+name {
			last = i
		}
	}
	return at >= 0 && (name == "boss" || name == "sam") && last > at
}

// TestClaimAfterItsTime says that an approval ends by itself, whether or not somebody has swept.
func TestClaimAfterItsTime(t *testing.T) {
	r := modelWant("p1")
	r.State, r.Grant = Approved, &Grant{Mode: Once, Until: start.Add(time.Minute)}
	if _, err := Next(r, Step{Claim: true}, Reviewer{}, modelTerms, start.Add(time.Minute)); err != ErrTooLate {
		t.Fatalf("claimed at the end of its time: %v", err)
	}
	if _, err := Next(r, Step{Claim: true}, Reviewer{}, modelTerms, start.Add(time.Minute-1)); err != nil {
		t.Fatal(err)
	}
}
