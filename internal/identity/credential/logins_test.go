package credential

import (
	"crypto"
	"testing"
	"time"

	"sallyport/internal/access"
)

// What is renewed after an order to withdraw it is withdrawn; who logs in anew, with a key of now, comes in. Other groups and log-outs leave renewals.
func TestARenewalIsAsOldAsItsLogIn(t *testing.T) {
	b := newBench(t)
	key := ecKey(t)
	try := func(k crypto.Signer, change func(*access.Proof)) (access.Certificate, error) {
		b.t.Helper()
		p := b.ada()
		if change != nil {
			change(&p.Proof)
		}
		got, err := b.Issue(p, request(t, k), time.Hour, factors)
		if err != nil {
			return access.Certificate{}, err
		}
		return chain(p.Name, got.Certificate), nil
	}
	good := func(k crypto.Signer, change func(*access.Proof)) access.Certificate {
		b.t.Helper()
		c, err := try(k, change)
		if err == nil {
			_, err = b.Certificate(c)
		}
		if err != nil {
			b.t.Error(err)
		}
		return c
	}
	good(key, nil)
	first := b.at
	b.at = b.at.Add(2 * time.Hour) // it has ended, and the machine sleeps
	if err := b.Sweep(); err != nil {
		t.Fatal(err)
	}
	b.revokes(access.Revocation{Principal: "ada", Issuer: "https://idp.example", Before: b.at, Cause: "groups changed"})
	renewed := good(key, nil)
	b.again()
	if who, err := b.Certificate(renewed); err != nil || !who.Proof.Since.Equal(first) || who.Proof.Issued.Equal(first) {
		t.Errorf("%+v, %v", who.Proof, err)
	}
	b.at = b.at.Add(time.Minute)
	if err := b.Order(access.Revocation{Principal: "ADA", Before: b.at, Cause: "her laptop was stolen"}); err != nil {
		t.Fatal(err)
	}
	b.at = b.at.Add(time.Minute)
	_, err := try(key, nil)
	denied(t, err, "her laptop was stolen")
	_, err = b.Certificate(renewed)
	denied(t, err, "")
	// Of what is bound to no key, the provider says when the person proved who they are.
	_, err = try(ecKey(t), func(q *access.Proof) { q.Since = first })
	denied(t, err, "her laptop was stolen")
	fresh := ecKey(t)
	good(fresh, nil)
	b.at = b.at.Add(time.Minute)
	good(fresh, nil) // which can be renewed in turn
	b.again()
	_, err = try(key, nil)
	denied(t, err, "her laptop was stolen")
	if ok, err := b.Restore(access.Revocation{Principal: "ada"}); !ok || err != nil {
		t.Fatal(ok, err)
	}
	good(key, nil)

	// What nobody has renewed for as long as revocations are kept is forgotten.
	b.at = b.at.Add(remembered + Longest + time.Minute)
	if err := b.Sweep(); err != nil {
		t.Fatal(err)
	}
	if list, err := b.loginsBefore(b.at); err != nil || len(list) != 0 {
		t.Errorf("%d are left, %v", len(list), err)
	}
}
