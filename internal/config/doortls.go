package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
)

// TLS is what a door shows for a certificate: files, or one that the gateway makes. Files are read again when they change, at the next
// handshake and with SIGHUP.
type TLS struct {
	// Cert is a certificate with those between it and its authority, Key its key. Both are PEM files.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	// Own has the gateway make the certificate, under an authority of its own (DATA/tls), and renew it. Clients that are given that
	// authority's certificate as root can check it.
	Own bool `yaml:"own"`
	// Names are the host names and addresses of an own certificate, beside localhost, the door's address and the host of its
	// public_url.
	Names []string `yaml:"names"`
	// MinVersion is the oldest version of TLS that clients may speak: 1.2 or 1.3. Default 1.2.
	MinVersion string `yaml:"min_version"`
}

// ProxyProtocol has a door learn its clients' addresses from the load balancers before it, which begin each connection with a PROXY
// protocol header of version 2.
type ProxyProtocol struct {
	// From are the addresses and networks (10.0.0.0/8) of the balancers. They have to send the header; nobody else may.
	From []string `yaml:"from"`
}

// Prefixes are those of From; a nil p has none.
func (p *ProxyProtocol) Prefixes() (out []netip.Prefix) {
	if p == nil {
		return nil
	}
	for _, text := range p.From {
		if prefix, err := parsePrefix(text); err == nil {
			out = append(out, prefix)
		}
	}
	return out
}

// parsePrefix reads a network, or an address as the network of itself.
func parsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return a.Prefix(a.BitLen())
	}
	return netip.ParsePrefix(text)
}

// hostName is a DNS name, of which the first label may be a star.
var hostName = regexp.MustCompile(`^(\*\.)?([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

func (c *Config) doorTLS(d *document, door, host, publicURL string, t *TLS) {
	line := func(key string) int { return d.line("listen", door, "tls", key) }
	switch {
	case t.Own && (t.Cert != "" || t.Key != ""):
		d.add(line("own"), "`tls` has a certificate and `own: true`", "keep one of them")
	case !t.Own && (t.Cert == "" || t.Key == ""):
		d.add(d.line("listen", door, "tls"), "`tls` needs both `cert` and `key`", "or `own: true`, and the gateway makes them")
	case !t.Own && len(t.Names) > 0:
		d.add(line("names"), "`names` are of a certificate that the gateway makes", "say `own: true`, or leave them out: the file of `cert` has its own")
	}
	t.Cert, t.Key = c.abs(t.Cert), c.abs(t.Key)
	if !slices.Contains([]string{"", "1.2", "1.3"}, t.MinVersion) {
		d.add(line("min_version"), fmt.Sprintf("`%s` is no version of TLS that a door can demand", t.MinVersion), "1.2 or 1.3")
	}
	for i, n := range t.Names {
		if net.ParseIP(n) == nil && (!hostName.MatchString(n) || len(n) > 253) {
			d.add(d.line("listen", door, "tls", "names", fmt.Sprint(i)), fmt.Sprintf("`%s` is neither a host name nor an address", n), "for example db.example.com, or 192.0.2.7")
		}
	}
	if !t.Own {
		return
	}
	ip := net.ParseIP(host)
	everywhere := host == "" || ip != nil && ip.IsUnspecified()
	if everywhere && publicURL == "" && len(t.Names) == 0 {
		d.add(d.line("listen", door, "tls"), fmt.Sprintf("the certificate of the %s door would have no name that other machines know it by", door),
			"add `names: [...]`: what clients write as host")
	}
	t.Names = append([]string{"localhost", "127.0.0.1", "::1"}, t.Names...)
	if !everywhere {
		t.Names = append(t.Names, host)
	}
	if u, err := url.Parse(publicURL); err == nil && u.Hostname() != "" {
		t.Names = append(t.Names, u.Hostname())
	}
	slices.Sort(t.Names)
	t.Names = slices.Compact(t.Names)
}

// validate reads the networks; a nil p has none.
func (p *ProxyProtocol) validate(d *document, door string) {
	if p == nil {
		return
	}
	if len(p.From) == 0 {
		d.add(d.line("listen", door, "proxy_protocol"), "`proxy_protocol` names no load balancer", "add `from: [10.0.0.0/8]`: the addresses that it connects from")
	}
	for i, text := range p.From {
		line := d.line("listen", door, "proxy_protocol", "from", fmt.Sprint(i))
		prefix, err := parsePrefix(text)
		switch {
		case err != nil || prefix.Addr().Is4In6() || prefix.Addr().Zone() != "":
			d.add(line, fmt.Sprintf("`%s` is neither an address nor a network", text), "for example 10.0.0.0/8, or 192.0.2.7")
		case prefix != prefix.Masked():
			d.add(line, fmt.Sprintf("`%s` is an address within a network", text), fmt.Sprintf("the network is %s, the address alone %s", prefix.Masked(), prefix.Addr()))
		case prefix.Bits() == 0:
			d.add(line, fmt.Sprintf("`%s` lets everybody say who they are", text), "name the load balancers' addresses alone")
		}
	}
}
