package detect

import (
	"encoding/csv"
	"os"
	"path/filepath"

	"sallyport/evals/harness"
	"sallyport/evals/results"
	"sallyport/mask"
)

// columns are those of pii/people_dev.csv that hold what the detectors are meant to know. The others are nothing.
var columns = map[string]string{
	"GivenName": "name", "Surname": "name", "MothersMaiden": "name", "StreetAddress": "address", "EmailAddress": "email",
	"TelephoneNumber": "phone", "Birthday": "birth", "NationalID": "id",
}

const sample = 50 // values of a column that are looked at together

// typing asks what each column of each sample of people holds: with its name, without one, and with another column's.
func typing(corpora string) ([]results.Figure, error) {
	path := filepath.Join(corpora, "pii", "people_dev.csv")
	corpus, err := harness.Hash("pii/people_dev.csv", path)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, err
	}
	head, rows := rows[0], rows[1:]
	head[0] = "Number" // after a byte order mark
	var out []results.Figure
	for _, way := range []struct {
		name, note string
		label      func(i int) string
	}{
		{"kept", "with the columns' names", func(i int) string { return head[i] }},
		{"removed", "without names", func(int) string { return "" }},
		{"misleading", "each column under the name of the one seven on", func(i int) string { return head[(i+7)%len(head)] }},
	} {
		f1, n := macro(head, rows, way.label)
		out = append(out, results.Figure{Name: "detect.typing." + way.name + ".macro_f1", Value: f1, Unit: "F1", N: n, Corpus: corpus,
			Note: "mean F1 of name, address, email, phone, birth, id and nothing over samples of 50 values, " + way.note})
	}
	return out, nil
}

// macro is the mean F1 over kinds, nothing among them, and how many samples there were.
func macro(head []string, rows [][]string, label func(int) string) (float64, int) {
	d := mask.NewDetector()
	type count struct{ right, wrong, missed int }
	counts, n := map[string]*count{"": {}}, 0
	for _, kind := range columns {
		counts[kind] = &count{}
	}
	for at := 0; at < len(rows); at += sample {
		for i, h := range head {
			var values [][]byte
			for _, r := range rows[at:min(len(rows), at+sample)] {
				if r[i] != "" {
					values = append(values, []byte(r[i]))
				}
			}
			if len(values) == 0 {
				continue
			}
			n++
			want := columns[h]
			got, _ := d.Column(label(i), values)
			switch {
			case got == want:
				counts[want].right++
				continue
			case counts[got] == nil: // a kind that no column is of
				counts[got] = &count{}
			}
			counts[got].wrong++
			counts[want].missed++
		}
	}
	sum, kinds := 0.0, 0
	for _, c := range counts {
		if c.right+c.missed == 0 {
			continue
		}
		kinds++
		sum += 2 * float64(c.right) / float64(2*c.right+c.wrong+c.missed)
	}
	return sum / float64(kinds), n
}
