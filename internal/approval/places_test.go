package approval

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/access"
)

// TestPlacesAreOfWhoAsks: nobody fills the places of somebody else of their name, and no agent those of its person.
func TestPlacesAreOfWhoAsks(t *testing.T) {
	b := newBench(t)
	ask := func(change func(*Request)) *access.Error {
		r := wish("DELETE " + strings.Repeat("1", len(b.Live())+1))
		change(&r)
		_, err := b.Request(context.Background(), r)
		if err == nil {
			return nil
		}
		return access.AsError(err)
	}
	fill := func(change func(*Request)) {
		t.Helper()
		for range 3 { // of which three are allowed
			if err := ask(change); err != nil {
				t.Fatal(err)
			}
		}
		if err := ask(change); err == nil || err.Code != "53400" {
			t.Fatalf("a fourth: %v", err)
		}
	}
	nobody := func(*Request) {}
	fill(func(r *Request) { r.Binding.Actors = []string{"robot"} })
	fill(func(r *Request) { r.Binding.Issuer = "https://elsewhere.example" })
	fill(func(r *Request) { r.Binding.Issuer, r.Subject.Account = "https://idp.example", "1" })
	fill(func(r *Request) { r.Binding.Issuer, r.Subject.Account = "https://idp.example", "2" })
	fill(nobody)
	if _, err := b.Cancel(context.Background(), b.Live()[0].ID, "withdrawn"); err != nil {
		t.Fatal(err)
	}
	if err := ask(nobody); err != nil {
		t.Errorf("once one has ended: %v", err)
	}
}

// TestWhatIsTooLargeToBeReviewed: what requests hold is bounded, in one and in all of one who asks, approved ones too.
func TestWhatIsTooLargeToBeReviewed(t *testing.T) {
	b := newBench(t)
	b.conf.MostPending = 1000
	ask := func(n int, values ...Param) (*Request, error) {
		r := wish("INSERT " + strings.Repeat("1", n))
		r.Binding.Params = values
		return b.Request(context.Background(), r)
	}
	half := strings.Repeat("x", MostHeld/2)
	for what, values := range map[string][]Param{"text": nil, "values": {{Text: half}, {Text: half}}, "bytes": {{Text: half, Bytes: []byte(half)}}} {
		n := 1
		if values == nil {
			n = MostHeld
		}
		_, err := ask(n, values...)
		if e := access.AsError(err); err == nil || e.Code != "54000" {
			t.Errorf("%s: %v", what, err)
		}
	}
	kept := 0
	for ; kept < 1000; kept++ {
		r, err := ask(kept, Param{Text: half})
		if err != nil {
			if e := access.AsError(err); e.Code != "53400" {
				t.Fatal(err)
			}
			break
		}
		if _, err := b.approve(r); err != nil {
			t.Fatal(err)
		}
	}
	if kept != 31 { // and their texts
		t.Errorf("%d requests of %d bytes are kept", kept, len(half))
	}
	if _, err := b.Cancel(context.Background(), b.Live()[0].ID, "withdrawn"); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(kept, Param{Text: half}); err != nil {
		t.Errorf("once one has ended: %v", err)
	}
}

// TestAnEndThatCouldNotBeKept: how a statement ended is kept once there is room for it again, and is not told to be unknown.
func TestAnEndThatCouldNotBeKept(t *testing.T) {
	b := newBench(t)
	r, err := b.approve(b.ask("DELETE 1"))
	if err != nil {
		t.Fatal(err)
	}
	if c, err := b.Claim(context.Background(), wish("DELETE 1")); err != nil || c == nil || c.ID != r.ID {
		t.Fatal(c, err)
	}
	full := errors.New("no space left")
	b.breaks(full)
	if err := b.Finish(context.Background(), r.ID, Executed, "DELETE 1"); err == nil {
		t.Fatal("kept without a record")
	}
	if err := b.Sweep(context.Background()); !errors.Is(err, full) || b.state(r.ID) != Claimed {
		t.Fatalf("%v, %s", err, b.state(r.ID))
	}
	b.breaks(nil)
	for range 2 {
		if err := b.Sweep(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if now, _ := b.Get(r.ID); now.State != Executed || now.Outcome != "DELETE 1" {
		t.Errorf("%s, %q", now.State, now.Outcome)
	}
	if n := len(slices.DeleteFunc(slices.Clone(b.events), func(e Event) bool { return e.Request.State != Executed })); n != 1 {
		t.Errorf("%d records of its end", n)
	}
}

func (b *bench) breaks(err error) { b.mu.Lock(); b.broken = err; b.mu.Unlock() }
