package mutate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// target is a package whose code is mutated.
type target struct {
	dir  string
	skip string // prefix of file names that are left alone
}

var targets = []target{
	{dir: "sqlguard"},
	{dir: "sqlguard/postgres"},
	{dir: "sqlguard/rowfilter"},
	{dir: "mask", skip: "detect"}, // the detectors are judged on corpora, see the package's own tests
}

// program is the rewritten code.
type program struct {
	root    string
	out     string // evals/out/mutate
	overlay string // file for go build -overlay
	points  []point
}

// rewrite writes the rewritten sources and the overlay that puts them in place of the real ones.
func rewrite(root, out string) (*program, error) {
	p := &program{root: root, out: out, overlay: filepath.Join(out, "overlay.json")}
	replace := map[string]string{}
	next := 1
	for _, t := range targets {
		names, err := sources(filepath.Join(root, t.dir))
		if err != nil {
			return nil, err
		}
		refuse, err := refusersOf(names)
		if err != nil {
			return nil, err
		}
		keys := map[string]int{}
		for _, name := range names {
			if t.skip != "" && strings.HasPrefix(filepath.Base(name), t.skip) {
				continue
			}
			src, err := os.ReadFile(name)
			if err != nil {
				return nil, err
			}
			rel := filepath.Join(t.dir, filepath.Base(name))
			text, points, err := instrument(src, t.dir, rel, &next, keys, refuse)
			if err != nil {
				return nil, err
			}
			if len(points) == 0 {
				continue
			}
			p.points = append(p.points, points...)
			replace[name] = filepath.Join(out, "_src", rel) // which ./... leaves out
			if err := write(replace[name], []byte(text)); err != nil {
				return nil, err
			}
		}
	}
	b, err := json.MarshalIndent(map[string]any{"Replace": replace}, "", " ")
	if err != nil {
		return nil, err
	}
	return p, write(p.overlay, b)
}

// sources lists a package's files without its tests.
func sources(dir string) ([]string, error) {
	all, err := filepath.Glob(filepath.Join(dir, "*.go"))
	var out []string
	for _, f := range all {
		if !strings.HasSuffix(f, "_test.go") {
			out = append(out, f)
		}
	}
	return out, err
}

func refusersOf(names []string) (refusers, error) {
	var files []*ast.File
	for _, name := range names {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			return refusers{}, err
		}
		files = append(files, f)
	}
	return findRefusers(files), nil
}

func write(name string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, b, 0o644)
}

// binary is a test program over the rewritten code.
type binary struct {
	pkg  string
	dir  string // where it runs
	path string
	hash string // of the program and of what its tests read
	env  []string
}

// build compiles the tests of a package.
func (p *program) build(pkg string) (binary, error) {
	b := binary{pkg: pkg, dir: filepath.Join(p.root, pkg), path: filepath.Join(p.out, "bin", strings.ReplaceAll(pkg, "/", "_")+".test")}
	cmd := exec.Command("go", "test", "-c", "-trimpath", "-overlay", p.overlay, "-o", b.path, "./"+pkg)
	cmd.Dir = p.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return b, fmt.Errorf("go test -c ./%s: %w\n%s", pkg, err, out)
	}
	h := sha256.New()
	files := []string{b.path}
	err := filepath.WalkDir(filepath.Join(b.dir, "testdata"), func(f string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, f)
		}
		return nil // most packages have the folder, none needs it
	})
	if err != nil {
		return b, err
	}
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			return b, err
		}
		fmt.Fprintf(h, "%s %d\n", filepath.Base(f), len(content))
		h.Write(content)
	}
	b.hash = hex.EncodeToString(h.Sum(nil))[:16]
	return b, nil
}
