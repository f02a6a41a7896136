package show

import (
	"strings"
	"testing"
	"time"
)

func TestCleanLeavesNothingThatMovesOrHides(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"clipboard":         {"\x1b]52;c;cm0gLXJm\x07", `\x1b]52;c;cm0gLXJm\x07`},
		"title":             {"\x1b]0;root\x1b\\", `\x1b]0;root\x1b\`},
		"bracketed_paste":   {"\x1b[200~ls\x1b[201~", `\x1b[200~ls\x1b[201~`},
		"c1_controls":       {"\u009b31m\u009d0;x\u009c\u0085", `\u{009b}31m\u{009d}0;x\u{009c}\u{0085}`},
		"c1_as_a_byte":      {"\x9b31m", `\x9b31m`},
		"bidi_overrides":    {"a\u202eb\u2066c\u061c", `a\u{202e}b\u{2066}c\u{061c}`},
		"return_and_erase":  {"safe\rrm\b\x7f", `safe\x0drm\x08\x7f`},
		"flood_of_marks":    {"Z" + strings.Repeat("\u0301", 6) + "o\u0302", "Z" + strings.Repeat("\u0301", 4) + `\u{0301}\u{0301}` + "o\u0302"},
		"mark_with_no_base": {"\u0301a", `\u{0301}a`},
		"mark_on_an_escape": {"\x1b\u0301", `\x1b\u{0301}`},
		"words_of_people":   {"Zoë 王小明 Việt กิ๊บ שָׁלוֹם é", "Zoë 王小明 Việt กิ๊บ שָׁלוֹם é"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Clean(c.in); got != c.want {
				t.Errorf("%q comes out as %q, want %q", c.in, got, c.want)
			}
			if got := Clean(c.want); got != c.want {
				t.Errorf("not stable: %q becomes %q", c.want, got)
			}
		})
	}
}

// TestWidthIsTheTerminals: asciinema-player's terminal says the same of every printing character but marks, to which it
// gives a cell of their own, and of some that Unicode 16 made wide.
func TestWidthIsTheTerminals(t *testing.T) {
	for s, want := range map[string]int{
		"abc": 3, "é": 1, "e\u0301": 1, "王小明": 6, "🚀": 2, "⌚": 2, "☎": 1, "ｱ": 1, "Ａ": 2, "한": 2, "\u1112\u1161\u11ab": 2,
		"กิ๊บ": 2, "▒▒▒": 3, "─┼│": 3, "…": 1, "😀": 2, "🫠": 2,
	} {
		if got := Width(s); got != want {
			t.Errorf("%q takes %d cells, want %d", s, got, want)
		}
	}
}

// TestWrapOfALongLineIsQuick: a megabyte took two minutes when each line looked at all that was left.
func TestWrapOfALongLineIsQuick(t *testing.T) {
	start := time.Now()
	if n := len(Wrap(strings.Repeat("x", 1<<20), 80)); n != 1<<20/80+1 {
		t.Errorf("%d lines", n)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}
