package audit

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"sallyport/internal/access"
)

func email(name string) access.Identifier {
	return access.Identifier{Kind: "email", Value: name + "@example.com"}
}

// told appends a record from which identifiers were taken out.
func told(t *testing.T, l *Log, i int, ids ...access.Identifier) *access.Record {
	t.Helper()
	rec := someRecord(i)
	rec.SQL, rec.Named = "select '[email]'", ids
	if _, err := l.Append(rec); err != nil {
		t.Fatal(err)
	}
	if rec.Named != nil {
		t.Error("the log keeps the identifiers")
	}
	return rec
}

// about gives the positions of the records that are found by an identifier.
func about(t *testing.T, dir, person string) (out []uint64) {
	t.Helper()
	tags, err := PersonTags(dir, person)
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range readAll(t, dir) {
		if slices.ContainsFunc(rec.Persons, func(tag string) bool { return slices.Contains(tags, tag) }) {
			out = append(out, rec.Position)
		}
	}
	return out
}

func wantAbout(t *testing.T, dir, person string, want ...uint64) {
	t.Helper()
	if got := about(t, dir, person); !slices.Equal(got, want) {
		t.Errorf("by %s records %v are found, want %v", person, got, want)
	}
}

// nowhere fails where a file of the directory has a secret, raw, in base64 or in hex.
func nowhere(t *testing.T, dir string, secrets ...[]byte) {
	t.Helper()
	var forms [][]byte
	for _, s := range secrets {
		forms = append(forms, s, []byte(hex.EncodeToString(s)))
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			for shift := range 3 {
				b := enc.EncodeToString(append(make([]byte, shift), s...))
				forms = append(forms, []byte(b[4:len(b)-4]))
			}
		}
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		for _, form := range forms {
			if bytes.Contains(data, form) {
				t.Errorf("%s has %x", path, form)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// secretsOf gives what must not be there when a person's key is gone: tag, key, and what the key follows from.
func secretsOf(t *testing.T, dir, person string) (out [][]byte) {
	t.Helper()
	k, err := readPersons(filepath.Join(dir, keysName, personsName))
	if err != nil {
		t.Fatal(err)
	}
	for tag, at := range k.of(person) {
		raw, _ := base64.RawURLEncoding.DecodeString(tag)
		tree := k.Trees[at.Tree]
		leaf, err := tree.leaf(personDepth, at.Leaf)
		n, ok := tree.find(personDepth, at.Leaf)
		if err != nil || !ok {
			t.Fatal(err)
		}
		out = append(out, raw, []byte(tag), leaf[:], tree[n].Key)
	}
	return out
}

// Two people are named in one statement, and one of them is erased: the record stays, it is found by the other, and by the
// first no more, whoever looks, and whatever was kept beside it.
func TestErasedPersonIsFoundNoMoreAndTheOtherIs(t *testing.T) {
	dir := t.TempDir()
	withLog(t, dir, func(l *Log) {
		told(t, l, 1, email("jane"), email("bob"), email("jane"))
		told(t, l, 2, email("bob"))
		told(t, l, 3)
	})
	withLog(t, dir, func(l *Log) { // the keys are those of before
		told(t, l, 4, access.Identifier{Kind: "email", Value: "Jane@Example.COM"})
		rec := someRecord(5)
		rec.Error, rec.Named = "no such customer: jane@example.com", []access.Identifier{email("bob")}
		if _, err := l.Append(rec); err != nil {
			t.Fatal(err)
		}
	})
	wantAbout(t, dir, " JANE@example.com", 1, 4)
	wantAbout(t, dir, "bob@example.com", 1, 2, 5)
	wantAbout(t, dir, "mary@example.com")
	secrets := secretsOf(t, dir, "jane@example.com")
	nowhere(t, dir, secrets[:3]...) // tag and key were never stored

	withLog(t, dir, func(l *Log) {
		for _, dry := range []bool{true, false} {
			out, err := l.Erase(Erasure{Person: "jane@example.com"}, "officer", "why", dry)
			if err != nil || out.Records != 1 || out.Tagged != 2 || !out.Untag || !slices.Equal(out.Positions, []uint64{5}) {
				t.Fatalf("%+v, %v", out, err)
			}
			if dry {
				wantAbout(t, dir, "jane@example.com", 1, 4)
			}
		}
		wantAbout(t, dir, "jane@example.com")
		told(t, l, 6, email("jane"), email("bob")) // named again, she has another key
		wantAbout(t, dir, "jane@example.com", 7)
	})
	wantAbout(t, dir, "jane@example.com", 7)
	wantAbout(t, dir, "bob@example.com", 1, 2, 7)
	nowhere(t, dir, secrets...)
	recs := readAll(t, dir)
	for i, rec := range recs[:5] {
		if rec.Erased != (i == 4) {
			t.Errorf("record %d: %+v", i+1, rec)
		}
	}
	var o access.Order
	if err := json.Unmarshal(recs[5].Order, &o); err != nil || o.Records != 1 || o.Tagged != 2 {
		t.Errorf("%+v, %v", o, err)
	}
	soundLog(t, dir)
	withLog(t, dir, func(l *Log) {
		if out, err := l.Erase(Erasure{Person: "jane@example.com"}, "officer", "why", false); err != nil || out.Records != 0 || out.Tagged != 1 || out.ID == "" {
			t.Errorf("erased once more: %+v, %v", out, err)
		}
		if out, err := l.Erase(Erasure{Person: "jane@example.com"}, "officer", "why", false); err != nil || out.ID != "" {
			t.Errorf("nothing is left to erase: %+v, %v", out, err)
		}
	})
	wantAbout(t, dir, "jane@example.com")
	soundLog(t, dir)
}

// The key stays where not all that it leads to is meant, or may go.
func TestPersonsKeyStaysUnderHoldsAndInNarrowerScopes(t *testing.T) {
	dir := t.TempDir()
	withLog(t, dir, func(l *Log) {
		one := told(t, l, 1, email("jane"))
		told(t, l, 2, email("jane"), email("bob"))
		erase := func(e Erasure, records, tagged int, untag bool, held ...access.Held) {
			t.Helper()
			out, err := l.Erase(e, "officer", "why", false)
			if err != nil || out.Records != records || out.Tagged != tagged || out.Untag != untag || !slices.Equal(out.Held, held) {
				t.Errorf("%+v: %+v, %v", e, out, err)
			}
		}
		erase(Erasure{Person: "jane@example.com", Session: one.Session}, 0, 2, false)
		wantAbout(t, dir, "jane@example.com", 1, 2)
		h, err := l.Hold(access.Scope{Person: "bob@example.com"}, "counsel", "a claim")
		if err != nil {
			t.Fatal(err)
		}
		erase(Erasure{Person: "jane@example.com"}, 0, 1, false, access.Held{Hold: h.ID, Records: 1})
		erase(Erasure{Session: one.Session}, 1, 0, false, access.Held{Hold: h.ID, Records: 1}) // whom it is held for was taken out of it
		wantAbout(t, dir, "jane@example.com", 2)
		if _, err := l.Lift(h.ID, "counsel", "settled"); err != nil {
			t.Fatal(err)
		}
		erase(Erasure{Person: "jane@example.com"}, 0, 1, true)
	})
	wantAbout(t, dir, "jane@example.com")
	wantAbout(t, dir, "bob@example.com", 2)
	soundLog(t, dir)
}

func TestProposedErasureTakesThePersonsKey(t *testing.T) {
	dir := t.TempDir()
	withLog(t, dir, func(l *Log) {
		told(t, l, 1, email("jane"))
		p, found, err := l.Propose(Erasure{Person: "jane@example.com"}, "ada", "why")
		if err != nil || p == nil || found.Records != 0 || found.Tagged != 1 {
			t.Fatalf("%+v, %+v, %v", p, found, err)
		}
		told(t, l, 2, email("jane"))
		wantAbout(t, dir, "jane@example.com", 1, 3)
		if _, out, err := l.Confirm(p.ID, "bob", false); err != nil || out.Tagged != 2 || !out.Untag || out.Missed != 0 {
			t.Errorf("%+v, %v", out, err)
		}
	})
	wantAbout(t, dir, "jane@example.com")
	silent(t, dir, "jane@example.com")
	soundLog(t, dir)
}

// What a crash interrupts is finished, and what it had come to is not done twice.
func TestInterruptedErasureOfAPersonsKeyIsFinished(t *testing.T) {
	for _, step := range []string{"written down", "recorded", "punctured"} {
		dir := t.TempDir()
		var secrets [][]byte
		withLog(t, dir, func(l *Log) {
			told(t, l, 1, email("jane"), email("bob"))
			secrets = secretsOf(t, dir, "jane@example.com")
			p, err := (&picker{dir: dir, e: Erasure{Person: "jane@example.com"}}).pick()
			if err != nil || len(p.persons) != 1 {
				t.Fatal(p, err)
			}
			rec, err := orderRecord(access.RecordErased, &access.Order{ID: "e_1", Tagged: p.Tagged}, access.Scope{}, "officer", "why")
			if err != nil {
				t.Fatal(err)
			}
			data, err := json.Marshal(&pending{ID: "e_1", After: l.Last(), Record: rec, Persons: p.persons})
			if err == nil {
				err = os.WriteFile(l.pendingPath(), data, 0o600)
			}
			if err == nil && step != "written down" {
				_, err = l.Append(rec)
			}
			if err == nil && step == "punctured" {
				err = l.persons.puncture(p.persons)
			}
			if err != nil {
				t.Fatal(err)
			}
		})
		withLog(t, dir, func(l *Log) {
			if n := len(l.persons.keys.Trees); n != 2 {
				t.Errorf("%s: %d trees", step, n)
			}
			told(t, l, 2, email("jane"))
		})
		wantAbout(t, dir, "jane@example.com", 3)
		wantAbout(t, dir, "bob@example.com", 1)
		nowhere(t, dir, secrets...)
		soundLog(t, dir)
	}
}

// A log from before there were keys of people reads and verifies as it did, and has them from its next opening on.
func TestLogWithoutKeysOfPeopleGetsThem(t *testing.T) {
	dir := people(t)
	name := filepath.Join(dir, keysName, personsName)
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	wantAbout(t, dir, "jane@example.com")
	if len(readAll(t, dir)) != 120 {
		t.Error("records are missing")
	}
	soundLog(t, dir)
	withLog(t, dir, func(l *Log) { told(t, l, 121, email("jane")) })
	wantAbout(t, dir, "jane@example.com", 121)
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
	if err := os.WriteFile(name, []byte(`{"secret":"c2VjcmV0","trees":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{SegmentSize: smallSize}); err == nil || bytes.Contains([]byte(err.Error()), []byte("c2Vj")) {
		t.Errorf("a broken file of keys: %v", err)
	}
}

func TestKeysOfPeopleAreWrapped(t *testing.T) {
	dir := t.TempDir()
	one, two := &WrappingKey{1}, &WrappingKey{2}
	wrapBy(t, dir, one)
	withLog(t, dir, func(l *Log) {
		told(t, l, 1, email("jane"), email("bob"))
		if out, err := l.Erase(Erasure{Person: "jane@example.com"}, "officer", "why", false); err != nil || !out.Untag {
			t.Fatalf("%+v, %v", out, err)
		}
	})
	secret := secretsOf(t, dir, "bob@example.com")
	wantAbout(t, dir, "bob@example.com", 1)
	nowhere(t, dir, secret...) // not even the node that it follows from
	wrapBy(t, dir, two)
	if _, err := PersonTags(dir, "bob@example.com"); !errors.Is(err, errWrapped) {
		t.Error(err)
	}
	if _, err := Rewrap(dir, one); err != nil {
		t.Fatal(err)
	}
	wantAbout(t, dir, "bob@example.com", 1)
	wantAbout(t, dir, "jane@example.com")
	epoch, err := os.ReadFile(filepath.Join(dir, keysName, epochName(1)))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, keysName, personsName), epoch, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := PersonTags(dir, "bob@example.com"); err == nil {
		t.Error("the keys of records pass for those of people")
	}
}

// Tags are remembered up to a number, and none that was destroyed.
func TestRememberedTagsAreBounded(t *testing.T) {
	dir := t.TempDir()
	withLog(t, dir, func(l *Log) {
		jane := l.persons.of([]access.Identifier{email("jane")})
		for i := range tagsKept + 10 {
			l.persons.of([]access.Identifier{email(fmt.Sprint("p", i))})
			if len(l.persons.tags) > tagsKept {
				t.Fatalf("%d tags are remembered", len(l.persons.tags))
			}
		}
		if again := l.persons.of([]access.Identifier{email("jane")}); !slices.Equal(again, jane) || len(jane) != 1 {
			t.Errorf("%v, then %v", jane, again)
		}
		at := place(l.persons.hash, emailForm("jane@example.com"))
		if a, _ := l.persons.keys.tag("a", at); a == jane[0] || a == "" {
			t.Error("two people with one leaf have one tag")
		}
	})
}

func BenchmarkTags(b *testing.B) {
	l, err := Open(b.TempDir(), Options{BeatEvery: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	for name, ids := range map[string]int{"known": 1, "new": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			i := 0
			for b.Loop() {
				i++
				l.persons.of([]access.Identifier{email(fmt.Sprint(i % ids))})
			}
		})
	}
}
