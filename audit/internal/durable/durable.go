// Package durable replaces and makes small files so that a crash leaves the old content or the new, never
// a mixture, and so that what was acknowledged is on disk. It trusts the file system to keep what fsync
// and a synced directory acknowledged.
package durable

import (
	"os"
	"path/filepath"
)

// Replace makes data the content of path, whether or not there was such a file.
func Replace(path string, data []byte, perm os.FileMode) error {
	return place(path, data, perm, os.Rename)
}

// Create makes data the content of a new file. It never touches one that is there: the error is then
// fs.ErrExist.
func Create(path string, data []byte, perm os.FileMode) error {
	return place(path, data, perm, os.Link)
}

// Rename gives a file another name in the same directory; when it returns nil the new name is durable.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncDir(filepath.Dir(to))
}

func place(path string, data []byte, perm os.FileMode, name func(from, to string) error) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+".*.tmp") // mode 0600: nobody else reads it before Chmod
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // after Rename there is nothing left to remove
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(perm)
	}
	if err == nil {
		err = f.Sync()
	}
	if errClose := f.Close(); err == nil {
		err = errClose
	}
	if err == nil {
		err = name(f.Name(), path)
	}
	if err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
