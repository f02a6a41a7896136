package witness

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sys/unix"

	"sallyport/audit/checkpoint"
	"sallyport/audit/internal/durable"
)

// state is a directory with a file for each log: the last checkpoint that was cosigned for it, as the log
// signed it. Callers see to it that one log is not read and written at once.
type state struct {
	dir  string
	lock *os.File
}

// openState takes the directory for this process alone: two witnesses with one key and one directory could
// cosign two trees.
func openState(dir string) (*state, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the witness's directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the witness's directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("the witness's directory %s is in use by another process, or cannot be locked: %w", dir, err)
	}
	return &state{dir, f}, nil
}

func (s *state) close() error { return s.lock.Close() }

// path names a log's file after a digest of its origin, which may hold anything.
func (s *state) path(origin, ext string) string {
	sum := sha256.Sum256([]byte(origin))
	return filepath.Join(s.dir, fmt.Sprintf("%x%s", sum[:16], ext))
}

// load gives the tree that was last cosigned, or ok = false if there is none. A file that cannot be read is
// an error, never a log that was not seen before.
func (s *state) load(origin string) (t tlog.Tree, ok bool, err error) {
	b, err := os.ReadFile(s.path(origin, ".checkpoint"))
	if errors.Is(err, fs.ErrNotExist) {
		return tlog.Tree{}, false, nil
	}
	if err != nil {
		return tlog.Tree{}, false, err
	}
	text, _, found := strings.Cut(string(b), "\n\n")
	c, err := checkpoint.Parse(text + "\n")
	if !found || err != nil || c.Origin != origin {
		return tlog.Tree{}, false, fmt.Errorf("the state of %q in %s is damaged", origin, s.path(origin, ".checkpoint"))
	}
	return c.Tree, true, nil
}

// save keeps the last cosigned checkpoint; it is on disk when it returns nil.
func (s *state) save(origin string, msg []byte) error {
	return durable.Replace(s.path(origin, ".checkpoint"), msg, 0o600)
}

// keepFork keeps the first checkpoint that contradicts the one cosigned.
func (s *state) keepFork(origin string, msg []byte) error {
	err := durable.Create(s.path(origin, ".fork"), msg, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}
