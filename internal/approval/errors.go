package approval

import (
	"errors"

	"sallyport/internal/access"
)

// Refused is why a step is not made, or a request not given, in words for whom that was asked by; the request stays as it was. Errors of an Engine are
// one, a BadVote, or an *access.Error whose cause, which may name files, is for the operator alone.
type Refused struct{ why string }

func (r Refused) Error() string { return r.why }

var (
	// ErrUnknown says that there is no such request, or none that the asker may know of.
	ErrUnknown  = Refused{"there is no such request"}
	ErrEnded    = Refused{"the request has ended"}
	ErrNotReady = Refused{"the request is not approved"}
	ErrClaimed  = Refused{"the approval is being used"}
	ErrTooLate  = Refused{"the time for it is over"}
	ErrRan      = Refused{"something has run under this approval, which may be the statement itself"}
	ErrVoted    = Refused{"you have decided about this request before"}
	ErrLooked   = Refused{"somebody has looked at this broken glass before"}
	// errStale says that a request has been changed since it was read.
	errStale = Refused{"the request has changed meanwhile: look at it again"}
	// errNoLapse says that nothing is to be taken out of a request.
	errNoLapse = Refused{"every vote counts still"}
	// errNotDue says that nobody has to stand in for a group, or not yet.
	errNotDue = Refused{"it is not the time for others to stand in"}
)

// BadVote says what is wrong with a vote by itself, in whatever state its request is.
type BadVote string

func (b BadVote) Error() string { return string(b) }

// unable keeps from clients why the file or the log of requests does not do what it should.
func unable(err error) error {
	if r := (Refused{}); err == nil || errors.As(err, &r) {
		return err
	}
	return &access.Error{Kind: access.Internal, Code: "58030", Message: "requests for approval can be neither read nor kept just now", Hint: "nothing was changed; the operator's log has the cause", Err: err}
}
