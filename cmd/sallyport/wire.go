package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/config"
	"sallyport/internal/gateway"
	"sallyport/sqlguard/policy"
)

// coreConfig puts the configuration in the words of the core.
func coreConfig(cfg *config.Config, log *slog.Logger) gateway.Config {
	var model gateway.Recogniser
	if m := cfg.File.Detectors.Model; m != nil {
		model = gateway.Recogniser{URL: m.URL, Timeout: time.Duration(m.Timeout), Language: m.Language, MinScore: m.Least(), Entities: m.Entities}
	}
	return gateway.Config{
		DataDir:            cfg.DataDir,
		Connections:        cfg.Connections,
		Principals:         cfg.Principals,
		Labels:             cfg.Labels,
		Masks:              cfg.Masks,
		Policies:           policyFiles(cfg),
		PhoneRegions:       cfg.File.Detectors.PhoneRegions,
		Model:              model,
		Approvals:          approvals(cfg),
		CatalogRefresh:     time.Duration(cfg.File.CatalogRefresh),
		Providers:          cfg.Providers,
		Audience:           cfg.Audience(),
		CredentialLifetime: time.Duration(cfg.File.Identity.CredentialLifetime),
		DSN:                cfg.DSN,
		DSNRefresh:         time.Duration(cfg.File.SecretsRefresh),
		Log:                log,
	}
}

// approvals puts how statements wait for a person in the words of the core.
func approvals(cfg *config.Config) gateway.Approvals {
	f := cfg.File.Approvals
	a := gateway.Approvals{Pending: time.Duration(f.Pending), Claim: time.Duration(f.Claim), Heartbeat: time.Duration(f.Heartbeat), Guesses: f.Guesses, BreakGlass: f.BreakGlass,
		NeedPurpose: f.PurposeRequired, Groups: map[string]gateway.ReviewNeed{}, Purposes: map[string]string{}}
	if f.Wait != nil {
		if a.Wait = time.Duration(*f.Wait); a.Wait == 0 {
			a.Wait = -1
		}
	}
	if f.Preview != nil {
		if a.Preview = time.Duration(*f.Preview); a.Preview == 0 {
			a.Preview = -1
		}
	}
	for name, g := range f.Groups {
		a.Groups[name] = gateway.ReviewNeed{Quorum: g.Quorum, Escalate: g.Escalate, After: time.Duration(g.EscalateAfter)}
	}
	for _, p := range cfg.Purposes {
		a.Purposes[p.ID] = p.LawfulBasis
	}
	if w := cfg.File.Listen.Web; w != nil {
		a.URL = webURL(w)
	}
	return a
}

// webURL is how people reach the reviewers' door.
func webURL(w *config.Web) string {
	if w.PublicURL != "" {
		return strings.TrimSuffix(w.PublicURL, "/")
	}
	scheme := "http"
	if w.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + w.Address
}

func policyFiles(cfg *config.Config) []gateway.PolicyFile {
	files := make([]gateway.PolicyFile, len(cfg.Policies))
	for i, p := range cfg.Policies {
		files[i] = gateway.PolicyFile{Name: p.Name, Text: p.Text}
	}
	return files
}

func loadPolicies(cfg *config.Config) (*policy.Set, error) {
	files := make([]policy.File, len(cfg.Policies))
	for i, p := range cfg.Policies {
		files[i] = policy.File{Name: p.Name, Text: p.Text}
	}
	set, err := policy.Load(files)
	if err != nil {
		return nil, err
	}
	purposes := set.Purposes()
	for _, id := range slices.Sorted(maps.Keys(purposes)) {
		if !slices.ContainsFunc(cfg.Purposes, func(p access.Purpose) bool { return p.ID == purposes[id] }) {
			return nil, fmt.Errorf("policy %s refers to the purpose %s, which `purposes` of %s does not have", id, purposes[id], cfg.Path)
		}
	}
	return set, nil
}

// scratchCore opens a core that leaves no trace: for commands that only ask what would happen, beside
// a running gateway that holds the data directory. done closes it.
func scratchCore(ctx context.Context, cfg *config.Config) (core *gateway.Gateway, done func(), err error) {
	dir, err := os.MkdirTemp("", "sallyport-check-")
	if err != nil {
		return nil, nil, err
	}
	c := coreConfig(cfg, slog.New(slog.DiscardHandler))
	c.DataDir = dir
	if core, err = gateway.Open(ctx, c); err != nil {
		os.RemoveAll(dir)
		return nil, nil, err
	}
	return core, func() {
		core.Close()
		os.RemoveAll(dir)
	}, nil
}
