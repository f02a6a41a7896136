package approval

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"sallyport/internal/access"
)

// Config is what an Engine works with.
type Config struct {
	Path string // the bbolt file
	// Record makes a step durable in the log before it is made; an error means that it is not made.
	Record func(ctx context.Context, e Event) error
	// Pending is how long a request waits for a decision; 0 is an hour.
	Pending time.Duration
	// Made is told of each step once it was made; nil is nobody. It must not call the Engine.
	Made  func(Event)
	Terms Terms // Claim 0 is 15 minutes
	// Lapses says why a vote, given as a member of groups, counts no longer; "" of one that does. nil: all do. It must not call the Engine.
	Lapses func(v Vote, groups []string) string
	// Keep is how long requests that have ended are kept here; 0 is 30 days. The log has them for as long as it keeps records.
	Keep time.Duration
	// MostPending is how many requests of one who asks may be pending, of a person apart from what is asked through an agent; 0 is 100.
	MostPending int
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Event is a step about to be made: the request as it will be, and the state that it had.
type Event struct {
	Request *Request
	From    State
	Vote    *Vote // of a reviewer, where the step is one
	Use     bool  // the step is a claim
	// Escalated is set where the step is that others stand in for a group.
	Escalated *StandIn
	Lapsed    []Lapsed // votes that count no longer from now on
}

// Engine keeps requests. All of its methods may be called at once from any goroutine.
type Engine struct {
	conf  Config
	store *store
	boot  string

	mu       sync.Mutex // held over a step, from reading the request to having written it; guards all below
	live     map[string]*Request
	glass    map[string]*Request      // broken, and not looked at yet; they may have ended
	ended    map[string]Step          // how claimed requests ended, of which that could not be kept yet
	watchers map[string]chan struct{} // closed at the next step of the request
	any      chan struct{}            // closed at the next step of any request
	closed   bool
}

// Open reads the file, and makes what was claimed when the last run of the gateway ended Unknown: it is never run by itself.
func Open(ctx context.Context, conf Config) (*Engine, error) {
	if conf.Record == nil {
		return nil, errors.New("approvals want a log to be recorded in")
	}
	conf.Pending = cmp.Or(conf.Pending, time.Hour)
	conf.Terms.Claim = cmp.Or(conf.Terms.Claim, 15*time.Minute)
	conf.Keep = cmp.Or(conf.Keep, 30*24*time.Hour)
	if conf.MostPending == 0 {
		conf.MostPending = 100
	}
	if conf.Now == nil {
		conf.Now = time.Now
	}
	s, err := openStore(conf.Path)
	if err != nil {
		return nil, err
	}
	e := &Engine{conf: conf, store: s, boot: newID(""), live: map[string]*Request{}, glass: map[string]*Request{}, ended: map[string]Step{}, watchers: map[string]chan struct{}{}, any: make(chan struct{})}
	if err := e.recover(ctx); err != nil {
		s.db.Close()
		return nil, err
	}
	return e, nil
}

func (e *Engine) recover(ctx context.Context) error {
	var claimed []string
	err := e.store.newest("", func(r *Request) bool {
		e.keep(r)
		if r.State == Claimed {
			claimed = append(claimed, r.ID)
		}
		return true
	})
	if err != nil {
		return err
	}
	for _, id := range claimed {
		_, err := e.step(ctx, id, 0, Step{Finish: Unknown, Outcome: "the gateway ended while it ran: whether it took effect is not known, and it will not be run again"}, Reviewer{})
		if err != nil {
			return err
		}
	}
	return e.Sweep(ctx)
}

// Close ends the engine. Requests stay as they are.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	for id := range e.watchers {
		e.wake(id)
	}
	return e.store.db.Close()
}

// Request stores what somebody wants to run, and gives it with its id. The same wish of the same asker that is pending
// already is that one: asking twice is not two requests.
func (e *Engine) Request(ctx context.Context, r Request) (*Request, error) {
	if len(r.Needs) == 0 {
		return nil, Refused{"nobody is named who could approve it"}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.conf.Now().UTC()
	mine, held := 0, r.Binding.size()
	if held > MostHeld {
		return nil, &access.Error{Kind: access.Unsupported, Code: "54000", Message: fmt.Sprintf("this needs approval, and is too large for that: its text and values take %d bytes, of %d at most", held, MostHeld),
			Hint: "no reviewer reads that much: split it, or have smaller values approved; nothing ran"}
	}
	for _, o := range e.live {
		if !inSameName(o, &r) {
			continue
		}
		held += o.Binding.size()
		if o.State != Pending {
			continue
		}
		mine++
		wish := r.Binding
		if r.Subject.Kind == SubjectReveal && r.Subject.Task == o.Subject.Task { // not bound to a session
			wish.Session = o.Binding.Session
		}
		if o.Boot == e.boot && o.Glass == nil && sameAsker(o, &r) && o.Subject.Kind == r.Subject.Kind && now.Before(o.Expires) &&
			wish.Digest(o.Expires) == o.Digest {
			return o.clone(), nil
		}
	}
	if held > mostHeldOfOne {
		return nil, &access.Error{Kind: access.Unavailable, Code: "53400", Message: fmt.Sprintf("requests of %s that have not ended take %d bytes, and no more than %d are kept of one who asks", r.Binding.Principal, held, mostHeldOfOne),
			Hint: "withdraw those that are not wanted any more, or wait; nothing ran"}
	}
	if mine >= e.conf.MostPending {
		return nil, &access.Error{Kind: access.Unavailable, Code: "53400", Message: fmt.Sprintf("%s has %d requests that wait for a decision, and no more can be made before one ends", r.Binding.Principal, mine),
			Hint: "withdraw those that are not wanted any more, or wait; nothing ran"}
	}
	r.ID, r.Revision, r.Boot, r.State = newID(idAt(now)), 1, e.boot, Pending
	r.Created, r.Expires = now, now.Add(e.conf.Pending)
	r.Digest = r.Binding.Digest(r.Expires)
	r.Votes, r.Lapsed, r.Grant, r.Glass, r.Uses, r.Outcome, r.Ended, r.Needs = nil, nil, nil, nil, 0, "", time.Time{}, unescalated(r.Needs)
	return e.write(ctx, &r, Event{Request: &r})
}

// BreakGlass stores a statement that runs at once without anybody's approval, for somebody has to look at it afterwards.
// It is claimed already.
func (e *Engine) BreakGlass(ctx context.Context, r Request, reason string) (*Request, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.conf.Now().UTC()
	r.ID, r.Revision, r.Boot, r.State = newID(idAt(now)), 1, e.boot, Claimed
	r.Created, r.Expires = now, now.Add(e.conf.Terms.Claim)
	r.Digest = r.Binding.Digest(r.Expires)
	r.Glass = &Glass{Reason: reason, At: now, Until: r.Expires}
	r.Votes, r.Lapsed, r.Grant, r.Uses, r.Outcome, r.Ended, r.Needs = nil, nil, nil, 1, "", time.Time{}, unescalated(r.Needs)
	return e.write(ctx, &r, Event{Request: &r, Use: true})
}

// Decide is a reviewer's word about the request as they saw it: revision is that of what they were shown.
func (e *Engine) Decide(ctx context.Context, id string, revision uint64, by Reviewer, v Vote) (*Request, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.live[id]; r != nil {
		// The votes before this one may be those of who is no reviewer any more. Who decides was shown them.
		if now, err := e.standing(ctx, r); err != nil {
			return nil, err
		} else if now.Revision != r.Revision {
			return now, errStale
		}
	}
	return e.step(ctx, id, revision, Step{Vote: &v}, by)
}

// Cancel ends a request because who asked withdraws it, or has gone.
func (e *Engine) Cancel(ctx context.Context, id, why string) (*Request, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.step(ctx, id, 0, Step{Cancel: why}, Reviewer{})
}

// Finish says how a claimed statement ended. Of approvals for more than one use it keeps nothing: the record has each use. What cannot be kept now is
// tried again by each Sweep, for nobody else knows it.
func (e *Engine) Finish(ctx context.Context, id string, how State, outcome string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.live[id]; r != nil && r.State == Approved {
		return nil
	}
	s := Step{Finish: how, Outcome: outcome}
	_, err := e.step(ctx, id, 0, s, Reviewer{})
	if no := (Refused{}); err != nil && !errors.As(err, &no) {
		e.ended[id] = s
	}
	return err
}

// Sweep makes the steps whose time has come: it ends what has run out of time, and has others stand in for who did not decide. It
// forgets what ended long ago. A step that cannot be recorded is not made, and is due at the next Sweep.
func (e *Engine) Sweep(ctx context.Context) error {
	now := e.conf.Now().UTC()
	if err := e.turn(ctx, now); err != nil {
		return err
	}
	var old []string
	err := e.store.newest(idAt(now.Add(-e.conf.Keep)), func(r *Request) bool {
		if r.State.Ended() && now.Sub(r.Ended) > e.conf.Keep && (r.Glass == nil || r.Glass.Reviewed) {
			old = append(old, r.ID)
		}
		return true
	})
	if err != nil || len(old) == 0 {
		return err
	}
	return e.store.remove(old)
}

// turn makes the steps that are due at a time.
func (e *Engine) turn(ctx context.Context, now time.Time) error {
	type due struct {
		id   string
		step Step
	}
	var all []due
	e.mu.Lock()
	defer e.mu.Unlock()
	var errs []error
	if _, err := e.lapseAll(ctx); err != nil {
		errs = append(errs, err) // what lapses is claimed by nobody; the rest is due all the same
	}
	escalations := func(r *Request) {
		for i, n := range r.Needs {
			if r.due(i, now) {
				all = append(all, due{r.ID, Step{Escalate: n.Group}})
			}
		}
	}
	for id, r := range e.live {
		if r.State == Pending && !now.Before(r.Expires) || r.State == Approved && !now.Before(r.Grant.Until) {
			all = append(all, due{id, Step{Expire: true}})
		} else if r.State == Pending {
			escalations(r)
		}
	}
	for _, r := range e.glass {
		escalations(r)
	}
	for id, s := range e.ended {
		if _, err := e.step(ctx, id, 0, s, Reviewer{}); err != nil && !errors.As(err, new(Refused)) {
			errs = append(errs, err)
			continue
		}
		delete(e.ended, id)
	}
	for _, d := range all {
		if _, err := e.step(ctx, d.id, 0, d.step, Reviewer{}); err != nil && !errors.Is(err, ErrTooLate) { // its end has come meanwhile, and is for the next Sweep
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// idAt is an id that all requests made before t come before.
func idAt(t time.Time) string { return t.UTC().Format("20060102150405") }

// Get gives a request.
func (e *Engine) Get(id string) (*Request, error) {
	r, err := e.store.get(id)
	if err == nil && r == nil {
		err = ErrUnknown
	}
	return r, unable(err)
}

// List gives requests, the newest first, for which keep answers true: at most most of them, made before that of the id before
// where one is given.
func (e *Engine) List(before string, most int, keep func(*Request) bool) ([]*Request, error) {
	var out []*Request
	err := e.store.newest(before, func(r *Request) bool {
		if keep == nil || keep(r) {
			out = append(out, r)
		}
		return len(out) < most
	})
	return out, unable(err)
}

// Live gives the requests that have not ended, the newest first.
func (e *Engine) Live() []*Request {
	e.mu.Lock()
	defer e.mu.Unlock()
	return newestFirst(e.live)
}

// Broken gives the requests of broken glass that nobody has looked at, the newest first, also those that have ended.
func (e *Engine) Broken() []*Request {
	e.mu.Lock()
	defer e.mu.Unlock()
	return newestFirst(e.glass)
}

func newestFirst(of map[string]*Request) []*Request {
	out := make([]*Request, 0, len(of))
	for _, r := range of {
		out = append(out, r.clone())
	}
	slices.SortFunc(out, func(a, b *Request) int { return strings.Compare(b.ID, a.ID) })
	return out
}

// Revealed gives the approvals by which an asker, of an account, sees columns as they are now, the oldest first.
func (e *Engine) Revealed(ctx context.Context, b Binding, account string) (out []*Request, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.conf.Now()
	want := &Request{Binding: b, Subject: Subject{Kind: SubjectReveal, Account: account}}
	reveals := func(r *Request) bool {
		return r.State == Approved && r.Grant != nil && r.Grant.Mode == Reveal && now.Before(r.Grant.Until) && sameAsker(r, want)
	}
	for _, r := range e.live {
		if !reveals(r) {
			continue
		}
		after, err := e.standing(ctx, r)
		if err != nil {
			return nil, err
		}
		if reveals(after) {
			out = append(out, after.clone())
		}
	}
	slices.SortFunc(out, func(a, b *Request) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// Watch gives a channel that is closed at the next step of a request; with id "" of any. Nothing follows the end of a request, nor for
// an id that is none's: there it is closed already, and nothing is kept.
func (e *Engine) Watch(id string) <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if id == "" {
		return e.any
	}
	c := e.watchers[id]
	if c == nil {
		c = make(chan struct{})
		if e.closed || e.live[id] == nil {
			close(c)
			return c
		}
		e.watchers[id] = c
	}
	return c
}

// wake tells those who watch. The caller holds e.mu.
func (e *Engine) wake(id string) {
	if c := e.watchers[id]; c != nil {
		close(c)
		delete(e.watchers, id)
	}
	close(e.any)
	e.any = make(chan struct{})
}

// step makes a step of a request. A revision other than 0 is the one that it must have. The caller holds e.mu.
func (e *Engine) step(ctx context.Context, id string, revision uint64, s Step, by Reviewer) (*Request, error) {
	r := e.live[id]
	if r == nil {
		stored, err := e.store.get(id)
		if err != nil {
			return nil, unable(err)
		}
		if r = stored; r == nil {
			return nil, ErrUnknown
		}
	}
	if revision != 0 && revision != r.Revision {
		return r.clone(), errStale
	}
	next, err := Next(*r, s, by, e.conf.Terms, e.conf.Now().UTC())
	if err != nil {
		return r.clone(), err
	}
	ev := Event{Request: &next, From: r.State, Use: s.Claim, Lapsed: next.Lapsed[len(r.Lapsed):]}
	if s.Vote != nil {
		ev.Vote = &next.Votes[len(next.Votes)-1]
		if why := e.lapsed(r, *ev.Vote); why != "" { // since who gives it was looked at
			return r.clone(), Refused{"your word does not count: " + why}
		}
	}
	if s.Escalate != "" {
		ev.Escalated = next.standIn(s.Escalate)
	}
	return e.write(ctx, &next, ev)
}

// write records and then makes a step. The caller holds e.mu.
func (e *Engine) write(ctx context.Context, r *Request, ev Event) (*Request, error) {
	if e.closed {
		return nil, &access.Error{Kind: access.Unavailable, Code: "57P01", Message: "the gateway is being stopped", Hint: "nothing was changed; try again once it runs"}
	}
	if err := e.conf.Record(ctx, ev); err != nil {
		return nil, unable(fmt.Errorf("the step could not be recorded, and was not made: %w", err))
	}
	if err := e.store.put(r); err != nil {
		return nil, unable(err)
	}
	e.keep(r)
	if e.conf.Made != nil {
		e.conf.Made(ev)
	}
	e.wake(r.ID)
	return r.clone(), nil
}

// keep has a request where it is found without the file. The caller holds e.mu, or is Open.
func (e *Engine) keep(r *Request) {
	if r.State.Ended() {
		delete(e.live, r.ID)
	} else {
		e.live[r.ID] = r
	}
	if r.Glass != nil && !r.Glass.Reviewed {
		e.glass[r.ID] = r
	} else {
		delete(e.glass, r.ID)
	}
}

func (r *Request) clone() *Request {
	c := *r
	c.Votes = slices.Clone(r.Votes)
	return &c
}

// newID is an unguessable name that begins with prefix: 128 random bits.
func newID(prefix string) string {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return prefix + hex.EncodeToString(b[:])
}
