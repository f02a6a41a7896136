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
	"sallyport/internal/gateway"
	"sallyport/internal/web"
)

// webDoor is the door for people, listening.
type webDoor struct {
	ln    net.Listener
	http  *http.Server
	pages *web.Server
}

// openWeb opens the door for people on a socket that is there.
func openWeb(core *gateway.Gateway, cfg *config.Config, ln net.Listener, c certs, log *slog.Logger) (*webDoor, error) {
	w := cfg.File.Listen.Web
	stepUp := web.DefaultStepUp
	if w.StepUp != nil {
		if stepUp = time.Duration(*w.StepUp); stepUp == 0 {
			stepUp = -1
		}
	}
	pages, err := web.New(core, web.Options{Address: ln.Addr().String(), PublicURL: w.PublicURL, TLS: w.TLS != nil, Auditors: w.Auditors, Operators: w.Operators, StepUp: stepUp,
		Purposes: cfg.Purposes, NeedPurpose: cfg.File.Approvals.PurposeRequired, PGWire: pgwireAddress(cfg), MCP: mcpAddress(cfg), Authority: c.authority, Archive: archive(core, cfg, log), Log: log})
	if err != nil {
		return nil, err
	}
	d := &webDoor{ln: ln, pages: pages, http: &http.Server{Handler: besideSlack(cfg, pages.Handler()), TLSConfig: c.web, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: web.ReadTimeout,
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
func pgwireAddress(cfg *config.Config) *web.PGWireAddress {
	d := cfg.File.Listen.PGWire
	if d == nil {
		return nil
	}
	return &web.PGWireAddress{Address: d.Address, TLS: d.TLS != nil}
}

func mcpAddress(cfg *config.Config) *web.MCPAddress {
	d := cfg.File.Listen.MCP
	if d == nil {
		return nil
	}
	return &web.MCPAddress{URL: mcpURL(d, d.Address)}
}
