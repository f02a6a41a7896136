package leak

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestShapesCoverEveryThreat(t *testing.T) {
	threats, err := Threats()
	if err != nil {
		t.Fatal(err)
	}
	shapes, err := Shapes()
	if err != nil {
		t.Fatal(err)
	}
	if len(shapes) < 400 {
		t.Errorf("%d shapes", len(shapes))
	}
	byThreat, texts := map[string]int{}, map[string]string{}
	for _, s := range shapes {
		byThreat[s.Threat]++
		if old, ok := texts[s.SQL()]; ok && !strings.HasPrefix(s.Name, "dictionary") {
			t.Errorf("%s is %s again", s.Name, old)
		}
		texts[s.SQL()] = s.Name
	}
	if len(texts) < 400 {
		t.Errorf("%d distinct shapes", len(texts))
	}
	known := map[string]bool{}
	for _, th := range threats {
		if known[th.ID] {
			t.Errorf("%s: twice", th.ID)
		}
		known[th.ID] = true
		for _, where := range th.Where {
			switch {
			case where == "shapes":
				if byThreat[th.ID] == 0 {
					t.Errorf("%s (%s): no shape", th.ID, th.Words)
				}
			case strings.HasPrefix(where, "test "):
				checkTest(t, th.ID, where)
			case !strings.HasPrefix(where, "none: ") && !strings.HasPrefix(where, "identity "): // which has a test of its own
				t.Errorf("%s: %q", th.ID, where)
			}
		}
	}
	for id := range byThreat {
		if !known[id] {
			t.Errorf("shapes of an unknown threat: %s", id)
		}
	}
}

// checkTest looks for the named test in its package.
func checkTest(t *testing.T, id, where string) {
	t.Helper()
	f := strings.Fields(where)
	if len(f) != 3 {
		t.Errorf("%s: want test, package, name: %q", id, where)
		return
	}
	files, _ := filepath.Glob(filepath.Join("..", "..", f[1], "*_test.go"))
	decl := regexp.MustCompile(`(?m)^func ` + f[2] + `\(`)
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil && decl.Match(text) {
			return
		}
	}
	t.Errorf("%s: there is no %s in %s", id, f[2], f[1])
}

func TestShapesParse(t *testing.T) {
	got, err := parseShapes("x", "# c\n@a\nSELECT 1 ;; SELECT 2\nrefuse> DO ''\nnt> BEGIN\n@b\nSELECT 1 > 0\n")
	if err != nil || len(got) != 4 {
		t.Fatalf("%v %v", got, err)
	}
	if !got[1].Refuse || !got[2].NoTx || got[3].Name != "b-1" || got[3].Steps[0] != "SELECT 1 > 0" || len(got[0].Steps) != 2 {
		t.Errorf("%+v", got)
	}
	if _, err := parseShapes("x", "SELECT 1"); err == nil {
		t.Error("a shape of no threat was taken")
	}
}
