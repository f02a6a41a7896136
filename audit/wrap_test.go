package audit

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/access"
)

func wrapBy(t *testing.T, dir string, k *WrappingKey) {
	t.Helper()
	if err := Wrap(dir, func() (*WrappingKey, error) { return k, nil }); err != nil {
		t.Fatal(err)
	}
}

// keyFiles says how many files of keys there are, and how many of them hold a key that anybody can read.
func keyFiles(t *testing.T, dir string) (all, open int) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, keysName, "*"+keySuffix))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if all++; strings.Contains(string(data), `"key":"`) {
			open++
		}
	}
	return all, open
}

// Keys are wrapped from the first on, erased under the wrapping, wrapped anew, and unwrapped; who lacks the key reads nothing.
func TestKeysAreWrapped(t *testing.T) {
	dir := t.TempDir()
	one, two := &WrappingKey{1}, &WrappingKey{2}
	wrapBy(t, dir, one)
	withLog(t, dir, func(l *Log) {
		for i := range 10 {
			if _, err := l.Append(someRecord(i + 1)); err != nil {
				t.Fatal(err)
			}
		}
		if out, err := l.Erase(Erasure{Person: "select 7"}, "officer", "why", false); err != nil || out.Records != 1 {
			t.Fatalf("%+v, %v", out, err)
		}
	})
	sound := func() {
		t.Helper()
		recs := readAll(t, dir)
		for i, rec := range recs[:10] {
			if rec.Erased != (i == 6) {
				t.Errorf("record %d: %+v", i+1, rec)
			}
		}
		soundLog(t, dir)
	}
	sound()
	if all, open := keyFiles(t, dir); all != 2 || open != 0 {
		t.Errorf("%d of %d files are open", open, all)
	}
	for _, other := range []*WrappingKey{nil, two} {
		wrapBy(t, dir, other)
		if err := Read(dir, func(*access.Record) error { return nil }); !errors.Is(err, errWrapped) {
			t.Errorf("read without the key: %v", err)
		}
	}
	if _, err := Rewrap(dir, &WrappingKey{3}); !errors.Is(err, errWrapped) {
		t.Error(err)
	}
	if n, err := Rewrap(dir, one); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := Rewrap(dir, one); n != 0 || err != nil {
		t.Errorf("again: %d, %v", n, err)
	}
	sound()
	wrapBy(t, dir, nil)
	if n, err := Rewrap(dir, two); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	sound()
	if all, open := keyFiles(t, dir); all != 2 || open != 2 {
		t.Errorf("%d of %d files are open", open, all)
	}
	wrapBy(t, dir, one) // what is not wrapped yet can be read, and new keys are wrapped
	withLog(t, dir, func(l *Log) {
		_, err := Rewrap(dir, nil)
		wantError(t, err, access.Unavailable, codeInUse)
	})
	sound()
	if all, open := keyFiles(t, dir); all != 3 || open != 2 {
		t.Errorf("%d of %d files are open", open, all)
	}
	asked := errors.New("the command failed")
	if err := Wrap(dir, func() (*WrappingKey, error) { return nil, asked }); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); !errors.Is(err, asked) {
		t.Error(err)
	}
}

func TestWrappedFilesAreBound(t *testing.T) {
	k := &WrappingKey{1}
	file, err := k.wrap(3, []byte("plain"))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := unwrap(file, 3, nil, &WrappingKey{2}, k); err != nil || string(plain) != "plain" {
		t.Errorf("%q, %v", plain, err)
	}
	if _, err := unwrap(file, 4, k); err == nil {
		t.Error("the keys of an epoch can be put in the place of another's")
	}
	if _, err := unwrap([]byte(strings.Replace(string(file), `"sealed":"`, `"sealed":"AAAA`, 1)), 3, k); err == nil {
		t.Error("what was changed can be read")
	}
}
