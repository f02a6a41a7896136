package gateway

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"sallyport/internal/access"
	"sallyport/internal/gateway/internal/upstream"
	"sallyport/internal/pgframe"
)

// Whatever the server says beside rows may hold data too: a failed cast prints the whole value, a
// ParameterStatus what set_config was given, a notification what a trigger chose. For a principal who sees
// columns masked all of it goes through here.

// hides reports whether messages that belong to no statement have to be filtered.
func (s *Session) hides() bool {
	sc := s.scope
	if sc == nil || sc.policies != s.gw.policies.Load() {
		sc = s.gw.scope(s.db, s.db.snap.Load(), s.gw.policies.Load(), s.principal, s.door, s.path, s.pathID, s.reason)
	}
	return sc.masked
}

// asked is what the client wrote of the statement that a message belongs to; nil where it is not bound yet,
// so that there is nothing but its own words to print.
func (s *Session) asked(o *owed) []string {
	switch {
	case o.runs > 0, o.kind == 'B' && o.hidden:
		r := &s.runs[o.run]
		return append([]string{r.sql}, r.params...)
	case o.kind == 'B':
		if p := s.portals[o.undo.name]; p != nil {
			return append([]string{p.sql()}, p.params...)
		}
	}
	return nil
}

// wordless are the classes of SQLSTATE, and the codes, whose primary text names what is in the catalog and
// has no place for a value (DETAIL has, and is dropped).
var wordless = []string{"08", "23", "25", "26", "34", "40", "53", "54", "55", "57", "42702", "42803"}

// hideValues takes what a masked principal may not read out of an error or notice: quoted text that the
// client did not write itself, for it comes out of a table, and what the detectors find in the rest.
func (s *Session) hideValues(fields []pgframe.Field, asked []string) {
	code := field(fields, 'C')
	quotes := asked != nil
	for _, c := range wordless {
		quotes = quotes && !strings.HasPrefix(code, c)
	}
	for i := range fields {
		f := &fields[i]
		switch f.Code {
		case 'S', 'V', 'C', 'P', 'F', 'L', 'R':
			continue // the server's own words and numbers
		case 'M', 'H':
			if quotes {
				f.Value = hideQuoted(f.Value, asked)
			}
		}
		f.Value = s.gw.detector.String(f.Value)
	}
}

// quoteMarks are what PostgreSQL's translations of its messages put around a value.
const quoteMarks = "\"«»„“”‹›「」"

// settingName is the beginning of an error about the value of a setting.
var settingName = regexp.MustCompile(`^invalid value for parameter "[A-Za-z0-9_.]+": `)

// hideQuoted takes the quoted parts out of a message, unless the client wrote each of them. Values are not
// escaped in messages and may hold quotes, so all from the first mark to the last goes.
func hideQuoted(message string, asked []string) string {
	head := settingName.FindString(message)
	text := message[len(head):]
	first := strings.IndexAny(text, quoteMarks)
	if first < 0 {
		return message
	}
	last := strings.LastIndexAny(text, quoteMarks)
	if strings.HasSuffix(text, `""`) && first == len(text)-2 || written(text, asked) {
		return message // an empty value, or nothing new
	}
	if last == first {
		return head + text[:first] + `"..."` // cut in the middle of a value
	}
	_, size := utf8.DecodeRuneInString(text[last:])
	return head + text[:first] + `"..."` + text[last+size:]
}

// written reports whether the client wrote each quoted part of a text. Where quotes do not pair up, nobody
// can say what is a part.
func written(text string, asked []string) bool {
	parts := strings.FieldsFunc("\x00"+text+"\x00", func(r rune) bool { return strings.ContainsRune(quoteMarks, r) })
	if len(parts)%2 == 0 {
		return false
	}
next:
	for i := 1; i < len(parts); i += 2 {
		part := strings.ToLower(parts[i])
		for _, a := range asked {
			if strings.Contains(strings.ToLower(a), part) {
				continue next
			}
		}
		return false
	}
	return true
}

// status takes a ParameterStatus. A change of what is pinned would change how the same bytes are read.
func (s *Session) status(f pgframe.Frame) error {
	out, err := s.statusFrame(f, s.hides())
	s.held = append(s.held, out...)
	return err
}

func (s *Session) statusFrame(f pgframe.Frame, hides bool) ([]byte, error) {
	name, rest, _ := pgframe.CString(f.Body())
	value, _, _ := pgframe.CString(rest)
	if want, ok := upstream.Pinned[name]; ok && value != want {
		return nil, &access.Error{Kind: access.Unsupported, Code: "0A000",
			Message: "the database changed " + name + ": the session ends", Hint: "it has to stay " + want}
	}
	if !hides {
		return f.Raw, nil
	}
	out, at := pgframe.Begin(nil, 'S')
	out = pgframe.AppendCString(pgframe.AppendCString(out, name), s.gw.detector.String(value))
	return pgframe.End(out, at), nil
}

// notification takes a NotificationResponse.
func (s *Session) notification(f pgframe.Frame) {
	s.held = append(s.held, notificationFrame(f, s.hides())...)
}

// notificationFrame leaves the payload out where columns are masked: a trigger may have put a whole row into
// it, and detectors know nothing of labels. That something happened, on a channel that the listener named
// itself, is left.
func notificationFrame(f pgframe.Frame, hides bool) []byte {
	if !hides {
		return f.Raw
	}
	body := f.Body()
	if len(body) < 4 {
		return nil
	}
	channel, _, _ := pgframe.CString(body[4:])
	out, at := pgframe.Begin(nil, 'A')
	out = pgframe.AppendCString(append(out, body[:4]...), channel)
	return pgframe.End(append(out, 0), at)
}

// idleServer stands for "the server itself" where messages must be filtered: nobody's code runs while a
// session is idle.
var idleServer = &plan{facts: &access.Facts{}, masked: true, shared: true, original: true}

// idleFilter judges what comes between two calls of Do. It has what it needs of the session by value: the
// reader runs beside calls that change the rest.
type idleFilter struct {
	s     *Session
	hides func() bool
}

// idleFilter is called by Do, under s.mu.
func (s *Session) idleFilter() idleFilter {
	path, id, reason := s.path, s.pathID, s.reason
	return idleFilter{s: s, hides: func() bool {
		return s.gw.scope(s.db, s.db.snap.Load(), s.gw.policies.Load(), s.principal, s.door, path, id, reason).masked
	}}
}

// pass gives what may be released of a message; an error ends the session.
func (i idleFilter) pass(f pgframe.Frame) ([]byte, error) {
	hides := i.hides()
	switch f.Type {
	case 'A':
		return notificationFrame(f, hides), nil
	case 'S':
		return i.s.statusFrame(f, hides)
	case 'N', 'E':
		if !hides {
			return f.Raw, nil
		}
		return i.s.appendUpstream(nil, f.Type, pgframe.Fields(f.Body()), idleServer, nil), nil
	}
	return nil, &access.Error{Kind: access.Upstream, Code: "08P01", Message: "the database sent a message that nobody asked for"}
}
