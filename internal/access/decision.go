package access

import "time"

// Effect is the outcome of a decision. The zero Effect denies.
type Effect uint8

const (
	Deny Effect = iota
	Allow
	Review // allowed once a reviewer has approved
)

func (e Effect) String() string {
	switch e {
	case Allow:
		return "allow"
	case Review:
		return "review"
	default:
		return "deny"
	}
}

// Decision is the answer to "may this principal run this statement, and how".
type Decision struct {
	Effect      Effect
	Message     string // for a denial: what was refused, for the client
	Hint        string // for a denial: what would be allowed, or whom to ask
	Code        string // SQLSTATE of a denial; "42501" unless something fits better
	Policies    []string
	Obligations Obligations
	// Scopes, of a denial, are what a token would have to have that is not denied for want of a scope; see Error.Scopes.
	Scopes []string
	// Masked lists the labelled columns, among those of the relations that the statement touches,
	// that the principal may not see raw. They are masked wherever the statement reads them.
	Masked []ColumnID
	// Writable lists those of Masked under a label of which the principal may write some column. A token of
	// such a column could be compared with tokens of values of their own choice, so they see none.
	Writable []ColumnID
	// Lookup lists those of Masked on which whole-value equality may compare the raw value.
	Lookup []ColumnID
	// Order and Group list those of Masked that rows may be ordered, or grouped, by as they are.
	Order, Group []ColumnID
	// Predicate lists those of Masked of which comparisons with constants may choose rows by the raw value.
	Predicate []ColumnID
	// Aggregate lists those of Masked that may be aggregated raw, over groups that are large enough.
	Aggregate []AggregateColumn
	// Compares is true where a constraint compares what the statement writes with a column that the principal may
	// look up: whether it succeeds answers a guess.
	Compares bool
	// Resolve says of columns, of whatever relations, that their values may be stored in a masked column to which the
	// statement assigns their tokens.
	Resolve []TokenSource
	// Filters are the relations, among those that the statement reads, of which the principal may see some rows
	// only.
	Filters []RowFilter
	// Inlined are the views, among those that the statement reads and those behind them, over relations of Filters.
	Inlined []Name
}

// TokenSource is a column in which the values of tokens are found that are assigned to Target.
type TokenSource struct{ Target, Source ColumnID }

// AggregateColumn is a masked column that sums, averages and their like may be taken of. The rows of its relation fall into
// cells, one for each combination of values of By; all of a relation is one cell where there are none. What is answered
// is always about whole cells that have MinGroup values at least.
type AggregateColumn struct {
	Column   ColumnID
	MinGroup int64
	By       []string
}

// RowFilter is a condition in SQL over a relation's columns, for one principal: of the relation there are only the rows
// that it is true of. Its operators are qualified.
type RowFilter struct {
	Relation  Name
	Condition string
}

// Obligations are what must be done to an allowed statement. The strictest of each wins.
type Obligations struct {
	Rows        int64         // most rows released; 0 is no limit
	Bytes       int64         `json:",omitempty"` // most bytes of rows released; 0 is no limit
	Affected    int64         `json:",omitempty"` // most rows that a statement may change; 0 is no limit
	Timeout     time.Duration // most time upstream; 0 is no limit
	LockTimeout time.Duration `json:",omitempty"` // longest wait for a lock; 0 is no limit
	IdleTimeout time.Duration `json:",omitempty"` // longest pause of the client's within a transaction; 0 is no limit
	Cost        int64         `json:",omitempty"` // most that the database's planner may expect it to cost; 0 is no limit
	Concurrent  int64         `json:",omitempty"` // most statements of the principal that run at a time; 0 is no limit
	Sessions    int64         `json:",omitempty"` // most sessions of the principal at a time, of a connect; 0 is no limit
	Reason      bool          // a reason of at least 20 characters must have been given
	Review      []string      // groups whose members must approve
	Where       []string      `json:",omitempty"` // conditions on the rows seen, as the policies have them
	MinGroup    int64         `json:",omitempty"` // fewest values in a cell that aggregates are answered of
	GroupBy     []string      `json:",omitempty"` // columns that make cells, with MinGroup
	Probes      []ProbeBudget `json:",omitempty"` // each has to be kept
	Role        []string      `json:",omitempty"` // roles that sessions are pinned to, of a connect; several are a contradiction
	Settings    []string      `json:",omitempty"` // settings that sessions are pinned to, of a connect, as the policies have them
	NoPreview   bool          `json:",omitempty"` // what a request would do is not tried out for its reviewers
	AutoPreview bool          `json:",omitempty"` // it is tried out by itself, unless NoPreview is set too
}

// Pins are what sessions of a principal have on the server whatever the client does: the role that their statements run as,
// "" for that of the connection, and values of settings by their names in small letters.
type Pins struct {
	Role     string
	Settings map[string]string
}

// None reports whether nothing is pinned.
func (p Pins) None() bool { return p.Role == "" && len(p.Settings) == 0 }

// ProbeBudget limits how many guesses at masked values a principal may have answered in a window of time.
type ProbeBudget struct {
	Most   int64
	Window time.Duration
}

// Label names what a column holds, e.g. "pii.email".
type Label string

// LabelRule gives a label to columns by pattern. Patterns match "schema.table.column" with * and ?
// wildcards in each part; an empty Connections means every connection.
type LabelRule struct {
	Label       Label
	Columns     []string
	Connections []string
	Source      string // file:line of the rule, for reports
}

// Mask says how a labelled column is transformed for those who may not see it raw.
type Mask struct {
	Label     Label
	Transform string // redact, partial, token, generalise, null
	Style     string // partial: email, phone, card, generic; generalise: year, month, decade
	Bucket    string // generalise numbers: bucket width, e.g. "10"
	Source    string // file:line
}

// Connection is an upstream that the configuration names.
type Connection struct {
	Name   string
	Driver string      // "postgres"
	DSN    string      // never logged, never recorded
	Judged *Judgements // of its labels file; nil where it has none
	// Insecure takes a DSN by which another machine's certificate is not checked, or nothing is encrypted.
	Insecure bool
}
