package audit

import (
	"os"
	"path/filepath"
)

// file is an open segment. WriteAt must write all or give an error; Sync must not return nil before
// what was written is on disk. Used by one goroutine at a time.
type file interface {
	WriteAt(b []byte, off int64) (int, error)
	Sync() error
	Close() error
}

// disk is where segments live. The real one is osDisk; tests have one that fails and kills.
type disk interface {
	// Create makes a new file; it never touches one that is there.
	Create(path string) (file, error)
	// Open opens an existing file for writing.
	Open(path string) (file, error)
	// Rename moves a file within its directory; when it returns nil the new name is durable.
	Rename(from, to string) error
}

type osDisk struct{}

type osFile struct{ *os.File }

func (f osFile) Sync() error { return datasync(f.File) }

func (osDisk) Create(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (osDisk) Open(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (osDisk) Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

const (
	defaultSize = 64 << 20
	firstSize   = 4 << 20 // of a new log; every segment has twice the room of the one before, up to Options
	fillChunk   = 1 << 20
	fillSync    = 4 << 20 // so that filling never leaves more than this for the disk to catch up with
)

var zeros [fillChunk]byte

// fill makes a file of size zeros that is on disk, blocks and all.
func fill(d disk, path string, size int64) (file, error) {
	f, err := d.Create(path)
	if err != nil {
		return nil, err
	}
	for off := int64(0); off < size; {
		n := min(size-off, fillChunk)
		if err = writeAll(f, zeros[:n], off); err != nil {
			break
		}
		off += n
		if off%fillSync == 0 || off == size {
			if err = f.Sync(); err != nil {
				break
			}
		}
	}
	if err != nil {
		f.Close()
		os.Remove(path)
		return nil, err
	}
	return f, nil
}
