package verify

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport/audit/checkpoint"
	"sallyport/audit/proof"
)

// certificate is the predicate of a certificate of an erasure.
type certificate struct {
	ID         string    `json:"id"`
	Time       time.Time `json:"time"`
	By         string    `json:"by"`
	ProposedBy string    `json:"proposed_by"`
	Reason     string    `json:"reason"`
	Scope      struct {
		Session    string     `json:"session"`
		Task       string     `json:"task"`
		Before     *time.Time `json:"before"`
		PersonHMAC string     `json:"person_hmac_sha256"`
		PersonSalt string     `json:"person_salt"`
	} `json:"scope"`
	Trace     bool        `json:"trace"`
	Records   int         `json:"records"`
	Positions [][2]uint64 `json:"positions"`
	Digest    string      `json:"positions_sha256"`
	Tagged    int         `json:"tagged"`
	Held      []held      `json:"held"`
	Record    struct {
		Position uint64 `json:"position"`
		Leaf     []byte `json:"leaf"`
		Trace    []byte `json:"trace_key"`
		Content  []byte `json:"content_key"`
	} `json:"record"`
	Proof      string   `json:"proof"`
	Key        string   `json:"key"`
	Notes      string   `json:"key_notes"`
	OutOfReach []string `json:"out_of_reach"`
}

// mostErased is the most records that a certificate is believed to be about.
const mostErased = 1 << 32

type held struct {
	Hold    string `json:"hold"`
	Records int    `json:"records"`
}

// erasure is the record of one.
type erasure struct {
	Pos       uint64    `json:"pos"`
	Time      time.Time `json:"time"`
	Kind      string    `json:"kind"`
	Principal string    `json:"principal"`
	Reason    string    `json:"reason"`
	Order     struct {
		ID    string `json:"id"`
		Scope struct {
			Session string     `json:"session"`
			Task    string     `json:"task"`
			Before  *time.Time `json:"before"`
		} `json:"scope"`
		Person    string      `json:"person_hmac_sha256"`
		Trace     bool        `json:"trace"`
		Records   int         `json:"records"`
		Positions [][2]uint64 `json:"positions"`
		Digest    string      `json:"positions_sha256"`
		Tagged    int         `json:"tagged"`
		By        string      `json:"proposed_by"`
		Held      []held      `json:"held"`
	} `json:"order"`
}

// Certificate verifies the certificate of an erasure: that it is signed, that the record of the erasure is in the log that
// its checkpoint signs, and that this record says what the certificate says. The error is for
// what is no certificate at all.
func (t Trust) Certificate(data []byte) (*Report, error) {
	var env struct {
		PayloadType string
		Payload     []byte
		Signatures  []struct{ Sig []byte }
	}
	var st struct {
		Type    string `json:"_type"`
		Subject []struct {
			Digest struct{ SHA256 string }
		}
		PredicateType string
		Predicate     certificate
	}
	if err := json.Unmarshal(data, &env); err != nil {
		return nil, fmt.Errorf("it is no DSSE envelope: %w", err)
	}
	if err := json.Unmarshal(env.Payload, &st); err != nil || st.PredicateType != "urn:sallyport:predicate:erasure:1" {
		return nil, errors.New("it is no certificate of an erasure")
	}
	c, r := &st.Predicate, new(Report)
	r.whose(c.Key, t.Key)
	keys, err := checkpoint.First(c.Key)
	if err == nil {
		keys, err = keys.Follow([]byte(c.Notes))
	}
	if err != nil {
		return nil, fmt.Errorf("the keys of the log: %w", err)
	}
	key, err := ed25519Of(keys.Current().Public)
	if err != nil {
		return nil, err
	}
	msg := fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(env.PayloadType), env.PayloadType, len(env.Payload), env.Payload)
	if env.PayloadType != "application/vnd.in-toto+json" || st.Type != "https://in-toto.io/Statement/v1" || len(env.Signatures) != 1 || !ed25519.Verify(key, msg, env.Signatures[0].Sig) {
		r.problem("the certificate is not signed with its key")
	}
	leaf := tlog.RecordHash(c.Record.Leaf)
	if len(st.Subject) != 1 || st.Subject[0].Digest.SHA256 != hex.EncodeToString(leaf[:]) {
		r.problem("the record in the certificate is not the one that it is about")
	}
	c.inLog(r, keys, leaf)
	if err := c.compare(); err != nil {
		r.problem("%v", err)
	}
	if r.Good() {
		c.say(r)
	}
	return r, nil
}

func (c *certificate) inLog(r *Report, keys checkpoint.Keys, leaf tlog.Hash) {
	v, err := proof.Verify([]byte(c.Proof), leaf, keys)
	switch {
	case err != nil:
		r.problem("the record of the erasure is not proven to be in the log: %v", err)
	case v.Index != int64(c.Record.Position)-1:
		r.problem("the proof is of record %d, and the record of the erasure is said to be record %d", v.Index+1, c.Record.Position)
	default:
		r.proven("record %d of the log %s, which had %d when it was signed, says of this erasure what the certificate says", c.Record.Position, v.Checkpoint.Origin, v.Checkpoint.Tree.N)
	}
}

// compare opens the record and holds it beside the certificate.
func (c *certificate) compare() error {
	e, err := c.open()
	if err != nil {
		return fmt.Errorf("the record of the erasure cannot be opened: %w", err)
	}
	n, digest := uint64(0), sha256.New()
	for i, run := range c.Positions {
		if run[0] > run[1] || i > 0 && run[0] <= c.Positions[i-1][1] || run[1] >= c.Record.Position || run[0] == 0 {
			return errors.New("the positions of the erased records are not in order, or not before the record of the erasure")
		}
		if run[1]-run[0] >= mostErased-n {
			return errors.New("it speaks of more records than can be checked")
		}
		for pos := run[0]; pos <= run[1]; pos++ {
			_ = binary.Write(digest, binary.BigEndian, pos)
			n++
		}
	}
	before := func(t *time.Time) time.Time {
		if t == nil {
			return time.Time{}
		}
		return t.UTC()
	}
	o, s := &e.Order, &e.Order.Scope
	switch {
	case e.Kind != "erased" || e.Pos != c.Record.Position:
		return errors.New("the record is not one of an erasure, or at another position")
	case n != uint64(c.Records) || hex.EncodeToString(digest.Sum(nil)) != c.Digest:
		return errors.New("the positions of the erased records do not have their number or their digest")
	case o.ID != c.ID || !e.Time.Equal(c.Time) || e.Principal != c.By || o.By != c.ProposedBy || e.Reason != c.Reason || o.Trace != c.Trace,
		o.Records != c.Records || o.Digest != c.Digest || o.Tagged != c.Tagged || !reflect.DeepEqual(o.Positions, c.Positions) || !reflect.DeepEqual(o.Held, c.Held),
		s.Session != c.Scope.Session || s.Task != c.Scope.Task || !before(s.Before).Equal(before(c.Scope.Before)) || o.Person != c.Scope.PersonHMAC:
		return errors.New("the record of the erasure says something else than the certificate")
	}
	return nil
}

// open reads the sealed record, as package audit describes it.
func (c *certificate) open() (*erasure, error) {
	leaf := c.Record.Leaf
	line, comma := bytes.IndexByte(leaf, '\n'), bytes.IndexByte(leaf, ',')
	if comma < 0 || line < comma || len(leaf) < line+5 {
		return nil, errors.New("it is cut short")
	}
	parts := leaf[line+5:]
	n := uint64(binary.LittleEndian.Uint32(leaf[line+1:]))
	if n > uint64(len(parts)) {
		return nil, errors.New("it is cut short")
	}
	e := new(erasure)
	texts := [][]byte{leaf[:line]}
	for _, p := range []struct{ key, sealed []byte }{{c.Record.Trace, parts[:n]}, {c.Record.Content, parts[n:]}} {
		if len(p.key) != 32 {
			return nil, errors.New("it has no keys")
		}
		block, err := aes.NewCipher(p.key)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, err
		}
		text, err := aead.Open(nil, make([]byte, aead.NonceSize()), p.sealed, leaf[comma:line+1])
		if err != nil {
			return nil, errors.New("its keys are not those that it was sealed with")
		}
		texts = append(texts, text)
	}
	for _, text := range texts {
		if err := json.Unmarshal(text, e); err != nil {
			return nil, err
		}
	}
	return e, nil
}

func (c *certificate) say(r *Report) {
	who := c.By
	if c.ProposedBy != "" {
		who = fmt.Sprintf("%s, proposed by %s,", c.By, c.ProposedBy)
	}
	what := "what was asked and answered"
	if c.Trace {
		what += ", and who asked,"
	}
	r.proven("%s had the keys of %s in %d records destroyed at %s, for %q (erasure %s)", who, what, c.Records, c.Time.UTC().Format(time.RFC3339), c.Reason, c.ID)
	if c.Scope.PersonHMAC != "" {
		r.unproven("of which person: HMAC-SHA-256 of the identifier in small letters with the key %s (hex) has to be %s", c.Scope.PersonSalt, c.Scope.PersonHMAC)
	}
	if c.Tagged > 0 {
		r.proven("the key was destroyed, too, by which %d records were found from which the person's identifier had been taken out before", c.Tagged)
	}
	for _, h := range c.Held {
		r.unproven("that everything that matches was erased: %d records stay under hold %s", h.Records, h.Hold)
	}
	for _, what := range c.OutOfReach {
		r.unproven("that these are gone: %s", what)
	}
	r.unproven("that the keys were destroyed, and not kept: whoever has the log's key states it")
}
