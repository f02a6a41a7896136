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

// Path verifies what is at path: a bundle, the directory of a log, or the data directory that the log is in. key is the
// public key that is trusted, or the name of a file with it, or ""; kept is a file with a signed checkpoint that was
// kept elsewhere, or "".
func Path(path, key, kept string) (*Report, error) {
	if b, err := os.ReadFile(key); err == nil {
		key = string(b)
	} else if key != "" && !strings.Contains(key, "+") {
		return nil, fmt.Errorf("%s is neither a public key nor a file with one", strconv.Quote(key))
	}
	trust := Trust{Key: strings.TrimSpace(key)}
	if kept != "" {
		var err error
		if trust.Kept, err = os.ReadFile(kept); err != nil {
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
		return Dir(path, trust)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return Bundle(f, info.Size(), trust)
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
