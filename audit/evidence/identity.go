package evidence

import (
	"time"

	"sallyport/audit/internal/trace"
	"sallyport/internal/access"
)

// identity is what the principal of a record was proven by; nil where the record does not say.
func identity(rec *access.Record) *Identity {
	p := rec.Proof
	if p == nil {
		return nil
	}
	return &Identity{Method: string(p.Method), Issuer: p.Issuer, Subject: p.Subject, Client: p.Client, Session: p.Session, Token: hexOf(p.Token), Credential: p.Credential,
		Issued: instant(p.Issued), Authenticated: instant(p.Authenticated), Expires: instant(p.Expires), ACR: p.ACR, AMR: p.AMR, BreakGlass: p.BreakGlass, Scopes: p.Scopes,
		Description: trace.ProvenBy(rec, time.UTC)}
}

// identityOutside is identity for a record of no session, or of the gateway's own, where people log in; the others have it once, where theirs begins.
func identityOutside(rec *access.Record, s *trace.Session) *Identity {
	if s.ID != "" && s.Open != nil && s.Open.Principal == rec.Principal && rec.Kind != access.RecordTask {
		return nil
	}
	return identity(rec)
}
