package mask

import "testing"

func TestDetectorFindsNamesAndAddresses(t *testing.T) {
	d := NewDetector()
	for text, want := range map[string]string{
		"Mr. Leiva flew to Rome":                                              "Mr. [name] flew to Rome",
		"My name is Martin. Thanks":                                           "My name is [name]. Thanks",
		"Hi Sarah, are you in?":                                               "Hi [name], are you in?",
		"ask Jane K. Doe about it":                                            "ask [name] about it",
		"Ludwig and Anna van der Berg came":                                   "Ludwig and [name] came",
		`{"note":"hello\nPeter Schmidt called"}`:                              `{"note":"hello\n[name] called"}`,
		"send it to 36 Scotswood Road, Holwell OX18 7FR":                      "send it to [address]",
		"at 77 rue de Groussay":                                               "at [address]",
		"wohnt Lindenstraße 12, 10969 Berlin":                                 "wohnt [address] Berlin",
		"vive en Calle Mayor 5":                                               "vive en [address]",
		"Fenna Turcotte was here before":                                      "[name] was here before",
		"we asked Katarzyna about the old car":                                "we asked [name] about the old car",
		"then Will Nowak paid for it":                                         "then [name] paid for it",
		"we met Anne-Marie Dupont at the door":                                "we met [name] at the door",
		"Lara  Fiorentino lives here":                                         "[name] lives here",
		"the office at 213 Pilekrogen 53 Apt. 263, Grand-Leez, Belgium 18431": "the office at [address]",
		"sent to 19607 107 Mill Road by post":                                 "sent to [address] by post",
		"12 Oak Street Apt. 4\nSpringfield 62704.":                            "[address].",
	} {
		if got := d.String(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func TestDetectorLeavesOtherCapitalsAlone(t *testing.T) {
	d := NewDetector()
	for _, text := range []string{"Jane Austen", "Calvin Klein Jeans", "Dear Sir or Madam", "Dear Customer", "the Paris Hilton hotel", "Hi Team", "in New York on Monday",
		"in 2014 Main Corp grew", "5 Star Hotel", "Gate 12", "Chapter 5", "Investigate 5 issues", "Python 3", "Wall Street 2", "at 10 Tuesday", "Mark as read", "Booked Suite 279 for two", "John", "SELECT 1 FROM T",
		"the Marina Bay Street Circuit was closed", "Oliver Twist", "Oliver Twist and the Lost Boys", "shipped to San Diego and Santa Barbara by the evening train",
		"Will Call at the desk today", "April Showers came early", `{"name":"Emma Original","size":"large","kind":"mattress"}`} {
		if got := d.String(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}
