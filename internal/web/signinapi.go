package web

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/gateway"
)

// What `sallyport login` needs of this door. It logs in at the provider itself, as a client without a secret, and gets a credential for
// the other doors for the ID token.

// LoginOffer says where to log in, and where the other doors are.
type LoginOffer struct {
	Providers []LoginProvider `json:"providers"`
	PGWire    *PGWireAddress  `json:"pgwire,omitempty"`
	MCP       *MCPAddress     `json:"mcp,omitempty"`
}

// LoginProvider is a provider that a program can log in at. Secret is false: it has none.
type LoginProvider struct {
	Name     string   `json:"name"`
	Issuer   string   `json:"issuer"`
	ClientID string   `json:"client_id"`
	Scopes   []string `json:"scopes"`
	ACR      []string `json:"acr,omitempty"` // one of them is wanted for approving
	Secret   bool     `json:"secret"`
}

// PGWireAddress is where PostgreSQL clients connect to.
type PGWireAddress struct {
	Address string `json:"address"` // host:port
	TLS     bool   `json:"tls"`
}

// MCPAddress is where agents connect to.
type MCPAddress struct {
	URL string `json:"url"`
}

// CredentialRequest asks for a credential. Nonce is that of the ID token, or "" of a device log-in; Request is a certificate
// request (PEM) with this gateway's URL as its one URI name.
type CredentialRequest struct {
	Provider string `json:"provider"`
	IDToken  string `json:"id_token"`
	Nonce    string `json:"nonce"`
	Request  string `json:"request"`
}

// Credential is what one connects with until it expires.
type Credential struct {
	Principal   string         `json:"principal"`
	Groups      []string       `json:"groups"`
	Credential  string         `json:"credential"`  // its id
	Certificate string         `json:"certificate"` // PEM
	Authority   string         `json:"authority"`   // PEM, to check the door for PostgreSQL clients by; "" where it has a given certificate
	Secret      string         `json:"secret"`
	Expires     time.Time      `json:"expires"`
	Connections []string       `json:"connections"`
	PGWire      *PGWireAddress `json:"pgwire,omitempty"`
}

func (s *Server) apiLogin(_ http.ResponseWriter, r *http.Request) (any, error) {
	if err := fromProgram(r); err != nil {
		return nil, err
	}
	out := LoginOffer{Providers: []LoginProvider{}, PGWire: s.pgwire(r), MCP: s.opt.MCP}
	for _, p := range s.core.Providers() {
		if id := s.core.CommandClient(p.Name); id != "" {
			out.Providers = append(out.Providers, LoginProvider{Name: p.Name, Issuer: p.Issuer, ClientID: id, Scopes: append([]string{"openid"}, p.LoginScopes...), ACR: p.ACR})
		}
	}
	return out, nil
}

// pgwire is the address of that door; one that listens everywhere is where this one was reached.
func (s *Server) pgwire(r *http.Request) *PGWireAddress {
	if s.opt.PGWire == nil {
		return nil
	}
	out := *s.opt.PGWire
	host, port, err := net.SplitHostPort(out.Address)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		if host, _, err = net.SplitHostPort(r.Host); err != nil {
			host = r.Host
		}
		out.Address = net.JoinHostPort(host, port)
	}
	return &out
}

func (s *Server) apiIssue(_ http.ResponseWriter, r *http.Request) (any, error) {
	if err := fromProgram(r); err != nil {
		return nil, err
	}
	var in CredentialRequest
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	if in.Provider == "" || in.IDToken == "" || in.Request == "" {
		return nil, &problem{http.StatusUnprocessableEntity, "provider, id_token and request are needed", "use sallyport login"}
	}
	wanted, err := gateway.RequestedOf([]byte(in.Request))
	if err != nil {
		return nil, err
	}
	if !s.site.called(wanted.Hostname(), r) {
		s.log.Warn("log-in failed", "door", "web", "client", r.RemoteAddr, "provider", in.Provider, "error", "it was made at another gateway", "gateway", wanted.Redacted())
		return nil, &problem{http.StatusForbidden, "this log-in was made at another gateway, or under a name of this one that it does not know", "use the address that the configuration gives (listen.web.public_url)"}
	}
	var got gateway.Issued
	token := access.IDToken{Provider: in.Provider, Token: in.IDToken, Nonce: in.Nonce}
	issue := func() (err error) {
		got, err = s.core.Issue(r.Context(), gateway.Login{Door: access.DoorWeb, Client: r.RemoteAddr, Credentials: token}, []byte(in.Request))
		return err
	}
	// Whom a provider vouches for is held up by nobody who makes tokens up.
	if who := s.core.Vouched(r.Context(), token); who != "" {
		err = s.asked(in.Provider, true).slowlyOf(r, "token of "+who, "", issue)
	} else {
		err = s.asked(in.Provider, false).slowly(r, "", issue)
	}
	if err != nil {
		s.log.Warn("log-in failed", "door", "web", "client", r.RemoteAddr, "provider", in.Provider, "error", err)
		return nil, err
	}
	s.log.Info("credential issued", "door", "web", "principal", got.Principal.Name, "credential", got.Credential, "client", r.RemoteAddr)
	out := Credential{Principal: got.Principal.Name, Groups: orNone(got.Principal.Groups), Credential: got.Credential, Certificate: string(got.Certificate), Secret: got.Secret,
		Expires: got.Expires, Connections: orNone(got.Connections), PGWire: s.pgwire(r)}
	if s.opt.Authority != nil {
		out.Authority = string(s.opt.Authority())
	}
	return out, nil
}

func orNone(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// Standing is a credential that holds.
type Standing struct {
	Principal  string    `json:"principal"`
	Groups     []string  `json:"groups"`
	Credential string    `json:"credential"`
	Expires    time.Time `json:"expires"`
}

// apiStanding says who somebody is by the secret that was given.
func (v *visit) apiStanding() (any, error) {
	if v.who.Proof.Credential == "" {
		return nil, errNotIssued
	}
	return Standing{Principal: v.who.Name, Groups: orNone(v.who.Groups), Credential: v.who.Proof.Credential, Expires: v.who.Proof.Expires}, nil
}

var errNotIssued = &problem{http.StatusUnprocessableEntity, "a password of the configuration is none that was issued at a log-in", "this is for what sallyport login was given"}

// apiLogout withdraws the credential whose secret was given.
func (v *visit) apiLogout() (any, error) {
	id := v.who.Proof.Credential
	if id == "" {
		return nil, errNotIssued
	}
	_, err := v.s.core.Revoke(v.recorded(), v.who, access.Revocation{Principal: v.who.Name, Credential: id, Cause: "logged out"})
	return nil, err
}

// readJSON reads the body of a request: one value, with no key that we do not know.
func readJSON(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is more after it")
		}
	}
	if err != nil {
		return &problem{http.StatusBadRequest, "the body cannot be read: " + err.Error(), ""}
	}
	return nil
}
