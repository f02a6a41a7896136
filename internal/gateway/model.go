package gateway

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode"

	"sallyport/internal/gateway/internal/model"
	"sallyport/mask"
)

// Recogniser says which model is asked about text after the detectors; without a URL none is.
type Recogniser struct {
	URL      string        // of an analyze endpoint as Presidio has it: https, or http on this machine
	Timeout  time.Duration // of a question; 0 means 2 s
	Language string        // of the texts; "" means en
	MinScore float64       // findings of less are not hidden
	Entities []string      // what is looked for; none means all that it knows
}

// openModel makes the client for a configuration; nil is none.
func (g *Gateway) openModel(r Recogniser) (err error) {
	if r.URL == "" {
		return nil
	}
	g.model, err = model.New(model.Options{URL: r.URL, Timeout: r.Timeout, Language: r.Language, MinScore: r.MinScore, Entities: r.Entities, Log: g.logger})
	return err
}

// asks is what the model said of the values of one result. It is asked about a row at a time, in one question, after the
// detectors; what it does not answer is hidden whole, and after a failure nothing more of the result is asked.
type asks struct {
	session   *Session
	oids      []uint32
	known     map[string][]mask.Finding // by text
	size      int                       // bytes of the texts in known
	failed    bool
	unchecked int      // values that were hidden because nothing is known of them
	texts     []string // the question that is being made
	row, seen []byte   // buffers
}

// mostKnown bounds the texts that are remembered: like mask.Repeats, for one result, which is held anyway.
const mostKnown = 256 << 10

// asksOf is the run's, or nil where no model is configured.
func (s *Session) asksOf(r *run, oids []uint32) *asks {
	if s.gw.model == nil {
		return nil
	}
	if r.asks == nil {
		r.asks = &asks{session: s, oids: oids, known: map[string][]mask.Finding{}}
	}
	return r.asks
}

// look is given a value of a column and appends to dst what is shown of it. n counts what was hidden; gone says
// that the value becomes NULL.
type look func(column int, dst, value []byte) (out []byte, n int, gone bool)

// watch appends a row to dst with what the model finds in it hidden. each has a look at every value of a row that is watched.
// row must not be a part of dst.
func (a *asks) watch(dst, row []byte, each func(dst, row []byte, l look) ([]byte, int, error)) (out []byte, found int, err error) {
	if a.size > mostKnown {
		clear(a.known)
		a.size = 0
	}
	a.texts = a.texts[:0]
	if a.seen, _, err = each(a.seen[:0], row, a.collect); err != nil {
		return dst, 0, err
	}
	a.ask()
	return each(dst, row, a.hide)
}

// collect notes what has to be asked about a value.
func (a *asks) collect(column int, dst, value []byte) ([]byte, int, bool) {
	text, _ := modelText(a.oids[column], value)
	if _, ok := a.known[text]; !ok && len(text) <= model.MaxText && speaks(text) {
		a.texts = append(a.texts, text)
	}
	return append(dst, value...), 0, false
}

// ask puts the question.
func (a *asks) ask() {
	s := a.session
	if len(a.texts) == 0 || a.failed {
		return
	}
	if s.stopped.Load() != nil { // the time that the policy allows is over
		a.failed = true
		return
	}
	s.heavy()
	answers, err := s.gw.model.Ask(context.Background(), a.texts) // has a time limit of its own
	if err != nil {
		a.failed = true
		if !errors.Is(err, model.ErrResting) {
			s.gw.logger.Warn("the model behind the detectors did not answer: the rest of a result is hidden", "session", s.id, "error", err)
		}
		return
	}
	for i, text := range a.texts {
		var found []mask.Finding
		for _, f := range answers[i] {
			found = append(found, mask.Finding{Start: f.Start, End: f.End, Kind: f.Kind})
		}
		if _, ok := a.known[text]; !ok {
			a.size += len(text)
		}
		a.known[text] = found
	}
}

// hide shows a value as far as the model's answer lets it.
func (a *asks) hide(column int, dst, value []byte) ([]byte, int, bool) {
	oid := a.oids[column]
	text, opaque := modelText(oid, value)
	if !speaks(text) {
		return append(dst, value...), 0, false
	}
	found, ok := a.known[text]
	switch {
	case !ok:
		a.unchecked++
	case len(found) == 0:
		return append(dst, value...), 0, false
	}
	if opaque {
		return dst, max(len(found), 1), true
	}
	at := len(dst)
	if jsonbForm(oid, value) {
		dst, value, at = append(dst, 1), value[1:], at+1
	}
	if ok {
		dst = mask.Hide(dst, value, found)
		if oid != oidJSON && oid != oidJSONB || json.Valid(dst[at:]) {
			return dst, len(found), false
		}
	}
	return append(dst[:at], redacted(oid)...), max(len(found), 1), false
}

// redacted stands for a whole value.
func redacted(oid uint32) string {
	switch oid {
	case oidJSON, oidJSONB:
		return `"[redacted]"`
	case oidXML:
		return "<redacted/>"
	}
	return "[redacted]"
}

// modelText is the text of a value. opaque says that the value has a form which a finding cannot be cut out of.
func modelText(oid uint32, value []byte) (text string, opaque bool) {
	switch {
	case jsonbForm(oid, value):
		value = value[1:]
	case binaryForm(value):
		if text, ok := arrayText(value); ok {
			return text, true
		}
		// Lengths and types lie between the texts of a record.
		return strings.Map(func(r rune) rune {
			if r < ' ' {
				return '\n'
			}
			return r
		}, string(bytes.ToValidUTF8(value, []byte{'\n'}))), true
	}
	switch oid {
	case oidText, oidVarchar, oidBPChar, oidName, oidUnknown, oidJSON, oidJSONB, oidXML:
		return string(value), false
	}
	return string(value), true
}

// jsonbForm reports whether a value is jsonb in binary: a version, and the text.
func jsonbForm(oid uint32, value []byte) bool {
	return oid == oidJSONB && len(value) > 0 && value[0] == 1 && !binaryForm(value)
}

// speaks reports whether there is anything to ask about in a text: digits and signs are the detectors' business.
func speaks(text string) bool { return strings.ContainsFunc(text, unicode.IsLetter) }

// eachOf has a look at the watched values of a row in the form that DataRow and COPY's binary format share: a count, and a
// length before each value. A value that has lengths inside (an array, a record) goes whole where anything in it is hidden.
func eachOf(watch []bool, dst, row []byte, l look) (out []byte, found int) {
	dst, row = append(dst, row[:2]...), row[2:]
	for i, watched := range watch {
		size := int(int32(binary.BigEndian.Uint32(row)))
		at := len(dst)
		dst, row = append(dst, row[:4]...), row[4:]
		if size < 0 {
			continue
		}
		value := row[:size]
		row = row[size:]
		if !watched {
			dst = append(dst, value...)
			continue
		}
		var n int
		var gone bool
		dst, n, gone = l(i, dst, value)
		switch {
		case gone || n > 0 && binaryForm(value):
			dst = binary.BigEndian.AppendUint32(dst[:at], 0xFFFFFFFF)
		case n > 0:
			binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
		}
		found += n
	}
	return dst, found
}

// askRow has the model look at the DataRow that is the last of what is held, from start.
func (s *Session) askRow(r *run, fs *fields, start int) error {
	a := s.asksOf(r, fs.oids)
	a.row = append(a.row[:0], s.held[start+5:]...)
	var n int
	var err error
	s.held, n, err = a.watch(s.held[:start+5], a.row, func(dst, row []byte, l look) ([]byte, int, error) {
		dst, n := eachOf(fs.watch, dst, row, l)
		return dst, n, nil
	})
	r.detected += n
	return err
}

// warnUnchecked tells the client that values are hidden because the model did not look at them.
func (s *Session) warnUnchecked(r *run) {
	if r.asks != nil && r.asks.unchecked > 0 {
		s.held = appendNotice(s.held, "the model behind the detectors could not be asked about some values: they are hidden whole",
			"ask again later, or for shorter values; the operator's log has the cause")
	}
}
