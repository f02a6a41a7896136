package export

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
)

// File is a file that lines are appended to. It is exactly once: the position of its last line counts, whatever the
// cursor says. It may be rotated by renaming it: the next batch then goes to a new file of its name.
type File struct {
	Path string
}

type fileSink struct {
	path string
	f    *os.File
	size int64 // of what was acknowledged
	torn bool  // there may be more in the file than size
}

func newFileSink(c *File) (*fileSink, error) {
	if c.Path == "" {
		return nil, errors.New("the file has no path")
	}
	return &fileSink{path: c.Path}, nil
}

// send appends the batch and syncs it. What is written of a batch that fails is cut off again: the file never ends in
// half a line, and after a failed sync what is written again is new to the kernel too.
func (s *fileSink) send(_ context.Context, b *batch) error {
	if err := s.current(); err != nil {
		return err
	}
	if s.torn {
		if err := s.f.Truncate(s.size); err != nil {
			return err
		}
		s.torn = false
	}
	text := bytes.Join(b.lines, []byte{'\n'})
	text = append(text, '\n')
	_, err := s.f.Write(text)
	if err == nil {
		err = s.f.Sync()
	}
	if err != nil {
		s.torn = s.f.Truncate(s.size) != nil
		return err
	}
	s.size += int64(len(text))
	return nil
}

// current opens the file, or the new one where the old one was renamed.
func (s *fileSink) current() error {
	if s.f != nil {
		have, err := s.f.Stat()
		if err != nil {
			return err
		}
		at, err := os.Stat(s.path)
		if err == nil && os.SameFile(have, at) {
			return nil
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if s.torn { // whoever renamed it gets it without half a line
			if err := s.f.Truncate(s.size); err != nil {
				return err
			}
		}
		s.close()
	}
	f, err := os.OpenFile(s.path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", s.path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(s.path))
	}
	if err != nil {
		f.Close()
		return err
	}
	s.f, s.size, s.torn = f, info.Size(), false
	return nil
}

// recall reads the last line. What stands behind it was never acknowledged, and is cut off.
func (s *fileSink) recall(log string) (uint64, *link, error) {
	if err := s.current(); err != nil {
		return 0, nil, err
	}
	line, end, err := lastLine(s.f, s.size)
	if err != nil {
		return 0, nil, err
	}
	if end < s.size {
		err := s.f.Truncate(end)
		if err == nil {
			err = s.f.Sync()
		}
		if err != nil {
			return 0, nil, err
		}
		s.size = end
	}
	if len(line) == 0 {
		return 0, nil, nil
	}
	at, chain, err := readLine(line, log)
	if err != nil {
		return 0, nil, fmt.Errorf("the last line of %s is none of this exporter's: %w", s.path, err)
	}
	return at, chain, nil
}

// readLine takes the position from a line of either format; 0 when it is of another log.
func readLine(line []byte, log string) (uint64, *link, error) {
	var l struct {
		Log         string
		Pos         uint64
		TypeUID     int64 `json:"type_uid"`
		Metadata    *ocsfMetadata
		Attestation ocsfAttestation
		Unmapped    struct{ Log string }
	}
	if err := json.Unmarshal(line, &l); err != nil {
		return 0, nil, err
	}
	if l.Metadata == nil {
		if l.Pos == 0 {
			return 0, nil, errors.New("it has no position")
		}
		if l.Log != log {
			return 0, nil, nil
		}
		return l.Pos, nil, nil
	}
	pos, err := strconv.ParseUint(l.Metadata.OriginalEventUID, 10, 64)
	if err != nil || l.Attestation.Fingerprint == nil {
		return 0, nil, errors.New("it has no position or no fingerprint")
	}
	if l.Unmapped.Log != log {
		return 0, nil, nil
	}
	return pos, &link{UID: l.Metadata.UID, TypeUID: l.TypeUID, Fingerprint: l.Attestation.Fingerprint.Value}, nil
}

// lastLine gives the last whole line of a file and where it ends.
func lastLine(f io.ReaderAt, size int64) (line []byte, end int64, err error) {
	for n := int64(64 << 10); ; n *= 4 {
		n = min(n, size)
		data := make([]byte, n)
		if _, err := f.ReadAt(data, size-n); err != nil && !errors.Is(err, io.EOF) {
			return nil, 0, err
		}
		last := bytes.LastIndexByte(data, '\n')
		if last >= 0 {
			if begin := bytes.LastIndexByte(data[:last], '\n'); begin >= 0 || n == size {
				return data[begin+1 : last], size - n + int64(last) + 1, nil
			}
		}
		if n == size {
			return nil, 0, nil
		}
	}
}

func (s *fileSink) close() error {
	if s.f == nil {
		return nil
	}
	err := s.f.Close()
	s.f = nil
	return err
}
