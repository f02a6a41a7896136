package approval

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"sallyport/internal/access"
	"sallyport/internal/glyph"
)

// Note is something that a reviewer may want to look at twice. Notes are computed from what is stored of a request and of others
// like it, the same each time; they never allow anything.
type Note struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
	// Serious says that somebody may be steering the requester.
	Serious bool `json:"serious,omitempty"`
}

// The kinds of notes.
const (
	NoteNoReason    = "no-reason"   // nothing was claimed
	NoteNamesOther  = "names-other" // the reason names nothing that the statement touches
	NoteBoilerplate = "boilerplate" // the same reason stood in front of other statements
	NoteReadReason  = "read-reason" // the reason speaks of reading, the statement writes
	NoteOverlap     = "overlap"     // the statement repeats text that rows of the same task held
	NoteDrift       = "drift"       // it touches what neither the task's goal nor its statements so far were about
	NoteGlass       = "glass"       // nobody was asked
	NoteAllRows     = "all-rows"    // it writes without a condition
	NoteLong        = "long"        // a part of it pushes what comes after it out of sight
	NoteData        = "data"        // it stores rows that are sent once it is approved
	NoteUnseen      = "unseen"      // it has characters that are drawn as blanks, or not at all
)

// Notes looks at a request beside others of the same asker, which may hold r itself.
func Notes(r *Request, others []*Request) []Note {
	var out []Note
	note := func(kind, format string, args ...any) {
		out = append(out, Note{Kind: kind, Text: fmt.Sprintf(format, args...), Serious: kind == NoteOverlap})
	}
	s := &r.Subject
	if r.Glass != nil {
		note(NoteGlass, "this ran without anybody having been asked")
	}
	if len(s.Overlap) > 0 {
		note(NoteOverlap, "the request repeats text that stood in rows of the same task (%s): what is stored there may have told the agent what to do", quoted(s.Overlap))
	}
	if s.EveryRow {
		note(NoteAllRows, "it changes or removes rows without a condition that looks at them")
	}
	if s.CopyIn {
		note(NoteData, "it stores rows that are sent after it is approved: nobody has seen which, nor how many")
	}
	if lines := breaks(r.Binding.SQL); lines > mostBreaks {
		note(NoteLong, "%d of its lines are empty or within a constant: read on to its end, for what stands there is part of it too", lines)
	}
	if odd := unseen(append([]string{r.Binding.SQL}, Texts(r.Binding.Params)...)); odd != "" {
		note(NoteUnseen, "it has characters that are drawn as blanks or not at all (%s): a name with one is another name", odd)
	}
	reason := words(s.Reason)
	touched := touchedWords(s)
	switch {
	case len(reason) == 0:
		note(NoteNoReason, "no reason was given")
	case len(touched) > 0 && !meet(reason, touched):
		note(NoteNamesOther, "the reason names nothing that the statement touches")
	}
	if (s.Class == access.ClassWrite || s.Class == access.ClassDDL) && meet(reason, readWords) && !meet(reason, writeWords) {
		note(NoteReadReason, "the reason speaks of reading, and the statement writes")
	}
	if n := sameReason(r, others); n > 0 {
		note(NoteBoilerplate, "the same reason was given for %d other statements", n)
	}
	if goal := words(s.Goal); len(goal) > 0 && len(touched) > 0 && !meet(goal, touched) && !slices.ContainsFunc(s.Relations, func(use string) bool { return slices.Contains(s.Earlier, relationOf(use)) }) {
		note(NoteDrift, "neither the task's goal nor what it has touched so far is about this")
	}
	return out
}

// mostBreaks is how many lines without anything to read a statement may have.
const mostBreaks = 20

// breaks counts the lines of a statement on which nothing of it begins: empty ones, and those within constants.
func breaks(sql string) int {
	n, quoted := 0, false
	for line := range strings.SplitSeq(sql, "\n") {
		if quoted || strings.TrimSpace(line) == "" {
			n++
		}
		quoted = quoted != (strings.Count(line, "'")%2 == 1)
	}
	return n
}

// unseen names the characters of texts that cannot be seen as themselves, but for line breaks and tabs.
func unseen(texts []string) string {
	var out []string
	for _, text := range texts {
		for _, c := range text {
			name := fmt.Sprintf("U+%04X", c)
			if c != '\n' && c != '\r' && c != '\t' && !glyph.Drawn(c) && !slices.Contains(out, name) {
				if out = append(out, name); len(out) == 5 {
					return strings.Join(out, ", ") + " and more"
				}
			}
		}
	}
	return strings.Join(out, ", ")
}

// sameReason counts other statements with the very same reason.
func sameReason(r *Request, others []*Request) int {
	n, reason := 0, strings.Join(words(r.Subject.Reason), " ")
	if reason == "" {
		return 0
	}
	seen := map[string]bool{r.Binding.SQL: true}
	for _, o := range others {
		if o.Binding.Principal == r.Binding.Principal && !seen[o.Binding.SQL] && strings.Join(words(o.Subject.Reason), " ") == reason {
			seen[o.Binding.SQL] = true
			n++
		}
	}
	return n
}

// touchedWords are the words in the names of what a statement touches.
func touchedWords(s *Subject) []string {
	var out []string
	for _, use := range s.Relations {
		_, name, _ := strings.Cut(relationOf(use), ".")
		out = append(out, words(name)...)
	}
	for _, l := range s.Labels {
		out = append(out, words(string(l))...)
	}
	for _, c := range s.Columns {
		out = append(out, words(c)...)
	}
	return out
}

// relationOf takes what is done to a relation off "update public.customers".
func relationOf(use string) string {
	if _, name, ok := strings.Cut(use, " "); ok {
		return name
	}
	return use
}

var (
	readWords  = words("look looked see check count list show find read report analyse analyze view verify compare inspect investigate export summarise summarize")
	writeWords = words("update fix set change delete remove insert add correct migrate backfill rename merge close cancel archive restore clean purge write create drop " +
		"replace edit move reset assign repair refund mark store save import load truncate alter anonymise anonymize")
)

// words are the words of a text in small letters, those of identifiers told apart, without their plural.
func words(text string) []string {
	var spaced strings.Builder
	lower := false
	for _, r := range text {
		if unicode.IsUpper(r) && lower {
			spaced.WriteByte(' ')
		}
		lower = unicode.IsLower(r)
		spaced.WriteRune(unicode.ToLower(r))
	}
	fields := strings.FieldsFunc(spaced.String(), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for i, w := range fields {
		switch {
		case len(w) > 4 && strings.HasSuffix(w, "ies"):
			fields[i] = w[:len(w)-3] + "y"
		case len(w) > 3 && strings.HasSuffix(w, "s") && !strings.HasSuffix(w, "ss"):
			fields[i] = w[:len(w)-1]
		}
	}
	return fields
}

func meet(a, b []string) bool {
	return slices.ContainsFunc(a, func(w string) bool { return len(w) > 1 && slices.Contains(b, w) })
}

func quoted(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = fmt.Sprintf("%q", s)
	}
	return strings.Join(out, ", ")
}

// Similar picks from others, the newest first, those that are like r: the same form, or the same things done to the same relations.
func Similar(r *Request, others []*Request, most int) []*Request {
	var out []*Request
	for _, o := range others {
		if o.ID == r.ID || o.Binding.Connection != r.Binding.Connection || len(out) >= most {
			continue
		}
		sameForm := r.Subject.Fingerprint != "" && o.Subject.Fingerprint == r.Subject.Fingerprint
		if sameForm || len(r.Subject.Relations) > 0 && slices.Equal(sorted(o.Subject.Relations), sorted(r.Subject.Relations)) {
			out = append(out, o)
		}
	}
	return out
}

func sorted(list []string) []string {
	out := slices.Clone(list)
	slices.Sort(out)
	return out
}
