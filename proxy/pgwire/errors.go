package pgwire

import (
	"errors"
	"fmt"
	"strconv"

	"sallyport/internal/access"
	"sallyport/internal/pgframe"
)

// errGone ends a connection without a word: the client left, or its connection is not usable.
var errGone = errors.New("client gone")

// stateOf gives each Kind the SQLSTATE of an error that has none of its own (PostgreSQL appendix A).
func stateOf(e *access.Error) string {
	if len(e.Code) == 5 {
		return e.Code
	}
	switch e.Kind {
	case access.Denied:
		return "42501" // insufficient_privilege
	case access.ReviewPending:
		return "55000" // object_not_in_prerequisite_state
	case access.Invalid:
		return "22023" // invalid_parameter_value
	case access.Unsupported:
		return "0A000" // feature_not_supported
	case access.Upstream, access.Unavailable:
		return "08006" // connection_failure
	default:
		return "XX000" // internal_error
	}
}

// appendError appends an ErrorResponse. Err, the operator's part, stays here.
func appendError(dst []byte, severity string, e *access.Error) []byte {
	position := ""
	if e.Position > 0 {
		position = strconv.Itoa(e.Position)
	}
	return pgframe.AppendError(dst, 'E',
		pgframe.Field{Code: 'S', Value: severity},
		pgframe.Field{Code: 'V', Value: severity},
		pgframe.Field{Code: 'C', Value: stateOf(e)},
		pgframe.Field{Code: 'M', Value: e.Message},
		pgframe.Field{Code: 'H', Value: e.Hint},
		pgframe.Field{Code: 'P', Value: position})
}

func protocolError(format string, args ...any) *access.Error {
	return &access.Error{
		Kind: access.Invalid, Code: "08P01", Message: fmt.Sprintf(format, args...),
		Hint: "this is the PostgreSQL door: connect with a PostgreSQL client",
	}
}

func tooLarge(size, limit int) *access.Error {
	return &access.Error{
		Kind: access.Invalid, Code: "54000",
		Message: fmt.Sprintf("message of %d bytes exceeds the limit of %d bytes", size, limit),
		Hint:    "send large data by COPY, which is not limited, or in smaller statements",
	}
}

func tooManyClients() *access.Error {
	return &access.Error{
		Kind: access.Unavailable, Code: "53300", Message: "sorry, too many clients already",
		Hint: "try again later, or ask the operator to raise the limit on clients",
	}
}

func noMemory() *access.Error {
	return &access.Error{
		Kind: access.Unavailable, Code: "53200", Message: "too many large messages at once",
		Hint: "try again later, or send the data in smaller statements",
	}
}

func shuttingDown() *access.Error {
	return &access.Error{
		Kind: access.Unavailable, Code: "57P01", Message: "terminating connection: the gateway is shutting down",
		Hint: "connect again in a moment",
	}
}

func loginTimeout() *access.Error {
	return &access.Error{
		Kind: access.Invalid, Code: "57014", Message: "the log-in took too long",
		Hint: "connect again; a client that waits for a password should ask for it before it connects",
	}
}
