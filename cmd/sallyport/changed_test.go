package main

import (
	"slices"
	"testing"

	"sallyport/internal/access"
	"sallyport/internal/config"
)

// What of a changed file waits for a restart is named, by the key to look at, and what is in force is not.
func TestWhatWaitsForARestart(t *testing.T) {
	was := config.File{DataDir: "d", Masks: map[string]config.Mask{"pii.a": {}, "pii.c": {}}, Connections: map[string]config.Connection{"shop": {DSN: "x"}},
		Listen: config.Listen{PGWire: &config.PGWire{Address: "127.0.0.1:1"}}}
	for _, c := range []struct {
		name   string
		change func(*config.File)
		want   []string
		grave  bool
	}{
		{"nothing", func(*config.File) {}, nil, false},
		{"a principal, a policy, a channel, an exporter, a provider", func(f *config.File) {
			f.Principals, f.Policies, f.Notify, f.Export = map[string]config.Principal{"a": {}}, []string{"p"}, []config.Notify{{}}, []config.Export{{}}
			f.Identity.Providers = []config.Provider{{Name: "corp"}}
		}, nil, false},
		{"a label", func(f *config.File) { f.Labels = []config.LabelRule{{}} }, []string{"labels"}, true},
		{"masks", func(f *config.File) { f.Masks = map[string]config.Mask{"pii.a": {}, "pii.b": {}} }, []string{"masks.pii.b", "masks.pii.c"}, true},
		{"a door", func(f *config.File) { f.Listen.PGWire = &config.PGWire{Address: "127.0.0.1:1", RequireTLS: true} }, []string{"listen.pgwire"}, true},
		{"a connection", func(f *config.File) {
			f.Connections = map[string]config.Connection{"shop": {DSN: "y"}, "crm": {DSN: "z"}}
		}, []string{"connections.crm", "connections.shop"}, true},
		{"patience", func(f *config.File) { f.Limits.DrainTimeout = 5 }, []string{"limits.drain_timeout"}, false},
		{"life", func(f *config.File) { f.Identity.CredentialLifetime = 5 }, []string{"identity.credential_lifetime"}, false},
	} {
		is := was
		c.change(&is)
		if got, serious := waiting(&was, &is); !slices.Equal(got, c.want) || serious != c.grave {
			t.Errorf("%s: %q, %v", c.name, got, serious)
		}
	}
	a, b := &config.Config{}, &config.Config{Principals: []access.LocalPrincipal{{Name: "a"}}, Policies: []config.Policy{{Name: "p"}}}
	b.File.Notify, b.File.Export = []config.Notify{{Name: "people"}}, []config.Export{{Name: "siem"}} // of which one could not be opened
	if got := putInForce(a, b, []string{"notify"}); !slices.Equal(got, []string{"notify", "policies", "principals"}) {
		t.Errorf("in force: %q", got)
	}
}
