package index

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"sallyport/audit"
	"sallyport/internal/access"
)

// A child of the test indexes a log in small batches until it is killed.
func TestMain(m *testing.M) {
	if data := os.Getenv("INDEX_UNTIL_KILLED"); data != "" {
		x := New(filepath.Join(data, "log"), filepath.Join(data, "index"), nil)
		for {
			f, err := x.follow(context.Background(), new(Report))
			for err == nil {
				if _, err = f.read(1 << 10); err == nil {
					err = f.commit(context.Background())
				}
			}
			if !errors.Is(err, errMoved) {
				println(err.Error())
				os.Exit(1)
			}
		}
	}
	os.Exit(m.Run())
}

func TestAnIndexerThatIsKilledLosesNothing(t *testing.T) {
	l := newLog(t)
	const records = 5000
	l.fill(records)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	through, middle := uint64(0), 0
	for kills := 0; kills < 12 && through < records; kills++ {
		var out bytes.Buffer
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), "INDEX_UNTIL_KILLED="+l.data)
		cmd.Stderr = &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			if page, err := l.index.Search(context.Background(), Query{}); err == nil && page.Through > through {
				break // it is at work
			}
		}
		time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
		cmd.Process.Kill()
		if cmd.Wait(); out.Len() > 0 {
			t.Fatalf("it says %s", &out)
		}
		page, err := l.index.Search(context.Background(), Query{})
		if errors.Is(err, ErrNone) { // it had hardly begun
			continue
		}
		if err != nil || page.Through < through {
			t.Fatalf("it was up to %d and is up to %d: %v", through, page.Through, err)
		}
		if through = page.Through; through > 0 && through < records {
			middle++
		}
	}
	if middle == 0 {
		t.Error("none was killed in the middle: this test proves nothing")
	}
	if r := l.update(); r.Anew != "" && through > 0 || r.Through != records {
		t.Errorf("going on: %+v", r)
	}
	l.agrees(40)
}

// wantAnew updates the index and wants it to be made anew for a reason, and right.
func (l *testLog) wantAnew(why string) {
	l.t.Helper()
	if r := l.update(); !strings.Contains(r.Anew, why) || why == "" && r.Anew != "" {
		l.t.Errorf("made anew because %q, want %q", r.Anew, why)
	}
	l.agrees(10)
}

func (l *testLog) refuses(why string) {
	l.t.Helper()
	if _, err := l.index.Search(context.Background(), Query{}); !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), why) {
		l.t.Errorf("a search says %v, want %q", err, why)
	}
}

func TestAnIndexThatDoesNotFitIsMadeAnew(t *testing.T) {
	l := newLog(t)
	l.fill(200)
	l.wantAnew(neverMade)
	l.fill(10)
	l.close()
	older := filepath.Join(t.TempDir(), "older")
	if err := os.CopyFS(older, os.DirFS(l.dir)); err != nil {
		t.Fatal(err)
	}
	l.open()
	l.fill(100)
	l.wantAnew("")

	back := func() {
		t.Helper()
		l.close()
		if err := errors.Join(os.RemoveAll(l.dir), os.CopyFS(l.dir, os.DirFS(older)), os.Chmod(filepath.Join(l.dir, "signing", "checkpoint.key"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	back() // shorter than the index
	l.refuses("record 310 is not in the log as it was")
	l.wantAnew("record 310 is not in the log as it was")

	l.open()
	l.fill(100)
	l.wantAnew("")
	back()
	l.open()
	l.fill(150) // longer than the index, and another from record 211 on
	l.refuses("record 310 is not in the log as it was")
	l.wantAnew("record 310 is not in the log as it was")

	if err := os.Remove(l.index.path(keyName)); err != nil {
		t.Fatal(err)
	}
	l.refuses("no key")
	l.wantAnew("its key is missing")
	if _, err := makeKey(l.index.dir); err != nil {
		t.Fatal(err)
	}
	l.refuses("another key")
	l.wantAnew("another key")

	l.close()
	if err := os.RemoveAll(l.dir); err != nil {
		t.Fatal(err)
	}
	l.open()
	l.fill(400)
	l.refuses("another log")
	l.wantAnew("another log")

	if err := os.Chmod(l.index.path(keyName), 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := l.index.Update(context.Background(), nil); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others may read: %v", err)
	}
}

// Bytes of the file are changed at random, and its end is cut off: a search finds what is there, or the index is made
// anew, or Check says that entries are missing.
func TestDamageIsFound(t *testing.T) {
	l := newLog(t)
	l.fill(700)
	l.update()
	l.close() // nothing is written from here on
	sound, err := os.ReadFile(l.index.path(fileName))
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(l.index.path(keyName))
	if err != nil {
		t.Fatal(err)
	}
	all := l.all()
	ctx := context.Background()
	caught, missed := 0, 0
	for i := range 120 {
		bad := bytes.Clone(sound)
		switch i % 3 {
		case 0:
			bad[l.rng.IntN(len(bad))] ^= byte(1 << l.rng.IntN(8))
		case 1: // a page, a hole
			at := l.rng.IntN(len(bad) / 4096)
			clear(bad[4096*at:][:4096])
		case 2:
			bad = bad[:l.rng.IntN(len(bad))]
		}
		if err := errors.Join(os.WriteFile(l.index.path(fileName), bad, 0o600), os.WriteFile(l.index.path(keyName), key, 0o600)); err != nil {
			t.Fatal(err)
		}
		checked := l.index.Check(ctx)
		q := anyQuery(l.rng, len(all))
		q.Limit = most
		page, _, err := l.index.Find(ctx, q, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []uint64
		for _, rec := range page.Records {
			got = append(got, rec.Position)
		}
		want := naive(all, q)
		if !slices.Equal(got, want) {
			missed++
			if checked == nil {
				t.Fatalf("%d: %+v finds %v, want %v, and the check finds nothing", i, q, head(got), head(want))
			}
		}
		if checked != nil {
			caught++
		}
	}
	if caught < 30 {
		t.Errorf("of 120 damaged files %d were found to be so", caught)
	}
	t.Logf("%d damaged files found by a check, in %d a search would have left out something", caught, missed)
}

func TestABatchThatIsOvertakenIsDropped(t *testing.T) {
	l := newLog(t)
	l.fill(50)
	ctx := context.Background()
	f, err := l.index.follow(ctx, new(Report))
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	if _, err := f.read(1 << 20); err != nil {
		t.Fatal(err)
	}
	if r, err := New(l.dir, l.index.dir, nil).Update(ctx, nil); err != nil || r.Added != 50 {
		t.Fatalf("%+v, %v", r, err)
	}
	if err := f.commit(ctx); err != errMoved {
		t.Errorf("committed beside another: %v", err)
	}
	l.agrees(20)
}

// canaries are words of nobody else, with the records that have them.
func canaries(l *testLog) {
	l.add(&access.Record{Session: "s_secret", Principal: "ada", SQL: "SELECT 'zanzibar' FROM orders", Params: []string{"jane@canary.example"},
		Reason: "quokka", Plan: []byte(`{"effect":"allow","fingerprint":"f77","relations":["public.orders"]}`)})
}

// marks are the terms of the canaries, as they would be in the file.
func (l *testLog) marks(content bool) (out [][]byte) {
	l.t.Helper()
	key, err := readKey(l.index.dir)
	if err != nil {
		l.t.Fatal(err)
	}
	h := newHasher(key)
	values := []Value{{word, "zanzibar"}, {word, "quokka"}, {detail, "canary"}}
	if !content {
		values = []Value{{Fingerprint, "f77"}}
	}
	for _, v := range values {
		t := h.value(v.Field, v.Value)
		out = append(out, t[:])
	}
	return out
}

func (l *testLog) holds(marks [][]byte) bool {
	l.t.Helper()
	found := false
	err := filepath.WalkDir(l.index.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		for _, m := range marks {
			found = found || bytes.Contains(data, m)
		}
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return found
}

func (l *testLog) erase(e audit.Erasure) {
	l.t.Helper()
	if out, err := l.log.Erase(e, "dpo", "request", false); err != nil || out.Records == 0 {
		l.t.Fatalf("%+v, %v", out, err)
	}
}

func TestNothingOfWhatIsErasedStays(t *testing.T) {
	l := newLog(t)
	l.fill(300)
	canaries(l)
	l.fill(300)
	l.update()
	if !l.holds(l.marks(true)) || !l.holds(l.marks(false)) || len(l.pages(Query{Words: []string{"zanzibar"}, Limit: 5})) != 1 {
		t.Fatal("the canaries are not in the index: this test proves nothing")
	}
	old, err := os.Open(l.index.path(fileName))
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()

	l.erase(audit.Erasure{Person: "jane@canary.example"})
	if r := l.update(); !r.Purged || r.Anew != "" {
		t.Errorf("after an erasure: %+v", r)
	}
	if l.holds(l.marks(true)) {
		t.Error("terms of what is erased are in the file")
	}
	if data, err := os.ReadFile(fmt.Sprintf("/proc/self/fd/%d", old.Fd())); err == nil && bytes.Contains(data, l.marks(true)[0]) {
		t.Error("terms of what is erased are in what was the file")
	}
	if got := l.pages(Query{Words: []string{"zanzibar"}, Limit: 5}); len(got) != 0 {
		t.Errorf("found %v", got)
	}
	// What can still be read is still found.
	if got := l.pages(Query{Fields: []Value{{Session, "s_secret"}, {Principal, "ada"}, {Fingerprint, "f77"}}, Limit: 5}); len(got) != 1 {
		t.Errorf("the record without its content is found in %v", got)
	}
	l.agrees(30)

	l.erase(audit.Erasure{Session: "s_secret", Trace: true})
	l.update()
	if l.holds(l.marks(false)) {
		t.Error("terms of the trace that is erased are in the file")
	}
	if got := l.pages(Query{Fields: []Value{{Session, "s_secret"}}, Limit: 5}); len(got) != 1 {
		t.Errorf("the head of the record is found in %v", got)
	}
	l.agrees(30)
	if r := l.update(); r.Purged {
		t.Error("it is purged again without need")
	}
}

// The records were read, and are erased before they are in the index; then the purge itself is cut off.
func TestErasureMeetsIndexing(t *testing.T) {
	l := newLog(t)
	l.fill(100)
	canaries(l)
	ctx := context.Background()
	f, err := l.index.follow(ctx, new(Report))
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	if _, err := f.read(1 << 20); err != nil {
		t.Fatal(err)
	}
	l.erase(audit.Erasure{Session: "s_secret"})
	if err := f.commit(ctx); err != errMoved {
		t.Errorf("erased records were committed: %v", err)
	}
	// Another process has noted the erasure before it has come to the records.
	if _, err := l.index.follow(ctx, new(Report)); err != nil {
		t.Fatal(err)
	}
	if err := f.commit(ctx); err != errMoved {
		t.Errorf("erased records were committed: %v", err)
	}
	l.update()
	if l.holds(l.marks(true)) {
		t.Error("terms of what is erased are in the file")
	}
	l.agrees(20)
}

func TestAPurgeThatIsCutOffIsDoneAgain(t *testing.T) {
	l := newLog(t)
	l.fill(100)
	canaries(l)
	l.update()
	l.erase(audit.Erasure{Session: "s_secret"})
	gone, err := l.index.gone.Count()
	if err != nil {
		t.Fatal(err)
	}
	key, err := readKey(l.index.dir)
	if err != nil {
		t.Fatal(err)
	}
	// As far as before the copy is made, and with a piece of a copy.
	err = l.index.use(false, func(db *bbolt.DB) error {
		var s *state
		if err := db.View(func(tx *bbolt.Tx) (err error) { s, err = loadState(tx); return err }); err != nil {
			return err
		}
		return l.index.purge(db, newHasher(key), s, gone)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(l.index.path(tempName), l.marks(true)[0], 0o600); err != nil {
		t.Fatal(err)
	}
	if !l.holds(l.marks(true)) {
		t.Fatal("free pages hold nothing: this test proves nothing")
	}
	if r := l.update(); r.Purged || r.Anew != "" {
		t.Errorf("%+v", r)
	}
	if l.holds(l.marks(true)) {
		t.Error("terms of what is erased are in the file")
	}
	l.agrees(20)
}
