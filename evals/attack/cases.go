package attack

import (
	"embed"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

//go:embed families/*.tsv
var familyFiles embed.FS

// families in the order in which they run.
var families = []string{"statements", "functions", "code", "names", "lexing"}

// Attack is one thing to send.
type Attack struct {
	Family string
	Name   string // with what was done to it, after a slash
	Kind   byte   // e: expression, f: item of FROM, q: query, w: write that may stand in WITH, s: statement
	Steps  []string
	Idle   bool // it can have no effect on this server, even when allowed
}

// SQL is the attack's text for listings.
func (a Attack) SQL() string { return strings.Join(a.Steps, " ;; ") }

// load reads the attacks as written. Expressions and items of FROM become statements when they are sent.
func load() ([]Attack, error) {
	var all []Attack
	for _, family := range families {
		b, err := familyFiles.ReadFile("families/" + family + ".tsv")
		if err != nil {
			return nil, err
		}
		seen := map[string]bool{}
		for n, line := range strings.Split(string(b), "\n") {
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			f := strings.Split(line, "\t")
			if len(f) < 3 || len(f) > 4 || len(f[1]) != 1 || !strings.Contains("efqws", f[1]) || seen[f[0]] || len(f) == 4 && f[3] != "idle" {
				return nil, fmt.Errorf("%s.tsv:%d: want a new name, a kind, SQL, and idle at most", family, n+1)
			}
			seen[f[0]] = true
			all = append(all, Attack{Family: family, Name: f[0], Kind: f[1][0], Steps: strings.Split(f[2], " ;; "), Idle: len(f) == 4})
		}
	}
	return all, nil
}

// plain is the attack as a statement.
func (a Attack) plain() Attack {
	switch a.Kind {
	case 'e':
		a.Steps = []string{"SELECT " + a.Steps[0]}
	case 'f':
		a.Steps = []string{"SELECT * FROM " + a.Steps[0] + " x"}
	}
	return a
}

// special characters of the files.
var special = strings.NewReplacer("{LF}", "\n", "{CR}", "\r", "{TAB}", "\t", "{FF}", "\f", "{VT}", "\v",
	"{NUL}", "\x00", "{NBSP}", "\u00a0", "{BOM}", "\ufeff")

var rawByte = regexp.MustCompile(`\{x([0-9A-F]{2})\}`)

// long is how much stands for what is too long to write: within the limits of a statement's size, beyond
// those of depth.
const long = 300_000

// fill puts in what differs from world to world and from time to time.
func (w *world) fill(step string) string {
	if !strings.Contains(step, "{") {
		return step
	}
	step = special.Replace(step)
	step = rawByte.ReplaceAllStringFunc(step, func(m string) string {
		b, _ := strconv.ParseUint(m[2:4], 16, 8)
		return string([]byte{byte(b)})
	})
	if strings.Contains(step, "{U}") {
		step = strings.ReplaceAll(step, "{U}", strconv.Itoa(w.unique))
	}
	for _, p := range []struct {
		name  string
		value func() string
	}{
		{"{LOOT}", func() string { return w.loot }},
		{"{BYSTANDER}", func() string { return strconv.Itoa(w.bystanderPID) }},
		{"{ELSEWHERE}", func() string { return w.server.DSN("elsewhere") }},
		{"{SELF}", func() string { return w.server.DSN(database) }},
		{"{PAD}", func() string { return strings.Repeat(" ", long) }},
		{"{MANY}", func() string { return strings.Repeat("SELECT 1;", 200) }},
		{"{DEEP(}", func() string { return strings.Repeat("(", 400) }},
		{"{DEEP)}", func() string { return strings.Repeat(")", 400) }},
		{"{DEEP+}", func() string { return strings.Repeat("1+", 400) }},
		{"{LIST}", func() string { return "1" + strings.Repeat(",1", 20_000) }},
	} {
		if strings.Contains(step, p.name) {
			step = strings.ReplaceAll(step, p.name, p.value())
		}
	}
	return step
}
