package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"sallyport/audit/export"
	"sallyport/internal/config"
	"sallyport/internal/notify/slack"
)

// outward is what sends records and words elsewhere: exporters and channels. Where the configuration of either, or a secret that it names, is
// another, they are made anew, and go on behind their cursors as after a restart.
type outward struct {
	dataDir string
	link    string // where requests are decided; "": nowhere
	slack   *slack.Handler
	log     *slog.Logger

	mu     sync.Mutex // guards the fields below; held while sets are replaced
	cfg    *config.Config
	sets   []*outlet
	closed bool

	stop  context.CancelFunc // ends the refreshing, and the commands that it runs; nil where there is none
	tasks sync.WaitGroup
}

// outlet is the exporters or the channels.
type outlet struct {
	what string
	key  string // of the configuration
	open func(*config.Config) (*export.Set, error)
	of   func(*config.Config) (list any, files []*config.ClientTLS)
	set  *export.Set // nil where there are none
	made [sha256.Size]byte
}

// openOutward makes ready what the configuration names. start runs it.
func openOutward(cfg *config.Config, log *slog.Logger) (*outward, error) {
	o := &outward{dataDir: cfg.DataDir, log: log, cfg: cfg}
	if w := cfg.File.Listen.Web; w != nil {
		o.link = webURL(w)
	}
	o.slack = slack.New(slackSecrets(cfg), o.link)
	o.sets = []*outlet{
		{what: "channels", key: "notify", open: o.openChannels, of: func(c *config.Config) (any, []*config.ClientTLS) {
			var files []*config.ClientTLS
			for _, n := range c.Channels {
				files = append(files, n.TLS)
			}
			return c.Channels, files
		}},
		{what: "exporters", key: "export", open: o.openExports, of: func(c *config.Config) (any, []*config.ClientTLS) {
			var files []*config.ClientTLS
			for _, e := range c.Exports {
				files = append(files, e.TLS)
			}
			return c.Exports, files
		}},
	}
	for _, l := range o.sets {
		var err error
		if l.made, err = l.fingerprint(cfg); err == nil {
			l.set, err = l.open(cfg)
		}
		if err != nil {
			return nil, errors.Join(err, o.close(context.Background()))
		}
	}
	return o, nil
}

// start runs it all; secrets are read again every so often, unless that is 0.
func (o *outward) start(refresh time.Duration) {
	for _, l := range o.sets {
		if l.set != nil {
			l.set.Start()
		}
	}
	if refresh <= 0 {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	o.stop = stop
	o.tasks.Go(func() {
		tick := time.NewTicker(refresh)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				o.refresh(ctx)
			case <-ctx.Done():
				return
			}
		}
	})
}

// fingerprint is what an outlet is made of, secrets and the files of its TLS included.
func (l *outlet) fingerprint(cfg *config.Config) (sum [sha256.Size]byte, err error) {
	list, files := l.of(cfg)
	h := sha256.New()
	if err := json.NewEncoder(h).Encode(list); err != nil {
		return sum, err
	}
	for _, t := range files {
		if t == nil {
			continue
		}
		for _, path := range []string{t.CA, t.Cert, t.Key} {
			text, err := os.ReadFile(path)
			if err != nil && path != "" {
				text = []byte(err.Error()) // opening it says so too
			}
			fmt.Fprintf(h, "%d:%s", len(text), text)
		}
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// look has exporters and channels that are stopped look again.
func (o *outward) look() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, l := range o.sets {
		if l.set != nil {
			l.set.Look()
		}
	}
}

// refresh reads secrets again, from where the configuration in force says, until ctx ends.
func (o *outward) refresh(ctx context.Context) {
	o.mu.Lock()
	defer o.mu.Unlock()
	next, err := o.cfg.Receivers(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		o.log.Warn("the secrets of exporters and channels were not read again: the old ones stay", "error", err)
		return
	}
	o.take(next)
}

// reload puts another configuration in force, and gives the keys of what was made anew by it.
func (o *outward) reload(cfg *config.Config) (changed []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cfg = cfg
	return o.take(cfg)
}

// take is called under the lock, and gives the keys of what it made anew. What cannot be opened leaves what there was.
func (o *outward) take(cfg *config.Config) (changed []string) {
	if o.closed {
		return nil
	}
	for _, l := range o.sets {
		made, err := l.fingerprint(cfg)
		if err == nil && made == l.made {
			continue
		}
		var next *export.Set
		if err == nil {
			next, err = l.open(cfg)
		}
		if err != nil {
			o.log.Error(l.what+" not made anew: the old ones go on", "error", err)
			continue
		}
		if l.set != nil {
			ctx, cancel := context.WithTimeout(context.Background(), exportDrain)
			if err := l.set.Close(ctx); err != nil {
				o.log.Warn(l.what+" of before did not close cleanly", "error", err)
			}
			cancel()
		}
		if l.set, l.made = next, made; next != nil {
			next.Start()
		}
		changed = append(changed, l.key)
		o.log.Info(l.what + " made anew: their configuration or a secret is another")
	}
	o.slack.Trust(slackSecrets(cfg))
	return changed
}

// close ends them all when each has sent what is on record, or when ctx ends.
func (o *outward) close(ctx context.Context) error {
	if o.stop != nil {
		o.stop()
	}
	o.tasks.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	var errs []error
	for _, l := range o.sets {
		if l.set != nil {
			errs = append(errs, l.set.Close(ctx))
		}
	}
	return errors.Join(errs...)
}
