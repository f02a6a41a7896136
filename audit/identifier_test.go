package audit

import (
	"slices"
	"testing"

	"sallyport/internal/access"
)

// What the detectors find is found again by the same identifier as somebody else would write it.
func TestIdentifiersHaveOneForm(t *testing.T) {
	for _, c := range []struct {
		kind, found string
		asked       []string
	}{
		{"email", "Jane.Doe@Example.com", []string{"jane.doe@example.com", " JANE.DOE@EXAMPLE.COM "}},
		{"email", "o''brien@example.com", []string{"o'brien@example.com"}},
		{"phone", "+49 (0)30 901-820", []string{"+4930901820", "0049 30 901820", "+49 30 90 18 20"}},
		{"phone", "(030) 901820", []string{"030/901820"}},
		{"card", "4111-1111-1111-1111", []string{"4111111111111111", "4111 1111 1111 1111"}},
		{"iban", "DE89 3704 0044 0532 0130 00", []string{"de89370400440532013000"}},
		{"ssn", "078-05-1120", []string{"078051120"}},
		{"id", "AB 12.34-56 C", []string{"ab123456c"}},
		{"ip", "2001:DB8::1", []string{"2001:db8:0:0:0:0:0:1"}},
		{"ip", "10.1.2.3", []string{"10.1.2.3", "::ffff:10.1.2.3"}},
		{"mac", "AA-BB-CC-DD-EE-FF", []string{"aa:bb:cc:dd:ee:ff"}},
		{"name", "Jane  O''Neill", []string{"jane o'neill", "JANE O'NEILL"}},
		{"name", "Zoë Müller", []string{"zoe\u0308 mu\u0308ller"}},
		{"address", "36 Mill Road, Cambridge", []string{"36 Mill Road Cambridge"}},
		{"birth", "1980-05-02", []string{"1980-05-02"}},
	} {
		form := formOf(access.Identifier{Kind: c.kind, Value: c.found})
		for _, asked := range c.asked {
			if !slices.Contains(forms(asked), form) {
				t.Errorf("%s %q is %q, and %q is %q", c.kind, c.found, form, asked, forms(asked))
			}
		}
	}
}

func TestDifferentIdentifiersHaveDifferentForms(t *testing.T) {
	for _, c := range [][2]access.Identifier{
		{{Kind: "email", Value: "j.doe@example.com"}, {Kind: "email", Value: "jdoe@example.com"}},
		{{Kind: "ip", Value: "1.12.3.4"}, {Kind: "ip", Value: "11.2.3.4"}},
		{{Kind: "id", Value: "0012345678"}, {Kind: "id", Value: "12345678"}},
		{{Kind: "phone", Value: "+49 30 901820"}, {Kind: "phone", Value: "+49 30 901821"}},
		{{Kind: "name", Value: "Jane Doe"}, {Kind: "name", Value: "Janet Doe"}},
	} {
		if a, b := formOf(c[0]), formOf(c[1]); a == b || a == "" || b == "" {
			t.Errorf("%v is %q, %v is %q", c[0], a, c[1], b)
		}
	}
	for _, kind := range []string{"key", "credentials"} {
		if form := formOf(access.Identifier{Kind: kind, Value: "admin:hunter2"}); form != "" {
			t.Errorf("a secret has the form %q", form)
		}
	}
}

func FuzzForms(f *testing.F) {
	for _, s := range []string{"", "@", "+49 (0)30", "::1", "٣", "İ@x", "00000"} {
		f.Add(s)
	}
	kinds := []string{"email", "phone", "ip", "name", "card"}
	f.Fuzz(func(t *testing.T, s string) {
		for _, kind := range kinds {
			if form := formOf(access.Identifier{Kind: kind, Value: s}); form != formOf(access.Identifier{Kind: kind, Value: " " + s + " "}) {
				t.Errorf("spaces around %q make a difference", s)
			}
		}
		if form := otherForm(s); form != "" && form != otherForm(form[len(otherClass):]) {
			t.Errorf("the form of %q is %q, whose own is another", s, form)
		}
	})
}
