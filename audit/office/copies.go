package office

import (
	"archive/zip"
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"sallyport/audit"
	"sallyport/audit/replay"
	"sallyport/internal/access"
)

// Sweep destroys the bundles of evidence and the replays in the data directory that show what has been erased since they
// were made, and gives their paths. Both can be made anew from the log. Files elsewhere are out of reach.
func (o *Office) Sweep() ([]string, error) {
	data := filepath.Dir(o.dir)
	var gone []string
	err := filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // gone since its folder was read
			return nil
		case err != nil:
			return err
		case path == o.dir:
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		shown, err := positionsIn(path)
		if err != nil || len(shown) == 0 {
			return err
		}
		stale, err := o.erasedAny(shown)
		if err != nil || !stale {
			return err
		}
		gone = append(gone, path)
		return destroyFile(path)
	})
	return gone, err
}

// positionsIn gives the positions of the records, not erased when it was made, that a bundle or a replay shows, as runs of
// first and last. Other files show none.
func positionsIn(path string) ([][2]uint64, error) {
	switch filepath.Ext(path) {
	case ".zip":
		z, err := zip.OpenReader(path)
		if err != nil {
			return nil, nil // no zip, whatever it is called
		}
		defer z.Close()
		f, err := z.Open("trace.json")
		if err != nil {
			return nil, nil
		}
		defer f.Close()
		var doc struct {
			Records []struct {
				Position uint64
				Erased   bool
			}
		}
		if err := json.NewDecoder(f).Decode(&doc); err != nil {
			return nil, nil
		}
		var out [][2]uint64
		for _, r := range doc.Records {
			if !r.Erased {
				out = append(out, [2]uint64{r.Position, r.Position})
			}
		}
		return out, nil
	case replay.Extension:
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		line, err := bufio.NewReader(io.LimitReader(f, 1<<16)).ReadBytes('\n')
		var h replay.Header
		if err != nil || json.Unmarshal(line, &h) != nil || h.Source.First == 0 {
			return nil, nil
		}
		return [][2]uint64{{h.Source.First, h.Source.Last}}, nil // and others between, which costs a replay that can be made anew
	}
	return nil, nil
}

// erasedAny is whether one of the records was erased.
func (o *Office) erasedAny(shown [][2]uint64) (bool, error) {
	first, last := shown[0][0], uint64(0)
	wanted := map[uint64]bool{}
	for _, r := range shown {
		first, last = min(first, r[0]), max(last, r[1])
		if r[0] == r[1] {
			wanted[r[0]] = true
		}
	}
	whole := len(shown) == 1
	done := errors.New("done")
	found := false
	err := audit.ReadFrom(o.dir, first, func(rec *access.Record) error {
		if rec.Position > last {
			return done
		}
		if found = rec.Erased && (whole || wanted[rec.Position]); found {
			return done
		}
		return nil
	})
	if errors.Is(err, done) {
		err = nil
	}
	return found, err
}

// destroyFile puts zeros over a file and removes it.
func destroyFile(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) { // another order was faster
		return nil
	}
	if err != nil {
		return fmt.Errorf("destroy a copy of what was erased: %w", err)
	}
	info, err := f.Stat()
	zeros := make([]byte, 1<<16)
	for off := int64(0); err == nil && off < info.Size(); off += int64(len(zeros)) {
		_, err = f.WriteAt(zeros[:min(int64(len(zeros)), info.Size()-off)], off)
	}
	err = errors.Join(err, f.Sync(), f.Close())
	if gone := os.Remove(path); !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	if err != nil {
		return fmt.Errorf("destroy a copy of what was erased: %w", err)
	}
	return nil
}
