package leak

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"sallyport/evals/wire"
)

func TestSearcherFindsEveryCellInEveryForm(t *testing.T) {
	s := NewSearcher()
	reverse := func(v string) string { b := []byte(v); slices.Reverse(b); return string(b) }
	for col, list := range cells(false) {
		for _, c := range list {
			whole := map[string]string{
				"plain":   "x " + c.text + " y",
				"hex":     "{\\x61" + hex.EncodeToString([]byte(c.text)) + "}",
				"base64":  base64.StdEncoding.EncodeToString([]byte("q" + c.text)),
				"base64'": base64.StdEncoding.EncodeToString([]byte("qu" + c.text)),
			}
			if c.unique[0] != c.text || !isoDate.MatchString(c.text) { // dates are found whole only
				whole["reversed"] = reverse(c.text)
				u := squeeze([]byte(c.unique[0]))
				whole["sliced"] = "ab " + u[:min(len(u), 11)]
				whole["spaced"] = strings.Join(strings.Split(c.text, ""), ",")
				whole["upper"] = strings.ToUpper(c.text)
			}
			for form, hay := range whole {
				f, ok := s.Text([]byte(hay), "")
				if !ok || !strings.HasPrefix(f.Cell, col+"/") {
					t.Errorf("%s as %s in %q: %+v %t", c.where, form, hay, f, ok)
				}
			}
			for _, form := range c.forms {
				if _, ok := s.Text(append([]byte("row "), form...), ""); !ok {
					t.Errorf("%s in binary: not found", c.where)
				}
			}
		}
	}
}

func TestSearcherPutsPartsTogether(t *testing.T) {
	s := NewSearcher()
	v := cells(false)["hr.reviews.body"][0].text
	across := wire.Answer{Values: [][][]byte{{[]byte(v[:5]), []byte(v[5:10]), []byte(v[10:])}}}
	down := wire.Answer{}
	for i := range v {
		down.Values = append(down.Values, [][]byte{[]byte("7"), []byte(v[i : i+1])})
	}
	for name, a := range map[string]wire.Answer{"columns": across, "rows": down} {
		if _, ok := s.Answer(a, ""); !ok {
			t.Errorf("not found over %s", name)
		}
	}
}

func TestSearcherFindsNothingWhereNothingIs(t *testing.T) {
	s := NewSearcher()
	mine := cells(false)["shop.customers.email"][0].text
	for _, text := range []string{"", "***", "tok_abcdefghijklmnopqrstuvwx", "2024-02-03", "the quick brown fox jumps over 12345678901234567890"} {
		if f, ok := s.Text([]byte(text), ""); ok {
			t.Errorf("%q: %+v", text, f)
		}
	}
	if f, ok := s.Text([]byte("echo of "+mine), "SELECT '"+mine+"'"); ok {
		t.Errorf("what the statement holds is no leak: %+v", f)
	}
}

func TestCanariesAreUnique(t *testing.T) {
	seen := map[string]string{}
	n := 0
	for _, second := range []bool{false, true} {
		for col, list := range cells(second) {
			for _, c := range list {
				n++
				if old, ok := seen[c.text]; ok && !isoDate.MatchString(c.text) {
					t.Errorf("%s and %s (%s) are both %s", c.where, old, col, c.text)
				}
				seen[c.text] = c.where
			}
		}
	}
	if n != 2*len(columns)*rowsEach {
		t.Errorf("%d canaries", n)
	}
}
