package audit

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"sallyport/audit/internal/trace"
	"sallyport/internal/access"
)

// subject is somebody whom records may speak of, by an identifier.
type subject struct {
	text []byte                // in small letters
	tags map[string]personLeaf // of records from which it was taken out
}

// subjectOf is for the log in dir; nobody is named by "".
func subjectOf(dir, person string) (*subject, error) {
	if person == "" {
		return new(subject), nil
	}
	tags, err := tagsOf(dir, person)
	return &subject{[]byte(strings.ToLower(person)), tags}, err
}

func (s *subject) named() bool { return len(s.text) > 0 }

// in is whether a record holds the identifier.
func (s *subject) in(rec *access.Record) bool {
	words, further := trace.ReviewTexts(rec)
	for _, text := range slices.Concat([]string{rec.SQL, rec.Reason, rec.Goal, rec.Ticket, rec.Error, rec.Hint, rec.Principal, rec.Actor, rec.Client}, rec.Behind, trace.ProofTexts(rec), rec.Params, words, further) {
		if bytes.Contains(bytes.ToLower([]byte(text)), s.text) {
			return true
		}
	}
	var scope access.Scope
	if len(rec.Scope) > 0 && json.Unmarshal(rec.Scope, &scope) == nil && bytes.Contains(bytes.ToLower([]byte(scope.Person)), s.text) {
		return true
	}
	return bytes.Contains(bytes.ToLower(rec.Result), s.text)
}

// tagsIn gives the tags of the identifier that a record has.
func (s *subject) tagsIn(rec *access.Record) (out []string) {
	for _, tag := range rec.Persons {
		if _, ok := s.tags[tag]; ok {
			out = append(out, tag)
		}
	}
	return out
}
