package postgres

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sallyport/internal/access"
	"sallyport/internal/pgtree"
	"sallyport/internal/testcorpus"
	"sallyport/sqlguard/registry"
)

// resolveFiles are the files of the regression suite with the hardest names, in an order in which
// they can run. SALLYPORT_RESOLVE=all takes every file.
var resolveFiles = []string{"test_setup.sql", "create_index.sql", "join.sql", "with.sql", "subselect.sql", "rangefuncs.sql", "rowtypes.sql",
	"union.sql", "insert.sql", "insert_conflict.sql", "update.sql", "delete.sql", "returning.sql", "rules.sql", "updatable_views.sql",
	"aggregates.sql", "groupingsets.sql", "window.sql", "select_distinct_on.sql", "select_having.sql", "create_view.sql",
	"inherit.sql", "tablesample.sql", "xmlmap.sql", "jsonb.sql", "polymorphism.sql", "arrays.sql", "create_operator.sql"}

// TestResolvesAsServer compares the analyzer with the server itself. Each SELECT of the regression
// suite is made a view, each INSERT, UPDATE and DELETE the body of a function, and rolled back: the
// columns and functions that the server records as the dependencies are the ones that its resolver
// found. Every one of them must be in the facts.
func TestResolvesAsServer(t *testing.T) {
	dir := testcorpus.Path(t, "sql/regress")
	files := resolveFiles
	if os.Getenv("SALLYPORT_RESOLVE") == "all" {
		list, _ := filepath.Glob(filepath.Join(dir, "*.sql"))
		for _, f := range list {
			if b := filepath.Base(f); !slices.Contains(files, b) && b != "tablespace.sql" {
				files = append(files, b)
			}
		}
	}
	reg, err := registry.Load(150000)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, conn: connect(t), env: Env{Registry: reg}, dirty: true}
	w.exec("SET statement_timeout = '2s'")
	w.exec("SET client_min_messages = 'error'")
	for _, f := range files {
		for _, s := range scriptStatements(t, filepath.Join(dir, f)) {
			trees, err := Parse(s)
			if err != nil {
				continue
			}
			for _, tree := range trees {
				w.statement(f, tree)
			}
		}
	}
	t.Logf("%d statements compared, of which %d exactly; %d refused although the server takes them; %d statements that the server refuses",
		w.compared, w.exact, w.refused, w.invalid)
	if w.compared < 1000 || w.exact*10 < w.compared*9 {
		t.Errorf("too few: %d compared, %d exact", w.compared, w.exact)
	}
	if w.refused*20 > w.compared {
		t.Errorf("%d refused of %d that the server takes", w.refused, w.compared)
	}
}

// world is a database with what the analyzer knows of it.
type world struct {
	*testing.T
	conn                              *pgx.Conn
	env                               Env
	dirty                             bool
	compared, exact, refused, invalid int
}

func (w *world) exec(sql string) error {
	_, err := w.conn.PgConn().Exec(w.Context(), sql).ReadAll()
	return err
}

// statement compares a SELECT, and runs what changes the database.
func (w *world) statement(file string, tree *pgtree.Tree) {
	switch class, tag := classify(tree.Stmt); {
	case class == access.ClassRead && tag == "SELECT":
		w.compare(file, tree)
	case class == access.ClassWrite && (tag == "INSERT" || tag == "UPDATE" || tag == "DELETE"):
		w.compare(file, tree)
		w.exec(tree.SQL)
	case class == access.ClassDDL && !strings.Contains(tag, "DATABASE") && tag != "ALTER SYSTEM", class == access.ClassFunction:
		w.exec(tree.SQL)
		w.dirty = true
	case class == access.ClassMiscSet:
		if f := Sketch(tree); f.PathChange && !slices.Contains(f.Settings, "role") && !slices.Contains(f.Settings, "session_authorization") {
			w.exec(tree.SQL)
			w.dirty = true
		}
	}
}

func (w *world) refresh() {
	if !w.dirty {
		return
	}
	w.dirty = false
	w.env.Catalog = loadCatalog(w, w.conn)
	if err := w.conn.QueryRow(w.Context(), "SELECT current_schemas(true)::text[]").Scan(&w.env.Path); err != nil {
		w.Fatal(err)
	}
}

func (w *world) compare(file string, tree *pgtree.Tree) {
	w.refresh()
	facts, err := Analyze(tree, w.env)
	columns := ""
	if err == nil && facts.Outputs != nil {
		var names []string
		for i := range facts.Outputs {
			names = append(names, "c"+itoa(i))
		}
		columns = "(" + strings.Join(names, ", ") + ")"
	}
	w.exec("BEGIN")
	defer w.exec("ROLLBACK")
	define := "CREATE VIEW pg_temp.compared " + columns + " AS " + tree.SQL
	object := "(SELECT oid FROM pg_rewrite WHERE ev_class = 'pg_temp.compared'::regclass)"
	if tree.Stmt.GetSelectStmt() == nil {
		define = "CREATE FUNCTION pg_temp.compared() RETURNS void BEGIN ATOMIC " + tree.SQL + "; END"
		object = "'pg_temp.compared'::regproc"
	}
	serverErr := w.exec(define)
	if err != nil || serverErr != nil {
		w.disagree(file, tree, err, serverErr)
		return
	}
	deps, funcs := w.dependencies(object)
	have := map[string]bool{}
	var extra []string
	for _, r := range facts.Relations {
		have[r.Name.String()] = true
		for _, c := range r.Columns {
			col := r.Name.String() + "." + c.Name
			have[col] = true
			// The server notes no dependency on what initdb made.
			if !r.Whole && !slices.Contains(deps, col) && !slices.Contains([]string{"pg_catalog", "information_schema"}, r.Name.Schema) {
				extra = append(extra, col)
			}
		}
	}
	userFunctions := false
	for _, f := range facts.Functions {
		userFunctions = userFunctions || !f.Builtin
		have["function "+f.Name.String()] = true
	}
	w.compared++
	// A constant that is taken as regclass or regproc is a dependency, but no read.
	constants := strings.Contains(strings.ToLower(tree.SQL), "::reg")
	for _, d := range append(deps, funcs...) {
		whole := strings.HasPrefix(d, "function ") || strings.Count(d, ".") == 1
		if whole && (constants || strings.Contains(tree.SQL, "'"+d) || strings.Contains(strings.ToLower(tree.SQL), "'"+d[strings.LastIndex(d, ".")+1:])) {
			continue
		}
		// A field of x is a dependency on the table whose row type x has, but no read of it either.
		if rel := d[:max(strings.LastIndex(d, "."), 0)]; !whole && !have[rel] && (strings.Contains(tree.SQL, ").") || strings.Contains(tree.SQL, "set fn.") || userFunctions) {
			continue
		}
		if !have[d] {
			w.Errorf("%s: the server sees %s, the analyzer does not, in %.400s", file, d, tree.SQL)
		}
	}
	if len(extra) == 0 {
		w.exact++
	} else if os.Getenv("WHY") == "extra" {
		w.Logf("%s: only the analyzer sees %v in %.400s", file, extra, tree.SQL)
	}
}

// disagree counts statements that only one side takes. What the server does not take for a reason
// that is not a name says nothing.
func (w *world) disagree(file string, tree *pgtree.Tree, err, serverErr error) {
	var pe *pgconn.PgError
	switch errors.As(serverErr, &pe); {
	case err == nil:
		w.invalid++
		if slices.Contains([]string{"42703", "42P01", "42702", "42P09", "42712", "42P10"}, pe.Code) && os.Getenv("WHY") == "accepted" {
			w.Logf("%s: only the server refuses, %s %s: %.300s", file, pe.Code, pe.Message, tree.SQL)
		}
	case serverErr == nil:
		w.refused++
		if access.AsError(err).Kind == access.Internal {
			w.Errorf("%s: %v in %.400s", file, err, tree.SQL)
		}
		if os.Getenv("WHY") == "refused" {
			w.Logf("%s: only the analyzer refuses, %v: %.300s", file, err, tree.SQL)
		}
	default:
		w.invalid++
		if e := access.AsError(err); pe.Code != e.Code && os.Getenv("WHY") == "codes" {
			w.Logf("%s: server %s %s, analyzer %s %s: %.300s", file, pe.Code, pe.Message, e.Code, e.Message, tree.SQL)
		}
	}
}

// dependencies gives the columns and the functions, outside pg_catalog, that an object depends on.
func (w *world) dependencies(object string) (columns, functions []string) {
	const query = `
WITH d AS (SELECT * FROM pg_depend WHERE objid = $object AND classid IN ('pg_rewrite'::regclass, 'pg_proc'::regclass))
SELECT n.nspname || '.' || c.relname || coalesce('.' || a.attname, '') FROM d
	JOIN pg_class c ON c.oid = d.refobjid JOIN pg_namespace n ON n.oid = c.relnamespace
	LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid AND a.attnum > 0
	WHERE d.refclassid = 'pg_class'::regclass AND c.oid <> coalesce(to_regclass('pg_temp.compared'), 0::oid)
		AND d.refobjsubid >= 0 AND c.relkind <> 'c'
UNION
SELECT 'function ' || n.nspname || '.' || p.proname FROM d
	LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
	JOIN pg_proc p ON p.oid = CASE WHEN d.refclassid = 'pg_proc'::regclass THEN d.refobjid ELSE o.oprcode END
	JOIN pg_namespace n ON n.oid = p.pronamespace
	WHERE d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass) AND n.nspname <> 'pg_catalog'`
	rows, err := w.conn.Query(context.Background(), strings.ReplaceAll(query, "$object", object),
		pgx.QueryExecModeExec) // a cached plan would keep the oid of an object that is gone
	if err != nil {
		w.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		w.Fatal(err)
	}
	for _, d := range all {
		if strings.HasPrefix(d, "function ") {
			functions = append(functions, d)
		} else {
			columns = append(columns, d)
		}
	}
	return columns, functions
}
