package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Whoever tries many names at once has a few places, and the others are there for everybody else; of IPv6 a network is one.
func TestOneAddressDoesNotHoldAllLogins(t *testing.T) {
	for name, c := range map[string]struct {
		from  func(i int) string
		other string
	}{
		"one_address":  {func(int) string { return "203.0.113.9:1" }, "203.0.113.10:1"},
		"one_network":  {func(i int) string { return fmt.Sprintf("[2001:db8:0:1::%x]:1", i+1) }, "[2001:db8:0:2::1]:1"},
		"before_a_lot": {func(i int) string { return fmt.Sprintf("203.0.113.9:%d", i+1) }, "[::ffff:203.0.113.10]:1"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLogins(loginsQueued)
			var running, refused atomic.Int64
			var all sync.WaitGroup
			release := make(chan struct{})
			for i := range queuedOfAddress + 10 {
				r := httptest.NewRequest(http.MethodPost, "/login", nil)
				r.RemoteAddr = c.from(i)
				all.Go(func() {
					err := l.slowly(r, fmt.Sprint("name", i), func() error { running.Add(1); <-release; return nil })
					if errors.Is(err, errBusy) {
						refused.Add(1)
					}
				})
			}
			for end := time.Now().Add(5 * time.Second); running.Load() < loginsOfAddress || refused.Load() < 10; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%d run, %d are refused", running.Load(), refused.Load())
				}
			}
			ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
			defer stop()
			r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/login", nil)
			r.RemoteAddr = c.other
			if err := l.slowly(r, "ada", func() error { return nil }); err != nil {
				t.Errorf("somebody else: %v", err)
			}
			if n := running.Load(); n != loginsOfAddress {
				t.Errorf("%d of the address are checked at once", n)
			}
			close(release)
			all.Wait()
			if len(l.gates) != 0 || len(l.slots) != 0 || running.Load() != queuedOfAddress {
				t.Errorf("%d gates and %d places are left, %d came through", len(l.gates), len(l.slots), running.Load())
			}
		})
	}
}

// Who goes away while waiting leaves nothing behind.
func TestLogInsThatAreGivenUp(t *testing.T) {
	l := newLogins(loginsQueued)
	done, ok := l.enter(context.Background(), "a", "ada")
	if !ok {
		t.Fatal("there was room")
	}
	ctx, stop := context.WithCancel(context.Background())
	gone := make(chan bool)
	go func() { _, ok := l.enter(ctx, "a", "ada"); gone <- ok }()
	time.Sleep(10 * time.Millisecond)
	stop()
	if <-gone {
		t.Error("it came through")
	}
	done()
	if len(l.gates) != 0 || len(l.slots) != 0 {
		t.Errorf("%d gates and %d places are left", len(l.gates), len(l.slots))
	}
}
