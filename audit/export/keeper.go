package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"time"

	"sallyport/audit/internal/show"
)

const (
	firstPause  = 250 * time.Millisecond
	longPause   = 30 * time.Second
	longestWait = 5 * time.Minute // that a receiver may ask for
	remindEvery = 5 * time.Minute // of an exporter that does not get on
	stopLong    = 10 * time.Minute
)

// stopPause is how long an exporter that is stopped waits before it looks whether that was mended; then twice as long.
var stopPause = 30 * time.Second

// keeper is what all exporters have: their place, their state, and the operator's ear. All but shared belongs to run.
type keeper struct {
	config   Config
	logDir   string
	stateDir string
	log      *slog.Logger
	stop     <-chan struct{} // closed: end when all is sent
	look     chan struct{}   // of one: whatever has stopped it may be mended

	said  time.Time // when the operator was told last
	stops int       // since it got on last
	cause string    // of the last stop

	mu     sync.Mutex
	shared Status
}

// errEnded ends an exporter that is asked to.
var errEnded = errors.New("ended")

// end comes last in a turn of run, and says whether there is another. An exporter that is stopped begins anew after a
// while, or when it is told to look: somebody may have mended what has stopped it. What has not been mended stops it again,
// in the same place.
func (k *keeper) end(ctx context.Context, err error) (more bool) {
	if errors.Is(err, errEnded) || ctx.Err() != nil {
		k.publish()
		return false
	}
	k.fail(Stopped, err)
	if err.Error() != k.cause || time.Since(k.said) >= remindEvery {
		k.report(err)
	}
	k.cause = err.Error()
	wait := time.NewTimer(min(stopPause<<min(k.stops, 8), stopLong))
	defer wait.Stop()
	k.stops++
	select {
	case <-wait.C:
		return true
	case <-k.look:
		k.stops, k.cause = 0, "" // whoever asks is told
		return true
	case <-k.stop:
	case <-ctx.Done():
	}
	return false
}

// wake has an exporter that is stopped look again.
func (k *keeper) wake() {
	select {
	case k.look <- struct{}{}:
	default:
	}
}

// fine is called when there is nothing to do.
func (k *keeper) fine() {
	k.mu.Lock()
	recovered := k.shared.State == Stopped
	if recovered {
		k.shared.State = Running
	}
	position := k.shared.Position
	k.mu.Unlock()
	k.stops, k.cause = 0, ""
	if recovered {
		k.log.Info("export goes on", "position", position)
		k.publish()
	}
}

// again is called when an attempt has failed, and waits for the next. Its error ends the exporter.
func (k *keeper) again(ctx context.Context, try int, err error) error {
	k.fail(Retrying, err)
	if try == 0 || time.Since(k.said) > remindEvery {
		k.report(err)
	}
	select {
	case <-k.stop: // this was the last attempt
		return errEnded
	default:
	}
	pause(ctx, waitFor(try, err), k.stop)
	return ctx.Err()
}

// keep makes a new cursor durable.
func (k *keeper) keep(c *cursor) error {
	if err := c.save(k.stateDir, k.config.Name); err != nil {
		return &stopped{at: c.Position, err: fmt.Errorf("the cursor cannot be saved: %w", err), hint: "make room in the folder of the cursors"}
	}
	k.mu.Lock()
	recovered := k.shared.State != Running
	k.shared.State, k.shared.Position, k.shared.Sent = Running, c.Position, time.Now().UTC()
	k.mu.Unlock()
	k.stops, k.cause = 0, ""
	if recovered {
		k.log.Info("export goes on", "position", c.Position)
		k.publish()
	}
	return nil
}

// at says where an exporter begins.
func (k *keeper) at(position uint64) {
	k.mu.Lock()
	k.shared.Position = position
	k.mu.Unlock()
	k.publish()
}

func (k *keeper) state() Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.shared
}

func (k *keeper) fail(s State, err error) {
	k.mu.Lock()
	k.shared.State, k.shared.Error, k.shared.At = s, show.Clean(err.Error()), time.Now().UTC()
	k.mu.Unlock()
	k.publish()
}

// report tells the operator that the exporter does not get on.
func (k *keeper) report(err error) {
	k.said = time.Now()
	st := k.state()
	hint := "it is tried again until the receiver takes it; nothing is dropped"
	var s *stopped
	if st.State == Stopped {
		hint = "nothing more is sent by it until that is mended; it looks again by itself, and at once on SIGHUP"
		if errors.As(err, &s) && s.hint != "" {
			hint = s.hint
		}
	}
	k.log.Error("export does not get on", "to", st.To, "state", string(st.State), "position", st.Position, "error", st.Error, "hint", hint)
}

// publish leaves the status for other processes. It is no promise, so it is not synced.
func (k *keeper) publish() {
	text, err := json.Marshal(k.state())
	if err == nil {
		err = writeFile(filepath.Join(k.stateDir, k.config.Name+statusSuffix), text)
	}
	if err != nil {
		k.log.Warn("status of an exporter not written", "error", err)
	}
}

// waitFor is how long to wait after try failures, with jitter, so that exporters of many nodes do not come back at once.
func waitFor(try int, err error) time.Duration {
	var l *later
	if errors.As(err, &l) && l.wait > 0 {
		return min(l.wait, longestWait) + rand.N(firstPause)
	}
	top := longPause
	if try < 7 {
		top = min(firstPause<<try, longPause)
	}
	return top/2 + rand.N(top/2)
}

// pause waits, and reports whether it did to the end.
func pause(ctx context.Context, d time.Duration, stop <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-stop:
	}
	return false
}
