package audit

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"sallyport/internal/access"
)

// The payload of a frame is a head in clear, as one line of JSON, and two sealed parts:
//
//	{"pos":N,"session":S,"seq":N,"time":T,"kind":K,...,"key":N}\n [length u32][trace] [content]
//
// The head says that something was recorded, and where it belongs; it names nobody and stays. A part is JSON
// under AES-256-GCM with a key that nothing else was ever sealed with (keyring.go), so its nonce is
// zero; the head after its position is bound to it. Leaves of the Merkle tree are hashes of whole payloads:
// when a key is erased every proof still verifies.

var zeroNonce [12]byte

func newSeal(k *key) (cipher.AEAD, error) {
	block, err := aes.NewCipher(k[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// appendPart appends plain sealed.
func appendPart(dst []byte, k *key, plain, head []byte) ([]byte, error) {
	aead, err := newSeal(k)
	if err != nil {
		return nil, err
	}
	return aead.Seal(dst, zeroNonce[:], plain, head), nil
}

// appendBody appends the payload of rec without its opening `{"pos":N`, which the log puts in front once it
// knows the position.
func (m *keyMaker) appendBody(dst []byte, rec *access.Record) ([]byte, error) {
	id, traceKey, contentKey, err := m.take()
	if err != nil {
		return dst, fmt.Errorf("make keys for records: %w", err)
	}
	at := len(dst)
	if dst, err = appendHead(dst, rec); err != nil {
		return dst, err
	}
	dst = append(dst, `,"key":`...)
	dst = append(strconv.AppendUint(dst, id, 10), "}\n"...)
	head := dst[at:len(dst):len(dst)]
	pooled := bodies.Get().(*[]byte)
	plain, err := appendTrace((*pooled)[:0], rec)
	defer func() {
		if cap(plain) <= pooledMost {
			*pooled = plain
			bodies.Put(pooled)
		}
	}()
	if err != nil {
		return dst, err
	}
	size := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	if dst, err = appendPart(dst, &traceKey, object(plain), head); err != nil {
		return dst, err
	}
	binary.LittleEndian.PutUint32(dst[size:], uint32(len(dst)-size-4))
	plain = appendContent(plain[:0], rec)
	return appendPart(dst, &contentKey, object(plain), head)
}

// headOf is the part of a payload that is JSON in clear.
func headOf(payload []byte) []byte {
	if i := bytes.IndexByte(payload, '\n'); i >= 0 {
		return payload[:i]
	}
	return payload
}

var errPayload = errors.New("it is cut short")

// decode gives the record in a payload, and the number of its keys. What was erased is left out, and the record says so.
func (r *keyring) decode(payload []byte) (rec *access.Record, id uint64, err error) {
	line := headOf(payload)
	head := struct {
		*access.Record
		Key uint64 `json:"key"`
	}{Record: new(access.Record)}
	if err := json.Unmarshal(line, &head); err != nil {
		return nil, 0, err
	}
	rest := payload[len(line):]
	if len(rest) < 5 {
		return nil, 0, errPayload
	}
	n := uint64(binary.LittleEndian.Uint32(rest[1:]))
	parts := rest[5:]
	if n > uint64(len(parts)) {
		return nil, 0, errPayload
	}
	bound := payload[bytes.IndexByte(line, ',') : len(line)+1]
	rec = head.Record
	for c, part := range [classes][]byte{traceClass: parts[:n], contentClass: parts[n:]} {
		k, err := r.key(head.Key, class(c))
		if errors.Is(err, errErased) {
			rec.Erased = true
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		aead, err := newSeal(&k)
		if err != nil {
			return nil, 0, err
		}
		plain, err := aead.Open(nil, zeroNonce[:], part, bound)
		if err != nil {
			return nil, 0, errors.New("it was not sealed with its keys, or was changed since")
		}
		if err := json.Unmarshal(plain, rec); err != nil {
			return nil, 0, err
		}
	}
	return rec, head.Key, nil
}

// record is decode with an error that says where.
func (r *keyring) record(dir string, pos uint64, payload []byte) (*access.Record, error) {
	rec, _, err := r.decode(payload)
	if err != nil {
		return nil, damaged(dir, fmt.Errorf("record %d cannot be read: %w", pos, err))
	}
	return rec, nil
}
