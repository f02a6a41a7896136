package testcorpus

import (
	"os"
	"path/filepath"
	"testing"
)

// verdict notes what Path did to a test.
type verdict struct{ skipped, failed bool }

func (*verdict) Helper()                 {}
func (v *verdict) Skipf(string, ...any)  { v.skipped = true }
func (v *verdict) Fatalf(string, ...any) { v.failed = true }

func TestPath(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "there"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SALLYPORT_CORPORA", dir)
	var v verdict
	if got := Path(&v, "there"); got != filepath.Join(dir, "there") || v != (verdict{}) {
		t.Errorf("what is there: %q %+v", got, v)
	}
	if Path(&v, "absent"); v != (verdict{failed: true}) {
		t.Errorf("absent in a folder that was named: %+v", v)
	}
	t.Setenv("SALLYPORT_CORPORA", "")
	t.Chdir(dir) // no project here, and no corpora beside it
	v = verdict{}
	if Path(&v, "no such corpus"); v != (verdict{skipped: true}) {
		t.Errorf("absent in no folder: %+v", v)
	}
}
