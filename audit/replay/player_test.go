package replay

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sallyport/audit/internal/show"
	"sallyport/internal/access"
)

// marks have a cell of their own in the player's terminal.
var marks = regexp.MustCompile(`\pM`)

// TestAsciinemaPlayerPlaysIt plays replays in the engine and the terminal of asciinema-player, and compares what stands on its
// terminal, cell by cell, with what was drawn. `make player` installs the player and runs this test.
func TestAsciinemaPlayerPlaysIt(t *testing.T) {
	root := os.Getenv("SALLYPORT_PLAYER")
	if root == "" {
		t.Skip("SALLYPORT_PLAYER is not set: make player")
	}
	for name, recs := range map[string][]*access.Record{"psql": psql(t), "mcp": agent(t), "hostile": hostile(t, marks.ReplaceAllString(attack, "")), "thousand": thousand(t)} {
		t.Run(name, func(t *testing.T) {
			c := Make(recs, Options{})
			file := filepath.Join(t.TempDir(), name+Extension)
			if err := os.WriteFile(file, written(t, c), 0o644); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("node", "testdata/player.mjs", root, file)
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			var got struct {
				Cols, Rows int
				Duration   float64 // seconds
				Markers    []string
				Screen     []string
			}
			if err := json.Unmarshal(out, &got); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if got.Cols != c.Header.Term.Cols || got.Rows != c.Header.Term.Rows {
				t.Errorf("a terminal of %d x %d", got.Cols, got.Rows)
			}
			if want := c.Events[len(c.Events)-1].At.Seconds(); got.Duration < want-0.002 || got.Duration > want+0.002 {
				t.Errorf("it takes %v s, want %v", got.Duration, want)
			}
			var markers []string
			for _, e := range c.Events {
				if e.Code == Marker && e.At > 0 { // those at 0 are in its list, and no event
					markers = append(markers, e.Data)
				}
			}
			if diff := cmp.Diff(markers, got.Markers); diff != "" {
				t.Errorf("markers (-ours +player)\n%s", diff)
			}
			want := cells(screen(c))
			if diff := cmp.Diff(want, got.Screen); diff != "" {
				t.Errorf("screen (-ours +player)\n%s", diff)
			}
		})
	}
}

// cells puts a space behind each wide character, as the player's terminal has it.
func cells(screen string) []string {
	var out []string
	for _, l := range strings.Split(strings.TrimRight(screen, "\n"), "\n") {
		var b strings.Builder
		for _, r := range l {
			b.WriteRune(r)
			if show.Width(string(r)) == 2 {
				b.WriteByte(' ')
			}
		}
		out = append(out, strings.TrimRight(b.String(), " "))
	}
	return out
}
