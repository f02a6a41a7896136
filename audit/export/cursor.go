package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"sallyport/audit/internal/durable"
)

// cursor is how far an exporter has come. It is on disk before the exporter acts on it.
type cursor struct {
	Log      string            `json:"log"`                // id of the log
	Position uint64            `json:"position"`           // acknowledged last; 0 is none
	Sessions map[string]uint64 `json:"sessions,omitempty"` // open sessions, with the position of their open records
	Chain    *link             `json:"chain,omitempty"`    // the event of Position, where events are chained
	Head     int64             `json:"head,omitempty"`     // size of the checkpoint that was taken last, where they are
}

func cursorPath(dir, name string) string { return filepath.Join(dir, name+".cursor") }

// loadCursor gives nil where there is none yet. One that cannot be read is an error: to begin anew would send everything
// again, or leave something out.
func loadCursor(dir, name string) (*cursor, error) {
	path := cursorPath(dir, name)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c := new(cursor)
	if err := json.Unmarshal(text, c); err != nil || c.Log == "" {
		return nil, fmt.Errorf("%s is no cursor; to begin anew, delete it: what `from` says then holds", path)
	}
	return c, nil
}

// save replaces the cursor on disk, all or nothing.
func (c *cursor) save(dir, name string) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return durable.Replace(cursorPath(dir, name), text, 0o600)
}

// writeFile puts text in the place of a file; readers see the old or the new, and a crash may leave either or none.
func writeFile(path string, text []byte) error {
	f, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(path+".tmp", path)
	}
	if err != nil {
		os.Remove(path + ".tmp")
	}
	return err
}

// syncDir makes names in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
