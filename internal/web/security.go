package web

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// site is what this door is called from outside.
type site struct {
	secure  bool     // people reach it by HTTPS
	strict  bool     // browsers tell a request's origin whatever the referrer policy: HTTPS, or this machine
	names   []string // hosts that it answers to
	anyIP   bool     // it listens everywhere: any address of this machine is its name
	origins []string // beside the origin that Host says
}

func newSite(o Options) (site, error) {
	host, _, err := net.SplitHostPort(o.Address)
	if err != nil {
		return site{}, fmt.Errorf("the address of the web door: %w", err)
	}
	s := site{secure: o.TLS}
	ip := net.ParseIP(host)
	loopback := host == "localhost" || ip != nil && ip.IsLoopback()
	switch {
	case loopback:
		s.names = []string{"localhost", "127.0.0.1", "::1"}
	case host == "" || ip != nil && ip.IsUnspecified():
		s.names, s.anyIP = []string{"localhost"}, true
	default:
		s.names = []string{strings.ToLower(host)}
	}
	if o.PublicURL != "" {
		u, err := url.Parse(o.PublicURL)
		if err != nil {
			return site{}, fmt.Errorf("the public URL of the web door: %w", err)
		}
		s.secure = s.secure || u.Scheme == "https"
		s.names = append(s.names, strings.ToLower(u.Hostname()))
		s.origins = append(s.origins, u.Scheme+"://"+strings.ToLower(u.Host))
	}
	s.strict = s.secure || loopback
	return s, nil
}

// baseOf is where people reach the door, without a slash at its end; "" where it listens everywhere and nobody said.
func baseOf(o Options) string {
	if o.PublicURL != "" {
		return strings.TrimSuffix(o.PublicURL, "/")
	}
	host, _, err := net.SplitHostPort(o.Address)
	if ip := net.ParseIP(host); err != nil || host == "" || ip != nil && ip.IsUnspecified() {
		return ""
	}
	if o.TLS {
		return "https://" + o.Address
	}
	return "http://" + o.Address
}

// is reports whether a Host header names this site. A page of another name that has been pointed at our address says that name.
func (s *site) is(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.Trim(name, "[]"))
	return name != "" && (slices.Contains(s.names, name) || s.anyIP && net.ParseIP(name) != nil)
}

// called reports whether a name is one of this site's, by what the configuration and the connection say, and not the request.
func (s *site) called(name string, r *http.Request) bool {
	if name = strings.ToLower(name); slices.Contains(s.names, name) {
		return true
	}
	at, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok || !s.anyIP {
		return false
	}
	host, _, err := net.SplitHostPort(at.String())
	ip := net.ParseIP(host)
	return err == nil && ip != nil && ip.Equal(net.ParseIP(name))
}

// ours reports whether a request that changes something was sent by a page of this site. Browsers say so in Sec-Fetch-Site, and
// those that do not in Origin; one that says neither is not believed.
func (s *site) ours(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	origin := strings.ToLower(r.Header.Get("Origin"))
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	return origin != "" && (origin == scheme+strings.ToLower(r.Host) || slices.Contains(s.origins, origin))
}

const (
	ownScript     = "default-src 'none'; script-src 'self'"
	allElse       = "; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
	contentPolicy = ownScript + allElse
	// playerPolicy is for the page with the player alone, which compiles WebAssembly that is in its script. It lets in no other script, and no eval.
	playerPolicy = ownScript + " 'wasm-unsafe-eval'" + allElse
)

// guard holds for every request, known or not.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()")
		if s.site.strict {
			h.Set("Referrer-Policy", "no-referrer")
		} else {
			// With no-referrer a browser that does not send Sec-Fetch-Site, which none does over plain HTTP, would send no Origin.
			h.Set("Referrer-Policy", "same-origin")
		}
		if s.site.secure {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		if !s.site.is(r.Host) {
			http.Error(w, "this is not the host that was asked for: use the address that the configuration gives (listen.web.public_url)", http.StatusMisdirectedRequest)
			return
		}
		whole(w, r)
		next.ServeHTTP(w, r)
	})
}
