package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sallyport/audit/checkpoint"
	"sallyport/audit/internal/durable"
	"sallyport/internal/access"
)

// rotateName is a request to replace the signing key, in the folder of the keys: a file with the public key that is to go. One
// whose key has gone is done.
const rotateName = "rotate"

// RotateKey replaces the key that signs the checkpoints of the log in dir, and gives its keys, the new one at the end. It leaves a
// request, which whoever holds the log takes up: a gateway that runs, when it next looks (every SignEvery); otherwise
// RotateKey itself. The error is ErrPending where neither has happened until ctx ended; the request then stays.
func RotateKey(ctx context.Context, dir string) (checkpoint.Keys, error) {
	keyDir := filepath.Join(dir, signingName)
	before, err := checkpoint.LoadVerifiers(keyDir)
	if err != nil {
		return checkpoint.Keys{}, openFailed(dir, err)
	}
	if err := durable.Replace(filepath.Join(keyDir, rotateName), []byte(before.Current().Public+"\n"), 0o600); err != nil {
		return checkpoint.Keys{}, openFailed(dir, err)
	}
	for {
		held, err := lock(dir)
		if err == nil {
			err = rotateClosed(dir)
			held.Close()
			if err != nil {
				return checkpoint.Keys{}, err
			}
		} else if e := (*access.Error)(nil); !errors.As(err, &e) || e.Code != codeInUse {
			return checkpoint.Keys{}, err
		}
		keys, err := checkpoint.LoadVerifiers(keyDir)
		if err != nil {
			return checkpoint.Keys{}, openFailed(dir, err)
		}
		if keys.Current() != before.Current() {
			return keys, nil
		}
		select {
		case <-ctx.Done():
			return checkpoint.Keys{}, ErrPending
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// ErrPending says that nobody has taken up a request to replace the signing key yet.
var ErrPending = errors.New("the request to replace the signing key stands, and was not taken up yet")

// rotateClosed takes up a request for a log that is not open. The caller holds its lock.
func rotateClosed(dir string) error {
	s, err := openSigning(dir)
	if err != nil {
		return openFailed(dir, err)
	}
	c, _, err := readCheckpoint(dir, s.keys)
	if err != nil {
		return damaged(dir, err)
	}
	_, err = s.rotate(c.Tree.N)
	return err
}

// rotate replaces the key if that is asked for: the old one has signed trees up to size, the new one signs from there on.
func (s *signing) rotate(size int64) (done bool, err error) {
	keyDir := filepath.Join(s.dir, signingName)
	path := filepath.Join(keyDir, rotateName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the request to replace the signing key: %w", err)
	}
	if strings.TrimSpace(string(text)) == s.keys.Current().Public {
		if _, err := checkpoint.Rotate(keyDir, size); err != nil {
			return false, fmt.Errorf("replace the signing key: %w", err)
		}
		now, err := openSigning(s.dir)
		if err != nil {
			return false, fmt.Errorf("take the new signing key: %w", err)
		}
		s.keys, s.key, done = now.keys, now.key, true
	}
	// A crash before this leaves a request for a key that has gone, which asks for nothing.
	return done, os.Remove(path)
}
