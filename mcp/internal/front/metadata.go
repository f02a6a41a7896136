package front

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Resource is what clients are told of this door as an OAuth 2.0 protected resource (RFC 9728). All of it comes from the
// configuration and nothing from a request: whoever could choose a URL in it would have tokens sent there.
type Resource struct {
	// URL is the resource identifier (RFC 8707): the URL of the endpoint, which access tokens must be for.
	URL string
	// Servers are the issuers of the providers. Without any this is no protected resource, and clients are not told of one.
	Servers []string
	// Scopes are those that let something be done; Basic are those that a client should ask for first (both sorted).
	Scopes, Basic []string
	// Documentation is the URL of a page for people who write clients, or "".
	Documentation string
}

const wellKnown = "/.well-known/oauth-protected-resource"

// metadataURL is where the metadata of a resource is: the well-known path between host and path of its URL (RFC 9728 section 3.1).
func (r Resource) metadataURL() string {
	u, err := url.Parse(r.URL)
	if err != nil || len(r.Servers) == 0 || u.Host == "" {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: wellKnown + strings.TrimSuffix(u.Path, "/")}).String()
}

// document is the metadata, or nil where there is none.
func (r Resource) document() []byte {
	if r.metadataURL() == "" {
		return nil
	}
	doc := map[string]any{"resource": r.URL, "authorization_servers": r.Servers, "bearer_methods_supported": []string{"header"}, "resource_name": "Sallyport"}
	if len(r.Scopes) > 0 {
		doc["scopes_supported"] = r.Scopes
	}
	if r.Documentation != "" {
		doc["resource_documentation"] = r.Documentation
	}
	b, err := json.Marshal(doc)
	if err != nil {
		return nil // strings only: cannot fail
	}
	return b
}

// isMetadata says whether a path is one of those where clients look: with the path of this endpoint, with that of the resource's URL
// as others reach it, and without any.
func (r Resource) isMetadata(path string) bool {
	if path == wellKnown || path == wellKnown+Path {
		return true
	}
	u, err := url.Parse(r.metadataURL())
	return err == nil && u.Path != "" && path == u.Path
}

// metadata answers with what anybody may know, pages of whatever origin too. A browser asks beforehand because clients name their
// protocol version in a header of their own.
func (f *Front) metadata(w http.ResponseWriter, r *http.Request) {
	doc := f.opt.Resource().document()
	if doc == nil {
		refuse(w, http.StatusNotFound, "this gateway has no identity provider: its operator gives tokens out")
		return
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		h.Set("Content-Type", "application/json")
		if r.Method == http.MethodGet {
			_, _ = w.Write(doc) // a client that has gone needs no answer
		}
	case http.MethodOptions:
		h.Set("Access-Control-Allow-Methods", "GET, HEAD")
		h.Set("Access-Control-Allow-Headers", "MCP-Protocol-Version")
		w.WriteHeader(http.StatusNoContent)
	default:
		h.Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, "this document takes GET and HEAD")
	}
}

// challenge is a WWW-Authenticate header of scheme Bearer (RFC 6750 section 3, RFC 9728 section 5.1).
type challenge struct {
	code, description string // "" where nothing was wrong with a token: there was none
	scopes            []string
}

func (c challenge) header(r Resource) string {
	var b strings.Builder
	b.WriteString(`Bearer realm="sallyport"`)
	add := func(name, value string) {
		if value != "" {
			b.WriteString(", " + name + `="` + quotable(value) + `"`)
		}
	}
	add("error", c.code)
	add("error_description", c.description)
	scopes := slices.DeleteFunc(slices.Clone(c.scopes), func(s string) bool { return s == "" || quotable(s) != s || strings.Contains(s, " ") })
	add("scope", strings.Join(scopes, " "))
	add("resource_metadata", r.metadataURL())
	return b.String()
}

// quotable leaves out what would end the quoted string of a header, or the header: a provider chooses the names of scopes, and a
// configuration may hold anything.
func quotable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return -1
		}
		return c
	}, s)
}
