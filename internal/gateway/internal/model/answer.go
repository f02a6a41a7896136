package model

import (
	"cmp"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Span is what the recogniser found: bytes Start to End of a text, and what they are, in small letters.
type Span struct {
	Start, End int
	Kind       string
}

// found is a finding as it comes: places are counted in characters (code points). What is not there is nil.
type found struct {
	Kind  string   `json:"entity_type"`
	Start *int     `json:"start"`
	End   *int     `json:"end"`
	Score *float64 `json:"score"`
}

var (
	errForm  = errors.New("its answer is not a list of findings for each text")
	errCount = errors.New("it answered about another number of texts")
	errSpan  = errors.New("its answer has a finding without kind, score or place in the text")
	kindForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,39}$`)
)

// read takes an answer about texts.
func (c *Client) read(answer []byte, texts []string) ([][]Span, error) {
	var all [][]found
	if json.Unmarshal(answer, &all) != nil { // its error may quote a text
		return nil, errForm
	}
	if len(all) != len(texts) {
		return nil, errCount
	}
	out := make([][]Span, len(texts))
	for i, list := range all {
		if list == nil {
			return nil, errForm
		}
		var err error
		if out[i], err = c.spans(list, texts[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// spans puts the findings in a text in order, counted in bytes; of those that overlap it makes one.
func (c *Client) spans(list []found, text string) ([]Span, error) {
	at := offsets(text)
	var out []Span
	for _, f := range list {
		if f.Start == nil || f.End == nil || f.Score == nil || *f.Start < 0 || *f.Start >= *f.End || *f.End >= len(at) || !kindForm.MatchString(f.Kind) {
			return nil, errSpan
		}
		if *f.Score >= c.options.MinScore {
			out = append(out, Span{at[*f.Start], at[*f.End], strings.ToLower(f.Kind)})
		}
	}
	slices.SortStableFunc(out, func(a, b Span) int { return cmp.Compare(a.Start, b.Start) })
	kept := out[:0]
	for _, s := range out {
		if n := len(kept); n > 0 && s.Start < kept[n-1].End {
			kept[n-1].End = max(kept[n-1].End, s.End)
			continue
		}
		kept = append(kept, s)
	}
	return kept, nil
}

// offsets gives where each character of a text begins, and where the text ends.
func offsets(text string) []int {
	at := make([]int, 0, utf8.RuneCountInString(text)+1)
	for i := range text {
		at = append(at, i)
	}
	return append(at, len(text))
}
