package audit

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/access"
)

// faultDisk is the real disk with hooks that stand for its calls; create comes before the real one.
type faultDisk struct {
	write  func(f file, b []byte, off int64) (int, error)
	sync   func(f file, commit bool) error // commit: it is for more than zeros
	create func(path string) error
	rename func(from, to string) error
}

type faultFile struct {
	file
	d      *faultDisk
	commit bool // something other than zeros was written since the last sync
}

func (d *faultDisk) Create(path string) (file, error) {
	if d.create != nil {
		if err := d.create(path); err != nil {
			return nil, err
		}
	}
	f, err := osDisk{}.Create(path)
	return d.wrap(f, err)
}

func (d *faultDisk) Open(path string) (file, error) {
	f, err := osDisk{}.Open(path)
	return d.wrap(f, err)
}

func (d *faultDisk) wrap(f file, err error) (file, error) {
	if err != nil {
		return nil, err
	}
	return &faultFile{file: f, d: d}, nil
}

func (d *faultDisk) Rename(from, to string) error {
	if d.rename != nil {
		return d.rename(from, to)
	}
	return osDisk{}.Rename(from, to)
}

func (f *faultFile) WriteAt(b []byte, off int64) (int, error) {
	f.commit = f.commit || !onlyZeros(b)
	if f.d.write != nil {
		return f.d.write(f.file, b, off)
	}
	return f.file.WriteAt(b, off)
}

func (f *faultFile) Sync() error {
	commit := f.commit
	f.commit = false
	if f.d.sync != nil {
		return f.d.sync(f.file, commit)
	}
	return f.file.Sync()
}

func onlyZeros(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

// trigger fires at each call once it is armed, after left calls more.
type trigger struct {
	armed atomic.Bool
	left  atomic.Int64
}

func (t *trigger) fires() bool { return t.armed.Load() && t.left.Add(-1) < 0 }

// Preparing the next segment, which writes zeros, is tried again and is not among these; see
// TestRefusalsAreRecordedOnAFullDisk.
func TestFaultsAreStickyAndNothingAcknowledgedIsLost(t *testing.T) {
	for _, c := range []struct {
		name, code string
		disk       func(d *faultDisk, t *trigger)
	}{
		{"write_error", codeIO, func(d *faultDisk, t *trigger) {
			d.write = func(f file, b []byte, off int64) (int, error) {
				if !onlyZeros(b) && t.fires() {
					return 0, syscall.EIO
				}
				return f.WriteAt(b, off)
			}
		}},
		{"half_a_write_then_error", codeIO, func(d *faultDisk, t *trigger) {
			d.write = func(f file, b []byte, off int64) (int, error) {
				if !onlyZeros(b) && t.fires() {
					n, _ := f.WriteAt(b[:len(b)/2], off)
					return n, syscall.EIO
				}
				return f.WriteAt(b, off)
			}
		}},
		{"short_write_without_error", codeIO, func(d *faultDisk, t *trigger) {
			d.write = func(f file, b []byte, off int64) (int, error) {
				if !onlyZeros(b) && t.fires() {
					return f.WriteAt(b[:len(b)-1], off)
				}
				return f.WriteAt(b, off)
			}
		}},
		{"disk_full_on_write", codeDiskFull, func(d *faultDisk, t *trigger) {
			d.write = func(f file, b []byte, off int64) (int, error) {
				if !onlyZeros(b) && t.fires() {
					return 0, &os.PathError{Op: "write", Err: syscall.ENOSPC}
				}
				return f.WriteAt(b, off)
			}
		}},
		{"quota_used_up", codeDiskFull, func(d *faultDisk, t *trigger) {
			d.write = func(f file, b []byte, off int64) (int, error) {
				if !onlyZeros(b) && t.fires() {
					return 0, syscall.EDQUOT
				}
				return f.WriteAt(b, off)
			}
		}},
		{"sync_error", codeIO, func(d *faultDisk, t *trigger) {
			d.sync = func(f file, commit bool) error {
				if commit && t.fires() {
					return syscall.EIO
				}
				return f.Sync()
			}
		}},
		{"one_sync_error_then_none", codeIO, func(d *faultDisk, t *trigger) {
			var once atomic.Bool
			d.sync = func(f file, commit bool) error { // filling may be tried again, a commit may not
				if commit && t.fires() && once.CompareAndSwap(false, true) {
					return syscall.EIO
				}
				return f.Sync()
			}
		}},
		{"rename_error", codeIO, func(d *faultDisk, t *trigger) {
			d.rename = func(from, to string) error {
				if t.fires() {
					return syscall.EIO
				}
				return osDisk{}.Rename(from, to)
			}
		}},
	} {
		for _, after := range []int64{0, 1, 7} {
			t.Run(fmt.Sprintf("%s/%d", c.name, after), func(t *testing.T) {
				dir := t.TempDir()
				d, fault := &faultDisk{}, &trigger{}
				fault.left.Store(after)
				c.disk(d, fault)
				l, err := open(dir, Options{SegmentSize: smallSize}, d)
				if err != nil {
					t.Fatal(err)
				}
				fault.armed.Store(true)
				acked := appendUntilFailure(t, l, c.code)

				fault.armed.Store(false) // the disk is well again; the log must not be
				_, err = l.Append(someRecord(1))
				wantError(t, err, access.Unavailable, c.code)
				wantError(t, l.Err(), access.Unavailable, c.code)
				wantError(t, l.Close(), access.Unavailable, c.code)
				wantAcked(t, dir, acked)
			})
		}
	}
}

// padding makes a batch span several sectors.
var padding = strings.Repeat("p", 700)

// appendUntilFailure has eight callers append until each gets an error, and gives what was acknowledged.
func appendUntilFailure(t *testing.T, l *Log, code string) map[uint64]string {
	t.Helper()
	acked := map[uint64]string{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for c := range 8 {
		wg.Go(func() {
			for n := 0; ; n++ {
				rec := someRecord(n)
				rec.Session, rec.Client = fmt.Sprintf("caller %d", c), padding
				pos, err := l.Append(rec)
				if err != nil {
					wantError(t, err, access.Unavailable, code)
					return
				}
				mu.Lock()
				acked[pos] = rec.Session + rec.SQL
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return acked
}

// wantAcked opens dir and looks for every acknowledged record.
func wantAcked(t *testing.T, dir string, acked map[uint64]string) {
	t.Helper()
	l, err := Open(dir, Options{SegmentSize: smallSize})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	found := 0
	for i, rec := range readAll(t, dir) {
		if rec.Position != uint64(i+1) {
			t.Fatalf("record %d has position %d", i+1, rec.Position)
		}
		if want, ok := acked[rec.Position]; ok {
			found++
			if got := rec.Session + rec.SQL; got != want {
				t.Fatalf("record %d is %q, acknowledged was %q", i+1, got, want)
			}
		}
	}
	if found != len(acked) {
		t.Fatalf("%d of %d acknowledged records are there", found, len(acked))
	}
}

func TestOpenFailsClearlyOnAFullDisk(t *testing.T) {
	_, err := open(t.TempDir(), Options{}, &faultDisk{write: func(file, []byte, int64) (int, error) { return 0, syscall.ENOSPC }})
	wantError(t, err, access.Unavailable, codeDiskFull)
	dir := writeLog(t, 3)
	_, err = open(dir, Options{}, &faultDisk{sync: func(file, bool) error { return syscall.EIO }})
	wantError(t, err, access.Unavailable, codeIO)
	wantOpen(t, dir, 3, false) // and the lock was given back
}

// powerCut keeps what was written since the last sync apart, and at the cut lets a random choice of its
// sectors reach the disk: what a machine that loses power may do, and SIGKILL never does.
type powerCut struct {
	mu      sync.Mutex
	rng     *rand.Rand
	syncs   int // until the power goes
	gone    bool
	pending map[file][]pendingWrite
}

type pendingWrite struct {
	off  int64
	data []byte
}

var errNoPower = errors.New("no power")

func (p *powerCut) disk() *faultDisk {
	p.pending = map[file][]pendingWrite{}
	return &faultDisk{write: p.write, sync: p.sync,
		create: func(string) error { return p.alive() },
		rename: func(from, to string) error {
			if err := p.alive(); err != nil {
				return err
			}
			return osDisk{}.Rename(from, to)
		}}
}

func (p *powerCut) alive() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return errNoPower
	}
	return nil
}

func (p *powerCut) write(f file, b []byte, off int64) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return 0, errNoPower
	}
	p.pending[f] = append(p.pending[f], pendingWrite{off, append([]byte(nil), b...)})
	return len(b), nil
}

func (p *powerCut) sync(f file, _ bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return errNoPower
	}
	if p.syncs--; p.syncs < 0 {
		p.gone = true
		for f, writes := range p.pending {
			for _, w := range writes {
				p.some(f, w)
			}
		}
		return errNoPower
	}
	for _, w := range p.pending[f] {
		if _, err := f.WriteAt(w.data, w.off); err != nil {
			return err
		}
	}
	delete(p.pending, f)
	return nil
}

// some writes a random choice of the sectors of w.
func (p *powerCut) some(f file, w pendingWrite) {
	const sector = 512
	chance := p.rng.Float64()
	for at := w.off / sector * sector; at < w.off+int64(len(w.data)); at += sector {
		if p.rng.Float64() > chance {
			continue
		}
		from, to := max(at, w.off), min(at+sector, w.off+int64(len(w.data)))
		_, _ = f.WriteAt(w.data[from-w.off:to-w.off], from)
	}
}

func TestPowerCutsLoseNothingAcknowledged(t *testing.T) {
	rounds := 150
	if testing.Short() {
		rounds = 20
	}
	torn := 0
	for seed := range rounds {
		dir := t.TempDir()
		// A log that is there already, so that cuts also come while it is recovered.
		l := openLog(t, dir, Options{SegmentSize: smallSize})
		acked := map[uint64]string{}
		if _, err := l.Append(someRecord(1)); err != nil {
			t.Fatal(err)
		}
		l.Close()
		rng := rand.New(rand.NewPCG(1, uint64(seed)))
		p := &powerCut{rng: rng, syncs: rng.IntN(200)}
		if l, err := open(dir, Options{SegmentSize: smallSize}, p.disk()); err == nil {
			acked = appendUntilFailure(t, l, "") // of the log, or of the room that is prepared
			l.Close()
		}
		l, err := Open(dir, Options{SegmentSize: smallSize})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if l.Recovered().Cut > 0 {
			torn++
		}
		l.Close()
		wantAcked(t, dir, acked)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if torn == 0 {
		t.Error("no round had an unfinished write: the test proves nothing")
	}
	t.Logf("%d of %d rounds had an unfinished write", torn, rounds)
}

func TestLiveReaderSeesAPrefix(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{SegmentSize: 4 * smallSize})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for n := 1; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				rec := sample()
				if _, err := l.Append(&rec); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	var before uint64
	several := func() bool { firsts, _ := segments(dir); return len(firsts) >= 3 }
	for begin := time.Now(); time.Since(begin) < 500*time.Millisecond || !several() && time.Since(begin) < 30*time.Second; {
		rec := sample()
		durable, err := l.Append(&rec)
		if err != nil {
			t.Fatal(err)
		}
		var last uint64
		err = Read(dir, func(rec *access.Record) error {
			if rec.Position != last+1 {
				return fmt.Errorf("record %d after %d", rec.Position, last)
			}
			last = rec.Position
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if last < durable || last < before {
			t.Fatalf("%d records read, %d were durable, %d were read before", last, durable, before)
		}
		before = last
	}
	close(stop)
	wg.Wait()
	if !several() {
		t.Error("fewer than 3 segments")
	}
}
