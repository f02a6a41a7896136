// Package mutant chooses, at run time, which piece of the code under test is left out. Only code that
// evals/mutate rewrote imports it: the project itself is never built with it.
package mutant

import (
	"os"
	"strconv"
	"sync/atomic"
)

// Environment variables: which mutant is on, and the file to which each point that is reached is
// written once, a line each.
const (
	EnvOn  = "SALLYPORT_MUTANT"
	EnvLog = "SALLYPORT_MUTANT_LOG"
)

var (
	on   = number(os.Getenv(EnvOn))
	file = open(os.Getenv(EnvLog))
	seen [1 << 16]atomic.Bool
)

// Keep says whether the piece of code with this number is there. Numbers start at 1.
func Keep(id int) bool {
	if file != nil {
		note(id)
	}
	return id != on
}

// KeepAt is Keep for the values of one case clause, numbered from first: is tells which of them it is.
func KeepAt(first int, is ...bool) bool {
	for i, yes := range is {
		if yes {
			return Keep(first + i)
		}
	}
	return true
}

// note writes at once: a test binary ends in ways that leave no time for it later.
func note(id int) {
	if !seen[id].Load() && !seen[id].Swap(true) {
		_, _ = file.WriteString(strconv.Itoa(id) + "\n")
	}
}

func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

func open(name string) *os.File {
	if name == "" {
		return nil
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		panic(err)
	}
	return f
}
