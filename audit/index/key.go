package index

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"

	"sallyport/audit/internal/durable"
)

const keyName = "key"

// term stands for a value of a field.
type term [8]byte

// hasher makes terms under the index's key. Not for several goroutines.
type hasher struct {
	mac hash.Hash
	sum []byte
}

func newHasher(key []byte) *hasher { return &hasher{mac: hmac.New(sha256.New, key)} }

func (h *hasher) term(named []byte) term {
	h.mac.Reset()
	h.mac.Write(named)
	h.sum = h.mac.Sum(h.sum[:0])
	return term(h.sum[:8])
}

// named is what is hashed: the field, then the value.
func named(dst []byte, f Field, v string) []byte { return append(append(dst[:0], byte(f)), v...) }

func (h *hasher) value(f Field, v string) term { return h.term(named(nil, f, v)) }

var errNoKey = errors.New("it has no key")

// readKey reads the key of the index in dir, or gives errNoKey. One that others than its owner may read is refused.
func readKey(dir string) ([]byte, error) {
	path := filepath.Join(dir, keyName)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoKey
	}
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s may be read or written by others than its owner (mode %04o): chmod 600 it, or delete it and have a new index made", path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key := make([]byte, sha256.Size)
	if n, err := hex.Decode(key, text[:min(len(text), 2*len(key))]); err != nil || n != len(key) {
		return nil, errNoKey
	}
	return key, nil
}

// makeKey makes a key in place of the one that is there.
func makeKey(dir string) ([]byte, error) {
	key := make([]byte, sha256.Size)
	rand.Read(key)
	return key, durable.Replace(filepath.Join(dir, keyName), []byte(hex.EncodeToString(key)+"\n"), 0o600)
}
