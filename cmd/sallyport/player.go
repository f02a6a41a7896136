package main

import (
	"context"
	"io"
	"time"

	"sallyport/audit/replay"
)

// player plays a replay in a terminal.
type player struct {
	out   io.Writer
	keys  <-chan byte // nil where nobody types
	speed float64

	paused bool
	hurry  bool // no waiting until the next step begins, then pause
}

// play ends with the replay, or when somebody quits.
func (p *player) play(ctx context.Context, c *replay.Cast) error {
	var before time.Duration
	for _, e := range c.Events {
		wait := time.Duration(float64(e.At-before) / p.speed)
		before = e.At
		if e.Code == replay.Marker && p.hurry {
			p.hurry, p.paused = false, true
		}
		if !p.wait(ctx, wait) {
			return ctx.Err()
		}
		if e.Code != replay.Output {
			continue
		}
		if _, err := io.WriteString(p.out, e.Data); err != nil {
			return err
		}
	}
	return nil
}

// wait is true when it is time to go on, and false when that is never.
func (p *player) wait(ctx context.Context, left time.Duration) bool {
	for {
		var timer <-chan time.Time
		since := time.Now()
		switch {
		case p.hurry:
			left = 0
			fallthrough
		case !p.paused:
			t := time.NewTimer(left)
			defer t.Stop()
			timer = t.C
		}
		select {
		case <-ctx.Done():
			return false
		case <-timer:
			return true
		case key, ok := <-p.keys:
			if !p.paused {
				left -= time.Since(since)
			}
			if !ok {
				p.keys, p.paused = nil, false // nobody is there to go on
				continue
			}
			switch key {
			case ' ':
				p.paused, p.hurry = !p.paused, false
			case '.':
				p.paused, p.hurry = false, true
			case 'q', 'Q', 3, 4: // Ctrl-C and Ctrl-D are keys like others in a raw terminal
				return false
			}
		}
	}
}
