package tamper

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
)

const (
	headerFixed = 104 // bytes of a header before its JSON
	frameHead   = 12  // length, back, checksum
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// segment is a file of a log, cut into frames.
type segment struct {
	name   string
	first  int64 // number of its first record
	header []byte
	frames [][]byte
}

func readSegments(dir string) ([]segment, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	if err != nil {
		return nil, err
	}
	slices.Sort(paths)
	var out []segment
	next := int64(1)
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		at := headerFixed + int(binary.LittleEndian.Uint32(data[12:]))
		s := segment{name: filepath.Base(path), first: next, header: data[:at]}
		for at+frameHead <= len(data) {
			n := int(binary.LittleEndian.Uint32(data[at:]))
			if n == 0 {
				break
			}
			s.frames = append(s.frames, data[at:at+frameHead+n])
			at += frameHead + n
		}
		next += int64(len(s.frames))
		out = append(out, s)
	}
	if len(out) < 3 {
		return nil, errors.New("the log has too few segments to be changed in every way")
	}
	return out, nil
}

// sealed is a frame with its length and checksum made good, in a batch of its own.
func sealed(frame []byte) []byte {
	f := bytes.Clone(frame)
	binary.LittleEndian.PutUint32(f, uint32(len(f)-frameHead))
	binary.LittleEndian.PutUint32(f[4:], 0)
	return sum(f)
}

// sum makes the checksum of a frame good, in place.
func sum(f []byte) []byte {
	binary.LittleEndian.PutUint32(f[8:], crc32.Update(crc32.Checksum(f[:8], castagnoli), castagnoli, f[frameHead:]))
	return f
}

// sealedHeader makes the length and the checksum of a header good, in place.
func sealedHeader(h []byte) []byte {
	binary.LittleEndian.PutUint32(h[12:], uint32(len(h)-headerFixed))
	crc := crc32.Update(crc32.Checksum(h[:headerFixed-4], castagnoli), castagnoli, h[headerFixed:])
	binary.LittleEndian.PutUint32(h[headerFixed-4:], crc)
	return h
}

// put writes a segment as it is.
func put(dir, name string, header []byte, frames ...[]byte) error {
	return os.WriteFile(filepath.Join(dir, name), append(bytes.Clone(header), bytes.Join(frames, nil)...), 0o600)
}

// putSealed writes a segment whose frames are good.
func putSealed(dir string, s segment, frames [][]byte) error {
	var good [][]byte
	for _, f := range frames {
		good = append(good, sealed(f))
	}
	return put(dir, s.name, s.header, good...)
}
