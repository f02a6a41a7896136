package audit

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"
)

func TestDrawFollowsFromTheSeed(t *testing.T) {
	// Computed by another program from what Draw promises.
	if diff := cmp.Diff([]int64{222, 232, 714, 853, 883}, Draw(1000, 5, "audit 2026")); diff != "" {
		t.Error(diff)
	}
	if slices.Equal(Draw(1000, 5, "audit 2026"), Draw(1000, 5, "audit 2027")) {
		t.Error("another seed draws the same")
	}
	for _, c := range []struct {
		size int64
		n    int
		want int
	}{{0, 5, 0}, {3, 5, 3}, {5, 5, 5}, {5, 0, 0}, {100, 7, 7}} {
		got := Draw(c.size, c.n, "x")
		if len(got) != c.want || !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != c.want {
			t.Errorf("%d of %d: %v", c.n, c.size, got)
		}
	}
	hits := make([]int, 10)
	for i := range 2000 {
		hits[Draw(10, 1, fmt.Sprint(i))[0]]++
	}
	for k, n := range hits {
		if n < 140 || n > 260 {
			t.Errorf("%d is drawn %d times of 2000", k, n)
		}
	}
}

// An auditor who has the checkpoint can check each session of a sample, and that the sample follows from the seed.
func TestSamplesAreProven(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, Options{SegmentSize: smallSize})
	for i := range 40 {
		for _, rec := range session(fmt.Sprintf("s%02d", i), uint64(8*i)) {
			if _, err := l.Append(rec); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, rec := range session("open", 320)[:4] {
		if _, err := l.Append(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	p, err := OpenProver(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	all, got, err := p.Sample(6, "seed")
	if err != nil {
		t.Fatal(err)
	}
	if all.N != 40 || len(got) != 6 {
		t.Fatalf("%d of %d", len(got), all.N)
	}
	for i, want := range Draw(40, 6, "seed") {
		s := got[i]
		if s.Index != want || s.Session != fmt.Sprintf("s%02d", want) || s.Records != 8 || s.Position != uint64(8*want+8) {
			t.Errorf("%+v", s)
		}
		if err := tlog.CheckRecord(s.Proof, all.N, all.Hash, s.Index, tlog.RecordHash([]byte(s.Head))); err != nil {
			t.Error(err)
		}
	}
	if _, got, err := p.Sample(100, "seed"); err != nil || len(got) != 40 {
		t.Errorf("%d, %v", len(got), err)
	}
	if err := flip(filepath.Join(dir, closedName), 33); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.Sample(40, "seed"); err == nil || !strings.Contains(err.Error(), "not the close record that was signed") {
		t.Errorf("with another tree: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, closedName)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.Sample(40, "seed"); err == nil {
		t.Error("without the tree")
	}
}
