package trace

import (
	"slices"
	"time"

	"sallyport/audit/internal/show"
	"sallyport/internal/access"
)

// ProvenBy says in words, safe to print, what the principal of a record was proven by; "" where the record does not say. Times
// are those of a place.
func ProvenBy(rec *access.Record, in *time.Location) string {
	p := rec.Proof
	if p == nil {
		return ""
	}
	// A line cannot be long: what somebody else has chosen is cut.
	clip := func(s string) string { return show.Clip(show.Clean(s), 120) }
	labelled := func(label, s string) string {
		if s == "" {
			return ""
		}
		return label + " " + clip(s)
	}
	text := show.Join(" of ", clip(string(p.Method)), clip(p.Issuer))
	if more := show.Join(", ", labelled("sub", p.Subject), labelled("client", p.Client), labelled("credential", p.Credential), labelled("acr", p.ACR)); more != "" {
		text += " (" + more + ")"
	}
	if p.BreakGlass {
		text = "BREAK GLASS, " + text
	}
	if p.Expires.IsZero() {
		return text
	}
	until, layout := p.Expires.In(in), "15:04"
	if until.Format(time.DateOnly) != rec.Time.In(in).Format(time.DateOnly) {
		layout = "2006-01-02 15:04"
	}
	return text + ", until " + until.Format(layout)
}

// ProofTexts are the texts of a record's proof that may name somebody.
func ProofTexts(rec *access.Record) []string {
	p := rec.Proof
	if p == nil {
		return nil
	}
	return slices.Concat([]string{p.Issuer, p.Subject, p.Client, p.Session, p.Token, p.Credential, p.ACR}, p.AMR, p.Scopes)
}

// Actors is the chain of who acted for the principal of a record, the nearest first.
func Actors(rec *access.Record) []string {
	if rec.Actor == "" {
		return nil
	}
	return append([]string{rec.Actor}, rec.Behind...)
}
