package vouch

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Verification is what came of verifying a log last, as whoever did it on this machine has left it. Nobody has signed it: who does not trust the
// machine verifies anew.
type Verification struct {
	Time     time.Time `json:"time"`
	Size     int64     `json:"size"`           // records from the first on that were those signed; 0 where they were not
	Root     string    `json:"root,omitempty"` // of them
	Problems int       `json:"problems"`
}

// verifiedFile is beside the segments of the log.
const verifiedFile = "verified"

// KeepVerification leaves v in the log's directory. It is no promise, so it is not synced.
func KeepVerification(dir string, v Verification) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, verifiedFile+".*.tmp") // two may be verifying
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, verifiedFile))
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// LastVerification gives what KeepVerification has left, nil where that is nothing.
func LastVerification(dir string) (*Verification, error) {
	text, err := os.ReadFile(filepath.Join(dir, verifiedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	v := new(Verification)
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}
