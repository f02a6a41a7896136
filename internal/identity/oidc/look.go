package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	jose "github.com/go-jose/go-jose/v4"
)

// Looked is what a provider answered to who only looks: nobody has logged in.
type Looked struct {
	Provider, Issuer string
	Keys             int // that signatures may be by
	// Err is what is wrong; nil: nothing was found. Down says that the provider could not be asked, which may be otherwise tomorrow.
	Err  error
	Hint string
	Down bool
}

// Look asks each provider for its metadata (OpenID Connect Discovery 1.0, 4) and keys, side by side, in the order of the configuration. It takes what
// ctx gives it, fetchTime at most.
func (ps *Providers) Look(ctx context.Context) []Looked {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	out := make([]Looked, len(ps.list))
	var all sync.WaitGroup
	for i, p := range ps.list {
		all.Go(func() { out[i] = p.look(ctx) })
	}
	all.Wait()
	return out
}

const wellKnown = "/.well-known/openid-configuration"

func (p *provider) look(ctx context.Context) (l Looked) {
	l = Looked{Provider: p.Name, Issuer: p.Issuer}
	wrong := func(hint, format string, args ...any) Looked {
		l.Hint, l.Err = hint, fmt.Errorf(format, args...)
		return l
	}
	ask := func(from string) (text []byte, ok bool) {
		status, text, _, err := fetch(ctx, p.client, from, "")
		switch {
		case err != nil:
			var ue *url.Error
			if errors.As(err, &ue) {
				err = ue.Err
			}
			l.Down = true
			wrong("nobody can log in by it until it answers: does it run, and is its `issuer` right?", "%s does not answer: %w", from, err)
		case status >= http.StatusInternalServerError || status == http.StatusTooManyRequests:
			l.Down = true
			wrong("nobody can log in by it until it does better", "%s answers %d", from, status)
		case status != http.StatusOK:
			wrong("the `issuer` is the URL before "+wellKnown+", as the provider has it", "%s answers %d", from, status)
		default:
			return text, true
		}
		return nil, false
	}
	at := strings.TrimSuffix(p.Issuer, "/") + wellKnown
	text, ok := ask(at)
	if !ok {
		return l
	}
	var doc struct {
		Issuer string `json:"issuer"`
		JWKS   string `json:"jwks_uri"`
	}
	if json.Unmarshal(text, &doc) != nil {
		return wrong("the `issuer` is the URL before "+wellKnown+", as the provider has it", "%s is no metadata of a provider", at)
	}
	if doc.Issuer != p.Issuer {
		return wrong("write the `issuer` as the provider has it, to the letter: tokens have it so", "the provider calls itself %q, and the configuration %q", shown(doc.Issuer), p.Issuer)
	}
	from, err := url.Parse(doc.JWKS)
	if err != nil || !Secure(from) || strings.HasPrefix(p.Issuer, "https:") && from.Scheme != "https" {
		return wrong("the provider has to say where its keys are", "its jwks_uri %q is not https", shown(doc.JWKS))
	}
	if text, ok = ask(doc.JWKS); !ok {
		return l
	}
	keys, err := parseKeys(text)
	if err != nil {
		return wrong("look at "+shown(doc.JWKS), "%w", err)
	}
	for _, k := range keys {
		if slices.ContainsFunc(p.algs, func(a jose.SignatureAlgorithm) bool { return k.fits(string(a)) }) {
			l.Keys++
		}
	}
	if l.Keys == 0 {
		return wrong("`algorithms` of the provider names what it signs by", "none of its %d keys is for signatures by %q", len(keys), p.algs)
	}
	return l
}
