package mask

import "testing"

func TestDetectorFindsBirths(t *testing.T) {
	d := NewDetector()
	for text, want := range map[string]string{
		"She was born on 11/22/2000.":              "She was born on [birth].",
		"your date of birth. It's 8/12/1991":       "your date of birth. It's [birth]",
		`{"date_of_birth":"1991-08-12","n":1}`:     `{"date_of_birth":"[birth]","n":1}`,
		`{"dob":"1991-08-12T00:00:00Z"}`:           `{"dob":"[birth]T00:00:00Z"}`,
		"born 12 March 1985 in Bonn":               "born [birth] in Bonn",
		"born on March 12, 1985":                   "born on [birth]",
		"geboren am 12. März 1985":                 "geboren am [birth]",
		"geb. 12.03.1985":                          "geb. [birth]",
		"née le 12 février 1985":                   "née le [birth]",
		"nacido el 12 de marzo de 1985":            "nacido el [birth]",
		"Дата рождения: 12.03.1985":                "Дата рождения: [birth]",
		"ordered on 2026-05-06, born never":        "ordered on 2026-05-06, born never",
		"born in 12 days and 2000 nights":          "born in 12 days and 2000 nights",
		"founded 12 March 1985":                    "founded 12 March 1985",
		"reborn on 2026-05-06":                     "reborn on 2026-05-06",
		"since 11/22/2000, on March 12, 1985 at 5": "since 11/22/2000, on March 12, 1985 at 5",
	} {
		if got := d.String(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}
