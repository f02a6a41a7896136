package verify

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/audit"
	"sallyport/internal/access"
)

// aLog is a log of several segments with sessions that have ended and one that has not.
func aLog(t testing.TB, sessions int) string {
	t.Helper()
	dir := t.TempDir()
	l, err := audit.Open(dir, audit.Options{SegmentSize: 16 << 10})
	if err != nil {
		t.Fatal(err)
	}
	add := func(rec *access.Record) {
		rec.Time = time.Unix(1, 0).UTC()
		if _, err := l.Append(rec); err != nil {
			t.Fatal(err)
		}
	}
	for i := range sessions {
		id := fmt.Sprintf("s%d", i)
		add(&access.Record{Session: id, Seq: 1, Kind: access.RecordOpen})
		for j := range uint64(5) {
			add(&access.Record{Session: id, Seq: j + 2, Kind: access.RecordStatement, SQL: fmt.Sprintf("SELECT %d", j)})
		}
		if i < sessions-1 {
			add(&access.Record{Session: id, Seq: 7, Kind: access.RecordClose, Rows: 7})
		}
	}
	add(&access.Record{Kind: access.RecordRefused})
	if err := l.Close(); err != nil {
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
	b, err := os.ReadFile(filepath.Join(dir, "signing", "checkpoint.pub"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func TestSoundLogsAreProven(t *testing.T) {
	dir := aLog(t, 60)
	if err := os.RemoveAll(filepath.Join(dir, "keys")); err != nil { // nobody needs them for this
		t.Fatal(err)
	}
	r, err := Dir(dir, publicOf(t, dir))
	if err != nil || !r.Good() {
		t.Fatalf("%+v, %v", r, err)
	}
	text := fmt.Sprint(r.Proven)
	for _, want := range []string{"the key is the one that is trusted", "records 1 to 420 ", "59 sessions that have ended are among them", "of each of 59 sessions"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	if text := fmt.Sprint(r.Unproven); !strings.Contains(text, "the end of 1 sessions") {
		t.Error(text)
	}
}

// frames cuts a segment into its header and frames.
func frames(t testing.TB, path string) (header []byte, out [][]byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := readSegment(path)
	if err != nil {
		t.Fatal(err)
	}
	at := fixedHeader + int(binary.LittleEndian.Uint32(data[12:]))
	header = data[:at]
	for _, p := range s.payloads {
		out = append(out, data[at:at+frameHeader+len(p)])
		at += frameHeader + len(p)
	}
	return header, out
}

// sealed gives a frame its checksum again, as somebody does who knows the format.
func sealed(f []byte) []byte {
	binary.LittleEndian.PutUint32(f, uint32(len(f)-frameHeader))
	binary.LittleEndian.PutUint32(f[8:], crc32.Update(crc32.Checksum(f[:8], castagnoli), castagnoli, f[frameHeader:]))
	return f
}

func write(t testing.TB, path string, header []byte, frames ...[]byte) {
	t.Helper()
	if err := os.WriteFile(path, append(bytes.Clone(header), bytes.Join(frames, nil)...), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestManipulationsAreFound changes a log in every way that comes to mind, each at many places, with checksums made good.
func TestManipulationsAreFound(t *testing.T) {
	dir := aLog(t, 60)
	public := publicOf(t, dir)
	names, err := segments(dir)
	if err != nil || len(names) < 4 {
		t.Fatal(names, err)
	}
	other := aLog(t, 60)
	n := 0
	try := func(name string, change func(dir string)) {
		t.Helper()
		n++
		to := copyOf(t, dir)
		change(to)
		r, err := Dir(to, public)
		if err == nil && r.Good() {
			t.Errorf("%s is not found", name)
		}
	}
	for s, path := range names {
		base := filepath.Base(path)
		header, all := frames(t, path)
		in := func(f func(path string)) func(string) {
			return func(dir string) { f(filepath.Join(dir, base)) }
		}
		for i := 0; i < len(all); i += 1 + len(all)/7 {
			at := fmt.Sprintf("%s/%d", base, i)
			without := append(append([][]byte{}, all[:i]...), all[i+1:]...)
			edited := append([][]byte{}, all...)
			edited[i] = bytes.Clone(all[i])
			edited[i][len(edited[i])-3] ^= 1
			try("edit with checksum "+at, in(func(p string) {
				edited[i] = sealed(edited[i])
				write(t, p, header, edited...)
			}))
			if i < len(all)-1 || s < len(names)-1 {
				try("drop "+at, in(func(p string) { write(t, p, header, without...) }))
			}
			try("duplicate "+at, in(func(p string) {
				write(t, p, header, append(append(append([][]byte{}, all[:i+1]...), all[i]), all[i+1:]...)...)
			}))
			if i+1 < len(all) {
				swapped := append([][]byte{}, all...)
				swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
				try("swap "+at, in(func(p string) { write(t, p, header, swapped...) }))
			}
			try("truncate "+at, in(func(p string) { write(t, p, header, all[:i]...) }))
			renumbered := append([][]byte{}, all...)
			renumbered[i] = sealed(bytes.Replace(bytes.Clone(all[i]), []byte(`"seq":`), []byte(`"seq":1`), 1))
			if !bytes.Equal(renumbered[i], all[i]) {
				try("renumber "+at, in(func(p string) { write(t, p, header, renumbered...) }))
			}
		}
		try("segment removed "+base, func(dir string) { os.Remove(filepath.Join(dir, base)) })
		try("segment of another log "+base, func(dir string) {
			data, err := os.ReadFile(filepath.Join(other, base))
			if err != nil {
				t.Fatal(err)
			}
			os.WriteFile(filepath.Join(dir, base), data, 0o600)
		})
		for _, off := range []int{0, 9, 20, 44, 60, 90, 101} {
			try(fmt.Sprintf("header byte %d of %s", off, base), in(func(p string) {
				h := bytes.Clone(header)
				h[off] ^= 4
				write(t, p, h, all...)
			}))
		}
	}
	for name, change := range map[string]func(dir string){
		"checkpoint removed": func(dir string) { os.Remove(filepath.Join(dir, "checkpoint")) },
		"checkpoint of another log": func(dir string) {
			data, _ := os.ReadFile(filepath.Join(other, "checkpoint"))
			os.WriteFile(filepath.Join(dir, "checkpoint"), data, 0o600)
		},
		"another log, signed with its own key": func(dir string) {
			os.RemoveAll(dir)
			os.CopyFS(dir, os.DirFS(other))
		},
		"checkpoint edited": func(dir string) {
			path := filepath.Join(dir, "checkpoint")
			data, _ := os.ReadFile(path)
			os.WriteFile(path, bytes.Replace(data, []byte("\n420\n"), []byte("\n419\n"), 1), 0o600)
		},
		"closed sessions edited": func(dir string) {
			path := filepath.Join(dir, "checkpoint")
			data, _ := os.ReadFile(path)
			os.WriteFile(path, bytes.Replace(data, []byte("closed-sessions 59"), []byte("closed-sessions 58"), 1), 0o600)
		},
	} {
		try(name, change)
	}
	t.Logf("%d manipulations", n)
	if n < 200 {
		t.Errorf("only %d manipulations", n)
	}
}
