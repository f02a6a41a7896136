package mcp

import (
	"maps"
	"slices"

	"sallyport/internal/access"
	"sallyport/mcp/internal/front"
)

// resource is what clients are told of this door: the providers of the core as they are now, and nothing that a request says.
func (s *Server) resource() front.Resource {
	r := front.Resource{URL: s.opt.Resource, Documentation: s.opt.Documentation}
	providers := s.core.Providers()
	scopes, basic := map[string]bool{}, map[string]bool{}
	for _, p := range providers {
		r.Servers = append(r.Servers, p.Issuer)
		for scope, actions := range p.Scopes {
			scopes[scope] = scopes[scope] || len(actions) > 0
		}
		if p.Scopes != nil {
			// The least that an agent can work with: more is asked for when it is needed.
			basic[access.Proof{Grants: p.Scopes}.Wants(access.ActRead)] = true
		}
	}
	delete(basic, "")
	maps.DeleteFunc(scopes, func(_ string, lets bool) bool { return !lets })
	r.Scopes, r.Basic = slices.Sorted(maps.Keys(scopes)), slices.Sorted(maps.Keys(basic))
	return r
}
