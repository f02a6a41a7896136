package replay

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Version of the renderer: two versions may draw the same records differently.
const Version = 2

// MediaType and Extension are those that the format suggests.
const (
	MediaType = "application/x-asciicast"
	Extension = ".cast"
)

// Cast is a replay, ready to be written or played.
type Cast struct {
	Header Header
	Events []Event
}

// Header is the first line of the file.
type Header struct {
	Version   int      `json:"version"`
	Term      Term     `json:"term"`
	Timestamp int64    `json:"timestamp,omitempty"` // Unix seconds, of the first record
	Title     string   `json:"title,omitempty"`
	Tags      []string `json:"tags,omitempty"`
	Source    Source   `json:"sallyport"` // the format tells others to ignore what they do not know
}

// Term is the terminal that a cast was made for.
type Term struct {
	Cols int    `json:"cols"`
	Rows int    `json:"rows"`
	Type string `json:"type"`
}

// Source says what a replay was made from, and by what.
type Source struct {
	Renderer int     `json:"renderer"` // Version
	Records  int     `json:"records"`
	First    uint64  `json:"first,omitempty"` // lowest position in the log
	Last     uint64  `json:"last,omitempty"`  // highest
	Idle     float64 `json:"idle"`            // seconds that longer waits were shortened to
}

// Code is what an event does.
type Code string

const (
	Output Code = "o"
	Marker Code = "m" // the beginning of a step; Data names it
)

// Event is something that happens At so long after the beginning.
type Event struct {
	At   time.Duration
	Code Code
	Data string
}

// Write writes c as asciicast v3. Intervals are in milliseconds and add up to the times of the events.
func Write(w io.Writer, c *Cast) error {
	out := bufio.NewWriter(w)
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(c.Header); err != nil {
		return err
	}
	out.Write(line.Bytes()) // a failure stays in the writer until Flush
	before := int64(0)
	for _, e := range c.Events {
		at := e.At.Round(time.Millisecond).Milliseconds()
		line.Reset()
		if err := enc.Encode(e.Data); err != nil {
			return err
		}
		fmt.Fprintf(out, "[%d.%03d, %q, %s]\n", (at-before)/1000, (at-before)%1000, e.Code, bytes.TrimSuffix(line.Bytes(), []byte("\n")))
		before = at
	}
	return out.Flush()
}
