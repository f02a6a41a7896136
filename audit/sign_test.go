package audit

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport/audit/checkpoint"
	"sallyport/internal/access"
)

// leavesOf gives the hashes of a log's records, read with nothing but its frames.
func leavesOf(t testing.TB, dir string) []tlog.Hash {
	t.Helper()
	var out []tlog.Hash
	var r segmentReader
	if err := r.readFrom(dir, 0, nil, func(_ uint64, payload []byte) error {
		out = append(out, tlog.RecordHash(payload))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// rootOf computes the root of a tree by the definition of RFC 6962.
func rootOf(leaves []tlog.Hash) tlog.Hash {
	if len(leaves) == 1 {
		return leaves[0]
	}
	k := 1
	for k*2 < len(leaves) {
		k *= 2
	}
	return tlog.NodeHash(rootOf(leaves[:k]), rootOf(leaves[k:]))
}

func verifiers(t testing.TB, dir string) checkpoint.Keys {
	t.Helper()
	keys, err := checkpoint.LoadVerifiers(filepath.Join(dir, signingName))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestCheckpointsSignTheTreeOverAllRecords(t *testing.T) {
	dir := t.TempDir()
	for run := range 3 { // each continues where the last one stopped
		l := openLog(t, dir, Options{SegmentSize: smallSize})
		for i := range 150 {
			if _, err := l.Append(someRecord(150*run + i + 1)); err != nil {
				t.Fatal(err)
			}
			if i%20 == 0 {
				if _, err := l.Checkpoint(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		leaves := leavesOf(t, dir)
		c, _, err := readCheckpoint(dir, verifiers(t, dir))
		if err != nil {
			t.Fatal(err)
		}
		if c.Tree.N != int64(150*(run+1)) || c.Tree.Hash != rootOf(leaves) {
			t.Fatalf("run %d: size %d of %d, root %v, want %v", run, c.Tree.N, len(leaves), c.Tree.Hash, rootOf(leaves))
		}
		p, err := OpenProver(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, pos := range []uint64{1, 2, 78, 77, uint64(c.Tree.N)} {
			payload, proof, err := p.Prove(pos)
			if err != nil {
				t.Fatal(err)
			}
			if h := tlog.RecordHash(payload); h != leaves[pos-1] {
				t.Errorf("record %d has another payload", pos)
			} else if err := tlog.CheckRecord(proof, c.Tree.N, c.Tree.Hash, int64(pos)-1, h); err != nil {
				t.Errorf("record %d: %v", pos, err)
			}
		}
		for _, pos := range []uint64{0, uint64(c.Tree.N) + 1} {
			if _, _, err := p.Prove(pos); err == nil || !strings.Contains(err.Error(), "not in the checkpoint") {
				t.Errorf("record %d: %v", pos, err)
			}
		}
		p.Close()
	}
}

func TestLogsAreSignedWhileTheyGrow(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{SegmentSize: smallSize, SignEvery: 5 * time.Millisecond})
	if _, err := l.Append(someRecord(1)); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		if n, err := l.Signed(); n == 1 && err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal("not signed")
		}
	}
}

// A log that is not the one that was signed does not open, and says why; the file of the tree may be lost.
func TestLogsThatAreNotWhatWasSignedAreRefused(t *testing.T) {
	for _, c := range []struct {
		name, want string
		change     func(t *testing.T, dir string, old map[string][]byte)
	}{
		{"tree_lost", "", func(t *testing.T, dir string, _ map[string][]byte) { os.Remove(filepath.Join(dir, treeName)) }},
		{"tree_changed", "", func(t *testing.T, dir string, _ map[string][]byte) {
			if err := flip(filepath.Join(dir, treeName), 40); err != nil {
				t.Fatal(err)
			}
		}},
		{"rolled_back", "20 were signed", func(t *testing.T, dir string, old map[string][]byte) {
			for name, data := range old {
				if name != checkpointName {
					put(t, filepath.Join(dir, name), data)
				}
			}
		}},
		{"checkpoint_removed", "checkpoint is missing", func(t *testing.T, dir string, _ map[string][]byte) { os.Remove(filepath.Join(dir, checkpointName)) }},
		{"checkpoint_changed", "invalid signature", func(t *testing.T, dir string, _ map[string][]byte) {
			path := filepath.Join(dir, checkpointName)
			data, _ := os.ReadFile(path)
			put(t, path, bytes.Replace(data, []byte("\n20\n"), []byte("\n19\n"), 1))
		}},
		{"checkpoint_of_another_key", "no key of the log", func(t *testing.T, dir string, _ map[string][]byte) {
			data, _ := os.ReadFile(filepath.Join(writeLog(t, 20), checkpointName))
			put(t, filepath.Join(dir, checkpointName), data)
		}},
		{"records_of_another_log", "are not those that were signed", func(t *testing.T, dir string, _ map[string][]byte) {
			other := writeLog(t, 20)
			data, _ := os.ReadFile(filepath.Join(other, segmentName(1)))
			put(t, filepath.Join(dir, segmentName(1)), data)
			os.Remove(filepath.Join(dir, treeName))
			entries, _ := os.ReadDir(filepath.Join(other, keysName))
			for _, e := range entries {
				data, _ := os.ReadFile(filepath.Join(other, keysName, e.Name()))
				put(t, filepath.Join(dir, keysName, e.Name()), data)
			}
		}},
		{"signing_key_open_to_all", "lets others at it", func(t *testing.T, dir string, _ map[string][]byte) {
			if err := os.Chmod(filepath.Join(dir, signingName, checkpoint.PrivateFile), 0o644); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := writeLog(t, 10)
			old := map[string][]byte{}
			for _, name := range []string{segmentName(1), treeName, checkpointName} {
				old[name], _ = os.ReadFile(filepath.Join(dir, name))
			}
			l := openLog(t, dir, Options{SegmentSize: smallSize})
			for i := range 10 {
				if _, err := l.Append(someRecord(i + 11)); err != nil {
					t.Fatal(err)
				}
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			c.change(t, dir, old)
			l, err := Open(dir, Options{SegmentSize: smallSize})
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if tree, err := l.Checkpoint(); err != nil || tree.Hash != rootOf(leavesOf(t, dir)) {
					t.Errorf("%v, %v", tree, err)
				}
				l.Close()
				return
			}
			wantError(t, err, access.Unavailable, "")
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error: %v", err)
			}
		})
	}
}

// What cannot be signed goes on, says so, and is signed later.
func TestSigningIsTriedAgain(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{SegmentSize: smallSize})
	f := l.trees.all.f
	broken, err := os.Open(filepath.Join(dir, treeName)) // for reading only
	if err != nil {
		t.Fatal(err)
	}
	defer broken.Close()
	l.trees.all.f = broken
	if _, err := l.Append(someRecord(1)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Checkpoint(); err == nil {
		t.Fatal("signed what is not on disk")
	}
	if n, err := l.Signed(); n != 0 || err == nil {
		t.Errorf("size %d, error %v", n, err)
	}
	l.trees.all.f = f
	if _, err := l.Append(someRecord(2)); err != nil {
		t.Fatal(err)
	}
	if tree, err := l.Checkpoint(); err != nil || tree.N != 2 || tree.Hash != rootOf(leavesOf(t, dir)) {
		t.Errorf("%v, %v", tree, err)
	}
	if p, err := OpenProver(dir); err != nil {
		t.Error(err)
	} else if _, _, err := p.Prove(1); err != nil {
		t.Error(err)
	} else {
		p.Close()
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
