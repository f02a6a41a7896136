package verify

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Path verifies what is at path: a bundle, a certificate of an erasure, the directory of a log, or the data directory that the
// log is in. The key may be the name of a file that has it, and so may the checkpoint that was kept elsewhere.
func (t Trust) Path(path string) (*Report, error) {
	if b, err := os.ReadFile(t.Key); err == nil {
		t.Key = string(b)
	} else if t.Key != "" && !strings.Contains(t.Key, "+") {
		return nil, fmt.Errorf("%s is neither a public key nor a file with one", strconv.Quote(t.Key))
	}
	t.Key = strings.TrimSpace(t.Key)
	if t.KeptFile != "" {
		var err error
		if t.Kept, err = os.ReadFile(t.KeptFile); err != nil {
			return nil, fmt.Errorf("read the checkpoint that was kept elsewhere: %w", err)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		if _, err := os.Stat(filepath.Join(path, "signing")); errors.Is(err, fs.ErrNotExist) {
			path = filepath.Join(path, "log")
		}
		return t.Dir(path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var first [1]byte
	if _, err := f.ReadAt(first[:], 0); err == nil && first[0] == '{' && info.Size() <= most {
		data, err := io.ReadAll(f)
		if err != nil {
			return nil, err
		}
		return t.Certificate(data)
	}
	return t.Bundle(f, info.Size())
}

// Print writes the report for people. What came out of the evidence is quoted where it is not printable.
func (r *Report) Print(w io.Writer) {
	for _, part := range []struct {
		title string
		lines []string
	}{{"Problems", r.Problems}, {"Proven", r.Proven}, {"Not proven", r.Unproven}} {
		if len(part.lines) == 0 || part.title == "Proven" && !r.Good() {
			continue
		}
		fmt.Fprintln(w, part.title+":")
		for i, l := range part.lines {
			if i == 50 {
				fmt.Fprintf(w, "  and %d more\n", len(part.lines)-i)
				break
			}
			fmt.Fprintln(w, "  - "+printable(l))
		}
	}
	if r.Good() {
		fmt.Fprintln(w, "The evidence is good.")
	} else {
		fmt.Fprintln(w, "THE EVIDENCE IS NOT GOOD.")
	}
}

// printable escapes what could move a terminal's cursor or hide text.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if strconv.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}
