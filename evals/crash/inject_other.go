//go:build !linux

package crash

import (
	"errors"
	"os/exec"
)

// Shim is not used where calls cannot be watched.
const Shim = "-shim"

var errNoFaults = errors.New("faults are injected on Linux only: use -faults 0")

// Exec gives an error.
func Exec([]string) error { return errNoFaults }

type injector struct{}

func inject(*exec.Cmd, fault, int) (*injector, func() error, error) { return nil, nil, errNoFaults }

func (*injector) arm() {}

func (*injector) count() int { return 0 }
