package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"time"

	"sallyport/audit"
	"sallyport/internal/access"
)

const (
	pollEvery   = 200 * time.Millisecond
	batchBytes  = 1 << 20 // about, of the log
	firstPause  = 250 * time.Millisecond
	longPause   = 30 * time.Second
	longestWait = 5 * time.Minute // that a receiver may ask for
	remindEvery = 5 * time.Minute // of an exporter that does not get on
)

// exporter takes the records of the log to one receiver. All but shared belongs to run.
type exporter struct {
	config   Config
	logDir   string
	stateDir string
	log      *slog.Logger
	sink     sink
	enc      encoder // nil for a sink that takes records
	tail     *audit.Tail
	cursor   *cursor
	past     *past
	stop     <-chan struct{}

	due  time.Time // when the log is read next
	said time.Time // when the operator was told last

	mu     sync.Mutex
	shared Status
}

func newExporter(c Config, logDir, stateDir string, opt Options) (*exporter, error) {
	e := &exporter{config: c, logDir: logDir, stateDir: stateDir, log: opt.Log.With("exporter", c.Name)}
	switch c.Format {
	case OCSF:
		e.enc = ocsf{name: c.Name, version: opt.Version}
	default:
		e.enc = jsonLines{}
	}
	var to string
	var err error
	switch {
	case c.File != nil:
		to = "file " + c.File.Path
		e.sink, err = newFileSink(c.File)
	case c.Webhook != nil:
		to = "webhook " + c.Webhook.URL
		e.sink, err = newWebhook(c.Webhook, e.enc.mediaType())
	case c.Syslog != nil:
		to = "syslog " + c.Syslog.Address
		e.sink, err = newSyslog(c.Syslog)
	case c.OTLP != nil:
		to, e.enc = "otlp "+c.OTLP.URL, nil
		e.sink, err = newOTLP(c.OTLP, opt.Version)
	default:
		err = errors.New("it has no receiver")
	}
	if err != nil {
		return nil, err
	}
	for _, f := range c.Without {
		if without[f] == nil {
			return nil, errors.Join(fmt.Errorf("there is no field %q to be left out", f), e.sink.close())
		}
	}
	e.shared = Status{Name: c.Name, To: to, State: Running}
	return e, nil
}

// run sends the log until ctx ends, or until stop is closed and all is sent. It returns early when the exporter is stopped.
func (e *exporter) run(ctx context.Context) {
	err := e.begin()
	for err == nil {
		var b *batch
		if b, err = e.next(ctx); err == nil {
			err = e.deliver(ctx, b)
		}
	}
	if e.tail != nil {
		e.tail.Close()
	}
	if errors.Is(err, errEnded) || ctx.Err() != nil {
		e.publish()
		return
	}
	e.fail(Stopped, err)
	e.report(err)
	for remind := time.NewTicker(remindEvery); ; {
		select {
		case <-remind.C:
			e.report(err)
		case <-e.stop:
			remind.Stop()
			return
		case <-ctx.Done():
			remind.Stop()
			return
		}
	}
}

// begin finds the place in the log.
func (e *exporter) begin() error {
	c, err := loadCursor(e.stateDir, e.config.Name)
	if err != nil {
		return &stopped{err: err, hint: "repair or delete the cursor, then restart"}
	}
	next, err := audit.Next(e.logDir)
	if err != nil {
		return err
	}
	fresh := c == nil
	if fresh {
		c = &cursor{}
		if e.config.From != FromStart {
			c.Position = next - 1
		}
	}
	if c.Position >= next {
		return &stopped{at: c.Position, err: fmt.Errorf("the log ends with record %d, and record %d was sent already", next-1, c.Position),
			hint: "the log was cut or restored from an older copy: find out why; to go on with it as it is, delete the exporter's cursor"}
	}
	if e.tail, err = audit.OpenTail(e.logDir, c.Position+1); err != nil {
		return &stopped{at: c.Position + 1, err: err, hint: "records that were to be sent are missing from the log"}
	}
	if c.Log == "" {
		c.Log = e.tail.LogID()
	}
	if c.Log != e.tail.LogID() {
		return &stopped{at: c.Position, err: errors.New("the log is another one than the one that was sent until now"),
			hint: "where that is meant, delete the exporter's cursor"}
	}
	e.cursor, e.past = c, newPast(e.logDir, c)
	if fresh {
		if err := c.save(e.stateDir, e.config.Name); err != nil {
			return &stopped{at: c.Position, err: err, hint: "make the folder of the cursors writable, then restart"}
		}
	}
	if r, ok := e.sink.(recaller); ok {
		if err := e.recall(r, fresh, next); err != nil {
			return err
		}
	}
	e.publish()
	return nil
}

// recall moves the cursor to what the receiver has, where it knows better: the cursor was not moved yet when the process
// died.
func (e *exporter) recall(r recaller, fresh bool, next uint64) error {
	has, chain, err := r.recall(e.cursor.Log)
	switch {
	case err != nil:
		return &stopped{at: e.cursor.Position + 1, err: err, hint: "mend the file, then restart"}
	case has >= next:
		return &stopped{at: has, err: fmt.Errorf("the log ends with record %d, and the receiver has record %d", next-1, has),
			hint: "the log was cut or restored from an older copy: find out why"}
	case has != 0 && has < e.cursor.Position && !fresh:
		return &stopped{at: has + 1, err: fmt.Errorf("the receiver ends with record %d, and record %d was written to it already", has, e.cursor.Position),
			hint: "somebody has taken records away; to have them written again, set the exporter's cursor back, or name another file"}
	case has <= e.cursor.Position:
		return nil
	}
	for e.cursor.Position < has {
		_, err := e.tail.Read(batchBytes, func(rec *access.Record) error {
			if rec.Position > has {
				return errFound
			}
			if _, err := e.past.enter(rec); err != nil {
				return err
			}
			e.cursor.Position = rec.Position
			return nil
		})
		if err != nil && !errors.Is(err, errFound) {
			return err
		}
	}
	e.cursor.Chain = chain
	return nil
}

// errEnded ends an exporter that is asked to.
var errEnded = errors.New("ended")

// next waits for records and gives them as a batch. Whoever keeps up with the log reads it only so often, because each
// batch costs the disk some syncs, the log's own among them.
func (e *exporter) next(ctx context.Context) (*batch, error) {
	b := &batch{log: e.cursor.Log}
	for {
		ending := !pause(ctx, time.Until(e.due), e.stop)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		n, err := e.tail.Read(batchBytes, func(rec *access.Record) error {
			if want := e.cursor.Position + 1 + uint64(len(b.entries)); rec.Position != want {
				return &stopped{at: want, err: fmt.Errorf("the log gives record %d in its place", rec.Position)}
			}
			en, err := e.past.enter(rec)
			if err != nil {
				return err
			}
			b.entries = append(b.entries, strip(en, e.config.Without))
			return nil
		})
		if e.due = time.Now(); n < batchBytes/2 {
			e.due = e.due.Add(pollEvery)
		}
		switch {
		case len(b.entries) > 0: // an error comes again, when what is in front of it has been sent
			return b, nil
		case err != nil:
			return nil, err
		case ending:
			return nil, errEnded
		}
	}
}

// deliver sends a batch until it is acknowledged, and moves the cursor. A batch that is rejected is halved until it is
// known which record is meant.
func (e *exporter) deliver(ctx context.Context, b *batch) error {
	chains, err := e.encode(b)
	if err != nil {
		return err
	}
	for try := 0; ; try++ {
		err := e.sink.send(ctx, b)
		if err == nil {
			return e.acknowledged(b, chains)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if isRejected(err) {
			if len(b.entries) == 1 {
				return &stopped{at: b.first(), err: err, hint: "nothing after it is sent: mend the receiver, then restart"}
			}
			half := len(b.entries) / 2
			if err := e.deliver(ctx, &batch{log: b.log, entries: b.entries[:half], part: true}); err != nil {
				return err
			}
			return e.deliver(ctx, &batch{log: b.log, entries: b.entries[half:], part: b.part})
		}
		e.fail(Retrying, err)
		if try == 0 || time.Since(e.said) > remindEvery {
			e.report(err)
		}
		select {
		case <-e.stop: // this was the last attempt
			return errEnded
		default:
			pause(ctx, waitFor(try, err), e.stop)
		}
	}
}

// encode fills in the lines of a batch and gives the link after each.
func (e *exporter) encode(b *batch) ([]*link, error) {
	if e.enc == nil {
		return nil, nil
	}
	chain := e.cursor.Chain
	chains := make([]*link, len(b.entries))
	for i, en := range b.entries {
		line, after, err := e.enc.encode(en, chain)
		if err != nil {
			return nil, &stopped{at: en.Position, err: fmt.Errorf("it cannot be written as %s: %w", e.config.Format, err), hint: "please report this"}
		}
		b.lines = append(b.lines, line)
		chain, chains[i] = after, after
	}
	return chains, nil
}

func (e *exporter) acknowledged(b *batch, chains []*link) error {
	c := &cursor{Log: e.cursor.Log, Position: b.last(), Sessions: maps.Clone(e.past.sessions)}
	if b.part { // sessions that end in the rest of it are still to be known
		maps.Copy(c.Sessions, e.cursor.Sessions)
	}
	if len(chains) > 0 {
		c.Chain = chains[len(chains)-1]
	}
	if err := c.save(e.stateDir, e.config.Name); err != nil {
		return &stopped{at: b.last(), err: fmt.Errorf("the cursor cannot be saved: %w", err), hint: "make room in the folder of the cursors, then restart"}
	}
	e.cursor = c
	e.mu.Lock()
	recovered := e.shared.State != Running
	e.shared.State, e.shared.Position, e.shared.Sent = Running, c.Position, time.Now().UTC()
	e.mu.Unlock()
	if recovered {
		e.log.Info("export goes on", "position", c.Position)
		e.publish()
	}
	return nil
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

func (e *exporter) state() Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.shared
}

func (e *exporter) fail(s State, err error) {
	e.mu.Lock()
	e.shared.State, e.shared.Error, e.shared.At = s, visibleText(err.Error()), time.Now().UTC()
	e.mu.Unlock()
	e.publish()
}

// report tells the operator that the exporter does not get on.
func (e *exporter) report(err error) {
	e.said = time.Now()
	st := e.state()
	hint := "it is tried again until the receiver takes it; nothing is dropped"
	var s *stopped
	if st.State == Stopped {
		hint = "nothing more is sent by it"
		if errors.As(err, &s) && s.hint != "" {
			hint = s.hint
		}
	}
	e.log.Error("export does not get on", "to", st.To, "state", string(st.State), "position", st.Position, "error", st.Error, "hint", hint)
}

// publish leaves the status for other processes. It is no promise, so it is not synced.
func (e *exporter) publish() {
	e.mu.Lock()
	if e.cursor != nil {
		e.shared.Position = e.cursor.Position
	}
	st := e.shared
	e.mu.Unlock()
	text, err := json.Marshal(st)
	if err == nil {
		err = writeFile(filepath.Join(e.stateDir, e.config.Name+statusSuffix), text, false)
	}
	if err != nil {
		e.log.Warn("status of an exporter not written", "error", err)
	}
}
