package erasure

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSearchFindsEveryForm: a search that misses a form would call erased what is not.
func TestSearchFindsEveryForm(t *testing.T) {
	const word = "zqcanary"
	for name, text := range map[string]string{
		"as it is":     "xx" + word + "yy",
		"upper case":   "xx" + strings.ToUpper(word),
		"reversed":     "a yranacqz b",
		"hex":          hex.EncodeToString([]byte("a" + word)),
		"base64 0":     base64.StdEncoding.EncodeToString([]byte(word + "!?")),
		"base64 1":     base64.StdEncoding.EncodeToString([]byte("\xff" + word + "\xfe")),
		"base64 2":     base64.URLEncoding.EncodeToString([]byte("\xff\xfe" + word)),
		"base64 later": base64.StdEncoding.EncodeToString([]byte("some words before " + word + " and after")),
		"utf-16":       "z\x00q\x00c\x00a\x00n\x00a\x00r\x00y\x00",
	} {
		if len(searchAll(map[string][]byte{"t": []byte(text)}, word)) == 0 {
			t.Errorf("%s is not found in %q", name, text)
		}
	}
	if hits := searchAll(map[string][]byte{"t": []byte("zqcanarx " + base64.StdEncoding.EncodeToString([]byte("zqcanari")))}, word); len(hits) > 0 {
		t.Errorf("found where it is not: %v", hits)
	}
}

func TestArchivesAreUnfolded(t *testing.T) {
	const word = "zqcanary"
	var packed, folder bytes.Buffer
	gz := gzip.NewWriter(&packed)
	gz.Write([]byte(strings.Repeat(word, 10)))
	gz.Close()
	z := zip.NewWriter(&folder)
	w, err := z.Create("member")
	if err == nil {
		_, err = w.Write(append([]byte("before"), packed.Bytes()...))
	}
	if err == nil {
		err = z.Close()
	}
	dir := t.TempDir()
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "a.zip"), folder.Bytes(), 0o600)
	}
	texts := map[string][]byte{}
	if err == nil {
		err = readFiles(dir, "", texts)
	}
	if err != nil {
		t.Fatal(err)
	}
	if hits := searchAll(texts, word); len(hits) != 1 || hits[0].text != "a.zip!member!gzip at 6" {
		t.Errorf("%v in %d texts", hits, len(texts))
	}
}

func TestCanariesAreApart(t *testing.T) {
	seen := map[string]bool{}
	for i := range 6 {
		for _, c := range someone(i).canaries() {
			for old := range seen {
				if strings.Contains(c, old) || strings.Contains(old, c) {
					t.Errorf("%s and %s", c, old)
				}
			}
			seen[c] = true
		}
	}
}
