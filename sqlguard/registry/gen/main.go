// Command gen brings the registry's lists up to date with a running server.
//
//	go run ./sqlguard/registry/gen -dsn postgres://... [-dir sqlguard/registry]
//
// Names that the server has and the lists do not are added; nothing is taken away, because the lists
// speak for several versions. Operators and types need no judgement. A function or relation gets the
// class "unclassified" with what is known about it as its note: registry.Load refuses such a list
// until a person has read the function's documentation and decided. The command then exits with 1.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

func main() {
	dsn := flag.String("dsn", os.Getenv("DATABASE_URL"), "server to ask, as superuser")
	dir := flag.String("dir", "sqlguard/registry", "folder of the lists")
	flag.Parse()
	added, err := run(*dsn, *dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(2)
	}
	if len(added) > 0 {
		fmt.Fprintf(os.Stderr, "gen: classify these, then run the tests:\n  %s\n", strings.Join(added, "\n  "))
		os.Exit(1)
	}
}

// run updates the four lists and gives the names that need a class.
func run(dsn, dir string) ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	var unclassified []string
	for _, l := range lists {
		rows, err := conn.Query(ctx, l.query)
		if err != nil {
			return nil, err
		}
		server, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.file, err)
		}
		path := filepath.Join(dir, l.file)
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		merged, added := merge(string(text), server, l.key)
		if l.judged {
			unclassified = append(unclassified, added...)
		}
		if err := os.WriteFile(path, []byte(merged), 0o644); err != nil {
			return nil, err
		}
	}
	return unclassified, nil
}

// merge adds lines of the server to a list whose first key columns name an entry. Entries that are
// there stay as they are. The list is sorted, comments first.
func merge(list string, server []string, key int) (merged string, added []string) {
	var comments, entries []string
	known := map[string]bool{}
	for line := range strings.Lines(list) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case line == "":
		case strings.HasPrefix(line, "// "):
			comments = append(comments, line)
		default:
			entries = append(entries, line)
			known[name(line, key)] = true
		}
	}
	for _, line := range server {
		if n := name(line, key); !known[n] {
			known[n] = true
			entries = append(entries, line)
			added = append(added, strings.ReplaceAll(n, "\t", "."))
		}
	}
	slices.SortFunc(entries, func(a, b string) int { return strings.Compare(name(a, key), name(b, key)) })
	return strings.Join(append(comments, entries...), "\n") + "\n", added
}

// name gives the columns of a line that name its entry.
func name(line string, key int) string {
	f := strings.Split(line, "\t")
	return strings.Join(f[:min(key, len(f))], "\t")
}

// lists says how each file follows from the server's catalog.
var lists = []struct {
	file   string
	key    int  // how many columns name an entry
	judged bool // entries carry a class, which a person decides on
	query  string
}{
	{"functions.tsv", 1, true, `
		select proname || E'\tunclassified\t' || string_agg(distinct
		         case provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end
		         || ' (' || pg_get_function_arguments(oid) || ')', ', ')
		from pg_proc where pronamespace = 'pg_catalog'::regnamespace
		group by proname order by proname`},
	{"relations.tsv", 2, true, `
		select nspname || E'\t' || relname || E'\tunclassified\trelkind ' || relkind::text
		from pg_class c join pg_namespace n on n.oid = relnamespace
		where nspname in ('pg_catalog', 'information_schema') and relkind in ('r', 'v', 'm', 'f', 'p')
		order by 1`},
	{"operators.txt", 1, false, `
		select distinct oprname::text from pg_operator where oprnamespace = 'pg_catalog'::regnamespace order by 1`},
	{"types.txt", 1, false, `
		select typname::text from pg_type where typnamespace = 'pg_catalog'::regnamespace order by 1`},
}
