package access

import (
	"encoding/json"
	"slices"
	"time"
)

// RecordKind says which step of a session a record holds.
type RecordKind string

const (
	RecordOpen      RecordKind = "open"      // a session began
	RecordRefused   RecordKind = "refused"   // a login or a statement was refused; nothing ran
	RecordIntent    RecordKind = "intent"    // about to run; durable before a byte goes upstream
	RecordStatement RecordKind = "statement" // a pure read: intent and outcome in one
	RecordRelease   RecordKind = "release"   // a window of a large result, about to leave
	RecordOutcome   RecordKind = "outcome"   // how an intent ended
	RecordTask      RecordKind = "task"      // an agent declared a task
	RecordClose     RecordKind = "close"     // a session ended; Rows holds the number of its records
	RecordReview    RecordKind = "review"    // a step of a request for approval, about to be made
	RecordErased    RecordKind = "erased"    // Principal had the keys of Rows records destroyed, for Reason
	RecordProposal  RecordKind = "proposal"  // Principal asks that Rows records be erased, for Reason; somebody else has to confirm
	RecordHold      RecordKind = "hold"      // Principal keeps records from being erased, for Reason
	RecordLifted    RecordKind = "lifted"    // Principal ends a hold, for Reason
	RecordLogin     RecordKind = "login"     // Principal logged in at a provider, and was issued a credential; or by break glass, as Proof says
	RecordRevoked   RecordKind = "revoked"   // Principal, or the provider that is Client, withdrew proofs: Revoked, for Reason
	RecordViewed    RecordKind = "viewed"    // Principal looked at part of the record: Viewed
	RecordHeartbeat RecordKind = "heartbeat" // of the log itself: Open lists the sessions that had not ended
)

// Record is one audit entry. Fields that do not apply are absent. SQL, Reason and Params have passed
// the detectors; Rows are as the client saw them.
type Record struct {
	Position   uint64     `json:"pos"`     // position in the node's log, from 1; set by the log
	Session    string     `json:"session"` // opaque id
	Seq        uint64     `json:"seq"`     // position in the session, from 1 without gaps
	Time       time.Time  `json:"time"`
	Kind       RecordKind `json:"kind"`
	Door       Door       `json:"door,omitempty"`
	Connection string     `json:"connection,omitempty"`
	Principal  string     `json:"principal,omitempty"`
	Actor      string     `json:"actor,omitempty"`
	Groups     []string   `json:"groups,omitempty"`
	// Behind are who acted before Actor, and Proof is what the principal was proven by: where a session begins, and in what belongs
	// to none.
	Behind []string `json:"behind,omitempty"`
	Proof  *Proof   `json:"proof,omitempty"`
	Client string   `json:"client,omitempty"` // address and application name
	Task   string   `json:"task,omitempty"`
	Goal   string   `json:"goal,omitempty"`
	Ticket string   `json:"ticket,omitempty"`
	Reason string   `json:"reason,omitempty"` // claimed, never verified
	// Traceparent is the caller's place in a trace (W3C Trace Context, version 00), as it claims.
	Traceparent string          `json:"traceparent,omitempty"`
	SQL         string          `json:"sql,omitempty"` // as asked, identifiers found in literals masked
	Params      []string        `json:"params,omitempty"`
	Nulls       []int           `json:"nulls,omitempty"` // numbers of the Params that are NULL, from 1; others of that text are text
	Plan        json.RawMessage `json:"plan,omitempty"`  // a marshalled PlanRecord, made once a plan
	Intent      uint64          `json:"intent,omitempty"`
	Rows        int64           `json:"rows,omitempty"`
	Bytes       int64           `json:"bytes,omitempty"`
	Columns     []string        `json:"columns,omitempty"`
	// Result has the first released rows as backend DataRow frames (PostgreSQL protocol 3), up to a
	// cap; Digest is the SHA-256 over all of them.
	Result    []byte  `json:"result,omitempty"`
	Formats   []int16 `json:"formats,omitempty"`   // format codes of Result's columns
	Truncated bool    `json:"truncated,omitempty"` // more was available than was released
	Digest    string  `json:"digest,omitempty"`
	Detected  int     `json:"detected,omitempty"`  // values hidden by the detectors in this result
	Unchecked int     `json:"unchecked,omitempty"` // ... of them hidden whole, because the model behind the detectors said nothing of them
	Command   string  `json:"command,omitempty"`   // command tag
	Code      string  `json:"code,omitempty"`      // SQLSTATE of an error
	Error     string  `json:"error,omitempty"`
	Hint      string  `json:"hint,omitempty"`   // of a refusal: what would be allowed
	Micros    int64   `json:"micros,omitempty"` // time upstream
	Probes    int64   `json:"probes,omitempty"` // guesses at masked values that this statement has answered, or was refused
	// Approval is the request under which it runs, for which it was held, or of which Review, a marshalled ReviewStep, is a step;
	// "preview of" and a request where it was tried for a reviewer.
	Approval string          `json:"approval,omitempty"`
	Review   json.RawMessage `json:"review,omitempty"`
	// Root is set by the log in a close record: the Merkle root over the session's records before it.
	Root string        `json:"root,omitempty"`
	Open []OpenSession `json:"open,omitempty"`
	// Order is a marshalled Order, and Scope a marshalled Scope with the person, in records about the record.
	Order json.RawMessage `json:"order,omitempty"`
	Scope json.RawMessage `json:"scope,omitempty"`
	// Revoked is a marshalled Revocation, in records of such.
	Revoked json.RawMessage `json:"revoked,omitempty"`
	// Viewed is a marshalled Viewing, in records of such.
	Viewed json.RawMessage `json:"viewed,omitempty"`
	// Persons are tags of the identifiers that were taken out of the texts of this record (audit.PersonTags), in no order
	// that means something. Named are those identifiers, until the log has made the tags.
	Persons []string     `json:"persons,omitempty"`
	Named   []Identifier `json:"-"`
	// Erased is set by a reader: the keys of the statement, its parameters, reason, rows and errors are gone,
	// and where Kind has a Principal and none is here, those of all else too.
	Erased bool `json:"erased,omitempty"`
}

// Identifier is what names somebody in a text. Kind is that of mask.Finding.
type Identifier struct{ Kind, Value string }

// ReviewStep is one step of a request for approval.
type ReviewStep struct {
	Session       string          `json:"session,omitempty"` // of who asks
	From          string          `json:"from,omitempty"`    // state before it; absent of the request itself
	To            string          `json:"to"`
	Digest        string          `json:"digest"` // what an approval is bound to
	Expires       time.Time       `json:"expires"`
	Asked         []string        `json:"asked,omitempty"`   // groups that decide about it, with those that stand in
	Missing       []string        `json:"missing,omitempty"` // those of them that have not approved
	Escalated     *Escalated      `json:"escalated,omitempty"`
	Lapsed        []LapsedVote    `json:"lapsed,omitempty"` // approvals that count no longer
	Use           bool            `json:"use,omitempty"`    // a statement is about to run under it
	Relations     []string        `json:"relations,omitempty"`
	Labels        []Label         `json:"labels,omitempty"`
	Columns       []string        `json:"columns,omitempty"` // that are to be shown as they are: schema.table.column
	Policies      []string        `json:"policies,omitempty"`
	Reviewer      string          `json:"reviewer,omitempty"`
	Groups        []string        `json:"groups,omitempty"`
	Instead       []string        `json:"instead,omitempty"` // groups that the reviewer stood in for
	Verdict       string          `json:"verdict,omitempty"`
	Channel       string          `json:"channel,omitempty"`
	Justification string          `json:"justification,omitempty"`
	Purpose       string          `json:"purpose,omitempty"`
	LawfulBasis   string          `json:"lawful_basis,omitempty"`
	Authenticated time.Time       `json:"authenticated,omitzero"` // when the reviewer last proved who they are
	ACR           string          `json:"acr,omitempty"`          // how, by their provider's word ("acr")
	Proven        string          `json:"proven,omitempty"`       // by what the reviewer was, as Proof.Brief
	Afterwards    bool            `json:"afterwards,omitempty"`   // the verdict is on a broken glass
	Glass         string          `json:"glass,omitempty"`        // why nobody was asked
	Grant         json.RawMessage `json:"grant,omitempty"`
	Outcome       string          `json:"outcome,omitempty"`
}

// LapsedVote says of a step that a reviewer's approval counts no longer.
type LapsedVote struct {
	Reviewer string `json:"reviewer"`
	Why      string `json:"why"`
}

// Escalated says of a step that members of other groups may decide from then on, in the place of one that had not in its time.
type Escalated struct {
	Group    string   `json:"group"`
	Quorum   int      `json:"quorum"`             // how many of it have to approve
	Approved int      `json:"approved,omitempty"` // how many of them had
	AfterMS  int64    `json:"after_ms"`           // the time that it had
	To       []string `json:"to"`                 // the groups that stand in
}

// OpenSession is a session that had not ended, with the number of its records so far.
type OpenSession struct {
	Session string `json:"session"`
	Seq     uint64 `json:"seq"`
}

// PlanRecord is the part of a record that is the same each time a plan runs.
type PlanRecord struct {
	Class          Class         `json:"class,omitempty"`
	Tag            string        `json:"tag,omitempty"`
	Fingerprint    string        `json:"fingerprint,omitempty"`
	Relations      []string      `json:"relations,omitempty"`
	Labels         []Label       `json:"labels,omitempty"`
	Masks          []MaskApplied `json:"masks,omitempty"`
	Shown          []ColumnShown `json:"shown,omitempty"`
	Outputs        [][]int       `json:"outputs,omitempty"` // for each result column which of Masks its value went through; absent where none did
	Effect         string        `json:"effect"`
	Policies       []string      `json:"policies,omitempty"`
	PolicyVersion  string        `json:"policy_version,omitempty"`
	CatalogVersion string        `json:"catalog_version,omitempty"`
	Obligations    *Obligations  `json:"obligations,omitempty"`
	Compiled       bool          `json:"compiled,omitempty"` // the masked form ran, not the original
	// Revealed are the requests by whose approval columns were shown at that time, whether or not this statement uses them.
	Revealed []string `json:"revealed,omitempty"`
	// Resolved has the columns in which the values of tokens were looked for that the statement stores: "target from source".
	Resolved []string `json:"resolved,omitempty"`
}

// ColumnShown is a labelled column that a statement uses as it is: the principal may see it.
type ColumnShown struct {
	Column string  `json:"column"` // schema.table.column
	Labels []Label `json:"labels"`
}

// MaskApplied is one masked column of a statement with the rule that masks it.
type MaskApplied struct {
	Column    string `json:"column"` // schema.table.column
	Label     Label  `json:"label"`
	Transform string `json:"transform"`
}

// NullParam reports whether parameter i, from 0, is NULL: its text says so too, as other texts can.
func (r *Record) NullParam(i int) bool { return slices.Contains(r.Nulls, i+1) }
