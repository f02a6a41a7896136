package gateway

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"sallyport/internal/access"
)

// Config is what the core needs to know; internal/config reads it from a file.
type Config struct {
	DataDir     string
	Connections []access.Connection
	Principals  []access.LocalPrincipal
	// Providers are who else may say who somebody is.
	Providers []access.Provider
	// Audience is the URL of the agents' door, which access tokens have to be for.
	Audience string
	// CredentialLifetime is how long what is issued at a log-in holds; 0 is an hour, and 12 hours are the most.
	CredentialLifetime time.Duration
	Labels             []access.LabelRule
	Masks              []access.Mask
	Policies           []PolicyFile
	// PhoneRegions are countries (ISO 3166) whose telephone numbers the detectors know as they are dialled there.
	PhoneRegions []string
	// Model is asked about text that the detectors have looked at.
	Model Recogniser
	// Approvals says how statements that wait for a person are handled.
	Approvals Approvals
	// CatalogRefresh is the longest age of a catalog snapshot; 0 means 60 s.
	CatalogRefresh time.Duration
	// DSN reads the DSN of a connection again: when the database refuses the log-in, at RenewDSNs and every DSNRefresh, unless that is 0.
	// nil: DSNs stay as they are.
	DSN        func(ctx context.Context, connection string) (string, error)
	DSNRefresh time.Duration
	Log        *slog.Logger // nil discards
}

// PolicyFile is the text of one Cedar policy file.
type PolicyFile struct{ Name, Text string }

// Login is what a door knows about who wants in.
type Login struct {
	Door        access.Door
	Connection  string
	Credentials access.Credentials
	// User is who the client asks to be, where a protocol has that beside the credentials: they have to be that principal's.
	User   string
	Client string // remote address, and the application name where given
	Reason string // from the startup options, where given
	// Settings are the startup packet's run-time parameters and its parsed "options"; each passes
	// the guard as a SET would.
	Settings map[string]string
}

// OpKind is a PostgreSQL frontend operation.
type OpKind byte

const (
	OpQuery    OpKind = 'Q' // SQL
	OpParse    OpKind = 'P' // Name (statement), SQL, ParamOIDs
	OpBind     OpKind = 'B' // Portal, Name (statement), Raw
	OpDescribe OpKind = 'D' // Target 'S' or 'P', Name or Portal
	OpExecute  OpKind = 'E' // Portal, MaxRows
	OpClose    OpKind = 'C' // Target 'S' or 'P', Name or Portal
	OpFlush    OpKind = 'H'
	OpSync     OpKind = 'S'
	OpCopyData OpKind = 'd' // Raw
	OpCopyDone OpKind = 'c'
	OpCopyFail OpKind = 'f' // Raw
)

// Op is one operation of a client, in PostgreSQL's extended protocol vocabulary. Doors that do not
// speak that protocol use Session.Query.
type Op struct {
	Kind      OpKind
	SQL       string
	Name      string // prepared statement
	Portal    string
	Target    byte // Describe, Close: 'S' statement, 'P' portal
	ParamOIDs []uint32
	MaxRows   int32
	// Raw is the whole frame as received (type, length, body). The core may send it upstream as it
	// stands; it must stay valid until Do returns.
	Raw []byte
}

// Sink takes what may be released: whole PostgreSQL backend messages, one after the other. The bytes
// are only valid until Release returns. An error ends the session.
type Sink interface {
	Release(frames []byte) error
}

// ErrEnded says that a session cannot go on (the upstream closed, an operator ended it); the final
// ErrorResponse has been released where there was one.
var ErrEnded = errors.New("session ended")

// SessionParams is what a wire door tells its client after log-in.
type SessionParams struct {
	ID       string            // session id, as in the record
	Status   map[string]string // ParameterStatus
	TxStatus byte
	PID, Key uint32 // our own cancel key (BackendKeyData), never the server's
}

// Query is one statement of a door that does not speak PostgreSQL's protocol.
type Query struct {
	SQL      string
	Args     []string // text form; nil entries are not possible, use NULL in SQL
	MaxRows  int      // most rows wanted; the policy's @rows may lower it. 0 means no wish
	MaxBytes int
	Task     Task
	Reason   string
	// Traceparent is what the client says of the trace that it is in (W3C Trace Context); what is none is not recorded.
	Traceparent string
	// Approval is the request for approval of which this is the statement, as it was stored: it runs under that if nothing has yet.
	Approval string

	types []uint32 // of parameters, as declared
	bind  []byte   // a Bind, in the place of Args
}

// Task is what an agent says that it works on.
type Task struct{ ID, Goal, Ticket string }

// RevealQuery asks to see columns as they are, for a door that does not speak PostgreSQL's protocol.
type RevealQuery struct {
	Columns     []string // table.column or schema.table.column
	Task        Task
	Reason      string
	Traceparent string // see Query
}

// Result is a decoded answer. Values are text form; a nil value is NULL.
type Result struct {
	Columns   []ResultColumn
	Rows      [][]*string
	Command   string
	Truncated bool     // more rows were there than were fetched, or than the policy releases
	Record    uint64   // position of the record in the log
	Notices   []string // the database's
	Notes     []string // the gateway's own
	Said      []string // what reviewers have to say about what ran
	Decision  access.Decision
	Policies  string // version of the policies that it was judged by
	Detected  int
}

// ResultColumn describes one column of a Result.
type ResultColumn struct {
	Name    string
	Type    string // PostgreSQL type name, e.g. "integer"
	TypeOID uint32
	Masks   []access.MaskApplied // the masks that its value went through, or none
}

// Core is what doors may do. *Gateway implements it.
type Core interface {
	// SCRAM begins a SCRAM-SHA-256 exchange for user; an unknown user gets a mock exchange that
	// fails at the end (RFC 5802 section 9, PostgreSQL's mock authentication).
	SCRAM(user string) Exchange
	// Verify checks credentials without opening a session.
	Verify(ctx context.Context, c access.Credentials) (access.Principal, error)
	// Recognise is Verify for a door whose messages bring their proof each, before there is a session: whom it refuses is recorded. l needs no
	// connection.
	Recognise(ctx context.Context, l Login) (access.Principal, error)
	// Providers lists the identity providers that tokens are taken of, without their secrets.
	Providers() []access.Provider
	// Connect opens a session; it fails with an *access.Error.
	Connect(ctx context.Context, l Login) (*Session, error)
	// Watch gives a channel that is closed, with the cause in it before, when the proof of p holds no longer; see Gateway.Watch.
	Watch(p access.Principal) (ended <-chan string, stop func())
	// PolicyVersion tells the policies in force from those before and after them.
	PolicyVersion() string
	// Visible lists the connections that the principal behind c may connect to.
	Visible(ctx context.Context, c access.Credentials) ([]ConnectionInfo, error)
	// StartTask records a task for the principal behind c and gives its id.
	StartTask(ctx context.Context, door access.Door, c access.Credentials, goal, ticket string) (Task, error)
	// LookupTask gives a task that the same principal started.
	LookupTask(ctx context.Context, c access.Credentials, id string) (Task, error)
	// SearchSchema finds relations and columns whose name or comment matches, as the principal may
	// see them; an empty pattern lists all relations.
	SearchSchema(ctx context.Context, c access.Credentials, q SchemaQuery) ([]RelationInfo, error)
	// Approval gives what has become of a request for approval that the principal behind c made, acting as now; to others it
	// does not exist.
	Approval(ctx context.Context, c access.Credentials, id string) (ApprovalStatus, error)
	// Withdraw ends a request of the principal behind c, acting as now, that has not begun to run.
	Withdraw(ctx context.Context, c access.Credentials, id string) (ApprovalStatus, error)
	// WatchReviews gives a channel that is closed at the next step of a request.
	WatchReviews(id string) <-chan struct{}
	// Cancel cancels what the session with that backend key is running; unknown keys do nothing.
	Cancel(pid uint32, key uint32)
}

// ApprovalStatus is a request for approval as who made it may see it. Nothing in it decides anything.
type ApprovalStatus struct {
	ID         string
	State      ReviewState
	Connection string
	SQL        string // as it was reviewed, and will run
	Params     []string
	Columns    []string // of a request to see columns: those asked for, or shown once it is approved; then there is no SQL
	Digest     string   // of all that an approval is bound to
	URL        string   // of the page where reviewers decide; "" where there is none
	Task       string
	Missing    []string // groups that have not approved
	WaitsFor   string   // the same in words, with who stand in for them
	Escalated  []ApprovalEscalated
	Approved   int // people who have
	Uses       int // how often something has run under it
	Created    time.Time
	Expires    time.Time // of the request, or of the approval once there is one
	Outcome    string    // of what has ended: why, in the reviewer's words, or what the database said
	Reviewer   string    // of a denial
	Said       []string  // why it was approved, with by whom
}

// ApprovalEscalated is a group that had not decided in its time, and those who may in its place since then.
type ApprovalEscalated struct {
	Group string
	To    []string
	Since time.Time
}

// SchemaQuery asks for what a database defines.
type SchemaQuery struct {
	Door       access.Door
	Connection string
	Pattern    string // a part of a name or comment; empty for all
	Limit      int    // most relations; 0 is no limit
	Task       Task
	Reason     string

	Traceparent string // see Query
}

// Exchange is one SCRAM exchange. Once Step reports done, pass the Exchange as Credentials.
type Exchange interface {
	access.Credentials
	Step(client string) (server string, done bool, err error)
}

// ConnectionInfo describes a connection to somebody who may use it.
type ConnectionInfo struct {
	Name, Driver, Database, ServerVersion string
	Relations, Masked                     int // relations visible, columns that are masked for the asker
	Available                             bool
}

// RelationInfo describes a relation as a principal may see it.
type RelationInfo struct {
	Name    access.Name
	Kind    string // table, view, materialized view, foreign table, partitioned table
	Comment string
	Columns []ColumnInfo
}

// ColumnInfo describes a column as a principal may see it.
type ColumnInfo struct {
	Name, Type, Comment string
	NotNull             bool
	Labels              []access.Label
	Masked              *access.MaskApplied // nil: seen raw
}
