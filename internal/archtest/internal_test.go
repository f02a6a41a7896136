package archtest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A door that imports the upstream package is not a matter of review: it does not compile. The
// packages exist in an overlay only, so the tree stays clean.
func TestDoorsCannotCompileAgainstUpstream(t *testing.T) {
	const upstream = "sallyport/internal/gateway/internal/upstream"
	for _, door := range []string{"proxy/sneak", "mcp/sneak", "cmd/sneak", "internal/web/sneak"} {
		t.Run(door, func(t *testing.T) {
			out, err := build(t, door, "package sneak\n\nimport _ \""+upstream+"\"\n")
			if err == nil {
				t.Fatalf("%s compiles with an import of %s", door, upstream)
			}
			if want := "use of internal package " + upstream + " not allowed"; !strings.Contains(out, want) {
				t.Errorf("it failed for another reason:\n%s", out)
			}
		})
	}
	// The overlay itself works: the same package with a permitted import compiles.
	if out, err := build(t, "proxy/sneak", "package sneak\n\nimport _ \"sallyport/internal/access\"\n"); err != nil {
		t.Errorf("control: %v\n%s", err, out)
	}
}

// build compiles a package that exists only for this call.
func build(t *testing.T, pkg, source string) (string, error) {
	t.Helper()
	dir, top := t.TempDir(), root(t)
	file := filepath.Join(dir, "sneak.go")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(top, pkg, "sneak.go"): file}})
	if err != nil {
		t.Fatal(err)
	}
	overlayFile := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlayFile, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-overlay", overlayFile, "./"+pkg)
	cmd.Dir = top
	out, err := cmd.CombinedOutput()
	return string(out), err
}
