package archtest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// described is a line of the table of packages: those that it is about, as in rule, and what they may import.
type described struct {
	paths []string
	may   string
}

var inCode = regexp.MustCompile("`([^`]+)`")

// describedIn reads the table of docs/architecture.md.
func describedIn(page string) (table []described) {
	_, page, _ = strings.Cut(page, "\n## Packages\n")
	page, _, _ = strings.Cut(page, "\n## ")
	for _, line := range strings.Split(page, "\n") {
		cells := strings.Split(strings.TrimSuffix(line, " |"), " | ")
		if !strings.HasPrefix(line, "| `") || len(cells) != 3 {
			continue
		}
		var d described
		for _, m := range inCode.FindAllStringSubmatch(cells[0], -1) {
			d.paths = append(d.paths, m[1])
		}
		d.may = cells[2]
		table = append(table, d)
	}
	return table
}

// inWords is what a rule lets be imported, as the table has it: without internal/ at its front.
func inWords(may []string) string {
	if len(may) == 0 {
		return "nothing"
	}
	words := make([]string, len(may))
	for i, m := range may {
		if words[i] = strings.TrimPrefix(m, "internal/"); words[i] == "..." {
			words[i] = m
		}
	}
	return strings.Join(words, ", ")
}

// differences lists where the table is not what the tree and its rules are.
func differences(table []described, packages []string) (out []string) {
	for _, self := range packages {
		longest, says := -1, ""
		for _, d := range table {
			for _, path := range d.paths {
				if n := len(strings.TrimSuffix(path, "...")); match(path, self) && n > longest {
					longest, says = n, d.may
				}
			}
		}
		may, _ := lookup(ours, self)
		switch want := inWords(may); {
		case longest < 0:
			out = append(out, fmt.Sprintf("%s is not in the table (it may import: %s)", self, want))
		case says != want:
			out = append(out, fmt.Sprintf("of %s the table says that it may import %q, rules.go %q", self, says, want))
		}
	}
	for _, d := range table {
		for _, path := range d.paths {
			if !slices.ContainsFunc(packages, func(self string) bool { return match(path, self) }) {
				out = append(out, fmt.Sprintf("the table has %s, which is no package", path))
			}
		}
	}
	return out
}

func TestTheArchitecturePageHasEveryPackage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root(t), "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	table := describedIn(string(page))
	if len(table) < 50 {
		t.Fatalf("%d lines in the table of packages", len(table))
	}
	var all []string
	for _, p := range packages(t) {
		all = append(all, strings.TrimPrefix(p.ImportPath, module))
	}
	for _, d := range differences(table, all) {
		t.Errorf("docs/architecture.md: %s", d)
	}
}

func TestDifferencesFromThePageAreSeen(t *testing.T) {
	const page = "x\n## Packages\n\n| package | what | may |\n|---|---|---|\n| `mask/...` | masks | access, pgtree, mask/... |\n| `internal/access`, `internal/loop` | nouns | nothing |\n\n## Next\n| `internal/web` | y | z |\n"
	table := describedIn(page)
	all := []string{"mask", "mask/classify", "internal/access", "internal/loop"}
	if got := differences(table, all); len(got) > 0 {
		t.Fatalf("%d lines; differences: %q", len(table), got)
	}
	for name, got := range map[string][]string{
		"a package that the page does not have": differences(table, append(all[:4:4], "internal/web")),
		"a package that is no more":             differences(table, all[:3]),
		"another rule":                          differences([]described{{[]string{"mask"}, "access"}}, all[:1]),
	} {
		if len(got) != 1 {
			t.Errorf("%s: %q", name, got)
		}
	}
}
