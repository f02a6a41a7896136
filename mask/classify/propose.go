package classify

import (
	"fmt"
	"math"
	"strings"

	"sallyport/mask"
)

// Kind is what sort of values a column's type has.
type Kind uint8

const (
	Other    Kind = iota // nothing is known of its values: name and comment decide
	Text                 // words: text and its like, arrays of them
	Document             // JSON and XML
	Number
	Date     // date, timestamp
	Network  // inet, cidr
	Hardware // macaddr
	Place    // point, geography
	Boolean
)

// Column is what the catalog knows.
type Column struct {
	Table, Name, Comment string
	Kind                 Kind
}

// Sample are values in text form. Rows is how many rows were looked at, of which len(Values) were not NULL.
type Sample struct {
	Rows    int
	Values  []string
	Skipped string // why nothing was read, or ""
}

// Proposal is a label with the reason for it. An empty Label says that nothing was found.
type Proposal struct {
	Label      string
	Confidence float64 // from 0 to 1, that this is right
	Why        string  // in words and counts, without any value
}

// enough is how many values it takes to contradict a name.
const enough = 10

// Propose proposes what a column holds.
func Propose(d *mask.Detector, c Column, s Sample) Proposal {
	name, named := readName(c.Table, c.Name)
	comment, told := readComment(c.Comment)
	if c.Kind == Boolean {
		return Proposal{Confidence: 0.97, Why: "true or false"}
	}
	t := count(d, s.Values, c.Kind == Document || isDocument(s.Values))
	e := evidence{column: c, sample: s, tally: t, score: map[string]float64{}}
	e.values()
	if c.Kind == Text {
		e.together(d)
	}
	if c.Kind == Network {
		e.add(IP, 0.6, "the type is one of network addresses")
	}
	if c.Kind == Hardware {
		e.add(Device, 0.8, "the type is one of hardware addresses")
	}
	if c.Kind == Place {
		e.add(Location, 0.5, "the type is one of places")
	}
	if named {
		e.claimed(name, "name")
	}
	if told && !(named && comment.label == name.label) {
		e.claimed(comment, "comment")
	}
	return e.verdict()
}

// evidence adds up what speaks for each label.
type evidence struct {
	column Column
	sample Sample
	tally  tally
	score  map[string]float64 // how likely each label is
	why    []string
}

// add takes evidence for independent of what is there: two reasons of 0.8 make 0.96.
func (e *evidence) add(label string, p float64, why string) {
	e.score[label] = 1 - (1-e.score[label])*(1-p)
	e.why = append(e.why, why)
}

// values says what the detectors found.
func (e *evidence) values() {
	t := e.tally
	if label, n := most(t.whole); n > 0 {
		share := float64(n) / float64(t.n)
		why := fmt.Sprintf("%d of %d values are %s", n, t.n, noun(label))
		switch {
		case e.column.Kind == Number && share < 0.6: // a number now and then has the right check digits by chance
		case share >= 0.6 && t.n >= 5:
			e.add(label, 0.75+0.2*share, why)
		case share >= 0.05 || n >= 3:
			e.add(label, 0.45+0.4*share, why)
		}
	}
	if label, n := most(t.within); n > 0 && (e.column.Kind == Text || e.column.Kind == Document) {
		share := float64(t.inside) / float64(t.n)
		e.add(FreeText, math.Min(0.9, 0.55+share), fmt.Sprintf("%d of %d values hold personal data among other words, mostly %s", t.inside, t.n, noun(label)))
	}
}

// together says what the values are when they are looked at as one column, where that is more than what the detectors say of
// each by itself: names and dates of birth mean nothing alone.
func (e *evidence) together(d *mask.Detector) {
	values := make([][]byte, 0, len(e.sample.Values))
	for _, v := range e.sample.Values {
		if v = strings.TrimSpace(v); v != "" {
			values = append(values, []byte(v))
		}
	}
	if len(values) < enough {
		return
	}
	if n := genders(e.sample.Values); n > 0 {
		e.add(Gender, 0.85, fmt.Sprintf("%d of %d values are words for men and women", n, len(values)))
		return
	}
	kind, share := d.Column("", values)
	label := kinds[kind]
	if label == "" || e.score[label] >= 0.75 { // each by itself says so
		return
	}
	if label == Name && ofThings(e.column.Table) && !ofPeople(e.column.Table) { // brands and works are called like people
		return
	}
	e.add(label, 0.65+0.25*share, fmt.Sprintf("together the values are those of a column of %s (%d of %d have the form)", noun(label), int(share*float64(len(values))+0.5), len(values)))
}

// claimed weighs what the name or the comment says against the values.
func (e *evidence) claimed(c claim, where string) {
	if !possible(e.column.Kind, c.label) {
		e.why = append(e.why, fmt.Sprintf("the %s has the word %q, which the type rules out", where, c.word))
		return
	}
	p, says := 0.8, "says"
	switch {
	case !c.clear && ofPeople(e.column.Table):
		p, says = 0.6, "may say"
	case !c.clear:
		p, says = 0.3, "may say"
	}
	if where == "comment" {
		p -= 0.15
	}
	why := fmt.Sprintf("the %s %s so (%q)", where, says, c.word)
	if n, ok := fit(c.label, e.sample.Values, e.tally); ok && e.tally.n > 0 && e.column.Kind != Date {
		share := float64(n) / float64(e.tally.n)
		switch {
		case share >= 0.6:
			p = 1 - (1-p)*0.6
			why += fmt.Sprintf(", and %d of %d values have the form", n, e.tally.n)
		case share < 0.1 && e.tally.n >= enough:
			e.why = append(e.why, fmt.Sprintf("the %s has the word %q, but %d of %d values have the form of %s", where, c.word, n, e.tally.n, noun(c.label)))
			return
		}
	}
	e.add(c.label, p, why)
}

// possible tells whether values of a type can be what a label says.
func possible(k Kind, label string) bool {
	switch k {
	case Date:
		return label == Birth
	case Network:
		return label == IP
	case Hardware:
		return label == Device
	case Place:
		return label == Location || label == Address
	case Number:
		switch label {
		case Email, Name, IP, Gender, Username, Biometric:
			return false
		}
	}
	return true
}

// verdict takes the likeliest label, if it is likely at all.
func (e *evidence) verdict() Proposal {
	best, p := "", 0.0
	for l, s := range e.score {
		if s > p || s == p && l < best {
			best, p = l, s
		}
	}
	seen := e.seen()
	if p < 0.5 {
		// The more was looked at, the surer: an empty table says nothing.
		sure := 0.6
		if e.tally.n >= enough {
			sure = 0.85
		}
		if e.column.Kind == Text || e.column.Kind == Document {
			sure -= 0.15
		}
		return Proposal{Confidence: round(math.Min(sure, 1-p)), Why: join(append(e.why, "nothing else speaks for personal data", seen)...)}
	}
	return Proposal{Label: best, Confidence: round(math.Min(p, 0.99)), Why: join(append(e.why, seen)...)}
}

// seen says what was looked at.
func (e *evidence) seen() string {
	switch {
	case e.sample.Skipped != "":
		return "values not read: " + e.sample.Skipped
	case e.sample.Rows == 0:
		return "there is no row yet"
	case len(e.sample.Values) == 0:
		return fmt.Sprintf("all of %d sampled rows are NULL", e.sample.Rows)
	}
	return fmt.Sprintf("%d values in %d sampled rows", e.tally.n, e.sample.Rows)
}

func round(p float64) float64 { return math.Round(p*100) / 100 }

func join(parts ...string) string { return strings.Join(parts, "; ") }
