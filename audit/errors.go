package audit

import (
	"errors"
	"fmt"
	"io"
	"syscall"

	"sallyport/internal/access"
)

// SQLSTATEs, PostgreSQL appendix A.
const (
	codeIO       = "58030" // io_error
	codeDiskFull = "53100" // disk_full
	codeInUse    = "55006" // object_in_use
	codeCorrupt  = "XX001" // data_corrupted
	codeTooBig   = "54000" // program_limit_exceeded
	codeInternal = "XX000" // internal_error
)

// writeFailed is what every caller gets once the log has failed.
func writeFailed(err error) *access.Error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &access.Error{
			Kind: access.Unavailable, Code: codeDiskFull, Err: err,
			Message: "the audit log has no room left, and nothing is released without a record",
			Hint:    "free space on the disk of the data directory, then restart the gateway",
		}
	}
	return &access.Error{
		Kind: access.Unavailable, Code: codeIO, Err: err,
		Message: "the audit log cannot be written, and nothing is released without a record",
		Hint:    "the operator's log has the cause; check the disk of the data directory, then restart the gateway",
	}
}

func openFailed(dir string, err error) *access.Error {
	e := &access.Error{
		Kind: access.Unavailable, Code: codeIO, Err: err,
		Message: fmt.Sprintf("cannot open the audit log in %s", dir),
		Hint:    "the directory must exist or be creatable, and be writable for the user that runs the gateway",
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		e.Code = codeDiskFull
		e.Hint = "free space on its disk, then start again"
	}
	return e
}

func damaged(path string, err error) *access.Error {
	return &access.Error{
		Kind: access.Unavailable, Code: codeCorrupt, Err: err,
		Message: fmt.Sprintf("the audit log is damaged in %s", path),
		Hint:    "nothing was changed: keep a copy of the directory, then restore it from a backup, or start with an empty data directory and hand the damaged one to whoever audits",
	}
}

var errClosed = &access.Error{
	Kind: access.Unavailable, Code: "57P01",
	Message: "the audit log is closed, and nothing is released without a record",
	Hint:    "the gateway is shutting down; connect again later",
}

func writeAll(f file, b []byte, off int64) error {
	n, err := f.WriteAt(b, off)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}
