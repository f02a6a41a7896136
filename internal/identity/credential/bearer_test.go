package credential

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"sallyport/internal/access"
)

func (b *bench) bears(name, subject string) access.Principal {
	b.t.Helper()
	p := b.ada()
	p.Name, p.Proof.Subject = name, subject
	if err := b.Bears(p); err != nil {
		b.t.Fatal(err)
	}
	return p
}

func (b *bench) revokes(r access.Revocation) {
	b.t.Helper()
	if err := b.Revoke(r); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) withdrawn(p access.Principal) bool {
	_, yes := b.Withdrawn(p)
	return yes
}

func TestARevocationFindsWhoHasTheName(t *testing.T) {
	b := newBench(t)
	before := b.bears("ada", "s-0") // who had it before
	first := b.bears("ada", "s-1")
	other := b.bears("eve", "s-2")
	b.again()
	b.revokes(access.Revocation{Principal: "ADA", Cause: "left"})
	check := func() {
		t.Helper()
		renamed, recased, older := first, first, before
		renamed.Name, recased.Name, older.Name = "lovelace", "Ada", "byron"
		if !b.withdrawn(first) || !b.withdrawn(renamed) || !b.withdrawn(recased) || !b.Barred(renamed) {
			t.Error("who was withdrawn comes in by another name")
		}
		if b.withdrawn(older) || b.withdrawn(other) {
			t.Error("somebody else is withdrawn")
		}
	}
	check()
	b.again()
	check()
	elsewhere := first
	elsewhere.Name, elsewhere.Proof.Issuer = "lovelace", "https://other.example"
	if b.withdrawn(elsewhere) {
		t.Error("a subject of another provider is withdrawn")
	}
	// Whoever comes with the name is bound to it.
	next := b.ada()
	next.Proof.Subject = "s-3"
	if err := b.Bind(next); err != nil {
		t.Fatal(err)
	}
	next.Name = "another"
	if !b.withdrawn(next) {
		t.Error("who came with the name comes in by another")
	}
	if list := b.ForGood(); len(list) != 1 || len(list[0].Accounts) != 2 || list[0].Cause != "left" {
		t.Errorf("%+v", list)
	}
	if ok, err := b.Restore(access.Revocation{Principal: "ada", Issuer: "https://idp.example"}); ok || err != nil {
		t.Errorf("what is not there was taken back: %v", err)
	}
	if ok, err := b.Restore(access.Revocation{Principal: "aDa"}); !ok || err != nil {
		t.Fatalf("not taken back: %v", err)
	}
	b.again()
	if b.withdrawn(first) || b.withdrawn(next) || len(b.ForGood())+len(b.Revocations()) != 0 {
		t.Error("withdrawn still")
	}
}

func TestARevocationForGoodStaysOne(t *testing.T) {
	b := newBench(t)
	b.revokes(access.Revocation{Principal: "ada", Cause: "left"})
	b.revokes(access.Revocation{Principal: "Ada", Before: b.at, Cause: "back"})
	b.at = b.at.Add(time.Hour)
	if cause, yes := b.Withdrawn(b.ada()); !yes || cause != "left" {
		t.Errorf("%v %q", yes, cause)
	}
}

// Which account had a name goes when no proof of it can hold any more, and a name that changes hands goes with it.
func TestBearersAreForgotten(t *testing.T) {
	b := newBench(t)
	b.bears("ada", "s-1")
	b.at = b.at.Add(remembered)
	b.bears("eve", "s-2")
	b.at = b.at.Add(2 * bornAnew)
	if err := b.Sweep(); err != nil {
		t.Fatal(err)
	}
	b.again()
	if len(b.bearers) != 1 || len(b.bearers.of("eve", "")) != 1 {
		t.Errorf("%v", b.bearers)
	}
}

// Files from before names were taken for one in every case have one revocation for each.
func TestRevocationsOfOldFiles(t *testing.T) {
	b := newBench(t)
	err := b.db.Update(func(tx *bbolt.Tx) error {
		for _, w := range []withdrawal{{Revocation: access.Revocation{Principal: "ada", Before: b.at.Add(time.Hour), Cause: "stolen"}}, {Revocation: access.Revocation{Principal: "Ada", Cause: "left"}}} {
			text, err := json.Marshal(w)
			if err != nil {
				return err
			}
			if err := tx.Bucket(bucketRevocations).Put([]byte(`{"principal":"`+w.Principal+`","before":"0001-01-01T00:00:00Z","cause":""}`), text); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		b.again()
		if list := b.Revocations(); len(list) != 1 || list[0].Cause != "left" || !b.Barred(b.ada()) {
			t.Fatalf("%+v", list)
		}
	}
	if ok, err := b.Restore(access.Revocation{Principal: "ada"}); !ok || err != nil {
		t.Fatal(err)
	}
	b.again()
	if list := b.Revocations(); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}

// What an operator ordered is told apart from log-outs and other groups, which are kept under the same key.
func TestOrdersAreKeptAsOrders(t *testing.T) {
	b := newBench(t)
	r := access.Revocation{Principal: "ada", Issuer: "https://idp.example", Before: b.at, Cause: "groups changed"}
	b.revokes(r)
	if list := b.Ordered(); len(list) != 0 {
		t.Errorf("other groups are an order: %+v", list)
	}
	order := func(r access.Revocation) {
		t.Helper()
		if err := b.Order(r); err != nil {
			t.Fatal(err)
		}
	}
	stolen := r
	stolen.Before, stolen.Cause = b.at.Add(time.Minute), "stolen"
	order(stolen)
	order(access.Revocation{Principal: "ada", Credential: "aa", Before: b.at, Cause: "one"})
	order(access.Revocation{Actor: "bot", Before: b.at, Cause: "an agent"})
	r.Before = b.at.Add(time.Hour)
	b.revokes(r)
	for range 2 {
		if list := b.Ordered(); len(list) != 1 || !list[0].Before.Equal(stolen.Before) || list[0].Cause != "stolen" {
			t.Errorf("%+v", list)
		}
		if !slices.ContainsFunc(b.Revocations(), func(o access.Revocation) bool { return o.Before.Equal(r.Before) && o.Cause == r.Cause }) {
			t.Errorf("%+v", b.Revocations())
		}
		b.again()
	}
	order(access.Revocation{Principal: "ADA", Issuer: "https://idp.example", Cause: "left"})
	if len(b.Ordered()) != 0 || len(b.ForGood()) != 1 {
		t.Errorf("for good: %+v %+v", b.Ordered(), b.ForGood())
	}
	if ok, err := b.Restore(stolen); !ok || err != nil || len(b.Ordered())+len(b.ForGood()) != 0 {
		t.Errorf("%v %v", ok, err)
	}
}
