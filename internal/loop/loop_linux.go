package loop

import (
	"encoding/binary"
	"sync"

	"golang.org/x/sys/unix"
)

// Loop drives tasks from one goroutine. It runs until Close, which must come after the last task has ended.
type Loop struct {
	epfd, wakefd int
	settle       func() // called when all that was ready has run, before the loop waits
	done         chan struct{}

	mu      sync.Mutex // guards the fields below
	conns   map[uint64]*Conn
	last    uint64 // token given out last
	inbox   []*Task
	woken   bool // wakefd was written for what is in inbox
	closing bool
}

// wakeToken marks events of wakefd; those of connections begin at 1.
const wakeToken = 0

// New starts a loop. settle, if not nil, is called on the loop whenever everything that was ready has run: the
// place for work that pays once for many tasks.
func New(settle func()) (*Loop, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	wakefd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(epfd)
		return nil, err
	}
	l := &Loop{epfd: epfd, wakefd: wakefd, settle: settle, done: make(chan struct{}), conns: map[uint64]*Conn{}}
	// Edge-triggered, so each write is one event and the counter need never be read.
	if err := l.add(wakefd, wakeToken, unix.EPOLLIN); err != nil {
		unix.Close(epfd)
		unix.Close(wakefd)
		return nil, err
	}
	go l.serve()
	return l, nil
}

func (l *Loop) add(fd int, token uint64, events uint32) error {
	ev := unix.EpollEvent{Events: events | unix.EPOLLET, Fd: int32(uint32(token)), Pad: int32(token >> 32)}
	return unix.EpollCtl(l.epfd, unix.EPOLL_CTL_ADD, fd, &ev)
}

// serve waits in a system call of its own rather than in the runtime's poller: a processor that waits in a
// system call is taken up again without waking another thread, and the runtime's monitor lets it be.
func (l *Loop) serve() {
	defer close(l.done)
	var events [128]unix.EpollEvent
	var ready []*Task
	for {
		n, err := unix.EpollWait(l.epfd, events[:], -1)
		if err != nil && err != unix.EINTR {
			panic("loop: epoll_wait: " + err.Error()) // the arguments are ours: cannot fail
		}
		for i := range max(n, 0) {
			ev := &events[i]
			if token := uint64(uint32(ev.Fd)) | uint64(uint32(ev.Pad))<<32; token != wakeToken {
				l.mu.Lock()
				c := l.conns[token]
				l.mu.Unlock()
				if c != nil {
					if t := c.event(ev.Events); t != nil {
						ready = append(ready, t)
					}
				}
			}
		}
		for {
			l.mu.Lock()
			ready = append(ready, l.inbox...)
			clear(l.inbox)
			l.inbox, l.woken = l.inbox[:0], false
			closing := l.closing
			l.mu.Unlock()
			if len(ready) == 0 {
				if closing {
					return
				}
				break
			}
			for _, t := range ready {
				if t.off {
					go t.drive(true)
				} else {
					t.drive(false)
				}
			}
			clear(ready)
			ready = ready[:0]
			if l.settle != nil {
				l.settle()
			}
		}
	}
}

// schedule has the loop drive t, from any goroutine.
func (l *Loop) schedule(t *Task) {
	l.mu.Lock()
	l.inbox = append(l.inbox, t)
	wake := !l.woken
	l.woken = true
	l.mu.Unlock()
	if wake {
		l.wake()
	}
}

func (l *Loop) wake() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	unix.Write(l.wakefd, one[:])
}

// Close ends the loop.
func (l *Loop) Close() {
	l.mu.Lock()
	l.closing = true
	l.mu.Unlock()
	l.wake()
	<-l.done
	unix.Close(l.epfd)
	unix.Close(l.wakefd)
}
