package access

import "slices"

// Class is a statement class in pgAudit's vocabulary.
type Class string

const (
	ClassRead        Class = "READ"
	ClassWrite       Class = "WRITE"
	ClassFunction    Class = "FUNCTION" // DO, CALL
	ClassRole        Class = "ROLE"
	ClassDDL         Class = "DDL"
	ClassMisc        Class = "MISC"     // transaction control, FETCH, CHECKPOINT, VACUUM, LISTEN ...
	ClassMiscSet     Class = "MISC_SET" // SET, RESET, SHOW
	ClassTransaction Class = "TRANSACTION"
)

// Use says what a statement does with a column.
type Use uint8

const (
	UseOutput    Use = 1 << iota // its value can reach the result
	UsePredicate                 // it decides which rows are there (WHERE, ON, HAVING, LIMIT)
	UseOrder                     // ORDER BY, window order
	UseGroup                     // GROUP BY, DISTINCT, set operations, PARTITION BY
	UseWrite                     // it is assigned to
	UseStore                     // its value is stored somewhere by this statement
)

// Action names a Cedar action (DESIGN section 6).
type Action string

const (
	ActRead         Action = "read"
	ActWrite        Action = "write"
	ActDDL          Action = "ddl"
	ActCall         Action = "call"
	ActSession      Action = "session" // change a setting of the session
	ActConnect      Action = "connect"
	ActWriteAll     Action = "write_all_rows" // UPDATE and DELETE without WHERE, TRUNCATE
	ActReveal       Action = "reveal"
	ActLookup       Action = "lookup"
	ActPredicate    Action = "predicate"    // choose rows by comparing the raw values of a masked column
	ActOrder        Action = "order"        // order rows by the raw values of a masked column
	ActGroup        Action = "group"        // group rows by them
	ActAggregate    Action = "aggregate"    // sums and averages of a masked column over large groups
	ActNotify       Action = "notify"       // LISTEN, NOTIFY, UNLISTEN
	ActUnrestricted Action = "unrestricted" // any statement that parses, unresolved and unmasked
)

// Actions are all there are.
var Actions = []Action{ActConnect, ActUnrestricted, ActRead, ActWrite, ActWriteAll, ActDDL, ActCall,
	ActSession, ActNotify, ActReveal, ActLookup, ActPredicate, ActOrder, ActGroup, ActAggregate}

// Facts is what the guard found out about one statement. The zero value is not a pure read.
type Facts struct {
	Class       Class
	Tag         string // command tag's verb: SELECT, INSERT, COPY, CREATE TABLE ...
	Fingerprint string // libpg_query fingerprint, hex
	Relations   []RelationUse
	Functions   []FunctionUse // functions, and those behind operators and casts, outside pg_catalog too
	Settings    []string      // settings assigned to, lower-case
	Shows       []string      // settings read by SHOW or current_setting, lower-case; "" is one not known beforehand
	Channels    []string      // LISTEN, NOTIFY, UNLISTEN
	Objects     []Object      // targets of DDL
	Outputs     []Output      // result columns in order, where they are known
	Params      int           // highest $n
	// Pure is true only when running the statement can change nothing, block nobody and call
	// nothing but pure built-ins: it may be sent upstream before its record is durable.
	Pure bool
	// Locks is true for FOR UPDATE and its kin, and LOCK.
	Locks bool
	// Stores is true when rows read are stored by the statement itself: INSERT ... SELECT, CTAS.
	Stores bool
	// RowSecurity lists the columns that row-security policies look at to choose the rows.
	RowSecurity []ColumnID
	// Cascade is true for DROP ... CASCADE and its like: what depends on the objects goes with them, and is
	// not among the facts.
	Cascade bool
	// Uncounted is true when the statement's command tag does not count all the rows that it changes:
	// data-modifying WITH, TRUNCATE, EXPLAIN ANALYZE of a write.
	Uncounted bool
	// Sets is true when a function is called that may give several values, so that one row of VALUES may be many.
	Sets bool
	// Explain is true for EXPLAIN; Facts then speak of the explained statement.
	Explain bool
	// CurrentRow is true for WHERE CURRENT OF: the row is the one that a cursor is at.
	CurrentRow bool
	// PathChange is true when the statement may change search_path or the role.
	PathChange bool
	// Prepares, Executes, Cursor name SQL-level PREPARE, EXECUTE and DECLARE/FETCH/CLOSE targets.
	Prepares, Executes, Declares, Fetches string
	// Transaction is "begin", "commit", "rollback", "savepoint", "release", "rollback to",
	// "prepare" ... for transaction control, or "".
	Transaction string
	// CopyIn and CopyOut are true for COPY FROM STDIN and COPY TO STDOUT.
	CopyIn, CopyOut bool
}

// RelationUse is one relation of the catalog that a statement touches.
type RelationUse struct {
	Name    Name
	Action  Action // ActRead, ActWrite or ActDDL; a relation both read and written appears twice
	Verb    string // select, insert, update, delete, merge, truncate, lock, copy ...
	Columns []ColumnUse
	// Whole is true when a whole row is used (r.*, r, count of rows excluded) or when the guard could
	// not tell which columns are: all columns then count as used.
	Whole bool
	// By names the foreign key that carries a write to this relation, which the statement does not name.
	By string
	// Unlocked is true when FOR UPDATE OF and its kin, where the statement has them, name other relations.
	Unlocked bool
	// Every is true for a write that may change or delete every row: TRUNCATE, and UPDATE, DELETE and
	// MERGE without a condition that looks at the rows.
	Every bool
}

// Assigns reports whether a write gives one of some columns of r, which may be below the relation that
// it names, a new value, or might: a generated column is computed from others.
func (u RelationUse) Assigns(r *Relation, columns []string) bool {
	return slices.ContainsFunc(columns, func(name string) bool {
		c := r.Column(name)
		return u.Whole || c == nil || c.Generated ||
			slices.ContainsFunc(u.Columns, func(use ColumnUse) bool { return use.Name == name && use.Use&UseWrite != 0 })
	})
}

// ColumnUse is one column with everything that is done with it.
type ColumnUse struct {
	Name string
	Use  Use
}

// FunctionUse is a function that a statement calls, directly or through an operator or a cast.
type FunctionUse struct {
	Name    Name
	Builtin bool
	// Class is the registry's class of a built-in or of a known extension's function; "" is user code.
	Class string
	// By says what makes the server call it where the statement does not: "default of column id of public.t".
	By string
	// Body is what it does, where that is known and is nothing but reading: relations, functions and row security of
	// its statements, all overloads together. nil: not known.
	Body *Facts
}

// Object is a target of DDL or of a privilege change.
type Object struct {
	Kind string // table, view, function, schema, role ...
	Name Name
}

// ColumnID names a column of a relation.
type ColumnID struct {
	Relation Name
	Column   string
}

// Output is a column of a result with the catalog columns that its value can depend on.
type Output struct {
	Name    string
	Sources []ColumnID
	Plain   bool // exactly one source, passed through unchanged
}
