package notify

import (
	"time"

	"sallyport/internal/access"
)

// Whoever may ask could ask and withdraw on and on, and have people look away from a channel. So of one who asks it tells so many requests in a
// while; the last of them says that it is quiet about them then. All are in the inbox, what is decided and done is told as ever, and so is a broken glass.
const (
	mostAsked = 30
	askedIn   = 10 * time.Minute
	mostKnown = 1000 // who ask that are remembered without looking for those whose time is over
)

type asker struct{ principal, actor string }

type asking struct {
	since time.Time
	n     int
}

// flood counts what a channel tells of each who asks. Times are those of the records, so a channel that lags behind tells the same. What came before the
// gateway began is not known to it.
type flood struct {
	by   map[asker]*asking
	last uint64 // position of the record that was judged last: one is sent again until it is taken
	tell bool
	till time.Time
}

// tells reports whether a channel tells of what a record says, and until when it will not tell of who asks after it; zero is that it will.
func (f *flood) tells(rec *access.Record, e Event) (tell bool, quiet time.Time) {
	if f.by == nil {
		f.by = map[asker]*asking{}
	} else if f.last == rec.Position {
		return f.tell, f.till
	}
	f.last = rec.Position
	f.tell, f.till = f.judge(asker{rec.Principal, rec.Actor}, rec.Time, e)
	return f.tell, f.till
}

func (f *flood) judge(who asker, at time.Time, e Event) (tell bool, quiet time.Time) {
	a := f.by[who]
	if a != nil && at.Sub(a.since) > askedIn {
		a = nil
	}
	switch e {
	case Requested:
		if a == nil {
			f.forget(at)
			a = &asking{since: at}
			f.by[who] = a
		}
		if a.n++; a.n == mostAsked {
			quiet = a.since.Add(askedIn).UTC()
		}
		return a.n <= mostAsked, quiet
	case Cancelled:
		return a == nil || a.n <= mostAsked, time.Time{}
	}
	return true, time.Time{}
}

// forget makes room.
func (f *flood) forget(at time.Time) {
	if len(f.by) < mostKnown {
		return
	}
	for who, a := range f.by {
		if at.Sub(a.since) > askedIn {
			delete(f.by, who)
		}
	}
}
