package mask_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sallyport/internal/access"
	"sallyport/internal/testcorpus"
	"sallyport/internal/testdb"
	"sallyport/mask"
	"sallyport/sqlguard/registry"
)

// twin makes the schema fill its tables with other values of ssn, in the same order.
func twin(schema string) string {
	return strings.ReplaceAll(schema, "lpad((g*7919)::text,9,'0')", "CASE WHEN g%10 <> 3 THEN left(md5(g::text), 3+g%9) END")
}

func read(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// dial opens a connection with the settings of the token key.
func dial(t testing.TB, dsn string) *pgx.Conn {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(ctx) })
	key := hex.EncodeToString(make([]byte, 64))
	if _, err := conn.Exec(ctx, "SELECT set_config($1, $3, false), set_config($2, $3, false)", mask.SettingInner, mask.SettingOuter, key); err != nil {
		t.Fatal(err)
	}
	return conn
}

// answer runs a statement in a transaction that is rolled back and prints all that comes back: names,
// types, rows, command tag, or the error.
func answer(t testing.TB, conn *pgx.Conn, sql string) string {
	t.Helper()
	ctx := context.Background()
	if _, err := conn.Exec(ctx, "BEGIN"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if _, err := conn.Exec(ctx, "ROLLBACK"); err != nil {
			t.Fatal(err)
		}
	}()
	var b strings.Builder
	r := conn.PgConn().Exec(ctx, sql)
	for r.NextResult() {
		rr := r.ResultReader()
		for _, f := range rr.FieldDescriptions() {
			fmt.Fprintf(&b, "%s:%d:%d ", f.Name, f.DataTypeOID, f.TypeModifier)
		}
		b.WriteString("\n")
		for rr.NextRow() {
			for _, v := range rr.Values() {
				if v == nil {
					b.WriteString("NULL|")
				} else {
					fmt.Fprintf(&b, "%s|", v)
				}
			}
			b.WriteString("\n")
		}
		tag, err := rr.Close()
		fmt.Fprintln(&b, tag)
		if err != nil {
			break
		}
	}
	if err := r.Close(); err != nil {
		var pe *pgconn.PgError
		if !errors.As(err, &pe) {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "ERROR %s %s\n", pe.Code, pe.Message)
	}
	return b.String()
}

// callable refuses what policy would: functions of users, and built-ins that do more than compute.
func callable(facts *access.Facts) error {
	for _, f := range facts.Functions {
		switch f.Class {
		case registry.Pure, registry.Catalog, registry.Volatile:
		default:
			return &access.Error{Kind: access.Denied, Code: "42501", Message: "calling " + f.Name.String() + " is not permitted"}
		}
	}
	return nil
}

// TestTwinShapes runs every shape, compiled, on two databases that differ in labelled values only:
// the answers must be the same.
func TestTwinShapes(t *testing.T) {
	dir := testcorpus.Path(t, "leaks")
	schema := read(t, filepath.Join(dir, "schema.sql"))
	srv := testdb.Shared(t)
	dsn := srv.NewDatabase(t, schema)
	w := newWorld(t, dsn, []access.LabelRule{{Label: "pii.ssn", Columns: []string{"*.ssn"}}}, nil)
	one, two := dial(t, dsn), dial(t, srv.NewDatabase(t, twin(schema)))
	if twin(schema) == schema {
		t.Fatal("the twins are the same")
	}
	answered, refused := 0, 0
	for _, line := range strings.Split(strings.TrimSpace(read(t, filepath.Join(dir, "shapes.tsv"))), "\n") {
		name, sql, _ := strings.Cut(line, "\t")
		t.Run(name, func(t *testing.T) {
			c, facts, err := w.compile(sql)
			if err == nil {
				err = callable(facts)
			}
			if err != nil {
				refused++
				t.Logf("refused: %v: %s", err, sql)
				if access.AsError(err).Kind == access.Internal {
					t.Errorf("internal error: %v", err)
				}
				return
			}
			answered++
			a, b := answer(t, one, c.SQL), answer(t, two, c.SQL)
			if a != b {
				t.Errorf("answers differ\n%s\n%.300s\n%.300s", c.SQL, a, b)
			}
			if strings.HasPrefix(a, "ERROR") {
				t.Logf("%s\n%s", c.SQL, a)
			}
		})
	}
	t.Logf("%d answered, %d refused", answered, refused)
}
