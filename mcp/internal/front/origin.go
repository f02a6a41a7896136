package front

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
	sdk "github.com/mark3labs/mcp-go/server"
)

// hostAllowed defends against DNS rebinding: a page of evil.example whose name suddenly resolves to
// this machine sends "Host: evil.example". Names have to be listed; an address cannot be rebound.
func (f *Front) hostAllowed(r *http.Request) bool {
	host := hostname(r.Host)
	if isLoopbackName(host) || slices.ContainsFunc(f.opt.Hosts, func(h string) bool { return strings.EqualFold(h, host) }) {
		return true
	}
	_, err := netip.ParseAddr(host)
	return err == nil
}

// originAllowed lets through requests without an Origin, which no browser sends to another site, and
// those from listed origins. "null" (sandboxed frames, files) is an origin that nobody can list.
func (f *Front) originAllowed(r *http.Request) bool {
	values := r.Header.Values("Origin")
	if len(values) == 0 {
		return true
	}
	if len(values) > 1 || values[0] == "null" {
		return false
	}
	if slices.ContainsFunc(f.opt.Origins, func(o string) bool { return strings.EqualFold(o, values[0]) }) {
		return true
	}
	if !f.opt.LoopbackOrigins {
		return false
	}
	u, err := url.Parse(values[0])
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.Path != "" {
		return false
	}
	return isLoopback(hostname(u.Host))
}

// crossOrigin lets a page of an allowed origin read the answer, the challenge in it too, and answers what a browser asks before it
// sends such a page's request: that has no credentials, and does nothing. It reports whether that was all.
func (f *Front) crossOrigin(w http.ResponseWriter, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", origin)
	h.Add("Vary", "Origin")
	h.Set("Access-Control-Expose-Headers", "WWW-Authenticate, "+sdk.HeaderKeySessionID)
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" || r.URL.Path != Path {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "POST, DELETE")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, "+sdk.HeaderKeySessionID+", "+mcp.HeaderProtocolVersion+", Mcp-Method, Mcp-Name")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// hostname strips the port and the brackets of an IPv6 literal.
func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
}

func isLoopbackName(host string) bool { return strings.EqualFold(host, "localhost") }

func isLoopback(host string) bool {
	if isLoopbackName(host) {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
