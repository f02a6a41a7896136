package archtest

import (
	"fmt"
	"slices"
	"strings"
)

// module is the prefix of our import paths.
const module = "sallyport/"

// rule says what the packages under a path may import of ours. A path ends in /... to speak of the
// packages below it too; the longest matching path decides.
type rule struct {
	path string
	may  []string
}

// ours is the import graph: cmd -> doors -> gateway -> leaves -> access, never sideways, never up.
var ours = []rule{
	{"internal/access", nil},
	{"internal/pgtree", []string{"internal/access"}},
	{"internal/pgframe", nil},
	{"internal/glyph", nil}, // which characters can be seen

	// Leaves: they know the nouns, not each other.
	{"sqlguard/...", []string{"internal/access", "internal/pgtree", "sqlguard/..."}},
	{"mask/...", []string{"internal/access", "internal/pgtree", "mask/..."}},
	{"audit/...", []string{"internal/access", "internal/glyph", "audit/..."}},
	{"internal/identity/...", []string{"internal/access", "internal/identity/..."}},
	{"internal/approval", []string{"internal/access", "internal/glyph"}},

	// Of leaves, what stands by itself.
	{"sqlguard/rowfilter", nil},
	{"mask/numbering/...", nil},
	{"audit/internal/durable", nil},
	{"audit/internal/show", []string{"internal/glyph"}},
	{"audit/verify", []string{"audit/checkpoint", "audit/cosignature", "audit/proof"}}, // nothing of what writes the log
	{"internal/identity/credential", []string{"internal/access"}},
	{"internal/notify/slack", nil}, // it knows no request

	// What tells people reads the record, as the exporters do.
	{"internal/notify/...", []string{"internal/access", "audit", "audit/export"}},

	// Plumbing of the core and its doors: an event loop, which knows nothing of ours.
	{"internal/loop", nil},
	{"internal/fairness", nil},                        // whose an address is, and whose connection goes where there are too many
	{"internal/balancer", nil},                        // who a load balancer says the client is
	{"internal/tlsconf", []string{"internal/access"}}, // what the doors show for certificates
	{"internal/pgdsn", []string{"internal/access"}},   // what a connection string leaves unchecked
	{"internal/config", []string{"internal/access", "internal/pgdsn"}},
	{"internal/desk", []string{"internal/access", "audit", "audit/office"}}, // orders about the record, from the machine's own people

	// The core, and behind it the only code that talks to a database.
	{"internal/gateway/internal/upstream", []string{"internal/access", "internal/loop", "internal/pgdsn", "internal/pgframe"}},
	{"internal/gateway/internal/model", nil},
	{"internal/gateway", []string{"internal/access", "internal/fairness", "internal/loop", "internal/pgdsn", "internal/pgframe", "internal/pgtree", "internal/gateway/internal/...",
		"sqlguard/...", "mask/...", "audit/...", "internal/identity/...", "internal/approval"}},

	// Doors: the core, the nouns and their codec.
	{"mcp/...", []string{"internal/access", "internal/gateway", "mcp/..."}},
	{"mcp/internal/front", []string{"internal/access"}},
	{"mcp/conformance", []string{"internal/access", "mcp/internal/front"}},
	{"proxy/...", []string{"internal/access", "internal/fairness", "internal/gateway", "internal/loop", "internal/pgframe", "proxy/..."}},
	{"internal/web/...", []string{"internal/access", "internal/fairness", "internal/gateway", "internal/glyph", "internal/web/..."}},

	// The program. The demo hands its configuration to the same code as `serve`.
	{"cmd/...", []string{"internal/...", "mcp/...", "proxy/...", "sqlguard/...", "mask/...", "audit/...", "cmd/..."}},
	{"cmd/sallyport-verify", []string{"audit/verify", "audit/cosignature"}},                                    // for auditors, who need not trust the rest
	{"internal/demo", []string{"internal/config", "internal/identity", "internal/testdb", "internal/testidp"}}, // its provider approves everybody
	{"internal/login", []string{"internal/access"}},                                                            // the client's side: it knows the gateway by its URL only
	{"internal/connect", []string{"internal/access", "internal/pgframe"}},

	// Beside the program: tests and evals look at it from outside.
	{"internal/testcorpus", nil},
	{"internal/testdb", nil},
	{"internal/testop", nil},
	{"internal/testtsa", nil},
	{"internal/testidp", nil},
	{"internal/testidp/forge", []string{"internal/testidp"}},
	{"internal/testgate", []string{"internal/testidp"}},
	{"internal/archtest", nil},
	{"evals/detect", []string{"mask", "evals/..."}}, // what it measures is a function
	{"evals/...", []string{"internal/access", "internal/testdb", "internal/testidp/...", "audit/...", "evals/..."}},
}

// inTests is what test code may import beyond its package's rule: a real database, and for leaves
// the other leaves, because a compiler is tested with the parser that feeds it.
var inTests = []rule{
	{"sqlguard/...", []string{"internal/testcorpus", "internal/testdb", "mask/..."}},
	{"mask/...", []string{"internal/testcorpus", "internal/testdb", "sqlguard/..."}},
	{"audit/verify", []string{"internal/access", "audit/..."}},                                                               // it is shown what the writer has written
	{"internal/gateway", []string{"internal/testcorpus", "internal/testdb", "internal/testidp/...", "mcp/...", "proxy/..."}}, // the core, seen through a door
	{"mcp/...", []string{"internal/testcorpus", "internal/testdb", "internal/testidp/...", "internal/identity", "audit"}},    // what a door's calls leave on record
	{"proxy/...", []string{"internal/testcorpus", "internal/testdb", "internal/testidp/...", "internal/identity/..."}},
	{"internal/web/...", []string{"internal/testcorpus", "internal/testdb", "internal/testidp/...", "internal/identity", "audit"}}, // what its pages leave on record
	{"...", []string{"internal/testcorpus", "internal/testdb", "internal/testgate", "internal/testidp/...", "internal/testop", "internal/testtsa"}},
}

// fences are packages of others that only some of ours may import in non-test code.
var fences = []struct {
	prefixes []string // import paths, or prefixes that end in /
	may      []string
	why      string
}{
	{[]string{"github.com/jackc/pgx/v5", "github.com/jackc/pgx/v5/pgxpool", "github.com/jackc/pgx/v5/stdlib", "database/sql"},
		[]string{"internal/gateway/internal/upstream", "internal/testdb", "sqlguard/registry/gen", "evals/..."},
		"only upstream talks to a database (testdb to servers that it started, evals from outside, the registry's generator at build time)"},
	{[]string{"github.com/jackc/pgx/v5/pgconn"},
		[]string{"internal/gateway/internal/upstream", "internal/pgdsn", "internal/testdb", "sqlguard/registry/gen", "evals/..."},
		"upstream connects, and pgdsn parses what it connects by"},
	{[]string{"github.com/mark3labs/mcp-go/"}, []string{"mcp/...", "internal/demo", "evals/..."}, "only the agents' door speaks MCP, and its clients in the demo and the evals"},
	{[]string{"github.com/pganalyze/pg_query_go/"}, []string{"internal/pgtree", "internal/gateway", "sqlguard/...", "mask/...", "evals/..."}, "only the guard, the masks and the core read syntax trees"},
	{[]string{"github.com/zitadel/oidc/"}, []string{"internal/testop"}, "a provider of tests; the gateway is on the other side"},
	{[]string{"github.com/chromedp/"}, []string{"evals/browser"}, "only the browser tests drive a browser"},
	{[]string{"github.com/spf13/cobra"}, []string{"cmd/..."}, "flags are the program's business"},
	{[]string{"net", "net/http", "os/exec"}, []string{
		"audit/export", "audit/timestamp", "audit/witness",
		"cmd/...",
		"evals/...",
		"internal/balancer",
		"internal/config",
		"internal/connect",
		"internal/demo",
		"internal/desk",
		"internal/gateway/...",
		"internal/identity/oidc",
		"internal/login",
		"internal/loop",
		"internal/notify/...",
		"internal/testdb", "internal/testgate", "internal/testidp", "internal/testop", "internal/testtsa",
		"internal/tlsconf",
		"internal/web/...",
		"mcp/...",
		"proxy/...",
		"sqlguard/registry/gen"},
		"leaves are pure: no network, no processes (but for those that send the log elsewhere, or ask others to vouch for it)"},
	{[]string{"github.com/pires/go-proxyproto"}, []string{"internal/balancer"}, "only the listener behind a balancer reads PROXY headers"},
	{[]string{"github.com/wneessen/go-mail"}, []string{"internal/notify"}, "only the channels send mail"},
	{[]string{"go.opentelemetry.io/"}, []string{"audit/export"}, "only the exporters speak OpenTelemetry"},
	{[]string{"testing"}, nil, "helpers for tests take a small interface instead, so that nothing pulls test flags into the program"},
}

// forbidden package names say nothing about what is in them.
var forbidden = []string{"util", "utils", "common", "helper", "helpers", "manager", "types", "misc", "base", "shared"}

// maxLines is the most a non-test file may have. Generated files are exempt.
const maxLines = 500

// Package is what `go list` says about one of our packages.
type Package struct {
	ImportPath, Name, Dir              string
	GoFiles, CgoFiles                  []string
	Imports, TestImports, XTestImports []string
}

// violations lists what a package imports and should not.
func violations(p Package) []string {
	var out []string
	self := strings.TrimPrefix(p.ImportPath, module)
	own, known := lookup(ours, self)
	if !known {
		return []string{p.ImportPath + " has no rule: say in rules.go what it may import"}
	}
	for _, imp := range p.Imports {
		if target, is := strings.CutPrefix(imp, module); is && !matchAny(own, target) {
			out = append(out, fmt.Sprintf("%s imports %s (may import: %s)", p.ImportPath, imp, strings.Join(own, ", ")))
		}
		for _, f := range fences {
			if fenced(f.prefixes, imp) && !matchAny(f.may, self) {
				out = append(out, fmt.Sprintf("%s imports %s: %s", p.ImportPath, imp, f.why))
			}
		}
	}
	extra, _ := lookup(inTests, self)
	for _, imp := range slices.Concat(p.TestImports, p.XTestImports) {
		target, is := strings.CutPrefix(imp, module)
		if is && target != self && !matchAny(own, target) && !matchAny(extra, target) {
			out = append(out, fmt.Sprintf("a test of %s imports %s", p.ImportPath, imp))
		}
	}
	if slices.Contains(forbidden, p.Name) {
		out = append(out, fmt.Sprintf("package %s: the name says nothing", p.ImportPath))
	}
	return out
}

// lookup finds the rule with the longest path that matches.
func lookup(rules []rule, self string) (may []string, ok bool) {
	longest := -1
	for _, r := range rules {
		if n := len(strings.TrimSuffix(r.path, "...")); match(r.path, self) && n > longest {
			longest, may, ok = n, r.may, true
		}
	}
	return may, ok
}

func matchAny(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return match(p, path) })
}

// match understands a/b (itself), a/b/... (itself and below) and ... (all).
func match(pattern, path string) bool {
	if pattern == "..." {
		return true
	}
	prefix, below := strings.CutSuffix(pattern, "/...")
	return path == prefix || below && strings.HasPrefix(path, prefix+"/")
}

func fenced(prefixes []string, imp string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool {
		return imp == p || strings.HasSuffix(p, "/") && strings.HasPrefix(imp, p)
	})
}
