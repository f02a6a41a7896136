package evidence

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport/audit"
	"sallyport/audit/proof"
	"sallyport/internal/access"
)

const certificateType = "urn:sallyport:predicate:erasure:1"

// Certificate says, for somebody who does not have the log, what was erased. It holds the record that says so, with the
// keys of that one record, so that what the certificate says can be compared with what is in the log.
type Certificate struct {
	ID              string           `json:"id"`
	Time            time.Time        `json:"time"`
	By              string           `json:"by"`
	ProposedBy      string           `json:"proposed_by,omitempty"`
	Reason          string           `json:"reason"`
	Scope           CertificateScope `json:"scope"`
	Trace           bool             `json:"trace"` // who asked, and under which policy, was erased too
	Records         int              `json:"records"`
	Positions       [][2]uint64      `json:"positions"`           // first and last of each run
	PositionsSHA256 string           `json:"positions_sha256"`    // over the positions as big-endian numbers of 64 bits
	Tagged          int              `json:"tagged,omitempty"`    // records that stay, and nobody finds by the person any more
	Held            []access.Held    `json:"held,omitempty"`      // matched, and stay under these holds
	Record          SealedRecord     `json:"record"`              // of the erasure
	Proof           string           `json:"proof"`               // C2SP tlog-proof of Record, with the checkpoint
	Key             string           `json:"key"`                 // first public key of the log, as C2SP signed-note has it
	KeyNotes        string           `json:"key_notes,omitempty"` // in which each key of the log introduces the next
	OutOfReach      []string         `json:"out_of_reach"`        // what an erasure cannot destroy
}

// CertificateScope is what was erased. A person is not named: whoever knows the identifier can check it.
type CertificateScope struct {
	Session string     `json:"session,omitempty"`
	Task    string     `json:"task,omitempty"`
	Before  *time.Time `json:"before,omitempty"`
	// PersonHMAC is HMAC-SHA-256 of the identifier in small letters, in hex, with the key PersonSalt.
	PersonHMAC string `json:"person_hmac_sha256,omitempty"`
	PersonSalt string `json:"person_salt,omitempty"` // hex
}

// SealedRecord is a leaf of the log's tree, with the keys of its parts (AES-256-GCM, zero nonce).
type SealedRecord struct {
	Position uint64 `json:"position"`
	Leaf     []byte `json:"leaf"`
	Trace    []byte `json:"trace_key"`
	Content  []byte `json:"content_key"`
}

// OutOfReach is what erasing in a log cannot destroy.
var OutOfReach = []string{
	"copies of the folder log/keys that were made before, in backups or elsewhere",
	"bundles of evidence, replays and reports that were written outside of the data directory before",
	"records that were exported to other systems before",
	"rows of the databases themselves, and what their clients have kept",
}

// Certify makes the certificate of the erasure that the record at pos says was made, in a DSSE envelope over an in-toto
// Statement v1. p must be of a checkpoint that covers the record. salt is what audit.Erased has; s signs with the log's current key, which
// notes lead to from its first.
func Certify(p *audit.Prover, pos uint64, salt []byte, s Signer, notes []byte) ([]byte, error) {
	payload, hashes, err := p.Prove(pos)
	if err != nil {
		return nil, err
	}
	rec, traceKey, contentKey, err := p.Disclose(payload)
	if err != nil {
		return nil, err
	}
	var o access.Order
	if err := json.Unmarshal(rec.Order, &o); err != nil || rec.Kind != access.RecordErased {
		return nil, fmt.Errorf("record %d says of no erasure what was erased", pos)
	}
	_, signed := p.Checkpoint()
	c := Certificate{
		ID: o.ID, Time: rec.Time.UTC(), By: rec.Principal, ProposedBy: o.By, Reason: rec.Reason,
		Scope: CertificateScope{Session: o.Scope.Session, Task: o.Scope.Task, PersonHMAC: o.Person},
		Trace: o.Trace, Records: o.Records, Positions: o.Positions, PositionsSHA256: o.Digest, Tagged: o.Tagged, Held: o.Held,
		Record: SealedRecord{pos, payload, traceKey, contentKey}, Key: p.Keys().List()[0].Public, KeyNotes: string(notes), OutOfReach: OutOfReach,
		Proof: string(proof.Format(proof.Proof{Index: int64(pos) - 1, Hashes: hashes, Checkpoint: signed})),
	}
	if !o.Scope.Before.IsZero() {
		c.Scope.Before = &o.Scope.Before
	}
	if o.Person != "" {
		c.Scope.PersonSalt = hex.EncodeToString(salt)
	}
	leaf := tlog.RecordHash(payload)
	return seal("certificate", struct {
		Type          string      `json:"_type"`
		Subject       []subject   `json:"subject"`
		PredicateType string      `json:"predicateType"`
		Predicate     Certificate `json:"predicate"`
	}{statementType, []subject{{fmt.Sprintf("record %d of %s", pos, cmp.Or(p.Keys().Origin, "the log")), map[string]string{"sha256": hex.EncodeToString(leaf[:])}}}, certificateType, c}, s, p.Keys().Current().Public)
}
