package results

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// sections order RESULTS.md; a figure belongs to the section of its name's first part.
var sections = []struct{ prefix, title, about string }{
	{"twin", "Twin databases", "Two databases that differ only in labelled values get the same statements through every door; whatever differs in an answer is a leak. `evals/twin`."},
	{"leak", "Leak benchmark", "Every labelled cell of four schemas holds a value that is nowhere else; thousands of composed and hundreds of hand-written statements try to get one out, or one bit of it, through every door. `evals/leak`."},
	{"sqlsmith", "Fuzzed statements on the twins", "The same check for statements invented by sqlsmith. `evals/sqlsmith`."},
	{"fuzztwin", "Twin fuzzing", "Random statements on twin databases, through both doors, for every kind of mask and for row filters: whatever differs, or holds a raw value, is a leak. `evals/fuzztwin`."},
	{"attack", "Attacks", "Every statement, function, name and lexing trick of the list of threats, as it is and mutated, by a principal who may only read; the oracle is what changed on the server. `evals/attack`."},
	{"benign", "Everyday SQL", "Statements of others' corpora and of our own that the server accepts: answered through the gateway, and answered the same outside labelled cells. `evals/benign`."},
	{"classify", "Labels proposed", "What `sallyport classify` proposes for typed columns of synthetic people, in tables whose column names are kept, taken away, or swapped: development data. `evals/classify`."},
	{"clients", "Clients", "Programs that people use, through the door. `evals/clients`."},
	{"bench", "Speed", "Interleaved rounds of direct, pgbouncer and sallyport on one machine; client, proxy and server share its cores. `evals/bench`."},
	{"planning", "Planning", "What a statement costs before it is sent, measured inside of the core over the statements of the benign corpus and of the demo. `evals/planning`."},
	{"policy", "Decisions under many policies", "`evals/planning`."},
	{"mutation", "Mutants", "One case of the guard's walker and resolver and of the compiler left out at a time, and one refusal: does a test fail? `evals/mutate`."},
	{"soak", "Memory", "`evals/soak`."},
	{"detect", "Detectors", "Precision, recall and F2 on texts whose personal data is marked, findings in everyday SQL, speed. `evals/detect`."},
	{"regress", "PostgreSQL's own regression suite", "Through the door with a principal who may do everything, beside the direct run. `evals/regress`."},
	{"mcp", "MCP", ""},
	{"audit", "Durable records", "The audit log, with every record sealed and hashed, beside bbolt and SQLite, which get the same record in clear; one run on one file system, in rounds whose order alternates. `evals/commit`."},
	{"tamper", "Manipulated evidence", "Logs and bundles changed in every way that comes to mind, with checksums made good: does the verifier find it, and name what was changed and where? `evals/tamper`."},
	{"crash", "Crashes", "`sallyport serve` killed at random points under load, and with writes, syncs and renames that fail: what clients received is on record, what was acknowledged stays. `evals/crash`."},
	{"erasure", "Erasure", "One of several people erased: a byte search of the data directory for what was about them, and whether every proof still holds. `evals/erasure`."},
	{"approval", "Approvals", "How soon a held statement goes on once a person has approved it, what many pending requests cost to look at, and attacks: does anything run that nobody approved, something else than what was approved, or the same twice? The oracle is the database and the bytes that came out. `evals/approval`."},
	{"identity", "Identity", "Every way that came to mind to be taken for somebody, at every door, with the honest form of each beside it; how often a flood of invented key ids has the provider's keys fetched; how soon a withdrawn key, and a revocation with many live sessions, takes effect; how long a person waits for their first row. `evals/identity`."},
	{"browser", "The door for people, in a browser", "Headless Chromium before the real binary, psql waiting in a process of its own: every page of every role, in both colour schemes and on a phone, and what people do there from beginning to end. `evals/browser`."},
	{"bundle", "Bundles of evidence", "Made and verified as processes of their own, beside a gateway that runs. `evals/bundle`."},
	{"search", "Searching the record", "How soon the newest records are found over an index of 10 million. `evals/search`."},
}

// Listing is a file of evals/listings that RESULTS.md includes after the section of its prefix.
func listings(dir, prefix string) string {
	files, _ := filepath.Glob(filepath.Join(dir, "listings", prefix+"*.md"))
	sort.Strings(files)
	var b strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err == nil {
			b.WriteString("\n" + strings.TrimSpace(string(text)) + "\n")
		}
	}
	return b.String()
}

// Report writes RESULTS.md from results.json and evals/listings.
func Report() error {
	dir, err := Dir()
	if err != nil {
		return err
	}
	all, err := Read()
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("# Results\n\nGenerated by `go run ./evals/cmd/report` from `results.json`; do not edit. Shares have 95% Wilson intervals, medians distribution-free 95% intervals. `+changes` after a commit: Go files differed from it.\n")
	required(&b, all)
	done := map[string]bool{}
	for _, s := range sections {
		section(&b, dir, all, s.prefix, s.title, s.about)
		done[s.prefix] = true
	}
	for _, f := range all { // nothing recorded is left out
		if p := prefix(f.Name); !done[p] {
			section(&b, dir, all, p, p, "")
			done[p] = true
		}
	}
	return os.WriteFile(filepath.Join(dir, "RESULTS.md"), []byte(b.String()), 0o644)
}

func required(b *strings.Builder, all []Figure) {
	byName := map[string]Figure{}
	for _, f := range all {
		byName[f.Name] = f
	}
	names := make([]string, 0, len(Required))
	for n := range Required {
		names = append(names, n)
	}
	sort.Strings(names)
	b.WriteString("\n## Required figures\n\n| figure | value | required | |\n|---|---|---|---|\n")
	for _, n := range names {
		f, ok := byName[n]
		if !ok {
			fmt.Fprintf(b, "| `%s` | not measured yet | %s | MISSED |\n", n, Required[n])
			continue
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", n, number(f.Value), Required[n], verdict(Required[n].Holds(f.Value)))
	}
}

func section(b *strings.Builder, dir string, all []Figure, pre, title, about string) {
	var rows []Figure
	for _, f := range all {
		if prefix(f.Name) == pre {
			rows = append(rows, f)
		}
	}
	list := listings(dir, pre)
	if len(rows) == 0 && list == "" {
		return
	}
	fmt.Fprintf(b, "\n## %s\n", title)
	if about != "" {
		fmt.Fprintf(b, "\n%s\n", about)
	}
	b.WriteString("\n| figure | value | 95% | n | what it counts | made by | commit |\n|---|---|---|---|---|---|---|\n")
	corpora := map[string]bool{}
	for _, f := range rows {
		interval := ""
		if f.Interval != nil {
			interval = number(f.Interval[0]) + " to " + number(f.Interval[1])
		}
		n := ""
		if f.N > 0 {
			n = fmt.Sprint(f.N)
		}
		made := "`" + f.Command + "`"
		if f.Seed != 0 {
			made += fmt.Sprintf(", seed %d", f.Seed)
		}
		fmt.Fprintf(b, "| `%s` | %s %s | %s | %s | %s | %s | %s |\n", f.Name, number(f.Value), f.Unit, interval, n, strings.ReplaceAll(f.Note, "|", "\\|"), made, f.Commit)
		if f.Corpus != "" {
			corpora[f.Corpus] = true
		}
	}
	if len(corpora) > 0 {
		var list []string
		for c := range corpora {
			list = append(list, c)
		}
		sort.Strings(list)
		b.WriteString("\nCorpora: " + strings.Join(list, "; ") + "\n")
	}
	b.WriteString(list)
}

func prefix(name string) string {
	p, _, _ := strings.Cut(name, ".")
	return p
}
