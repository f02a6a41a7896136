// Package postgres understands PostgreSQL statements: Parse splits a batch, Sketch says what kind of
// statement one is, Analyze resolves every name in it as the server would and reports the facts that
// a decision needs, ViewLineage says what a view's columns are made of.
//
// It trusts libpg_query to parse as the server does, and the catalog snapshot and the registry of
// built-ins that it is given. It is pure: no I/O, no clock, no global state, and it decides nothing.
//
// It refuses what it does not understand. The walk is a type switch on every node that the grammar
// can put in a place, with a default that fails; a name that cannot be resolved fails; where several
// meanings are possible (overloaded functions, user-defined operators of one name) all of them are
// reported. Where exact resolution needs types, which are not inferred here, the error is on the side
// of reporting too much.
//
// Start at Analyze (analyze.go). Levels and names are in scope.go, after parse_relation.c of
// PostgreSQL; queries in query.go and with.go, after analyze.c and parse_cte.c; FROM in from.go, after
// parse_clause.c; expressions in expr.go; what values are made of in lineage.go.
package postgres
