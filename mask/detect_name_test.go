package mask

import "testing"

func TestDetectorFindsNamesAndAddresses(t *testing.T) {
	d := NewDetector()
	for text, want := range map[string]string{
		"Mr. Leiva flew to Rome":                                              "Mr. [name] flew to Rome",
		"My name is Martin. Thanks":                                           "My name is [name]. Thanks",
		"Hi Sarah, are you in?":                                               "Hi [name], are you in?",
		"ask Jane K. Doe about it":                                            "ask [name] about it",
		"Ludwig and Anna van der Berg came":                                   "[name] came",
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

func TestDetectorLeavesPartsOfIdsAlone(t *testing.T) {
	d := NewDetector()
	for _, text := range []string{"f25034ef-feda-82b6-a553-f023580eb1e6", `{"card": f25034ef-feda-82b6-a553-f023580eb1e6, "x": 1}`, "call anna-2 about it", "node-anna-east said hello"} {
		if got := d.String(text); got != text {
			t.Errorf("%q became %q", text, got)
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

func TestDetectorKnowsNamesByWhatStandsAround(t *testing.T) {
	d := NewDetector()
	for text, want := range map[string]string{
		"Name:    Abby M. Laidlaw\nCity: Hull":              "Name:    [name]\nCity: Hull",
		"Nachname: Kadiev":                                  "Nachname: [name]",
		"What's your last name? Turgeon":                    "What's your last name? [name]",
		"Bot: who is it? User: Šárka Ottová":                "Bot: who is it? User: [name]",
		"Ágnes Földesy came by":                             "[name] came by",
		"we saw Tom I. Holzman there":                       "we saw [name] there",
		"Torpy and Wilson were late":                        "[name] were late",
		"there were Gaetane, Hannah, Derek, Zoltan and Ann": "there were [name]",
		"Alvir spent a year abroad":                         "[name] spent a year abroad",
		"Lena Wirth\nTeacher\nHull":                         "[name]\nTeacher\nHull",
		"> Lena Wirth\n> Teacher":                           "> [name]\n> Teacher",
		"Maika van de Noort\nTeacher":                       "[name]\nTeacher",
		"Zargan's killers are out":                          "[name]'s killers are out",
		"it fell, says Cettina Fanucci":                     "it fell, says [name]",
		"thanks\nVelda":                                     "thanks\n[name]",
		"his brother Hleb Usamov":                           "his brother [name]",
		"my name is vitoria":                                "my name is [name]",
		"olga krylova called about the door":                "[name] called about the door",
		"they had 4: silvana, adam, kristina and caleb.":    "they had 4: [name].",
		"PLEASE CALL OLGA KRYLOVA ABOUT THE DOOR":           "PLEASE CALL [name] ABOUT THE DOOR",
	} {
		if got := d.String(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func TestDetectorKnowsThingsByWhatStandsAround(t *testing.T) {
	d := NewDetector()
	for _, text := range []string{"The Emma Original Mattress was left at the gate", "the Jack Daniel's was left at the gate", "Marks and Spencer delivers on weekdays", "Emma Original was left at the gate",
		"Paris, Madison, Jackson and Austin", "To: Sales Team", "User: Admin", "Black and White are colours", "a tool called Docker", "placed two orders", "DE ORDER 12 IS CLOSED", "Google announced it",
		"The Oliver Twist\nof 1838", "Santa Barbara is a town", "we came from San Bruno by train", "mail hans.meier@"} {
		if got := d.String(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestDetectorKnowsAddresses(t *testing.T) {
	d := NewDetector()
	for text, want := range map[string]string{
		"at PSC 0413, Box 8144\nAPO AA 42323":                              "at [address]",
		"at Unit 1293 Box 4311\nDPO AE 01708":                              "at [address]",
		"at USNS Saibara\nFPO AP 12428":                                    "at [address]",
		"write to P.O. Box 104 please":                                     "write to [address] please",
		"Postfach 1204, 10969 Berlin":                                      "[address] Berlin",
		"in Villacher Strasse 89":                                          "in [address]",
		"Király u. 15.\nLyss 50662":                                        "[address]",
		"2274 Via delle Coste 41\n Apt. 322":                               "[address]",
		"9243 Avenue d'Ouchy 109 Apt. 758, Spain 49079":                    "[address]",
		"we meet there, 641 Dašická 688, Turkovice":                        "we meet there, [address], Turkovice",
		"?? 4923 Parmova 109\n?? Suite 380\n?? Maribor\n?? Slovenia 82709": "?? [address]",
		"our office is at Pod Floriánem 1677":                              "our office is at [address]",
		"on the corner of 35 Pentelis Str. and Waechter Turnpike":          "on the corner of [address]",
		"at 3747 3911 fourth avenue suite 112":                             "at [address]",
		"0269 Stensås terrasse 38\n Suite 621\n ARENDAL\n Norway":          "[address]",
		"at 12 Old Mill Crossing, Hull, Canada":                            "at [address]",
	} {
		if got := d.String(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
	for _, text := range []string{"Booked Suite 279 for two", "order 40 for use of Suite 5", "on Windows 10", "on 12 Januar 2024, in time", "3 Honda 2019", "see Box 12", "Python 3, Ruby 4", "Investigate 5 issues",
		"our office is at Gate 12", "in AE 12345"} {
		if got := d.String(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}
