package pgwire

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// peerGone asks the kernel whether the peer has closed its side, without reading: what it sent before
// stays where it is.
func peerGone(raw syscall.RawConn) bool {
	gone := false
	err := raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		if n, err := unix.Poll(fds, 0); err == nil && n > 0 {
			gone = fds[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
		}
	})
	return gone && err == nil
}
