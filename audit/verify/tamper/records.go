package tamper

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// span is how records from one number to another are spoken of.
func span(from, to int64) string {
	if from == to {
		return fmt.Sprintf("record %d is", from)
	}
	return fmt.Sprintf("records %d to %d are", from, to)
}

// Log gives the manipulations of a log's directory.
func (w *World) Log() ([]Manipulation, error) {
	segments, err := readSegments(w.Dir)
	if err != nil {
		return nil, err
	}
	others, err := readSegments(w.Other)
	if err != nil {
		return nil, err
	}
	var out []Manipulation
	for i, s := range segments {
		last := i == len(segments)-1
		foreign := others[min(i, len(others)-1)]
		for j := 0; j < len(s.frames); j += 1 + len(s.frames)/6 {
			out = append(out, ofRecord(s, j, last, foreign)...)
			out = append(out, ofFrame(s, j)...)
		}
		out = append(out, ofSegment(segments, i, w.Other, foreign)...)
		out = append(out, ofHeader(segments, i)...)
	}
	files, err := w.files(segments)
	return append(out, files...), err
}

// ofRecord changes record j of a segment, or its place.
func ofRecord(s segment, j int, last bool, foreign segment) []Manipulation {
	n := s.first + int64(j)
	end := j == len(s.frames)-1
	var out []Manipulation
	add := func(kind, named string, change func(frames [][]byte) [][]byte) {
		out = append(out, Manipulation{Kind: kind, Of: "record", Where: fmt.Sprint(n), Named: []string{named}, Do: func(dir string) error {
			return putSealed(dir, s, change(slices.Clone(s.frames)))
		}})
	}
	replace := func(f func(frame []byte) []byte) func([][]byte) [][]byte {
		return func(frames [][]byte) [][]byte {
			frames[j] = f(bytes.Clone(frames[j]))
			return frames
		}
	}
	changed := fmt.Sprintf("record %d was changed", n)
	add("edit", changed, replace(func(f []byte) []byte { f[len(f)-3] ^= 1; return f }))
	if bytes.Contains(s.frames[j], []byte(`"seq":`)) {
		add("renumber", changed, replace(func(f []byte) []byte {
			return bytes.Replace(f, []byte(`"seq":`), []byte(`"seq":1`), 1)
		}))
	}
	add("shorten", changed, replace(func(f []byte) []byte { return f[:len(f)-5] }))
	add("cross-node swap", changed, func(frames [][]byte) [][]byte {
		frames[j] = foreign.frames[min(j, len(foreign.frames)-1)]
		return frames
	})
	add("insert", fmt.Sprintf("stands before record %d", n), func(frames [][]byte) [][]byte {
		return slices.Insert(frames, j, foreign.frames[0])
	})
	missing := span(n, n) + " missing"
	add("drop", missing, func(frames [][]byte) [][]byte { return slices.Delete(frames, j, j+1) })
	twice := fmt.Sprintf("record %d is there twice", n)
	if end && last {
		twice = fmt.Sprintf("record %d says that it is record %d", n+1, n)
	}
	add("duplicate", twice, func(frames [][]byte) [][]byte { return slices.Insert(frames, j, frames[j]) })
	if !end {
		add("swap", fmt.Sprintf("records %d and %d stand in each other's place", n, n+1), func(frames [][]byte) [][]byte {
			frames[j], frames[j+1] = frames[j+1], frames[j]
			return frames
		})
	}
	if j+3 < len(s.frames) {
		add("reorder", fmt.Sprintf("records from %d on are not in order", n), func(frames [][]byte) [][]byte {
			f := frames[j]
			return slices.Insert(slices.Delete(frames, j, j+1), j+3, f)
		})
	}
	add("truncate", span(n, s.first+int64(len(s.frames))-1)+" missing", func(frames [][]byte) [][]byte { return frames[:j] })
	return out
}

// ofFrame changes what is around record j of a segment.
func ofFrame(s segment, j int) []Manipulation {
	n := s.first + int64(j)
	unread := fmt.Sprintf("record %d cannot be read: the frame at byte", n)
	var out []Manipulation
	add := func(kind string, named []string, change func(f []byte) []byte) {
		out = append(out, Manipulation{Kind: kind, Of: "frame", Where: fmt.Sprintf("of record %d", n), Named: named, Do: func(dir string) error {
			frames := slices.Clone(s.frames)
			frames[j] = change(bytes.Clone(frames[j]))
			return put(dir, s.name, s.header, frames...)
		}})
	}
	add("edit", []string{unread, s.name, "checksum"}, func(f []byte) []byte { f[frameHead+20] ^= 1; return f })
	add("edit checksum", []string{unread, s.name, "checksum"}, func(f []byte) []byte { f[9] ^= 1; return f })
	add("edit length", []string{unread, s.name}, func(f []byte) []byte { f[0] ^= 4; return f })
	add("edit length beyond the file", []string{unread, s.name, "length"}, func(f []byte) []byte { f[3] = 0x7f; return f })
	add("truncate", []string{unread, s.name}, func(f []byte) []byte { return f[:len(f)/2] })
	add("edit batch", []string{fmt.Sprintf("the frame of record %d, in %s", n, s.name), "batch"}, func(f []byte) []byte {
		binary.LittleEndian.PutUint32(f[4:], binary.LittleEndian.Uint32(f[4:])+4)
		return sum(f)
	})
	return out
}

// ofSegment changes which segments there are.
func ofSegment(all []segment, i int, other string, foreign segment) []Manipulation {
	s := all[i]
	where := s.name
	last := i == len(all)-1
	gone := span(s.first, s.first+int64(len(s.frames))-1) + " missing"
	out := []Manipulation{
		{Kind: "drop", Of: "segment", Where: where, Named: []string{gone}, Do: func(dir string) error { return os.Remove(filepath.Join(dir, s.name)) }},
		{Kind: "cross-node swap", Of: "segment", Where: where, Named: []string{s.name, "are of different logs"}, Do: func(dir string) error {
			return copyFile(filepath.Join(other, foreign.name), filepath.Join(dir, s.name))
		}},
		{Kind: "duplicate", Of: "segment", Where: where, Named: []string{"00000000000000099999.seg", fmt.Sprintf("begins with record %d", s.first)}, Do: func(dir string) error {
			return copyFile(filepath.Join(dir, s.name), filepath.Join(dir, "00000000000000099999.seg"))
		}},
		{Kind: "rename", Of: "segment", Where: where, Named: []string{fmt.Sprintf("%020d.seg", s.first+1), fmt.Sprintf("begins with record %d", s.first)}, Do: func(dir string) error {
			return os.Rename(filepath.Join(dir, s.name), filepath.Join(dir, fmt.Sprintf("%020d.seg", s.first+1)))
		}},
	}
	if !last {
		next := all[i+1]
		out = append(out, Manipulation{Kind: "swap", Of: "segments", Where: where + " and " + next.name, Named: []string{s.name, fmt.Sprintf("begins with record %d", next.first)}, Do: func(dir string) error {
			if err := put(dir, s.name, next.header, next.frames...); err != nil {
				return err
			}
			return put(dir, next.name, s.header, s.frames...)
		}})
	}
	return out
}

// ofHeader changes the header of a segment, its checksum made good or not.
func ofHeader(all []segment, i int) []Manipulation {
	s := all[i]
	var out []Manipulation
	add := func(kind string, named []string, change func(h []byte) []byte) {
		out = append(out, Manipulation{Kind: kind, Of: "header", Where: "of " + s.name, Named: append(named, s.name), Do: func(dir string) error {
			return put(dir, s.name, change(bytes.Clone(s.header)), s.frames...)
		}})
	}
	for _, at := range []int{0, 9, 20, 44, 60, 90, 101} {
		add(fmt.Sprintf("edit byte %d", at), nil, func(h []byte) []byte { h[at] ^= 4; return h })
	}
	flip := func(at int) func(h []byte) []byte {
		return func(h []byte) []byte { h[at] ^= 4; return sealedHeader(h) }
	}
	add("edit version", []string{"format version"}, flip(8))
	add("edit first record", []string{"begins with record"}, flip(16))
	add("edit log", []string{"are of different logs"}, flip(40))
	add("edit root", []string{"names another root"}, flip(56))
	before := "was not written after"
	if i == 0 {
		before = "was not the first segment"
	}
	add("edit segment before", []string{before}, flip(88))
	add("add open session", []string{`says that session "ghost" was open`}, func(h []byte) []byte {
		return withOpen(h, func(list []any) []any {
			return append(list, map[string]any{"session": "ghost", "seq": 1, "opened": true})
		})
	})
	if open := strings.Count(string(s.header[headerFixed:]), `"session"`); open > 0 {
		add("drop open session", []string{"does not say that session"}, func(h []byte) []byte {
			return withOpen(h, func(list []any) []any { return list[1:] })
		})
		add("edit open session", []string{"what its records do not"}, func(h []byte) []byte {
			return withOpen(h, func(list []any) []any {
				list[0].(map[string]any)["seq"] = 1000
				return list
			})
		})
	}
	return out
}

// withOpen changes the list of open sessions in a header.
func withOpen(h []byte, change func([]any) []any) []byte {
	var list []any
	if err := json.Unmarshal(h[headerFixed:], &list); err != nil {
		return h
	}
	text, err := json.Marshal(change(list))
	if err != nil {
		return h
	}
	return sealedHeader(append(h[:headerFixed:headerFixed], text...))
}
