package checkpoint

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
)

// signed is a checkpoint of size n.
func signed(t *testing.T, n int64, s note.Signer) []byte {
	t.Helper()
	msg, err := Sign(Checkpoint{Origin: origin, Tree: head(n)}, s)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

func TestKeysFollow(t *testing.T) {
	_, pub0, s0, _ := keypair(t, origin)
	_, pub1, s1, _ := keypair(t, origin)
	_, pub2, s2, _ := keypair(t, origin)
	first, err := First(pub0)
	if err != nil {
		t.Fatal(err)
	}
	note1, keys1, err := first.Introduce(100, pub1, s0, s1)
	if err != nil {
		t.Fatal(err)
	}
	note2, keys2, err := keys1.Introduce(200, pub2, s1, s2)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("whoever_trusts_the_first_key_gets_all", func(t *testing.T) {
		got, err := first.Follow(append(append([]byte{}, note1...), note2...))
		if err != nil {
			t.Fatal(err)
		}
		want := []Key{{0, pub0}, {100, pub1}, {200, pub2}}
		if d := cmp.Diff(want, got.List()); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff(want, keys2.List()); d != "" {
			t.Error(d)
		}
	})
	t.Run("keys_are_good_for_their_sizes", func(t *testing.T) {
		for _, c := range []struct {
			n  int64
			s  note.Signer
			ok bool
		}{
			{1, s0, true}, {100, s0, true}, {101, s0, false}, {1000, s0, false},
			{99, s1, false}, {100, s1, true}, {200, s1, true}, {201, s1, false},
			{199, s2, false}, {200, s2, true}, {1 << 40, s2, true},
		} {
			got, err := keys2.Open(signed(t, c.n, c.s))
			if (err == nil) != c.ok || c.ok && got.Tree != head(c.n) {
				t.Errorf("size %d signed by %08x: %v", c.n, c.s.KeyHash(), err)
			}
		}
	})
	t.Run("without_the_note_the_next_key_is_unknown", func(t *testing.T) {
		if _, err := keys1.Open(signed(t, 300, s2)); err == nil {
			t.Error("opened a checkpoint of an unknown key")
		}
	})

	forge := func(text string, signers ...note.Signer) []byte {
		msg, err := note.Sign(&note.Note{Text: text}, signers...)
		if err != nil {
			t.Fatal(err)
		}
		return msg
	}
	next := func(line string) string { return first.text() + line + "\n" }
	_, foreign, sf, _ := keypair(t, "other.example/log")
	for name, notes := range map[string][]byte{
		"second_without_first":         note2,
		"order_turned":                 append(append([]byte{}, note2...), note1...),
		"twice":                        append(append([]byte{}, note1...), note1...),
		"not_signed_by_the_old_key":    forge(next("key 100 "+pub1), s1),
		"not_signed_by_the_new_key":    forge(next("key 100 "+pub1), s0),
		"signed_by_a_stranger":         forge(next("key 100 "+pub1), s2, s1),
		"size_edited":                  []byte(strings.Replace(string(note1), "key 100 ", "key 10 ", 1)),
		"size_written_oddly":           forge(next("key 0100 "+pub1), s0, s1),
		"negative_size":                forge(next("key -1 "+pub1), s0, s1),
		"key_of_another_name":          forge(next("key 100 "+foreign), s0, sf),
		"old_key_again":                forge(next("key 100 "+pub0), s0),
		"two_keys_at_once":             forge(next("key 100 "+pub1+"\nkey 200 "+pub2), s0, s1, s2),
		"first_key_exchanged":          forge(keysHeader+"log "+origin+"\nkey 0 "+pub2+"\nkey 100 "+pub1+"\n", s0, s1),
		"of_another_log":               forge(strings.Replace(next("key 100 "+pub1), origin+"\n", "other\n", 1), s0, s1),
		"other_header":                 forge(strings.Replace(next("key 100 "+pub1), "/v1", "/v2", 1), s0, s1),
		"more_text":                    forge(next("key 100 "+pub1)+"\nmore\n", s0, s1),
		"a_checkpoint":                 signed(t, 100, s0),
		"garbage":                      []byte("garbage"),
		"garbage_after":                append(append([]byte{}, note1...), "garbage"...),
		"later_key_signs_from_earlier": append(append([]byte{}, note1...), forge(keys1.text()+"key 99 "+pub2+"\n", s1, s2)...),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := first.Follow(notes); err == nil {
				t.Errorf("followed to %v", got.List())
			}
		})
	}
}

func TestIntroduceRefusesWrongSigners(t *testing.T) {
	_, pub0, s0, _ := keypair(t, origin)
	_, pub1, s1, _ := keypair(t, origin)
	_, _, s2, _ := keypair(t, origin)
	first, err := First(pub0)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := first.Introduce(1, pub1, s0, s2); err == nil {
		t.Error("introduced a key that nobody has shown to have")
	}
	if _, _, err := first.Introduce(1, pub1, s2, s1); err == nil {
		t.Error("introduced a key with a stranger's signature")
	}
	if _, _, err := (Keys{}).Introduce(1, pub1, s0, s1); err == nil {
		t.Error("no keys introduced one")
	}
}

// A note about keys and a checkpoint are signed by the same key: neither may pass for the other.
func TestNotesAboutKeysAreNoCheckpoints(t *testing.T) {
	for _, name := range []string{origin, "7", "log"} {
		_, public, _, _ := keypair(t, name)
		keys, err := First(public)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := Parse(keys.text()); err == nil {
			t.Errorf("read %+v", c)
		}
	}
}

func TestKeyFiles(t *testing.T) {
	dir := t.TempDir()
	public, err := CreateKey(dir, origin)
	if err != nil {
		t.Fatal(err)
	}
	mode := func(name string) fs.FileMode {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	if mode(PrivateFile) != 0o600 || mode(PublicFile) != 0o644 {
		t.Errorf("modes %o, %o", mode(PrivateFile), mode(PublicFile))
	}
	s, err := LoadSigner(dir)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := LoadVerifiers(dir)
	if err != nil {
		t.Fatal(err)
	}
	if keys.Origin != origin || keys.Current().Public != public {
		t.Errorf("keys %+v", keys)
	}
	if _, err := keys.Open(signed(t, 7, s)); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.tmp")); left != nil {
		t.Errorf("left behind: %q", left)
	}
}

func TestCreateKeyNeverReplaces(t *testing.T) {
	dir := t.TempDir()
	public, err := CreateKey(dir, origin)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := CreateKey(dir, origin); err == nil {
		t.Error("replaced a key")
	}
	t.Run("finishes_what_a_crash_left", func(t *testing.T) {
		os.Remove(filepath.Join(dir, PublicFile))
		if _, err := CreateKey(dir, "other"); err == nil {
			t.Error("took a key of another name")
		}
		again, err := CreateKey(dir, origin)
		if err != nil || again != public {
			t.Errorf("%q, %v; want %q", again, err, public)
		}
	})
	t.Run("private_key_lost", func(t *testing.T) {
		os.Remove(filepath.Join(dir, PrivateFile))
		if _, err := CreateKey(dir, origin); err == nil {
			t.Error("replaced a key that auditors trust")
		}
	})
	t.Run("bad_name", func(t *testing.T) {
		for _, name := range []string{"", "a b", "a+b", "a\nb", "a\x1bb"} {
			if _, err := CreateKey(t.TempDir(), name); err == nil {
				t.Errorf("named a key %q", name)
			}
		}
	})
}

func TestLoadSignerRefuses(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"readable_by_group":  func(p string) error { return os.Chmod(p, 0o640) },
		"readable_by_others": func(p string) error { return os.Chmod(p, 0o604) },
		"writable_by_group":  func(p string) error { return os.Chmod(p, 0o620) },
		"missing":            os.Remove,
		"a_directory":        func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o700)) },
		"another_key": func(p string) error {
			private, _, err := GenerateKey(origin)
			return errors.Join(err, os.WriteFile(p, []byte(private+"\n"), 0o600))
		},
		"cut_off": func(p string) error { return os.Truncate(p, 60) },
		"two_keys": func(p string) error {
			b, err := os.ReadFile(p)
			return errors.Join(err, os.WriteFile(p, append(b, b...), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := CreateKey(dir, origin); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, PrivateFile)
			secret, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := damage(path); err != nil {
				t.Fatal(err)
			}
			_, err = LoadSigner(dir)
			if err == nil {
				t.Fatal("loaded")
			}
			key := strings.SplitN(string(secret), "+", 5)[4] // base64 has plus signs too
			if strings.Contains(err.Error(), key[:8]) {
				t.Errorf("the error holds the key: %v", err)
			}
		})
	}
}

func TestRotate(t *testing.T) {
	dir := t.TempDir()
	public, err := CreateKey(dir, origin)
	if err != nil {
		t.Fatal(err)
	}
	old, err := LoadSigner(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []int64{100, 100, 250} {
		if _, err := Rotate(dir, from); err != nil {
			t.Fatal(err)
		}
	}
	s, err := LoadSigner(dir)
	if err != nil {
		t.Fatal(err)
	}
	first, err := First(public)
	if err != nil {
		t.Fatal(err)
	}
	notes, err := os.ReadFile(filepath.Join(dir, NotesFile))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := first.Follow(notes)
	if err != nil || len(keys.List()) != 4 {
		t.Fatalf("%+v, %v", keys, err)
	}
	if _, err := keys.Open(signed(t, 300, s)); err != nil {
		t.Error(err)
	}
	if _, err := keys.Open(signed(t, 300, old)); err == nil {
		t.Error("a replaced key still signs")
	}
	if _, err := Rotate(dir, 10); err == nil {
		t.Error("a key was replaced back in time")
	}
	if _, err := os.Stat(filepath.Join(dir, nextFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("next key left behind: %v", err)
	}
}

// Rotate is cut short after each of its writes: either key is in force, with its private half.
func TestRotateCrash(t *testing.T) {
	dir := t.TempDir()
	if _, err := CreateKey(dir, origin); err != nil {
		t.Fatal(err)
	}
	oldKey, err := os.ReadFile(filepath.Join(dir, PrivateFile))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Rotate(dir, 100); err != nil {
		t.Fatal(err)
	}
	newKey, err := os.ReadFile(filepath.Join(dir, PrivateFile))
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := func(t *testing.T, n int64) {
		s, err := LoadSigner(dir)
		if err != nil {
			t.Fatal(err)
		}
		keys, err := LoadVerifiers(dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := keys.Open(signed(t, n, s)); err != nil {
			t.Error(err)
		}
	}
	t.Run("after_the_note", func(t *testing.T) {
		write(PrivateFile, oldKey)
		write(nextFile, newKey)
		check(t, 101)
		if _, err := Rotate(dir, 200); err != nil {
			t.Fatal(err)
		}
		check(t, 201)
	})
	t.Run("before_the_note", func(t *testing.T) {
		os.Remove(filepath.Join(dir, NotesFile))
		write(PrivateFile, oldKey)
		write(nextFile, newKey)
		check(t, 99)
		if _, err := Rotate(dir, 200); err != nil {
			t.Fatal(err)
		}
		check(t, 201)
	})
}
