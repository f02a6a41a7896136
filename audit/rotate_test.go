package audit

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"sallyport/audit/checkpoint"
	"sallyport/audit/verify"
	"sallyport/internal/access"
)

func refusals(t *testing.T, l *Log, n int) {
	t.Helper()
	for range n {
		if _, err := l.Append(&access.Record{Kind: access.RecordRefused, Time: time.Unix(1, 0)}); err != nil {
			t.Fatal(err)
		}
	}
}

func firstKey(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, signingName, checkpoint.PublicFile))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func verified(t *testing.T, dir string, keys int) {
	t.Helper()
	r, err := verify.Trust{Key: firstKey(t, dir)}.Dir(dir)
	if err != nil || !r.Good() {
		t.Fatalf("%+v, %v", r, err)
	}
	k, err := checkpoint.LoadVerifiers(filepath.Join(dir, signingName))
	if err != nil || len(k.List()) != keys {
		t.Fatalf("%d keys, want %d: %v", len(k.List()), keys, err)
	}
}

// The key is replaced in a log that is written, and in one that is closed; who trusts the first verifies all of it.
func TestKeysAreReplaced(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(dir, Options{SignEvery: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	refusals(t, l, 3)
	old, err := checkpoint.ReadPrivate(filepath.Join(dir, signingName, checkpoint.PrivateFile))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	keys, err := RotateKey(ctx, dir)
	if err != nil || keys.Current().From != 3 || len(keys.List()) != 2 {
		t.Fatalf("%+v, %v", keys, err)
	}
	refusals(t, l, 3)
	if _, err := l.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	verified(t, dir, 2)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if now, err := checkpoint.ReadPrivate(filepath.Join(dir, signingName, checkpoint.PrivateFile)); err != nil || now == old {
		t.Errorf("the old key is still there: %v", err)
	}
	if keys, err = RotateKey(ctx, dir); err != nil || keys.Current().From != 6 || len(keys.List()) != 3 {
		t.Fatalf("%+v, %v", keys, err)
	}
	verified(t, dir, 3)

	// A crash between the replacement and the end of the request: it is for a key that has gone.
	request := filepath.Join(dir, signingName, rotateName)
	if err := os.WriteFile(request, []byte(firstKey(t, dir)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err = Open(dir, Options{}); err != nil {
		t.Fatal(err)
	}
	refusals(t, l, 1)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(request); err == nil {
		t.Error("the request is still there")
	}
	verified(t, dir, 3)
}

// A log that is held and does not look keeps the request.
func TestRequestsForAnotherKeyWait(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(dir, Options{SignEvery: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := RotateKey(ctx, dir); !errors.Is(err, ErrPending) {
		t.Fatal(err)
	}
	refusals(t, l, 1)
	if err := l.Close(); err != nil { // with its last checkpoint
		t.Fatal(err)
	}
	verified(t, dir, 2)
}

// A replacement that the key until then has not signed is none, whoever else has.
func TestForgedReplacementsAreRefused(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	refusals(t, l, 2)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	first, err := checkpoint.First(firstKey(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	pair := func() (note.Signer, string, string) {
		private, public, err := checkpoint.GenerateKey(first.Origin)
		if err != nil {
			t.Fatal(err)
		}
		s, err := note.NewSigner(private)
		if err != nil {
			t.Fatal(err)
		}
		return s, public, private
	}
	stranger, _, _ := pair()
	next, public, private := pair()
	text := "sallyport/keys/v1\nlog " + first.Origin + "\nkey 0 " + first.Current().Public + "\nkey 2 " + public + "\n"
	for name, signers := range map[string][]note.Signer{"neither": {stranger}, "the_new_one_alone": {next}, "a_stranger_for_the_old_one": {stranger, next}} {
		t.Run(name, func(t *testing.T) {
			msg, err := note.Sign(&note.Note{Text: text}, signers...)
			if err != nil {
				t.Fatal(err)
			}
			for file, b := range map[string][]byte{checkpoint.NotesFile: msg, checkpoint.PrivateFile: []byte(private + "\n")} {
				if err := os.WriteFile(filepath.Join(dir, signingName, file), b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if l, err := Open(dir, Options{}); err == nil {
				l.Close()
				t.Error("the log opens")
			}
			if r, err := (verify.Trust{Key: firstKey(t, dir)}).Dir(dir); err == nil && r.Good() {
				t.Error("it is verified")
			}
		})
	}
}
