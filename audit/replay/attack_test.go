package replay

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"

	"sallyport/audit/internal/show"
	"sallyport/internal/access"
	"sallyport/internal/glyph"
)

// attack is what people put into values to take over the terminal of whoever looks: the clipboard (OSC 52), the title, links,
// answers that are typed in (DA, DECRQSS), bracketed paste, the other screen, C1 controls as characters and as bytes, text that runs backwards,
// marks without end, letters without a width, what is no UTF-8, lines and returns that write over what stands.
const attack = "a\x1b]52;c;cm0gLXJmCg==\x07b\x1b]0;root\x1b\\c\x1b]8;;http://x\x07d\x1b[c\x1bP$qm\x1b\\\x1b[200~rm\n\x1b[201~\x1b[?1049h\x1b[2J\x1b[H\x1bc" +
	"\u009b31m\u009d0;x\u009c\u0085\x9b31m\x9d0;x\x9c\u202ee\u2066f\u2069\u200f\u061c\u200b\u200d\ufeff\u00ad\ufe0f\u3164\uffa0\U000e0041" +
	"g\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u20dd\u20dd\u20dd\x00\x07\x08\x0b\x0c\x0e\x0f\x7f\xff\xc3\xed\xa0\x80h\r\ni\rj\u2028k\u2029l\tm ▒▒▒ \x1b[35m▒▒▒\x1b[0m n\U0001d15e\U0001d15e p\u0344\u0344\u0344\u0344"

// hostile puts s into every text of every kind of record.
func hostile(t testing.TB, s string) []*access.Record {
	plan, err := json.Marshal(access.PlanRecord{Class: access.Class(s), Tag: s, Fingerprint: s, Relations: []string{s}, Labels: []access.Label{access.Label(s)},
		Masks: []access.MaskApplied{{Column: s, Label: access.Label(s), Transform: s}}, Outputs: [][]int{{0, 7}, {}}, Effect: s, Policies: []string{s}, PolicyVersion: s, CatalogVersion: s,
		Obligations: &access.Obligations{Review: []string{s}, GroupBy: []string{s}, MinGroup: 1, Where: []string{s}}})
	if err != nil {
		t.Fatal(err)
	}
	var out []*access.Record
	for _, door := range []access.Door{access.DoorMCP, access.DoorPGWire, access.Door(s)} {
		for _, kind := range []access.RecordKind{access.RecordTask, access.RecordOpen, access.RecordIntent, access.RecordStatement, access.RecordRefused, access.RecordOutcome, access.RecordRelease, access.RecordClose, access.RecordKind(s)} {
			out = append(out, &access.Record{Position: uint64(len(out) + 1), Time: time.Unix(int64(len(out)), 0), Session: s + string(door), Seq: uint64(len(out) + 1), Kind: kind, Door: door, Connection: s, Principal: s, Actor: s,
				Behind: []string{s}, Proof: hostileProof(s), Groups: []string{s}, Client: s, Task: s, Goal: s, Ticket: s, Reason: s, SQL: s, Params: []string{s}, Plan: plan, Columns: []string{s}, Result: dataRow(s, s),
				Digest: s, Command: s, Code: s, Error: s, Hint: s, Detected: 1})
		}
	}
	return out
}

// harmless fails where a replay does more to a terminal than to print lines in colours.
func harmless(t *testing.T, c *Cast) {
	t.Helper()
	for _, l := range strings.Split(screen(c), "\n") {
		marks := 0
		for _, r := range l {
			if unicode.In(r, unicode.Mn, unicode.Me) {
				marks++
			} else {
				marks = 0
			}
			if !glyph.Drawn(r) || marks > 8 { // four of U+0344, which are two each
				t.Fatalf("%U reaches the terminal in %q", r, l)
			}
		}
		if n := show.Width(l); n > c.Header.Term.Cols {
			t.Fatalf("%d cells in %q", n, l)
		}
	}
	texts := []string{c.Header.Title}
	for _, e := range c.Events {
		if e.Code == Marker {
			texts = append(texts, e.Data)
		}
	}
	for _, s := range texts {
		if show.Clean(s) != s {
			t.Fatalf("a name to be shown by players: %q", s)
		}
	}
}

// hostileProof puts s into every text of a proof.
func hostileProof(s string) *access.Proof {
	return &access.Proof{Method: access.Method(s), Issuer: s, Subject: s, Client: s, Session: s, Token: s, Credential: s, ACR: s, AMR: []string{s}, Scopes: []string{s}, Expires: time.Date(2026, 11, 23, 14, 2, 11, 0, time.UTC)}
}

func TestNothingOfARecordMovesATerminal(t *testing.T) {
	for _, cols := range []int{0, 60, 133} {
		harmless(t, Make(hostile(t, attack), Options{Cols: cols}))
	}
}

// TestAValueCannotLookMasked: blocks of a value are shown as escapes; the others are those of the masks.
func TestAValueCannotLookMasked(t *testing.T) {
	recs := psql(t)
	for _, l := range strings.Split(screen(Make(recs, Options{})), "\n") {
		if strings.Contains(l, block) {
			t.Errorf("nothing was masked, and yet: %q", l)
		}
	}
}

func FuzzReplay(f *testing.F) {
	f.Add(attack, 80)
	f.Add("", 0)
	f.Fuzz(func(t *testing.T, s string, cols int) {
		if cols > 300 {
			cols = 300
		}
		recs := hostile(t, s)
		c := Make(recs, Options{Cols: cols})
		harmless(t, c)
		first := written(t, c)
		if err := conforms(first); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, written(t, Make(recs, Options{Cols: cols}))) {
			t.Fatal("the same records gave other bytes")
		}
	})
}
