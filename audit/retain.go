package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"sallyport/audit/internal/durable"
	"sallyport/internal/access"
)

// Retention says how long the classes of what is recorded are kept; 0 is for good. What was asked and answered does
// not outlive who asked.
type Retention struct {
	Content time.Duration // statements, parameters, reasons, released rows, errors
	Trace   time.Duration // who asked, under which policy, with what outcome
}

const (
	retainedName = "retained" // how far retention has come
	// retainMost is how many records one order of retention erases: what it writes stays small, and other orders need not
	// wait for all of it.
	retainMost = 1 << 16
	// retainLate is after how many records in a row that are to be kept the rest is taken to be. Records are nearly in
	// the order of their times.
	retainLate = 4096
	// RetentionBy is the principal of what retention erases.
	RetentionBy = "retention"
)

// retained is how far retention has come: all records up to a position are gone, or held.
type retained struct {
	Content uint64 `json:"content"`
	Trace   uint64 `json:"trace"`
	Lifted  uint64 `json:"lifted"` // position of the newest end of a hold: what that held is looked at again
}

// Retain erases what has been kept for long enough at a time, but for what is held, and records it. pause is called
// every now and then, and an error of it ends the work; nil for none. What it did until an error is done.
func (l *Log) Retain(r Retention, now time.Time, pause func() error) ([]*Erased, error) {
	var out []*Erased
	for _, c := range []struct {
		trace bool
		age   time.Duration
	}{{false, r.Content}, {true, r.Trace}} {
		for c.age > 0 {
			e, done, err := l.retain(Erasure{Before: now.Add(-c.age), Trace: c.trace}, pause)
			if err != nil {
				return out, err
			}
			if e.ID != "" {
				out = append(out, e)
			}
			if done {
				break
			}
		}
	}
	return out, nil
}

// retain erases up to retainMost records, and says whether those were all.
func (l *Log) retain(e Erasure, pause func() error) (*Erased, bool, error) {
	l.orders.Lock()
	defer l.orders.Unlock()
	all, err := l.ordersNow()
	if err != nil {
		return nil, false, err
	}
	mark, err := l.retained()
	if err != nil {
		return nil, false, err
	}
	for _, o := range all {
		if o.Kind == access.RecordLifted && o.Position > mark.Lifted {
			mark = retained{Lifted: o.Position}
		}
	}
	at, class := &mark.Content, "content"
	if e.Trace {
		at, class = &mark.Trace, "trace"
	}
	p, err := (&picker{dir: l.dir, e: e, holds: holdsOf(all), from: *at + 1, most: retainMost, late: retainLate, pause: pause}).pick()
	if err != nil {
		return nil, false, err
	}
	done := p.Records < retainMost
	out := &p.Erased
	if p.Records > 0 {
		why := "retention: " + class + " recorded before " + e.Before.UTC().Format(time.RFC3339)
		if out, err = l.destroy(p, &access.Order{ID: newOrderID("e_"), Scope: e.Scope(), Trace: e.Trace}, "", RetentionBy, why); err != nil {
			return nil, false, err
		}
	}
	*at = max(*at, min(p.clear, uint64(l.trees.heads().all.N))) // what a crash takes back comes again as something else
	data, err := json.Marshal(mark)
	if err == nil {
		err = durable.Replace(l.path(retainedName), data, 0o600)
	}
	if err != nil {
		return nil, false, openFailed(l.dir, fmt.Errorf("write %s: %w", retainedName, err))
	}
	return out, done, nil
}

func (l *Log) retained() (mark retained, err error) {
	data, err := os.ReadFile(l.path(retainedName))
	if errors.Is(err, fs.ErrNotExist) {
		return mark, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &mark)
	}
	if err != nil {
		return mark, openFailed(l.dir, fmt.Errorf("read %s: %w", retainedName, err))
	}
	return mark, nil
}
