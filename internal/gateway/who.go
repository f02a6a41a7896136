package gateway

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/access"
)

// parts writes names so that no two lists of them are written alike, whatever is in the names: providers choose some.
type parts struct{ strings.Builder }

func (b *parts) add(names ...string) {
	b.WriteString(strconv.Itoa(len(names)))
	for _, n := range names {
		b.WriteByte(' ')
		b.WriteString(strconv.Itoa(len(n)))
		b.WriteByte(' ')
		b.WriteString(n)
	}
}

// ownerOf stands for who something was given to: a principal, by whose word it is they and for which account, and everybody who acts for them. It
// is of no use to the same person by themself, to another agent of theirs, or to somebody of their name at another provider or with another account.
func ownerOf(p access.Principal) string {
	var b parts
	b.add(p.Name, string(p.Kind), p.Proof.Issuer, p.Proof.Subject)
	b.add(p.Chain()...)
	return b.String()
}

// judgedAs stands for all of a principal that decisions depend on: two with the same can share plans.
func judgedAs(p access.Principal) string {
	var b parts
	b.WriteString(ownerOf(p))
	b.add(p.Groups...)
	for _, a := range slices.Sorted(maps.Keys(p.Attributes)) {
		b.add(a, p.Attributes[a])
	}
	b.add(p.Proof.ACR, strconv.FormatBool(p.Proof.Scoped))
	for _, s := range p.Proof.Scopes {
		b.add(s)
		for _, a := range p.Proof.Grants[s] { // what it means may change with the configuration
			b.add(string(a))
		}
		b.WriteByte(';')
	}
	return b.String()
}
