package access

import "encoding/json"

// What somebody can look at, in records of kind RecordViewed.
const (
	ViewSession  = "session"
	ViewTask     = "task"
	ViewSessions = "sessions" // a list of them
	ViewSearch   = "search"
	ViewReplay   = "replay"
	ViewEvidence = "evidence"
	ViewRequest  = "request"     // for approval, by somebody whose word about it does not count
	ViewGlass    = "glass login" // a log-in by break glass, of Of
)

// Viewing is what somebody looked at of the record.
type Viewing struct {
	What  string `json:"what"`
	Of    string `json:"of,omitempty"`    // id of a session, task or request; name of a principal
	Query string `json:"query,omitempty"` // of a search: what was looked for, identifiers taken out
}

// Recorded is v for a record.
func (v Viewing) Recorded() json.RawMessage {
	b, _ := json.Marshal(v) // of strings
	return b
}
