package mask

import (
	"testing"

	"sallyport/mask/numbering"
)

func TestDetectorKnowsNumberingPlans(t *testing.T) {
	d := NewDetector()
	for text, want := range map[string]string{
		"+442079460958 +4930901820 +14155552671":            "[phone] [phone] [phone]",
		"+44 (0)20 7946 0958, +49 (0) 30 901820":            "[phone], [phone]",
		"+1 (555) 123-4567 and +1-555-123-4567":             "[phone] and [phone]", // of no area, but nothing else either
		"00442079460958":                                    "[phone]",
		"0044 20 7946 0958":                                 "[phone]",
		"score +12345678, +999123456789 points, +202511234": "score +12345678, +999123456789 points, +202511234",
		"004417652839":                                      "004417652839", // no number of the United Kingdom
		"0012345678901234":                                  "0012345678901234",
		"212 456 7890, 212.456.7890":                        "[phone], [phone]",
		"999 456 7890 of 111.222.3333":                      "999 456 7890 of 111.222.3333",
		"tel. +12345678":                                    "tel. [phone]",
		"+44 20 7946 0958 12 boxes":                         "[phone] 12 boxes",
	} {
		if got := d.String(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func TestDetectorKnowsNumbersOfItsRegions(t *testing.T) {
	for _, tc := range []struct{ region, text, want string }{
		{"GB", "07911123456 and 020 7946 0958", "[phone] and [phone]"},
		{"GB", "0000000000 0123456789012", "0000000000 0123456789012"},
		{"DE", "ring 015112345678 or 0151-12345678", "ring [phone] or [phone]"},
		{"ES", "612 345 678", "[phone]"},
		{"ES", "612345678", "612345678"}, // that may be anything
		{"ES", "112 345 678", "112 345 678"},
		{"DK", "60-56-85-91 or 60 56 85 91", "[phone] or [phone]"},
		{"US", "1 415 555 2671", "[phone]"},
		{"FR", "date 2026-05-06, 192.168.2.17, 1,234,567", "date 2026-05-06, [ip], 1,234,567"},
		{"FR", "0612345678", "[phone]"},
	} {
		r, ok := numbering.Find(tc.region)
		if !ok {
			t.Fatal(tc.region)
		}
		if got := NewDetector(r).String(tc.text); got != tc.want {
			t.Errorf("in %s %q became %q, want %q", tc.region, tc.text, got, tc.want)
		}
	}
	if got := NewDetector().String("07911123456, 612 345 678"); got != "07911123456, 612 345 678" {
		t.Errorf("without a region there is %q", got)
	}
}
