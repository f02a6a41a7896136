package export

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport/audit"
	"sallyport/audit/checkpoint"
)

// An exporter that is stopped comes back when what stopped it was mended: by itself, or at once where it is told to look.
// Until then it stops again in the same place, and the operator is not told each time.
func TestStoppedExportersComeBack(t *testing.T) {
	for _, told := range []bool{false, true} {
		name := map[bool]string{false: "by_itself", true: "when_told"}[told]
		t.Run(name, func(t *testing.T) {
			if !told {
				before := stopPause
				stopPause = 5 * time.Millisecond
				defer func() { stopPause = before }()
			}
			l := newLog(t)
			l.story()
			dir := t.TempDir()
			path := filepath.Join(dir, "f")
			if err := os.WriteFile(path, []byte("somebody's notes\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			r := start(t, l, dir, fileConfig(path))
			st := r.waitState(Stopped)
			if !strings.Contains(st.Error, "none of this exporter's") {
				t.Errorf("%+v", st)
			}
			time.Sleep(100 * time.Millisecond)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if told {
				if st := r.waitState(Stopped); st.Position != 0 {
					t.Errorf("%+v", st)
				}
				r.Look()
			}
			r.waitPosition(10)
			r.waitState(Running)
			r.finish()
			inOrder(t, positions(t, read(t, path)), 1, 10)
			if n := strings.Count(r.notes.String(), "export does not get on"); n != 1 {
				t.Errorf("the operator was told %d times\n%s", n, r.notes)
			}
		})
	}
}

// The bucket has, beside the segments, the keys, a checkpoint, and the tree under it, in the layout of C2SP tlog-tiles: that is
// enough to prove what is in the log without the log.
func TestTheTreeIsInTheBucket(t *testing.T) {
	url := startStore(t)
	l := sealedLog(t)
	if _, err := l.log.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	r := start(t, l, dir, bucketConfig(url))
	waitSealed(t, l, r)
	r.finish()
	up := r.exporters[0].(*uploader)
	b, err := newBucket(&Bucket{URL: url, AccessKey: storeKey, SecretKey: storeSecret})
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	get := func(name string) []byte {
		t.Helper()
		resp, data, err := b.do(t.Context(), http.MethodGet, "node-1/"+up.cursor.Log+"/"+name, http.Header{}, nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %v, %v", name, resp, err)
		}
		return data
	}
	p, err := audit.OpenProver(l.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	local, _ := p.Checkpoint()
	if local.Tree.N < 1000 || up.cursor.Head != local.Tree.N {
		t.Fatalf("%d signed, %d taken", local.Tree.N, up.cursor.Head)
	}
	keys, err := checkpoint.First(strings.TrimSpace(string(get("signing/checkpoint.pub"))))
	if err != nil {
		t.Fatal(err)
	}
	name := headName(local.Tree.N)
	c, err := keys.Open(get(name))
	if err != nil || c.Tree != local.Tree {
		t.Fatalf("%+v, %v", c, err)
	}
	tiles := tlog.TileHashReader(c.Tree, bucketTiles{get})
	for _, i := range []int64{0, 255, 256, 999} {
		proof, err := tlog.ProveRecord(c.Tree.N, i, tiles)
		if err != nil {
			t.Fatal(err)
		}
		payload, _, err := p.Prove(uint64(i) + 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.CheckRecord(proof, c.Tree.N, c.Tree.Hash, i, tlog.RecordHash(payload)); err != nil {
			t.Errorf("record %d: %v", i+1, err)
		}
	}
	for _, object := range []string{name, "tile/0/000", "signing/checkpoint.pub"} {
		req, err := http.NewRequest(http.MethodGet, url+"/node-1/"+up.cursor.Log+"/"+object+"?retention", nil)
		if err != nil {
			t.Fatal(err)
		}
		if code, text := b.signed(t, req); code != http.StatusOK || !strings.Contains(text, "<Mode>COMPLIANCE</Mode>") {
			t.Errorf("the lock of %s: %d %s", object, code, text)
		}
	}

	// It goes on from there: another checkpoint, the tiles that have grown, a replaced key.
	if err := l.log.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := audit.RotateKey(t.Context(), l.dir); err != nil {
		t.Fatal(err)
	}
	if l.log, err = audit.Open(l.dir, audit.Options{SegmentSize: 64 << 10}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.log.Close() })
	l.fill(300)
	if _, err := l.log.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	r = start(t, l, dir, bucketConfig(url))
	r.finish()
	var cur cursor
	if err := json.Unmarshal(read(t, cursorPath(dir, "vault")), &cur); err != nil || cur.Head != local.Tree.N+300 {
		t.Fatalf("%+v, %v", cur, err)
	}
	if _, err := keys.Open(get(headName(cur.Head))); err == nil {
		t.Error("the first key has signed what came after it")
	}
	if keys, err = keys.Follow(get("signing/checkpoint.keys.1")); err != nil {
		t.Fatal(err)
	}
	c, err = keys.Open(get(headName(cur.Head)))
	if err != nil {
		t.Fatal(err)
	}
	if root, err := tlog.TreeHash(c.Tree.N, tlog.TileHashReader(c.Tree, bucketTiles{get})); err != nil || root != c.Tree.Hash {
		t.Errorf("%v, %v", root, err)
	}
}

// bucketTiles reads tiles as anybody does who knows the layout.
type bucketTiles struct{ get func(string) []byte }

func (b bucketTiles) Height() int                     { return 8 }
func (b bucketTiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (b bucketTiles) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, t := range tiles {
		out = append(out, b.get("tile/"+strings.TrimPrefix(t.Path(), "tile/8/")))
	}
	return out, nil
}
