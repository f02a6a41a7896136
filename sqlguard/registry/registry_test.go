package registry

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/testdb"
)

func registry15(t *testing.T) *Registry {
	t.Helper()
	r, err := Load(150018)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestFamilies holds every family of functions of the threat list, and what is commonly needed, to
// its class.
func TestFamilies(t *testing.T) {
	r := registry15(t)
	for class, names := range map[string]string{
		RunsSQL: `query_to_xml query_to_xmlschema query_to_xml_and_xmlschema table_to_xml table_to_xmlschema
			table_to_xml_and_xmlschema schema_to_xml schema_to_xmlschema schema_to_xml_and_xmlschema database_to_xml
			database_to_xmlschema database_to_xml_and_xmlschema cursor_to_xml cursor_to_xmlschema ts_stat ts_rewrite`,
		Admin: `pg_read_file pg_read_binary_file pg_ls_dir pg_ls_waldir pg_ls_logdir pg_ls_tmpdir pg_stat_file lo_import
			lo_export pg_reload_conf pg_rotate_logfile pg_terminate_backend pg_cancel_backend pg_promote pg_switch_wal
			pg_backup_start pg_create_restore_point pg_logical_emit_message pg_export_snapshot pg_stat_reset
			pg_stat_reset_shared pg_create_logical_replication_slot pg_replication_origin_create pg_nextoid
			binary_upgrade_create_empty_extension brin_summarize_new_values gin_clean_pending_list pg_import_system_collations`,
		Blocks: `pg_sleep pg_sleep_for pg_sleep_until pg_advisory_lock pg_advisory_xact_lock pg_advisory_lock_shared
			pg_try_advisory_lock pg_advisory_unlock_all`,
		Writes:  `nextval setval lo_creat lo_create lo_put lo_from_bytea lo_unlink lowrite lo_truncate txid_current pg_current_xact_id`,
		Notify:  `pg_notify`,
		Setting: `set_config current_setting`,
		Bounds:  `pg_get_partition_constraintdef`,
		Sizes:   `pg_relation_size pg_table_size pg_total_relation_size pg_indexes_size pg_database_size pg_tablespace_size`,
		Discloses: `pg_stat_get_activity pg_stat_get_backend_activity
			pg_current_wal_lsn pg_mcv_list_items lo_get loread lo_open currtid2 pg_sequence_last_value
			pg_lock_status pg_logical_slot_get_changes pg_logical_slot_peek_binary_changes current_query pg_prepared_statement
			pg_cursor pg_hba_file_rules pg_show_all_file_settings pg_config pg_current_snapshot txid_status pg_control_system`,
		Catalog: `pg_get_viewdef pg_get_functiondef pg_get_constraintdef pg_get_expr pg_get_indexdef pg_get_serial_sequence
			format_type obj_description col_description has_table_privilege has_column_privilege to_regclass version
			current_user current_database current_schemas pg_table_is_visible pg_get_userbyid pg_is_in_recovery
			pg_backend_pid inet_server_addr pg_encoding_to_char pg_typeof`,
		Volatile: `random gen_random_uuid clock_timestamp timeofday setseed currval lastval`,
		Pure: `count sum avg min max array_agg string_agg percentile_cont rank row_number lag lower upper substr substring
			regexp_replace regexp_matches to_char to_date to_number date_trunc date_part extract age now generate_series unnest
			json_agg jsonb_build_object to_json row_to_json jsonb_path_query xpath format concat md5 sha256 coalesce_is_syntax
			to_tsvector ts_rank ts_headline pg_column_size int8 text date width_bucket length convert_from encode decode`,
		Internal: `int4in textout array_in record_in domain_in brinhandler btint4sortsupport plpgsql_call_handler
			eqsel RI_FKey_check_ins suppress_redundant_updates_trigger numeric_avg fmgr_sql_validator pg_ddl_command_send`,
	} {
		for _, name := range strings.Fields(names) {
			if name == "coalesce_is_syntax" {
				if _, ok := r.Function(name); ok {
					t.Errorf("%s is known", name)
				}
				continue
			}
			if got, _ := r.Function(name); got != class {
				t.Errorf("%s is %q, want %q", name, got, class)
			}
		}
	}
}

// TestNothingDangerousIsHarmless looks for words that a harmless function has no business with.
func TestNothingDangerousIsHarmless(t *testing.T) {
	r := registry15(t)
	suspicious := []string{"_to_xml", "pg_read_", "pg_ls_", "advisory", "sleep", "pg_stat_get", "pg_stat_reset", "binary_upgrade",
		"replication", "_wal_", "backup", "slot", "lo_", "largeobject", "_backend", "nextval", "setval", "_size", "snapshot", "reload"}
	explained := set(
		"pg_backend_pid", "has_largeobject_privilege", // about this session, about rights
		// These compute on the snapshot, size or position that they are given.
		"pg_snapshot_xip", "pg_snapshot_xmax", "pg_snapshot_xmin", "pg_snapshot_send", "pg_visible_in_snapshot",
		"txid_snapshot_xip", "txid_snapshot_xmax", "txid_snapshot_xmin", "txid_snapshot_send", "txid_visible_in_snapshot",
		"pg_column_size", "pg_size_pretty", "pg_size_bytes", "pg_wal_lsn_diff",
	)
	for name, f := range r.functions {
		if f.class != Pure && f.class != Catalog && f.class != Volatile || explained[name] {
			continue
		}
		for _, word := range suspicious {
			if strings.HasPrefix(name, word) || word != "lo_" && strings.Contains(name, word) {
				t.Errorf("%s is %s", name, f.class)
			}
		}
	}
}

func TestRelations(t *testing.T) {
	r := registry15(t)
	for name, want := range map[string]string{
		"pg_class": Open, "pg_attribute": Open, "pg_type": Open, "pg_proc": Open, "pg_roles": Open, "pg_settings": Open,
		"pg_description": Open, "pg_database": Open, "pg_index": Open, "pg_constraint": Open,
		"pg_stats": Data, "pg_statistic": Data, "pg_stats_ext": Data, "pg_stats_ext_exprs": Data, "pg_statistic_ext_data": Data,
		"pg_stat_activity": Data, "pg_largeobject": Data, "pg_cursors": Data, "pg_prepared_statements": Data,
		"pg_prepared_xacts": Data, "pg_stat_user_tables": Data, "pg_locks": Data,
		"pg_authid": Secret, "pg_shadow": Secret, "pg_user_mapping": Open, "pg_user_mappings": Open,
		"pg_hba_file_rules": Secret, "pg_file_settings": Secret, "pg_config": Secret, "pg_db_role_setting": Open,
		"no_such_relation": "",
	} {
		if got, _ := r.Relation("pg_catalog", name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := r.Hidden("pg_catalog", "pg_subscription"); got != "subconninfo" {
		t.Errorf("hidden column of pg_subscription is %q", got)
	}
	for _, name := range []string{"pg_user_mapping", "pg_user_mappings"} {
		if got := r.Hidden("pg_catalog", name); got != "umoptions" {
			t.Errorf("hidden column of %s is %q", name, got)
		}
	}
	if got, _ := r.Relation("information_schema", "user_mapping_options"); got != Secret {
		t.Errorf("user_mapping_options is %q", got)
	}
	if _, ok := r.Relation("public", "pg_class"); ok {
		t.Error("a relation of another schema is known")
	}
}

func TestNames(t *testing.T) {
	r := registry15(t)
	if !r.Operator("||") || !r.Operator("@>") || r.Operator("<@@@>") {
		t.Error("operators")
	}
	if !r.Type("int4") || !r.Type("_text") || !r.Type("pg_class") || r.Type("hstore") {
		t.Error("types")
	}
	if !CallsJSONCasts("to_jsonb") || CallsJSONCasts("lower") {
		t.Error("functions that call casts to json")
	}
}

func TestOldServerIsRefused(t *testing.T) {
	if _, err := Load(90624); err == nil {
		t.Error("PostgreSQL 9.6 was accepted")
	}
	if _, err := Load(0); err == nil {
		t.Error("an unknown version was accepted")
	}
}

// TestServerIsCovered asks a running server for everything it has. When it fails for a new version,
// gen/ adds the names and a person classifies them.
func TestServerIsCovered(t *testing.T) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, testdb.Shared(t).NewDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	r := registry15(t)
	for what, check := range map[string]struct {
		query string
		known func(schema, name string) bool
		least int
	}{
		"function": {`select '', proname from pg_proc where pronamespace = 'pg_catalog'::regnamespace`,
			func(_, n string) bool { _, ok := r.Function(n); return ok }, 3000},
		"relation": {`select nspname, relname from pg_class c join pg_namespace n on n.oid = relnamespace
			where nspname in ('pg_catalog', 'information_schema') and relkind not in ('i', 't', 'S', 'c')`,
			func(s, n string) bool { _, ok := r.Relation(s, n); return ok }, 200},
		"operator": {`select '', oprname from pg_operator where oprnamespace = 'pg_catalog'::regnamespace`,
			func(_, n string) bool { return r.Operator(n) }, 700},
		"type": {`select '', typname from pg_type where typnamespace = 'pg_catalog'::regnamespace`,
			func(_, n string) bool { return r.Type(n) }, 400},
	} {
		rows, err := conn.Query(ctx, check.query)
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		for rows.Next() {
			var schema, name string
			if err := rows.Scan(&schema, &name); err != nil {
				t.Fatal(err)
			}
			if seen++; !check.known(schema, name) {
				t.Errorf("%s %s is not in the registry: run sqlguard/registry/gen and classify it", what, name)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		if seen < check.least {
			t.Errorf("only %d rows for %s: the query is wrong", seen, what)
		}
	}
}

// TestGatewaySettingsAreHidden holds pg_settings to the reason why it is open: placeholders, such as
// those with the key of token masks, appear neither there nor in SHOW ALL.
func TestGatewaySettingsAreHidden(t *testing.T) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, testdb.Shared(t).NewDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `set sallyport.ipad = 'canary'`); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := conn.QueryRow(ctx, `select count(*) from pg_settings where name like 'sallyport%' or setting = 'canary'`).Scan(&n); err != nil || n != 0 {
		t.Errorf("pg_settings shows it: %d rows, %v", n, err)
	}
	rows, _ := conn.Query(ctx, `show all`)
	for rows.Next() {
		if v, _ := rows.Values(); strings.HasPrefix(v[0].(string), "sallyport") {
			t.Error("SHOW ALL shows it")
		}
	}
	if rows.Err() != nil {
		t.Error(rows.Err())
	}
}
