package evidence

import (
	"bytes"
	"encoding/json"
	"fmt"

	"golang.org/x/mod/sumdb/note"
)

// envelope is a DSSE v1 envelope. https://github.com/secure-systems-lab/dsse/blob/v1.0.0/envelope.md
type envelope struct {
	PayloadType string      `json:"payloadType"`
	Payload     []byte      `json:"payload"` // base64, as encoding/json has bytes
	Signatures  []signature `json:"signatures"`
}

type signature struct {
	KeyID string `json:"keyid"`
	Sig   []byte `json:"sig"`
}

// seal makes the envelope over an in-toto statement. what is signed, for errors.
func seal(what string, st any, s Signer, public string) ([]byte, error) {
	payload, err := json.Marshal(st)
	if err != nil {
		return nil, err
	}
	msg := pae(payloadType, payload)
	sig, err := s.Sign(msg)
	if err != nil {
		return nil, fmt.Errorf("sign the %s: %w", what, err)
	}
	v, err := note.NewVerifier(public)
	if err != nil || !v.Verify(msg, sig) {
		return nil, fmt.Errorf("sign the %s: the signature is not one by the public key %s", what, public)
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetIndent("", "  ")
	err = enc.Encode(envelope{payloadType, payload, []signature{{fmt.Sprintf("%s+%08x", s.Name(), s.KeyHash()), sig}}})
	return out.Bytes(), err
}

// pae is DSSE's pre-authentication encoding, which is what is signed.
func pae(payloadType string, payload []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload)
}
