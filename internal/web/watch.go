package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"slices"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
)

// watches reports whether the visitor may look at what belongs to everybody.
func (v *visit) watches() bool { return v.auditor || v.operator }

// sessionsData fills the page of live sessions.
type sessionsData struct{ List []liveSession }

type liveSession struct {
	gateway.LiveSession
	Trace bool // the visitor may see what was done in it
}

// own reports whether something was done in the visitor's name.
func (v *visit) own(name string, proof access.Proof) bool {
	return v.who.Same(access.Principal{Name: name, Proof: proof})
}

// live lists the sessions that have not ended: an auditor or operator sees all, others theirs.
func (v *visit) live() error {
	var d sessionsData
	for _, s := range v.s.core.LiveSessions() {
		if own := v.own(s.Principal, s.Proof); own || v.watches() {
			d.List = append(d.List, liveSession{s, v.s.opt.Archive != nil && (own || v.auditor)})
		}
	}
	return v.show("live", "Live sessions", "live", d)
}

// endSession ends a session, for operators.
func (v *visit) endSession() error {
	if !v.operator {
		return errNotFound
	}
	ctx, stop := context.WithTimeout(v.recorded(), 20*time.Second)
	defer stop()
	if !v.s.core.EndSession(ctx, v.who, v.r.PathValue("session")) {
		return &problem{404, "there is no such session: it may have ended already", ""}
	}
	return v.redirect("/live")
}

// person is somebody of the configuration or of a provider, with what they may do.
type person struct {
	access.Principal
	Path       string // of their page
	Provider   string // by whose word they are who they are, and in their groups; "" for the configuration's
	Attributes []string
	May        []gateway.Permission
}

// peopleData fills the page of people and agents.
type peopleData struct {
	People  []person
	More    int  // of a provider, beyond those listed
	One     bool // the page is about one of them, and explains
	Form    explainForm
	Answers []gateway.Explanation
	Error   string
	Doors   []access.Door
	Places  []string
}

type explainForm struct{ Connection, Door, SQL, Reason string }

var doors = []access.Door{access.DoorPGWire, access.DoorMCP}

// known gives those whom the visitor may look at: an auditor or operator those of the configuration and whom the gateway has met of a provider's,
// others themselves.
func (v *visit) known() []access.Principal {
	if !v.watches() {
		return []access.Principal{v.who}
	}
	list := v.s.core.People()
	if v.who.Proof.Issuer != "" {
		list = append(list, v.who)
	}
	for _, p := range v.s.core.Known() {
		if !p.Same(v.who) {
			list = append(list, p)
		}
	}
	return list
}

// mostMet is how many of a provider's a page has: what each may do is worked out for it.
const mostMet = 200

func (v *visit) people() error {
	d := peopleData{}
	met := 0
	for _, p := range v.known() {
		if p.Proof.Issuer != "" {
			if met++; met > mostMet {
				d.More++
				continue
			}
		}
		d.People = append(d.People, v.person(p))
	}
	return v.show("people", "People and agents", "people", d)
}

func (v *visit) person(p access.Principal) person {
	out := person{Principal: p, Path: "/people/" + url.PathEscape(p.Name), Provider: v.s.providerOf(p)}
	if p.Proof.Issuer != "" {
		out.Path += "?" + url.Values{"account": {accountKey(p)}}.Encode()
	}
	for k := range p.Attributes {
		out.Attributes = append(out.Attributes, k+" = "+p.Attributes[k])
	}
	slices.Sort(out.Attributes)
	for _, door := range doors {
		out.May = append(out.May, v.s.core.Permissions(p, door)...)
	}
	return out
}

// accountKey tells apart, in an address, those of one name, without saying what their provider calls them.
func accountKey(p access.Principal) string {
	sum := sha256.Sum256([]byte(p.Proof.Issuer + "\x00" + p.Proof.Subject))
	return hex.EncodeToString(sum[:8])
}

// providerOf is the name of the provider that speaks for somebody, "" for those of the configuration.
func (s *Server) providerOf(p access.Principal) string {
	for _, o := range s.core.Providers() {
		if o.Issuer == p.Proof.Issuer {
			return o.Name
		}
	}
	return p.Proof.Issuer
}

// one shows one of them; with a statement in the form it says what would become of it, without running it.
func (v *visit) one() error {
	list := v.known()
	account := v.query("account")
	i := slices.IndexFunc(list, func(p access.Principal) bool {
		return p.Name == v.r.PathValue("name") && (account == "" || account == accountKey(p))
	})
	if i < 0 {
		return errNotFound
	}
	d := peopleData{People: []person{v.person(list[i])}, One: true, Doors: doors}
	for _, h := range v.s.core.Holdings() {
		d.Places = append(d.Places, h.Connection)
	}
	if f := v.r.PostForm; f.Get("sql") != "" {
		d.Form = explainForm{f.Get("connection"), f.Get("door"), f.Get("sql"), f.Get("reason")}
		door := access.DoorPGWire
		if d.Form.Door == string(access.DoorMCP) {
			door = access.DoorMCP
		}
		var err error
		if d.Answers, err = v.s.core.Explain(v.r.Context(), list[i], d.Form.Connection, door, d.Form.SQL, d.Form.Reason); err != nil {
			d.Error = access.AsError(err).Message
		}
	}
	return v.show("people", list[i].Name, "people", d)
}

// holdings shows the connections with the labels of their columns.
func (v *visit) holdings() error {
	if !v.watches() {
		return errNotFound
	}
	return v.show("holdings", "Connections and labels", "holdings", v.s.core.Holdings())
}

// status shows how the log stands.
func (v *visit) status() error {
	if !v.watches() {
		return errNotFound
	}
	lines, err := v.s.opt.Archive.Status(v.r.Context())
	if err != nil {
		return err
	}
	return v.show("status", "The record", "status", lines)
}
