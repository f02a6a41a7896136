package audit

import (
	"fmt"
	"time"

	"sallyport/internal/access"
)

// proposalLife is how long a proposal can be confirmed.
const proposalLife = 24 * time.Hour

// Proposal is an erasure that somebody asks for and somebody else has to confirm. It is bound to the records that
// were there and matched when it was made.
type Proposal struct {
	ID        string       `json:"id"`
	Scope     access.Scope `json:"scope"`
	Trace     bool         `json:"trace"`
	By        string       `json:"by"`
	Why       string       `json:"why"`
	Made      time.Time    `json:"made"`
	Expires   time.Time    `json:"expires"`
	Position  uint64       `json:"position"` // of its record
	Records   int          `json:"records"`
	Digest    string       `json:"digest"` // of their positions; see access.Order
	positions [][2]uint64
}

// Propose records that somebody wants the records that e picks erased. Nothing is erased.
func (l *Log) Propose(e Erasure, by, why string) (*Proposal, *Erased, error) {
	s := e.Scope()
	if err := checkScope(&s); err != nil {
		return nil, nil, err
	}
	l.orders.Lock()
	defer l.orders.Unlock()
	all, err := l.ordersNow()
	if err != nil {
		return nil, nil, err
	}
	found, err := (&picker{dir: l.dir, e: ErasureOf(s, e.Trace), holds: holdsOf(all)}).pick()
	if err != nil || found.Records == 0 && !found.Untag {
		return nil, &found.Erased, err
	}
	o := &access.Order{ID: newOrderID("e_"), Scope: unnamed(s), Trace: e.Trace, Records: found.Records,
		Positions: runs(found.Positions), Digest: digestOf(found.Positions), Held: found.Held}
	rec, err := orderRecord(access.RecordProposal, o, s, by, why)
	if err != nil {
		return nil, nil, err
	}
	if _, err := l.Append(rec); err != nil {
		return nil, nil, err
	}
	return proposalOf(&order{rec, *o, s}), &found.Erased, nil
}

func proposalOf(o *order) *Proposal {
	return &Proposal{ID: o.ID, Scope: o.scope, Trace: o.Trace, By: o.Principal, Why: o.Reason, Made: o.Time, Expires: o.Time.Add(proposalLife),
		Position: o.Position, Records: o.Records, Digest: o.Order.Digest, positions: o.Positions}
}

// Proposals lists the proposals in the log in dir that can still be confirmed at a time, the oldest first.
func Proposals(dir string, now time.Time) ([]*Proposal, error) {
	all, _, err := readOrders(dir)
	var out []*Proposal
	for _, o := range all {
		if o.Kind == access.RecordProposal && confirmable(all, o.ID, now) == nil {
			out = append(out, proposalOf(o))
		}
	}
	return out, err
}

// confirmable is nil for a proposal that is there, not carried out and not too old.
func confirmable(all []*order, id string, now time.Time) error {
	var p *order
	for _, o := range all {
		switch {
		case o.ID != id:
		case o.Kind == access.RecordErased:
			return refused(fmt.Sprintf("the erasure %s was carried out by record %d", id, o.Position), "a proposal is used once")
		case o.Kind == access.RecordProposal:
			p = o
		}
	}
	switch {
	case p == nil:
		return &access.Error{Kind: access.Invalid, Code: "42704", Message: fmt.Sprintf("no proposal %q is in the record", id), Hint: "`sallyport erase --pending` lists those that wait"}
	case now.Sub(p.Time) > proposalLife || p.Time.After(now.Add(time.Minute)):
		return refused(fmt.Sprintf("the proposal %s of %s has expired", id, p.Time.Format(time.RFC3339)), "propose it again")
	case p.Erased:
		return refused(fmt.Sprintf("what the proposal %s says was itself erased", id), "propose it again")
	}
	return nil
}

// Confirm carries a proposal out, for somebody other than who made it. Of the records that match, those that were
// proposed are erased, but for what is held by now, and with them what the proposal itself says of a person. Records
// that came since are counted, and stay. The key of the person's tags goes for all. With dry nothing is changed.
func (l *Log) Confirm(id, by string, dry bool) (*Proposal, *Erased, error) {
	l.orders.Lock()
	defer l.orders.Unlock()
	all, err := l.ordersNow()
	if err != nil {
		return nil, nil, err
	}
	if err := confirmable(all, id, time.Now()); err != nil {
		return nil, nil, err
	}
	var p *Proposal
	for _, o := range all {
		if o.Kind == access.RecordProposal && o.ID == id {
			p = proposalOf(o)
		}
	}
	if p.By == by && !dry {
		return nil, nil, refused(fmt.Sprintf("%s has proposed this erasure and cannot confirm it", by), "somebody else has to look at it")
	}
	found, err := (&picker{dir: l.dir, e: ErasureOf(p.Scope, p.Trace), holds: holdsOf(all), only: func(pos uint64) bool {
		return pos == p.Position || inRuns(p.positions, pos)
	}}).pick()
	if err != nil {
		return nil, nil, err
	}
	self := 0
	if inRuns(runs(found.Positions), p.Position) {
		self = 1
	}
	found.Missed = p.Records - (found.Records - self)
	if dry || found.Records == 0 && !found.Untag {
		return p, &found.Erased, nil
	}
	out, err := l.destroy(found, &access.Order{ID: id, Scope: unnamed(p.Scope), Trace: p.Trace, Proposal: p.Position, By: p.By}, p.Scope.Person, by, p.Why)
	return p, out, err
}
