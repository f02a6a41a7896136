package attack

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sallyport/evals/harness"
	"sallyport/internal/testdb"
)

//go:embed world/schema.sql
var schemaSQL string

const (
	database = "attack"
	base     = "attack_base" // what the database is made from again after an effect
	attacker = "mallory"
	bot      = "mallory-agent"
	almighty = "root"
	secret   = "attack-secret"
	bearer   = secret + "-token-0123456789"
	canary   = "CANARY7F"
)

// policy: the restricted may look at everything but one table, masked; nothing else.
const policy = `
@id("look")
permit (principal in Group::"restricted", action in [Action::"connect", Action::"read"], resource);
@id("secrets")
forbid (principal in Group::"restricted", action == Action::"read", resource == Table::"attack.public.secrets");
@id("everything")
permit (principal in Group::"almighty", action, resource);
`

// labels of the masked columns.
var labels = []harness.Label{{Name: "pii.secret", Columns: []string{"*.*.email", "*.*.ssn", "*.*.e-mail"}}}

// world is the server under attack, the gateway before it, and what the oracle needs to look at them.
type world struct {
	server       *testdb.Server
	gateway      *harness.Gateway
	loot         string         // a folder in which the server may write
	direct       *pgx.Conn      // looks at the database; made anew with it
	reader       *pgx.Conn      // reads the log of writes, from another database
	bystander    *pgconn.PgConn // somebody else's session, busy until it is disturbed
	bystanderPID int
	disturbed    chan struct{} // closed when the bystander's statement ends
	unique       int
}

func open(ctx context.Context) (*world, error) {
	w := &world{}
	var err error
	// The oracle reads every record of the log of writes, so nothing may write by itself.
	w.server, err = testdb.Start(testdb.Options{Conf: []string{"autovacuum=off", "shared_buffers=64MB", "wal_level=logical",
		"checkpoint_timeout=1d", "max_wal_size=8GB", "wal_writer_delay=10ms", "synchronous_commit=on", "track_functions=pl"}})
	if err != nil {
		return nil, err
	}
	if err := w.fillServer(ctx); err != nil {
		w.close()
		return nil, err
	}
	w.gateway, err = harness.Start(ctx, harness.Spec{
		Connections: map[string]string{database: w.server.DSN(database)},
		Principals: []harness.Principal{
			{Name: attacker, Groups: []string{"restricted"}, Password: secret},
			{Name: bot, Agent: true, Groups: []string{"restricted"}, Token: bearer},
			{Name: almighty, Groups: []string{"almighty"}, Password: secret},
		},
		Labels: labels, Masks: map[string]harness.Mask{"pii.secret": {Transform: "redact"}}, Policy: policy,
	})
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *world) close() {
	for _, c := range []*pgx.Conn{w.direct, w.reader} {
		if c != nil {
			c.Close(context.Background())
		}
	}
	if w.gateway != nil {
		w.gateway.Stop()
	}
	if w.bystander != nil {
		w.server.Exec(context.Background(), "postgres", "select pg_terminate_backend("+strconv.Itoa(w.bystanderPID)+")")
		<-w.disturbed
	}
	w.server.Stop()
}

// fillServer makes everything once; restore makes what attacks change.
func (w *world) fillServer(ctx context.Context) error {
	w.loot = filepath.Join(w.server.Dir, "loot")
	schema := strings.ReplaceAll(schemaSQL, "{PORT}", strconv.Itoa(w.server.Port))
	schema, vacuum, _ := strings.Cut(schema, "vacuum ")
	for _, s := range []struct{ db, sql string }{
		{"postgres", "create role bystander login password 'CANARY7F-password'"},
		{"postgres", "create database elsewhere"},
		{"postgres", "create database oracle"},
		{"oracle", "create extension pg_walinspect"},
		{"postgres", "create database " + base},
		{base, schema},
		{base, "vacuum " + vacuum},
		{"postgres", "create database " + database + " template " + base},
	} {
		if err := w.server.Exec(ctx, s.db, s.sql); err != nil {
			return fmt.Errorf("%.60s: %w", s.sql, err)
		}
	}
	// The role's password is kept as it is, so that it can be looked for in answers.
	if err := w.server.Exec(ctx, "postgres", "update pg_authid set rolpassword = 'CANARY7F-password' where rolname = 'bystander'"); err != nil {
		return err
	}
	data := filepath.Join(w.server.Dir, "data")
	if err := w.emptyLoot(); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(data, "canary.txt"), []byte(canary+"-file\n"), 0o644); err != nil {
		return err
	}
	return w.furnish(ctx)
}

// emptyLoot makes the folder for what attacks write. The server's user need not be ours.
func (w *world) emptyLoot() error {
	if err := os.RemoveAll(w.loot); err != nil {
		return err
	}
	for _, dir := range []string{w.loot, filepath.Join(w.loot, "space")} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return err
		}
		if err := os.Chmod(dir, 0o777); err != nil {
			return err
		}
	}
	if st, err := os.Stat(filepath.Join(w.server.Dir, "data")); err == nil { // a tablespace's folder has to be the server's own
		if err := chownLike(filepath.Join(w.loot, "space"), st); err != nil {
			return err
		}
	}
	for _, name := range []string{"canary.txt", "unlink-me", canary + "-name"} {
		path := filepath.Join(w.loot, name)
		if err := os.WriteFile(path, []byte(canary+"-loot\n"), 0o666); err != nil {
			return err
		}
		if err := os.Chmod(path, 0o666); err != nil {
			return err
		}
	}
	return nil
}

// furnish adds to the fresh database what is not part of a template, and the bystander.
func (w *world) furnish(ctx context.Context) error {
	for _, sql := range []string{
		"alter database " + database + " set my.canary = '" + canary + "-setting'",
		"select pg_create_physical_replication_slot('bystander', true) where not exists (select from pg_replication_slots)",
	} {
		if err := w.server.Exec(ctx, "postgres", sql); err != nil {
			return err
		}
	}
	if err := w.server.Exec(ctx, database, "begin; insert into pledged values (1); prepare transaction 'bystander'"); err != nil {
		return err
	}
	if w.bystander == nil || !w.undisturbed() {
		if err := w.employ(ctx); err != nil {
			return err
		}
	}
	var err error
	if w.direct, err = pgx.Connect(ctx, w.server.DSN(database)); err != nil {
		return err
	}
	_, err = w.direct.PgConn().Exec(ctx, "listen alarm; set lock_timeout = '5s'").ReadAll()
	return err
}

// employ starts the bystander: a session with a secret in its statement.
func (w *world) employ(ctx context.Context) error {
	conn, err := pgconn.Connect(ctx, w.server.DSN("postgres"))
	if err != nil {
		return err
	}
	w.bystander, w.bystanderPID, w.disturbed = conn, int(conn.PID()), make(chan struct{})
	go func(done chan struct{}) {
		defer close(done)
		conn.Exec(ctx, "select pg_sleep(100000) /* bystander "+canary+"-activity */").ReadAll()
		conn.Close(ctx)
	}(w.disturbed)
	return nil
}

func (w *world) undisturbed() bool {
	select {
	case <-w.disturbed:
		return false
	default:
		return true
	}
}

func (w *world) oracle(ctx context.Context) (*pgx.Conn, error) {
	var err error
	if w.reader == nil {
		w.reader, err = pgx.Connect(ctx, w.server.DSN("oracle"))
	}
	return w.reader, err
}

// written are tables that attacks write to, and how they are filled.
const written = `
truncate public.spare, public.sink, public.trapped, public.defaulted, public.indexed, public.generated;
insert into public.spare values (1, 'one'), (2, 'two')`

// repair undoes the effects of one attack: cheaply where only rows changed that are easily made again.
func (w *world) repair(ctx context.Context, diff []string) error {
	for _, k := range diff {
		if spoilt(k) && !slices.Contains([]string{"rows:public.spare", "rows:public.sink", "rows:public.trapped", "rows:public.defaulted", "rows:public.indexed", "rows:public.generated"}, k) {
			return w.restore(ctx)
		}
	}
	_, err := w.direct.PgConn().Exec(ctx, written).ReadAll()
	return err
}

// restore undoes effects: everything that attacks may have made outside of the database goes, and the
// database is made anew.
func (w *world) restore(ctx context.Context) error {
	w.direct.Close(ctx)
	for _, sql := range append(w.list(ctx, database, "select format('rollback prepared %L', gid) from pg_prepared_xacts"), detach...) {
		_ = w.server.Exec(ctx, database, sql) // best effort: there may be nothing to detach, not even a database
	}
	for _, sql := range append([]string{
		"drop database if exists " + database + " with (force)",
		"create database " + database + " template " + base,
		"alter system reset all",
		"select pg_reload_conf()",
	}, w.list(ctx, "postgres", strangers)...) {
		if err := w.server.Exec(ctx, "postgres", sql); err != nil {
			return fmt.Errorf("restore: %.80s: %w", sql, err)
		}
	}
	if err := w.emptyLoot(); err != nil {
		return err
	}
	return w.furnish(ctx)
}

// detach ends what would keep the database from being dropped.
var detach = []string{
	"select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
	`do $$ declare r record; begin
	  for r in select subname from pg_subscription loop
	    execute format('alter subscription %I disable', r.subname);
	    execute format('alter subscription %I set (slot_name = none)', r.subname);
	    execute format('drop subscription %I', r.subname);
	  end loop;
	end $$`,
	"select pg_drop_replication_slot(slot_name) from pg_replication_slots where not active and slot_name <> 'bystander'",
}

// strangers are statements that remove what does not belong: databases, roles, settings, transactions.
const strangers = `
		select format('drop database %I with (force)', datname) from pg_database
		  where datname not in ('postgres', 'template0', 'template1', 'elsewhere', 'oracle', 'attack', 'attack_base') and datname not like 'elsewhere%'
		union all select format('alter database %I rename to elsewhere', datname) from pg_database where datname like 'elsewhere_%'
		union all select 'create database elsewhere' where not exists (select from pg_database where datname like 'elsewhere%')
		union all select format('alter role %I reset all', rolname) from pg_roles where rolname not like 'pg\_%'
		union all select format('revoke bystander from %I', 'postgres') where exists (select from pg_auth_members m join pg_roles r on r.oid = m.roleid where r.rolname = 'bystander')
		union all select format('drop role %I', rolname) from pg_roles where rolname not in ('postgres', 'bystander') and rolname not like 'pg\_%' and rolname not like 'bystander%'
		union all select format('alter role %I rename to bystander', rolname) from pg_roles where rolname like 'bystander_%'
		union all select 'create role bystander login' where not exists (select from pg_roles where rolname like 'bystander%')
		union all select 'update pg_authid set rolpassword = ''CANARY7F-password'' where rolname = ''bystander'''
		union all select format('drop tablespace %I', spcname) from pg_tablespace where spcname not like 'pg\_%'
		union all select format('select pg_replication_origin_drop(%L)', roname) from pg_replication_origin`

// list gives the one column of a query; nothing where that fails.
func (w *world) list(ctx context.Context, db, sql string) []string {
	conn, err := pgx.Connect(ctx, w.server.DSN(db))
	if err != nil {
		return nil
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, sql)
	if err != nil {
		return nil
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil
	}
	return all
}
