package approval

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"sallyport/internal/access"
)

// Mode is how far an approval reaches. The zero Mode is none, and allows nothing.
type Mode string

const (
	// Once is the exact statement with its parameters, once.
	Once Mode = "once"
	// Form is any statement of the same text but for constants and parameters, which are within ranges, Uses times.
	Form Mode = "form"
	// Window is any statement of a class on some relations, until a time.
	Window Mode = "window"
	// Reveal is that columns are shown as they are, until a time.
	Reveal Mode = "reveal"
)

// Longest times and most uses that a reviewer can give.
const (
	MostUses   = 1000
	MostWindow = 24 * time.Hour
)

// Grant is what an approval allows its principal, with its actors.
type Grant struct {
	Mode   Mode      `json:"mode"`
	Uses   int       `json:"uses,omitempty"`   // Form: how often
	Ranges []Range   `json:"ranges,omitempty"` // Form: for each constant and then each parameter, of the types and formats that they had; none: as they were
	Until  time.Time `json:"until,omitzero"`   // when it ends; of Once, set when it is approved
	// Classes and Relations are what a Window is for: everything that a statement does to a relation ("update public.customers")
	// must be among them.
	Classes   []access.Class `json:"classes,omitempty"`
	Relations []string       `json:"relations,omitempty"`
	Columns   []string       `json:"columns,omitempty"` // Reveal: schema.table.column
}

// Range is what one value may be: any but NULL, one of In, or a number from Least to Most; and NULL where Null says so.
type Range struct {
	Null  bool     `json:"null,omitempty"`
	Any   bool     `json:"any,omitempty"`
	In    []string `json:"in,omitempty"`
	Least string   `json:"least,omitempty"`
	Most  string   `json:"most,omitempty"`
}

// admits reports whether a value is within the range. What is not a number is in no range of numbers, and what cannot be told in none.
func (r Range) admits(value Value) bool {
	switch {
	case value.Opaque:
		return false
	case value.Null:
		return r.Null
	case r.Any:
		return true
	case len(r.In) > 0:
		return slices.Contains(r.In, value.Text)
	case r.Least == "" && r.Most == "":
		return false
	}
	v, ok := number(value.Text)
	if !ok {
		return false
	}
	if r.Least != "" {
		if least, ok := number(r.Least); !ok || v.Cmp(least) < 0 {
			return false
		}
	}
	if r.Most != "" {
		if most, ok := number(r.Most); !ok || v.Cmp(most) > 0 {
			return false
		}
	}
	return true
}

// number reads a decimal number as it is written in SQL: no fractions, no other bases, no sizes that would take long to compare.
func number(s string) (*big.Rat, bool) {
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || len(digits) > 64 || strings.Trim(digits, "0123456789.") != "" || strings.Count(digits, ".") > 1 || digits == "." {
		return nil, false
	}
	return new(big.Rat).SetString(s)
}

// narrower checks what a reviewer grants against what was asked for: the subject of r bounds it.
func (r *Request) narrower(g Grant, now time.Time) error {
	if r.Glass != nil {
		return errors.New("what was run behind broken glass is looked at, and not granted again")
	}
	if g.Mode == Form || g.Mode == Window || g.Mode == Reveal {
		if g.Until.IsZero() || !g.Until.After(now) || g.Until.Sub(now) > MostWindow {
			return fmt.Errorf("an approval of mode %s has a time at which it ends (until), within a day", g.Mode)
		}
	}
	if (r.Subject.Kind == SubjectReveal) != (g.Mode == Reveal) {
		if r.Subject.Kind == SubjectReveal {
			return errors.New("a request to see columns is approved with mode reveal, for columns that it names, until a time")
		}
		return errors.New("mode reveal is for requests to see columns, and this is a statement")
	}
	switch g.Mode {
	case Once:
		if g.Uses != 0 || len(g.Ranges)+len(g.Classes)+len(g.Relations)+len(g.Columns) > 0 || !g.Until.IsZero() {
			return errors.New("an approval for one time has neither uses, ranges nor a time of its own")
		}
	case Form:
		if r.Subject.Normal == "" && len(g.Ranges) > 0 {
			return errors.New("the constants of this text cannot be told apart, so no ranges can be given for them")
		}
		if g.Uses < 1 || g.Uses > MostUses {
			return fmt.Errorf("an approval of a form is for 1 to %d uses", MostUses)
		}
		if n := len(r.Values()); len(g.Ranges) != 0 && len(g.Ranges) != n {
			return fmt.Errorf("the statement has %d constants and parameters, and ranges are given for %d", n, len(g.Ranges))
		}
		for i, v := range r.Values() {
			switch {
			case len(g.Ranges) == 0:
			case v.Opaque:
				return fmt.Errorf("what value %d is cannot be told for certain (%s), so no ranges can be given: approve the statement once, or this form with its values as they are", i+1, v.Text)
			case v.Null && !g.Ranges[i].Null:
				return fmt.Errorf("value %d of the statement that waits is NULL, which its range does not name, so it would not be covered", i+1)
			case !g.Ranges[i].admits(v):
				return fmt.Errorf("value %d of the statement that waits, %q, is not in its range, so it would not be covered", i+1, v.Text)
			}
		}
	case Window:
		if len(g.Classes) == 0 || len(g.Relations) == 0 {
			return errors.New("an approval for some time names classes of statements and relations")
		}
		for _, c := range g.Classes {
			if c != r.Subject.Class {
				return fmt.Errorf("the request is for %s, not for %s", r.Subject.Class, c)
			}
		}
		for _, use := range g.Relations {
			if !slices.Contains(r.Subject.Relations, use) {
				return fmt.Errorf("the request does not %s", use)
			}
		}
		for _, use := range r.Subject.Relations {
			if !slices.Contains(g.Relations, use) {
				return fmt.Errorf("the statement that waits does %s too, so it would not be covered: grant that as well, or another mode", use)
			}
		}
	case Reveal:
		if len(g.Columns) == 0 {
			return errors.New("an approval to reveal names columns")
		}
		for _, c := range g.Columns {
			if !slices.Contains(r.Subject.Columns, c) {
				return fmt.Errorf("the request is not for column %s", c)
			}
		}
	default:
		return fmt.Errorf("there is no mode %q", g.Mode)
	}
	return nil
}

// The kinds of a Subject.
const (
	SubjectStatement = "statement"
	SubjectReveal    = "reveal"
)

// Covers reports whether the approved request r allows that want runs now. It says nothing of policies, which are asked
// beside it.
func (r *Request) Covers(want *Request, boot string, now time.Time) bool {
	if r.State != Approved || r.Grant == nil || !now.Before(r.Grant.Until) || !sameAsker(r, want) || !r.Answers(want.Needs) {
		return false
	}
	switch g := r.Grant; g.Mode {
	case Once:
		return sameBinding(r, want, boot)
	case Form:
		if r.Uses >= g.Uses || !sameContext(r, want) || !slices.Equal(r.Binding.Inner, want.Binding.Inner) || !slices.EqualFunc(r.Binding.Hidden, want.Binding.Hidden, Hidden.is) {
			return false
		}
		if len(g.Ranges) == 0 {
			return r.Binding.SQL == want.Binding.SQL && slices.EqualFunc(r.Binding.Params, want.Binding.Params, func(a, b Param) bool { return slices.Equal(a.parts(), b.parts()) }) &&
				r.Binding.Bound == want.Binding.Bound
		}
		values := want.Values()
		if r.Subject.Normal == "" || r.Subject.Normal != want.Subject.Normal || len(values) != len(g.Ranges) || !alike(r.Binding.Params, want.Binding.Params) {
			return false
		}
		for i, v := range values {
			if !g.Ranges[i].admits(v) {
				return false
			}
		}
		return true
	case Window:
		if !sameContext(r, want) || want.Subject.EveryRow && !r.Subject.EveryRow || !slices.Contains(g.Classes, want.Subject.Class) || len(want.Subject.Relations) == 0 {
			return false
		}
		for _, use := range want.Subject.Relations {
			if !slices.Contains(g.Relations, use) {
				return false
			}
			relation := relationOf(use)
			hidden := want.Binding.hiddenOf(relation)
			// What is not read is not hidden either, and may be read in what was asked for.
			if (len(hidden) > 0 || use == "select "+relation) && !slices.EqualFunc(r.Binding.hiddenOf(relation), hidden, Hidden.is) {
				return false
			}
		}
		return true
	}
	return false // Reveal covers columns, not statements
}

// Answers reports whether who was asked about r are all who would have to approve by needs, and as many of each: what is near to what was approved
// may be for others to approve.
func (r *Request) Answers(needs []Need) bool {
	for _, n := range needs {
		if !slices.ContainsFunc(r.Needs, func(o Need) bool { return o.Group == n.Group && max(o.Quorum, 1) >= max(n.Quorum, 1) }) {
			return false
		}
	}
	return true
}

// Of reports whether r was asked for in the name of somebody: by the same name, by the word of the same provider, for the same account there.
// Names are not people: a provider may give one to somebody else. Those of the configuration have no account, and requests from before accounts
// were kept go by the first two.
func (r *Request) Of(name, issuer, account string) bool {
	return name != "" && r.Binding.Principal == name && r.Binding.Issuer == issuer && (r.Subject.Account == "" || r.Subject.Account == account)
}

// inSameName reports whether b is asked in the name in which a was, by whoever acts for them as then.
func inSameName(a, b *Request) bool {
	return a.Of(b.Binding.Principal, b.Binding.Issuer, b.Subject.Account) && slices.Equal(a.Binding.Actors, b.Binding.Actors)
}

// sameAsker reports whether b is asked by who asked a, with everybody who acts for them.
func sameAsker(a, b *Request) bool {
	return inSameName(a, b) && a.Binding.Door == b.Binding.Door && a.Binding.Connection == b.Binding.Connection && a.Subject.Kind == b.Subject.Kind
}

// sameContext compares what gives names in a statement their meaning, and the versions that it was judged by.
func sameContext(a, b *Request) bool {
	return a.Binding.Role == b.Binding.Role && slices.Equal(a.Binding.Path, b.Binding.Path) && slices.Equal(a.Binding.Settings, b.Binding.Settings) && slices.Equal(a.Binding.Types, b.Binding.Types) &&
		a.Binding.PolicyVersion == b.Binding.PolicyVersion && a.Binding.CatalogVersion == b.Binding.CatalogVersion &&
		a.Binding.Rows == b.Binding.Rows
}

// sameBinding compares all, by digest. The session of a request from before the gateway was started anew has ended with it:
// another of the same asker stands in.
func sameBinding(r, want *Request, boot string) bool {
	b := want.Binding
	if r.Boot != boot {
		b.Session = r.Binding.Session
	}
	return r.Digest != "" && b.Digest(r.Expires) == r.Digest
}
