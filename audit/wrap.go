package audit

import (
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"sallyport/internal/access"
)

// The files of keys are wrapped by a key that is kept elsewhere, where there is one: AES-256-GCM with a random nonce,
// bound to the number of the epoch. A file is written anew only when it loses keys or is wrapped anew, so nonces do not
// come near to running out.

// WrappingKey wraps the files with the keys of records.
type WrappingKey [32]byte

// ID tells wrapping keys apart: the first eight bytes of their SHA-256, in hex.
func (k *WrappingKey) ID() string {
	sum := sha256.Sum256(append([]byte("sallyport wrapping key\n"), k[:]...))
	return hex.EncodeToString(sum[:8])
}

// wrappings are the keys that wrap the keys of logs, by directory. A log is read in many places that know nothing but
// where it is; the program says once, when it has read its configuration, where the key comes from.
var wrappings sync.Map // directory of a log, absolute -> func() (*WrappingKey, error)

// Wrap says where the key comes from that wraps the keys of the log in dir: it is asked when it is needed for the first
// time. Without it they are not wrapped. To be called before the log is opened or read.
func Wrap(dir string, ask func() (*WrappingKey, error)) error {
	abs, err := filepath.Abs(dir)
	if err == nil {
		wrappings.Store(abs, sync.OnceValues(ask))
	}
	return err
}

// wrappingOf gives the key that wraps the files in a folder of keys; nil where there is none.
func wrappingOf(keysDir string) (*WrappingKey, error) {
	abs, err := filepath.Abs(filepath.Dir(keysDir))
	if err != nil {
		return nil, err
	}
	ask, ok := wrappings.Load(abs)
	if !ok {
		return nil, nil
	}
	k, err := ask.(func() (*WrappingKey, error))()
	if err != nil {
		return nil, fmt.Errorf("get the key that wraps the keys of records: %w", err)
	}
	return k, nil
}

// wrapped is the file of an epoch whose keys are wrapped.
type wrapped struct {
	Number uint64 `json:"epoch"`      // personsNumber for the keys of people
	By     string `json:"wrapped_by"` // ID of the wrapping key
	Sealed []byte `json:"sealed"`     // nonce and sealed epoch
}

func (k *WrappingKey) aead() (cipher.AEAD, error) {
	block, err := aes.NewCipher(k[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func boundTo(number uint64) []byte { return strconv.AppendUint([]byte("epoch "), number, 10) }

// wrap gives the content of a file.
func (k *WrappingKey) wrap(number uint64, plain []byte) ([]byte, error) {
	aead, err := k.aead()
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	return json.Marshal(wrapped{number, k.ID(), aead.Seal(nonce, nonce, plain, boundTo(number))})
}

// unwrap gives what wrap was given. A file that is not wrapped is what it is.
func unwrap(file []byte, number uint64, keys ...*WrappingKey) ([]byte, error) {
	var w wrapped
	if err := json.Unmarshal(file, &w); err != nil || w.By == "" {
		return file, nil
	}
	for _, k := range keys {
		if k == nil || k.ID() != w.By {
			continue
		}
		aead, err := k.aead()
		if err != nil {
			return nil, err
		}
		if n := aead.NonceSize(); len(w.Sealed) >= n {
			if plain, err := aead.Open(nil, w.Sealed[:n], w.Sealed[n:], boundTo(number)); err == nil {
				return plain, nil
			}
		}
		return nil, fmt.Errorf("it was changed since it was wrapped by the key %s", w.By)
	}
	return nil, fmt.Errorf("%w: it is wrapped by the key %s, and %s", errWrapped, w.By, given(keys))
}

var errWrapped = errors.New("the keys of records cannot be unwrapped")

func given(keys []*WrappingKey) string {
	var ids []string
	for _, k := range keys {
		if k != nil {
			ids = append(ids, k.ID())
		}
	}
	return "what is given is " + cmp.Or(strings.Join(ids, ", "), "none: see audit.key_encryption in the configuration")
}

// Rewrap wraps all keys of the log in dir by the key that Wrap has named, or unwraps them where it has named none. old is
// the key that wrapped them until now; nil for none. A file that is wrapped by the new key already is left alone, so that
// what was interrupted can be done again. No gateway may run on the log. It gives the number of files that were written.
func Rewrap(dir string, old *WrappingKey) (int, error) {
	held, err := lock(dir)
	if err != nil {
		return 0, err
	}
	defer held.Close()
	folder := filepath.Join(dir, keysName)
	now, err := wrappingOf(folder)
	if err != nil {
		return 0, openFailed(dir, err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return 0, openFailed(dir, err)
	}
	written := 0
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), keySuffix)
		number, err := strconv.ParseUint(name, 10, 64-keyDepth)
		if persons := entry.Name() == personsName; persons {
			number = personsNumber
		} else if !ok || err != nil {
			continue
		}
		done, err := rewrapFile(filepath.Join(folder, entry.Name()), number, now, old)
		if err != nil {
			return written, &access.Error{Kind: access.Unavailable, Code: codeIO, Err: fmt.Errorf("%s: %w", entry.Name(), err),
				Message: fmt.Sprintf("the keys of %s cannot be wrapped anew; %d files were", dir, written), Hint: "give the key that they are wrapped by, and do it again: what is done stays done"}
		}
		if done {
			written++
		}
	}
	return written, nil
}

func rewrapFile(name string, number uint64, now, old *WrappingKey) (bool, error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	data, err := os.ReadFile(name)
	if err != nil {
		return false, err
	}
	var w wrapped
	_ = json.Unmarshal(data, &w)
	if now == nil && w.By == "" || now != nil && w.By == now.ID() {
		return false, nil
	}
	plain, err := unwrap(data, number, old)
	if err != nil {
		return false, err
	}
	if number == personsNumber {
		_, err = parsePersons(plain, name)
	} else {
		_, err = parseEpoch(plain, number, name)
	}
	if err != nil {
		return false, err
	}
	if err := storeBy(name, number, plain, now); err != nil {
		return false, err
	}
	return true, overwrite(f)
}
