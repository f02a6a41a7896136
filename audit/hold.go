package audit

import (
	"fmt"
	"time"

	"sallyport/internal/access"
)

// Hold keeps records from being erased, by anybody and by retention, until it is lifted.
type Hold struct {
	ID       string       `json:"id"`
	Scope    access.Scope `json:"scope"`
	By       string       `json:"by"`
	Why      string       `json:"why"`
	Since    time.Time    `json:"since"`
	Position uint64       `json:"position"` // of its record
	who      *subject     // of Scope; set by a picker
}

// Hold puts the records that s picks, those there are and those to come, under a hold.
func (l *Log) Hold(s access.Scope, by, why string) (*Hold, error) {
	if err := checkScope(&s); err != nil {
		return nil, err
	}
	l.orders.Lock()
	defer l.orders.Unlock()
	h := &Hold{ID: newOrderID("h_"), Scope: s, By: by, Why: why, Since: time.Now().UTC()}
	var err error
	h.Position, err = l.give(access.RecordHold, &access.Order{ID: h.ID, Scope: unnamed(s)}, s, by, why)
	return h, err
}

// Lift ends a hold.
func (l *Log) Lift(id, by, why string) (*Hold, error) {
	l.orders.Lock()
	defer l.orders.Unlock()
	all, err := l.ordersNow()
	if err != nil {
		return nil, err
	}
	for _, h := range holdsOf(all) {
		if h.ID == id {
			_, err := l.give(access.RecordLifted, &access.Order{ID: id, Scope: unnamed(h.Scope)}, access.Scope{}, by, why)
			return h, err
		}
	}
	return nil, &access.Error{Kind: access.Invalid, Code: "42704", Message: fmt.Sprintf("no hold %q is in force", id), Hint: "`sallyport hold list` lists them"}
}

// Holds lists the holds in force in the log in dir, the oldest first. It works beside a running gateway.
func Holds(dir string) ([]*Hold, error) {
	all, _, err := readOrders(dir)
	return holdsOf(all), err
}

func holdsOf(all []*order) []*Hold {
	lifted := map[string]bool{}
	for _, o := range all {
		if o.Kind == access.RecordLifted {
			lifted[o.ID] = true
		}
	}
	var out []*Hold
	for _, o := range all {
		if o.Kind == access.RecordHold && !lifted[o.ID] {
			out = append(out, &Hold{ID: o.ID, Scope: o.scope, By: o.Principal, Why: o.Reason, Since: o.Time, Position: o.Position})
		}
	}
	return out
}
