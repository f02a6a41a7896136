package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/config"
	"sallyport/internal/desk"
	"sallyport/internal/identity"
	"sallyport/internal/identity/oidc"
	"sallyport/sqlguard"
	"sallyport/sqlguard/policy"
)

// mostToken is how much of a file or of standard input is read: more than any token that is taken.
const mostToken = 64 << 10

// readToken reads a token from standard input ("-") or a file: other users of the machine see what is on a command line.
func (a *app) readToken(from string) (string, error) {
	var in io.Reader = a.in
	if from != "-" {
		f, err := os.Open(from)
		if err != nil {
			if strings.Count(from, ".") == 2 || strings.HasPrefix(from, "sp_") { // the value may be the token: it is not repeated
				return "", usagef("--token takes `-` for standard input, or a file's name; never the token itself, which others on this machine could read")
			}
			return "", usagef("--token: %v", err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, mostToken+1))
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if token == "" || len(text) > mostToken {
		return "", usagef("--token: there is no token, or it is longer than %d bytes", mostToken)
	}
	return token, nil
}

// whoIsToken says what the configuration makes of a token, as the doors would. What was withdrawn is the running gateway's, and asked of it. It is
// an error where that does not take the token any more.
func (a *app) whoIsToken(ctx context.Context, from string) error {
	token, err := a.readToken(from)
	if err != nil {
		return err
	}
	cfg, err := a.loadOffline()
	if err != nil {
		return err
	}
	set, err := loadPolicies(cfg)
	if err != nil {
		return err
	}
	local, err := identity.New(cfg.Principals)
	if err != nil {
		return err
	}
	var said oidc.Said
	if oidc.LooksLike(token) {
		said, err = verifyToken(ctx, cfg, local, token)
	} else {
		said.Principal, err = local.Verify(ctx, access.Bearer(token))
	}
	if err != nil {
		return err
	}
	describeToken(a.out, cfg, set, said, time.Now())
	return a.standing(cfg, said.Principal)
}

// standing says what the gateway that runs makes of a token that the configuration takes.
func (a *app) standing(cfg *config.Config, p access.Principal) error {
	line := func(text string) { fmt.Fprintf(a.out, "%-14s %s\n", "gateway", printable(text)) }
	answer, err := desk.AskSessions(filepath.Join(cfg.DataDir, "log"), desk.SessionOrder{Do: desk.LookAtProof, Proven: &p})
	switch {
	case errors.Is(err, desk.ErrNobody):
		line("none runs on " + cfg.DataDir + ": what was withdrawn is not known")
	case err != nil:
		line("cannot be asked, so that what was withdrawn is not known: " + err.Error())
	case answer.Proof.Unread:
		line("has not read this token yet: send it SIGHUP")
	case !answer.Proof.Holds:
		line("does not take it any more: " + answer.Proof.Because)
		return errReported
	default:
		line("takes it")
	}
	return nil
}

// verifyToken has the configuration's providers verify a token. A refusal says which check it failed.
func verifyToken(ctx context.Context, cfg *config.Config, local *identity.Store, token string) (oidc.Said, error) {
	providers, err := oidc.Open(oidc.Options{Providers: cfg.Providers, Audience: cfg.Audience(), Taken: local.Has, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return oidc.Said{}, err
	}
	defer providers.Close()
	said, err := providers.Access(ctx, token)
	if r, ok := errors.AsType[*oidc.Refusal](err); ok {
		detail := r.Detail
		if r.Err != nil {
			detail += ": " + r.Err.Error()
		}
		return said, &access.Error{Kind: access.Denied, Message: fmt.Sprintf("the token is refused, by the check of its %s: %s", r.Check, printable(detail)), Hint: r.Hint}
	}
	return said, err
}

func describeToken(out io.Writer, cfg *config.Config, set *policy.Set, said oidc.Said, now time.Time) {
	p := said.Principal
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(out, "%-14s %s\n", name, printable(text))
		}
	}
	orNone := func(list []string) string {
		if len(list) == 0 {
			return "none"
		}
		return strings.Join(list, ", ")
	}
	at := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	kind := "a person"
	if p.Kind == access.Agent {
		kind = "an agent"
	}
	line("who", p.Name+", "+kind)
	line("by", string(p.Proof.Method))
	if said.Provider != "" {
		line("provider", said.Provider+", "+p.Proof.Issuer)
	}
	line("subject", p.Proof.Subject)
	line("client", p.Proof.Client)
	line("actor", p.Actor)
	line("behind it", strings.Join(p.Behind, ", "))
	if said.Provider != "" {
		line("groups there", orNone(said.Groups))
	}
	line("groups", orNone(p.Groups))
	spoken := set.Mentioned("Group")
	line("in policies", orNone(slices.DeleteFunc(slices.Clone(p.Groups), func(g string) bool { return !slices.Contains(spoken, g) })))
	for _, name := range slices.Sorted(maps.Keys(p.Attributes)) {
		line("attribute", name+" = "+p.Attributes[name])
	}
	expires := "never"
	if !p.Proof.Expires.IsZero() {
		expires = at(p.Proof.Expires) + ", in " + howOld(p.Proof.Expires.Sub(now))
	}
	line("expires", expires)
	if !p.Proof.Authenticated.IsZero() {
		line("authenticated", at(p.Proof.Authenticated))
	}
	line("acr", p.Proof.ACR)
	if !p.Proof.Scoped {
		line("scopes", "limit nothing")
	}
	for _, s := range p.Proof.Scopes {
		if p.Proof.Scoped {
			line("scope", s+" lets be done: "+lets(p.Proof, s))
		}
	}
	if p.Proof.Scoped && len(p.Proof.Scopes) == 0 {
		line("scopes", "none, so that nothing can be done")
	}
	for _, c := range cfg.Connections {
		for _, door := range []access.Door{access.DoorPGWire, access.DoorMCP} {
			if sqlguard.MayConnect(p, c.Name, door, set).Effect == access.Allow {
				line("may connect", fmt.Sprintf("%s by the door %s", c.Name, door))
			}
		}
	}
	line("SHA-256", p.Proof.Token)
}

// lets are the actions that one scope of a token lets be done.
func lets(p access.Proof, scope string) string {
	p.Scopes = []string{scope}
	var out []string
	for _, a := range access.Actions {
		if p.Permits(a) {
			out = append(out, string(a))
		}
	}
	if len(out) == 0 {
		return "nothing"
	}
	return strings.Join(out, ", ")
}
