package postgres

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"sallyport/internal/testdb"
)

// connect opens a database of its own on the tests' server.
func connect(t *testing.T, initSQL ...string) *pgx.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	conn, err := pgx.Connect(ctx, testdb.Shared(t).NewDatabase(t, initSQL...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

const shapesQuery = `
WITH f AS (
	SELECT p.proname, p.proretset,
		(SELECT array_agg(coalesce(p.proargnames[i], '') ORDER BY i) FROM generate_subscripts(p.proargmodes, 1) i
			WHERE p.proargmodes[i] IN ('o', 'b', 't')) AS outs,
		t.typname, t.typtype, t.typrelid
	FROM pg_proc p JOIN pg_type t ON t.oid = p.prorettype
	WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind IN ('f', 'w', 'a')
), s AS (
	SELECT proname, proretset, CASE
		WHEN cardinality(outs) > 1 OR outs[1] <> '' THEN array_to_string(outs, ',')
		WHEN typrelid <> 0 THEN (SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = typrelid AND attnum > 0)
		WHEN typname IN ('record', 'anyelement', 'anynonarray', 'anycompatible', 'anycompatiblenonarray') THEN '?'
		ELSE '-' END AS shape
	FROM f
)
SELECT proname || E'\t' || CASE WHEN bool_or(proretset) THEN 'set' ELSE '-' END || E'\t' ||
	CASE WHEN count(DISTINCT shape) > 1 THEN '?' ELSE min(shape) END
FROM s GROUP BY proname HAVING bool_or(proretset) OR bool_or(shape <> '-')
ORDER BY proname COLLATE "C"`

func TestShapesMatchServer(t *testing.T) {
	rows, err := connect(t).Query(t.Context(), shapesQuery)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(lines) == 0 {
		t.Fatal(len(lines), err)
	}
	got := strings.Join(lines, "\n") + "\n"
	if *update {
		if err := os.WriteFile("shapes.tsv", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != shapesText {
		t.Errorf("shapes.tsv is not what the server has; run with -update (-file +server):\n%s", cmp.Diff(shapesText, got))
	}
}
