package approval

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/access"
)

// State is where a request stands. The zero State is none, and allows nothing.
type State string

const (
	Pending   State = "pending"
	Approved  State = "approved"
	Denied    State = "denied"
	Expired   State = "expired"
	Cancelled State = "cancelled" // by who asked, or because they have gone
	Claimed   State = "claimed"   // is about to run, or runs
	Executed  State = "executed"
	Failed    State = "failed"  // ran, and the database refused it
	Unknown   State = "unknown" // was claimed, and whether it ran is not known: the gateway ended in between
)

// Ended reports whether nothing can follow.
func (s State) Ended() bool {
	switch s {
	case Pending, Approved, Claimed:
		return false
	}
	return true
}

// Binding is all that an approval holds for. Whatever differs is another request.
type Binding struct {
	Principal      string      `json:"principal"`
	Issuer         string      `json:"issuer,omitempty"` // of the provider by whose word it is Principal; "" for those of the configuration
	Actors         []string    `json:"actors,omitempty"` // who acts for Principal, the nearest first
	Door           access.Door `json:"door"`
	Session        string      `json:"session"` // at the agents' door the task
	Connection     string      `json:"connection"`
	SQL            string      `json:"sql"`             // as asked, every byte
	Inner          []string    `json:"inner,omitempty"` // what EXECUTE and FETCH in it stand for
	Params         []Param     `json:"params,omitempty"`
	Types          []string    `json:"types,omitempty"`    // of parameters, as declared
	Bound          string      `json:"bound,omitempty"`    // SHA-256 over the message that bound the parameters, with its formats of results
	Role           string      `json:"role,omitempty"`     // pinned role, "" for the connection's
	Path           []string    `json:"path,omitempty"`     // effective search_path
	Settings       []string    `json:"settings,omitempty"` // of the session, that a statement's meaning may depend on: "datestyle=ISO, DMY"
	PolicyVersion  string      `json:"policy_version"`
	CatalogVersion string      `json:"catalog_version"`
	Rows           int64       `json:"rows,omitempty"`    // most rows released; 0 is no limit
	Columns        []string    `json:"columns,omitempty"` // that are to be shown: schema.table.column, sorted
	Hidden         []Hidden    `json:"hidden,omitempty"`  // from who asks, of what it touches
}

// MostHeld is how many bytes the text of a request and its values may take, as they are kept; mostHeldOfOne is that of all of one who asks that have
// not ended. They are in memory, and pages show them.
const (
	MostHeld      = 2 << 20
	mostHeldOfOne = 16 * MostHeld
)

// size is about how many bytes of b are the client's.
func (b *Binding) size() int {
	n := len(b.SQL)
	for _, s := range b.Inner {
		n += len(s)
	}
	for _, p := range b.Params {
		n += len(p.Text) + len(p.Bytes)
	}
	return n
}

// Hidden is what of a relation is kept from who asks: rows, and columns that are given masked. By that the same text is about other rows and values
// for somebody else.
type Hidden struct {
	Relation string   `json:"relation"` // schema.table, as the statement uses it
	What     []string `json:"what"`     // in words, sorted
}

// Hide adds to Hidden what is not there yet.
func (b *Binding) Hide(more ...Hidden) {
	for _, h := range more {
		if !slices.ContainsFunc(b.Hidden, h.is) {
			b.Hidden = append(b.Hidden, h)
		}
	}
	slices.SortFunc(b.Hidden, func(x, y Hidden) int {
		return cmp.Or(strings.Compare(x.Relation, y.Relation), slices.Compare(x.What, y.What))
	})
}

func (h Hidden) is(o Hidden) bool { return h.Relation == o.Relation && slices.Equal(h.What, o.What) }

// hiddenOf is what is kept of one relation.
func (b *Binding) hiddenOf(relation string) (out []Hidden) {
	for _, h := range b.Hidden {
		if h.Relation == relation {
			out = append(out, h)
		}
	}
	return out
}

// Digest is the SHA-256 of the binding and the time at which it ends, in hex. Each part is preceded by its length, so that
// no two bindings are written alike.
func (b Binding) Digest(expires time.Time) string {
	h := sha256.New()
	part := func(s string) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	list := func(l []string) {
		part(strconv.Itoa(len(l)))
		for _, s := range l {
			part(s)
		}
	}
	if len(b.Params) == 0 { // requests from before parameters were kept as they were sent have their digests still
		part("sallyport approval 1")
	} else {
		part("sallyport approval 2")
	}
	part(b.Principal)
	list(b.Actors)
	for _, s := range []string{string(b.Door), b.Session, b.Connection, b.SQL} {
		part(s)
	}
	list(b.Inner)
	part(strconv.Itoa(len(b.Params)))
	for _, p := range b.Params {
		list(p.parts())
	}
	list(b.Types)
	part(b.Bound)
	part(b.Role)
	list(b.Path)
	list(b.Settings)
	part(b.PolicyVersion)
	part(b.CatalogVersion)
	part(strconv.FormatInt(b.Rows, 10))
	part(expires.UTC().Format(time.RFC3339Nano))
	// Last, so that requests from before there were these keep their digests.
	if b.Issuer != "" || len(b.Columns) > 0 || len(b.Hidden) > 0 {
		part(b.Issuer)
	}
	if len(b.Columns) > 0 || len(b.Hidden) > 0 {
		list(b.Columns)
	}
	for _, h := range b.Hidden {
		part(h.Relation)
		list(h.What)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Request is one statement, or one wish to see columns, that waits for a person, with its history.
type Request struct {
	ID       string    `json:"id"`
	Revision uint64    `json:"revision"` // grows by one with each step
	Boot     string    `json:"boot"`     // the run of the gateway that it was made in
	State    State     `json:"state"`
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires"` // a request that nobody has decided about ends here
	Binding  Binding   `json:"binding"`
	Digest   string    `json:"digest"` // of Binding and the Expires that it was made with
	Subject  Subject   `json:"subject"`
	Needs    []Need    `json:"needs"`
	Lapsed   []Lapsed  `json:"lapsed,omitempty"` // votes that were given, and count no longer
	Votes    []Vote    `json:"votes,omitempty"`
	// Grant is what the approval allows; set when the last vote is in.
	Grant *Grant `json:"grant,omitempty"`
	// Glass says that nobody was asked beforehand: the requester broke the glass, and somebody has to look at it afterwards.
	Glass *Glass    `json:"glass,omitempty"`
	Ended time.Time `json:"ended,omitzero"`
	// Outcome is how it ran, or why it did not: a command tag or an error message, as the record has it.
	Outcome string `json:"outcome,omitempty"`
	Uses    int    `json:"uses,omitempty"` // how often the grant was claimed
	// Proven is by what who asked was, of one that is Shown: the method, and whose word it is.
	Proven string `json:"proven,omitempty"`
}

// Subject is what a reviewer is shown, beside the binding.
type Subject struct {
	Kind        string               `json:"kind"`              // "statement" or "reveal"
	Who         access.PrincipalKind `json:"who,omitempty"`     // asks: a person or a program
	Account     string               `json:"account,omitempty"` // of who asks, or in whose name it is asked, as Reviewer.Account
	Groups      []string             `json:"groups,omitempty"`
	Asker       Asker                `json:"asker,omitzero"`
	Client      string               `json:"client,omitempty"`
	Reason      string               `json:"reason,omitempty"` // claimed, never verified
	Task        string               `json:"task,omitempty"`
	Goal        string               `json:"goal,omitempty"`
	Ticket      string               `json:"ticket,omitempty"`
	Class       access.Class         `json:"class,omitempty"`
	Tag         string               `json:"tag,omitempty"`
	Fingerprint string               `json:"fingerprint,omitempty"`
	// Normal is the text with a mark (bytes 1 to 3, for an integer, another number and a string) in the place of each constant, and
	// Constants are these, where it is one statement that could be cut so.
	Normal    string         `json:"normal,omitempty"`
	Constants []string       `json:"constants,omitempty"`
	Relations []string       `json:"relations,omitempty"` // "update public.customers"
	Labels    []access.Label `json:"labels,omitempty"`
	Columns   []string       `json:"columns,omitempty"`    // of a reveal: schema.table.column
	Policies  []string       `json:"policies,omitempty"`   // those that ask for a review
	NoPreview []string       `json:"no_preview,omitempty"` // those by which it is not tried out for reviewers
	Why       string         `json:"why,omitempty"`        // what made it wait
	Masked    []string       `json:"masked,omitempty"`     // columns that it reads through masks
	Affected  int64          `json:"affected,omitempty"`   // most rows that it may change, by @affected; 0 is no limit
	EveryRow  bool           `json:"every_row,omitempty"`  // it writes without a condition that looks at the rows
	CopyIn    bool           `json:"copy_in,omitempty"`    // rows follow it that the client has not sent yet
	Overlap   []string       `json:"overlap,omitempty"`    // phrases of it that stood in rows of the same task
	Earlier   []string       `json:"earlier,omitempty"`    // relations that the task had touched before
}

// Shape is Normal for people to read.
func (s *Subject) Shape() string {
	return strings.NewReplacer("\x01", "‹integer›", "\x02", "‹number›", "\x03", "‹text›").Replace(s.Normal)
}

// Need is one group of which members must approve.
type Need struct {
	Group string `json:"group"`
	// Quorum is how many of them; 0 is one.
	Quorum int `json:"quorum,omitempty"`
	// Escalate are groups whose members stand in once After has passed without a decision: from Escalated on, when that was put on record.
	Escalate  []string      `json:"escalate,omitempty"`
	After     time.Duration `json:"after,omitempty"`
	Escalated time.Time     `json:"escalated,omitzero"`
}

// Verdict is a reviewer's word. The zero Verdict is none.
type Verdict string

const (
	Approve Verdict = "approve"
	Refuse  Verdict = "deny"
)

// Vote is a verdict with its reviewer and what they took responsibility for.
type Vote struct {
	Reviewer      string    `json:"reviewer"`
	Account       string    `json:"account,omitempty"` // as Reviewer.Account
	Issuer        string    `json:"issuer,omitempty"`  // as Reviewer.Issuer
	Against       string    `json:"against,omitempty"` // as Reviewer.Against
	Issued        time.Time `json:"issued,omitzero"`   // as Reviewer.Issued
	Groups        []string  `json:"groups"`
	Instead       []string  `json:"instead,omitempty"` // groups that the reviewer stood in for
	Verdict       Verdict   `json:"verdict"`
	At            time.Time `json:"at"`
	Justification string    `json:"justification"`
	Purpose       string    `json:"purpose,omitempty"`      // of the catalogue of purposes
	LawfulBasis   string    `json:"lawful_basis,omitempty"` // of that purpose, where it is personal data
	Grant         Grant     `json:"grant,omitzero"`         // with an approval: what for
	Channel       string    `json:"channel,omitempty"`      // web, cli
	Authenticated time.Time `json:"authenticated,omitzero"` // when the reviewer last proved who they are
	ACR           string    `json:"acr,omitempty"`          // how, by their provider's word ("acr")
	Proven        string    `json:"proven,omitempty"`       // by what the reviewer was, as access.Proof.Brief
	// Review says that it is about a broken glass, afterwards.
	Review bool `json:"review,omitempty"`
}

// Glass is a statement that ran without having been approved.
type Glass struct {
	Reason   string    `json:"reason"`
	At       time.Time `json:"at"`
	Until    time.Time `json:"until"`
	Reviewed bool      `json:"reviewed"`
}

// Excludes reports whether name may not decide about r: nobody approves what they ask for, nor what is asked in their name
// or through them.
func (r *Request) Excludes(name string) bool {
	is := func(other string) bool { return SamePerson(name, "", other, "") }
	return name == "" || is(r.Binding.Principal) || slices.ContainsFunc(r.Binding.Actors, is)
}
