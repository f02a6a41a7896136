package mutate

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/evals/mutate/mutant"
)

// What the sample prints with one point left out, beside what it prints whole.
var whole = words("nil plain seven plain nilplain unknown default small small three fell-out default restfalse true twofalse passed refused refused")

var changes = map[string]map[int]string{ // key: place of the word -> word
	"kind: switch n.(type): case nil":    {0: "unknown", 4: "unknownplain"},
	"kind: switch n.(type): case int":    {1: "unknown", 2: "unknown", 4: "nilunknown"},
	"kind: switch n.(type): case string": {3: "unknown"},
	"kind: switch n.(type): case []node": {4: "unknown"},
	"tagged: switch i: case 1":           {7: "default"},
	"tagged: switch i: case 2":           {8: "default"},
	"tagged: switch i: case 3":           {9: "default"},
	"tagged: switch i: case 4":           {10: "default"},
	"tagged: switch i: default":          {6: "fell-out", 11: "fell-out"},
	"tagged: case i > 2":                 {9: "two"},
	"tagged: case i > 1":                 {},
	"guarded: if i == 1":                 {13: "restfalse"},
	"stops: if i == 1":                   {16: "passed"},
	"stops: switch i: case 2":            {17: "passed"},
	`stops: refuse("two")`:               {17: "passed"},
}

func words(s string) []string { return strings.Fields(s) }

func TestEachPointCanBeLeftOut(t *testing.T) {
	src, err := os.ReadFile("testdata/sample.go.txt")
	if err != nil {
		t.Fatal(err)
	}
	f, err := parser.ParseFile(token.NewFileSet(), "", src, 0)
	if err != nil {
		t.Fatal(err)
	}
	next := 1
	text, points, err := instrument(src, "sample", "sample/main.go", &next, map[string]int{}, findRefusers([]*ast.File{f}))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	bin := build(t, dir, root, text)
	if got := run(t, bin, 0); !cmp.Equal(got, whole) {
		t.Fatalf("with nothing left out it changed: %s", cmp.Diff(whole, got))
	}
	found := map[string]bool{}
	for _, p := range points {
		key := strings.TrimPrefix(p.key, "sample ")
		found[key] = true
		want, ok := changes[key]
		if !ok {
			t.Errorf("an unexpected point: %s", p.key)
			continue
		}
		got, line := run(t, bin, p.id), append([]string{}, whole...)
		for i, w := range want {
			line[i] = w
		}
		if !cmp.Equal(got, line) {
			t.Errorf("without %s (-want +got):\n%s", p.key, cmp.Diff(line, got))
		}
	}
	for key := range changes {
		if !found[key] {
			t.Errorf("no point for %s", key)
		}
	}
}

func build(t *testing.T, dir, root, text string) string {
	t.Helper()
	main := filepath.Join(dir, "main.go")
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, "evals/mutate/sample/main.go"): main}})
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{main: []byte(text), filepath.Join(dir, "overlay.json"): overlay} {
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	bin := filepath.Join(dir, "sample")
	cmd := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", bin, "./evals/mutate/sample")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, text)
	}
	return bin
}

func run(t *testing.T, bin string, id int) []string {
	t.Helper()
	cmd := exec.Command(bin)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", mutant.EnvOn, id))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return words(strings.ReplaceAll(string(out), "fell out", "fell-out"))
}

func TestEquivalents(t *testing.T) {
	got, err := readEquivalents("# comment\na: if x\na: if y\n\tfirst line\n\tand second\n\nb: case z\n\tthird\n")
	want := map[string]string{"a: if x": "first line and second", "a: if y": "first line and second", "b: case z": "third"}
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("%v %s", err, cmp.Diff(want, got))
	}
	for _, bad := range []string{"a\n", "\treason\n", "a\n\tx\na\n\ty\n"} {
		if _, err := readEquivalents(bad); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
	if _, err := readEquivalents(equivalentsText); err != nil {
		t.Error(err)
	}
}
