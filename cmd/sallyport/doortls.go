package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"time"

	"sallyport/internal/balancer"
	"sallyport/internal/config"
	"sallyport/internal/tlsconf"
)

// certs are what the doors show for certificates; nil where a door has none.
type certs struct {
	pgwire, mcp, web *tls.Config
	// authority is the certificate, PEM, that clients check the PostgreSQL door's own one by; nil where it has another.
	authority []byte
	sources   []*tlsconf.Source
}

// look has all files looked at anew.
func (c *certs) look() {
	for _, s := range c.sources {
		s.Look()
	}
}

// doorOf is a door's TLS in the configuration.
type doorOf struct {
	name string
	tls  *config.TLS
}

// tlsDoors are the doors that have TLS.
func tlsDoors(cfg *config.Config) (doors []doorOf) {
	if p := cfg.File.Listen.PGWire; p != nil && p.TLS != nil {
		doors = append(doors, doorOf{"pgwire", p.TLS})
	}
	if m := cfg.File.Listen.MCP; m != nil && m.TLS != nil {
		doors = append(doors, doorOf{"mcp", m.TLS})
	}
	if w := cfg.File.Listen.Web; w != nil && w.TLS != nil {
		doors = append(doors, doorOf{"web", w.TLS})
	}
	return doors
}

// tlsDir is where the authority of own certificates is kept.
func tlsDir(cfg *config.Config) string { return filepath.Join(cfg.DataDir, "tls") }

// doorTLS opens the certificates of the doors, and makes those that are to be made.
func doorTLS(cfg *config.Config, log *slog.Logger) (c certs, err error) {
	var authority *tlsconf.Authority
	for _, d := range tlsDoors(cfg) {
		if d.tls.Own && authority == nil {
			if authority, err = tlsconf.OpenAuthority(tlsDir(cfg), nil); err != nil {
				return certs{}, err
			}
		}
		o := tlsconf.Options{Door: d.name, Cert: d.tls.Cert, Key: d.tls.Key, Names: d.tls.Names, MinVersion: d.tls.MinVersion, Log: log}
		if d.tls.Own {
			o.Own = authority
		}
		s, err := tlsconf.Open(o)
		if err != nil {
			return certs{}, err
		}
		c.sources = append(c.sources, s)
		switch d.name {
		case "pgwire":
			c.pgwire, c.authority = s.Config(), s.Authority()
		case "mcp":
			c.mcp = s.Config()
		case "web":
			c.web = s.Config()
		}
	}
	return c, nil
}

// checkTLS tells what the doors would show, without making anything, and gives the number of problems.
func checkTLS(out io.Writer, cfg *config.Config) (problems int) {
	for _, d := range tlsDoors(cfg) {
		if d.tls.Own {
			if err := tlsconf.CheckAuthority(tlsDir(cfg)); err != nil {
				problems++
				fmt.Fprintf(out, "  ! listen.%s.tls: %v\n", d.name, err)
			}
			continue
		}
		s, err := tlsconf.Open(tlsconf.Options{Door: d.name, Cert: d.tls.Cert, Key: d.tls.Key})
		if err != nil {
			problems++
			fmt.Fprintf(out, "  ! listen.%s.tls: %v\n", d.name, err)
			continue
		}
		now, leaf := time.Now(), s.Leaf()
		if text := tlsconf.Ending(leaf, now); text != "" {
			mark := "·"
			if now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) {
				problems++
				mark = "!"
			}
			fmt.Fprintf(out, "  %s listen.%s.tls: the %s: it is for %s to %s\n", mark, d.name, text, leaf.NotBefore.UTC().Format(time.RFC3339), leaf.NotAfter.UTC().Format(time.RFC3339))
		}
	}
	return problems
}

// behind has a door's clients told by the load balancers before it, where the configuration names any.
func behind(ln net.Listener, p *config.ProxyProtocol, door string, log *slog.Logger) net.Listener {
	if from := p.Prefixes(); len(from) > 0 {
		return balancer.Listen(ln, from, log.With("door", door))
	}
	return ln
}
