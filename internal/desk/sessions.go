package desk

import (
	"context"
	"time"

	"sallyport/internal/access"
)

// Session is a session that has not ended, as a command shows it.
type Session struct {
	ID         string        `json:"session"`
	Principal  string        `json:"principal"`
	Actor      string        `json:"actor,omitempty"`
	Behind     []string      `json:"behind,omitempty"`
	Groups     []string      `json:"groups,omitempty"`
	Door       access.Door   `json:"door"`
	Connection string        `json:"connection"`
	Client     string        `json:"client,omitempty"`
	Since      time.Time     `json:"since"`
	Idle       time.Duration `json:"idle_ns"` // since something was last sent to the database
	State      string        `json:"state"`   // idle, runs, waits
	Proof      access.Proof  `json:"proof"`
}

// SessionDo says what is to be done about sessions.
type SessionDo string

const (
	ListSessions SessionDo = "list"
	EndSessions  SessionDo = "end"
	RevokeProofs SessionDo = "revoke"
	LookAtProof  SessionDo = "look" // whether it still holds; nothing ends by it

	ListRevocations SessionDo = "revocations" // those in force
	RestoreProofs   SessionDo = "restore"     // takes a revocation back
)

// SessionOrder is what the machine's own people want done about sessions.
type SessionOrder struct {
	Do SessionDo `json:"do"`
	// ID, Principal and Token (SHA-256, hex) say which sessions are to end: those that have each that is given.
	ID        string             `json:"session,omitempty"`
	Principal string             `json:"principal,omitempty"`
	Token     string             `json:"token,omitempty"`
	Revoke    *access.Revocation `json:"revoke,omitempty"`
	Proven    *access.Principal  `json:"proven,omitempty"` // whose proof is to be looked at, as somebody else has verified it
	By        string             `json:"by,omitempty"`     // who, in their own words: whoever can open the socket is not asked to prove it
	Because   string             `json:"because,omitempty"`
	Force     bool               `json:"force,omitempty"` // withdraw what belongs to nobody that is known
}

// SessionAnswer is what came of it.
type SessionAnswer struct {
	Sessions    []Session           `json:"sessions,omitempty"`
	Revocations []access.Revocation `json:"revocations,omitempty"`
	Ended       int                 `json:"ended"`
	Proof       Standing            `json:"proof,omitzero"`
}

// Standing is what a gateway makes of a proof. The zero Standing holds nothing.
type Standing struct {
	Holds   bool   `json:"holds,omitempty"`
	Unread  bool   `json:"unread,omitempty"`  // it is of a configuration that the gateway has not read
	Because string `json:"because,omitempty"` // why it holds no longer
}

// Sessions carries orders about sessions out. It is the core, in other words.
type Sessions interface {
	// List gives the sessions that have not ended, and the revocations in force.
	List() ([]Session, []access.Revocation)
	// End ends sessions, and says how many there were, once they have ended or ctx has.
	End(ctx context.Context, o SessionOrder) int
	// Revoke withdraws proofs, and says how many sessions end by it, once it is durable. For RestoreProofs it takes that back.
	Revoke(ctx context.Context, o SessionOrder) (int, error)
	// Look says whether a proof still holds.
	Look(p access.Principal) Standing
}

// sessionOrder carries out an order about sessions.
func (d *Desk) sessionOrder(o SessionOrder) (*SessionAnswer, error) {
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	invalid := func(message, hint string) (*SessionAnswer, error) {
		return nil, &access.Error{Kind: access.Invalid, Code: "22023", Message: message, Hint: hint}
	}
	switch {
	case d.sessions == nil:
		return nil, &access.Error{Kind: access.Unsupported, Code: "0A000", Message: "this gateway takes no orders about sessions"}
	case o.Do == ListSessions:
		list, _ := d.sessions.List()
		return &SessionAnswer{Sessions: list}, nil
	case o.Do == ListRevocations:
		_, list := d.sessions.List()
		return &SessionAnswer{Revocations: list}, nil
	case o.Do == LookAtProof && o.Proven != nil:
		return &SessionAnswer{Proof: d.sessions.Look(*o.Proven)}, nil
	case o.By == "" || o.Because == "":
		return invalid("an order needs somebody who gives it, and a reason", "both go into the record")
	case o.Do == EndSessions && o.ID == "" && o.Principal == "" && o.Token == "":
		return invalid("no session is named", "name a session, a principal or a token")
	case o.Do == EndSessions:
		return &SessionAnswer{Ended: d.sessions.End(ctx, o)}, nil
	case (o.Do == RevokeProofs || o.Do == RestoreProofs) && o.Revoke != nil:
		n, err := d.sessions.Revoke(ctx, o)
		return &SessionAnswer{Ended: n}, err
	}
	return invalid("that is no order about sessions", "this program and the one that was asked may be of different versions")
}

// AskSessions has the gateway that runs on the record in dir carry out an order about sessions.
func AskSessions(dir string, in SessionOrder) (*SessionAnswer, error) {
	out, err := ask(dir, request{Sessions: &in})
	if err != nil {
		return nil, err
	}
	if out.Sessions == nil {
		return nil, &access.Error{Kind: access.Unsupported, Code: "0A000", Message: "the gateway that runs does not know orders about sessions", Hint: "it is of an older version: restart it"}
	}
	return out.Sessions, nil
}
