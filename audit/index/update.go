package index

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sys/unix"

	"sallyport/audit"
	"sallyport/internal/access"
)

// Index is the index of one log. It holds no file between calls. Not for several goroutines.
type Index struct {
	logDir, dir string
	log         *slog.Logger
	gone        *audit.GoneKeys
	detached    bool // see Detached
}

// New is the index in dir of the log in logDir; it is made when it is first brought up to date. A nil log discards.
func New(logDir, dir string, log *slog.Logger) *Index {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Index{logDir: logDir, dir: dir, log: log, gone: audit.WatchKeys(logDir)}
}

// Report says what an update did.
type Report struct {
	Anew    string // why the index was thrown away and made anew; "" where it was not
	Purged  bool   // records that were erased have left it
	Added   uint64 // records
	Through uint64 // position of the last record in it
}

// unfit is why an index does not belong to the log.
type unfit struct{ why string }

func (e unfit) Error() string { return e.why }

// moved is of a batch that has become useless, because another process has changed the index, or keys were destroyed.
var errMoved = errors.New("the index has changed meanwhile")

// Update brings the index up to date with what is on disk of the log; progress, unless it is nil, is told now and then
// which position it has come to.
func (x *Index) Update(ctx context.Context, progress func(uint64)) (Report, error) {
	var r Report
	for {
		err := x.update(ctx, &r, progress)
		if !errors.Is(err, errMoved) {
			return r, err
		}
	}
}

func (x *Index) update(ctx context.Context, r *Report, progress func(uint64)) error {
	f, err := x.follow(ctx, r)
	if err != nil {
		return err
	}
	defer f.close()
	for {
		n, err := f.read(readBytes)
		if err != nil {
			return err
		}
		if n == 0 || f.full {
			added := f.batch.next - f.batch.first
			if err := f.commit(ctx); err != nil {
				return err
			}
			r.Added += added
			r.Through = f.batch.first - 1
			if progress != nil {
				progress(r.Through)
			}
		}
		if n == 0 && !f.more {
			return ctx.Err()
		}
	}
}

// Find brings the index up to date and searches it. An index that turns out to be of no use is made anew.
func (x *Index) Find(ctx context.Context, q Query, progress func(uint64)) (*Page, Report, error) {
	r, err := x.Update(ctx, progress)
	if err != nil {
		return nil, r, err
	}
	page, err := x.Search(ctx, q)
	if !errors.Is(err, ErrNone) {
		return page, r, err
	}
	why := strings.TrimPrefix(err.Error(), ErrNone.Error()+"\n")
	if r, err = x.Rebuild(ctx, progress); err != nil {
		return nil, r, err
	}
	r.Anew = why
	page, err = x.Search(ctx, q)
	return page, r, err
}

// Rebuild throws the index away and makes it anew.
func (x *Index) Rebuild(ctx context.Context, progress func(uint64)) (Report, error) {
	lock, err := x.take(ctx)
	if err != nil {
		return Report{}, err
	}
	err = remove(x.path(fileName))
	lock.Close()
	if err != nil {
		return Report{}, err
	}
	return x.Update(ctx, progress)
}

func (x *Index) take(ctx context.Context) (*os.File, error) {
	if err := os.MkdirAll(x.dir, 0o700); err != nil {
		return nil, err
	}
	return hold(ctx, x.dir, unix.LOCK_EX)
}

const readBytes = 1 << 20 // of the log

// follower takes records from the log into the index.
type follower struct {
	x     *Index
	tail  *audit.Tail
	terms *hasher
	known state // of the index, as of the last commit
	batch *batch
	full  bool // the next record is of another chunk
	more  bool // the last read ended there
}

func (f *follower) close() { f.tail.Close() }

// follow makes sure that the index fits the log and holds nothing that is erased, and goes on where it ends.
func (x *Index) follow(ctx context.Context, r *Report) (*follower, error) {
	lock, err := x.take(ctx)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if err := remove(x.path(tempName)); err != nil { // of a process that ended in the middle
		return nil, err
	}
	gone, err := x.gone.Count()
	if err != nil {
		return nil, err
	}
	f := &follower{x: x}
	why, err := f.resume(gone, r)
	if err == nil && why != "" {
		if r.Anew = why; why != neverMade {
			x.log.Warn("the index is made anew", "why", why)
		}
		err = f.anew(gone)
	}
	if err != nil {
		return nil, err
	}
	if f.tail, err = audit.OpenTail(x.logDir, f.known.Next); err != nil {
		return nil, err
	}
	f.batch = newBatch(f.known.Next)
	return f, nil
}

const neverMade = "there was none"

// resume takes up the index that is there, or says why it cannot be used.
func (f *follower) resume(gone map[uint64]audit.Gone, r *Report) (why string, err error) {
	x := f.x
	key, err := readKey(x.dir)
	if errors.Is(err, errNoKey) {
		why = "its key is missing"
		if _, e := os.Stat(x.path(fileName)); os.IsNotExist(e) {
			why = neverMade
		}
		return why, nil
	}
	if err != nil {
		return "", err
	}
	f.terms = newHasher(key)
	err = x.use(false, func(db *bbolt.DB) error {
		var s *state
		if err := db.View(func(tx *bbolt.Tx) (err error) {
			s, err = x.fit(tx, f.terms)
			return err
		}); err != nil {
			return err
		}
		if !maps.Equal(s.Gone, gone) {
			if err := x.purge(db, f.terms, s, gone); err != nil {
				return err
			}
			r.Purged = true
		}
		f.known = *s
		if s.Shred {
			return x.shred(db, s)
		}
		return nil
	})
	var d errDamaged
	var u unfit
	if errors.As(err, &d) || errors.As(err, &u) {
		return err.Error(), nil
	}
	return "", err
}

// fit gives the state of an index that belongs to the log.
func (x *Index) fit(tx *bbolt.Tx, h *hasher) (*state, error) {
	s, err := loadState(tx)
	if err != nil {
		return nil, err
	}
	switch {
	case s == nil:
		return nil, unfit{neverMade}
	case s.Format != format:
		return nil, unfit{"it was made by another version of the program"}
	case !bytes.Equal(s.Key, keyMark(h)):
		return nil, unfit{"it was made with another key"}
	case x.detached:
		return s, nil
	}
	id, err := audit.LogID(x.logDir)
	if err != nil {
		return nil, err
	}
	if s.Log != id {
		return nil, unfit{"it is of another log"}
	}
	if s.Next <= 1 {
		return s, nil
	}
	last := s.Next - 1
	sp, err := loadSpan(tx, spanOf(last))
	if err != nil {
		return nil, err
	}
	if sp == nil || sp.end() != s.Next {
		return nil, damagedf("record %d is its last, and it does not say where that is", last)
	}
	places := audit.OpenPlaces(x.logDir)
	defer places.Close()
	_, leaf, err := places.Record(last, sp.places[last-sp.first])
	if err != nil && !errors.Is(err, audit.ErrPlace) {
		return nil, err
	}
	if err != nil || !bytes.Equal(leaf[:], s.Leaf) {
		return nil, unfit{fmt.Sprintf("record %d is not in the log as it was: the log was cut, or put back to an older state", last)}
	}
	return s, nil
}

func keyMark(h *hasher) []byte {
	t := h.value(0, "this key")
	return t[:]
}

// anew begins an empty index under a new key.
func (f *follower) anew(gone map[uint64]audit.Gone) error {
	x := f.x
	if err := remove(x.path(fileName)); err != nil {
		return err
	}
	key, err := makeKey(x.dir)
	if err != nil {
		return err
	}
	id, err := audit.LogID(x.logDir)
	if err != nil {
		return err
	}
	f.terms = newHasher(key)
	f.known = state{Format: format, Log: id, Next: 1, Key: keyMark(f.terms), Gone: gone}
	return x.use(false, func(db *bbolt.DB) error { return db.Update(f.known.begin) })
}

// read takes about most bytes of the log into the batch, at most to the end of its chunk, and gives how many it were.
func (f *follower) read(most int) (int, error) {
	f.more = false
	errFull := errors.New("full")
	n, err := f.tail.Read(most, func(rec *access.Record, leaf tlog.Hash) error {
		if f.full = f.batch.full(rec.Position); f.full {
			f.more = true
			return errFull
		}
		if rec.Position != f.batch.next {
			return fmt.Errorf("record %d follows on record %d", rec.Position, f.batch.next-1)
		}
		f.batch.add(rec, f.tail.Place(), leaf[:])
		return nil
	})
	if errors.Is(err, errFull) {
		err = nil
	}
	return n, err
}

// commit puts the batch into the index. The error is errMoved where what was read must be read again.
func (f *follower) commit(ctx context.Context) error {
	b := f.batch
	if b.next == b.first {
		return nil
	}
	gone, err := f.x.gone.Count()
	if err != nil {
		return err
	}
	if !maps.Equal(gone, f.known.Gone) {
		return errMoved
	}
	next := f.known
	next.Next, next.Leaf = b.next, bytes.Clone(b.leaf)
	err = f.x.writing(ctx, func(db *bbolt.DB) error {
		return db.Update(func(tx *bbolt.Tx) error {
			s, err := loadState(tx)
			if err != nil {
				return err
			}
			if s == nil || s.Shred || s.Next != b.first || s.Log != next.Log || !bytes.Equal(s.Key, next.Key) || !maps.Equal(s.Gone, next.Gone) {
				return errMoved
			}
			if err := b.store(tx, f.terms); err != nil {
				return err
			}
			return next.store(tx)
		})
	})
	var d errDamaged
	if errors.As(err, &d) {
		return errMoved // whoever follows next makes it anew
	}
	if err == nil {
		f.known, f.batch, f.full = next, newBatch(next.Next), false
	}
	return err
}

// In the background the index takes a tenth of a core at most, so that statements do not wait for it. What that leaves
// behind a search makes up for.
const (
	shareOfTime = 10
	idle        = 500 * time.Millisecond
	commitEvery = 2 * time.Second
	quietBytes  = 256 << 10
	pause       = 100 * time.Millisecond // at least, between reads: each syncs the segment
	retryAfter  = 10 * time.Second
)

// Run keeps the index up to date until ctx ends. What goes wrong is logged, and tried again.
func (x *Index) Run(ctx context.Context) {
	for ctx.Err() == nil {
		err := x.run(ctx)
		if ctx.Err() != nil || errors.Is(err, errMoved) {
			continue
		}
		x.log.Warn("the index is not up to date: searches will bring it there", "error", err)
		wait(ctx, retryAfter)
	}
}

func (x *Index) run(ctx context.Context) error {
	var r Report
	f, err := x.follow(ctx, &r)
	if err != nil {
		return err
	}
	defer f.close()
	since := time.Now() // of the last commit
	for ctx.Err() == nil {
		began := time.Now()
		n, err := f.read(quietBytes)
		if err != nil {
			return err
		}
		if n == 0 && !f.more && f.batch.next == f.batch.first {
			gone, err := x.gone.Count()
			if err != nil {
				return err
			}
			if !maps.Equal(gone, f.known.Gone) {
				return errMoved
			}
			since = time.Now()
			wait(ctx, idle)
			continue
		}
		if f.full || time.Since(since) > commitEvery {
			if err := f.commit(ctx); err != nil {
				return err
			}
			since = time.Now()
		}
		wait(ctx, max((shareOfTime-1)*time.Since(began), pause))
	}
	return ctx.Err()
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
