package main

import (
	"context"
	"log/slog"
	"slices"

	"sallyport/internal/access"
	"sallyport/internal/config"
	"sallyport/internal/gateway"
)

// webScratch is a core by the files on disk for the cases of one question. The first case that needs it opens it, and no other does again:
// where it does not open, each says so.
type webScratch struct {
	path string
	only []string // connections that the cases are about: no other database is asked
	log  *slog.Logger

	opened chan struct{} // closed once the others are set; nil: nobody has asked
	core   *gateway.Gateway
	done   func()
	err    error
}

// get waits for the core until ctx ends: each database that does not answer takes its own time.
func (s *webScratch) get(ctx context.Context) (*gateway.Gateway, error) {
	if s.opened == nil {
		s.opened = make(chan struct{})
		go func() {
			defer close(s.opened)
			s.core, s.done, s.err = s.open(context.WithoutCancel(ctx))
		}()
	}
	select {
	case <-s.opened:
		return s.core, s.err
	case <-ctx.Done():
		return nil, &access.Error{Kind: access.Unavailable, Message: "the databases of these cases did not answer in time", Err: ctx.Err()}
	}
}

func (s *webScratch) open(ctx context.Context) (*gateway.Gateway, func(), error) {
	cfg, err := config.Load(s.path) // with the DSNs
	if err != nil {
		return nil, nil, unsound(err)
	}
	cfg.Providers = nil // nobody logs in
	cfg.Connections = slices.DeleteFunc(cfg.Connections, func(c access.Connection) bool { return !slices.Contains(s.only, c.Name) })
	core, done, err := scratchCore(ctx, cfg)
	if err != nil {
		// The page's readers need not know what the cause may quote.
		s.log.Warn("cases not judged by the files on disk", "door", "web", "error", err)
		return nil, nil, &access.Error{Kind: access.Unavailable, Message: "the files on disk do not open as a gateway: the operator's log says why", Err: err}
	}
	return core, done, nil
}

// close closes the core, and calls after once nothing of it is left: a core that is still being opened is waited for, but not here.
func (s *webScratch) close(after func()) {
	if s.opened == nil {
		after()
		return
	}
	end := func() {
		<-s.opened
		if s.done != nil {
			s.done()
		}
		after()
	}
	select {
	case <-s.opened:
		end()
	default:
		go end()
	}
}
