package audit

import (
	"os"

	"golang.org/x/sys/unix"
)

// datasync is fdatasync(2): the data, and no more metadata than reading it back needs.
func datasync(f *os.File) error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); err != unix.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
