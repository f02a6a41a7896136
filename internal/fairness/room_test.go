package fairness

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
)

func TestSources(t *testing.T) {
	for address, want := range map[string]string{
		"203.0.113.9:1": "203.0.113.9/32", "[::ffff:203.0.113.9]:1": "203.0.113.9/32", "[2001:db8:1:2:3:4:5:6]:1": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:1": "fe80::/64", "127.0.0.1:1": "127.0.0.1/32",
	} {
		if got := Source(address).String(); got != want {
			t.Errorf("%s: %s", address, got)
		}
	}
	if Source("@") != (netip.Prefix{}) || Source("") != (netip.Prefix{}) {
		t.Error("no address is somebody")
	}
}

func source(n int) netip.Prefix { return Source(fmt.Sprintf("10.0.%d.%d:1", n/250, n%250)) }

// One address holds all places while nobody else wants in. Others get in, each time at the expense of who has the most, until all have as many;
// who is alone can never be put out by who has more.
func TestOneAddressKeepsNobodyOut(t *testing.T) {
	r := NewRoom[int](100)
	for i := range 100 {
		if _, taken, ok := r.Enter(i, source(0)); taken || !ok {
			t.Fatal("there was room")
		}
	}
	if _, _, ok := r.Enter(100, source(0)); ok {
		t.Error("one more of the same address")
	}
	got := 0
	for i := range 200 {
		lost, taken, ok := r.Enter(1000+i, source(1))
		if !ok {
			break
		}
		if !taken || lost != i { // the oldest
			t.Fatalf("%d: %d went, %v", i, lost, taken)
		}
		got++
	}
	if got != 50 || r.Len() != 100 {
		t.Errorf("another address got %d of %d", got, r.Len())
	}
	if _, _, ok := r.Enter(2000, source(0)); ok {
		t.Error("the first takes one back")
	}
	for i := range 98 { // each alone
		if _, _, ok := r.Enter(3000+i, source(2+i)); !ok {
			t.Fatalf("address %d is kept out", i)
		}
	}
	if _, _, ok := r.Enter(4000, source(1000)); ok {
		t.Error("who is alone was put out")
	}
}

func TestWhoGoesFirst(t *testing.T) {
	r := NewRoom[string](5)
	for _, c := range []string{"kept", "busy", "idle", "new", "newer"} {
		r.Enter(c, source(0))
	}
	r.Rank("kept", Kept)
	r.Rank("busy", Busy)
	r.Rank("idle", Idle)
	for i, want := range []string{"new", "newer", "idle"} {
		if lost, taken, ok := r.Enter(fmt.Sprint(i), source(i+1)); lost != want || !taken || !ok {
			t.Errorf("%q goes, not %q", lost, want)
		}
	}
	if lost, _, ok := r.Enter("more", source(9)); ok {
		t.Errorf("%q, the last that its address can lose, was taken", lost)
	}
	r.Rank("new", Busy) // has no place any more
	r.Leave("new")
	r.Leave("kept")
	if _, taken, ok := r.Enter("more", source(9)); !ok || taken || r.Len() != 5 {
		t.Errorf("there was room: %d", r.Len())
	}
}

// Whatever happens, the counts are those of the places.
func TestCountsAreThoseOfThePlaces(t *testing.T) {
	r, seed := NewRoom[int](20), rand.New(rand.NewPCG(1, 2))
	for i := range 20000 {
		switch seed.IntN(4) {
		case 0, 1:
			r.Enter(i, source(seed.IntN(5)))
		case 2:
			r.Rank(i-seed.IntN(60), Rank(seed.IntN(4)))
		case 3:
			r.Leave(i - seed.IntN(60))
		}
		of := map[netip.Prefix]int{}
		for _, p := range r.held {
			if p.rank != Kept {
				of[p.from]++
			}
		}
		if len(r.held) > 20 || fmt.Sprint(of) != fmt.Sprint(r.of) {
			t.Fatalf("%d places, %v counted as %v", len(r.held), of, r.of)
		}
	}
}
