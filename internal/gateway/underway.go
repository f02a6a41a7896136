package gateway

import (
	"context"
	"slices"
	"strings"

	"sallyport/internal/access"
	"sallyport/internal/approval"
)

// How what ran under an approval for one time ended. What was read was read; a change has ended when its transaction has, and until then the
// approval stays claimed. One that was rolled back is not given back: whoever asked has seen how many rows there were, a sequence was
// moved, code of the database's users may have reached beyond the transaction, and to do all that again is another thing to approve.

// underway is an approval for one time that this session has claimed and not said the end of.
type underway struct {
	id      string
	left    int    // statements under it that have not ended well
	tag     string // how the last of those that have did; "" while none has
	changes bool   // one of them was more than a read: it stands once its transaction is committed
	loose   bool   // one of them may have committed by itself (VACUUM, a procedure)
	rows    bool   // one of them gave rows
	aside   string // what is to be said beside its end
}

// fate is how the transaction of something under way ended. The zero fate is that nobody knows.
type fate int

const (
	lost fate = iota
	committed
	twoPhase // for two-phase commit: whoever ends it does not say so here
	rolledBack
)

// ended says what has become of it, and in which words, once its transaction has ended.
func (u *underway) ended(how fate) (approval.State, string) {
	switch {
	case how == committed:
		return approval.Executed, u.tag + u.aside
	case how == twoPhase:
		return approval.Executed, u.tag + u.aside + "; its transaction was prepared, and is committed or rolled back elsewhere"
	case how == rolledBack && u.loose:
		return approval.Unknown, u.tag + u.aside + "; its transaction was rolled back, unless it committed one by itself"
	case how == rolledBack && u.rows:
		return approval.Executed, u.tag + u.aside + "; its transaction was rolled back after that, and the rows that it gave were read"
	case how == rolledBack:
		return approval.Failed, "rolled back with its transaction, after " + u.tag + u.aside
	}
	return approval.Unknown, "the session ended before an answer"
}

// under marks a list as approved. Of an approval for more than one use the record has each, and nothing is under way.
func (s *Session) under(list []judged, r *approval.Request) []judged {
	list = slices.Clone(list) // it may be shared with other sessions
	u := underway{id: r.ID}
	for i := range list {
		if list[i].waits() {
			list[i].approval = r.ID
			u.left++
		}
	}
	if r.State == approval.Claimed {
		s.underway = append(s.underway, u)
	}
	return list
}

// finish says how a statement under an approval ended. A text of several statements ends with the last, or the first that fails.
func (s *Session) finish(r *run, failure *access.Error) {
	i := slices.IndexFunc(s.underway, func(u underway) bool { return u.id == r.approval && u.left > 0 })
	if i < 0 {
		return // read on under what has ended, or under what allows more than one use
	}
	u := &s.underway[i]
	switch {
	case failure == nil:
		f := r.plan.facts
		u.left--
		u.tag, u.rows = r.command, u.rows || r.rows > 0
		u.changes = u.changes || f.Class != access.ClassRead && f.Declares == ""
		u.loose = u.loose || !s.block && f.Class != access.ClassRead && f.Class != access.ClassWrite
		if u.left == 0 && !u.changes {
			s.conclude(i, approval.Executed, u.tag)
		}
	case failure.Code == "08007":
		s.conclude(i, approval.Unknown, failure.Message)
	default:
		s.conclude(i, approval.Failed, failure.Code+": "+s.gw.detector.String(failure.Message)+u.aside)
	}
}

// conclude says how what is under way at i has ended.
func (s *Session) conclude(i int, how approval.State, outcome string) {
	id := s.underway[i].id
	s.underway = slices.Delete(s.underway, i, i+1)
	s.heavy()
	if err := s.gw.approvals.Finish(context.Background(), id, how, outcome); err != nil {
		s.gw.logger.Warn("how a held statement ended was not kept", "request", id, "error", err)
	}
}

// concludeAll is conclude for all of which end gives a state.
func (s *Session) concludeAll(end func(*underway) (approval.State, string)) {
	for i := 0; i < len(s.underway); {
		if how, outcome := end(&s.underway[i]); how != "" {
			s.conclude(i, how, outcome)
		} else {
			i++
		}
	}
}

// settleHeld concludes what has run, when its transaction ends.
func (s *Session) settleHeld(how fate) {
	s.concludeAll(func(u *underway) (approval.State, string) {
		if u.left > 0 {
			return "", ""
		}
		return u.ended(how)
	})
}

// turned notes that a statement has succeeded that begins or ends a transaction, or takes a part of one back. What it answers tells of COMMIT
// whether it was one: in a transaction that has failed it is a ROLLBACK.
func (s *Session) turned(f *access.Facts, command string) {
	how, aside := lost, ""
	switch f.Transaction {
	case "begin":
		s.block = true
		return
	case "commit":
		how, aside = committed, "; a part of it was committed before"
		if command == "ROLLBACK" {
			how, aside = rolledBack, "; a part of it was rolled back before"
		}
	case "rollback":
		how, aside = rolledBack, "; a part of it was rolled back before"
	case "prepare":
		how, aside = twoPhase, "; a part of it is in a transaction that was prepared"
		if command == "ROLLBACK" { // it had failed
			how, aside = rolledBack, "; a part of it was rolled back before"
		}
	case "rollback to":
		aside = "; ROLLBACK TO SAVEPOINT came after it, and may have taken it back"
	default:
		return
	}
	if how != lost {
		s.block = false // or what AND CHAIN begins: then less is certain
	}
	for i := range s.underway {
		if u := &s.underway[i]; u.tag != "" && (u.left > 0 || how == lost) {
			u.aside = aside
		}
	}
	if how != lost {
		s.settleHeld(how)
	}
}

// answered says what has ended now that the server is ready for the next: with no transaction open all that has run has been committed, or rolled
// back with an error after it. What is left was not run.
func (s *Session) answered(failed bool) {
	how := committed
	if failed {
		how = rolledBack
	}
	s.unused("an operation before it failed")
	if s.tx == 'I' {
		s.settleHeld(how)
	}
}

// unused says that claimed approvals came to nothing.
func (s *Session) unused(why string) {
	s.concludeAll(func(u *underway) (approval.State, string) {
		if u.left == 0 {
			return "", ""
		}
		return approval.Failed, "not run: " + s.gw.detector.String(why) + u.aside
	})
}

// parted says how what is under way has ended when the session does. Where everything has been answered, COMMIT was not asked for, and the server rolls
// back what is open.
func (s *Session) parted(answered bool) {
	s.concludeAll(func(u *underway) (approval.State, string) {
		if answered && u.left == 0 {
			return u.ended(rolledBack)
		}
		return u.ended(lost)
	})
}

// usedUp names the approvals under which a change has run that is not committed; "" where there are none.
func (s *Session) usedUp() string {
	var ids []string
	for _, u := range s.underway {
		if u.tag != "" && u.left == 0 {
			ids = append(ids, u.id)
		}
	}
	return strings.Join(ids, " and ")
}
