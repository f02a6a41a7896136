package upstream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sallyport/internal/access"
	"sallyport/internal/pgdsn"
)

// Form is how a column's values are read. Whatever it is, no function of the database's own users is called: their casts
// to text could do anything.
type Form uint8

const (
	Unread Form = iota
	Plain       // as it is: short, built-in types
	Words       // by the built-in cast to text, cut
	List        // an array: its elements, cut
)

// SampleTable is a table with the columns wanted of it.
type SampleTable struct {
	OID     uint32
	Name    access.Name
	Columns []SampleColumn
}

// SampleColumn is a column of it.
type SampleColumn struct {
	Num  int16
	Name string
	Form Form
}

// SampleLimits bound what is read.
type SampleLimits struct {
	Rows    int           // of a table
	Chars   int           // of a value
	Timeout time.Duration // of a statement; a table takes a few
}

// Sampled is what came of one table. Values has the values that are not NULL, by column.
type Sampled struct {
	Rows    int
	Values  [][]string
	Skipped string         // why the table was not read, or ""
	Unread  map[int]string // why columns of a table that was read were not
}

const (
	sampleColumns = 50 // of one statement
	wholeBlocks   = 64 // tables of so many blocks are read from the beginning
	sparse        = 20 // fewer values than these are looked for once more
)

// Sample reads a bounded part of each table, in a read-only transaction of its own, and gives it to each. What cannot be
// read is skipped with its reason; the error is that of the connection.
func Sample(ctx context.Context, dsn string, tables []SampleTable, limits SampleLimits, each func(int, Sampled)) error {
	cfg, err := pgconn.ParseConfig(pgdsn.Secured(dsn))
	if err != nil {
		return pgdsn.Malformed(err)
	}
	for name, value := range map[string]string{
		"search_path": "", "application_name": "sallyport classify", "default_transaction_read_only": "on", "DateStyle": "ISO",
		"statement_timeout": fmt.Sprint(limits.Timeout.Milliseconds()), "lock_timeout": "200ms", "max_parallel_workers_per_gather": "0",
	} {
		cfg.RuntimeParams[name] = value
	}
	for name, value := range Pinned {
		cfg.RuntimeParams[name] = value
	}
	dial, cancel := context.WithTimeout(ctx, DialTimeout)
	defer cancel()
	conn, err := pgconn.ConnectConfig(dial, cfg)
	if err != nil {
		return dialError(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	s := sampler{conn: conn, limits: limits}
	for i, t := range tables {
		out, err := s.table(ctx, t)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return &access.Error{Kind: access.Unavailable, Code: "08006", Message: "the database went away while it was sampled", Hint: "try again", Err: err}
		}
		each(i, out)
	}
	return nil
}

type sampler struct {
	conn   *pgconn.PgConn
	limits SampleLimits
}

// table samples one table. Its error is one of the connection.
func (s *sampler) table(ctx context.Context, t SampleTable) (out Sampled, err error) {
	out.Values, out.Unread = make([][]string, len(t.Columns)), map[int]string{}
	if _, err := s.query(ctx, "BEGIN TRANSACTION READ ONLY"); err != nil {
		return out, err
	}
	defer func() {
		if _, end := s.query(context.WithoutCancel(ctx), "ROLLBACK"); err == nil {
			err = end
		}
	}()
	size, readable, err := s.look(ctx, t)
	if err != nil {
		out.Skipped, err = skipped(err)
		return out, err
	}
	var want []int
	for i, c := range t.Columns {
		if c.Form == Unread {
			continue
		}
		if !readable[c.Num] {
			out.Unread[i] = "the gateway's role may not read it"
			continue
		}
		want = append(want, i)
	}
	if len(want) == 0 && len(out.Unread) > 0 {
		out.Skipped = "the gateway's role may not read it"
	}
	for from := 0; from < len(want); from += sampleColumns {
		part := want[from:min(len(want), from+sampleColumns)]
		if err := s.columns(ctx, t, size, part, &out); err != nil {
			out.Skipped, err = skipped(err)
			return out, err
		}
	}
	return out, nil
}

// size is what is known of a table's size without reading it.
type size struct {
	blocks float64
	rows   float64 // the planner's estimate of rows a block; 0 if there is none
}

// look asks for the size of a table, its partitions included, and for the columns that the role may read.
func (s *sampler) look(ctx context.Context, t SampleTable) (size, map[int16]bool, error) {
	rows, err := s.query(ctx, fmt.Sprintf(`
		select coalesce((select sum(pg_catalog.pg_relation_size(p.relid)) from pg_catalog.pg_partition_tree(c.oid) p where p.isleaf),
		                pg_catalog.pg_relation_size(c.oid)) / pg_catalog.current_setting('block_size')::pg_catalog.int8,
		       case when c.relpages > 0 and c.reltuples > 0 then c.reltuples / c.relpages else 0 end,
		       pg_catalog.array_to_string(array(select a.attnum from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0
		         and not a.attisdropped and pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')), ' ')
		from pg_catalog.pg_class c where c.oid = %d`, t.OID))
	if err != nil {
		return size{}, nil, err
	}
	if len(rows) == 0 {
		return size{}, nil, errGone
	}
	var z size
	fmt.Sscan(string(rows[0][0]), &z.blocks)
	fmt.Sscan(string(rows[0][1]), &z.rows)
	readable := map[int16]bool{}
	for _, n := range strings.Fields(string(rows[0][2])) {
		var num int16
		fmt.Sscan(n, &num)
		readable[num] = true
	}
	return z, readable, nil
}

var errGone = &pgconn.PgError{Code: "42P01"}

// columns reads some columns of a table: from its beginning where it is small, else from blocks all over it.
func (s *sampler) columns(ctx context.Context, t SampleTable, z size, part []int, out *Sampled) error {
	exprs := make([]string, len(part))
	for i, c := range part {
		exprs[i] = s.expr(t.Columns[c])
	}
	from := " FROM " + pgx.Identifier{t.Name.Schema, t.Name.Name}.Sanitize()
	head := "SELECT " + strings.Join(exprs, ", ") + from
	limit := fmt.Sprintf(" LIMIT %d", s.limits.Rows)
	var rows [][][]byte
	var err error
	if z.blocks > wholeBlocks {
		perBlock := z.rows
		if perBlock < 1 {
			perBlock = 10
		}
		percent := 100 * (1.5*float64(s.limits.Rows)/perBlock + 4) / z.blocks
		if rows, err = s.query(ctx, fmt.Sprintf("%s TABLESAMPLE SYSTEM (%.6f)%s", head, min(percent, 100), limit)); err != nil {
			return err
		}
	}
	if len(rows) < s.limits.Rows/4 { // a small table, or one whose blocks are mostly empty
		if rows, err = s.query(ctx, head+limit); err != nil {
			return err
		}
	}
	out.Rows = max(out.Rows, len(rows))
	for i, c := range part {
		for _, row := range rows {
			out.add(c, t.Columns[c].Form, row[i])
		}
		if len(out.Values[c]) < sparse && len(rows) == s.limits.Rows {
			if err := s.sparse(ctx, t.Columns[c], c, exprs[i], from, out); err != nil {
				return err
			}
		}
	}
	return nil
}

// sparse looks for values of a column that is mostly NULL. That may have to look at the whole table: it is given up when
// the time of a statement is over.
func (s *sampler) sparse(ctx context.Context, col SampleColumn, c int, expr, from string, out *Sampled) error {
	if _, err := s.query(ctx, "SAVEPOINT sparse"); err != nil {
		return err
	}
	rows, err := s.query(ctx, fmt.Sprintf("SELECT %s%s WHERE %s IS NOT NULL LIMIT %d", expr, from, pgx.Identifier{col.Name}.Sanitize(), 5*sparse))
	if err != nil {
		if _, lost := skipped(err); lost != nil {
			return err
		}
		_, err := s.query(ctx, "ROLLBACK TO sparse")
		return err
	}
	for _, row := range rows {
		out.add(c, col.Form, row[0])
	}
	return nil
}

func (out *Sampled) add(c int, form Form, value []byte) {
	switch {
	case value == nil:
	case form == List:
		out.Values[c] = append(out.Values[c], strings.SplitN(string(value), "\n", 16)...)
	default:
		out.Values[c] = append(out.Values[c], string(value))
	}
}

func (s *sampler) expr(c SampleColumn) string {
	name := pgx.Identifier{c.Name}.Sanitize()
	switch c.Form {
	case Words:
		return fmt.Sprintf("pg_catalog.left(%s::pg_catalog.text, %d)", name, s.limits.Chars)
	case List:
		return fmt.Sprintf("pg_catalog.left(pg_catalog.array_to_string(%s, E'\\n'), %d)", name, s.limits.Chars)
	}
	return name
}

// query runs one statement and gives its rows in text form.
func (s *sampler) query(ctx context.Context, sql string) ([][][]byte, error) {
	r := s.conn.ExecParams(ctx, sql, nil, nil, nil, nil).Read()
	return r.Rows, r.Err
}

// skipped is why a table is left out, in words that hold nothing of it; lost is an error of the connection itself.
func skipped(err error) (why string, lost error) {
	var pe *pgconn.PgError
	if !errors.As(err, &pe) {
		return "", err
	}
	switch pe.Code {
	case "42501":
		return "the gateway's role may not read it", nil
	case "57014":
		return "reading it took too long", nil
	case "55P03", "40P01":
		return "it is locked", nil
	case "42P01":
		return "it is not there any more", nil
	case "57P01", "57P02", "57P03":
		return "", err
	}
	return "the database answered " + pe.Code, nil
}
