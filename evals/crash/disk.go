package crash

import (
	"math"
	"os/exec"
	"syscall"
)

// Disk is one under a gateway that can be made full, for other drills.
type Disk struct{ in *injector }

// Fillable changes a command so that writes at an offset to files of a name fail with ENOSPC once Fill was called. attach is called when
// the command has been started. The drill's program has to call Exec where its first argument is Shim.
func Fillable(cmd *exec.Cmd, file string) (d *Disk, attach func() error, err error) {
	in, attach, err := inject(cmd, fault{name: "full", call: "write", file: file, errno: syscall.ENOSPC}, math.MaxInt)
	return &Disk{in}, attach, err
}

// Fill makes the disk full.
func (d *Disk) Fill() { d.in.arm() }

// Hits is how many writes have failed.
func (d *Disk) Hits() int { return d.in.count() }
