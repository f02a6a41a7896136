package evidence

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"regexp"

	"sallyport/internal/access"
)

// parameters commits to the parameters of a record.
func parameters(rec *access.Record) []Parameter {
	var out []Parameter
	for i, v := range rec.Params {
		salt := saltOf(rec, i)
		p := Parameter{Number: i + 1, Type: typeOf(v, rec.NullParam(i)), Salt: hex.EncodeToString(salt), Hidden: hiddenForm.MatchString(v), Shortened: shortForm.MatchString(v)}
		p.SHA256 = commit(salt, p.Type, v)
		out = append(out, p)
	}
	return out
}

// commit is SHA-256 over the salt, the type, a zero byte and the value as text. Who knows the value can check it.
// The salt keeps equal values of different steps from looking equal and tables from being made ahead; it keeps nobody
// from trying all values of a small set.
func commit(salt []byte, typ, value string) string {
	h := sha256.New()
	h.Write(salt)
	h.Write([]byte(typ))
	h.Write([]byte{0})
	h.Write([]byte(value))
	return hex.EncodeToString(h.Sum(nil))
}

// saltOf is the same each time a bundle is made, and differs from parameter to parameter.
func saltOf(rec *access.Record, i int) []byte {
	b := append([]byte("sallyport parameter salt v1\x00"), rec.Session...)
	b = binary.BigEndian.AppendUint64(append(b, 0), rec.Position)
	b = binary.BigEndian.AppendUint64(b, uint64(rec.Time.UnixNano()))
	b = binary.BigEndian.AppendUint32(b, uint32(i))
	sum := sha256.Sum256(b)
	return sum[:16]
}

var (
	// hiddenForm is what the detectors leave in the place of a finding.
	hiddenForm = regexp.MustCompile(`\[(?:email|phone|card|iban|id|ssn|birth|name|address|ip|mac|credentials|key|crypto)\]`)
	// shortForm ends texts that the record has cut.
	shortForm = regexp.MustCompile(`\.\.\. \(\d+ bytes, sha256 [0-9a-f]{64}\)$`)

	typeForms = []struct {
		name string
		form *regexp.Regexp
	}{
		{"boolean", regexp.MustCompile(`^(?:t|f|true|false)$`)},
		{"integer", regexp.MustCompile(`^-?\d{1,19}$`)},
		{"decimal", regexp.MustCompile(`^-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?$`)},
		{"uuid", regexp.MustCompile(`^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)},
		{"timestamp", regexp.MustCompile(`^\d{4}-\d\d-\d\d[ T]\d\d:\d\d`)},
		{"date", regexp.MustCompile(`^\d{4}-\d\d-\d\d$`)},
	}
)

// typeOf tells what a parameter's text looks like: the record has parameters as text.
func typeOf(v string, null bool) string {
	if null {
		return "null"
	}
	for _, t := range typeForms {
		if t.form.MatchString(v) {
			return t.name
		}
	}
	return "text"
}
