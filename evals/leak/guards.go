package leak

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v5"
)

// forbiddenText is what a careful operator of a regex guard would write down for this database.
var forbiddenText = regexp.MustCompile(`(?i)\b(insert|update|delete|merge|drop|alter|create|truncate|grant|revoke|copy|do|call|set|lock|listen|notify|vacuum|into)\b|\*|\b(email|phone|birth|ship_to|card|iban|full_name|ssn|salary|born|badge|body|reason|mrn|history|allergies|contact|diagnosis|seen|result|owner|balance|ip|device|pg_stats|pg_read_file|dblink)\b|\bname\b`)

func regexGuard(sql string) error {
	if m := forbiddenText.FindString(sql); m != "" {
		return fmt.Errorf("the text holds %q", m)
	}
	return nil
}

// allowList parses, and lets statements pass that read, and call functions from a list only: the idea of
// postgres-mcp's restricted mode, without the gaps that its walker had.
func allowList(sql string) error {
	text, err := pg_query.ParseToJSON(sql)
	if err != nil {
		return err
	}
	var tree struct {
		Stmts []struct {
			Stmt map[string]any `json:"stmt"`
		} `json:"stmts"`
	}
	if err := json.Unmarshal([]byte(text), &tree); err != nil {
		return err
	}
	for _, s := range tree.Stmts {
		for kind := range s.Stmt {
			if !allowedStatements[kind] {
				return fmt.Errorf("%s is not allowed", kind)
			}
		}
		if err := walkAllowed(s.Stmt); err != nil {
			return err
		}
	}
	return nil
}

var allowedStatements = map[string]bool{"SelectStmt": true, "ExplainStmt": true, "VariableShowStmt": true}

// writing kinds may not stand inside of those either.
var writingNodes = map[string]bool{"InsertStmt": true, "UpdateStmt": true, "DeleteStmt": true, "MergeStmt": true, "IntoClause": true, "intoClause": true, "LockingClause": true, "CreateTableAsStmt": true, "ExecuteStmt": true}

func walkAllowed(n any) error {
	switch n := n.(type) {
	case []any:
		for _, v := range n {
			if err := walkAllowed(v); err != nil {
				return err
			}
		}
	case map[string]any:
		for k, v := range n {
			if writingNodes[k] {
				return fmt.Errorf("%s is not allowed", k)
			}
			if k == "FuncCall" {
				if err := allowedCall(v); err != nil {
					return err
				}
			}
			if err := walkAllowed(v); err != nil {
				return err
			}
		}
	}
	return nil
}

func allowedCall(call any) error {
	m, _ := call.(map[string]any)
	parts, _ := m["funcname"].([]any)
	if len(parts) == 0 {
		return fmt.Errorf("a call without a name")
	}
	b, err := json.Marshal(parts[len(parts)-1])
	if err != nil {
		return err
	}
	var last struct {
		String struct {
			Sval string `json:"sval"`
		}
	}
	if err := json.Unmarshal(b, &last); err != nil {
		return err
	}
	if name := last.String.Sval; !allowedFunctions[name] {
		return fmt.Errorf("function %s is not on the list", name)
	}
	return nil
}

// allowedFunctions have no effects. The list is that of everyday queries, as such lists are.
var allowedFunctions = func() map[string]bool {
	all := map[string]bool{}
	for _, f := range strings.Fields(`count sum avg min max array_agg string_agg json_agg jsonb_agg json_object_agg jsonb_object_agg
		bool_and bool_or every stddev variance corr regr_slope bit_and bit_or bit_xor percentile_cont percentile_disc mode
		rank dense_rank row_number ntile lag lead first_value last_value nth_value cume_dist percent_rank
		upper lower length char_length octet_length bit_length left right substr substring reverse repeat replace translate
		concat concat_ws format lpad rpad ltrim rtrim btrim trim position strpos split_part initcap ascii chr md5 sha256
		encode decode convert_to convert_from quote_literal quote_ident quote_nullable regexp_replace regexp_match regexp_matches
		regexp_split_to_table regexp_split_to_array overlay starts_with string_to_array array_to_string string_to_table to_hex
		to_char to_date to_number to_timestamp date_trunc date_part extract age now clock_timestamp make_date
		abs ceil floor round trunc sqrt ln log exp power mod random width_bucket sign scale
		generate_series unnest array_length cardinality array_position array_append json_build_object jsonb_build_object
		json_build_array jsonb_build_array to_json to_jsonb row_to_json array_to_json jsonb_each jsonb_each_text jsonb_array_length
		jsonb_typeof jsonb_path_query jsonb_path_exists jsonb_path_query_array jsonb_pretty jsonb_to_record jsonb_to_recordset
		jsonb_populate_record jsonb_set jsonb_strip_nulls num_nulls num_nonnulls host masklen
		ts_stat ts_rewrite to_tsvector pg_column_size pg_relation_size pg_total_relation_size pg_get_viewdef pg_get_indexdef
		similarity hstore current_setting pg_typeof numrange daterange int8range range_agg`) {
		all[f] = true
	}
	return all
}()
