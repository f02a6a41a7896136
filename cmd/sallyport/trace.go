package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"sallyport/audit"
	"sallyport/internal/access"
	"sallyport/internal/config"
)

type traceOptions struct {
	*app
	data         string
	since, until string
	door         string
	filter       audit.Filter
	json, check  bool
	rows         int
	color        string
}

func newTrace(a *app) *cobra.Command {
	o := &traceOptions{app: a}
	cmd := &cobra.Command{
		Use:   "trace",
		Short: "Show what was asked, why, what was decided and what was answered",
		Long: `Trace prints the record, session by session, step by step. It only reads, so it works beside a running
gateway. What came from clients or databases is stripped of control characters.`,
		Example: `  sallyport trace --since 1h
  sallyport trace --principal support-agent --refused
  sallyport trace --task task_5f2c --rows 50
  sallyport trace --session s_8c1e --json | jq .sql
  sallyport trace --check`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), time.Now()) },
	}
	f := cmd.Flags()
	f.StringVar(&o.data, "data", "", "data directory (default: the configuration's)")
	f.StringVar(&o.filter.Session, "session", "", "only this session; the beginning of its id will do")
	f.StringVar(&o.filter.Task, "task", "", "only this task; the beginning of its id will do")
	f.StringVar(&o.filter.Principal, "principal", "", "only this principal")
	f.StringVar(&o.filter.Connection, "connection", "", "only this connection")
	f.StringVar(&o.door, "door", "", "only this door: pgwire or mcp")
	f.StringVar(&o.since, "since", "", "not before: a span (1h, 2d) or a time (2027-01-31T08:00:00Z)")
	f.StringVar(&o.until, "until", "", "before: a span or a time")
	f.BoolVar(&o.filter.Refused, "refused", false, "only what was refused")
	f.IntVar(&o.filter.Last, "last", 0, "only the newest so many records")
	f.IntVar(&o.rows, "rows", 10, "rows shown of each result; 0 for none")
	f.BoolVar(&o.json, "json", false, "one JSON record a line")
	f.BoolVar(&o.check, "check", false, "check the whole record for damage and gaps instead")
	f.StringVar(&o.color, "color", "auto", "auto, always or never")
	return cmd
}

func (o *traceOptions) run(ctx context.Context, now time.Time) error {
	dir, err := o.recordDir(o.data)
	if err != nil {
		return err
	}
	if o.check {
		return o.verify(dir)
	}
	if o.filter.Since, err = moment("--since", o.since, now); err != nil {
		return err
	}
	if o.filter.Until, err = moment("--until", o.until, now); err != nil {
		return err
	}
	if o.door != "" && o.door != string(access.DoorPGWire) && o.door != string(access.DoorMCP) {
		return usagef("--door is pgwire or mcp, not %q", o.door)
	}
	o.filter.Door = access.Door(o.door)
	if err := complete(ctx, dir, &o.filter); err != nil {
		return err
	}
	recs, err := audit.Collect(among(ctx, dir, o.filter), o.filter)
	if err != nil {
		return err
	}
	if o.json {
		return audit.JSON(o.out, recs)
	}
	if len(recs) == 0 {
		fmt.Fprintln(o.err, "nothing recorded that matches")
		return nil
	}
	opt := audit.RenderOptions{Rows: o.rows, Location: time.Local}
	if o.rows == 0 {
		opt.Rows = -1
	}
	if opt.Color, opt.Width, err = terminal(o.out, o.color); err != nil {
		return err
	}
	return audit.Render(o.out, recs, opt)
}

// recordDir is the directory of the log in the data directory, which is the configuration's where data is empty.
func (a *app) recordDir(data string) (string, error) {
	if data == "" {
		cfg, err := config.LoadOffline(a.config)
		if err != nil {
			return "", fmt.Errorf("%w\n  hint: --data DIR reads a record without a configuration", err)
		}
		data = cfg.DataDir
	}
	dir, err := logDir(data)
	if err != nil {
		return "", err
	}
	return dir, a.unwrap(dir)
}

// verify says whether the record is sound, and where it is not.
func (o *traceOptions) verify(dir string) error {
	report, err := audit.Check(dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(o.out, "%d records of %d sessions in %d segments; %d sessions open, %d intents without an outcome\n",
		report.Records, report.Sessions, report.Segments, len(report.Open), len(report.Dangling))
	for _, p := range report.Problems {
		fmt.Fprintln(o.out, "  "+p.String())
	}
	if !report.Sound() {
		fmt.Fprintln(o.out, "the record is damaged")
		return errReported
	}
	fmt.Fprintln(o.out, "sound")
	return nil
}

// moment reads a time, or a span back from now.
func moment(flag, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, ok := age(s); ok {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usagef("%s %s is neither a span (1h, 2d) nor a time (2027-01-31T08:00:00Z)", flag, s)
}

// terminal says whether to colour and how wide lines may be.
func terminal(out any, color string) (bool, int, error) {
	width, is := 0, false
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		is = true
		if w, _, err := term.GetSize(int(f.Fd())); err == nil {
			width = w
		}
	}
	switch color {
	case "always":
		return true, width, nil
	case "never":
		return false, width, nil
	case "auto":
		return is && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb", width, nil
	}
	return false, 0, usagef("--color is auto, always or never, not %q", color)
}

// plain gives the cause of an I/O error without repeating the path.
func plain(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
