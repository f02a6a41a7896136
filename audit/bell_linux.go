package audit

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// bell wakes one thread that waits in the kernel.
type bell struct {
	fd   int
	shut atomic.Bool
}

func newBell() (*bell, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	return &bell{fd: fd}, err
}

func (b *bell) signal() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	unix.Write(b.fd, one[:])
}

// wait returns true after a signal, false once the bell is closed.
func (b *bell) wait() bool {
	var n [8]byte
	for {
		if _, err := unix.Read(b.fd, n[:]); err != unix.EINTR {
			break
		}
	}
	if b.shut.Load() {
		unix.Close(b.fd)
		return false
	}
	return true
}

func (b *bell) close() {
	b.shut.Store(true)
	b.signal()
}

// shortSlice asks the kernel for short turns of the processor on this thread: a thread that wakes often and works
// little is then run sooner where all processors are busy (Linux 6.12 and later; needs no privilege).
// Without it the log is slower, not wrong.
func shortSlice() {
	attr := unix.SchedAttr{Size: uint32(unsafe.Sizeof(unix.SchedAttr{})), Policy: unix.SCHED_NORMAL, Runtime: 100_000}
	unix.SchedSetAttr(0, &attr, 0)
}
