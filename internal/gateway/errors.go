package gateway

import (
	"strconv"

	"sallyport/internal/access"
	"sallyport/internal/gateway/internal/upstream"
	"sallyport/internal/pgframe"
)

// kindCodes gives a SQLSTATE to errors that name none (PostgreSQL appendix A).
var kindCodes = [...]string{access.Internal: "XX000", access.Denied: "42501", access.ReviewPending: "42501", access.Invalid: "22023",
	access.Unsupported: "0A000", access.Upstream: "58000", access.Unavailable: "57P03"}

// appendError adds e as an ErrorResponse; severity is ERROR or FATAL.
func appendError(dst []byte, severity string, e *access.Error) []byte {
	code := e.Code
	if code == "" {
		code = kindCodes[e.Kind]
	}
	position := ""
	if e.Position > 0 {
		position = strconv.Itoa(e.Position)
	}
	return pgframe.AppendError(dst, 'E', pgframe.Field{Code: 'S', Value: severity}, pgframe.Field{Code: 'V', Value: severity},
		pgframe.Field{Code: 'C', Value: code}, pgframe.Field{Code: 'M', Value: e.Message}, pgframe.Field{Code: 'H', Value: e.Hint},
		pgframe.Field{Code: 'P', Value: position})
}

// appendWord appends what a reviewer has to say to who asked: no warning, for all is well.
func appendWord(dst []byte, message string) []byte {
	return pgframe.AppendError(dst, 'N', pgframe.Field{Code: 'S', Value: "NOTICE"}, pgframe.Field{Code: 'V', Value: "NOTICE"},
		pgframe.Field{Code: 'C', Value: "00000"}, pgframe.Field{Code: 'M', Value: message}, pgframe.Field{Code: 'R', Value: ownNotice})
}

// ownNotice is the routine (field R) of a notice of the gateway's own. No server has one of that name.
const ownNotice = "sallyport"

func appendNotice(dst []byte, message, hint string) []byte {
	return pgframe.AppendError(dst, 'N', pgframe.Field{Code: 'S', Value: "WARNING"}, pgframe.Field{Code: 'V', Value: "WARNING"},
		pgframe.Field{Code: 'C', Value: "01000"}, pgframe.Field{Code: 'M', Value: message}, pgframe.Field{Code: 'H', Value: hint},
		pgframe.Field{Code: 'R', Value: ownNotice})
}

func appendCommand(dst []byte, tag string) []byte {
	dst, at := pgframe.Begin(dst, 'C')
	return pgframe.End(pgframe.AppendCString(dst, tag), at)
}

func field(fields []pgframe.Field, code byte) string {
	for _, f := range fields {
		if f.Code == code {
			return f.Value
		}
	}
	return ""
}

// appendUpstream passes an upstream's error or notice on. A masked principal gets neither DETAIL (a
// check constraint prints the whole row there), nor WHERE, nor internal queries, nor what user code
// chose to say (RAISE sets the names of relations and the code as it likes), nor values that stand in the text itself; a position in our own text is dropped, for it would point at nothing of the client's.
func (s *Session) appendUpstream(dst []byte, typ byte, fields []pgframe.Field, pl *plan, asked []string) []byte {
	if pl == nil || !pl.masked {
		if pl != nil && !pl.original {
			fields = without(fields, "P")
		}
		return pgframe.AppendError(dst, typ, fields...)
	}
	drop := "DWqp"
	if !pl.original {
		drop += "P"
	}
	fields = without(fields, drop)
	if pl.userCode || byUserCode(fields) {
		instead := "the database's own code refused (its message is hidden where columns are masked)"
		if field(fields, 'R') == upstream.Cut {
			instead = "the database refused, in more words than are passed on where columns are masked"
		}
		for i := range fields {
			switch {
			case fields[i].Code == 'M':
				fields[i].Value = instead
			case fields[i].Code == 'C' && raised(fields):
				fields[i].Value = "P0001" // RAISE takes any five letters for a code
			}
		}
		fields = without(fields, "Hstcdn") // and any text for the names of what is concerned
	} else {
		s.hideValues(fields, asked)
	}
	return pgframe.AppendError(dst, typ, fields...)
}

// byUserCode reports whether user code may have chosen the words of an error or notice.
func byUserCode(fields []pgframe.Field) bool {
	return raised(fields) || field(fields, 'R') == upstream.Cut
}

// raised reports whether a RAISE of PL/pgSQL made an error or notice.
func raised(fields []pgframe.Field) bool { return field(fields, 'R') == "exec_stmt_raise" }

// without is fields less those whose codes are in drop.
func without(fields []pgframe.Field, drop string) []pgframe.Field {
	var out []pgframe.Field
next:
	for _, f := range fields {
		for i := range len(drop) {
			if f.Code == drop[i] {
				continue next
			}
		}
		out = append(out, f)
	}
	return out
}

// orUpstream is e, or the upstream's own error as a record keeps it: its code and primary message.
func orUpstream(e *access.Error, fields []pgframe.Field) *access.Error {
	if e != nil {
		return e
	}
	return &access.Error{Kind: access.Upstream, Code: field(fields, 'C'), Message: field(fields, 'M')}
}
