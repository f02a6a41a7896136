package fuzztwin

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sallyport/evals/twin"
)

// tries bounds how often a failing statement is asked while it is made smaller.
const tries = 300

// keep minimises a failing statement and writes it to where TestFound reads it.
func (r *run) keep(ctx context.Context, c *clients, s statement, o twin.Outcome) error {
	r.finding.Lock()
	defer r.finding.Unlock()
	small := minimise(s.SQL(), tries, func(sql string) bool {
		o, err := r.ask(ctx, c, put(s.number, s.origin, sql, s.door.Name))
		return err == nil && (o.Verdict == twin.Different || o.Canary != "")
	})
	fmt.Printf("\n%s at %s, statement %d of seed %d (%s): %s %s %s\n%s\n", r.world.Kind, s.door.Name, s.number, r.supply.seed, s.origin, o.Verdict, o.Why, o.Canary, small)
	if r.found == "" {
		return nil
	}
	k := kept{kind: r.world.Kind, door: s.door.Name, sql: small, why: fmt.Sprintf("statement %d of seed %d, by %s: %s %s", s.number, r.supply.seed, s.origin, o.Verdict, o.Canary)}
	return k.write(r.found)
}

// kept is a statement of the folder.
type kept struct {
	file string
	kind twin.Kind
	door string
	sql  string
	why  string
}

func (k kept) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	name := fmt.Sprintf("%s-%s-%.4x.sql", k.kind, k.door, sha256.Sum256([]byte(k.sql)))
	text := fmt.Sprintf("-- %s %s\n-- %s\n%s\n", k.kind, k.door, strings.Join(strings.Fields(k.why), " "), k.sql)
	return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644)
}

func readKept(dir string) ([]kept, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.sql"))
	if err != nil {
		return nil, err
	}
	var all []kept
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		k := kept{file: filepath.Base(f)}
		head, rest, _ := strings.Cut(string(b), "\n")
		if _, err := fmt.Sscanf(head, "-- %s %s", &k.kind, &k.door); err != nil {
			return nil, fmt.Errorf("%s: the first line is not `-- kind door`: %w", f, err)
		}
		for l := range strings.Lines(rest) {
			if why, ok := strings.CutPrefix(l, "-- "); ok && k.sql == "" {
				k.why = strings.TrimSpace(why)
			} else {
				k.sql += l
			}
		}
		k.sql = strings.TrimSpace(k.sql)
		all = append(all, k)
	}
	return all, nil
}
