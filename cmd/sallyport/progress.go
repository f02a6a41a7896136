package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"sallyport/internal/access"
)

// progress is a bar on a terminal; anywhere else it shows nothing.
type progress struct {
	w        io.Writer
	terminal bool
}

func newProgress(w io.Writer) *progress {
	f, ok := w.(*os.File)
	return &progress{w: w, terminal: ok && term.IsTerminal(int(f.Fd()))}
}

// show says how many of all tables are done and which is next.
func (p *progress) show(done, total int, table access.Name) {
	if !p.terminal || total == 0 {
		return
	}
	const width = 30
	full := width * done / total
	name := []rune(printable(table.Schema + "." + table.Name))
	if len(name) > 40 {
		name = append(name[:39], '…')
	}
	fmt.Fprintf(p.w, "\r\x1b[K[%s%s] %d/%d %s", strings.Repeat("=", full), strings.Repeat(" ", width-full), done, total, strings.Trim(string(name), "."))
}

// clear takes the bar off the screen.
func (p *progress) clear() {
	if p.terminal {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
