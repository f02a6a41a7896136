package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"sallyport/internal/config"
	"sallyport/internal/web"
)

// webDoor is the door for people, listening.
type webDoor struct {
	ln    net.Listener
	http  *http.Server
	pages *web.Server
}

// openWeb opens the door for people on a socket that is there.
func openWeb(g *gate, cfg *config.Config) (*webDoor, error) {
	core, ln, log := g.core, g.webLn, g.log
	w := cfg.File.Listen.Web
	stepUp := web.DefaultStepUp
	if w.StepUp != nil {
		if stepUp = time.Duration(*w.StepUp); stepUp == 0 {
			stepUp = -1
		}
	}
	pages, err := web.New(core, web.Options{Address: ln.Addr().String(), PublicURL: w.PublicURL, TLS: w.TLS != nil, Auditors: w.Auditors, Operators: w.Operators, StepUp: stepUp,
		Purposes: cfg.Purposes, NeedPurpose: cfg.File.Approvals.PurposeRequired, PGWire: g.pgwireAddress(cfg), MCP: g.mcpAddress(), Authority: g.certs.authority, Archive: archive(core, cfg, log), Log: log})
	if err != nil {
		return nil, err
	}
	d := &webDoor{ln: ln, pages: pages, http: &http.Server{Handler: besideSlack(g.out.slack, pages.Handler()), TLSConfig: g.certs.web, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: web.ReadTimeout,
		WriteTimeout: web.WriteTimeout, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: web.MaxHeader, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}}
	limitConnections(d.http, httpConnections, log.With("door", "web"))
	return d, nil
}

func (d *webDoor) serve() error {
	serve := func() error { return d.http.Serve(d.ln) }
	if d.http.TLSConfig != nil {
		serve = func() error { return d.http.ServeTLS(d.ln, "", "") }
	}
	if err := serve(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("the web door failed: %w", err)
	}
	return nil
}

// shutdown lets running requests end until ctx does.
func (d *webDoor) shutdown(ctx context.Context) error {
	d.pages.Shutdown()
	defer d.pages.Close()
	if err := d.http.Shutdown(ctx); err != nil {
		return d.http.Close()
	}
	return nil
}

// pgwireAddress and mcpAddress are where the other doors are, for those who log in to use them.
func (g *gate) pgwireAddress(cfg *config.Config) *web.PGWireAddress {
	d := cfg.File.Listen.PGWire
	if d == nil {
		return nil
	}
	// The name is the configuration's, which certificates are for; the port may have been chosen when the door opened.
	host, _, err := net.SplitHostPort(d.Address)
	_, port, err2 := net.SplitHostPort(g.pgAddr)
	if err != nil || err2 != nil {
		return &web.PGWireAddress{Address: g.pgAddr, TLS: d.TLS != nil}
	}
	return &web.PGWireAddress{Address: net.JoinHostPort(host, port), TLS: d.TLS != nil}
}

func (g *gate) mcpAddress() *web.MCPAddress {
	if g.mcpURL == "" {
		return nil
	}
	return &web.MCPAddress{URL: g.mcpURL}
}
