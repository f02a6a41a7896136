package postgres

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"sallyport/internal/access"
)

// plpgsqlNodes are the parts of a PL/pgSQL body, as libpg_query names them, that do nothing but evaluate expressions,
// run queries and choose what comes next. What is not among them is not followed: EXECUTE, cursors, EXCEPTION, RAISE,
// CALL, COMMIT, GET DIAGNOSTICS, and variables that libpg_query takes for rows, of which it does not tell the first value.
var plpgsqlNodes = []string{
	"PLpgSQL_function", "PLpgSQL_stmt_block", "PLpgSQL_stmt_assign", "PLpgSQL_stmt_if", "PLpgSQL_if_elsif", "PLpgSQL_stmt_case",
	"PLpgSQL_case_when", "PLpgSQL_stmt_loop", "PLpgSQL_stmt_while", "PLpgSQL_stmt_fori", "PLpgSQL_stmt_fors", "PLpgSQL_stmt_foreach_a",
	"PLpgSQL_stmt_exit", "PLpgSQL_stmt_return", "PLpgSQL_stmt_return_next", "PLpgSQL_stmt_return_query", "PLpgSQL_stmt_execsql",
	"PLpgSQL_stmt_perform", "PLpgSQL_expr", "PLpgSQL_var", "PLpgSQL_row", "PLpgSQL_type",
}

// plpgsqlRefused are fields of those that make them more: text that is run, a cursor's query.
var plpgsqlRefused = []string{"dynquery", "params", "exceptions", "cursor_explicit_expr"}

// maxPLpgSQL bounds what is handed to the parser, which is C.
const maxPLpgSQL = 64 << 10

// plpgsqlBody is what a PL/pgSQL function's source is made of.
type plpgsqlBody struct {
	names   []string // variables
	types   []string // of variables, as they are written
	queries []string // statements, and expressions as statements
}

// plpgsqlFacts analyses a body in PL/pgSQL, or gives nil.
func (env Env) plpgsqlFacts(fn *access.Function) *access.Facts {
	b := parsePLpgSQL(fn)
	if b == nil || len(b.queries) == 0 { // arguments are given their types all the same, see ownTypes
		return nil
	}
	env.within.variables = b.names
	users := func(oid uint32) bool { return oid >= firstUserOID }
	if env.codeByType() && (slices.ContainsFunc(b.types, func(t string) bool { return !env.builtinType(t) }) ||
		slices.ContainsFunc(fn.ArgTypes, users) || slices.ContainsFunc(fn.OutTypes, users)) {
		return nil // what assigning to such a variable calls is not followed, nor whether a name is one's or a column's
	}
	all := &access.Facts{Class: access.ClassRead}
	for _, q := range b.queries {
		trees, err := Parse(q)
		if err != nil || len(trees) != 1 {
			return nil
		}
		facts, err := analyze(trees[0], env, nil)
		if err != nil || !reads(facts) {
			return nil
		}
		add(all, facts)
	}
	return all
}

// codeByType reports whether giving a value some type may run code of the database's own users.
func (env Env) codeByType() bool {
	if len(env.Catalog.Casts) > 0 {
		return true
	}
	for _, t := range env.Catalog.TypeByOID {
		if len(t.Calls) > 0 {
			return true
		}
	}
	return false
}

// builtinType reports whether a type, as it is written, is one of pg_catalog. An argument's is given as UNKNOWN; the
// catalog has it, see ownTypes.
func (env Env) builtinType(written string) bool {
	if written == "UNKNOWN" {
		return true
	}
	trees, err := Parse("SELECT NULL::" + written)
	if err != nil || len(trees) != 1 {
		return false
	}
	list := trees[0].Stmt.GetSelectStmt().GetTargetList()
	if len(list) != 1 {
		return false
	}
	names := text(list[0].GetResTarget().GetVal().GetTypeCast().GetTypeName().GetNames())
	a := &analyzer{env: env}
	switch len(names) {
	case 1:
		for n := range env.Catalog.Types {
			if n.Name == names[0] {
				return false // by whatever search_path
			}
		}
		ref, _ := a.typeIn("pg_catalog", names[0])
		return ref.builtin
	case 2:
		ref, _ := a.typeIn(names[0], names[1])
		return ref.builtin
	}
	return false
}

// parsePLpgSQL takes a body apart, or gives nil for one that does more than plpgsqlNodes.
func parsePLpgSQL(fn *access.Function) *plpgsqlBody {
	if len(fn.Source) > maxPLpgSQL || strings.Contains(fn.Source, "#") { // #variable_conflict and its like
		return nil
	}
	tag := "$sallyport$"
	if strings.Contains(fn.Source, tag) {
		return nil
	}
	b := &plpgsqlBody{}
	var args []string
	for _, n := range slices.Concat(fn.ArgNames, fn.OutNames) {
		if n != "" && !slices.Contains(b.names, n) {
			b.names = append(b.names, n)
			args = append(args, `"`+strings.ReplaceAll(n, `"`, `""`)+`" text`)
		}
	}
	returns := "text"
	if fn.ReturnsSet {
		returns = "SETOF text"
	}
	out, err := pg.ParsePlPgSqlToJSON("CREATE FUNCTION f(" + strings.Join(args, ", ") + ") RETURNS " + returns + " LANGUAGE plpgsql AS " + tag + fn.Source + tag)
	if err != nil {
		return nil
	}
	var functions []any
	if json.Unmarshal([]byte(out), &functions) != nil || len(functions) != 1 || !b.node(functions[0]) {
		return nil
	}
	return b
}

// node takes one node and all below it. It is an object with one field, the node's kind.
func (b *plpgsqlBody) node(n any) bool {
	wrapper, ok := n.(map[string]any)
	if !ok || len(wrapper) != 1 {
		return false
	}
	for kind, v := range wrapper {
		fields, ok := v.(map[string]any)
		if !ok || !slices.Contains(plpgsqlNodes, kind) {
			return false
		}
		switch kind {
		case "PLpgSQL_row": // a list of variables
			return true
		case "PLpgSQL_expr":
			return b.expression(fields)
		case "PLpgSQL_var":
			name, _ := fields["refname"].(string)
			b.names = append(b.names, name)
		case "PLpgSQL_type":
			name, _ := fields["typname"].(string)
			b.types = append(b.types, name)
		}
		for name, v := range fields {
			if slices.Contains(plpgsqlRefused, name) || !b.below(v) {
				return false
			}
		}
	}
	return true
}

func (b *plpgsqlBody) below(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return b.node(v)
	case []any:
		for _, one := range v {
			if !b.node(one) {
				return false
			}
		}
	}
	return true
}

// RawParseMode of parser/parser.h.
const (
	parseStatement  = 0
	parseExpression = 2
	parseAssign1    = 3 // to a variable; more parts have more
	parseAssign3    = 5
)

// assignment is one to a variable as a whole. What is between brackets or after a dot could be an expression.
var assignment = regexp.MustCompile(`(?s)^\s*(?:[a-zA-Z_][a-zA-Z_0-9]*|"[^"]+")\s*:?=(.*)$`)

func (b *plpgsqlBody) expression(fields map[string]any) bool {
	query, _ := fields["query"].(string)
	mode, _ := fields["parseMode"].(float64)
	switch {
	case mode == parseStatement:
	case mode == parseExpression:
		query = "SELECT " + query
	case mode >= parseAssign1 && mode <= parseAssign3:
		m := assignment.FindStringSubmatch(query)
		if m == nil {
			return false
		}
		query = "SELECT " + m[1]
	default:
		return false
	}
	b.queries = append(b.queries, query)
	return query != ""
}
