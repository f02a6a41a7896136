package witness

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"sallyport/audit/cosignature"
)

// FeederOptions are what a Feeder works with.
type FeederOptions struct {
	Witnesses []*Client
	Prove     Prove
	// Sink is given each checkpoint with all cosignatures that it has by now, after every answer that brought
	// one. It runs on the Feeder's goroutine.
	Sink func(msg []byte) error
	Log  *slog.Logger
	// Timeout is how long a witness may take. Default 10s.
	Timeout time.Duration
	// MinPause and MaxPause are between attempts at a witness that failed; a pause is twice the one before.
	// Default 1s and 5min.
	MinPause, MaxPause time.Duration
}

// Feeder shows checkpoints to witnesses in the background. Of those offered it shows the newest one: what was
// offered meanwhile is part of that tree.
type Feeder struct {
	opt    FeederOptions
	bell   chan struct{} // of one: there is something new
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	newest offer // under mu
	status []Status
}

type offer struct {
	msg  []byte // nil until there is one
	tree tlog.Tree
}

// Status is how far a witness has come.
type Status struct {
	Witness string
	Size    int64     // of the last tree that it cosigned while the Feeder ran
	Time    time.Time // of that cosignature, by its clock; zero if there was none
	Err     error     // of the last attempt; ErrDiverged if it holds another history
}

// NewFeeder starts a Feeder; Close ends it.
func NewFeeder(opt FeederOptions) *Feeder {
	for _, d := range []struct {
		p   *time.Duration
		def time.Duration
	}{{&opt.Timeout, 10 * time.Second}, {&opt.MinPause, time.Second}, {&opt.MaxPause, 5 * time.Minute}} {
		if *d.p <= 0 {
			*d.p = d.def
		}
	}
	f := &Feeder{opt: opt, bell: make(chan struct{}, 1), done: make(chan struct{}), status: make([]Status, len(opt.Witnesses))}
	for i, w := range opt.Witnesses {
		f.status[i].Witness = w.Name()
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	go f.run(ctx)
	return f
}

// Close stops what is running and waits for it.
func (f *Feeder) Close() {
	f.cancel()
	<-f.done
}

// Offer hands over a signed checkpoint, which must be on disk. It never blocks. A tree no larger than the
// newest one offered is of no interest.
func (f *Feeder) Offer(msg []byte, tree tlog.Tree) {
	f.mu.Lock()
	fresh := f.newest.msg == nil || tree.N > f.newest.tree.N
	if fresh {
		f.newest = offer{slices.Clone(msg), tree}
	}
	f.mu.Unlock()
	if fresh {
		select {
		case f.bell <- struct{}{}:
		default:
		}
	}
}

// Status tells how far each witness has come.
func (f *Feeder) Status() []Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.status)
}

// attempts is what run remembers of a witness.
type attempts struct {
	old    int64 // size that it is believed to be at
	asked  int64 // size of the tree that it last cosigned, -1 for none
	failed int
	next   time.Time // not before
}

// pause is how long to wait after so many failures: twice as long each time, and up to a quarter less, so
// that many logs do not come back to a witness at once.
func pause(failed int, least, most time.Duration, random float64) time.Duration {
	d := most
	if failed < 32 && least<<(failed-1) < most {
		d = least << (failed - 1)
	}
	return d - time.Duration(random*float64(d)/4)
}

func (f *Feeder) run(ctx context.Context) {
	defer close(f.done)
	memory := make([]attempts, len(f.opt.Witnesses))
	for i := range memory {
		memory[i].asked = -1
	}
	var current offer // with the cosignatures that it has
	for {
		wait := time.NewTimer(until(memory, current, time.Now()))
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-f.bell:
			wait.Stop()
		case <-wait.C:
		}
		f.mu.Lock()
		if f.newest.msg != nil && (current.msg == nil || f.newest.tree.N > current.tree.N) {
			current = f.newest
		}
		f.mu.Unlock()
		if current.msg != nil {
			current.msg = f.round(ctx, memory, current)
		}
	}
}

// until is the time to the next attempt at a witness that has not cosigned the current checkpoint.
func until(memory []attempts, current offer, now time.Time) time.Duration {
	const forever = 24 * time.Hour
	d := forever
	for _, m := range memory {
		if current.msg != nil && m.asked < current.tree.N {
			d = min(d, max(0, m.next.Sub(now)))
		}
	}
	return d
}

// round asks all witnesses whose time has come, at once, and gives the checkpoint with what they answered.
func (f *Feeder) round(ctx context.Context, memory []attempts, o offer) []byte {
	type answer struct {
		i   int
		c   cosignature.Cosignature
		err error
	}
	ctx, cancel := context.WithTimeout(ctx, f.opt.Timeout)
	defer cancel()
	answers := make(chan answer)
	asked := 0
	for i, m := range memory {
		if m.asked >= o.tree.N || m.next.After(time.Now()) {
			continue
		}
		asked++
		go func() {
			c, err := f.opt.Witnesses[i].Add(ctx, o.msg, o.tree, m.old, f.opt.Prove)
			answers <- answer{i, c, err}
		}()
	}
	var lines []byte
	var verifiers []note.Verifier
	for range asked {
		a := <-answers
		m := &memory[a.i]
		if a.err == nil {
			*m = attempts{old: o.tree.N, asked: o.tree.N}
			lines = append(lines, a.c.Line+"\n"...)
			verifiers = append(verifiers, f.opt.Witnesses[a.i].verifier)
		} else {
			m.failed++
			m.next = time.Now().Add(pause(m.failed, f.opt.MinPause, f.opt.MaxPause, rand.Float64()))
		}
		f.note(a.i, o.tree.N, a.c.Time, a.err)
	}
	if lines == nil {
		return o.msg
	}
	msg, _, err := cosignature.Attach(o.msg, lines, verifiers...)
	if err != nil {
		f.opt.Log.Error("cosignatures of witnesses do not fit the checkpoint", "err", err)
		return o.msg
	}
	if err := f.opt.Sink(msg); err != nil {
		f.opt.Log.Error("a cosigned checkpoint could not be kept", "err", err)
	}
	return msg
}

// note keeps what came of an attempt, and logs what is news.
func (f *Feeder) note(i int, size int64, at time.Time, err error) {
	f.mu.Lock()
	s := &f.status[i]
	was := s.Err
	s.Err = err
	if err == nil {
		s.Size, s.Time = size, at
	}
	name := s.Witness
	f.mu.Unlock()
	switch {
	case err == nil && was != nil:
		f.opt.Log.Info("a witness cosigns again", "witness", name, "size", size)
	case errors.Is(err, context.Canceled): // Close
	case errors.Is(err, ErrDiverged):
		f.opt.Log.Error("a witness holds another history of the log", "witness", name, "err", err)
	case err != nil && was == nil:
		f.opt.Log.Warn("a witness does not cosign; it is asked again", "witness", name, "err", err)
	}
}
