package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// root is the module's folder.
func root(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(strings.TrimSpace(string(out)))
}

func packages(t *testing.T) []Package {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Name,Dir,GoFiles,CgoFiles,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = root(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []Package
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p Package
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 5 {
		t.Fatalf("go list found only %d packages", len(all))
	}
	return all
}

func TestImportsPointOneWay(t *testing.T) {
	for _, p := range packages(t) {
		for _, v := range violations(p) {
			t.Error(v)
		}
	}
}

// The rules themselves must be able to fail.
func TestRulesCatch(t *testing.T) {
	for name, p := range map[string]Package{
		"door_to_upstream":          {ImportPath: "sallyport/proxy/pgwire", Imports: []string{"sallyport/internal/gateway/internal/upstream"}},
		"door_to_guard":             {ImportPath: "sallyport/mcp", Imports: []string{"sallyport/sqlguard"}},
		"door_dials":                {ImportPath: "sallyport/proxy/pgwire", Imports: []string{"github.com/jackc/pgx/v5/pgconn"}},
		"leaf_to_leaf":              {ImportPath: "sallyport/mask", Imports: []string{"sallyport/sqlguard/postgres"}},
		"leaf_up":                   {ImportPath: "sallyport/audit", Imports: []string{"sallyport/internal/gateway"}},
		"nouns_import_ours":         {ImportPath: "sallyport/internal/access", Imports: []string{"sallyport/internal/pgframe"}},
		"config_imports_core":       {ImportPath: "sallyport/internal/config", Imports: []string{"sallyport/internal/gateway"}},
		"pure_leaf_uses_network":    {ImportPath: "sallyport/sqlguard", Imports: []string{"net/http"}},
		"program_code_uses_testing": {ImportPath: "sallyport/internal/testdb", Imports: []string{"testing"}},
		"door_uses_testdb":          {ImportPath: "sallyport/mcp", Imports: []string{"sallyport/internal/testdb"}},
		"leaf_test_uses_core":       {ImportPath: "sallyport/mask", TestImports: []string{"sallyport/internal/gateway"}},
		"evals_look_inside":         {ImportPath: "sallyport/evals/twin", Imports: []string{"sallyport/mask"}},
		"meaningless_name":          {ImportPath: "sallyport/mask/util", Name: "util"},
		"package_without_a_rule":    {ImportPath: "sallyport/internal/newthing"},
	} {
		t.Run(name, func(t *testing.T) {
			if len(violations(p)) != 1 {
				t.Errorf("violations: %q", violations(p))
			}
		})
	}
	fine := Package{ImportPath: "sallyport/proxy/pgwire", Name: "pgwire", Imports: []string{"net", "sallyport/internal/gateway", "sallyport/internal/pgframe"}, XTestImports: []string{"sallyport/internal/testdb", "github.com/jackc/pgx/v5/pgconn", "sallyport/proxy/pgwire"}}
	if v := violations(fine); len(v) != 0 {
		t.Errorf("a sound door is reported: %q", v)
	}
}

func TestNoGoFilesAtTheRoot(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(root(t), "*.go"))
	if len(files) > 0 {
		t.Errorf("Go files at the root: %v", files)
	}
}

func TestFilesAreShort(t *testing.T) {
	for _, p := range packages(t) {
		for _, name := range append(p.GoFiles, p.CgoFiles...) {
			text, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if bytes.HasPrefix(text, []byte("// Code generated ")) {
				continue
			}
			if n := bytes.Count(text, []byte("\n")); n > maxLines {
				t.Errorf("%s/%s has %d lines, most is %d: split it by idea", p.ImportPath, name, n, maxLines)
			}
		}
	}
}

func TestPackagesSayWhatTheyAre(t *testing.T) {
	for _, p := range packages(t) {
		documented := false
		for _, name := range append(p.GoFiles, p.CgoFiles...) {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			documented = documented || f.Doc != nil
		}
		if len(p.GoFiles) > 0 && !documented {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

// Imports cannot show net.Dial in a package that may listen, so the source is searched for it.
func TestOnlyUpstreamDials(t *testing.T) {
	// Exporters and channels call receivers, and a model is asked over a dialer that checks the address; a command asks the gateway
	// over the socket in its data directory, and who is logged in over its door. None of them calls a database.
	may := []string{"internal/gateway/internal/upstream", "internal/gateway/internal/model", "internal/testdb", "internal/demo", "evals/...", "audit/export", "internal/desk", "internal/notify", "internal/connect"}
	for _, p := range packages(t) {
		if matchAny(may, strings.TrimPrefix(p.ImportPath, module)) {
			continue
		}
		for _, name := range append(p.GoFiles, p.CgoFiles...) {
			for _, call := range dials(t, filepath.Join(p.Dir, name), nil) {
				t.Errorf("%s/%s uses %s", p.ImportPath, name, call)
			}
		}
	}
}

func TestDialsAreSeen(t *testing.T) {
	src := "package p\nimport (n \"net\"; \"crypto/tls\")\nvar d n.Dialer\nvar _, _ = tls.Dial(\"\", \"\", nil)\nvar _ = n.Listen\n"
	if got := dials(t, "p.go", src); len(got) != 2 {
		t.Errorf("found %v", got)
	}
}

// dials finds uses of the dialing half of net and crypto/tls.
func dials(t *testing.T, path string, src any) (found []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, src, 0)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, imp := range f.Imports {
		if path := strings.Trim(imp.Path.Value, `"`); path == "net" || path == "crypto/tls" {
			local := path[strings.LastIndex(path, "/")+1:]
			if imp.Name != nil {
				local = imp.Name.Name
			}
			names[local] = true
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && strings.HasPrefix(sel.Sel.Name, "Dial") {
			if x, ok := sel.X.(*ast.Ident); ok && names[x.Name] {
				found = append(found, x.Name+"."+sel.Sel.Name)
			}
		}
		return true
	})
	return found
}
