package audit

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"sallyport/audit/internal/durable"
)

// class says how long a part of a record is kept, and with what else it is erased.
type class int

const (
	traceClass   class = iota // who asked, under which policy, with what outcome
	contentClass              // statement, parameters, reason, released rows, errors: what may speak of a person
	classes
)

const (
	keysName  = "keys" // folder in the directory of a log
	keySuffix = ".key"
)

// epoch is the file of the keys for some 2^keyDepth records: DIR/keys/NUMBER.key, as JSON. A class without
// nodes has been erased.
type epoch struct {
	Number  uint64  `json:"epoch"`
	Trace   keyTree `json:"trace"`
	Content keyTree `json:"content"`
}

func (e *epoch) tree(c class) *keyTree {
	if c == traceClass {
		return &e.Trace
	}
	return &e.Content
}

func epochName(n uint64) string { return fmt.Sprintf("%012d%s", n, keySuffix) }

// keyID names the keys of a record: its epoch, and which leaf of it.
func keyID(epoch uint64, leaf uint32) uint64 { return epoch<<keyDepth | uint64(leaf) }
func splitKeyID(id uint64) (epoch uint64, leaf uint32) {
	return id >> keyDepth, uint32(id & (1<<keyDepth - 1))
}

// keyMaker gives keys to records that are written. No key is given out twice, not even to a record that a
// crash undid: each process begins an epoch of its own.
type keyMaker struct {
	dir  string
	mu   sync.Mutex
	cur  fresh
	leaf uint32     // the next
	next chan fresh // the next epoch is being made; nil when not begun
}

// fresh is an epoch that was just made, and is durable.
type fresh struct {
	number         uint64
	trace, content *walker
	err            error
}

func openKeys(dir string) (*keyMaker, error) {
	k := &keyMaker{dir: filepath.Join(dir, keysName)}
	if err := os.MkdirAll(k.dir, 0o700); err != nil {
		return nil, err
	}
	if err := dropUnfinished(k.dir); err != nil {
		return nil, err
	}
	last, err := lastEpoch(k.dir)
	if err != nil {
		return nil, err
	}
	k.cur = makeEpoch(k.dir, last+1)
	return k, k.cur.err
}

// dropUnfinished destroys what a crash left of files that were being written: keys are in them that may be erased later.
func dropUnfinished(dir string) error {
	names, err := filepath.Glob(filepath.Join(escapeGlob(dir), "*.tmp"))
	for _, name := range names {
		f, e := os.OpenFile(name, os.O_WRONLY, 0)
		if e == nil {
			e = errors.Join(overwrite(f), f.Close(), os.Remove(name))
		}
		err = errors.Join(err, e)
	}
	return err
}

// lastEpoch is the highest number in use; 0 when there is none.
func lastEpoch(dir string) (uint64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	var last uint64
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), keySuffix)
		if n, err := strconv.ParseUint(name, 10, 64-keyDepth); ok && err == nil {
			last = max(last, n)
		}
	}
	return last, nil
}

// makeEpoch makes the keys of an epoch and stores them.
func makeEpoch(dir string, number uint64) fresh {
	var trace, content key
	rand.Read(trace[:])
	rand.Read(content[:])
	e := epoch{Number: number, Trace: keyTree{{Key: trace[:]}}, Content: keyTree{{Key: content[:]}}}
	return fresh{number, newWalker(trace), newWalker(content), e.store(dir)}
}

// store writes the epoch in one step: after a crash there is the old file or the new one.
func (e *epoch) store(dir string) error {
	return storeKeys(filepath.Join(dir, epochName(e.Number)), e.Number, e)
}

// storeKeys writes a file of keys, wrapped by the key that is named for its log. number is what a wrapping is bound to.
func storeKeys(path string, number uint64, keys any) error {
	by, err := wrappingOf(filepath.Dir(path))
	if err != nil {
		return err
	}
	data, err := json.Marshal(keys)
	if err != nil {
		return err
	}
	return storeBy(path, number, data, by)
}

// storeBy writes what a file of keys says, wrapped by a key; nil for none.
func storeBy(path string, number uint64, data []byte, by *WrappingKey) (err error) {
	if by != nil {
		if data, err = by.wrap(number, data); err != nil {
			return err
		}
	}
	return durable.Replace(path, data, 0o600)
}

// take gives the keys of the next record.
func (k *keyMaker) take() (id uint64, trace, content key, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.leaf == 1<<keyDepth {
		if k.next == nil {
			k.prepare()
		}
		f := <-k.next
		k.next = nil
		if f.err != nil {
			return 0, key{}, key{}, f.err
		}
		k.cur, k.leaf = f, 0
	}
	if k.leaf == 1<<keyDepth/2 && k.next == nil {
		k.prepare()
	}
	id = keyID(k.cur.number, k.leaf)
	k.leaf++
	return id, k.cur.trace.next(), k.cur.content.next(), nil
}

func (k *keyMaker) prepare() {
	ready := make(chan fresh, 1)
	k.next = ready
	go func() { ready <- makeEpoch(k.dir, k.cur.number+1) }()
}

// wait returns when no epoch is being made.
func (k *keyMaker) wait() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.next != nil {
		f := <-k.next
		k.next <- f
	}
}

// keyring finds the keys of records that are read. It is used by one goroutine.
type keyring struct {
	dir    string
	number uint64 // of last; 0 is none
	last   *epoch
}

func readKeys(dir string) *keyring { return &keyring{dir: filepath.Join(dir, keysName)} }

var errKeysGone = errors.New("the file with its keys is missing")

// key gives one of the keys with an id, errErased, or another error when the keys cannot be read.
func (r *keyring) key(id uint64, c class) (key, error) {
	number, leaf := splitKeyID(id)
	e, err := r.epoch(number)
	if err != nil {
		return key{}, err
	}
	return e.tree(c).leaf(keyDepth, uint64(leaf))
}

func (r *keyring) epoch(number uint64) (*epoch, error) {
	if r.last == nil || r.number != number {
		e, err := readEpoch(r.dir, number)
		if err != nil {
			return nil, err
		}
		r.number, r.last = number, e
	}
	return r.last, nil
}

func readEpoch(dir string, number uint64) (*epoch, error) {
	name := filepath.Join(dir, epochName(number))
	data, err := loadKeys(name, number)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", errKeysGone, name)
	}
	if err != nil {
		return nil, err
	}
	return parseEpoch(data, number, name)
}

// loadKeys gives what storeKeys was given, as JSON.
func loadKeys(path string, number uint64) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	by, err := wrappingOf(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	if data, err = unwrap(data, number, by); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, nil
}

// parseEpoch reads what is in the file of an epoch, unwrapped.
func parseEpoch(data []byte, number uint64, name string) (*epoch, error) {
	e := new(epoch)
	if err := json.Unmarshal(data, e); err != nil || e.Number != number {
		return nil, fmt.Errorf("%s is not the keys of epoch %d", name, number) // without err, which may quote a key
	}
	for _, t := range []keyTree{e.Trace, e.Content} {
		if err := t.check(keyDepth); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return e, nil
}

// has is whether the keys with an id are there.
func (r *keyring) has(id uint64) (content, trace bool, err error) {
	e, err := r.epoch(id >> keyDepth)
	if err != nil {
		return false, false, err
	}
	_, leaf := splitKeyID(id)
	_, content = e.Content.find(keyDepth, uint64(leaf))
	_, trace = e.Trace.find(keyDepth, uint64(leaf))
	return content, trace, nil
}
