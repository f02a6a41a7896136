package identity

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport/evals/harness"
	"sallyport/evals/leak"
	"sallyport/internal/testidp"
)

// TestListOfAttacks: each has a name of its own among those of its way in, every way has some, in a quick run too, what the list of threats
// says of them is true, and every fault makes a token that is not the honest one. It is made without a gateway.
func TestListOfAttacks(t *testing.T) {
	w := &world{g: &harness.Gateway{MCPURL: "http://127.0.0.1:1/mcp", WebURL: "http://127.0.0.1:2", PGAddr: "127.0.0.1:3"}, refresh: time.Hour,
		corp: testidp.New(t), evil: testidp.New(t), mail: testidp.New(t), old: mustKey("ES256")}
	seen, ways := map[string]bool{}, map[string]int{}
	all := append(w.tokenAttacks(), w.doorAttacks()...)
	for _, a := range all {
		if seen[a.full()] {
			t.Errorf("%s: twice", a.full())
		}
		seen[a.full()] = true
		ways[a.way]++
		if a.run == nil {
			t.Errorf("%s: does nothing", a.full())
		}
	}
	for _, way := range []string{wayAgents, wayBearer, waySecret, wayCert, wayWeb, wayCommand, wayLogout, wayHandles, wayCookie} {
		if ways[way] == 0 {
			t.Errorf("%s: no attacks", way)
		}
	}
	if len(all) < 150 {
		t.Errorf("%d attacks", len(all))
	}
	honest := w.access(w.corp)
	names := map[string]bool{}
	for _, a := range all {
		names[a.name] = true
	}
	threats, err := leak.Threats()
	if err != nil {
		t.Fatal(err)
	}
	said := 0
	for _, threat := range threats {
		for _, where := range threat.Where {
			if name, ok := strings.CutPrefix(where, "identity "); ok {
				if said++; !names[name] {
					t.Errorf("threats.tsv: %s: there is no attack %q", threat.ID, name)
				}
			}
		}
	}
	if said < 10 {
		t.Errorf("threats.tsv speaks of %d attacks of these", said)
	}
	quick, few := regexp.MustCompile(Quick.Attacks), map[string]int{}
	for _, a := range all {
		if quick.MatchString(a.full()) {
			few[a.way]++
		}
	}
	for way := range ways {
		if few[way] < 3 {
			t.Errorf("%s: %d attacks in a quick run", way, few[way])
		}
	}
	t.Logf("quick: %v", few)
	for _, faults := range [][]fault{anyFault, w.accessFaults(), w.idFaults(), climbs} {
		for _, f := range faults {
			got := f.make(honest)
			claims, ok := testidp.Claims(got)
			if same := ok && len(claims) == len(honest.claims) && got == honest.mint(nil); same || got == "" {
				t.Errorf("%s: the token is as it was", f.name)
			}
		}
	}
	t.Logf("%d attacks: %v", len(all), ways)
}
