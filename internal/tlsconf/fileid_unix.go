//go:build unix

package tlsconf

import (
	"fmt"
	"io/fs"
	"syscall"
)

// fileID is the file's device and number: a file that was moved into another's place has its own.
func fileID(st fs.FileInfo) string {
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprint(sys.Dev, ":", sys.Ino)
	}
	return ""
}
