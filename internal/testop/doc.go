// Package testop starts OpenID Connect providers that others wrote, for tests: what internal/testidp believes about providers is
// thereby held against three that know nothing of this gateway. zitadel/oidc's example provider runs in the test's own process;
// node's oidc-provider and dex run as processes of their own, and only where `make providers` has installed them.
//
// A provider says in Lacks what it cannot do, so that a table over providers shows it instead of passing it over. Start at All;
// browser.go is the person who logs in.
package testop

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// TB is the part of testing.TB that is needed.
type TB interface {
	Helper()
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Part is something that providers do or lack.
type Part string

const (
	Code        Part = "authorization code with PKCE"
	Device      Part = "device flow"
	Own         Part = "client credentials"
	Exchange    Part = "token exchange with act"
	Resource    Part = "resource indicators"
	Refresh     Part = "refresh"
	Rotation    Part = "key rotation"
	BackChannel Part = "back-channel logout"
	Groups      Part = "groups"
	Typ         Part = "typ at+jwt"
	Loopback    Part = "any port of loopback for the command (RFC 8252)"
	Access      Part = "access tokens that are no ID tokens"
)

// Parts are all of them, in the order of tables.
var Parts = []Part{Code, Device, Own, Exchange, Resource, Refresh, Rotation, BackChannel, Groups, Typ, Loopback, Access}

// Wish is what the provider is to know of the gateway.
type Wish struct {
	Audience    string // of access tokens: the URL of the agents' door
	Callback    string // redirect URI of the gateway's web door
	BackChannel string // its back-channel logout URI; "" for none
}

// Every provider knows these clients and people. Ada's groups are staff and support, Bob's staff, where it has groups.
const (
	Web       = "gateway" // the web door's client, with WebSecret
	Command   = "command" // the command's: public, loopback redirects, device flow
	App       = "app"     // of an agents' runtime: gets tokens of people for Audience, refreshes and exchanges them; with AppSecret
	Bot       = "bot"     // an agent of its own (client credentials), with BotSecret; its tokens are for Audience
	WebSecret = "gateway-secret-0123456789abcdef"
	AppSecret = "app-secret-0123456789abcdef"
	BotSecret = "bot-secret-0123456789abcdef"
	Ada, Bob  = "ada", "bob"
	Password  = "correct horse"
)

// Elsewhere is an audience that is not the gateway's.
const Elsewhere = "https://elsewhere.example/mcp"

var groups = map[string][]string{Ada: {"staff", "support"}, Bob: {"staff"}}

// Provider is one that runs until the test ends.
type Provider struct {
	Name, Issuer string
	// User and GroupsClaim are paths into claims, as in identity.providers of the configuration.
	UserClaim, GroupsClaim string
	Lacks                  map[Part]string // why
	// Audience is what access tokens for the gateway have in aud; not the wish, where the provider chooses by itself.
	Audience string
	// Names are how the gateway is to call ada and bob, without a prefix.
	Names map[string]string
	// GroupsOf are the provider's names of their groups.
	GroupsOf map[string][]string
	// Scope asks for what App's tokens of people are to have, beside openid; LoginScope is what a log-in has to ask for beside openid,
	// profile and email.
	Scope, LoginScope string

	rotate func(keep bool) error
}

// Has reports whether it can do something.
func (p *Provider) Has(part Part) bool { _, lacks := p.Lacks[part]; return !lacks }

// Rotate makes it sign with a new key. The old one stays published when keep is set.
func (p *Provider) Rotate(keep bool) error {
	if p.rotate == nil {
		return fmt.Errorf("%s: %s", p.Name, p.Lacks[Rotation])
	}
	return p.rotate(keep)
}

// Start starts a provider. Its error is a NotInstalled where `make providers` has to run first.
type Start func(t TB, w Wish) (*Provider, error)

// All are the providers by name, in the order of tables.
var All = []struct {
	Name  string
	Start Start
}{{"zitadel", Zitadel}, {"node", Node}, {"dex", Dex}}

// ErrNotInstalled says that a provider is missing, and how to get it.
var ErrNotInstalled = errors.New("not installed: `make providers` installs it")

// installed gives the path of something that `make providers` puts into the cache folder.
func installed(path ...string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	file := filepath.Join(append([]string{cache, "sallyport-test", "providers"}, path...)...)
	if _, err := os.Stat(file); err != nil {
		return "", fmt.Errorf("%s: %w", path[len(path)-1], ErrNotInstalled)
	}
	return file, nil
}
