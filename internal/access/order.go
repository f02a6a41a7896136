package access

import "time"

// Scope picks records of the log. The fields that are set must all apply; an empty Scope picks none.
type Scope struct {
	Person  string    `json:"person,omitempty"`  // an identifier of somebody, in what was asked, answered, or given as a reason
	Session string    `json:"session,omitempty"` // all of a session
	Task    string    `json:"task,omitempty"`    // all of a task
	Before  time.Time `json:"before,omitzero"`   // recorded before
}

// Order is what a record of kind proposal, erased, hold or lifted says beyond its principal and reason. It names no
// person: that is in the content of the record, which can be erased.
type Order struct {
	ID    string `json:"id"`    // of the erasure, or of the hold
	Scope Scope  `json:"scope"` // without a person
	// Person is, in hex, HMAC-SHA-256 of the person with a key that only the certificate has; "" where none is named.
	Person string `json:"person_hmac_sha256,omitempty"`
	Trace  bool   `json:"trace,omitempty"` // who asked, and under which policy, is erased too
	// Records are those that an erasure picks, Positions where they are, as first and last of each run, and Digest
	// the SHA-256 in hex over the positions as big-endian numbers of 64 bits.
	Records   int         `json:"records,omitempty"`
	Positions [][2]uint64 `json:"positions,omitempty"`
	Digest    string      `json:"positions_sha256,omitempty"`
	// Tagged are records that stay, and that nobody finds by the person any more: the key of the tags in them goes.
	Tagged int `json:"tagged,omitempty"`
	// Proposal is the position of the proposal that an erasure carries out, By whose it was.
	Proposal uint64 `json:"proposal,omitempty"`
	By       string `json:"proposed_by,omitempty"`
	// Held are the records that were picked and stay, by the hold that keeps them.
	Held []Held `json:"held,omitempty"`
}

// Held counts records that a hold keeps from being erased.
type Held struct {
	Hold    string `json:"hold"`
	Records int    `json:"records"`
}
