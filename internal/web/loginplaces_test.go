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
	"testing/synctest"
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
			for end := time.Now().Add(30 * time.Second); running.Load() < loginsOfAddress || refused.Load() < 10; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%d run, %d are refused", running.Load(), refused.Load())
				}
			}
			ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
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
	r := httptest.NewRequest(http.MethodPost, "/login", nil)
	err := l.slowly(r, "ada", func() error {
		ctx, stop := context.WithCancel(context.Background())
		gone := make(chan error)
		go func() {
			gone <- l.slowly(r.Clone(ctx), "ada", func() error { t.Error("it came through"); return nil })
		}()
		time.Sleep(10 * time.Millisecond)
		stop()
		return <-gone
	})
	if !errors.Is(err, errBusy) {
		t.Error(err)
	}
	if err := l.slowly(r, "ada", func() error { return nil }); err != nil {
		t.Error(err)
	}
	if len(l.gates) != 0 || len(l.slots) != 0 {
		t.Errorf("%d gates and %d places are left", len(l.gates), len(l.slots))
	}
}

// Whoever guesses for many names from one address is no faster than a few at a time that wait; what is right does not wait at all.
func TestManyNamesAreGuessedNoFaster(t *testing.T) {
	wrong := errors.New("wrong")
	for name, c := range map[string]struct {
		address func(i int) string
		hurries bool // hangs up at once
	}{
		"one_address": {func(int) string { return "203.0.113.9:1" }, false},
		"one_network": {func(i int) string { return fmt.Sprintf("[2001:db8:0:1::%x]:1", i+1) }, false},
		"hanging_up":  {func(int) string { return "203.0.113.9:1" }, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLogins(loginsQueued)
				const minute = time.Minute
				began := time.Now()
				var checked atomic.Int64
				var all sync.WaitGroup
				for i := range queuedOfAddress - 1 {
					all.Go(func() {
						for n := 0; time.Since(began) < minute; n++ {
							ctx, stop := context.WithCancel(context.Background())
							r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/login", nil)
							r.RemoteAddr = c.address(i)
							if c.hurries {
								time.AfterFunc(time.Millisecond, stop)
							}
							l.slowly(r, fmt.Sprint("name", i, "-", n), func() error { checked.Add(1); return wrong })
							stop()
							if c.hurries {
								time.Sleep(loginDelay) // it has no place yet, and loops
							}
						}
					})
				}
				if !c.hurries { // else all places are theirs
					r := httptest.NewRequest(http.MethodPost, "/login", nil)
					r.RemoteAddr = c.address(0)
					for time.Sleep(5 * loginDelay); time.Since(began) < minute/2; time.Sleep(loginDelay / 7) {
						at := time.Now()
						if err := l.slowly(r, "ada", func() error { return nil }); err != nil || time.Since(at) != 0 {
							t.Fatalf("the right password: %v after %s", err, time.Since(at))
						}
					}
				}
				all.Wait()
				time.Sleep(minute)
				most := int64(minute/loginDelay)*loginsOfAddress + queuedOfAddress
				if n := checked.Load(); n > most || n < most/2 {
					t.Errorf("%d guesses in %s: at most %d, and it should not be far fewer", n, minute, most)
				}
				if len(l.gates) != 0 || len(l.slots) != 0 {
					t.Errorf("%d gates and %d places are left", len(l.gates), len(l.slots))
				}
			})
		})
	}
}

// Many people behind one address come back from a provider at the same moment. Who fails there keeps the place of the address for a while, hung up or not.
func TestManyComeBackFromAProviderAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLogins(exchangesQueued)
		l.holds = true
		ctx, stop := context.WithCancel(context.Background())
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, callbackPath, nil)
		var through, busy atomic.Int64
		var all sync.WaitGroup
		for range exchangesQueued + 1 {
			all.Go(func() {
				if err := l.slowly(r, "", func() error { time.Sleep(time.Millisecond); return nil }); err == nil {
					through.Add(1)
				} else if errors.Is(err, errBusy) {
					busy.Add(1)
				}
			})
		}
		all.Wait()
		if through.Load() != exchangesQueued || busy.Load() != 1 {
			t.Errorf("%d came through, %d were turned away", through.Load(), busy.Load())
		}
		began := time.Now()
		if err := l.slowly(r, "", func() error { stop(); return errForm }); err != errForm || time.Since(began) != 0 {
			t.Errorf("who hangs up: %v after %s", err, time.Since(began))
		}
		if err := l.slowly(httptest.NewRequest(http.MethodGet, callbackPath, nil), "", func() error { return nil }); err != nil || time.Since(began) < loginDelay {
			t.Errorf("behind one that failed: %v after %s", err, time.Since(began))
		}
	})
}
