package export

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/go-json-experiment/json/jsontext"
)

// link is what an event says of the one in front of it.
type link struct {
	UID         string `json:"uid"`
	TypeUID     int64  `json:"type_uid"`
	Fingerprint string `json:"fingerprint"`
}

// attest chains an event to the one before: OCSF 1.9.0, profile record_integrity, object attestation. The fingerprint is
// the SHA-256 of the event in the form of RFC 8785 (JCS), with chain_uid and prev_event, without the fingerprint
// itself. Who changes, drops or swaps an event of a chain has to change all that follow.
func attest(ev *ocsfEvent, chain string, before *link) (*link, error) {
	ev.Attestation = &ocsfAttestation{ChainUID: chain}
	if before != nil {
		ev.Attestation.PrevEvent = &ocsfPrevEvent{UID: before.UID, TypeUID: before.TypeUID, Fingerprint: newFingerprint(before.Fingerprint)}
	}
	sum, err := fingerprint(ev)
	if err != nil {
		return nil, err
	}
	ev.Attestation.Fingerprint = newFingerprint(sum)
	return &link{UID: ev.Metadata.UID, TypeUID: ev.TypeUID, Fingerprint: sum}, nil
}

func newFingerprint(value string) *ocsfFingerprint {
	return &ocsfFingerprint{AlgorithmID: 3, Algorithm: "SHA-256", Value: value}
}

func fingerprint(v any) (string, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	canonical := jsontext.Value(text)
	if err := canonical.Canonicalize(); err != nil {
		return "", err
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:]), nil
}
