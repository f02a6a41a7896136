package main

import (
	"context"
	"fmt"
	"log/slog"

	"sallyport/internal/config"
	"sallyport/internal/identity/oidc"
)

// lookAtProviders asks each provider of the configuration who it is and by which keys it signs.
func lookAtProviders(ctx context.Context, cfg *config.Config) ([]oidc.Looked, error) {
	if len(cfg.Providers) == 0 {
		return nil, nil
	}
	ps, err := oidc.Open(oidc.Options{Providers: cfg.Providers, Audience: cfg.Audience(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	defer ps.Close()
	return ps.Look(ctx), nil
}

// providers prints what the providers answered and gives the number of problems. One that does not answer is none of the configuration's.
func (o *checkOptions) providers(ctx context.Context, cfg *config.Config) (problems int, err error) {
	looked, err := lookAtProviders(ctx, cfg)
	for _, l := range looked {
		switch {
		case l.Err == nil:
			fmt.Fprintf(o.out, "provider       %s: %s for signatures (%s)\n", printable(l.Provider), count(l.Keys, "key"), printable(l.Issuer))
			continue
		case !l.Down:
			problems++
			fmt.Fprintf(o.out, "  ! provider %s: %s\n", printable(l.Provider), printable(l.Err.Error()))
		default:
			fmt.Fprintf(o.out, "  · warning: provider %s: %s\n", printable(l.Provider), printable(l.Err.Error()))
		}
		if l.Hint != "" {
			fmt.Fprintf(o.out, "    hint: %s\n", printable(l.Hint))
		}
	}
	return problems, err
}

// lookAround tells the log of providers by which nobody can log in as they are: else the first who tries learns of it. It ends with ctx, or
// within seconds.
func (g *gate) lookAround(ctx context.Context, cfg *config.Config) {
	looked, err := lookAtProviders(ctx, cfg)
	if err != nil {
		g.log.Warn("the identity providers were not looked at", "error", err)
	}
	for _, l := range looked {
		if l.Err != nil && ctx.Err() == nil {
			g.log.Warn("nobody can log in by an identity provider", "provider", l.Provider, "error", l.Err, "hint", l.Hint)
		}
	}
}
