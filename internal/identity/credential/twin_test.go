package credential

import (
	"testing"
	"time"

	"sallyport/internal/access"
)

// The other form of a token that was handed in is not a new one, and one form withdrawn is both.
func TestTheOtherFormOfAToken(t *testing.T) {
	b := newBench(t)
	p := b.ada()
	p.Proof.Twin = "00" + p.Proof.Token[2:]
	other := p
	other.Proof.Token, other.Proof.Twin = p.Proof.Twin, p.Proof.Token
	_, c := b.issue(p)
	_, err := b.Issue(other, request(t, ecKey(t)), time.Hour, factors)
	denied(t, err, "used before")
	b.again()
	if err := b.Revoke(access.Revocation{Token: other.Proof.Token, Cause: "found on a disk"}); err != nil {
		t.Fatal(err)
	}
	_, err = b.Certificate(c)
	denied(t, err, "withdrawn")
	for _, q := range []access.Principal{p, other} {
		if cause, yes := b.Withdrawn(q); !yes || cause != "found on a disk" {
			t.Errorf("%s: %q, %v", q.Proof.Token, cause, yes)
		}
	}
}
