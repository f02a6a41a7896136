package crash

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"sallyport/evals/harness"
	"sallyport/evals/results"
)

// part is how much of a write that fails is written all the same.
type part int

const (
	nowhere part = iota
	half         // half of it, and then it fails
	short        // half of it, and that is what is said
)

// fault is a call that fails, on files of a name.
type fault struct {
	name  string
	call  string // write (at an offset), sync, rename
	file  string // pattern of the last element; of a rename, of the new name
	errno syscall.Errno
	part  part
	data  bool // writes of nothing but zeros go on
	once  bool // only one call fails
	// harmless: nobody waits for that file, or what fails is tried again.
	harmless bool
	end      bool // the call comes when the gateway ends
	// after are numbers of calls that go on before; nil is afterMany. Some calls are few in a life.
	after []int
}

var afterMany = []int{0, 1, 7, 40}

var faults = []fault{
	{name: "write.segment", call: "write", file: "*.seg", errno: syscall.EIO},
	{name: "write.segment.once", call: "write", file: "*.seg", errno: syscall.EIO, once: true},
	{name: "write.segment.full", call: "write", file: "*.seg", errno: syscall.ENOSPC},
	{name: "write.segment.half", call: "write", file: "*.seg", errno: syscall.EIO, part: half},
	{name: "write.segment.short", call: "write", file: "*.seg", part: short, harmless: true},
	{name: "sync.segment", call: "sync", file: "*.seg", errno: syscall.EIO},
	{name: "sync.segment.once", call: "sync", file: "*.seg", errno: syscall.EIO, once: true},
	{name: "rename.segment", call: "rename", file: "*.seg", errno: syscall.EIO, after: []int{0, 1}},
	{name: "write.next_segment.header", call: "write", file: "spare.tmp", errno: syscall.EIO, data: true, after: []int{0, 1}},
	{name: "write.next_segment.full", call: "write", file: "spare.tmp", errno: syscall.ENOSPC, after: []int{0, 4, 5, 8}},
	{name: "sync.next_segment", call: "sync", file: "spare.tmp", errno: syscall.EIO, after: []int{0, 1, 2, 3}},
	{name: "sync.folder", call: "sync", file: "log", errno: syscall.EIO, after: []int{0, 1}},
	{name: "write.tree", call: "write", file: "tree", errno: syscall.EIO, harmless: true, end: true, after: []int{0}},
	{name: "sync.tree", call: "sync", file: "tree", errno: syscall.EIO, harmless: true, end: true, after: []int{0}},
	{name: "sync.checkpoint", call: "sync", file: "checkpoint.*.tmp", errno: syscall.EIO, harmless: true, end: true, after: []int{0, 1, 2}},
	{name: "rename.checkpoint", call: "rename", file: "checkpoint", errno: syscall.EIO, harmless: true, end: true, after: []int{0, 1}},
	{name: "rename.keys", call: "rename", file: "*.key", errno: syscall.EIO, harmless: true, after: []int{0}},
}

// faults runs each fault up to so many times, each time with more calls that go on before.
func (d *drill) faults(ctx context.Context, times int) (*tally, error) {
	t := &tally{faults: map[string]int{}}
	for _, f := range faults {
		after := f.after
		if after == nil {
			after = afterMany
		}
		after = after[:min(times, len(after))]
		for _, n := range after {
			if err := d.fault(ctx, f, n, t); err != nil {
				return nil, fmt.Errorf("%s after %d calls: %w", f.name, n, err)
			}
		}
		fmt.Printf("fault %-28s injected in %d of %d lives; %d unrecorded, %d lost, %d unexplained\n", f.name, t.faults[f.name], len(after), len(t.unrecorded)+len(t.unintended), len(t.lost), len(t.unexplained))
	}
	return t, nil
}

// longest is how long clients go on until a fault comes, and then until they are told.
const longest = 15 * time.Second

// fault has one life with a fault, and then one without on the same data directory.
func (d *drill) fault(ctx context.Context, f fault, after int, t *tally) error {
	spec := d.spec
	spec.Audit = map[string]any{"index": false} // it syncs what it reads: a fault that comes once would be the index's, and nobody waits for that
	g, err := harness.Prepare(spec)
	if err != nil {
		return err
	}
	defer g.Stop()
	var in *injector
	var attach func() error
	started := g.Launch(func(cmd *exec.Cmd) { in, attach, err = inject(cmd, f, after) })
	if err := errors.Join(err, started); err != nil {
		return err
	}
	if err := attach(); err != nil {
		return err
	}
	t.kills++
	s := newSeen()
	if ok, told := answers(ctx, g); ok {
		stop := s.load(ctx, g, t.kills)
		for end := time.Now().Add(longest); time.Now().Before(end) && in.count() == 0 && !(f.end && time.Until(end) < longest-time.Second); {
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(200 * time.Millisecond)
		for end := time.Now().Add(longest); in.count() > 0 && !f.harmless && !s.refused() && time.Now().Before(end); {
			time.Sleep(20 * time.Millisecond)
		}
		if f.end {
			g.End()
		} else {
			g.Kill()
		}
		stop()
	} else {
		t.failedStart(g, told)
		g.Kill()
		if in.count() == 0 {
			return fmt.Errorf("it does not start: %s", g.LogTail())
		}
	}
	if in.count() > 0 {
		t.faults[f.name]++
		t.explain(f, g, s)
	}
	return d.settle(ctx, g, s, t)
}

// refused is whether a client was told that the record cannot be written.
func (s *seen) refused() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.codes[ioError] != "" || s.codes[diskFull] != ""
}

// explain wants a fault to be told: to the operator where it came, and to clients that are answered no more.
func (t *tally) explain(f fault, g *harness.Gateway, s *seen) {
	if f.errno == 0 {
		return
	}
	log := g.LogTail()
	told := strings.Contains(log, f.errno.Error()) || strings.Contains(log, "audit") && strings.Contains(strings.ToLower(log), "error")
	refused := s.refused() || len(s.rows) == 0 // it did not start
	if panicked.MatchString(log) || !told && !f.harmless || !refused && !f.harmless {
		t.unexplained = append(t.unexplained, f.name)
		fmt.Printf("FOUND %s is not explained: clients were told %v, the operator: %s\n", f.name, s.codes, log)
	}
}

// faultFigures are those of the faults.
func (t *tally) faultFigures() []results.Figure {
	injected := 0
	for _, n := range t.faults {
		injected += n
	}
	var out []results.Figure
	for _, f := range t.figures("crash.faults.") {
		switch f.Name {
		case "crash.faults.kills":
			f = results.Count("crash.faults.injected", injected, t.kills)
			f.Note = "lives in which a write, sync or rename failed"
		case "crash.faults.starts_unexplained":
			f = results.Count("crash.faults.unexplained", len(t.unexplained), injected)
			f.Note = fmt.Sprintf("faults of which the operator's log or clients were not told, and starts that failed without a reason; %d starts were refused with one", t.refused)
		}
		out = append(out, f)
	}
	for _, name := range slices.Sorted(maps.Keys(t.faults)) {
		out = append(out, results.Count("crash.faults.injected."+name, t.faults[name], t.kills))
	}
	return out
}
