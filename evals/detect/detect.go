// Package detect measures what the detectors find in texts whose personal data others have marked, what
// they hide in everyday SQL, and how fast they read.
//
// It is the one eval that calls its subject directly, for what it measures is a function. A marked span is
// found when at least half of its characters are hidden, whatever it is taken for; a finding is right when
// at least half of it lies in marked spans. Spans of one kind that touch are one span, for the corpus
// marks the lines of an address one by one. F2 weighs recall four times as much as precision, as in the
// figures that Presidio publishes (0.661 as it comes, 0.903 tuned); those are of another matching and of
// the whole corpus, and no more than a neighbour.
package detect

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"

	"sallyport/evals/harness"
	"sallyport/evals/results"
	"sallyport/mask"
)

// claimed are the corpus's entities that the detectors are meant to find, with what they call them. The
// others (places, organisations, ages, titles, dates of no birth) are read as text.
var claimed = map[string]string{
	"EMAIL_ADDRESS": "email", "PHONE_NUMBER": "phone", "CREDIT_CARD": "card", "IBAN_CODE": "iban", "US_SSN": "ssn", "IP_ADDRESS": "ip",
	"PERSON": "name", "STREET_ADDRESS": "address",
}

// births tells that a date is one of birth.
var births = regexp.MustCompile(`(?i)\b(born on|date of birth)\b[^.]*(\. It's )?$`)

type span struct {
	kind       string
	start, end int // bytes
}

type document struct {
	text  string
	spans []span
}

// Main measures and records.
func Main() error {
	corpora, err := harness.Corpora()
	if err != nil {
		return err
	}
	path := filepath.Join(corpora, "pii", "synth_dev.json")
	docs, err := read(path)
	if err != nil {
		return err
	}
	corpus, err := harness.Hash("pii/synth_dev.json", path)
	if err != nil {
		return err
	}
	figures := score(docs)
	for i := range figures {
		figures[i].Corpus = corpus
	}
	strangers, err := everyday(corpora)
	if err != nil {
		return err
	}
	figures = append(figures, strangers)
	hidden, err := business()
	if err != nil {
		return err
	}
	figures = append(figures, hidden...)
	types, err := typing(corpora)
	if err != nil {
		return err
	}
	figures = append(figures, types...)
	figures = append(figures, speed(docs)...)
	for i := range figures {
		figures[i].Command = "go run ./evals/cmd/detect"
	}
	return results.Check(figures...)
}

// read gives the texts with their spans in bytes.
func read(path string) ([]document, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var raw []struct {
		Text  string `json:"full_text"`
		Spans []struct {
			Type  string `json:"entity_type"`
			Start int    `json:"start_position"` // in characters
			End   int    `json:"end_position"`
		} `json:"spans"`
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var docs []document
	for _, r := range raw {
		at := make([]int, 0, len(r.Text)+1) // where each character begins
		for i := range r.Text {
			at = append(at, i)
		}
		at = append(at, len(r.Text))
		doc := document{text: r.Text}
		sort.Slice(r.Spans, func(i, j int) bool { return r.Spans[i].Start < r.Spans[j].Start })
		for _, s := range r.Spans {
			kind := claimed[s.Type]
			if s.Type == "DATE_TIME" && births.MatchString(r.Text[:at[s.Start]]) {
				kind = "birth"
			}
			if kind == "" {
				continue
			}
			next := span{kind, at[s.Start], at[s.End]}
			if n := len(doc.spans); n > 0 && doc.spans[n-1].kind == kind && strings.Trim(r.Text[doc.spans[n-1].end:next.start], " \n,>?") == "" {
				doc.spans[n-1].end = next.end
				continue
			}
			doc.spans = append(doc.spans, next)
		}
		docs = append(docs, doc)
	}
	if len(docs) == 0 {
		return nil, errors.New("no texts in " + path)
	}
	return docs, nil
}

// tally counts spans and findings of one kind.
type tally struct{ spans, found, findings, right int }

func score(docs []document) []results.Figure {
	d := mask.NewDetector()
	kinds := map[string]*tally{}
	of := func(kind string) *tally {
		if kinds[kind] == nil {
			kinds[kind] = &tally{}
		}
		return kinds[kind]
	}
	for _, doc := range docs {
		findings := d.Find(nil, []byte(doc.text))
		for _, s := range doc.spans {
			hidden := 0
			for _, f := range findings {
				hidden += max(0, min(s.end, f.End)-max(s.start, f.Start))
			}
			for _, t := range []*tally{of(s.kind), of("overall")} {
				t.spans++
				if 2*hidden >= s.end-s.start {
					t.found++
				}
			}
		}
		for _, f := range findings {
			marked := 0
			for _, s := range doc.spans {
				marked += max(0, min(s.end, f.End)-max(s.start, f.Start))
			}
			for _, t := range []*tally{of(f.Kind), of("overall")} {
				t.findings++
				if 2*marked >= f.End-f.Start {
					t.right++
				}
			}
		}
	}
	var names []string
	for k := range kinds {
		names = append(names, k)
	}
	slices.Sort(names)
	var out []results.Figure
	for _, k := range names {
		t := kinds[k]
		recall := results.Share("detect."+k+".recall", t.found, t.spans)
		recall.Note = "marked spans of which at least half is hidden"
		precision := results.Share("detect."+k+".precision", t.right, t.findings)
		precision.Note = "findings of which at least half is marked"
		if t.spans > 0 {
			out = append(out, recall)
		}
		if t.findings > 0 {
			out = append(out, precision)
		}
		if p, r := precision.Value, recall.Value; t.spans > 0 && t.findings > 0 && p+r > 0 {
			out = append(out, results.Figure{Name: "detect." + k + ".f2", Value: 5 * p * r / (4*p + r), Unit: "F2", N: t.spans, Note: "of precision and recall above"})
		}
	}
	return out
}

// everyday counts findings in the questions and statements of BIRD and defog, and in defog's data: text
// that is hardly anybody's.
func everyday(corpora string) (results.Figure, error) {
	d := mask.NewDetector()
	dir := filepath.Join(corpora, "sql")
	var files []string
	for _, pattern := range []string{"bird/*.json", "defog/*.csv"} {
		list, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return results.Figure{}, err
		}
		files = append(files, list...)
	}
	if len(files) == 0 {
		return results.Figure{}, errors.New("no statements in " + dir)
	}
	out, err := harness.Out("detect")
	if err != nil {
		return results.Figure{}, err
	}
	var list strings.Builder
	size, n := 0, 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return results.Figure{}, err
		}
		size += len(b)
		for _, x := range d.Find(nil, b) {
			n++
			fmt.Fprintf(&list, "%s\t%s\t%q\n", filepath.Base(f), x.Kind, b[max(0, x.Start-30):x.End])
		}
	}
	if err := os.WriteFile(filepath.Join(out, "everyday.tsv"), []byte(list.String()), 0o644); err != nil {
		return results.Figure{}, err
	}
	f := results.Count("detect.everyday.findings", n, size)
	f.Corpus, err = harness.Hash("sql", dir)
	f.Note = "findings in the questions and statements of BIRD and defog, most of them people whom those are about; n is their size in bytes"
	return f, err
}
