package access

import "errors"

// Kind is the closed list of ways in which a request can fail. The zero Kind is Internal.
type Kind uint8

const (
	Internal      Kind = iota // our fault; the operator's log has more
	Denied                    // policy says no
	ReviewPending             // a person has to approve first
	Invalid                   // the request itself is wrong: syntax, unknown name, bad argument
	Unsupported               // understood, but the gateway does not do it
	Upstream                  // the database answered with an error, or its answer was not acceptable
	Unavailable               // the database, the log or the policy cannot be reached: try later
)

var kindNames = [...]string{"internal", "denied", "review pending", "invalid", "unsupported", "upstream", "unavailable"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[Internal]
}

// Error is what a client may be told. Message says what was refused, Hint what to do; neither holds
// a row value or a secret. Err is for the operator only and never leaves through a door.
type Error struct {
	Kind    Kind
	Code    string // SQLSTATE (PostgreSQL appendix A); every door maps it to its own vocabulary
	Message string // lower-case, names what was refused
	Hint    string
	// Position is the character offset in the client's statement, counted from 1, or 0 (unknown).
	Position int
	// Review is the id of the request that a person has to decide about, of a ReviewPending.
	Review string
	// Scopes, of a Denied, says that policy would allow it, and that the token lacks a scope: those that it has and the one that it
	// needs. Where no scope would do there is none.
	Scopes []string
	Err    error
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Err }

// AsError gives the *Error in err's chain, or an Internal one that hides err from the client.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Kind: Internal, Code: "XX000", Message: "internal error in the gateway", Hint: "the operator's log has the cause", Err: err}
}
