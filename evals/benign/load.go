package benign

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/testdb"
)

// rowsEach is how many rows are generated for each table beside those of the schema file.
const rowsEach = 120

// tableInfo is a table to fill and to copy.
type tableInfo struct {
	name    string // quoted, with its schema
	columns []columnInfo
}

type columnInfo struct {
	name, typ string
	key       bool // part of a primary key or unique constraint
	labelled  bool
}

// loadSchema makes a database of a schema file, with generated rows.
func loadSchema(ctx context.Context, server *testdb.Server, db, file string, seed uint64) ([]tableInfo, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if err := server.Exec(ctx, "postgres", "create database "+db); err != nil {
		return nil, err
	}
	if err := server.Exec(ctx, db, string(text)); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(file), err)
	}
	conn, err := pgx.Connect(ctx, server.DSN(db))
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	list, err := tablesOf(ctx, conn)
	if err != nil {
		return nil, err
	}
	// Foreign keys would ask for an order of tables; values are taken from existing ones anyway.
	if _, err := conn.Exec(ctx, "set session_replication_role = replica"); err != nil {
		return nil, err
	}
	r := rand.New(rand.NewPCG(seed, 1))
	for _, t := range list {
		if err := fill(ctx, conn, t, r); err != nil {
			return nil, fmt.Errorf("%s, %s: %w", db, t.name, err)
		}
	}
	_, err = conn.Exec(ctx, "analyze")
	return list, err
}

func tablesOf(ctx context.Context, conn *pgx.Conn) ([]tableInfo, error) {
	rows, err := conn.Query(ctx, `
		select format('%I.%I', n.nspname, c.relname), a.attname, format_type(a.atttypid, a.atttypmod),
		  exists (select from pg_index i where i.indrelid = c.oid and i.indisunique and a.attnum = any (i.indkey))
		from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
		where c.relkind = 'r' and n.nspname not like 'pg\_%' and n.nspname <> 'information_schema' and a.attnum > 0 and not a.attisdropped
		order by c.oid, a.attnum`)
	if err != nil {
		return nil, err
	}
	var list []tableInfo
	var table string
	var c columnInfo
	_, err = pgx.ForEachRow(rows, []any{&table, &c.name, &c.typ, &c.key}, func() error {
		if len(list) == 0 || list[len(list)-1].name != table {
			list = append(list, tableInfo{name: table})
		}
		c.labelled = labelled(strings.SplitN(table, ".", 2)[1], c.name)
		list[len(list)-1].columns = append(list[len(list)-1].columns, c)
		return nil
	})
	return list, err
}

// fill adds rows: keys are fresh, other values are drawn from the column's own.
func fill(ctx context.Context, conn *pgx.Conn, t tableInfo, r *rand.Rand) error {
	pool := make([][]string, len(t.columns))
	for i, c := range t.columns {
		rows, err := conn.Query(ctx, fmt.Sprintf("select distinct %s::text from %s where %[1]s is not null", ident(c.name), t.name))
		if err != nil {
			return err
		}
		if pool[i], err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			return err
		}
		sort.Strings(pool[i])
	}
	batch := &pgx.Batch{}
	for k := range rowsEach {
		var names, values []string
		for i, c := range t.columns {
			names = append(names, ident(c.name))
			values = append(values, value(c, pool[i], k, r))
		}
		batch.Queue(fmt.Sprintf("insert into %s (%s) values (%s) on conflict do nothing", t.name, strings.Join(names, ", "), strings.Join(values, ", ")))
	}
	return conn.SendBatch(ctx, batch).Close()
}

func ident(name string) string { return pgx.Identifier{name}.Sanitize() }

// value gives one literal. Rows of an otherwise empty column get plain values of its type.
func value(c columnInfo, pool []string, k int, r *rand.Rand) string {
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'::" + c.typ }
	number := strings.HasPrefix(c.typ, "int") || strings.HasPrefix(c.typ, "bigint") || strings.HasPrefix(c.typ, "smallint")
	switch {
	case c.key && number:
		return fmt.Sprint(1000 + k)
	case c.key && strings.HasPrefix(c.typ, "uuid"):
		return quote(fmt.Sprintf("00000000-0000-4000-8000-%012d", k))
	case c.key && (strings.HasPrefix(c.typ, "character") || c.typ == "text"):
		return quote(fmt.Sprintf("K%d", k))
	case c.labelled && (strings.HasPrefix(c.typ, "character") || c.typ == "text") && r.IntN(3) > 0:
		return quote(fmt.Sprintf("p%d.%d", r.IntN(400), k%7))
	case len(pool) > 0:
		return quote(pool[r.IntN(len(pool))])
	case number, strings.HasPrefix(c.typ, "numeric"), strings.HasPrefix(c.typ, "double"), c.typ == "real":
		return fmt.Sprint(r.IntN(100))
	case c.typ == "boolean":
		return fmt.Sprint(r.IntN(2) == 0)
	case strings.HasPrefix(c.typ, "timestamp"), c.typ == "date":
		return quote(fmt.Sprintf("2024-%02d-%02d", 1+r.IntN(12), 1+r.IntN(28)))
	case strings.HasPrefix(c.typ, "character"), c.typ == "text":
		return quote(fmt.Sprintf("w%d", r.IntN(40)))
	default:
		return "NULL"
	}
}

// maskedCopy makes a database that holds what the door shows: the schema without its constraints, and
// each table copied through the door.
func maskedCopy(ctx context.Context, server *testdb.Server, db, copyName, file, doorDSN string, list []tableInfo) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := server.Exec(ctx, "postgres", "create database "+copyName); err != nil {
		return err
	}
	if err := server.Exec(ctx, copyName, string(text)+relax); err != nil {
		return err
	}
	from, err := pgx.Connect(ctx, doorDSN)
	if err != nil {
		return err
	}
	defer from.Close(ctx)
	to, err := pgx.Connect(ctx, server.DSN(copyName))
	if err != nil {
		return err
	}
	defer to.Close(ctx)
	for _, t := range list {
		read, err := from.PgConn().Exec(ctx, "select * from "+t.name).ReadAll()
		if err != nil {
			return fmt.Errorf("read %s of %s through the door: %w", t.name, db, err)
		}
		if _, err := to.Exec(ctx, "truncate "+t.name); err != nil {
			return err
		}
		if _, err := to.PgConn().CopyFrom(ctx, strings.NewReader(copyText(read[0].Rows)), "copy "+t.name+" from stdin"); err != nil {
			return fmt.Errorf("load %s of %s: %w", t.name, copyName, err)
		}
	}
	_, err = to.Exec(ctx, "analyze")
	return err
}

// copyText writes rows as COPY FROM STDIN reads them.
func copyText(rows [][][]byte) string {
	var b strings.Builder
	escape := strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`)
	for _, row := range rows {
		for i, v := range row {
			if i > 0 {
				b.WriteByte('\t')
			}
			if v == nil {
				b.WriteString(`\N`)
			} else {
				b.WriteString(escape.Replace(string(v)))
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// relax drops foreign keys first, then the keys that they point to, then NOT NULL. Primary keys stay
// where they can (a statement may group by one and select other columns): where no column of them is
// labelled their values are the same.
const relax = `;
do $$ declare r record; begin
  for r in select conrelid::regclass t, conname n from pg_constraint where conrelid >= 16384 and contype in ('f', 'c') loop
    execute format('alter table %s drop constraint %I', r.t, r.n); end loop;
  for r in select conrelid::regclass t, conname n from pg_constraint where conrelid >= 16384 and contype = 'u' loop
    execute format('alter table %s drop constraint %I', r.t, r.n); end loop;
  for r in select a.attrelid::regclass t, attname n from pg_attribute a join pg_class c on c.oid = a.attrelid
    where c.oid >= 16384 and relkind = 'r' and attnotnull and attnum > 0
    and not exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary and a.attnum = any (i.indkey)) loop
    execute format('alter table %s alter column %I drop not null', r.t, r.n); end loop;
end $$;`
