package verify

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/audit"
	"sallyport/audit/checkpoint"
	"sallyport/audit/evidence"
)

// aBundle is one of a session, with proofs and leaves.
func aBundle(t testing.TB, dir string) []byte {
	t.Helper()
	p, err := audit.OpenProver(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	scope := evidence.Scope{Session: "s3"}
	recs, err := evidence.Collect(dir, scope)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := checkpoint.LoadSigner(filepath.Join(dir, "signing"))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := evidence.Write(&b, &evidence.Input{Scope: scope, Records: recs, Prover: p, Leaves: true, Signer: signer, Public: publicOf(t, dir)}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// rezip makes a zip with files changed: nil removes one.
func rezip(t testing.TB, data []byte, change map[string][]byte) []byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	put := func(name string, data []byte) {
		f, err := w.Create(name)
		if err == nil {
			_, err = f.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range z.File {
		data, err := read(f)
		if err != nil {
			t.Fatal(err)
		}
		if new, ok := change[f.Name]; ok {
			if data = new; data == nil {
				continue
			}
		}
		put(f.Name, data)
	}
	for name, data := range change {
		if strings.HasPrefix(name, "new/") || strings.HasPrefix(name, "../") {
			put(name, data)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestBundlesAreProvenAndManipulationsFound(t *testing.T) {
	dir := aLog(t, 10)
	data, public := aBundle(t, dir), publicOf(t, dir)
	r, err := Bundle(bytes.NewReader(data), int64(len(data)), public)
	if err != nil || !r.Good() || !strings.Contains(fmt.Sprint(r.Proven), "7 records are in the log") {
		t.Fatalf("%+v, %v", r, err)
	}
	if r, err := Bundle(bytes.NewReader(data), int64(len(data)), publicOf(t, aLog(t, 2))); err != nil || r.Good() {
		t.Errorf("another key is trusted: %+v, %v", r, err)
	}
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		content, err := read(f)
		if err != nil {
			t.Fatal(err)
		}
		edited := append(bytes.Clone(content), ' ')
		if f.Name == attestationName {
			edited = bytes.Replace(content, []byte(`"sig": "`), []byte(`"sig": "A`), 1)
		}
		for what, new := range map[string][]byte{"edited": edited, "removed": nil} {
			changed := rezip(t, data, map[string][]byte{f.Name: new})
			if r, err := Bundle(bytes.NewReader(changed), int64(len(changed)), public); err == nil && r.Good() {
				t.Errorf("%s is %s, and that is not found", f.Name, what)
			}
		}
	}
	for _, name := range []string{"new/file", "../file"} {
		changed := rezip(t, data, map[string][]byte{name: []byte("x")})
		if r, err := Bundle(bytes.NewReader(changed), int64(len(changed)), public); err == nil && r.Good() {
			t.Errorf("%s was added, and that is not found", name)
		}
	}
}

func TestPathTellsWhatItIs(t *testing.T) {
	dir := aLog(t, 4)
	data := filepath.Join(t.TempDir(), "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(data, "log"), os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "e.zip")
	if err := os.WriteFile(file, aBundle(t, dir), 0o600); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "signing", "checkpoint.pub")
	for _, path := range []string{dir, data, file} {
		r, err := Path(path, key)
		if err != nil || !r.Good() {
			t.Errorf("%s: %+v, %v", path, r, err)
			continue
		}
		var b strings.Builder
		r.Print(&b)
		if !strings.Contains(b.String(), "The evidence is good.") || !strings.Contains(b.String(), "Not proven:") {
			t.Error(b.String())
		}
	}
	if _, err := Path(dir, "nowhere"); err == nil {
		t.Error("a key that is none is taken")
	}
	var b strings.Builder
	(&Report{Problems: []string{"a \x1b[2J \u202e b"}}).Print(&b)
	if strings.ContainsAny(b.String(), "\x1b\u202e") {
		t.Errorf("%q", b.String())
	}
}

// TestVerifierStandsAlone: what auditors run is built from little.
func TestVerifierStandsAlone(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "sallyport/cmd/sallyport-verify").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range strings.Fields(string(out)) {
		switch {
		case strings.HasPrefix(p, "golang.org/x/mod/"):
		case p == "sallyport/cmd/sallyport-verify", p == "sallyport/audit/verify", p == "sallyport/audit/checkpoint", p == "sallyport/audit/proof",
			p == "sallyport/audit/cosignature", p == "sallyport/audit/internal/durable":
		default:
			t.Errorf("it is built from %s", p)
		}
	}
}
