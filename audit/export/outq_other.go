//go:build !linux

package export

import "net"

// unacknowledged is not known here: what the own kernel has taken counts as sent.
func unacknowledged(*net.TCPConn) (int, error) { return 0, nil }
