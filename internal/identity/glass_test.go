package identity

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"sallyport/internal/access"
)

// What is kept for when nobody else can come in says so of who uses it, and ends when it is to, by every way in.
func TestBreakGlassExpires(t *testing.T) {
	ends := time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)
	tok, hash := NewToken()
	short, shortHash := NewToken()
	envelope := access.LocalPrincipal{Name: "envelope", Kind: access.Human, Groups: []string{"break-glass"}, Secret: HashPassword("sealed"), BreakGlass: true, Expires: "2027-01-31T00:00:00Z",
		Tokens: []access.LocalToken{{SHA256: hash, Expires: "2028-01-01T00:00:00Z"}, {SHA256: shortHash, Expires: "2027-01-01T00:00:00Z"}}}
	s := newStore(t, envelope)
	at := ends.Add(-time.Hour)
	s.now = func() time.Time { return at }
	byPassword := func() (access.Principal, error) {
		return s.Verify(context.Background(), access.Password{User: "envelope", Secret: "sealed"})
	}
	bySCRAM := func() (access.Principal, error) {
		x, _, err := converse(t, s, "envelope", "sealed")
		if err != nil {
			return access.Principal{}, err
		}
		return s.Verify(context.Background(), x)
	}
	byToken := func() (access.Principal, error) { return s.Verify(context.Background(), access.Bearer(tok)) }
	ways := map[string]func() (access.Principal, error){"password": byPassword, "scram": bySCRAM, "token": byToken}
	for name, way := range ways {
		if p, err := way(); err != nil || !p.Proof.BreakGlass || !p.Proof.Expires.Equal(ends) {
			t.Errorf("%s: %+v, %v", name, p.Proof, err)
		}
	}
	if _, err := s.Verify(context.Background(), access.Bearer(short)); err == nil {
		t.Error("a token outlives its own end")
	}
	if p, err := s.Verify(context.Background(), access.Password{User: "ada", Secret: password}); err != nil || p.Proof.BreakGlass || !p.Proof.Expires.IsZero() {
		t.Errorf("%+v, %v", p.Proof, err)
	}
	at = ends
	for name, way := range ways {
		p, err := way()
		if err == nil || p.Name != "" {
			t.Errorf("%s proves at its end: %+v", name, p)
			continue
		}
		wrong := "28P01"
		if name == "token" {
			wrong = "28000"
		} else if !errors.Is(err, errOver) || strings.Contains(access.AsError(err).Message, "expired") {
			t.Errorf("%s: the operator is not told why, or the client is: %v", name, err)
		}
		if code(err) != wrong {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, _, right := converse(t, s, "envelope", "sealed")
	_, _, guess := converse(t, s, "envelope", "guess")
	if access.AsError(right).Message != access.AsError(guess).Message || access.AsError(right).Hint != access.AsError(guess).Hint {
		t.Errorf("%v is told apart from %v", right, guess)
	}
	if _, err := New([]access.LocalPrincipal{{Name: "x", Kind: access.Human, Expires: "soon"}}); err == nil {
		t.Error("a time that is none")
	}
}

// A reload that makes a principal one of break glass, or takes its time away, ends what rests on the one before.
func TestReloadOfBreakGlass(t *testing.T) {
	before := access.LocalPrincipal{Name: "x", Kind: access.Human, Secret: HashPassword("pw"), Expires: "2027-01-31T00:00:00Z", BreakGlass: true}
	store := func(p access.LocalPrincipal) *Store {
		s := newStore(t, p)
		s.now = func() time.Time { return time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC) }
		return s
	}
	p, err := store(before).Verify(context.Background(), access.Password{User: "x", Secret: "pw"})
	if err != nil || !store(before).Holds(p) {
		t.Fatal(err)
	}
	sooner, usual := before, before
	sooner.Expires, usual.BreakGlass = "2027-01-02T00:00:00Z", false
	if store(sooner).Holds(p) || store(usual).Holds(p) {
		t.Error("it goes on")
	}
}
