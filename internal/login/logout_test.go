package login

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/testgate"
)

func TestLogout(t *testing.T) {
	f := testgate.New(t)
	p := profile(t, f.URL)
	if _, err := Ensure(t.Context(), p, Options{Browse: browser(t, nil), Headless: no()}); err != nil {
		t.Fatal(err)
	}
	if all, err := All(p.root); err != nil || len(all) != 1 || all[0].Gateway != f.URL {
		t.Errorf("profiles %v, %v", all, err)
	}
	if c, err := Logout(t.Context(), p, time.Now); err != nil || c.ID != "c1" || len(f.Out) != 1 || f.Out[0] != "ada secret1" {
		t.Errorf("%v, %v, %q", c, err, f.Out)
	}
	if c, err := p.Load(); c != nil || err != nil {
		t.Errorf("left: %v, %v", c, err)
	}
	if _, err := os.Stat(p.Key()); !os.IsNotExist(err) {
		t.Error("the key is left")
	}
	// Where the gateway cannot be told, nothing is left here either.
	if _, err := Ensure(t.Context(), p, Options{Browse: browser(t, nil), Headless: no()}); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, err := Logout(t.Context(), p, time.Now); err == nil || !strings.Contains(err.Error(), "was not told") {
		t.Errorf("gateway down: %v", err)
	}
	if c, _ := p.Load(); c != nil {
		t.Error("the log-in is left")
	}
}

// What the gateway takes no longer is no log-in; a gateway that does not say so leaves it to its door.
func TestWhatWasWithdrawnIsNoLogIn(t *testing.T) {
	f := testgate.New(t)
	p := profile(t, f.URL)
	var said strings.Builder
	o := Options{Browse: browser(t, nil), Headless: no(), Stay: true, Out: &said}
	first, err := Ensure(t.Context(), p, o)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Ensure(t.Context(), p, o); err != nil || again.ID != first.ID || f.Asked != 1 {
		t.Fatalf("%+v, %v; asked %d times", again, err, f.Asked)
	}
	f.Out = append(f.Out, "ada secret1")
	second, err := Ensure(t.Context(), p, o)
	if err != nil || second.ID != "c2" || !strings.Contains(said.String(), "the log-in as ada holds no longer") {
		t.Fatalf("%+v, %v, %q", second, err, &said)
	}
	// Neither is it where nobody can log in.
	f.Out = append(f.Out, "ada secret2")
	f.IDP.Down(true)
	if c, err := Ensure(t.Context(), p, o); err == nil {
		t.Errorf("withdrawn, and used: %+v", c)
	}
	f.Out = nil
	f.Server.Close()
	if c, err := Ensure(t.Context(), p, o); err != nil || c.ID != "c2" {
		t.Errorf("a gateway that does not answer: %+v, %v", c, err)
	}
}

// A log-in anew takes the place of that before, whoever that was; what renewals have left goes with that, or with the log-out.
func TestTheLogInBeforeIsWithdrawn(t *testing.T) {
	f := testgate.New(t)
	later := func(d time.Duration) func() time.Time { return func() time.Time { return time.Now().Add(d) } }
	renewed := func() (*Profile, Options) {
		f.Lifetime = time.Hour
		p, o := profile(t, f.URL), Options{Browse: browser(t, nil), Headless: no(), Stay: true}
		first, err := Ensure(t.Context(), p, o)
		if err != nil {
			t.Fatal(err)
		}
		f.Lifetime, o.Now = 2*time.Hour, later(50*time.Minute) // less than a quarter is left
		if c, err := Ensure(t.Context(), p, o); err != nil || c.ID == first.ID || len(f.Out) != 0 {
			t.Fatalf("renewed: %+v, %v, withdrawn %q", c, err, f.Out)
		}
		return p, o
	}
	p, o := renewed()
	o.Now, o.Fresh = later(51*time.Minute), true
	if c, err := Ensure(t.Context(), p, o); err != nil || len(c.Earlier) != 0 || !slices.Equal(f.Out, []string{"ada secret1", "ada secret2"}) {
		t.Errorf("%+v, %v, withdrawn %q", c, err, f.Out)
	}
	f.Out = nil
	p, _ = renewed()
	if _, err := Logout(t.Context(), p, time.Now); err != nil || !slices.Equal(f.Out, []string{"ada secret4", "ada secret5"}) {
		t.Errorf("%v, withdrawn %q", err, f.Out)
	}
}
