package export

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"sallyport/audit"
	"sallyport/internal/access"
)

// entry is a record with what other records say about it.
type entry struct {
	*access.Record
	log    string            // id of the log
	leaf   string            // its leaf in the log's Merkle tree (RFC 6962), in hex
	opened *access.Record    // the open record of its session; nil where that is not known
	intent *access.Record    // the intent that it is the outcome of, or a part of
	plan   access.PlanRecord // its own, or the intent's
}

// past knows the sessions that are open and the intents that run at a point of the log. What it has forgotten, or
// never seen in this process, it reads again by position.
type past struct {
	dir      string
	log      string
	sessions map[string]uint64
	opens    map[string]*access.Record
	intents  map[uint64]*access.Record
	plans    map[string]access.PlanRecord // a plan is made once and recorded each time it runs
}

// What is kept in memory.
const (
	mostIntents = 1024
	mostPlans   = 256
)

func newPast(dir string, c *cursor) *past {
	x := &past{dir: dir, log: c.Log, sessions: maps.Clone(c.Sessions), opens: map[string]*access.Record{}, intents: map[uint64]*access.Record{},
		plans: map[string]access.PlanRecord{}}
	if x.sessions == nil {
		x.sessions = map[string]uint64{}
	}
	return x
}

// enter takes in the next record and says what is known about it.
func (x *past) enter(rec *access.Record) (entry, error) {
	if len(rec.Scope) > 0 { // whom an order is about does not leave: what has been sent cannot be erased
		c := *rec
		c.Scope = nil
		rec = &c
	}
	e := entry{Record: rec, log: x.log}
	var err error
	switch rec.Kind {
	case access.RecordOpen:
		x.sessions[rec.Session], x.opens[rec.Session] = rec.Position, rec
	case access.RecordIntent:
		if len(x.intents) >= mostIntents {
			delete(x.intents, slices.Min(slices.Collect(maps.Keys(x.intents))))
		}
		x.intents[rec.Position] = rec
	case access.RecordOutcome, access.RecordRelease:
		if rec.Intent != 0 {
			if e.intent, err = x.read(x.intents[rec.Intent], rec.Intent); err != nil {
				return e, err
			}
		}
		if rec.Kind == access.RecordOutcome {
			delete(x.intents, rec.Intent)
		}
	}
	if pos, ok := x.sessions[rec.Session]; ok {
		if e.opened, err = x.read(x.opens[rec.Session], pos); err != nil {
			return e, err
		}
		x.opens[rec.Session] = e.opened
	}
	if rec.Kind == access.RecordClose {
		delete(x.sessions, rec.Session)
		delete(x.opens, rec.Session)
	}
	plan := rec.Plan
	if len(plan) == 0 && e.intent != nil {
		plan = e.intent.Plan
	}
	e.plan = x.decoded(plan)
	return e, nil
}

// decoded is a plan; one that does not decode is left out, the JSON of the record has its bytes.
func (x *past) decoded(plan json.RawMessage) (p access.PlanRecord) {
	if len(plan) == 0 {
		return p
	}
	if p, ok := x.plans[string(plan)]; ok {
		return p
	}
	_ = json.Unmarshal(plan, &p)
	if len(x.plans) >= mostPlans {
		clear(x.plans)
	}
	x.plans[string(plan)] = p
	return p
}

var errFound = errors.New("found")

// read gives have, or the record at pos.
func (x *past) read(have *access.Record, pos uint64) (*access.Record, error) {
	if have != nil {
		return have, nil
	}
	var found *access.Record
	err := audit.ReadFrom(x.dir, pos, func(rec *access.Record) error {
		found = rec
		return errFound
	})
	if err != nil && !errors.Is(err, errFound) {
		return nil, err
	}
	if found == nil || found.Position != pos {
		return nil, nil
	}
	return found, nil
}

// without are the fields of a record that can be left out.
var without = map[string]func(*access.Record){
	"sql":    func(r *access.Record) { r.SQL = "" },
	"params": func(r *access.Record) { r.Params, r.Nulls = nil, nil },
	"result": func(r *access.Record) { r.Result, r.Formats = nil, nil },
	"reason": func(r *access.Record) { r.Reason = "" },
	"goal":   func(r *access.Record) { r.Goal, r.Ticket = "", "" },
	"client": func(r *access.Record) { r.Client = "" },
	"proof":  func(r *access.Record) { r.Proof = nil },
	"error":  func(r *access.Record) { r.Error, r.Hint = "", "" },
	"review": func(r *access.Record) { r.Review = nil },
}

// Fields lists what Config.Without may name.
func Fields() []string { return slices.Sorted(maps.Keys(without)) }

// strip leaves fields out, of the record and of those beside it.
func strip(e entry, fields []string) entry {
	if len(fields) == 0 {
		return e
	}
	for _, rec := range []**access.Record{&e.Record, &e.opened, &e.intent} {
		if *rec == nil {
			continue
		}
		c := **rec
		for _, f := range fields {
			without[f](&c)
		}
		*rec = &c
	}
	return e
}
