package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/identity/credential"
	"sallyport/sqlguard"
)

// What somebody gets who logs in by a provider, and how it ends.

// Issued is what the gateway gives who has logged in, to come in with at the doors for a while.
type Issued struct {
	Principal   access.Principal
	Credential  string // its id, by which it is withdrawn
	Certificate []byte // PEM: the client's, and the authority's behind it; for the key of the request
	Secret      string // to be used as password where a client has no certificates; the gateway keeps its hash
	Expires     time.Time
	Connections []string // that the principal may connect to through pgwire
}

const (
	credentialLife = time.Hour
	// freshLogIn is how old an identity token may be that is bound to no key.
	freshLogIn = 2 * time.Minute
	sweepEvery = 5 * time.Minute
)

var errNoProviders = &access.Error{Kind: access.Unsupported, Code: "0A000", Message: "this gateway has no identity provider", Hint: "its operator names one in identity.providers of the configuration"}

// openIdentity opens what was issued and withdrawn, and makes who may come in.
func (g *Gateway) openIdentity(c Config) (err error) {
	g.credentialLife = c.CredentialLifetime
	if g.credentialLife <= 0 {
		g.credentialLife = credentialLife
	}
	if g.credentialLife > credential.Longest {
		return fmt.Errorf("credentials live for up to %s, not %s", credential.Longest, g.credentialLife)
	}
	g.people.gw, g.audience = g, c.Audience
	g.people.known.Store(knownOf(c.Principals))
	g.people.providers.Store(&c.Providers)
	if g.issued, err = credential.Open(credential.Options{Dir: filepath.Clean(c.DataDir)}); err != nil {
		return err
	}
	store, asked, err := g.openPeople(c.Principals, c.Providers)
	if err == nil {
		g.redefined, _, err = g.issued.Configured(definitions(c.Providers), foreign(c.Providers))
	}
	if err != nil {
		g.issued.Close()
		return err
	}
	g.people.store.Store(store)
	g.people.asked = asked
	return nil
}

// sweepIdentity forgets what has expired.
func (g *Gateway) sweepIdentity() {
	if err := g.issued.Sweep(); err != nil {
		g.logger.Warn("expired credentials were not swept", "error", err)
	}
}

// Providers lists the identity providers that people can log in with, without their secrets.
func (g *Gateway) Providers() []access.Provider {
	out := slices.Clone(*g.people.providers.Load())
	for i := range out {
		out[i].ClientSecret = ""
	}
	return out
}

// Issue gives a credential to who proves with an access.IDToken, fresh and never seen before, that they have just logged in. request
// is a certificate request (PKCS #10, PEM), of whose key the token's nonce must be the base64url SHA-256 of the SubjectPublicKeyInfo
// (where the log-in was one that carries no nonce, l.Credentials say so by an empty one). It is recorded, as is a refusal.
func (g *Gateway) Issue(ctx context.Context, l Login, request []byte) (Issued, error) {
	p, got, err := g.issue(ctx, l, request)
	if err == nil {
		p.Proof.Credential, p.Proof.Expires = got.ID, got.Expires
		err = g.note(access.RecordLogin, func(rec *access.Record) {
			whoAsks(rec, p)
			rec.Door, rec.Client = l.Door, l.Client
		})
		if err != nil { // nobody gets what is not on record
			return Issued{}, errors.Join(err, g.issued.Revoke(access.Revocation{Credential: got.ID, Cause: "not recorded"}))
		}
	}
	if err != nil {
		g.recordLogin(l, p, err)
		return Issued{}, err
	}
	for _, o := range got.Replaced {
		g.proofs.end(o.Name, "later log-ins took the place of this one", func(p access.Principal) bool { return p.Proof.Credential == o.Proof.Credential })
	}
	out := Issued{Principal: p, Credential: got.ID, Certificate: got.Certificate, Secret: got.Secret, Expires: got.Expires}
	policies := g.policies.Load()
	for _, name := range slices.Sorted(maps.Keys(g.dbs)) {
		if sqlguard.MayConnect(p, name, access.DoorPGWire, policies).Effect == access.Allow {
			out.Connections = append(out.Connections, name)
		}
	}
	return out, nil
}

// Vouched gives what stands for the account that an identity token is of, where the token is sound; "" where it is not. Nothing is noted and nothing ends by
// it: a door asks who is to be held up with whom.
func (g *Gateway) Vouched(ctx context.Context, t access.IDToken) string {
	p, err := g.people.store.Load().Verify(ctx, t)
	if err != nil {
		return ""
	}
	return accountOf(p)
}

// RequestedOf gives the address of the gateway that a certificate request is for, which has to name one and no other: whoever asks has its key, of
// which the identity token's nonce speaks, so that what is for another gateway was handed on by that one.
func RequestedOf(request []byte) (*url.URL, error) {
	csr, err := credential.ParseRequest(request)
	if err != nil {
		return nil, err
	}
	if len(csr.URIs) != 1 || csr.URIs[0].Hostname() == "" {
		return nil, &access.Error{Kind: access.Denied, Code: "28000", Message: "the certificate request does not name the one gateway that it is for", Hint: "it is the request's URI name; sallyport login puts it there"}
	}
	return csr.URIs[0], nil
}

func (g *Gateway) issue(ctx context.Context, l Login, request []byte) (p access.Principal, _ credential.Issued, err error) {
	token, ok := l.Credentials.(access.IDToken)
	if !ok {
		return p, credential.Issued{}, &access.Error{Kind: access.Denied, Code: "28000", Message: "a credential is issued for an identity token", Hint: "log in at a provider (sallyport login)"}
	}
	if len(*g.people.providers.Load()) == 0 {
		return p, credential.Issued{}, errNoProviders
	}
	csr, err := credential.ParseRequest(request)
	if err != nil {
		return p, credential.Issued{}, err
	}
	if token.Nonce != "" && token.Nonce != credential.Bound(csr) {
		return p, credential.Issued{}, &access.Error{Kind: access.Denied, Code: "28000", Message: "the log-in was made for another key", Hint: "log in again (sallyport login)"}
	}
	if p, err = g.people.Verify(ctx, token); err != nil {
		return p, credential.Issued{}, err
	}
	if p.Proof.Method != access.ByIDToken || p.Proof.Issuer == "" || p.Proof.Token == "" {
		return p, credential.Issued{}, &access.Error{Kind: access.Internal, Message: "what was verified is no identity token"}
	}
	if token.Nonce == "" && time.Since(p.Proof.Issued) > freshLogIn {
		return p, credential.Issued{}, &access.Error{Kind: access.Denied, Code: "28000", Message: "the log-in is too long ago", Hint: "log in again (sallyport login)"}
	}
	if token.Nonce == "" { // of what is bound to no key, the provider alone can say whether somebody logs in or renews
		p.Proof.Since = p.Proof.Authenticated
	}
	// What was issued before a restart is known from its entries alone.
	for _, o := range g.issued.Named(p.Name) {
		if o.Proof.Issuer == p.Proof.Issuer && o.Proof.Issued.Before(p.Proof.Issued) && (o.Kind != p.Kind || !slices.Equal(o.Groups, p.Groups) || !maps.Equal(o.Attributes, p.Attributes)) {
			if err := g.regrouped(p); err != nil {
				return p, credential.Issued{}, err
			}
			break
		}
	}
	// A reload deletes what was issued by what it changes. It comes before this, and then nothing is issued, or after it.
	g.loading.Lock()
	defer g.loading.Unlock()
	if cause, gone := g.gone(p); gone {
		return p, credential.Issued{}, &access.Error{Kind: access.Denied, Code: "28000", Message: "the log-in does not count any more: " + cause, Hint: hintLogIn}
	}
	got, err := g.people.store.Load().Issue(p, request, g.credentialLife)
	return p, got, err
}

const causeRegrouped = "groups changed"

// regrouped withdraws what rests on older words of a provider about p, which are not those of now.
func (g *Gateway) regrouped(p access.Principal) error {
	r := access.Revocation{Principal: p.Name, Issuer: p.Proof.Issuer, Before: p.Proof.Issued, Cause: causeRegrouped}
	_, _, err := g.revoke(access.Principal{}, r, p.Proof.Issuer)
	return err
}

// Revoke withdraws proofs, for good or until somebody logs in anew, and ends the sessions that rest on them: what runs is cancelled.
// It returns when the revocation is durable and the sessions have been told to end, and says how many there were. With an error, sessions may
// have ended, and who has such a proof can come back, or only requests have not ended: it is to be repeated. Requests for approval of whole principals or agents end as well, approved or not:
// somebody else may have made them. So do the approvals that they gave and that have not been used.
func (g *Gateway) Revoke(ctx context.Context, by access.Principal, r access.Revocation) (ended int, err error) {
	if by.Name == "" {
		return 0, &access.Error{Kind: access.Denied, Code: "42501", Message: "nobody revokes", Hint: "say who: it goes into the record"}
	}
	if r, ended, err = g.revoke(by, g.byTheirClocks(r), ""); err != nil {
		return ended, err
	}
	err = g.endRequests(shortened("what proved who asked was withdrawn: "+r.Cause, mostParam), askedBy(r))
	if whole(r) {
		err = errors.Join(err, g.reconsider())
	}
	if err != nil {
		return ended, &access.Error{Kind: access.Unavailable, Code: "58030", Message: "the proofs are withdrawn, but not all that rests on them has ended: requests for approval, or approvals, could not be ended on record",
			Hint: "withdraw the same once more; approvals of who was withdrawn count no longer", Err: err}
	}
	return ended, nil
}

// revoke is Revoke, by somebody or on the word of a provider. It gives the revocation as it is kept.
func (g *Gateway) revoke(by access.Principal, r access.Revocation, issuer string) (access.Revocation, int, error) {
	if r.Cause == "" {
		r.Cause = "withdrawn"
	}
	r.Cause = shortened(r.Cause, mostParam)
	r = g.issued.Widened(r)
	if err := g.noteRevocation(by, access.RevocationStep{Revocation: r}, issuer); err != nil {
		return r, 0, err
	}
	name := r.Principal
	if len(r.Accounts) > 0 { // which may be called otherwise by now
		name = ""
	}
	// Sessions do not wait for a slow disk. Who comes in again before the revocation is kept is ended after it.
	ended := g.proofs.end(name, r.Cause, r.Covers)
	keep := g.issued.Revoke
	if by.Name != "" {
		keep = g.issued.Order
	}
	if err := keep(r); err != nil {
		return r, ended, err
	}
	return r, ended + g.proofs.end(name, r.Cause, r.Covers), nil
}

func (g *Gateway) noteRevocation(by access.Principal, step access.RevocationStep, issuer string) error {
	text, err := json.Marshal(step)
	if err != nil {
		return err
	}
	return g.note(access.RecordRevoked, func(rec *access.Record) {
		whoAsks(rec, by)
		rec.Client = issuer
		rec.Reason, rec.Revoked = g.forRecord(rec, step.Cause), text
	})
}

// Revocations are those in force.
func (g *Gateway) Revocations() []access.Revocation { return g.issued.Revocations() }

// Restore takes a revocation back, found by all that it names, because of r.Cause: what it withdrew and has not ended otherwise holds again. Sessions,
// requests and approvals that it ended stay ended, and what the gateway had issued is gone.
func (g *Gateway) Restore(by access.Principal, r access.Revocation) error {
	if by.Name == "" {
		return &access.Error{Kind: access.Denied, Code: "42501", Message: "nobody takes a revocation back", Hint: "say who: it goes into the record"}
	}
	none := &access.Error{Kind: access.Invalid, Code: "22023", Message: "no such revocation is in force", Hint: "`sallyport revoke list` shows those that are: name the same as it does"}
	if !g.issued.Revoked(r) {
		return none
	}
	r.Cause = shortened(r.Cause, mostParam)
	if err := g.noteRevocation(by, access.RevocationStep{Revocation: r, Undone: true}, ""); err != nil {
		return err
	}
	if ok, err := g.issued.Restore(r); err != nil || ok {
		return err
	}
	return none // somebody else was before
}

// Withdrawn says whether, and why, what proved p was withdrawn. p is as somebody else has verified it by the configuration; known is false for a static
// token that this gateway has not read there. Nothing ends by it, as things do when somebody comes in with a newer proof.
func (g *Gateway) Withdrawn(p access.Principal) (cause string, yes, known bool) {
	if p.Proof.Method == access.ByToken {
		if p.Proof.Issued, known = g.people.store.Load().FirstKnown(p.Proof.Token); !known {
			return "", false, false
		}
	}
	if cause, yes := g.issued.Withdrawn(p); yes {
		return cause, true, true
	}
	if g.proofs.outdated(p) {
		return causeRegrouped, true, true
	}
	return "", false, true
}

// BackchannelLogout takes a provider's logout token (OpenID Connect Back-Channel Logout 1.0), once, and ends what rests on its subject or session.
// An error of Kind Unavailable says that the token may be sent again. client is the address ("host:port") that it comes from: refusals are recorded
// as those of Recognise are, some by themselves, all in number.
func (g *Gateway) BackchannelLogout(ctx context.Context, client, token string) error {
	r, err := g.people.store.Load().Logout(ctx, token)
	if err == nil {
		err = g.issued.Unused(r.Token)
	}
	if err != nil {
		if access.AsError(err).Kind != access.Unavailable && g.logoutRefusals.take(client, time.Now()) { // else nothing is known of it
			g.recordLogin(Login{Door: access.DoorWeb, Client: client}, access.Principal{}, err)
		}
		return err
	}
	if r.Cause == "" {
		r.Cause = causeLoggedOut
	}
	if _, _, err := g.revoke(access.Principal{}, r.Revocation, r.Issuer); err != nil {
		return err // the provider may send it again
	}
	return g.issued.Use(r.Token, r.Expires)
}

const causeLoggedOut = "logged out"

// Watch gives a channel that is closed, with the cause in it before, when the proof of p holds no longer: it expired, was withdrawn, or
// the configuration says something else of them now. stop ends the watching.
func (g *Gateway) Watch(p access.Principal) (ended <-chan string, stop func()) {
	c := make(chan string, 1)
	x := g.proofs.add(p, func(cause string) {
		c <- cause
		close(c)
	})
	if cause, gone := g.gone(p); gone { // between the proof and now
		g.proofs.one(x, cause)
	}
	return c, func() { g.proofs.drop(x) }
}
