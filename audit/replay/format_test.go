package replay

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"sallyport/internal/access"
)

// conforms checks a file against the published format, revision 2025-10-20, as a reader would that knows nothing of ours.
func conforms(file []byte) error {
	if !utf8.Valid(file) || !bytes.HasSuffix(file, []byte("\n")) {
		return fmt.Errorf("not UTF-8 in lines")
	}
	lines := bufio.NewScanner(bytes.NewReader(file))
	lines.Buffer(nil, 1<<26)
	if !lines.Scan() {
		return fmt.Errorf("no header")
	}
	var header struct {
		Version *int
		Term    *struct {
			Cols, Rows    *int
			Type, Version *string
		}
		Timestamp     *int64
		IdleTimeLimit *float64 `json:"idle_time_limit"`
		Command       *string
		Title         *string
		Env           map[string]string
		Tags          []string
	}
	if err := json.Unmarshal(lines.Bytes(), &header); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	if header.Version == nil || *header.Version != 3 || header.Term == nil || header.Term.Cols == nil || header.Term.Rows == nil || *header.Term.Cols < 1 || *header.Term.Rows < 1 {
		return fmt.Errorf("header lacks what is required: %s", lines.Text())
	}
	events := 0
	for n := 2; lines.Scan(); n++ {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		var event []json.RawMessage
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil || len(event) != 3 {
			return fmt.Errorf("line %d is no event of three: %s", n, lines.Text())
		}
		var interval float64
		var code, data string
		for i, into := range []any{&interval, &code, &data} {
			if err := json.Unmarshal(event[i], into); err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
		}
		if interval < 0 || math.IsInf(interval, 0) || !strings.Contains("oimrx", code) || len(code) != 1 {
			return fmt.Errorf("line %d: interval %v, code %q", n, interval, code)
		}
		for _, r := range lines.Text() {
			if r < ' ' || r == 0x7f {
				return fmt.Errorf("line %d has %U as it is", n, r)
			}
		}
		events++
	}
	if events == 0 {
		return fmt.Errorf("no events") // not asked for by the format; asciinema-player refuses it
	}
	return lines.Err()
}

func TestFilesConformToTheFormat(t *testing.T) {
	for name, recs := range map[string][]*access.Record{"psql": psql(t), "mcp": agent(t), "none": nil, "hostile": hostile(t, attack)} {
		if err := conforms(written(t, Make(recs, Options{}))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range []string{"", "{\"version\":2,\"width\":80,\"height\":24}\n[1,\"o\",\"x\"]\n", "{\"version\":3,\"term\":{\"cols\":80}}\n[1,\"o\",\"x\"]\n",
		"{\"version\":3,\"term\":{\"cols\":80,\"rows\":24}}\n[-1,\"o\",\"x\"]\n", "{\"version\":3,\"term\":{\"cols\":80,\"rows\":24}}\n[1,\"o\"]\n"} {
		if conforms([]byte(bad)) == nil {
			t.Errorf("passes: %q", bad)
		}
	}
}

// TestIntervalsAddUp: rounding each interval by itself would be 4 s short at the end.
func TestIntervalsAddUp(t *testing.T) {
	c := &Cast{}
	for i := range 10_000 {
		c.Events = append(c.Events, Event{At: time.Duration(i+1) * 1400 * time.Microsecond, Code: Output})
	}
	sum := 0.0
	for _, l := range strings.Split(string(written(t, c)), "\n")[1:] {
		var event []any
		if json.Unmarshal([]byte(l), &event) == nil {
			sum += event[0].(float64)
		}
	}
	if math.Abs(sum-14) > 0.001 {
		t.Errorf("they add up to %v s, want 14", sum)
	}
}

func TestGoldenFilesConform(t *testing.T) {
	for _, name := range []string{"psql", "mcp"} {
		file, err := os.ReadFile("testdata/" + name + Extension)
		if err != nil {
			t.Fatal(err)
		}
		if err := conforms(file); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
