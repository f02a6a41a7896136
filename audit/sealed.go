package audit

import (
	"fmt"
	"path/filepath"
)

// Segment is a file of the log that is finished: nothing is ever written to it again.
type Segment struct {
	Name        string // in the log's folder
	First, Last uint64 // positions of its records
}

// Sealed lists the finished segments of the log in dir, in order: all but the one that is being written.
func Sealed(dir string) ([]Segment, error) {
	firsts, err := segments(dir)
	if err != nil {
		return nil, openFailed(dir, err)
	}
	var out []Segment
	for i := 0; i+1 < len(firsts); i++ {
		h, err := readHeader(filepath.Join(dir, segmentName(firsts[i+1])))
		if err != nil {
			return nil, err
		}
		if h.After != firsts[i] {
			return nil, damaged(dir, fmt.Errorf("%s was written after %s, which is missing", segmentName(firsts[i+1]), segmentName(h.After)))
		}
		out = append(out, Segment{Name: segmentName(firsts[i]), First: firsts[i], Last: firsts[i+1] - 1})
	}
	return out, nil
}
