package audit

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"sallyport/audit/checkpoint"
	"sallyport/audit/internal/durable"
)

const (
	signingName    = "signing"    // folder with the keys that checkpoints are signed with
	checkpointName = "checkpoint" // the newest signed checkpoint
)

// What Options may change.
const (
	signEvery = 10 * time.Second
	beatEvery = 5 * time.Minute
)

// signing makes the checkpoints of a log that is written.
type signing struct {
	dir  string // of the log
	keys checkpoint.Keys
	key  note.Signer

	mu     sync.Mutex // held while a checkpoint is made
	signed heads      // in the newest checkpoint
	err    error      // why the last one could not be made; nil when it was
	stop   chan struct{}
	ended  chan struct{}
}

// newSigning makes the keys of a new log, or takes those that a crash left before there was a log.
func newSigning(dir string) (*signing, error) {
	keyDir := filepath.Join(dir, signingName)
	if err := os.MkdirAll(keyDir, 0o700); err != nil {
		return nil, err
	}
	s, err := openSigning(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	var id [8]byte
	rand.Read(id[:])
	name := "sallyport/" + hex.EncodeToString(id[:])
	if private, err := checkpoint.ReadPrivate(filepath.Join(keyDir, checkpoint.PrivateFile)); err == nil {
		if key, err := note.NewSigner(private); err == nil {
			name = key.Name()
		}
	}
	if _, err := checkpoint.CreateKey(keyDir, name); err != nil {
		return nil, err
	}
	return openSigning(dir)
}

func openSigning(dir string) (*signing, error) {
	s := &signing{dir: dir}
	var err error
	if s.keys, err = checkpoint.LoadVerifiers(filepath.Join(dir, signingName)); err != nil {
		return nil, err
	}
	s.key, err = checkpoint.LoadSigner(filepath.Join(dir, signingName))
	return s, err
}

var errNoCheckpoint = errors.New("its checkpoint is missing")

// readCheckpoint gives the newest checkpoint of the log in dir, verified, and as it is on disk.
func readCheckpoint(dir string, keys checkpoint.Keys) (checkpoint.Checkpoint, []byte, error) {
	msg, err := os.ReadFile(filepath.Join(dir, checkpointName))
	if errors.Is(err, fs.ErrNotExist) {
		err = errNoCheckpoint
	}
	if err != nil {
		return checkpoint.Checkpoint{}, nil, err
	}
	c, err := keys.Open(msg)
	return c, msg, err
}

// sign stores a checkpoint of the trees.
func (s *signing) sign(now heads) error {
	msg, err := checkpoint.Sign(checkpoint.Checkpoint{Origin: s.keys.Origin, Tree: now.all, Extensions: []string{closedLine(now.closed)}}, s.key)
	if err == nil {
		err = durable.Replace(filepath.Join(s.dir, checkpointName), msg, 0o644)
	}
	if err == nil {
		s.signed = now
	}
	return err
}

// Checkpoint signs the trees over all records that are durable, unless the newest checkpoint has them already, and
// gives size and root of the one over all records. The signed text is in the file "checkpoint" of the log's
// directory.
func (l *Log) Checkpoint() (tlog.Tree, error) {
	s := l.signing
	s.mu.Lock()
	defer s.mu.Unlock()
	now, err := l.trees.flush()
	if err == nil && now != s.signed {
		err = s.sign(now)
	}
	if err == nil {
		var done bool
		if done, err = s.rotate(s.signed.all.N); done {
			l.log.Info("the signing key of the audit log was replaced: tell its witnesses the new one", "dir", l.dir, "key", s.keys.Current().Public, "from", s.signed.all.N)
		}
	}
	if err != nil {
		err = fmt.Errorf("sign the audit log %s: %w", l.dir, err)
		if s.err == nil {
			l.log.Error("the audit log cannot be signed; it goes on, and this is tried again", "dir", l.dir, "signed", s.signed.all.N, "error", err)
		}
	}
	s.err = err
	return s.signed.all, err
}

// tend signs the log and records its open sessions, every so often, until it is closed.
func (l *Log) tend(opt Options) {
	defer close(l.signing.ended)
	sign, beat := time.NewTicker(cmp.Or(opt.SignEvery, signEvery)), time.NewTicker(cmp.Or(opt.BeatEvery, beatEvery))
	defer sign.Stop()
	defer beat.Stop()
	for {
		select {
		case <-sign.C:
			_, _ = l.Checkpoint() // logged, kept for Signed, and tried again
		case <-beat.C:
			_ = l.heartbeat() // fails when the log has failed, which everybody hears
		case <-l.signing.stop:
			return
		}
	}
}

// Signed gives the size of the newest checkpoint, and why there is no newer one if making it failed.
func (l *Log) Signed() (size int64, err error) {
	l.signing.mu.Lock()
	defer l.signing.mu.Unlock()
	return l.signing.signed.all.N, l.signing.err
}

// SigningDir is the folder, in that of a log, with the keys that its checkpoints are signed with.
func SigningDir(dir string) string { return filepath.Join(dir, signingName) }
