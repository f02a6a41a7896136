package attack

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// state is what the oracle sees of the server: a name of something and what it is like.
type state map[string]string

// diff names what differs between two states, in order.
func (s state) diff(t state) []string {
	var all []string
	for k, v := range t {
		if s[k] != v {
			all = append(all, k)
		}
	}
	for k := range s {
		if _, ok := t[k]; !ok {
			all = append(all, k)
		}
	}
	sort.Strings(all)
	return all
}

// relations are all with rows of their own: those of users, and the catalogs, shared ones and large
// objects among them.
const relations = `
select n.nspname, c.relname, c.relkind = 'S' from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'm', 'S') and n.nspname !~ '^pg_(toast|temp)' and n.nspname <> 'information_schema' and c.relpersistence <> 't'
order by 1, 2`

// globals are one value each.
const globals = `
select 'prepared', (select count(*)::text || coalesce(string_agg(gid, ',' order by gid), '') from pg_prepared_xacts)
union all select 'slots', (select string_agg(slot_name || coalesce(restart_lsn::text, ''), ',' order by slot_name) from pg_replication_slots)
union all select 'settings', (select md5(string_agg(name || '=' || coalesce(setting, '') || source, ',' order by name)) from pg_settings
  where source not in ('session', 'override', 'client', 'database'))
union all select 'conf-loaded', pg_conf_load_time()::text
union all select 'started', pg_postmaster_start_time()::text
union all select 'statistics-reset', (select string_agg(coalesce(stats_reset::text, ''), ',' order by datid) from pg_stat_database)
  || (select stats_reset::text from pg_stat_bgwriter) || (select stats_reset::text from pg_stat_wal) || (select stats_reset::text from pg_stat_archiver)
  || (select string_agg(stats_reset::text, ',' order by name) from pg_stat_slru)
union all select 'statistics-functions', (select coalesce(sum(calls), 0)::text from pg_stat_user_functions)
union all select 'checkpoint', (select checkpoint_lsn::text from pg_control_checkpoint())
union all select 'workers', (select count(*)::text from pg_stat_activity where backend_type not in ('client backend', 'parallel worker', 'walwriter', 'background writer', 'checkpointer', 'logical replication launcher'))`

// look reads the whole state. The server's own work must be at rest.
func (w *world) look(ctx context.Context) (state, error) {
	s := state{}
	rows, err := w.direct.Query(ctx, relations)
	if err != nil {
		return nil, err
	}
	var parts []string
	var schema, name string
	var sequence bool
	if _, err := pgx.ForEachRow(rows, []any{&schema, &name, &sequence}, func() error {
		key := "rows:"
		if sequence {
			key = "sequence:"
		} else if schema == "pg_catalog" {
			key = "catalog:"
		}
		id := pgx.Identifier{schema, name}.Sanitize()
		columns := "t::text"
		if sequence {
			columns = "last_value::text || is_called"
		}
		parts = append(parts, fmt.Sprintf("select '%s%s', count(*)::text || ':' || coalesce(sum(hashtextextended(%s, 0)), 0) from only %s t",
			key, strings.ReplaceAll(schema+"."+name, "'", "''"), columns, id))
		return nil
	}); err != nil {
		return nil, err
	}
	return s, w.rest(ctx, s, strings.Join(parts, " union all "))
}

// glanceAtFiles reads all but rows, which are taken to be as they were.
func (w *world) glanceAtFiles(ctx context.Context, before state) (state, error) {
	s := state{}
	for k, v := range before {
		if strings.HasPrefix(k, "rows:") || strings.HasPrefix(k, "catalog:") || strings.HasPrefix(k, "sequence:") {
			s[k] = v
		}
	}
	return s, w.rest(ctx, s, "")
}

// rest adds what a query gives, and everything that is not in relations.
func (w *world) rest(ctx context.Context, s state, query string) error {
	for _, sql := range []string{query, "select k, coalesce(v, '') from (" + globals + ") g (k, v)"} {
		if sql == "" {
			continue
		}
		rows, err := w.direct.Query(ctx, sql)
		if err != nil {
			return err
		}
		var k, v string
		if _, err := pgx.ForEachRow(rows, []any{&k, &v}, func() error { s[k] = v; return nil }); err != nil {
			return err
		}
	}
	if !w.undisturbed() {
		s["bystander"] = "disturbed"
	}
	return w.files(s)
}

// quiet folders hold what the server writes by itself, or what the log of writes tells better.
var quiet = []string{"base", "pg_wal", "pg_xact", "pg_multixact", "pg_subtrans", "pg_stat", "pg_stat_tmp", "pg_notify", "pg_logical", "global", "pg_dynshmem", "pg_commit_ts"}

// files notes the files of the data folder and of the loot folder: names and contents.
func (w *world) files(s state) error {
	data := filepath.Join(w.server.Dir, "data")
	for _, root := range []string{data, w.loot} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil // it went away while we looked
			}
			rel, _ := filepath.Rel(w.server.Dir, path)
			if d.IsDir() {
				if root == data && slices.Contains(quiet, d.Name()) {
					return filepath.SkipDir
				}
				s["file:"+rel] = "folder"
				return nil
			}
			b, err := os.ReadFile(path)
			if err == nil && d.Name() != "postmaster.opts" {
				s["file:"+rel] = fmt.Sprintf("%x", sha256.Sum256(b))
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// glance is the part of the state that is cheap enough to read after each attack.
type glance struct {
	xid, lsn, touched, counter, locks, connections string
}

// quick: the next transaction number (moved by every attempt to write, also one that was rolled back), the
// end of the log of writes, sequences, locks of others that a read does not take, and connections to the
// database that only dblink and its like would open.
const quick = `
select pg_snapshot_xmax(pg_current_snapshot())::text, pg_current_wal_insert_lsn()::text,
  (select last_value::text || is_called from public.touched), (select last_value::text || is_called from public.counter),
  (select coalesce(string_agg(distinct coalesce(locktype, '') || ' ' || mode || ' ' || coalesce(relation::regclass::text, ''), ', '), '') from pg_locks
     where pid <> pg_backend_pid() and locktype <> 'virtualxid' and mode <> 'AccessShareLock'),
  (select coalesce(sum(sessions), 0)::text from pg_stat_database where datname = 'elsewhere')
  || (select count(*)::text from pg_stat_activity where datname = 'elsewhere')`

// glance reads it, and what changed since last: nil for nothing.
func (w *world) glance(ctx context.Context, last *glance) ([]string, error) {
	var g glance
	if err := w.direct.QueryRow(ctx, quick).Scan(&g.xid, &g.lsn, &g.touched, &g.counter, &g.locks, &g.connections); err != nil {
		return nil, err
	}
	var seen []string
	add := func(differs bool, what string) {
		if differs {
			seen = append(seen, what)
		}
	}
	add(g.xid != last.xid, "transaction number")
	add(g.touched != last.touched || g.counter != last.counter, "sequence")
	add(g.locks != "" && g.locks != last.locks, "lock: "+g.locks)
	add(g.connections != last.connections, "connection")
	if w.notified(ctx) {
		seen = append(seen, "notification")
	}
	if !w.undisturbed() {
		seen = append(seen, "bystander")
	}
	if g.lsn != last.lsn && last.lsn != "" {
		kinds, err := w.records(ctx, last.lsn, g.lsn)
		if err != nil {
			return nil, err
		}
		for _, k := range kinds {
			seen = append(seen, "wal: "+k)
		}
		if err := w.direct.QueryRow(ctx, quick).Scan(&g.xid, &g.lsn, &g.touched, &g.counter, &g.locks, &g.connections); err != nil {
			return nil, err
		}
	}
	if last.lsn == "" { // there is nothing to compare with yet
		seen = nil
	}
	*last = g
	return seen, nil
}

// notified tells whether somebody notified. Messages came with the answers read before.
func (w *world) notified(ctx context.Context) bool {
	ctx, cancel := context.WithDeadline(ctx, time.Now())
	defer cancel()
	n, err := w.direct.WaitForNotification(ctx)
	return err == nil && n != nil
}

// noise are records that the server writes by itself: after others' writes, or when a page is read.
const noise = `'RUNNING_XACTS', 'FPI_FOR_HINT', 'PRUNE', 'PRUNE_ON_ACCESS', 'VISIBLE', 'FPI'`

// records lists the kinds of records between two positions, each once. A commit of our own makes the
// server write them out first.
func (w *world) records(ctx context.Context, from, to string) ([]string, error) {
	conn, err := w.oracle(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "select pg_logical_emit_message(true, 'oracle', '')"); err != nil {
		return nil, err
	}
	rows, err := conn.Query(ctx, `select distinct resource_manager || ' ' || record_type from pg_get_wal_records_info($1::pg_lsn, $2::pg_lsn)
		where record_type not in (`+noise+`) order by 1`, from, to)
	if err != nil {
		return nil, err
	}
	kinds, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("records from %s to %s: %w", from, to, err)
	}
	return kinds, nil
}

// exported tells whether a transaction has handed out its snapshot, which it does by a file.
func (w *world) exported() bool {
	files, err := os.ReadDir(filepath.Join(w.server.Dir, "data", "pg_snapshots"))
	return err == nil && len(files) > 0
}
