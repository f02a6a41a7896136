//go:build !linux

package audit

import "sync"

// bell wakes one goroutine.
type bell struct {
	c    chan struct{}
	once sync.Once
}

func newBell() (*bell, error) { return &bell{c: make(chan struct{}, 1)}, nil }

func (b *bell) signal()    { b.c <- struct{}{} }
func (b *bell) wait() bool { _, ok := <-b.c; return ok }
func (b *bell) close()     { b.once.Do(func() { close(b.c) }) }

func shortSlice() {}
