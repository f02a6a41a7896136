package postgres

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// TestPolymorphicOperators: all other built-in operators give a type of pg_catalog whatever their operands.
func TestPolymorphicOperators(t *testing.T) {
	rows, err := connect(t).Query(t.Context(), `SELECT DISTINCT o.oprname FROM pg_operator o JOIN pg_type t ON t.oid = o.oprresult
		WHERE t.typname ~ '^any' AND o.oid < 16384 ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	if n := len(strings.Fields(polymorphicOperators)); n != len(names) {
		t.Errorf("%d are listed, the server has %q", n, names)
	}
	for _, n := range names {
		if !strings.Contains(polymorphicOperators, " "+n+" ") {
			t.Errorf("operator %s is not listed", n)
		}
	}
}
