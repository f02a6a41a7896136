package loop

import (
	"iter"
	"sync/atomic"
)

// Task is a function that a loop runs until it waits, and again once it need not wait any more. Its code reads
// like that of a goroutine. Only the task itself may call its methods, but for Signal.
type Task struct {
	loop  *Loop
	next  func() (uint32, bool)
	yield func(uint32) bool
	off   bool // heavy: driven by a goroutine of its own

	signals atomic.Uint32 // events so far
	waiting atomic.Bool   // nobody drives it; who makes it false does
	ended   chan struct{}
}

// Run has l run f as a task, and returns when f has.
func (l *Loop) Run(f func(*Task)) {
	t := &Task{loop: l, ended: make(chan struct{})}
	t.next, _ = iter.Pull(func(yield func(uint32) bool) {
		t.yield = yield
		f(t)
	})
	l.schedule(t)
	<-t.ended
}

// drive runs t until it waits or ends. One goroutine at a time drives a task: whoever made waiting false. A
// goroutine beside the loop settles for itself, whether or not t is still heavy: the loop may be waiting.
func (t *Task) drive(beside bool) {
	for {
		seen, ok := t.next()
		if !ok {
			close(t.ended)
			return
		}
		if seen == moved {
			go t.drive(true)
			return
		}
		// A signal between the task's last look and the next line would find nobody to wake.
		t.waiting.Store(true)
		if t.signals.Load() == seen || !t.waiting.CompareAndSwap(true, false) {
			if beside && t.loop.settle != nil {
				t.loop.settle()
			}
			return
		}
	}
}

// moved is yielded to be driven by another goroutine; signals never has this value.
const moved = ^uint32(0)

// Await returns once done reports true. done is asked again after each signal.
func (t *Task) Await(done func() bool) {
	for {
		seen := t.signals.Load()
		if done() {
			return
		}
		t.yield(seen)
	}
}

// Signal makes the task look again at what it waits for. It may be called from any goroutine.
func (t *Task) Signal() {
	if t.signal() {
		t.loop.schedule(t)
	}
}

// signal reports whether the caller has to have t driven.
func (t *Task) signal() bool {
	for {
		n := t.signals.Load()
		if t.signals.CompareAndSwap(n, (n+1)%moved) {
			return t.waiting.CompareAndSwap(true, false)
		}
	}
}

// Heavy says that what comes next takes long or blocks: it runs beside the loop, until Light and a wait.
func (t *Task) Heavy() {
	if !t.off {
		t.off = true
		t.yield(moved)
	}
}

// Light ends Heavy.
func (t *Task) Light() { t.off = false }
