package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"sallyport/audit"
	"sallyport/audit/replay"
)

type replayOptions struct {
	*app
	data  string
	file  string
	speed float64
	idle  time.Duration
}

func newReplay(a *app) *cobra.Command {
	o := &replayOptions{app: a}
	cmd := &cobra.Command{
		Use:   "replay [SESSION|TASK]",
		Short: "Play a session or a task as it was seen, from the record",
		Long: `Replay plays what a session or a task asked, what was decided and what was answered, in the time that it took;
longer waits are shortened. Without an id it is the newest session. The beginning of an id will do.

In a terminal: space pauses, . goes on to the end of the step, q quits.

--out writes an asciicast v3 instead, for asciinema's tools. The same records give the same file. It holds the
answers as the client saw them: keep it as safe as the record.`,
		Example: `  sallyport replay s_8c1e --speed 4
  sallyport replay task_5f2c --out task.cast
  sallyport replay s_8c1e --out - | asciinema play -`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id := ""
			if len(args) > 0 {
				id = args[0]
			}
			return o.run(cmd.Context(), id)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.data, "data", "", "data directory (default: the configuration's)")
	f.StringVar(&o.file, "out", "", "write an asciicast to this file; - is standard output")
	f.Float64Var(&o.speed, "speed", 1, "play so many times as fast")
	f.DurationVar(&o.idle, "idle", 2*time.Second, "wait no longer than this")
	return cmd
}

func (o *replayOptions) run(ctx context.Context, id string) error {
	if !(o.speed > 0) {
		return usagef("--speed is more than 0, not %v", o.speed)
	}
	if o.idle <= 0 {
		return usagef("--idle is more than 0, not %v", o.idle)
	}
	screen, is := o.out.(*os.File)
	if is = is && term.IsTerminal(int(screen.Fd())); !is && o.file == "" {
		return usagef("standard output is no terminal: --out FILE%s writes the replay, --out - to standard output", replay.Extension)
	}
	dir, err := o.recordDir(o.data)
	if err != nil {
		return err
	}
	filter, err := either(ctx, dir, id)
	if err != nil {
		return err
	}
	recs, err := audit.Collect(among(ctx, dir, filter), filter)
	if err != nil {
		return err
	}
	opt := replay.Options{Idle: o.idle}
	if o.file != "" {
		return o.write(replay.Make(recs, opt))
	}
	if opt.Cols, opt.Rows, err = term.GetSize(int(screen.Fd())); err != nil {
		return fmt.Errorf("ask the terminal for its size: %w", err)
	}
	opt.Location = time.Local
	keys, restore, err := o.keys()
	if err != nil {
		return err
	}
	defer restore()
	if keys != nil {
		fmt.Fprint(o.err, "space: pause, .: on to the next step, q: quit\r\n\r\n")
	}
	p := player{out: o.out, keys: keys, speed: o.speed}
	return p.play(ctx, replay.Make(recs, opt))
}

func (o *replayOptions) write(c *replay.Cast) error {
	var file bytes.Buffer
	if err := replay.Write(&file, c); err != nil {
		return err
	}
	if o.file == "-" {
		_, err := o.out.Write(file.Bytes())
		return err
	}
	if err := os.WriteFile(o.file, file.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write the replay: %w", err)
	}
	steps := 0
	for _, e := range c.Events {
		if e.Code == replay.Marker {
			steps++
		}
	}
	fmt.Fprintf(o.err, "%s: %d steps, %v\n", o.file, steps, c.Events[len(c.Events)-1].At.Round(time.Second))
	return nil
}

// keys gives what is typed, where somebody can type, without waiting for the end of a line.
func (o *replayOptions) keys() (keys <-chan byte, restore func(), err error) {
	f, ok := o.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil, func() {}, nil
	}
	before, err := term.MakeRaw(int(f.Fd()))
	if err != nil {
		return nil, nil, fmt.Errorf("take keys from the terminal: %w", err)
	}
	typed := make(chan byte)
	go typing(f, typed) // a read of a terminal cannot be ended: it ends with the program
	return typed, func() { _ = term.Restore(int(f.Fd()), before) }, nil
}

func typing(r io.Reader, typed chan<- byte) {
	defer close(typed)
	var key [1]byte
	for {
		if _, err := r.Read(key[:]); err != nil {
			return
		}
		typed <- key[0]
	}
}
