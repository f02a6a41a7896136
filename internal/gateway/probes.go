package gateway

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"sallyport/audit"
	"sallyport/internal/access"
	"sallyport/internal/pgframe"
	"sallyport/mask"
	"sallyport/sqlguard"
	"sallyport/sqlguard/policy"
)

// guesser is whose guesses are counted together: all sessions of a principal on a connection, through every door and
// whoever acts for them.
type guesser struct{ connection, principal string }

// guesses are some that a principal made at once.
type guesses struct {
	first, last time.Time
	n           int64
}

// ledger counts guesses at masked values. After a restart it is read from the record, so what a budget has seen does
// not depend on how long the gateway runs.
type ledger struct {
	mu   sync.Mutex
	made map[guesser][]guesses // in the order of time
}

// guessGrain is how exactly guesses are kept in time: those of one grain count as of the last of them.
const guessGrain = time.Second

// mostGuesses is how many grains are kept of one guesser.
const mostGuesses = 1 << 15

// take counts n guesses of who, unless that makes the decision another.
func (l *ledger) take(who guesser, now time.Time, d access.Decision, n int64) access.Decision {
	l.mu.Lock()
	defer l.mu.Unlock()
	d = sqlguard.Probed(d, n, l.used(who, now))
	if d.Effect == access.Allow {
		l.add(who, now, n)
	}
	return d
}

// would is take without counting anything.
func (l *ledger) would(who guesser, now time.Time, d access.Decision, n int64) access.Decision {
	l.mu.Lock()
	defer l.mu.Unlock()
	return sqlguard.Probed(d, n, l.used(who, now))
}

// used gives how many guesses who had in a window up to now. The caller holds l.mu.
func (l *ledger) used(who guesser, now time.Time) func(time.Duration) int64 {
	made := l.made[who]
	return func(window time.Duration) (used int64) {
		for i := len(made) - 1; i >= 0 && now.Sub(made[i].last) < window; i-- {
			used += made[i].n
		}
		return used
	}
}

func (l *ledger) add(who guesser, at time.Time, n int64) {
	made := l.made[who]
	if i := len(made) - 1; i >= 0 && at.Sub(made[i].first) < guessGrain {
		made[i].last, made[i].n = at, made[i].n+n
		return
	}
	if len(made) >= mostGuesses {
		made = slices.DeleteFunc(made, func(g guesses) bool { return at.Sub(g.last) > policy.MaxProbeWindow })
		if len(made) >= mostGuesses {
			made = coarser(made)
		}
	}
	l.made[who] = append(made, guesses{at, at, n})
}

// coarser joins each two, which then count as of the later: nothing is forgotten early.
func coarser(made []guesses) []guesses {
	out := made[:0]
	for i := 0; i+1 < len(made); i += 2 {
		out = append(out, guesses{made[i].first, made[i+1].last, made[i].n + made[i+1].n})
	}
	if len(made)%2 == 1 {
		out = append(out, made[len(made)-1])
	}
	return out
}

// restore reads the guesses since a time from the record.
func (l *ledger) restore(dir string, since time.Time) error {
	return audit.ReadProbes(dir, since, func(rec *access.Record) error {
		if rec.Kind != access.RecordRefused { // what was refused has answered nothing
			l.add(guesser{rec.Connection, rec.Principal}, rec.Time, rec.Probes)
		}
		return nil
	})
}

// guesses is how many guesses at masked values a statement of a batch answers, and whether that is known.
func (j *judged) guesses() (n int64, known bool) {
	var args []string
	if j.named != nil {
		args = j.named.args
	}
	return j.plan.guesses(j.named, func(param int) int64 {
		if param > len(args) || args[param-1] == "" {
			return -1
		}
		return mask.Listed(args[param-1])
	})
}

// guesses counts by the number of values in each parameter that is a list; less than 0 is not known. What was
// prepared is counted when it is executed, a cursor when it is opened. named is EXECUTE or FETCH, or nil.
func (p *plan) guesses(named *plan, list func(param int) int64) (n int64, known bool) {
	if p.probes.None() || p.facts.Prepares != "" || named != nil && named.facts.Fetches != "" {
		return 0, true
	}
	n, known = p.probes.Fixed, !p.probes.Unknown
	for _, param := range p.probes.Lists {
		if size := list(param); size >= 0 {
			n += size
		} else {
			known = false
		}
	}
	return n, known
}

// probe counts n guesses of this session's principal, or refuses the statement that makes them. What was approved is counted
// and not refused: who approved it was told.
func (s *Session) probe(p *plan, sql string, n int64, known, approved bool) error {
	d := p.decision
	if len(d.Obligations.Probes) == 0 || n == 0 && known {
		return nil
	}
	who := guesser{s.db.conf.Name, s.principal.Name}
	d.Effect = access.Allow // under an approval, where it needs one
	switch {
	case !known:
		d = sqlguard.Unprobed(d)
	case approved:
		s.gw.ledger.mu.Lock()
		s.gw.ledger.add(who, time.Now(), n)
		s.gw.ledger.mu.Unlock()
	default:
		d = s.gw.ledger.take(who, time.Now(), d, n)
	}
	if d.Effect == access.Allow {
		return nil
	}
	why := &access.Error{Kind: access.Denied, Code: d.Code, Message: d.Message, Hint: d.Hint}
	if d.Effect == access.Review {
		why.Kind, why.Code = access.ReviewPending, "42501"
	}
	return refusal{plan: p.instead(d), sql: sql, probes: n, why: why}
}

// probeAll counts the guesses of a batch and gives it with them.
func (s *Session) probeAll(list []judged, sql string) ([]judged, error) {
	if !slices.ContainsFunc(list, func(j judged) bool { return !j.plan.probes.None() }) {
		return list, nil
	}
	list = slices.Clone(list) // it may be shared with other sessions
	for i := range list {
		j := &list[i]
		n, known := j.guesses()
		if err := s.probe(j.plan, cmp.Or(j.source, sql), n, known, j.approval != ""); err != nil {
			return nil, err
		}
		j.probes = n
	}
	return list, nil
}

// guess marks the statements of a batch whose guesses are past a budget: they need approval. Statements are looked at one by
// one; that all of a batch together are past it is found when they are counted.
func (s *Session) guess(list []judged) []judged {
	cloned := false
	for i := range list {
		if len(list[i].plan.decision.Obligations.Probes) == 0 {
			continue
		}
		n, known := list[i].guesses()
		if !known || n == 0 {
			continue
		}
		if why := s.tooMany(list[i].plan, n); why != "" {
			if !cloned {
				list, cloned = slices.Clone(list), true // it may be shared with other sessions
			}
			list[i].guessed = why
		}
	}
	return list
}

// tooMany says why n guesses need approval, or "".
func (s *Session) tooMany(p *plan, n int64) string {
	d := p.decision
	d.Effect = access.Allow
	if len(s.gw.reviewing.Guesses) == 0 {
		return "" // nobody decides about them: they are refused when they are counted
	}
	if d = s.gw.ledger.would(guesser{s.db.conf.Name, s.principal.Name}, time.Now(), d, n); d.Effect == access.Review {
		return d.Message
	}
	return ""
}

// portalGuesses is how many guesses a portal makes that is executed for the first time.
func (p *portal) portalGuesses(pl *plan) (n int64, known bool) {
	if pl.probes.None() || p.used {
		return 0, true
	}
	return pl.guesses(p.plan, func(param int) int64 {
		switch {
		case p.plan.facts.Executes != "" && param <= len(p.plan.args) && p.plan.args[param-1] != "":
			return mask.Listed(p.plan.args[param-1])
		case p.plan.facts.Executes == "" && param <= len(p.lists):
			return p.lists[param-1]
		}
		return -1
	})
}

// instead stands for p in a record where the decision on one run is another.
func (p *plan) instead(d access.Decision) *plan {
	var r access.PlanRecord
	if json.Unmarshal(p.record, &r) != nil { // of our own making
		return p
	}
	r.Effect = d.Effect.String()
	out := &plan{scope: p.scope, facts: p.facts, decision: d}
	out.record, _ = json.Marshal(r)
	return out
}

// listSizes is how many values each parameter of a Bind holds at most, as a list, or less than 0.
func listSizes(raw []byte) []int64 {
	_, b, _ := pgframe.CString(raw[5:])
	_, b, _ = pgframe.CString(b)
	codes, b, err := int16s(b)
	if err != nil || len(b) < 2 {
		return nil
	}
	out := make([]int64, binary.BigEndian.Uint16(b))
	b = b[2:]
	for i := range out {
		size := int(int32(binary.BigEndian.Uint32(b))) // readBind has looked at the lengths
		if b = b[4:]; size < 0 {
			continue
		}
		binaryFormat := len(codes) == 1 && codes[0] == 1 || i < len(codes) && codes[i] == 1
		if binaryFormat {
			out[i] = arraySize(b[:size])
		} else {
			out[i] = mask.Listed(string(b[:size]))
		}
		b = b[size:]
	}
	return out
}

// arraySize is how many elements an array in binary has (src/backend/utils/adt/arrayfuncs.c, array_recv).
func arraySize(b []byte) int64 {
	if len(b) < 12 {
		return -1
	}
	dims := binary.BigEndian.Uint32(b)
	if b = b[12:]; dims > 6 || len(b) < int(dims)*8 {
		return -1
	}
	n := int64(1)
	for ; dims > 0; dims-- {
		if n *= int64(binary.BigEndian.Uint32(b)); n > 1<<31 {
			return -1
		}
		b = b[8:]
	}
	return n
}
