package evidence

import (
	"time"

	"sallyport/internal/access"
)

// SchemaID names the form of trace.json; trace.schema.json describes it.
const SchemaID = "urn:sallyport:schema:trace:1"

// Document is trace.json. Fields that do not apply are absent; all times are UTC.
type Document struct {
	Schema    string        `json:"schema"`
	Generator string        `json:"generator"`
	Scope     DocumentScope `json:"scope"`
	Log       Log           `json:"log"`
	Summary   Summary       `json:"summary"`
	Policies  []Policy      `json:"policies"`
	Purposes  []Purpose     `json:"purposes,omitempty"`
	Tasks     []Task        `json:"tasks,omitempty"`
	Sessions  []Session     `json:"sessions"`
	Approvals []Approval    `json:"approvals,omitempty"`
	Records   []Record      `json:"records"`
	Limits    []string      `json:"limits"`
}

// DocumentScope says what the bundle is about.
type DocumentScope struct {
	Kind string     `json:"kind"` // session, task, principal or period
	ID   string     `json:"id,omitempty"`
	From *time.Time `json:"from,omitempty"`
	To   *time.Time `json:"to,omitempty"`
}

// Log says which records the bundle speaks of, and whether they are proven to be in the log.
type Log struct {
	Records    int    `json:"records"`
	First      uint64 `json:"first"`      // lowest position
	Last       uint64 `json:"last"`       // highest
	Proven     int    `json:"proven"`     // how many of them have an inclusion proof in proofs/
	Checkpoint string `json:"checkpoint"` // SHA-256 of the file checkpoint; "" without proofs
}

// Summary counts what is in the sessions.
type Summary struct {
	Sessions int   `json:"sessions"`
	Steps    int   `json:"steps"`
	Allowed  int   `json:"allowed"`
	Refused  int   `json:"refused"`
	Held     int   `json:"held"`
	Failed   int   `json:"failed"`
	Unknown  int   `json:"unknown"`
	Erased   int   `json:"erased"`
	Rows     int64 `json:"rows"`
	Bytes    int64 `json:"bytes"`
	Previews int   `json:"previews"` // statements that were tried for a reviewer and rolled back; not among the steps
	Requests int   `json:"requests"` // for approval
	// BrokenGlass counts requests of which nobody was asked beforehand.
	BrokenGlass int `json:"broken_glass"`
}

// Policy is one version of the policies that steps were judged by.
type Policy struct {
	Version  string   `json:"version"`
	Steps    int      `json:"steps"`
	Included bool     `json:"included"` // its text is in the bundle
	Files    []string `json:"files,omitempty"`
}

// Purpose is an entry of the configuration's catalogue that a step refers to.
type Purpose struct {
	ID          string `json:"id"`
	Text        string `json:"text"`
	LawfulBasis string `json:"lawful_basis"`
}

// Task is what somebody said that they were doing.
type Task struct {
	ID        string     `json:"id"`
	Goal      string     `json:"goal,omitempty"`
	Ticket    string     `json:"ticket,omitempty"`
	Principal string     `json:"principal,omitempty"`
	Actors    []string   `json:"actors,omitempty"`
	Identity  *Identity  `json:"identity,omitempty"`
	Declared  *time.Time `json:"declared,omitempty"` // absent: no record of its declaration is in view
	Position  uint64     `json:"position,omitempty"`
	Erased    bool       `json:"erased,omitempty"`
}

// Session is one principal on one door to one upstream. Without id: what happened outside of sessions.
type Session struct {
	ID           string    `json:"id"`
	Subject      string    `json:"subject,omitempty"`
	Actors       []string  `json:"actors,omitempty"` // who acted for the subject, nearest first
	Groups       []string  `json:"groups,omitempty"`
	Client       string    `json:"client,omitempty"`
	Identity     *Identity `json:"identity,omitempty"` // absent where the record does not say
	Door         string    `json:"door,omitempty"`
	Connection   string    `json:"connection,omitempty"`
	From         time.Time `json:"from"`
	To           time.Time `json:"to"`
	PreviewOf    string    `json:"preview_of,omitempty"` // the request that it was opened for to try
	Opened       uint64    `json:"opened,omitempty"`     // position of the open record
	Closed       uint64    `json:"closed,omitempty"`     // position of the close record
	Ended        string    `json:"ended,omitempty"`      // why, where it did not end by itself
	Complete     bool      `json:"complete"`             // all of its records are in view, by their numbers and the close record's count
	Completeness string    `json:"completeness"`         // the same in words
	Erased       bool      `json:"erased,omitempty"`     // its open record is
	Steps        []Step    `json:"steps"`
}

// Identity is what the subject was proven by.
type Identity struct {
	Method  string `json:"method"`
	Issuer  string `json:"issuer,omitempty"`  // the provider; absent for principals of the gateway's configuration
	Subject string `json:"subject,omitempty"` // the provider's
	Client  string `json:"client,omitempty"`  // the program that the token was given to
	// Session is the provider's.
	Session       string     `json:"provider_session,omitempty"`
	Token         string     `json:"token_sha256,omitempty"` // of the token, or of that which the credential was issued for
	Credential    string     `json:"credential,omitempty"`   // id of what the gateway issued
	Issued        *time.Time `json:"issued,omitempty"`
	Authenticated *time.Time `json:"authenticated,omitempty"` // when the person had last proved who they are
	Expires       *time.Time `json:"expires,omitempty"`
	ACR           string     `json:"acr,omitempty"`
	AMR           []string   `json:"amr,omitempty"`
	BreakGlass    bool       `json:"break_glass,omitempty"` // by what is kept for when nobody else can come in
	Scopes        []string   `json:"scopes,omitempty"`
	Description   string     `json:"description"` // all of it in words
}

// Step is one thing that somebody did.
type Step struct {
	Sequence     uint64      `json:"sequence"` // number of its first record in the session
	Position     uint64      `json:"position"` // position of the same in the log
	Time         time.Time   `json:"time"`
	Outcome      Outcome     `json:"outcome"`
	Erased       bool        `json:"erased,omitempty"` // some of it is
	Partial      bool        `json:"partial,omitempty"`
	Door         string      `json:"door,omitempty"`
	Connection   string      `json:"connection,omitempty"`
	Subject      string      `json:"subject,omitempty"`
	Actors       []string    `json:"actors,omitempty"`
	Identity     *Identity   `json:"identity,omitempty"` // of what belongs to no session
	Task         string      `json:"task,omitempty"`
	Traceparent  string      `json:"traceparent,omitempty"` // the caller's place in a trace, as it claims (W3C Trace Context)
	Approval     string      `json:"approval,omitempty"`    // the request under which it ran, or for which it was held
	PreviewOf    string      `json:"preview_of,omitempty"`  // the request that it was tried for; rolled back, and nobody was given a row
	Reason       string      `json:"claimed_reason,omitempty"`
	Purposes     []string    `json:"purposes,omitempty"`
	Class        string      `json:"class,omitempty"`
	Command      string      `json:"command,omitempty"`
	Fingerprint  string      `json:"fingerprint,omitempty"`
	SQL          string      `json:"sql,omitempty"`
	Parameters   []Parameter `json:"parameters,omitempty"`
	Relations    []Relation  `json:"relations,omitempty"`
	Labels       []string    `json:"labels,omitempty"`
	Columns      []Column    `json:"columns,omitempty"`
	Decision     *Decision   `json:"decision,omitempty"`
	Masks        *Masks      `json:"masks,omitempty"`
	Guesses      int64       `json:"guesses,omitempty"` // at masked values, answered or refused
	Rows         int64       `json:"rows"`
	Bytes        int64       `json:"bytes"`
	Truncated    bool        `json:"truncated,omitempty"`
	ReleasedIn   int         `json:"released_in,omitempty"` // parts, where more than one
	Digest       string      `json:"released_sha256,omitempty"`
	ResultNames  []string    `json:"result_columns,omitempty"`
	SQLState     string      `json:"sqlstate,omitempty"`
	Error        string      `json:"error,omitempty"`
	Hint         string      `json:"hint,omitempty"`
	Microseconds int64       `json:"microseconds,omitempty"` // upstream
	Positions    []uint64    `json:"records"`                // all of its records, by position
}

// Outcome is how a step ended.
type Outcome string

const (
	Allowed  Outcome = "allowed"
	Refused  Outcome = "refused"
	Held     Outcome = "held"    // for review; nothing ran
	Failed   Outcome = "failed"  // allowed, and ended in an error
	Unknown  Outcome = "unknown" // allowed, and nobody knows how it ended
	Declared Outcome = "declared"
	Erased   Outcome = "erased" // the record that would say is
)

// Parameter commits to the text of a parameter without telling it; see commit.
type Parameter struct {
	Number    int    `json:"number"`
	Type      string `json:"type"`
	Salt      string `json:"salt"`
	SHA256    string `json:"sha256"`
	Hidden    bool   `json:"hidden,omitempty"`    // the detectors have hidden a part: the commitment is to what they left
	Shortened bool   `json:"shortened,omitempty"` // the record has its beginning, length and digest only
}

// Relation is what a statement does to a relation.
type Relation struct {
	Action string `json:"action"`
	Name   string `json:"name"`
}

// Column is a labelled column that a statement uses.
type Column struct {
	Column    string `json:"column"`
	Label     string `json:"label"`
	Masked    bool   `json:"masked"`
	Transform string `json:"transform,omitempty"`
}

// Decision is what the policies said.
type Decision struct {
	Effect         string       `json:"effect"`
	Policies       []string     `json:"policies,omitempty"`
	PolicyVersion  string       `json:"policy_version,omitempty"`
	CatalogVersion string       `json:"catalog_version,omitempty"`
	Compiled       bool         `json:"compiled"` // the masked form ran, not the text as sent
	Obligations    *Obligations `json:"obligations,omitempty"`
}

// Obligations are what the decision asked for. Absent limits are none.
type Obligations struct {
	Rows        int64    `json:"rows,omitempty"`
	Bytes       int64    `json:"bytes,omitempty"`
	Affected    int64    `json:"affected,omitempty"`
	TimeoutMS   int64    `json:"timeout_ms,omitempty"`
	LockMS      int64    `json:"lock_timeout_ms,omitempty"`
	IdleMS      int64    `json:"idle_timeout_ms,omitempty"`
	Cost        int64    `json:"cost,omitempty"`
	Concurrent  int64    `json:"concurrent,omitempty"`
	Sessions    int64    `json:"sessions,omitempty"`
	Reason      bool     `json:"reason,omitempty"`
	Review      []string `json:"review,omitempty"`
	NoPreview   bool     `json:"no_preview,omitempty"`
	Where       []string `json:"where,omitempty"`
	MinGroup    int64    `json:"min_group,omitempty"`
	GroupBy     []string `json:"group_by,omitempty"`
	Probes      []Probes `json:"probes,omitempty"`
	Description string   `json:"description,omitempty"` // all of it in words
}

// Probes is a budget of guesses at masked values.
type Probes struct {
	Most     int64 `json:"most"`
	WindowMS int64 `json:"window_ms"`
}

// Masks counts what was hidden.
type Masks struct {
	Columns  int `json:"columns"`  // labelled columns that were read as their masks
	Detected int `json:"detected"` // values of the result that the detectors hid, besides
}

// Record is a record of the log that the bundle speaks of.
type Record struct {
	Position uint64            `json:"position"`
	Session  string            `json:"session,omitempty"`
	Sequence uint64            `json:"sequence"`
	Kind     access.RecordKind `json:"kind"`
	Time     time.Time         `json:"time"`
	Erased   bool              `json:"erased,omitempty"`
	Leaf     string            `json:"leaf_sha256,omitempty"` // RFC 6962 leaf hash, which its proof proves
}
