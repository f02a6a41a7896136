package verify

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport/audit/verify/tamper"
)

func world(t testing.TB) *tamper.World {
	t.Helper()
	w, err := tamper.Make(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// aLog is a log of several segments with sessions that have ended and one that has not.
func aLog(t testing.TB, sessions int) string {
	t.Helper()
	dir := t.TempDir()
	if err := tamper.WriteLog(dir, 0, sessions); err != nil {
		t.Fatal(err)
	}
	return dir
}

func copyOf(t testing.TB, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

func publicOf(t testing.TB, dir string) string {
	t.Helper()
	key, err := tamper.Public(dir)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestSoundLogsAreProven(t *testing.T) {
	dir := aLog(t, 60)
	if err := os.RemoveAll(filepath.Join(dir, "keys")); err != nil { // nobody needs them for this
		t.Fatal(err)
	}
	r, err := Trust{Key: publicOf(t, dir)}.Dir(dir)
	if err != nil || !r.Good() {
		t.Fatalf("%+v, %v", r, err)
	}
	text := fmt.Sprint(r.Proven)
	for _, want := range []string{"the key is the one that is trusted", "records 1 to 420 ", "59 sessions that have ended are among them", "and no others had ended by then", "of each of these 59 sessions every record"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	if text := fmt.Sprint(r.Unproven); !strings.Contains(text, "the end of 1 sessions") {
		t.Error(text)
	}
}

// wantNamed wants a sentence of the verifier to say what was done.
func wantNamed(t *testing.T, m tamper.Manipulation, r *Report, err error) {
	t.Helper()
	var said []string
	if err != nil {
		said = append(said, err.Error())
	} else if r.Good() {
		t.Errorf("%s is not found", m)
		return
	} else {
		said = r.Problems
	}
	if !slices.ContainsFunc(said, m.NamedIn) {
		t.Errorf("%s is not named: no %q in\n\t%s", m, m.Named, strings.Join(said[:min(8, len(said))], "\n\t"))
	}
}

func TestManipulationsAreFoundAndNamed(t *testing.T) {
	w := world(t)
	kept, err := os.ReadFile(w.Kept)
	if err != nil {
		t.Fatal(err)
	}
	trust := Trust{Key: w.Key, Kept: kept}
	if r, err := trust.Dir(w.Dir); err != nil || !r.Good() || !strings.Contains(fmt.Sprint(r.Proven), "are those of the checkpoint that was kept elsewhere") {
		t.Fatalf("%+v, %v", r, err)
	}
	all, err := w.Log()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		to := copyOf(t, w.Dir)
		if err := m.Do(to); err != nil {
			t.Fatalf("%s: %v", m, err)
		}
		r, err := trust.Dir(to)
		wantNamed(t, m, r, err)
		os.RemoveAll(to)
	}
	t.Logf("%d manipulations", len(all))
	if len(all) < 200 {
		t.Errorf("only %d manipulations", len(all))
	}
}

// TestOlderKeptCheckpoint: a log goes on after the checkpoint that somebody keeps.
func TestOlderKeptCheckpoint(t *testing.T) {
	w := world(t)
	old, err := os.ReadFile(filepath.Join(w.Old, "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Trust{Key: w.Key, Kept: old}.Dir(w.Dir)
	if err != nil || !r.Good() || !strings.Contains(fmt.Sprint(r.Proven), "the first 280 records are those of the checkpoint that was kept elsewhere") {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := (Trust{Kept: old}).Dir(w.Other); err != nil || r.Good() {
		t.Errorf("the checkpoint of another log is taken: %+v, %v", r, err)
	}
}

// TestUnfinishedEnds: what a crash leaves behind the last signed record is no manipulation.
func TestUnfinishedEnds(t *testing.T) {
	w := world(t)
	to := copyOf(t, w.Dir)
	for name, more := range map[string]string{"tree": "rest of a write", "closed": strings.Repeat("x", 64)} {
		f, err := os.OpenFile(filepath.Join(to, name), os.O_APPEND|os.O_WRONLY, 0)
		if err == nil {
			_, err = f.WriteString(more)
			f.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	names, err := segments(to)
	if err != nil {
		t.Fatal(err)
	}
	last, err := readSegment(names[len(names)-1])
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(names[len(names)-1], os.O_RDWR, 0)
	if err == nil {
		_, err = f.WriteAt([]byte("half of a frame"), int64(last.end))
		f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if r, err := (Trust{Key: w.Key}).Dir(to); err != nil || !r.Good() {
		t.Errorf("%+v, %v", r, err)
	}
}
