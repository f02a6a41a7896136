//go:build !linux

package pgwire

import "syscall"

// peerGone needs POLLRDHUP, which only Linux has: elsewhere a client that went away is noticed when its
// statement has ended.
func peerGone(syscall.RawConn) bool { return false }
