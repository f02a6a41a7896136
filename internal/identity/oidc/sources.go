package oidc

import (
	"context"
	"crypto/sha256"
	"errors"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	maxSources = 4                // that one token may name, of those that are needed
	sourceAge  = 5 * time.Minute  // that an answer is taken for the same token without asking again
	sourceTime = 5 * time.Second  // that an answer may take
	sourceRest = 30 * time.Second // before a source that failed for a token is asked for it again
	mostKept   = 1000             // answers kept
	atOnce     = 4                // questions to a provider's sources at a time
)

// sources has the claims that tokens keep elsewhere: OpenID Connect Core 5.6.2. Aggregated claims are a token within the token; distributed
// ones are fetched, and only from the issuer's own origin or one that the configuration names: a token sends the gateway nowhere else.
type sources struct {
	p       *provider
	needed  []string // claims that the configuration speaks of
	origins []string
}

// answers are those that sources have given, and the room for further questions.
type answers struct {
	room chan struct{}

	mu   sync.Mutex // of kept
	kept map[[sha256.Size]byte]answer
}

func newAnswers() *answers {
	return &answers{room: make(chan struct{}, atOnce), kept: map[[sha256.Size]byte]answer{}}
}

type answer struct {
	claims map[string]any
	err    error
	until  time.Time
}

func newSources(p *provider) *sources {
	s := &sources{p: p}
	for _, path := range append(slices.Collect(maps.Values(p.attributes)), p.user, p.groups) {
		if len(path) > 0 {
			s.needed = append(s.needed, path[0])
		}
	}
	for _, o := range append([]string{p.Issuer}, p.ClaimSources...) {
		s.origins = append(s.origins, origin(o))
	}
	return s
}

// origin is scheme and host of a URL; "" where it is none that may be fetched from.
func origin(s string) string {
	u, err := url.Parse(s)
	if err != nil || !Secure(u) {
		return ""
	}
	return u.Scheme + "://" + strings.ToLower(u.Host)
}

// add gives claims with those that stand elsewhere and that the configuration needs. What the token says itself is not replaced.
func (s *sources) add(ctx context.Context, claims map[string]any) (map[string]any, error) {
	names, there := claims["_claim_names"]
	if !there {
		return claims, nil
	}
	where, ok := names.(map[string]any)
	all, ok2 := claims["_claim_sources"].(map[string]any)
	if !ok || !ok2 {
		return nil, refuse(Claims, "_claim_names and _claim_sources are not what OpenID Connect Core 5.6.2 has them be")
	}
	out, got := maps.Clone(claims), map[string]map[string]any{}
	for _, name := range s.needed {
		source, there := where[name].(string)
		if _, said := claims[name]; !there || said {
			if where[name] != nil && !said {
				return nil, refuse(Claims, "_claim_names does not say where %q is", name)
			}
			continue
		}
		from, ok := all[source].(map[string]any)
		if !ok {
			return nil, refuse(Claims, "_claim_sources does not have %q", shown(source))
		}
		if got[source] == nil {
			if len(got) == maxSources {
				return nil, refuse(Claims, "more than %d sources", maxSources)
			}
			found, err := s.ask(ctx, from, claims["sub"])
			if err != nil {
				return nil, err
			}
			got[source] = found
		}
		if v, there := got[source][name]; there {
			out[name] = v
		}
	}
	return out, nil
}

func (s *sources) ask(ctx context.Context, from map[string]any, sub any) (map[string]any, error) {
	if token, ok := from["JWT"].(string); ok {
		return s.token(ctx, token, sub)
	}
	endpoint, _ := from["endpoint"].(string)
	if o := origin(endpoint); o == "" || !slices.Contains(s.origins, o) {
		return nil, refuse(Claims, "claims at %q are not fetched: it is not the issuer's host", shown(endpoint)).hint("name its origin in `claim_sources` where they may be")
	}
	bearer, _ := from["access_token"].(string)
	subject, _ := sub.(string)
	id := sha256.Sum256([]byte(endpoint + "\x00" + bearer + "\x00" + subject))
	now := s.p.now()
	had := s.p.answers
	had.mu.Lock()
	a, known := had.kept[id]
	had.mu.Unlock()
	if known && now.Before(a.until) {
		return a.claims, a.err
	}
	select {
	case had.room <- struct{}{}:
		defer func() { <-had.room }()
	case <-ctx.Done():
		return nil, &Refusal{Check: Claims, Detail: "the sources of claims are busy", Later: true, Err: ctx.Err()}
	}
	a = answer{until: now.Add(sourceAge)}
	if a.claims, a.err = s.fetch(ctx, endpoint, bearer, sub); a.err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) { // it was given less than its time, waiting for others
			return nil, a.err
		}
		a.until = now.Add(sourceRest)
	}
	had.mu.Lock()
	defer had.mu.Unlock()
	if len(had.kept) >= mostKept {
		maps.DeleteFunc(had.kept, func(_ [sha256.Size]byte, a answer) bool { return !now.Before(a.until) })
	}
	if len(had.kept) >= mostKept {
		clear(had.kept)
	}
	had.kept[id] = a
	return a.claims, a.err
}

func (s *sources) fetch(ctx context.Context, endpoint, bearer string, sub any) (map[string]any, error) {
	// To the end also where who asked goes away: the answer is for them too, when they come again.
	limit := sourceTime
	if end, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(end))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	status, text, contentType, err := fetch(ctx, s.p.client, endpoint, bearer)
	if err != nil || status != http.StatusOK {
		return nil, &Refusal{Check: Claims, Detail: "claims cannot be fetched from " + origin(endpoint), Err: err,
			Later: err != nil || status >= http.StatusInternalServerError || status == http.StatusTooManyRequests}
	}
	if kind, _, _ := mime.ParseMediaType(contentType); kind != "application/json" {
		return s.token(ctx, strings.TrimSpace(string(text)), sub)
	}
	claims, err := parseObject(text)
	if err != nil {
		return nil, err
	}
	return claims, same(claims, sub)
}

// token gives the claims of a token within a token. It is of the same issuer, and, where it names somebody, of the same person.
func (s *sources) token(ctx context.Context, raw string, sub any) (map[string]any, error) {
	h, claims, err := decode(raw)
	if err != nil {
		return nil, err
	}
	if claims["iss"] != any(s.p.Issuer) {
		return nil, refuse(Claims, "claims of another issuer are not taken")
	}
	if claims, err = s.p.verified(ctx, h, raw); err != nil {
		return nil, err
	}
	if _, there := claims["exp"]; there {
		if _, err := s.p.times(claims, true); err != nil {
			return nil, err
		}
	}
	return claims, same(claims, sub)
}

func same(claims map[string]any, sub any) error {
	if other, there := claims["sub"]; there && other != sub {
		return refuse(Claims, "claims of somebody else")
	}
	return nil
}
