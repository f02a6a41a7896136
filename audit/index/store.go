package index

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"sallyport/audit"
)

const (
	fileName = "index.db"
	tempName = "index.tmp"
	lockName = "LOCK"
	format   = 3
)

// Buckets. Numbers in keys are big endian; all values but the state end in a checksum.
var (
	aboutBucket = []byte("about")  // stateKey: the state, as JSON
	chunkBucket = []byte("chunks") // chunk u32: a chunkInfo
	spanBucket  = []byte("spans")  // span u64: a span
	termBucket  = []byte("terms")  // chunk u32, term [8]: a set
	stateKey    = []byte("state")
)

// state is how far an index has come. It is changed in the transaction that changes what it speaks of.
type state struct {
	Format int                   `json:"format"`
	Log    string                `json:"log"`            // id of the log
	Next   uint64                `json:"next"`           // position of the next record
	Leaf   []byte                `json:"leaf,omitempty"` // hash of the record before that
	Key    []byte                `json:"key"`            // a term, by which the key is known again
	Gone   map[uint64]audit.Gone `json:"gone,omitempty"` // keys without which the sets are
	Shred  bool                  `json:"shred,omitempty"`
}

// chunkInfo says when the records of a chunk were recorded, and what the chunk's sets come to.
type chunkInfo struct {
	from, to int64 // earliest and latest time, in microseconds
	sets     uint32
	sum      uint32 // of the sets' checksums, exclusive or
}

func (c *chunkInfo) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(c.from))
	dst = binary.BigEndian.AppendUint64(dst, uint64(c.to))
	dst = binary.BigEndian.AppendUint32(dst, c.sets)
	return binary.BigEndian.AppendUint32(dst, c.sum)
}

// errDamaged is of an index that cannot be what was written. It is made anew.
type errDamaged struct{ what string }

func (e errDamaged) Error() string { return "it is damaged: " + e.what }

func damagedf(s string, args ...any) error { return errDamaged{fmt.Sprintf(s, args...)} }

// ErrBusy is of an index that another process did not give up in time.
var ErrBusy = errors.New("another process holds the index")

// patience is how long a lock is waited for.
const patience = 20 * time.Second

// hold takes the lock of the index, for reading or for all.
func hold(ctx context.Context, dir string, how int) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS) {
		f, err = os.Open(filepath.Join(dir, lockName)) // enough for reading
	}
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(patience); ; {
		err = unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			break
		}
		if time.Now().After(end) {
			err = ErrBusy
			break
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	f.Close()
	return nil, err
}

// guarded turns what bbolt does to a file that is no longer what it wrote, which is to panic or to touch memory that
// is not there, into errDamaged.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = damagedf("%v", p)
		}
	}()
	return f()
}

// writing opens the file under the lock for one use. It is made where it is not there.
func (x *Index) writing(ctx context.Context, f func(*bbolt.DB) error) error {
	lock, err := hold(ctx, x.dir, unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer lock.Close()
	return x.use(false, f)
}

// reading opens the file under the lock for one use. Without a file the error is fs.ErrNotExist.
func (x *Index) reading(ctx context.Context, f func(*bbolt.Tx) error) error {
	lock, err := hold(ctx, x.dir, unix.LOCK_SH)
	if err != nil {
		return err
	}
	defer lock.Close()
	return x.use(true, func(db *bbolt.DB) error { return db.View(f) })
}

// use opens the file; the caller has the lock.
func (x *Index) use(readOnly bool, f func(*bbolt.DB) error) error {
	return guarded(func() error {
		db, err := openFile(x.path(fileName), readOnly)
		if err != nil {
			return err
		}
		defer db.Close()
		if err := whole(db); err != nil {
			return err
		}
		return f(db)
	})
}

func openFile(path string, readOnly bool) (*bbolt.DB, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, ReadOnly: readOnly, FreelistType: bbolt.FreelistMapType})
	var pe *os.PathError
	switch {
	case err == nil, errors.As(err, &pe), errors.Is(err, unix.ENOSPC):
		return db, err
	}
	return nil, damagedf("%v", err)
}

// whole refuses a file that is shorter than what it says that it has.
func whole(db *bbolt.DB) error {
	info, err := os.Stat(db.Path())
	if err != nil {
		return err
	}
	return db.View(func(tx *bbolt.Tx) error {
		if tx.Size() > info.Size() {
			return damagedf("%d bytes of %d are missing", tx.Size()-info.Size(), tx.Size())
		}
		return nil
	})
}

func (x *Index) path(name string) string { return filepath.Join(x.dir, name) }

// loadState gives nil where the index is new.
func loadState(tx *bbolt.Tx) (*state, error) {
	b := tx.Bucket(aboutBucket)
	if b == nil {
		return nil, nil
	}
	s := new(state)
	if err := json.Unmarshal(b.Get(stateKey), s); err != nil {
		return nil, damagedf("its state cannot be read")
	}
	for _, name := range [][]byte{chunkBucket, spanBucket, termBucket} {
		if tx.Bucket(name) == nil {
			return nil, damagedf("%s are missing", name)
		}
	}
	return s, nil
}

func (s *state) store(tx *bbolt.Tx) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return tx.Bucket(aboutBucket).Put(stateKey, text)
}

// begin makes the buckets of a new index.
func (s *state) begin(tx *bbolt.Tx) error {
	for _, name := range [][]byte{aboutBucket, chunkBucket, spanBucket, termBucket} {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return s.store(tx)
}

// get reads a value and checks it; nil where there is none.
func get(b *bbolt.Bucket, key []byte) ([]byte, error) {
	sealed := b.Get(key)
	if sealed == nil {
		return nil, nil
	}
	value, _, ok := unseal(key, sealed)
	if !ok {
		return nil, damagedf("the checksum of an entry does not fit")
	}
	return value, nil
}

func chunkKey(chunk uint32) []byte { return binary.BigEndian.AppendUint32(nil, chunk) }
func spanKey(span uint64) []byte   { return binary.BigEndian.AppendUint64(nil, span) }
func termKey(dst []byte, chunk uint32, t term) []byte {
	return append(binary.BigEndian.AppendUint32(dst[:0], chunk), t[:]...)
}

// loadChunk gives nil for a chunk without records.
func loadChunk(tx *bbolt.Tx, chunk uint32) (*chunkInfo, error) {
	v, err := get(tx.Bucket(chunkBucket), chunkKey(chunk))
	if v == nil || err != nil {
		return nil, err
	}
	if len(v) != 24 {
		return nil, damagedf("what it says of a chunk cannot be read")
	}
	return &chunkInfo{int64(binary.BigEndian.Uint64(v)), int64(binary.BigEndian.Uint64(v[8:])), binary.BigEndian.Uint32(v[16:]), binary.BigEndian.Uint32(v[20:])}, nil
}

func (c *chunkInfo) store(tx *bbolt.Tx, chunk uint32) error {
	k := chunkKey(chunk)
	return tx.Bucket(chunkBucket).Put(k, seal(k, c.append(nil)))
}

// loadSpan gives nil for a span without records.
func loadSpan(tx *bbolt.Tx, span uint64) (*span, error) {
	v, err := get(tx.Bucket(spanBucket), spanKey(span))
	if v == nil || err != nil {
		return nil, err
	}
	s, err := readSpan(v)
	if err != nil {
		return nil, damagedf("%v", err)
	}
	return s, nil
}

// remove removes a file and leaves nothing of it in the blocks that it had.
func remove(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := os.Remove(path); err != nil {
		return err
	}
	return blank(f)
}

// blank puts zeros over a file.
func blank(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	zeros := make([]byte, 1<<20)
	for off := int64(0); off < info.Size(); off += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), info.Size()-off)], off); err != nil {
			return err
		}
	}
	return f.Sync()
}
