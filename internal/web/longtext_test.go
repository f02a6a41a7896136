package web

import (
	"fmt"
	"strings"
	"testing"
)

// TestNothingPushesTheRestOutOfSight lays out statements whose dangerous part comes after something long.
func TestNothingPushesTheRestOutOfSight(t *testing.T) {
	for name, filler := range map[string]string{
		"empty lines":      "'" + strings.Repeat("\n", 400) + "'",
		"lines":            "'" + strings.Repeat("a\n", 400) + "'",
		"blanks":           "'" + strings.Repeat(" ", 40000) + "'",
		"letters":          "'" + strings.Repeat("é", 4000) + "'",
		"dollar quotes":    "$x$" + strings.Repeat("\n", 400) + "$x$",
		"a comment":        "'' /*" + strings.Repeat("\n", 400) + "*/",
		"a quoted name":    `"` + strings.Repeat("\n", 400) + `"`,
		"not utf-8 inside": "'" + strings.Repeat("\xff\n", 400) + "'",
	} {
		text := layout("update customers set region = 'a' where name = "+filler+" or id > 0", nil)
		all := shown(text)
		if n := strings.Count(all, "\n"); n > 20 || len(all) > 3000 || !strings.HasSuffix(all, "or id > 0") {
			t.Errorf("%s: %d lines, %d bytes: …%q", name, n, len(all), all[max(0, len(all)-60):])
		}
		left := false
		for _, tok := range text.Tokens {
			left = left || tok.Kind == kindLeft
		}
		if !left || len(text.Long) != 1 || !strings.Contains(filler, text.Long[0].Text) || len(text.Notes) == 0 {
			t.Errorf("%s: nothing says that a part is missing: %v", name, text.Notes)
		}
	}
	if text := layout("select 'a\nb\nc', $$ begin\n\n end $$", nil); len(text.Long) != 0 {
		t.Errorf("%+v", text.Long)
	}
}

// TestUnseenCharacters: what is drawn as a blank, or as nothing, is shown by its number.
func TestUnseenCharacters(t *testing.T) {
	for _, c := range []rune{0x2800, 0x3164, 0x115f, 0xffa0, 0xfe0f, 0x202e, 0x2066, 0xe0041, 0xfffc, 0x1d159} {
		want := fmt.Sprintf(`customers<b class="odd">U+%04X</b>`, c)
		if got := string(clean("customers" + string(c))); got != want {
			t.Errorf("%q", got)
		}
		if got := plain("a" + string(c)); got != fmt.Sprintf("aU+%04X", c) {
			t.Errorf("%q", got)
		}
	}
}
