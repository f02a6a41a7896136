package export

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"sallyport/audit"
	"sallyport/internal/access"
)

const (
	pollEvery  = 200 * time.Millisecond
	batchBytes = 1 << 20 // about, of the log
)

// exporter takes the records of the log to one receiver.
type exporter struct {
	*keeper
	sink   sink
	enc    encoder // nil for a sink that takes records
	tail   *audit.Tail
	cursor *cursor
	past   *past
	due    time.Time // when the log is read next
	saved  time.Time // when the cursor was that was moved by passOver
}

func newExporter(c Config, k *keeper, version string) (*exporter, error) {
	e := &exporter{keeper: k, enc: jsonLines{}}
	if c.Format == OCSF {
		e.enc = ocsf{name: c.Name, version: version}
	}
	var err error
	switch {
	case c.File != nil:
		k.shared.To = "file " + c.File.Path
		e.sink, err = newFileSink(c.File)
	case c.Webhook != nil:
		k.shared.To = "webhook " + Place(c.Webhook.URL)
		e.sink, err = newWebhook(c.Webhook, e.enc.mediaType())
	case c.Syslog != nil:
		k.shared.To = "syslog " + c.Syslog.Address
		e.sink, err = newSyslog(c.Syslog)
	case c.OTLP != nil:
		k.shared.To, e.enc = "otlp "+Place(c.OTLP.URL), nil
		e.sink, err = newOTLP(c.OTLP, version)
	case c.Receiver != nil:
		k.shared.To, e.enc = c.Receiver.Place(), nil
		e.sink = receiverSink{c.Receiver}
	default:
		err = errors.New("it has no receiver")
	}
	return e, err
}

func (e *exporter) close() error { return e.sink.close() }

// run sends the log until ctx ends, or until stop is closed and all is sent.
func (e *exporter) run(ctx context.Context) {
	for e.turn(ctx) {
	}
}

// turn sends the log until it cannot, and says whether to begin anew.
func (e *exporter) turn(ctx context.Context) (more bool) {
	err := e.begin()
	for err == nil {
		var b *batch
		if b, err = e.next(ctx); err == nil {
			err = e.deliverAll(ctx, b)
		}
	}
	if e.tail != nil {
		e.tail.Close()
		e.tail = nil
	}
	return e.end(ctx, err)
}

// begin finds the place in the log.
func (e *exporter) begin() error {
	c, err := loadCursor(e.stateDir, e.config.Name)
	if err != nil {
		return &stopped{err: err, hint: "repair or delete the cursor"}
	}
	fresh := c == nil
	if !fresh {
		e.at(c.Position)
	}
	next, err := audit.Next(e.logDir)
	if err != nil {
		return err
	}
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
	e.tail.Only(e.config.Kinds...)
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
			return &stopped{at: c.Position, err: err, hint: "make the folder of the cursors writable"}
		}
	}
	if r, ok := e.sink.(recaller); ok {
		if err := e.recall(r, fresh, next); err != nil {
			return err
		}
	}
	e.at(e.cursor.Position)
	return nil
}

// recall moves the cursor to what the receiver has, where it knows better: the cursor was not moved yet when the process
// died.
func (e *exporter) recall(r recaller, fresh bool, next uint64) error {
	has, chain, err := r.recall(e.cursor.Log)
	switch {
	case err != nil:
		return &stopped{at: e.cursor.Position + 1, err: err, hint: "mend the file"}
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
		_, err := e.tail.Read(batchBytes, func(rec *access.Record, _ tlog.Hash) error {
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

// next waits for records and gives them as a batch. Whoever keeps up with the log reads it only so often, because each
// batch costs the disk some syncs, the log's own among them.
func (e *exporter) next(ctx context.Context) (*batch, error) {
	b := &batch{log: e.cursor.Log}
	for {
		ending := !pause(ctx, time.Until(e.due), e.stop)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		n, err := e.tail.Read(batchBytes, func(rec *access.Record, leaf tlog.Hash) error {
			if want := e.cursor.Position + 1 + uint64(len(b.entries)); rec.Position != want && len(e.config.Kinds) == 0 {
				return &stopped{at: want, err: fmt.Errorf("the log gives record %d in its place", rec.Position)}
			}
			en := entry{Record: rec, log: b.log}
			if e.config.Receiver == nil {
				var err error
				if en, err = e.past.enter(rec); err != nil {
					return err
				}
			}
			en.leaf = hex.EncodeToString(leaf[:])
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
		case ending && n == 0:
			return nil, errEnded
		}
		if err := e.passOver(); err != nil {
			return nil, err
		}
		e.fine()
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
				return &stopped{at: b.first(), err: err, hint: "nothing after it is sent: mend the receiver"}
			}
			half := len(b.entries) / 2
			if err := e.deliver(ctx, &batch{log: b.log, entries: b.entries[:half], part: true}); err != nil {
				return err
			}
			return e.deliver(ctx, &batch{log: b.log, entries: b.entries[half:], part: b.part})
		}
		if err := e.again(ctx, try, err); err != nil {
			return err
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
	if err := e.keep(c); err != nil {
		return err
	}
	e.cursor = c
	return nil
}
