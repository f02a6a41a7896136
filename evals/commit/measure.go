package commit

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"
)

// cell is one store with so many callers in one round.
type cell struct {
	perSecond       float64
	p50, p99        time.Duration
	cpu             float64 // us of the process a record
	stored, written float64 // bytes a record
}

// measure has callers make records durable, each waiting for its own, for so long.
func measure(s store, parent string, callers int, d time.Duration) (cell, error) {
	dir, err := os.MkdirTemp(parent, s.name+"-")
	if err != nil {
		return cell{}, err
	}
	defer os.RemoveAll(dir)
	o, err := s.open(dir, callers)
	if err != nil {
		return cell{}, err
	}
	before, err := stored(dir)
	if err != nil {
		return cell{}, err
	}
	took, elapsed, cpu, written, err := load(o, callers, d)
	if closed := o.close(); err == nil {
		err = closed
	}
	if err != nil {
		return cell{}, err
	}
	after, err := stored(dir)
	if err != nil {
		return cell{}, err
	}
	slices.Sort(took)
	n := float64(len(took))
	if s.name == "floor" { // each call stands for one of every caller
		n *= float64(callers)
	}
	return cell{
		perSecond: n / elapsed.Seconds(), p50: took[len(took)/2], p99: took[len(took)*99/100],
		cpu: float64(cpu.Microseconds()) / n, stored: float64(after-before) / n, written: float64(written) / n,
	}, nil
}

// load runs the callers and gives how long each call took, and what they cost the process.
func load(o opened, callers int, d time.Duration) (took []time.Duration, elapsed, cpu time.Duration, written int64, err error) {
	runtime.GC()
	var mu sync.Mutex
	var wg sync.WaitGroup
	cpuBefore, writtenBefore := used(), wrote()
	start := time.Now()
	end := start.Add(d)
	for c := range callers {
		put := o.caller(c)
		if put == nil {
			continue
		}
		wg.Go(func() {
			mine := make([]time.Duration, 0, 1<<12)
			var failed error
			for now := time.Now(); now.Before(end); {
				if failed = put(); failed != nil {
					break
				}
				then := time.Now()
				mine = append(mine, then.Sub(now))
				now = then
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, mine...)
			if failed != nil {
				err = failed
			}
		})
	}
	wg.Wait()
	elapsed = time.Since(start)
	if err == nil && len(took) == 0 {
		err = fmt.Errorf("nothing was made durable within %s", d)
	}
	return took, elapsed, used() - cpuBefore, wrote() - writtenBefore, err
}

// used is the processor time of this process.
func used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// wrote is what this process has had written to disks (Linux; 0 elsewhere).
func wrote() int64 {
	b, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0
	}
	var n int64
	for line := range bytes.Lines(b) {
		if _, err := fmt.Sscanf(string(line), "write_bytes: %d", &n); err == nil {
			return n
		}
	}
	return 0
}

// stored is the size of all files below dir without the room at their ends that is not used yet.
func stored(dir string) (int64, error) {
	var n int64
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		n += int64(len(bytes.TrimRight(b, "\x00")))
		return err
	})
	return n, err
}
