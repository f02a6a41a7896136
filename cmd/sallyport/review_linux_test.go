package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// pseudoTerminal gives both ends of a pseudo-terminal: what a program has for standard input, and the keyboard.
func pseudoTerminal(t *testing.T) (screen, keys *os.File) {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keys.Close() })
	if err := unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { screen.Close() })
	return screen, keys
}

// typist types the next line when the program has asked for it.
type typist struct {
	mu    sync.Mutex
	said  bytes.Buffer
	lines [][2]string // what is asked, and the answer
	keys  io.Writer
}

func (y *typist) Write(p []byte) (int, error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.said.Write(p)
	if len(y.lines) > 0 && strings.Contains(y.said.String(), y.lines[0][0]) {
		// The line waits in the terminal until it is read; what was typed before the echo is switched off would be echoed to
		// the keyboard's end alone.
		fmt.Fprintln(y.keys, y.lines[0][1])
		y.lines = y.lines[1:]
	}
	return len(p), nil
}

func TestReviewAsksBeforeItDecides(t *testing.T) {
	for answer, want := range map[string]int{"yes": 1, "no": 0, "": 0, "y": 1} {
		t.Run("answer_"+answer, func(t *testing.T) {
			s := newStub(t)
			t.Setenv("SALLYPORT_PASSWORD", "")
			screen, keys := pseudoTerminal(t)
			y := &typist{keys: keys, lines: [][2]string{{"Password of bob: ", "pa55word"}, {"(yes/no) ", answer}}}
			var out bytes.Buffer
			code := run([]string{"review", "--url", s.URL, "--user", "bob", "approve", stubID, "--justification", "looked at it", "--mode", "form", "--uses", "3", "--until", "1h"}, screen, &out, y)
			if len(s.words) != want || (code == 0) != (want == 1) {
				t.Errorf("status %d, sent %+v\n%s", code, s.words, y.said.String())
			}
			said := y.said.String()
			shown, asked, _ := strings.Cut(said, "You approve statements of this form, 3 times until ")
			if !strings.Contains(shown, "UPDATE customers SET plan") || !strings.Contains(asked, "Do you approve this?") || strings.Contains(said, "pa55word") {
				t.Errorf("it says %s", said)
			}
		})
	}
}
