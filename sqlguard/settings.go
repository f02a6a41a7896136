package sqlguard

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/access"
	"sallyport/sqlguard/policy"
)

// safeSettings may be set by anybody who may connect: they change how values are written, how long
// things may take or how the planner works, never what a statement means or what it can reach.
var safeSettings = slices.Concat([]string{
	// formats
	"bytea_output", "datestyle", "extra_float_digits", "intervalstyle", "lc_monetary",
	"lc_numeric", "lc_time", "timezone", "time zone", "xmlbinary", "xmloption", "array_nulls", "quote_all_identifiers",
	// what is found
	"default_text_search_config", "gin_fuzzy_search_limit",
	// these only ever restrict: pg_dump sets them
	"row_security", "restrict_nonsystem_relation_kind",
}, indifferentSettings)

// indifferentSettings are those under which a statement finds and writes the same, whatever they are.
var indifferentSettings = []string{
	"application_name", "client_encoding",
	// name resolution: the guard follows it
	"search_path",
	// limits of the client's own; those of the policy are kept by the gateway
	"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout",
	"client_connection_check_interval", "tcp_keepalives_count", "tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_user_timeout",
	// transactions
	"default_transaction_deferrable", "default_transaction_isolation", "default_transaction_read_only",
	"transaction_deferrable", "transaction_isolation", "transaction_read_only",
	// messages
	"client_min_messages",
	// planner
	"constraint_exclusion", "cpu_index_tuple_cost", "cpu_operator_cost", "cpu_tuple_cost", "cursor_tuple_fraction",
	"effective_cache_size", "enable_async_append", "enable_bitmapscan", "enable_gathermerge", "enable_group_by_reordering",
	"enable_hashagg", "enable_hashjoin", "enable_incremental_sort", "enable_indexonlyscan", "enable_indexscan",
	"enable_material", "enable_memoize", "enable_mergejoin", "enable_nestloop", "enable_parallel_append",
	"enable_parallel_hash", "enable_partition_pruning", "enable_partitionwise_aggregate", "enable_partitionwise_join",
	"enable_presorted_aggregate", "enable_seqscan", "enable_sort", "enable_tidscan", "from_collapse_limit", "geqo",
	"geqo_effort", "geqo_generations", "geqo_pool_size", "geqo_seed", "geqo_selection_bias", "geqo_threshold", "jit",
	"jit_above_cost", "jit_inline_above_cost", "jit_optimize_above_cost", "join_collapse_limit",
	"min_parallel_index_scan_size", "min_parallel_table_scan_size", "parallel_leader_participation",
	"parallel_setup_cost", "parallel_tuple_cost", "plan_cache_mode", "random_page_cost", "seq_page_cost",
	"synchronize_seqscans",
	// ours: the gateway keeps these itself
	"sallyport.reason", "sallyport.task", "sallyport.reveal",
}

// Indifferent reports whether a statement finds and writes the same whatever a setting is; the name in lower case.
func Indifferent(setting string) bool { return slices.Contains(indifferentSettings, setting) }

// costSettings are what the planner's costs are made of. They are safe, but not where a policy has @cost: a client that sets
// them, or has plans made without its parameters, would choose what is dear.
var costSettings = []string{
	"cpu_index_tuple_cost", "cpu_operator_cost", "cpu_tuple_cost", "effective_cache_size", "parallel_setup_cost", "parallel_tuple_cost",
	"plan_cache_mode", "random_page_cost", "seq_page_cost",
}

const (
	loadsCode   = "it decides what code the server loads"
	takesGuards = "it takes away what guards the server's own data"
)

// lockedSettings are nobody's to change short of "unrestricted": they decide as whom statements run, how
// their bytes are read, and what the server itself is made of.
var lockedSettings = map[string]string{
	"role":                        "the gateway judges by the principal, and statements run as the connection's role",
	"session_authorization":       "the gateway judges by the principal, and statements run as the connection's role",
	"is_superuser":                "it cannot be set",
	"standard_conforming_strings": "the gateway reads statements under its standard value",
	"backslash_quote":             "the gateway reads statements under its standard value",
	"escape_string_warning":       "the gateway reads statements under its standard value",
	"transform_null_equals":       "it changes what statements mean",
	"transaction_snapshot":        "snapshots are not shared between sessions",
	"session_replication_role":    "it switches triggers and foreign keys off",
	"session_preload_libraries":   loadsCode,
	"local_preload_libraries":     loadsCode,
	"dynamic_library_path":        loadsCode,
	"extension_destdir":           loadsCode,
	"jit_provider":                loadsCode,
	"allow_system_table_mods":     takesGuards,
	"ignore_system_indexes":       takesGuards,
	"ignore_checksum_failure":     takesGuards,
	"zero_damaged_pages":          takesGuards,
	"lo_compat_privileges":        takesGuards,
	"post_auth_delay":             "it is for debugging the server",
}

// settings judges what is set and what is shown.
func (j *judge) settings() *access.Decision {
	for _, name := range j.in.Facts.Settings {
		if d := j.setting(name); d != nil {
			return d
		}
	}
	for _, name := range j.in.Facts.Shows {
		switch {
		case name == "" && j.maskedPrincipal():
			return j.no("current_setting needs the name of the setting as a constant",
				"write it in quotes, as in current_setting('TimeZone'), or use SHOW")
		case secret(name):
			return j.no("setting "+name+" is not to be read", "it belongs to the gateway")
		case strings.Contains(name, ".") && !slices.Contains(safeSettings, name):
			// Applications keep keys and tenants in settings of their own.
			if d := j.need(access.ActSession, policy.Setting(j.in.Connection, name), "reading setting "+name); d != nil {
				return d
			}
		}
	}
	return nil
}

// setting judges a change of one setting, lower-case; "all" stands for RESET ALL, "" for a name that
// is only known when the statement runs.
func (j *judge) setting(name string) *access.Decision {
	why, locked := lockedSettings[name]
	_, isPinned := j.pins.Settings[name]
	switch {
	case isPinned:
		return j.no("setting "+name+" may not be changed", "a policy pins it for all of the session")
	case name == "":
		return j.no("set_config needs the name of the setting as a constant", "write it in quotes, or use SET")
	case j.in.Policies.Costs() && slices.Contains(costSettings, name):
	case slices.Contains(safeSettings, name), name == "all":
		return nil
	case locked:
		return j.no("setting "+name+" may not be changed", why)
	case secret(name):
		return j.no("setting "+name+" may not be changed", "it belongs to the gateway")
	}
	return j.need(access.ActSession, policy.Setting(j.in.Connection, name), fmt.Sprintf("changing setting %s", name))
}

// secret reports whether a setting is the gateway's own: it holds the key of token masks.
func secret(name string) bool {
	return strings.HasPrefix(name, "sallyport.") && name != "sallyport.reason" && name != "sallyport.task" && name != "sallyport.reveal"
}
