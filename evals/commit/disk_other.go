//go:build !linux

package commit

import "os"

func datasync(f *os.File) error { return f.Sync() }

func fileSystem(string) (string, error) { return "a file system", nil }
