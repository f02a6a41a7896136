package approval

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
)

// used is one state of the exploration of approvals for more than one use. The checks go by the history beside the request.
type used struct {
	R       Request
	Now     time.Time
	Policy  string
	Boot    string
	Claims  int
	Yes     []string
	Grant   Grant // that of the first who approved
	history []string
}

// TestEveryUse explores approvals of each mode that is for more than one use, under two reviewers who have to grant the same, words that
// are taken back, uses within and beyond what was granted, expiry, cancel, a restart and a change of policy, in every order.
func TestEveryUse(t *testing.T) {
	until := start.Add(time.Hour)
	grants := map[string][2]Grant{ // what is granted, and what another reviewer would
		"form":   {{Mode: Form, Uses: 3, Until: until, Ranges: []Range{{Least: "1", Most: "10"}}}, {Mode: Form, Uses: 1, Until: until, Ranges: []Range{{Any: true}}}},
		"same":   {{Mode: Form, Uses: 2, Until: until}, {Mode: Once}},
		"window": {{Mode: Window, Until: until, Classes: []access.Class{access.ClassWrite}, Relations: []string{"delete public.customers"}}, {Mode: Form, Uses: 2, Until: until}},
		"reveal": {{Mode: Reveal, Until: until, Columns: []string{"public.customers.email"}}, {Mode: Reveal, Until: until, Columns: []string{"public.customers.email", "public.customers.phone"}}},
	}
	for name, pair := range grants {
		t.Run(name, func(t *testing.T) {
			first := modelWant("p1")
			first.State, first.Boot, first.Created, first.Expires = Pending, "boot1", start, start.Add(50*time.Minute)
			first.Digest = first.Binding.Digest(first.Expires)
			first.Needs = []Need{{Group: "dba", Quorum: 2}}
			first.Subject.Normal, first.Subject.Constants = "DELETE FROM customers WHERE id = \x01", []string{"7"}
			if pair[0].Mode == Reveal {
				first.Subject = Subject{Kind: SubjectReveal, Columns: pair[1].Columns}
			}
			queue, seen := []used{{R: first, Now: start, Policy: "p1", Boot: "boot1"}}, map[string]bool{}
			states, most, ends := 0, 0, map[State]int{}
			for len(queue) > 0 {
				w := queue[len(queue)-1]
				queue = queue[:len(queue)-1]
				r := w
				r.R.Revision = 0
				key, _ := json.Marshal(r)
				if seen[string(key)] {
					continue
				}
				seen[string(key)] = true
				states++
				w.check(t, until)
				most = max(most, w.Claims)
				if w.R.State.Ended() {
					ends[w.R.State]++
				}
				queue = append(queue, w.moves(t, pair)...)
			}
			want := map[string]int{"form": 3, "same": 2, "window": 4, "reveal": 0}[name]
			t.Logf("%d states, up to %d uses, ends %v", states, most, ends)
			if most != want || ends[Denied] == 0 || ends[Cancelled] == 0 || ends[Expired] == 0 || states < 300 {
				t.Errorf("the exploration has not met what it should: %d states, up to %d uses of %d, ends %v", states, most, want, ends)
			}
		})
	}
}

// moves are the states that can follow.
func (w used) moves(t *testing.T, grants [2]Grant) (out []used) {
	after := func(name string, ok func(n *used) bool) {
		n := w
		n.Yes = slices.Clone(w.Yes)
		if !ok(&n) {
			return
		}
		n.history = append(slices.Clone(w.history), name)
		if w.R.State.Ended() && n.R.Revision != w.R.Revision {
			t.Fatalf("%v: something followed the end", n.history)
		}
		out = append(out, n)
	}
	step := func(n *used, s Step, by Reviewer) bool {
		next, err := Next(n.R, s, by, modelTerms, n.Now)
		if err == nil {
			n.R = next
		}
		return err == nil
	}
	for _, v := range []Reviewer{modelReviewers[0], modelReviewers[2], modelReviewers[4]} { // dana, both, and who asks
		for i, g := range grants {
			after(fmt.Sprintf("approve %s %d", v.Name, i), func(n *used) bool {
				if !step(n, Step{Vote: &Vote{Verdict: Approve, Justification: "looked at the ticket", Grant: g}}, v) {
					return false
				}
				if len(n.Yes) == 0 {
					n.Grant = g
				}
				n.Yes = append(n.Yes, v.Name)
				return true
			})
		}
		after("deny "+v.Name, func(n *used) bool {
			return step(n, Step{Vote: &Vote{Verdict: Refuse, Justification: "not without a ticket"}}, v)
		})
	}
	uses := map[string]func(*Request){
		"the same": func(*Request) {},
		"within": func(q *Request) {
			q.Binding.SQL, q.Subject.Constants = "DELETE FROM customers WHERE id = 8", []string{"8"}
		},
		"beyond": func(q *Request) {
			q.Binding.SQL, q.Subject.Constants = "DELETE FROM customers WHERE id = 11", []string{"11"}
		},
		"text": func(q *Request) {
			q.Binding.SQL, q.Subject.Normal = "DELETE FROM orders WHERE id = 7", "DELETE FROM orders WHERE id = \x01"
		},
		"more": func(q *Request) {
			q.Subject.Relations = append([]string{"delete public.orders"}, q.Subject.Relations...)
		},
		"another": func(q *Request) { q.Binding.Principal = "eve" },
		"agent":   func(q *Request) { q.Binding.Actors = nil },
		"door":    func(q *Request) { q.Binding.Door = access.DoorMCP },
		"path":    func(q *Request) { q.Binding.Path = []string{"evil"} },
	}
	for name, change := range uses {
		after("use "+name, func(n *used) bool {
			q := modelWant(n.Policy)
			q.Subject.Normal, q.Subject.Constants = "DELETE FROM customers WHERE id = \x01", []string{"7"}
			change(&q)
			if n.Claims >= 4 || !n.R.Covers(&q, n.Boot, n.Now) || !step(n, Step{Claim: true}, Reviewer{}) {
				return false
			}
			n.Claims++
			return true
		})
	}
	after("executed", func(n *used) bool { return step(n, Step{Finish: Executed, Outcome: "DELETE 1"}, Reviewer{}) })
	after("cancel", func(n *used) bool { return step(n, Step{Cancel: "withdrawn"}, Reviewer{}) })
	after("expire", func(n *used) bool { return step(n, Step{Expire: true}, Reviewer{}) })
	after("restart", func(n *used) bool { n.Boot = "boot2"; return w.Boot == "boot1" })
	after("policy changes", func(n *used) bool { n.Policy = "p2"; return w.Policy == "p1" })
	after("time passes", func(n *used) bool { n.Now = n.Now.Add(25 * time.Minute); return n.Now.Sub(start) < 90*time.Minute })
	return out
}

func (w *used) check(t *testing.T, until time.Time) {
	t.Helper()
	fail := func(what string) { t.Fatalf("%v: %s (state %s)", w.history, what, w.R.State) }
	if slices.Contains([]State{Claimed, Executed, Failed, Unknown}, w.R.State) && w.Grant.Mode != Once {
		fail("it ends as what is for one time")
	}
	if w.Grant.Mode == Form && w.Claims > w.Grant.Uses || w.Grant.Mode == Once && w.Claims > 1 || w.Grant.Mode == Reveal && w.Claims > 0 {
		fail("used too often")
	}
	if w.Claims != w.R.Uses {
		fail("uses are not counted")
	}
	if slices.Contains(w.Yes, "asker") || len(w.Yes) == 2 && w.Yes[0] == w.Yes[1] {
		fail("approved by who asks, or twice by one")
	}
	now, votes, ended, policy := start, 0, false, "p1"
	for i, m := range w.history {
		use, isUse := strings.CutPrefix(m, "use ")
		switch {
		case m == "time passes":
			now = now.Add(25 * time.Minute)
		case m == "policy changes":
			policy = "p2"
		case strings.HasPrefix(m, "approve"):
			if votes++; votes == 2 && m[len(m)-1] != firstGrant(w.history[:i]) {
				fail("two reviewers have granted two things")
			}
			if !now.Before(w.R.Expires) {
				fail("approved after the time for it")
			}
		case strings.HasPrefix(m, "deny"), m == "cancel", m == "expire":
			ended = true
		case isUse:
			if votes < 2 || ended || policy != "p1" || !now.Before(until) {
				fail("used without an approval in force")
			}
			if slices.Contains([]string{"text", "another", "agent", "door", "path"}, use) && !(use == "text" && w.Grant.Mode == Window) || use == "more" && w.Grant.Mode == Window {
				fail("used for something else")
			}
			if g := w.Grant; use == "beyond" && g.Mode == Form && len(g.Ranges) > 0 && !g.Ranges[0].Any || use != "the same" && use != "more" && (g.Mode == Once || g.Mode == Form && len(g.Ranges) == 0) {
				fail("used beyond what was granted")
			}
		}
	}
}

// firstGrant is which of two grants the first approval of a history was for.
func firstGrant(history []string) byte {
	i := slices.IndexFunc(history, func(m string) bool { return strings.HasPrefix(m, "approve") })
	return history[i][len(history[i])-1]
}
