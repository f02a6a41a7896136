package twin

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sallyport/evals/doors"
	"sallyport/evals/harness"
	"sallyport/evals/wire"
	"sallyport/internal/testdb"
)

// model is a database that really holds what the gateway shows of one side: the masked database that
// a masked principal is promised to see. Asked directly, it says what the right answer is.
//
// It keeps tables only. Constraints, triggers and generation would fight the masked values and are
// dropped; views and functions stand on the masked tables.
//
// It is asked through a gateway of its own that masks nothing that is read, so that answers have the same form at every door.
type model struct {
	server  *testdb.Server
	gateway *harness.Gateway
	mu      sync.Mutex // held while asking
	client  *doors.Client
}

// tableRows names a table with labelled columns and an order that both sides share.
type tableRows struct {
	sql, key string
	labelled []string
}

func tables(w *World) []tableRows {
	byTable := map[string][]string{}
	for _, c := range columns {
		byTable[c.table] = append(byTable[c.table], c.name)
	}
	byTable["people"] = append(byTable["people"], "mail_lower", "age_next")
	var all []tableRows
	for t, cols := range byTable {
		key := "id"
		if t == `Odd "Name` {
			key = `"select"`
		}
		sql := t
		if !strings.Contains(t, ".") {
			sql = ident(t)
		}
		if t == "base_log" { // its child stands for itself
			sql = "only " + sql
		}
		all = append(all, tableRows{sql, key, cols})
	}
	if w.Corpora != "" {
		for _, t := range []string{"customers", "orders", "pt"} {
			all = append(all, tableRows{t, "id", []string{"ssn"}})
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].sql < all[j].sql })
	return all
}

func ident(name string) string { return pgx.Identifier{name}.Sanitize() }

// readColumn reads one column as text; NULL becomes "NULL".
func readColumn(ctx context.Context, dsn, sql string) []string {
	conn, err := wire.Dial(ctx, dsn)
	if err != nil {
		return nil
	}
	defer conn.Close()
	a := conn.Simple(sql)
	var out []string
	for _, l := range a.Lines {
		if strings.HasPrefix(l, "D ") {
			out = append(out, l)
		}
	}
	return out
}

// relax removes what would fight masked values.
const relax = `
do $$ declare r record; begin
  for r in select tgrelid::regclass t, tgname n from pg_trigger where not tgisinternal loop
    execute format('drop trigger %I on %s', r.n, r.t); end loop;
  for r in select conrelid::regclass t, conname n from pg_constraint where contype in ('c', 'u', 'x') and conrelid >= 16384 loop
    execute format('alter table %s drop constraint %I', r.t, r.n); end loop;
  for r in select indexrelid::regclass i from pg_index where indisunique and not indisprimary and indrelid >= 16384 loop
    execute format('drop index %s', r.i); end loop;
  for r in select attrelid::regclass t, attname n from pg_attribute where attgenerated <> '' loop
    execute format('alter table %s alter column %I drop expression', r.t, r.n); end loop;
  for r in select contypid::regtype t, conname n from pg_constraint where contypid <> 0 and connamespace = 'public'::regnamespace loop
    execute format('alter domain %s drop constraint %I', r.t, r.n); end loop;
end $$;`

func newModel(ctx context.Context, w *World, side *Side, second bool) (*model, error) {
	server, err := testdb.Start(testdb.Options{Conf: []string{"autovacuum=off", "shared_buffers=64MB"}})
	if err != nil {
		return nil, err
	}
	m := &model{server: server}
	if err := server.Exec(ctx, "postgres", "create database "+Database); err != nil {
		return m, err
	}
	for _, script := range append(w.scripts(second), relax) {
		if err := server.Exec(ctx, Database, script); err != nil {
			return m, err
		}
	}
	if err := m.fill(ctx, w, side); err != nil {
		return m, err
	}
	if w.Plain {
		if err := server.Exec(ctx, Database, forget); err != nil {
			return m, err
		}
	}
	spec := w.spec(&Side{Server: server})
	// A label that nobody reads: detectors look at the answers of principals with masked columns, as they do at the twins.
	if err := server.Exec(ctx, Database, "create table elsewhere (x text)"); err != nil {
		return m, err
	}
	spec.Labels = []harness.Label{{Name: "pii.elsewhere", Columns: []string{"public.elsewhere.x"}}}
	spec.Masks = map[string]harness.Mask{"pii.elsewhere": {Transform: "redact"}}
	delete(spec.Connections, Level)
	m.gateway, err = harness.Start(ctx, spec)
	if err != nil {
		return m, err
	}
	m.client = (&Side{Server: server, Gateway: m.gateway}).client(Database)
	m.client.Keep = w.Plain
	return m, nil
}

// fill replaces each labelled value by what the gateway shows.
func (m *model) fill(ctx context.Context, w *World, side *Side) error {
	from, err := pgx.Connect(ctx, side.Door())
	if err != nil {
		return err
	}
	defer from.Close(ctx)
	to, err := pgx.Connect(ctx, m.server.DSN(Database))
	if err != nil {
		return err
	}
	defer to.Close(ctx)
	for _, t := range tables(w) {
		var sets []string
		read := "select " + t.key
		for i, c := range t.labelled {
			read += ", " + ident(c)
			sets = append(sets, fmt.Sprintf("%s = %s", ident(c), convert(ctx, to, t.sql, c, i+2)))
		}
		// The simple protocol gives every type as text without a cast, which the detectors would look at.
		rows, err := from.PgConn().Exec(ctx, read+" from "+t.sql).ReadAll()
		var refusal *pgconn.PgError
		if errors.As(err, &refusal) && refusal.Code == "42501" {
			continue // nobody who is masked sees this table, so neither needs the copy to be right
		}
		if err != nil {
			return fmt.Errorf("%s: %w", read, err)
		}
		update := fmt.Sprintf("update %s set %s where %s = $1", t.sql, strings.Join(sets, ", "), t.key)
		for _, row := range rows[0].Rows {
			if r := to.PgConn().ExecParams(ctx, update, row, nil, nil, nil).Read(); r.Err != nil {
				return fmt.Errorf("%s: %w", update, r.Err)
			}
		}
	}
	for _, view := range []string{"pm_plain", "pm_expr", "pm_agg", "pm_where", "mv"} {
		_, _ = to.Exec(ctx, "refresh materialized view "+view) // best effort: mv is absent without the corpora
	}
	_, err = to.PgConn().Exec(ctx, inOrder).ReadAll()
	return err
}

// inOrder writes the rows back where they were before the updates: ties and sums of floating point
// numbers depend on it.
const inOrder = `
do $$ declare r record; begin
  for r in select c.oid::regclass t from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'id'
    where c.relkind = 'r' and c.oid >= 16384 and relnamespace in ('public'::regnamespace, 'hr'::regnamespace) loop
    execute format('create index evals_order on %s (id)', r.t);
    execute format('cluster %s using evals_order', r.t);
    execute 'drop index ' || (select i.indexrelid::regclass from pg_index i join pg_class x on x.oid = i.indexrelid where i.indrelid = r.t and x.relname = 'evals_order');
  end loop;
end $$;
analyze`

// convert gives an expression that turns parameter n, a text, into the column's type.
func convert(ctx context.Context, conn *pgx.Conn, table, col string, n int) string {
	var typ string
	table = strings.TrimPrefix(table, "only ")
	err := conn.QueryRow(ctx, "select format_type(atttypid, atttypmod) from pg_attribute where attrelid = $1::regclass and attname = $2", table, col).Scan(&typ)
	if err != nil {
		typ = "text"
	}
	return fmt.Sprintf("$%d::text::%s", n, typ)
}

// agrees tells whether the masked copy gives the same rows, in whatever order.
func (m *model) agrees(ctx context.Context, d doors.Door, s doors.Statement, got wire.Answer) bool {
	want := m.ask(ctx, d, s)
	return alike(data(got.Lines), data(want.Lines)) && got.Code == want.Code
}

// ask puts a statement to the copy, again when it ran out of time, which tells nothing.
func (m *model) ask(ctx context.Context, d doors.Door, s doors.Statement) wire.Answer {
	m.mu.Lock()
	defer m.mu.Unlock()
	want := m.client.Run(ctx, d, s)
	for try := 0; late(want) && try < patience; try++ {
		want = m.client.Run(ctx, d, s)
	}
	return want
}

// placeholders are the detectors' placeholders. They look at what a copy holds plainly, and not at what a mask made.
var placeholders = regexp.MustCompile(`\\\[[a-z][a-z ._-]*\\\]`)

// alike compares rows in whatever order. Where a detector hid something in want, anything may be in got.
func alike(got, want []string) bool {
	if len(got) != len(want) {
		return false
	}
	left := map[string]int{}
	for _, l := range got {
		left[l]++
	}
	var hidden []string
	for _, l := range want {
		if left[l] > 0 {
			left[l]--
		} else {
			hidden = append(hidden, l)
		}
	}
	for _, l := range hidden {
		form := "^" + placeholders.ReplaceAllString(regexp.QuoteMeta(l), ".*") + "$"
		found := slices.IndexFunc(got, func(g string) bool {
			ok, _ := regexp.MatchString(form, g)
			return ok && left[g] > 0
		})
		if found < 0 {
			return false
		}
		left[got[found]]--
	}
	return true
}

// data keeps what carries values: row descriptions hold the origin of a column, which a mask hides.
func data(lines []string) []string {
	var out []string
	for _, l := range lines {
		if strings.HasPrefix(l, "D") || strings.HasPrefix(l, "d ") || strings.HasPrefix(l, "C ") {
			out = append(out, l)
		}
	}
	return out
}

func (m *model) close() {
	if m.client != nil {
		m.client.Close()
	}
	if m.gateway != nil {
		m.gateway.Stop()
	}
	m.server.Stop()
}
