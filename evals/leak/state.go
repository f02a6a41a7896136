package leak

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/jackc/pgx/v5"

	"sallyport/audit"
	"sallyport/evals/wire"
	"sallyport/internal/access"
)

// forbiddenFile is where the shapes would write to on the server's machine.
const forbiddenFile = "/tmp/sallyport-leak-must-not-exist"

// stateQueries read what the server holds outside of the rows of relations, a line each.
var stateQueries = []string{
	`select 'comment ' || description from pg_description where classoid = 'pg_class'::regclass and objoid >= 16384`,
	`select 'role ' || rolname || ' ' || coalesce(rolconfig::text, '') || rolsuper from pg_roles where oid >= 16384`,
	`select 'setting ' || setconfig::text from pg_db_role_setting`,
	`select 'prepared ' || gid from pg_prepared_xacts`,
	`select 'large object ' || loid || encode(data, 'escape') from pg_largeobject`,
	`select 'code ' || proname || ' ' || prosrc from pg_proc where oid >= 16384 and probin is null`,
	`select 'view ' || relname || ' ' || pg_get_viewdef(oid) from pg_class where relkind in ('v', 'm') and oid >= 16384`,
	`select 'default ' || pg_get_expr(adbin, adrelid) from pg_attrdef`,
	`select 'constraint ' || pg_get_constraintdef(oid) from pg_constraint where oid >= 16384`,
	`select 'index ' || indexdef from pg_indexes where schemaname !~ '^pg_'`,
	`select 'sequence ' || sequencename || ' ' || coalesce(last_value, 0) from pg_sequences`,
	`select 'policy ' || polname from pg_policy`,
	`select 'trigger ' || pg_get_triggerdef(oid) from pg_trigger where not tgisinternal`,
	`select 'slot ' || slot_name from pg_replication_slots`,
	`select 'publication ' || pubname from pg_publication`,
}

// state is what somebody without masks, but without the labelled columns, finds on the server: if a canary is
// in it, a statement stored it where the labels do not reach.
func state(ctx context.Context, side *Side) (string, error) {
	conn, err := pgx.Connect(ctx, side.Server.DSN(database))
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	labelled := map[string][]string{"shop.customers": {"name_up"}}
	for _, c := range columns {
		labelled[c.table] = append(labelled[c.table], c.name)
	}
	for child, parent := range map[string]string{"hr.absences_it": "hr.absences", "hr.absences_rest": "hr.absences"} {
		labelled[child] = labelled[parent]
	}
	tables, err := texts(ctx, conn, `select n.nspname || '.' || quote_ident(c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where c.relkind in ('r', 'p', 'f') and (n.nspname !~ '^pg_' or n.nspname ~ '^pg_temp') and n.nspname <> 'information_schema' order by 1`)
	if err != nil {
		return "", err
	}
	var lines []string
	for _, t := range tables {
		hide := "'{" + strings.Join(labelled[t], ",") + "}'::text[]"
		rows, err := texts(ctx, conn, fmt.Sprintf("select '%s ' || (to_jsonb(whole) - %s)::text from %s whole", strings.ReplaceAll(t, "'", "''"), hide, t))
		if err != nil {
			return "", err
		}
		lines = append(lines, rows...)
	}
	for _, q := range stateQueries {
		more, err := texts(ctx, conn, q)
		if err != nil {
			return "", fmt.Errorf("%s: %w", q, err)
		}
		lines = append(lines, more...)
	}
	if b, err := os.ReadFile(forbiddenFile); err == nil {
		lines = append(lines, "FILE "+string(b))
	}
	sort.Strings(lines)
	return side.port.ReplaceAllString(strings.Join(lines, "\n"), "PORT"), nil
}

func texts(ctx context.Context, conn *pgx.Conn, sql string) ([]string, error) {
	rows, err := conn.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[*string])
	var out []string
	for _, v := range all {
		if v != nil {
			out = append(out, *v)
		}
	}
	return out, err
}

// searchState looks at each line of a state.
func searchState(found *Searcher, state string) (finds []string) {
	for line := range strings.Lines(state) {
		// Guesses hold some canaries by design, before and after.
		if strings.HasPrefix(line, "shop.guesses ") || strings.HasPrefix(line, "masked.guesses ") {
			continue
		}
		if f, ok := found.Text([]byte(line), ""); ok {
			finds = append(finds, fmt.Sprintf("%s (%s) in: %s", f.Cell, f.Form, wire.Clip(strings.TrimSpace(line))))
		}
	}
	return finds
}

// searchRecord looks for canaries in a gateway's record, and gives the number of entries.
func searchRecord(found *Searcher, dir string) (n int, finds []string, err error) {
	err = audit.Read(filepath.Join(dir, "data", "log"), func(r *access.Record) error {
		n++
		result := r.Result
		r.Result, r.Digest = nil, ""
		b, err := json.Marshal(r)
		if err != nil {
			return err
		}
		for _, hay := range [][]byte{b, result} {
			if f, ok := found.Text(hay, r.SQL); ok {
				finds = append(finds, fmt.Sprintf("%s (%s) in record %d: %s", f.Cell, f.Form, r.Position, wire.Clip(r.SQL)))
			}
		}
		return nil
	})
	return n, finds, err
}
